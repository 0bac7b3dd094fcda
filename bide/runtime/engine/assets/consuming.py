"""Consumers: versions are delivered to them in order, and make runs when the condition holds.

What is delivered moves the cursor and is pending; a run takes what it is made of out of that, in
the transaction that creates it. All of it goes on in slices: versions one after the other, from
consumer to consumer. A consumer that has missed deliveries (its file was gone, the process died
half-way) catches up from its cursor, with what the database says.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final

from bide.runtime.assets.pending import Taken, Unit, run_key
from bide.runtime.engine import runs
from bide.runtime.engine.assets.state import KIND, Consumer, Cursor, Version
from bide.runtime.engine.messages import ConsumerAsked
from bide.runtime.engine.turn import FactKey, Turn
from bide.runtime.engine.world import World
from bide.runtime.schedules import Firing
from bide.runtime.spans import covers

CATCH_UP: Final = 200
"""Versions of an asset that are read in one go."""
ASKED: Final = 50
"""Periods that the database is asked about in one go."""


# --- delivering ----------------------------------------------------------------------------------


def deliver_later(t: Turn) -> None:
    """Give the consumers what is new, version by version, in this turn as far as its budget goes."""
    if not t.world.assets.delivering:
        t.world.assets.delivering = True
        t.later(_deliver)


def _deliver(t: Turn) -> bool:
    assets = t.world.assets
    while assets.news:
        version, consumers = assets.news[0]
        while consumers:
            if t.budget <= 0:
                return False
            _give(t, consumers.popleft(), version)
        assets.news.popleft()
    assets.delivering = False
    return True


def _give(t: Turn, consumer: Consumer, version: Version) -> None:
    cursor = consumer.cursors.get(version.asset)
    if cursor is None or consumer.dag.removed or cursor.version_id >= version.version_id:
        return
    if cursor != Cursor(version.before):  # it is behind: it has to have the earlier ones first
        t.ask(ConsumerAsked(consumer.dag.dag_id))
        return
    if not deliver(t, consumer, version.asset, version.version_id, (version.start_us, version.end_us)):
        t.ask(ConsumerAsked(consumer.dag.dag_id))


def deliver(
    t: Turn, consumer: Consumer, asset: str, version_id: int, span: tuple[int, int], again: int = 0, *,
    moves: bool = True,
) -> bool:  # fmt: skip
    """One version becomes pending, whole or period by period; False: the rest follows from the cursor.

    `moves=False`: it has been delivered before, and the cursor stays.
    """
    start, end = span
    schedule = consumer.schedule
    t.budget -= 1
    if schedule.interval is None:
        _pend(t, consumer, Unit(version_id, asset, start, end, start, again))
    elif end <= start:
        reason = f"it has no interval, and {consumer.dag.name} takes whole {schedule.interval}s"
        note_dropped(t, consumer, [Unit(version_id, asset, start, end, start, again)], reason)
    else:
        at = consumer.cursors[asset]
        if moves and at.version_id == version_id and at.split_us is not None:
            part = at.split_us
        else:
            part = schedule.period(start)[0]
        while part < end:
            _pend(t, consumer, Unit(version_id, asset, start, end, part, again))
            t.budget -= 1
            part = schedule.period(part)[1]
            if t.budget <= 0 and part < end and moves:
                _move(t, consumer, asset, Cursor(version_id, part))
                evaluate(t, consumer)
                return False
    if moves:
        _move(t, consumer, asset, Cursor(version_id))
    evaluate(t, consumer)
    return True


def _pend(t: Turn, consumer: Consumer, unit: Unit) -> None:
    row = (consumer.dag.dag_id, *unit.key)
    consumer.pending.add(unit)
    t.changes.asset_pending_new[row] = row


def _move(t: Turn, consumer: Consumer, asset: str, to: Cursor) -> None:
    where = consumer.dag.dag_id, t.world.assets.named[asset].asset_id
    consumer.cursors[asset] = to
    t.changes.asset_cursors_set[where] = (*where, *to)


def account(t: Turn, consumer: Consumer, units: Iterable[Unit]) -> None:
    units = list(units)
    consumer.pending.account(units)
    for unit in units:
        row = (consumer.dag.dag_id, *unit.key)
        if t.changes.asset_pending_new.pop(row, None) is None:
            t.changes.asset_pending_gone.append(row)


def drop(t: Turn, consumer: Consumer, units: list[Unit], reason: str) -> None:
    """Account for what is pending without a run."""
    account(t, consumer, units)
    note_dropped(t, consumer, units, reason)


def note_dropped(t: Turn, consumer: Consumer, units: list[Unit], reason: str) -> None:
    dag_id = consumer.dag.dag_id
    t.changes.asset_drops += [(dag_id, *unit.key, t.now, reason) for unit in units]
    names = ", ".join(f"{unit.asset} version {unit.version_id}" for unit in units[:3])
    more = f" and {len(units) - 3} more" if len(units) > 3 else ""
    t.journal("dag", dag_id, None, "", "dropped", f"{names}{more}: {reason}")


# --- catching up ---------------------------------------------------------------------------------


def recover(t: Turn) -> None:
    """After a restart: every consumer goes on from its cursors."""
    for consumer in t.world.assets.consumers.values():
        consumer.pending.touch_all()
        t.due_consumers.append(consumer)
        if is_behind(t.world, consumer):
            t.ask(ConsumerAsked(consumer.dag.dag_id))


def is_behind(world: World, consumer: Consumer) -> bool:
    """Whether versions there are have not been delivered to it."""
    named = world.assets.named
    return not consumer.dag.removed and any(
        cursor != Cursor(max(named[name].last, cursor.version_id))
        for name, cursor in consumer.cursors.items()
    )


def asked(t: Turn, e: ConsumerAsked) -> None:
    """Deliver what it has missed, in the order of publication, then see what that makes."""
    consumer = t.world.assets.consumers.get(e.dag_id)
    if consumer is None or consumer.dag.removed:
        return
    if t.late and any(name in t.late for name in consumer.cursors):  # what is known of it is older than that
        t.ask(e)
        return
    missed = []
    until: int | None = None
    for name, cursor in list(consumer.cursors.items()):
        if cursor == Cursor(max(t.world.assets.named[name].last, cursor.version_id)):
            continue
        after = cursor.version_id - (cursor.split_us is not None)
        found = t.fact("asset_after", e.dag_id, name, after, CATCH_UP)
        missed += [(row.asset_version_id, name, (row.start_us, row.end_us), had) for row, had in found]
        if len(found) == CATCH_UP:
            last = found[-1][0].asset_version_id
            until = last if until is None else min(until, last)
    for version_id, name, span, had in sorted(missed):
        if until is not None and version_id > until:
            break
        if had and consumer.cursors[name].version_id < version_id:  # it looked at this asset once before
            _move(t, consumer, name, Cursor(version_id))
            t.budget -= 1
        elif not deliver(t, consumer, name, version_id, span):
            break
        if t.budget <= 0:
            break
    if missed and is_behind(t.world, consumer):
        t.ask(e)
    t.due_consumers.append(consumer)


# --- making runs ---------------------------------------------------------------------------------


def evaluate(t: Turn, consumer: Consumer) -> None:
    """Look at what has changed for it, in this turn as far as its budget goes."""
    if not consumer.queued and consumer.pending.touched:
        consumer.queued = True
        t.later(_Evaluate(consumer))


def evaluate_all(t: Turn) -> None:
    while t.due_consumers:
        evaluate(t, t.due_consumers.pop())


def may_run(world: World, consumer: Consumer) -> bool:
    """Whether its runs are made now; what is pending waits for that otherwise."""
    dag = consumer.dag
    return world.scheduling and not (dag.paused or dag.removed or dag.code_error) and dag.compiled is not None


class _Evaluate:
    __slots__ = ("consumer",)

    def __init__(self, consumer: Consumer) -> None:
        self.consumer = consumer

    def __call__(self, t: Turn) -> bool:
        consumer = self.consumer
        pending = consumer.pending
        gathers = consumer.schedule.consume != "each"
        if (
            not may_run(t.world, consumer)
            or t.world.assets.consumers.get(consumer.dag.dag_id) is not consumer
        ):
            consumer.queued = False
            return True
        if consumer.schedule.interval is not None:
            return self._periods(t)
        while pending.touched:
            if t.budget <= 0:
                return False
            if gathers and not has_room(consumer):
                break
            key = next(iter(pending.touched))
            taken = pending.take(key)
            t.budget -= 1
            if taken is None:
                pending.touched.pop(key, None)
            else:
                make_run(t, consumer, taken)
        consumer.queued = False
        return True

    def _periods(self, t: Turn) -> bool:
        """Periods whose cover the pending versions do not settle are asked of the database first."""
        consumer = self.consumer
        pending, schedule = consumer.pending, consumer.schedule
        needed: list[FactKey] = []
        whole: list[tuple[Hashable, Taken]] = []
        gathers = schedule.consume == "latest"
        for key in list(pending.touched):
            if t.budget <= 0 or len(needed) >= ASKED or (gathers and not has_room(consumer)):
                break
            t.budget -= 1
            if not pending.possible(key):
                del pending.touched[key]
                continue
            assert isinstance(key, int)
            span = schedule.period(key)
            covered, unknown = self._covered(t, key, span)
            if unknown:
                needed += unknown
                continue
            taken = pending.take_period(key, span, covered)
            if taken is None:
                del pending.touched[key]
            elif gathers:
                whole.append((key, taken))
            else:
                make_run(t, consumer, taken, key)
        if needed:
            t.ask(ConsumerAsked(consumer.dag.dag_id), *needed)
        elif whole:
            self._newest(t, whole)
        elif t.budget <= 0 and pending.touched:
            return False
        consumer.queued = False
        return True

    def _covered(self, t: Turn, key: int, span: tuple[int, int]) -> tuple[list[str], list[FactKey]]:
        """The assets that cover a period, and what has to be asked to know."""
        covered, unknown = [], []
        for name, units in self.consumer.pending.groups[key].items():
            parts = [(unit.start_us, unit.end_us) for unit in units]
            if not covers(span, parts):
                fact = ("asset_over", name, *span)
                if fact not in t.facts:
                    unknown.append(fact)
                    continue
                parts += [(row.start_us, row.end_us) for row in t.facts[fact]]
                if not covers(span, parts):
                    continue
            covered.append(name)
        return covered, unknown

    def _newest(self, t: Turn, whole: list[tuple[Hashable, Taken]]) -> None:
        """Of several periods that are whole the last one makes a run; the others are passed over for it."""
        key, last = max(whole, key=lambda each: each[1].span)
        older = tuple(unit for other, taken in whole if other != key for unit in taken.used)
        assert isinstance(key, int)
        make_run(t, self.consumer, Taken(last.used, older, last.span), key)


def has_room(consumer: Consumer) -> bool:
    """Whether fewer of its runs are open than may run at once."""
    cap: int = consumer.dag.options.get("max_active_runs", 1)
    return len(consumer.open_runs) < cap


def make_run(t: Turn, consumer: Consumer, taken: Taken, period: int | None = None) -> None:
    """A run of these versions; what it is made of is written with it."""
    dag = consumer.dag
    assert dag.compiled is not None
    run = runs.create_run(
        t, dag, kind=KIND, run_key=run_key(taken.used, period), firing=Firing(t.now, *taken.span),
        params=dict(dag.compiled.spec.params), reason=_because(taken),
    )  # fmt: skip
    consumer.open_runs.add(run.run_id)
    note_trigger(t, consumer, run.run_id, taken)


def note_trigger(t: Turn, consumer: Consumer, run_id: int, taken: Taken) -> None:
    """Write which versions a run is made of, and take them from what is pending."""
    t.changes.run_triggers += [(run_id, *unit.key, 0) for unit in taken.superseded]
    t.changes.run_triggers += [(run_id, *unit.key, 1) for unit in taken.used]
    account(t, consumer, (*taken.superseded, *taken.used))


def _because(taken: Taken) -> str:
    names = [f"{unit.asset} version {unit.version_id}" for unit in taken.used]
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""
    return ", ".join(names[:4]) + more
