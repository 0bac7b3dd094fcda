"""One thing done to many: `bide cancel --where state=running,dag=daily`, `bide pause 'daily_*'`; counted first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from bide.runtime.cli.asking import ASLEEP, Where, asked, dag_name
from bide.runtime.cli.output import note, print_json, write
from bide.runtime.errors import UsageError
from bide.runtime.service.action_shapes import ActionAsked, ActionShown
from bide.runtime.service.doors import Doors

_WORDS: Final = ("dag", "state", "kind", "since", "until", "task_state")

DryRun = Annotated[bool, Parameter(negative="", help="Only count them, and name the first.")]
Expect = Annotated[int | None, Parameter(help="Refuse unless just so many match; else what is counted now.")]


@dataclass(frozen=True)
class Runs:
    """Many runs at once."""

    where: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="All runs that match: dag=daily_*,state=failed,kind=manual,since=2026-06-01,until=2026-07-01.",
        ),
    ] = None
    dry_run: DryRun = False
    expect: Expect = None
    reason: Annotated[str, Parameter(help="Why, for the journal.")] = ""


@dataclass(frozen=True)
class Dags:
    """Many DAGs at once."""

    dry_run: DryRun = False
    expect: Expect = None


OfRuns = Annotated[Runs | None, Parameter(name="*")]
OfDags = Annotated[Dags | None, Parameter(name="*")]
RunOrNone = Annotated[str | None, Parameter(help="The run: its number; `bide runs` lists them.")]


def is_many(dag: str) -> bool:
    """Whether it names DAGs by a pattern.

    >>> is_many("daily_*"), is_many("daily")
    (True, False)
    """
    return "*" in dag or "?" in dag


def one_run(verb: str, run: str | None, many: Runs | None) -> str:
    """The one that is named, where no filter is."""
    if run is None:
        raise UsageError(f"{verb} which run? `bide {verb} RUN`, or `bide {verb} --where state=...,dag=...`")
    if many is not None and (many.dry_run or many.expect is not None or many.reason):
        raise UsageError(
            f"--dry-run, --expect and --reason go with --where: `bide {verb} {run}` is of one run"
        )
    return run


def one_dag_name(verb: str, dag: str, many: Dags | None) -> str:
    """The one that is named, where it is no pattern."""
    if many is not None and (many.dry_run or many.expect is not None):
        raise UsageError(
            f"--dry-run and --expect go with a name with * or ?: `bide {verb} {dag}` is of one DAG"
        )
    return dag_name(dag)


def on_runs(
    verb: str,
    run: str | None,
    many: Runs,
    db: Where | None,
    json: bool,
    whole: bool = False,
    mark: dict[str, Any] | None = None,
) -> int:
    """Cancel, rerun or mark all that the filter finds."""
    if run is not None:
        raise UsageError(f"name one run or say --where, not both: {run!r} and {' '.join(many.where or ())}")
    said = {**read_where(many.where or []), **(mark or {})}

    async def act(ops: Doors) -> tuple[ActionAsked, ActionShown | None, bool]:
        of = ops.actions
        expect = many.expect
        if many.dry_run or expect is None:
            found = await of.runs(verb, **said, dry_run=True, whole=whole)
            if many.dry_run or not found.count:
                return found, None, ops.held
            expect = found.count
        begun = await of.runs(verb, **said, expect=expect, whole=whole, reason=many.reason)
        return begun, await of.show(begun.id or ""), ops.held

    return say_many(asked(db, act), "run", json, starts=verb == "rerun")


def on_dags(verb: str, dag: str, many: Dags | None, db: Where | None, json: bool) -> int:
    """Pause or unpause all that the pattern finds."""
    many = many or Dags()

    async def act(ops: Doors) -> tuple[ActionAsked, ActionShown | None, bool]:
        of = ops.actions
        expect = many.expect
        if many.dry_run or expect is None:
            found = await of.dags(verb, dag, dry_run=True)
            if many.dry_run or not found.count:
                return found, None, ops.held
            expect = found.count
        begun = await of.dags(verb, dag, expect=expect)
        return begun, await of.show(begun.id or ""), ops.held

    return say_many(asked(db, act), "DAG", json)


def show_action(number: str, db: Where | None, json: bool) -> int:
    """How far an action has come."""
    found = asked(db, lambda ops: ops.actions.show(number))
    if json:
        print_json(found)
    else:
        _far(found)
    return 0


def read_where(said: list[str]) -> dict[str, Any]:
    """What --where says: pairs with commas between them; a part without = belongs to the pair before.

    >>> read_where(["state=failed,cancelled,dag=daily"])
    {'state': 'failed,cancelled', 'dag': 'daily'}
    """
    found: dict[str, str] = {}
    last = ""
    for part in ",".join(said).split(","):
        name, pair, value = part.partition("=")
        if pair:
            last = name.strip()
            if last not in _WORDS or last in found:
                raise UsageError(
                    f"--where {part!r}: {'it is said twice' if last in found else 'use ' + ', '.join(_WORDS)}"
                )
            found[last] = value
        elif last == "state":
            found[last] += f",{part}"
        else:
            raise UsageError(f"--where {part!r} is no pair: write {', '.join(_WORDS)} as name=value")
    return found


def say_many(
    came: tuple[ActionAsked, ActionShown | None, bool], thing: str, json: bool, starts: bool = False
) -> int:
    found, far, held = came
    if json:
        print_json(far if far is not None else found)
        return 0
    things = thing if found.count == 1 else f"{thing}s"
    if far is None:
        first = f": {', '.join(found.first)}{', ...' if found.count > len(found.first) else ''}"
        write(f"{found.count} {things} to {found.action} ({found.where}){first if found.first else ''}")
        return 0
    _far(far)
    if starts and not held:
        note(ASLEEP)
    return 0


def _far(far: ActionShown) -> None:
    left = f", {far.refused} refused" if far.refused else ""
    write(f"action {far.id} ({far.action}, {far.where}): {far.done} of {far.total} done{left}")
    for one in far.left:
        note(f"{one.id}: {one.why}")
    if far.state != "done":
        note(f"it goes on: `bide action {far.id}` tells how far it has come")
