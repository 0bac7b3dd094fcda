"""An action on all runs, DAGs or waits that a filter finds: counted first, then carried out a few at a time.

The count that somebody expects is compared with what there is when it is decided. Each slice is a transaction of
its own, which moves what it does and how far the action has come: after a crash it goes on where it was.
What a command of it refuses is noted, and the others are done.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Final

import msgspec

from bide.runtime.engine.bulk_state import BulkOn
from bide.runtime.engine.turn import FactKey, NeedFacts, Slices, Turn
from bide.runtime.errors import BideError, RefusedError, UsageError
from bide.runtime.store.bulk_reads import MOST, BulkSlice

TOLD: Final = 20
"""Refusals that are kept with their sentence."""
OF_RUNS: Final = ("cancel", "rerun", "mark")
OF_DAGS: Final = ("pause", "unpause")
OF_WAITS: Final = ("look", "extend", "satisfy", "fail")
"""Of waits that are named one by one: what is said of a look at them is in no database."""


def bulk(t: Turn, args: dict[str, Any]) -> Any:
    """{action, filter (JSON), words, expect, whole, mark, wait, waits, reason} -> {bulk_id, count}; `words` are the filter in words.

    `mark`: {task, state, downstream}, what a mark is given beside its run; `wait`: {deadline_us}, {by_us} or {event}, what the
    command of a wait is given beside it. `waits`: the numbers of those that are meant.
    """
    action, expect = args["action"], args["expect"]
    whole = bool(args.get("whole"))
    found = _open_waits(t, args) if action in OF_WAITS else _counted(t, action, args["filter"], whole)
    things = "waits" if action in OF_WAITS else "runs" if action in OF_RUNS else "DAGs"
    if len(found) != expect:
        many = f"more than {MOST}" if len(found) > MOST else str(len(found))
        raise RefusedError(
            f"{expect} {things} were expected, and {many} match now: nothing was done; count again with a dry run"
        )
    if len(found) > MOST:
        raise UsageError(f"more than {MOST} {things} match: narrow the filter, and take the rest after that")
    if not found:
        raise RefusedError(f"there is nothing to {action}: no {things} match")
    number = t.world.take_id("bulk")
    more = {**({"whole": True} if whole else {}), **(args.get("mark") or {}), **(args.get("wait") or {})}
    given = {"reason": args.get("reason") or f"{action} of {len(found)} {things} by hand", **more}
    t.changes.bulks_new.append(
        (number, action, args["filter"], _json(given), _json(found), len(found), t.now)
    )
    t.world.bulks[number] = None
    t.journal(
        "bulk", number, None, "", "going", f"{action} of {len(found)} {things}: {args.get('words') or ''}"
    )
    _next(t, number)
    return {"bulk_id": number, "count": len(found)}


def _counted(t: Turn, action: str, of: str, whole: bool) -> list[int]:
    """The runs or DAGs that the filter finds now."""
    key = ("bulk_targets", action, of, whole)
    found: list[int] = t.fact(*key)
    if t.dirty_runs or t.changes.runs_new or t.dirty_dags:  # this batch may have moved some of them
        raise NeedFacts(key)
    return found


def _open_waits(t: Turn, args: dict[str, Any]) -> list[int]:
    """Those of the waits that are meant which are open; of a schedule's there is nothing to do but to look."""
    waits, held = t.world.waits, t.world.standing if args["action"] == "look" else {}
    return [number for number in args["waits"] if number in waits or number in held]


def go_on(t: Turn, e: BulkOn) -> Slices:
    """One slice: as far as the facts that are at hand reach."""
    number = e.bulk_id
    step: BulkSlice | None = t.fact("bulk", number)
    if number not in t.world.bulks:
        return
    if number in t.changes.bulks_set:  # what the database says is of before this very turn
        _next(t, number)
        return
    if step is None:
        del t.world.bulks[number]
        return
    done, told, refused = step.done, list(step.told), step.refused
    needed: tuple[FactKey, ...] = ()
    for target in step.targets:
        try:
            yield from _one(t, step, target)
            done += 1
        except NeedFacts as need:
            needed = need.keys
            break
        except BideError as error:
            refused += 1
            told += [(target, str(error))] if len(told) < TOLD else []
    over = done + refused >= step.total
    moved = done + refused > step.done + step.refused
    if moved or over:
        ended = t.now if over else None
        t.changes.bulks_set[number] = (done, refused, _json(told), ended, number)
    if over:
        del t.world.bulks[number]
        left = f", {refused} refused" if refused else ""
        t.journal("bulk", number, None, "going", "done", f"{step.verb}: {done} done{left}")
    elif needed and not moved:
        far = [("run", each) for each in step.targets if step.verb in OF_RUNS and each not in t.world.runs]
        t.ask(e, ("bulk", number), *needed, *far)
    else:
        _next(t, number)


def recover(t: Turn) -> None:
    """What the runtime before this one had begun goes on."""
    for number in t.world.bulks:
        t.ask(BulkOn(number), ("bulk", number))


def _one(t: Turn, step: BulkSlice, target: int) -> Slices:
    """The command of one target. What it needs to know it asks for before it changes anything."""
    from bide.runtime.engine.commands import VERBS  # commands know of this module as well

    verb = f"wait_{step.verb}" if step.verb in OF_WAITS else step.verb
    if step.verb in OF_WAITS:
        args: dict[str, Any] = {**step.args, "wait_id": target}
    elif step.verb in OF_RUNS:
        args = {**step.args, "run_id": target}
    else:
        dag = t.world.dag_of.get(target)
        if dag is None:
            raise RefusedError("it is not there any more")
        args = {**step.args, "dag": dag.name}
    work = VERBS[verb](t, args)
    if isinstance(work, Generator):
        yield from work


def _next(t: Turn, number: int) -> None:
    """Have the next slice asked for in a turn to come, with nothing known that this one knew."""
    t.later(_Ask(number))
    t.budget = 0


class _Ask:
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number

    def __call__(self, t: Turn) -> bool:
        t.ask(BulkOn(self.number), ("bulk", self.number))
        return True


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


VERBS: Final[dict[str, Callable[[Turn, dict[str, Any]], Any]]] = {"bulk": bulk}
