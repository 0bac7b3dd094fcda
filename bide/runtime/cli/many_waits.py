"""One thing done to many waits: `bide waits fail --where source=s3://landing`, of which a group's words are the filter."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Final

from cyclopts import Parameter

from bide.runtime.cli.asking import Where, asked
from bide.runtime.cli.many import DryRun, Expect, say_many
from bide.runtime.cli.output import note, print_json
from bide.runtime.errors import RefusedError, UsageError
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

    async def act(ops: Doors) -> tuple[ActionAsked, list[ActionShown], bool]:
        of = ops.actions
        at = await of.waits(verb, **said, dry_run=True, **more)
        if many.dry_run or not (at.count or many.expect):
            return at, [], ops.held
        count = at.count + at.rest
        if many.expect not in (None, count) and at.rest:
            raise RefusedError(
                f"{many.expect} waits were expected, and {count} match now: nothing was done; count again with --dry-run"
            )
        expect = at.count if at.rest or many.expect is None else many.expect
        begun, after = list[ActionShown](), dict[str, Any]()
        while True:
            one = await of.waits(verb, **said, **after, expect=expect, **more)
            begun.append(await of.show(one.id or ""))
            if not at.rest or at.last is None:
                return one, begun, ops.held
            after = {"after": at.last}
            at = await of.waits(verb, **said, **after, dry_run=True, **more)
            if not at.count:
                return one, begun, ops.held
            expect = at.count

    found, begun, held = asked(db, act)
    if json and len(begun) > 1:
        print_json(begun)
        return 0
    if not begun:
        say_many((found, None, held), "wait", json)
    for far in begun:
        say_many((found, far, held), "wait", json)
    if found.rest and not begun and not json:
        note(f"and {found.rest:,} more: it takes an action for every {found.count:,}, one after the other")
    return 0


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
