"""`depends_on_past`: an instance starts when the same task of the run before ended well.

The run before is the newest of the latest logical date before its own, whatever started it, of
those that had begun, or were over, when its own run began; the first run goes. What a run goes by
is settled by that: one that begins after it, for whatever date, cannot hold it, and whom it waits
for holds its place already and goes by none that began later. So no two runs wait for each other.

Who has to wait is woken by the commit that ends that other instance, is asked again then, and
polls nothing. Which run is before is a fact on disk: `decide` asks for it with `PastAsked`, an
input of its own that stands in no mailbox.
"""

from __future__ import annotations

from bide.runtime.clock import from_us
from bide.runtime.engine.messages import PastAsked
from bide.runtime.engine.states import RUN_OVER, RunState, State
from bide.runtime.engine.turn import FactKey, Turn
from bide.runtime.engine.world import Instance, Run, World

WELL = frozenset({State.SUCCESS, State.SKIPPED})


def hold(t: Turn, inst: Instance) -> None:
    """Ask for the past of a pending instance that is to start; `PastAsked` goes on with it."""
    t.asks[PastAsked(inst.instance_id)] = (key_of(inst),)


def key_of(inst: Instance) -> FactKey:
    run = inst.run
    began = run.created if run.started is None else run.started
    return ("past", run.dag.dag_id, run.meta.logical_us, began, inst.task.name)


def settled(t: Turn, e: PastAsked) -> Instance | None:
    """The instance, if its past lets it start now; else it waits, and what ends that other wakes it."""
    inst = t.world.instances.get(e.instance_id)
    if inst is None or inst.state is not State.PENDING or inst.run.state is not RunState.RUNNING:
        return None
    before = t.fact(*key_of(inst))
    leave(t.world, inst)
    if before is None:
        return inst
    over, task = before.state in RUN_OVER, inst.task.name
    other = t.world.runs.get(before.run_id)
    unknown = over if other is None else task not in other.compiled.index
    if WELL.issuperset(before.states) and (before.states or unknown):
        return inst
    moved = any(each.run.run_id == before.run_id and each.task.name == task for each in t.dirty.values())
    if moved or not (over or other is not None):  # the fact is older than this turn
        hold(t, inst)
        return None
    state = next((state for state in before.states if state not in WELL), State.PENDING)
    t.world.behind[inst.instance_id] = (before.run_id, task)
    t.world.past.setdefault((before.run_id, task), {})[inst.instance_id] = inst
    t.touch(inst, words(task, before.run_id, before.logical_us, state))
    return None


def words(task: str, run_id: int, logical_us: int, state: str) -> str:
    return f"{BEFORE}: {task} of run {run_id} ({from_us(logical_us).isoformat()}) is {state}"


BEFORE = "waits for the run before (depends_on_past)"


def moved_on(t: Turn, run_id: int, task: str) -> None:
    """An instance has ended: who waits for it asks again."""
    for inst in t.world.past.get((run_id, task), {}).values():
        hold(t, inst)


def left(t: Turn, run: Run) -> None:
    """A run is over that was never made whole: what was not made of it ends nothing more."""
    for task in run.compiled.tasks[len(run.instances) :]:
        moved_on(t, run.run_id, task.name)


def leave(world: World, inst: Instance) -> None:
    """It waits for no past any more."""
    key = world.behind.pop(inst.instance_id, None)
    if key is not None:
        del world.past[key][inst.instance_id]
        if not world.past[key]:
            del world.past[key]
