"""Retention, decided: of what the database says may go, what the world still needs is left alone.

A command is one slice; who asks goes on from the cursor that it answers. Nothing is held in memory
between two of them: a prune that dies has removed what it has removed, and the next one goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bide.runtime.engine import waiting
from bide.runtime.engine.assets.staleness import runs_gone
from bide.runtime.engine.changes import Removal
from bide.runtime.engine.waiting import EXTERNAL

if TYPE_CHECKING:
    from collections.abc import Callable

    from bide.runtime.engine.messages import Command
    from bide.runtime.engine.turn import Turn
    from bide.runtime.store.retention import Candidate

_NAMED: Final = 20
BEGINNING: Final = "[0,[]]"
"""The cursor of a first slice."""


def prune(t: Turn, args: dict[str, Any]) -> Any:
    """{policy, cursor} (JSON) -> {cursor, done, marked, removed}: rows by table that go with this slice."""
    found = t.fact("prunable", args["policy"], args["cursor"])
    waited = _waited_for(t) if found.marked else _NOTHING
    marked = [each for each in found.marked if not _needed(t, each, waited)]
    if marked or found.gone:
        t.changes.pruned.append(
            Removal(t.now, [each.run_id for each in marked], found.gone, found.journal_from)
        )
        runs_gone(t.world, set(found.gone.get("runs", ())))
    if marked:
        more = f" and {len(marked) - _NAMED} more" if len(marked) > _NAMED else ""
        named = ", ".join(str(each.run_id) for each in marked[:_NAMED])
        t.journal("retention", 0, None, "", "pruned", f"runs {named}{more}: older than what is kept")
    return {
        "cursor": [found.cursor.stage, list(found.cursor.at)],
        "done": found.done,
        "marked": len(marked),
        "removed": found.counts,
    }


def goes_on(e: Command) -> bool:
    """Whether a command is a further slice of one that has its line in the audit log already."""
    return e.verb == "prune" and e.args.get("cursor") != BEGINNING


_Waited = tuple[set[tuple[str, int]], dict[str, list[tuple[int, int]]], set[int]]
_NOTHING: Final[_Waited] = (set(), {}, set())


def _waited_for(t: Turn) -> _Waited:
    """Runs that open waits look at or whose bodies go on: (DAG, logical date), by DAG the stretches of dates, and ids."""
    world = t.world
    dates = {(dag, logical) for dag, _, logical in world.watched}
    spans = {dag: [(key.start_us, key.end_us) for key in keys] for dag, keys in world.covering.items()}
    for (
        wait
    ) in world.waits.values():  # of DAGs that are paused, and on a database that nobody runs: not armed
        if wait.kind == EXTERNAL and not wait.armed:
            trigger = waiting.decode_external(wait.trigger)
            if trigger.until_us is None:
                dates.add((trigger.dag, trigger.logical_us))
            else:
                spans.setdefault(trigger.dag, []).append((trigger.logical_us, trigger.until_us))
    going = {body.inst.run.run_id for body in world.attempts.values()}  # given up perhaps, and not over yet
    return dates, spans, going | {run_id for run_id, _ in world.past}


def _needed(t: Turn, run: Candidate, waited: _Waited) -> bool:
    """Whether anything that lives goes on from the run: it was taken up again, or something waits for it."""
    dates, spans, past = waited
    return (
        run.run_id in t.world.runs
        or run.run_id in past
        or (run.dag, run.logical_us) in dates
        or any(start <= run.logical_us < end for start, end in spans.get(run.dag, ()))
    )


VERBS: Final[dict[str, Callable[[Turn, dict[str, Any]], Any]]] = {"prune": prune}
