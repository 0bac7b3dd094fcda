"""Mapped tasks: a summary becomes its instances, a slice of them a turn; a rerun opens some or all.

A summary never runs. When its rule holds, the shell finds what it is mapped over (`Expand`); then it
is `mapped`, and its children are made on the agenda. How far that has come is a row, so that it goes
on where it was after a crash. The list is kept with the run: only a rerun of what made it changes it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from bide.runtime.engine import alerting, control, life
from bide.runtime.engine.fan import Fan
from bide.runtime.engine.messages import Expanded, ExpandFailed, ManifestKnown
from bide.runtime.engine.restore import instance_of
from bide.runtime.engine.states import OVER, State
from bide.runtime.engine.turn import Slices, Turn
from bide.runtime.engine.world import Attempt, Due, Instance, Run
from bide.runtime.errors import NotFoundError, RefusedError

if TYPE_CHECKING:
    from bide.runtime.store.world_rows import InstanceRow

FORMER: Final = 2_000
"""Rows of instances that are over, made instances again in one slice."""
_STAYS: Final = frozenset({State.SUCCESS, State.SKIPPED})
_BAD: Final = frozenset({State.FAILED, State.UPSTREAM_FAILED})


# --- inputs --------------------------------------------------------------------------------------


def expanded(t: Turn, e: Expanded) -> Slices:
    """The list is known: as many instances as it has items, or shards of them; none is a skip."""
    inst = t.world.instances.get(e.instance_id)
    if inst is None or inst.state is not State.READY or inst.queued != e.ticket:
        return
    run, fan = inst.run, inst.fan
    rows: Sequence[InstanceRow] = ()
    if fan is not None and fan.rows:
        rows = t.fact("children", run.run_id, inst.task.name)
    if not e.items and not rows:
        life.finish(t, inst, State.SKIPPED, "there is nothing to map over: the list is empty")
        return
    if fan is None:
        fan = inst.fan = Fan(inst)
    t.changes.manifests.append((inst.instance_id, e.manifest.decode()))
    t.effects.append(ManifestKnown(run.run_id, inst.task.name, e.manifest))
    t.move(inst, State.MAPPED, f"{e.items:,} instance{'' if e.items == 1 else 's'}")
    yield from _begin(t, fan, rows, e.items, keeps=False)


def expand_failed(t: Turn, e: ExpandFailed) -> None:
    inst = t.world.instances.get(e.instance_id)
    if inst is not None and inst.state is State.READY and inst.queued == e.ticket:
        life.finish(t, inst, State.FAILED, e.failure.message)


# --- making the instances ------------------------------------------------------------------------


def _begin(t: Turn, fan: Fan, rows: Sequence[InstanceRow], items: int, *, keeps: bool) -> Slices:
    """Go through the rows there are and make the others, from the first one on."""
    run = fan.summary.run
    fan.begin(items, keeps=keeps)
    fan.former = {}
    for row in rows:
        if row.state not in OVER or row.map_index in fan.children:
            continue
        fan.former[row.map_index] = former = instance_of(run, row)
        former.fan = fan
        if not len(fan.former) % FORMER:
            yield
    _write(t, fan)
    resume(t, fan)


def _write(t: Turn, fan: Fan) -> None:
    of = fan.summary.instance_id
    t.changes.expansions_set[of] = (of, fan.items, fan.made, int(fan.keeps))


def resume(t: Turn, fan: Fan) -> None:
    """Go on making the instances, over as many turns as it takes."""
    if fan.work is None:
        fan.work = _Children(fan)
    if not fan.busy:
        fan.busy = True
        t.later(fan.work)


class _Children:
    __slots__ = ("fan",)

    def __init__(self, fan: Fan) -> None:
        self.fan = fan

    def __call__(self, t: Turn) -> bool:
        fan = self.fan
        summary = fan.summary
        if summary.state is not State.MAPPED:
            fan.busy = False
            return True
        first, most = fan.made, max(t.budget, 1)
        bodies = {body.inst.instance_id: body for body in t.world.attempts.values()} if fan.former else {}
        while not fan.whole and fan.made - first < most and fan.ready < t.world.window:
            index = fan.made
            fan.made = index + 1
            self._one(t, fan, index, bodies)
        t.budget -= fan.made - first
        if fan.made > first:
            _write(t, fan)
        if fan.whole:
            fan.busy = False
            if fan.done:
                life.finish(t, summary, *fan.end())
        elif fan.ready >= t.world.window:
            fan.busy = False  # it goes on when these begin
        return not fan.busy

    def _one(self, t: Turn, fan: Fan, index: int, bodies: Mapping[int, Attempt]) -> None:
        """See to the instance of this index: make it, open it again, leave it, or put it aside."""
        if index >= fan.rows:
            return _make(t, fan, index)
        living = fan.children.get(index)
        if living is not None:
            if living.state is State.LOST:
                _open_again(t, living, bodies)
            return None
        child = fan.former.pop(index)
        if index >= fan.items:
            t.changes.outputs_gone.append((child.instance_id,))
            if child.state is not State.SKIPPED:
                t.move(child, State.SKIPPED, f"the list has {fan.items:,} items by now")
        elif fan.keeps and child.state in _STAYS:
            fan.count(child.state)
        else:
            fan.children[index] = child
            _open_again(t, child, bodies)
        return None


def _make(t: Turn, fan: Fan, index: int) -> None:
    world, summary = t.world, fan.summary
    run = summary.run
    child = Instance(world.take_id("instance"), run, summary.ix, t.now)
    child.map_index = index
    child.fan = fan
    child.state = State.READY
    fan.rows = index + 1
    fan.ready += 1
    fan.children[index] = child
    world.instances[child.instance_id] = child
    t.changes.instances_new.append(
        (child.instance_id, run.run_id, child.task.name, index, State.READY.value, t.now)
    )
    if child.task.deadline_us is not None:
        child.deadline = t.now + child.task.deadline_us
        world.timer(child.deadline, Due.DEADLINE, child.instance_id)
        t.dirty[child.instance_id] = child
    life.offer(t, child)


def _open_again(t: Turn, child: Instance, bodies: Mapping[int, Attempt]) -> None:
    """As if it had not run; its attempts stay on record. A body that has not stopped still is its body."""
    body = bodies.get(child.instance_id)
    if body is not None:
        body.inst = child
        child.body = body
    child.failures = child.lost = 0
    child.inherits = False
    child.deadline = child.due = None
    child.wait = child.waits = child.built = None
    t.world.instances[child.instance_id] = child
    t.changes.outputs_gone.append((child.instance_id,))
    life.make_ready(t, child, "rerun")


# --- what people ask -----------------------------------------------------------------------------


def void(t: Turn, summary: Instance) -> None:
    """A summary that is run anew: what it was mapped over is found again, its instances with it."""
    fan = summary.fan
    if fan is not None:
        fan.begin(0, keeps=False)
        fan.former.clear()
        _write(t, fan)


def opens_in_part(run: Run, ix: int, chosen: set[int]) -> bool:
    """Whether a rerun of this task is one of those of its instances that did not succeed.

    It is not when what it is mapped over is rerun as well, or when it has no such instance.
    """
    summary = run.instances[ix]
    fan = summary.fan
    if fan is None or not fan.items or not chosen.isdisjoint(run.compiled.upstream[ix]):
        return False
    if fan.rows > fan.made and not fan.keeps:
        return False  # what lies beyond is of an older list
    if _open_upstreams(run, ix):
        return False  # what stands above it runs again: so does all of it, after that
    if summary.state is State.MAPPED:
        lost = any(child.state is State.LOST for child in fan.children.values())
        return bool(fan.failed or fan.cancelled or lost)
    return summary.state in (State.FAILED, State.CANCELLED)


def _open_upstreams(run: Run, ix: int) -> list[str]:
    """The upstreams that its rule waits for, and that have not ended."""
    if run.compiled.tasks[ix].rule in control.EARLY:
        return []
    ups = [run.instances[up] for up in run.compiled.upstream[ix]]
    return [up.task.name for up in ups if up.state not in OVER]


def rows_of(t: Turn, run: Run, ix: int) -> list[InstanceRow]:
    """The rows of all instances of a mapped task, as of now: a fact."""
    rows: list[InstanceRow] = t.fact("children", run.run_id, run.compiled.tasks[ix].name)
    _still(t, run, ix)
    return rows


def row_of(t: Turn, run: Run, ix: int, index: int) -> InstanceRow:
    """The row of one instance, as of now: a fact."""
    row: InstanceRow = t.fact("child", run.run_id, run.compiled.tasks[ix].name, index)
    _still(t, run, ix)
    return row


def _still(t: Turn, run: Run, ix: int) -> None:
    """Refuse to go by rows that this very turn has made old."""
    for moved in t.dirty.values():
        if moved.map_index >= 0 and moved.ix == ix and moved.run.run_id == run.run_id:
            raise RefusedError(f"instances of {moved.task.name} are ending just now: ask again")


def child_at(run: Run, ix: int, index: int) -> Instance | None:
    """The instance of that index if it is not over, None if it is. Refuses what there is not."""
    summary = run.instances[ix]
    name, fan = summary.task.name, summary.fan
    if summary.task.map is None:
        raise NotFoundError(
            f"the task {name!r} of run {run.run_id} is not mapped: leave the index {index} out"
        )
    if fan is None or not fan.items:
        raise NotFoundError(
            f"the task {name!r} of run {run.run_id} has no instances: it is {summary.state.value}"
        )
    if index >= fan.items:
        raise NotFoundError(
            f"the task {name!r} of run {run.run_id} has {fan.items} instances, [0] to [{fan.items - 1}], and no [{index}]"
        )
    if not fan.whole and summary.state is not State.MAPPED:
        raise RefusedError(
            f"the instances of {name!r} of run {run.run_id} were never all made: rerun the task as a whole"
        )
    if open_ := _open_upstreams(run, ix):
        raise RefusedError(
            f"the task {name!r} of run {run.run_id} stands after {', '.join(open_[:3])}, which goes on: wait for that"
        )
    child = fan.children.get(index)
    if child is None and index >= fan.made:
        raise RefusedError(
            f"{name}[{index}] of run {run.run_id} is still to be made, or to be run again: it follows when others begin"
        )
    return child


def open_in_part(t: Turn, summary: Instance, rows: Sequence[InstanceRow]) -> Slices:
    """Run again the instances that did not succeed and were not skipped; the others stay as they are."""
    _goes_on(t, summary, "rerun")
    assert summary.fan is not None
    yield from _begin(t, summary.fan, rows, summary.fan.items, keeps=True)


def open_one(t: Turn, summary: Instance, index: int, row: InstanceRow | None) -> None:
    """Run one instance again; `row` is its row, None when it is not over."""
    fan = summary.fan
    assert fan is not None
    _goes_on(t, summary, f"rerun of [{index}]")
    child = fan.children[index] if row is None else _revived(summary, row)
    was = child.state
    _open_again(t, child, {body.inst.instance_id: body for body in t.world.attempts.values()})
    fan.moved(child, was)


def mark_one(t: Turn, summary: Instance, row: InstanceRow, state: State, reason: str) -> State:
    """Give an instance that is over another end; the end that its task has by that."""
    life.finish(t, _revived(summary, row), state, reason)
    assert summary.fan is not None
    return summary.fan.end()[0]


def _revived(summary: Instance, row: InstanceRow) -> Instance:
    child = instance_of(summary.run, row)
    child.fan = summary.fan
    return child


def _goes_on(t: Turn, summary: Instance, reason: str) -> None:
    """A summary that is over stands for open instances again."""
    run = summary.run
    if summary.state in OVER:
        run.open += 1
        run.bad -= summary.task.fails_run and summary.state in _BAD
        control.forget(t, summary)
        t.move(summary, State.MAPPED, reason)
        if summary.task.alert is not None:
            alerting.task_again(t, summary)
            alerting.task_ready(t, summary)
