"""One thing done to many waits: `bide waits fail --where source=s3://landing`, of which a group's words are the filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from bide.runtime.cli.asking import Where, asked
from bide.runtime.cli.many import DryRun, Expect, say_many
from bide.runtime.errors import UsageError
from bide.runtime.service.action_shapes import ActionAsked, ActionShown
from bide.runtime.service.doors import Doors

_WORDS: Final = ("dag", "task", "kind", "source", "what", "text", "troubled")
_NEXT: Final = re.compile(rf",(?=(?:{'|'.join(_WORDS)})=)")


@dataclass(frozen=True)
class Waits:
    """Many waits at once."""

    where: Annotated[
        list[str] | None,
        Parameter(
            negative="",
            help="All that match: dag=daily,task=daily.drop,kind=http,source=...,what=...,text=...,troubled=true; "
            "`bide waits groups` has the words.",
        ),
    ] = None
    dry_run: DryRun = False
    expect: Expect = None


OfWaits = Annotated[Waits | None, Parameter(name="*")]
WaitOrNone = Annotated[str | None, Parameter(help="The wait: its number; `bide waits` lists them.")]


def one_wait(verb: str, wait: str | None, many: Waits | None) -> str:
    """The one that is named, where no filter is."""
    if wait is None:
        raise UsageError(
            f"{verb} which wait? `bide waits {verb} WAIT`, or `bide waits {verb} --where dag=...,kind=...`"
        )
    if many is not None and (many.dry_run or many.expect is not None):
        raise UsageError(f"--dry-run and --expect go with --where: `bide waits {verb} {wait}` is of one wait")
    return wait


def on_waits(verb: str, wait: str | None, many: Waits, db: Where | None, json: bool, **more: Any) -> int:
    """Look at, extend, satisfy or fail all that the filter finds."""
    if wait is not None:
        raise UsageError(f"name one wait or say --where, not both: {wait!r} and {' '.join(many.where or ())}")
    said = read_where(many.where or [])

    async def act(ops: Doors) -> tuple[ActionAsked, ActionShown | None, bool]:
        of = ops.actions
        expect = many.expect
        if many.dry_run or expect is None:
            found = await of.waits(verb, **said, dry_run=True, **more)
            if many.dry_run or not found.count:
                return found, None, ops.held
            expect = found.count
        begun = await of.waits(verb, **said, expect=expect, **more)
        return begun, await of.show(begun.id or ""), ops.held

    return say_many(asked(db, act), "wait", json)


def read_where(said: list[str]) -> dict[str, Any]:
    """What --where says: pairs with commas between them. A comma that no known word follows is part of a value.

    >>> read_where(["kind=http,what=http GET http://host/?in=a,b", "troubled=true"])
    {'kind': 'http', 'what': 'http GET http://host/?in=a,b', 'troubled': True}
    """
    found: dict[str, Any] = {}
    for part in (each for one in said for each in _NEXT.split(one)):
        name, pair, value = part.partition("=")
        name = name.strip()
        if not pair or name not in _WORDS:
            raise UsageError(f"--where {part!r} is no pair: write {', '.join(_WORDS)} as name=value")
        if name in found:
            raise UsageError(f"--where {part!r}: it is said twice")
        if name == "troubled" and value not in ("true", "false"):
            raise UsageError(f"--where {part!r}: say troubled=true, or leave it out")
        found[name] = value == "true" if name == "troubled" else value
    return found
