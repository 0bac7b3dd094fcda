"""`bide events`: what has moved, line by line; with `-f` what moves, as it does."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import msgspec
from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, asked, dag_name, place, service_at
from bide.runtime.cli.output import GLYPHS, clean, coloured, note, paint, print_json, write
from bide.runtime.clock import SystemClock
from bide.runtime.service.event_shapes import EventLine
from bide.runtime.service.places import database

_LAST = 50
_LAST_FOLLOWED = 10
_ROOMY = 100  # columns: from here on thousandths of a second are shown
_STATE = 14
_LEAST = 6


def events(
    *,
    follow: Annotated[
        bool, Parameter(name=("--follow", "-f"), negative="", help="Go on until interrupted.")
    ] = False,
    since: Annotated[
        str | None,
        Parameter(help="After this event's number, from this instant on, or so long ago: 10m."),
    ] = None,
    run: Annotated[str | None, Parameter(help="Only of this run: its number.")] = None,
    dag: Annotated[str | None, Parameter(help="Only of this DAG: a name or a TARGET.")] = None,
    kind: Annotated[
        str | None, Parameter(help="Only of these kinds, such as run,task; `wait`, `attempt`, `version`, ...")
    ] = None,
    limit: Annotated[int | None, Parameter(help="At most so many; of the last ones without --since.")] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """List what has moved in the order it happened; with -f go on, as it is committed."""
    of = dag_name(dag) if dag is not None else None
    many = limit if limit is not None else _LAST_FOLLOWED if follow else _LAST
    begins = since
    lines = Lines(json)
    if not follow or since is None:
        found = [] if many == 0 and follow else asked(db, lambda ops: ops.events(since, run, of, kind, many))
        if not follow:
            if json:
                print_json(found)
            elif not found:
                note("no events")
            else:
                lines.show(found)
            return 0
        newest = asked(db, lambda ops: ops.events(limit=1))
        begins = found[-1].id if found else newest[-1].id if newest else "0"
        lines.show(found)
    return _follow(lines, db, begins, run, of, kind)


def _follow(
    lines: Lines, db: Db, since: str | None, run: str | None, dag: str | None, kind: str | None
) -> int:
    from bide.runtime.service.following import Following, Told

    config = place(db)
    far = service_at(config)
    for each in Following(database(config), SystemClock(), since, run, dag, kind, far):
        if isinstance(each, Told):
            note(each.text)
        else:
            lines.show([each])
    return 0


class Lines:
    """Events as lines: aligned and cut to the terminal, whole elsewhere, or one JSON document each."""

    def __init__(self, json: bool = False) -> None:
        self._json = json
        self._terminal = sys.stdout.isatty()
        self._colour = coloured()
        self._day = ""

    def show(self, found: list[EventLine]) -> None:
        for each in found:
            if self._json:
                write(msgspec.json.encode(each).decode())
                continue
            if self._terminal and each.at[:10] != self._day:
                self._day = each.at[:10]
                write(f"\x1b[2m{self._day} (UTC)\x1b[0m" if self._colour else f"{self._day} (UTC)")
            write(self.line(each))
        sys.stdout.flush()

    def line(self, each: EventLine) -> str:
        width = os.get_terminal_size().columns if self._terminal else 0
        return event_words(each, width, self._colour)


def event_words(each: EventLine, width: int = 0, colour: bool = False) -> str:
    """One event on one line: of a terminal so wide, else whole, with its day and what it was before."""
    clock, run, reason = (
        each.at[11:19],
        f"run {each.run_id}" if each.run_id is not None else "",
        clean(each.reason),
    )
    fraction = each.at[20:23].ljust(3, "0") if each.at[19:20] == "." else "000"
    if not width:
        moved = f"{each.was} → {each.now}" if each.was and each.was != each.now else each.now
        at = f"{each.at[:10]} {clock}.{fraction}Z"
        return "  ".join((at, run.ljust(8), subject_words(each).ljust(28), moved.ljust(22), reason)).rstrip()
    at = f"{clock}.{fraction}" if width >= _ROOMY else clock
    room = max(12, min(36, (width - len(at) - 28) // 2))
    head = f"{at}  {run:<7}  {_shortened(subject_words(each), room):<{room}}  "
    glyph = GLYPHS.get(each.now, (" ", ""))[0]  # type: ignore[call-overload]
    moved = _cut(f"{glyph} {each.now}", max(_STATE, width - len(head)))
    rest = width - len(head) - max(_STATE, len(moved)) - 2
    if not reason or rest < _LEAST:
        return head + paint(moved, each.now, colour)
    return f"{head}{paint(moved.ljust(_STATE), each.now, colour)}  {_cut(reason, rest)}"


def subject_words(each: EventLine) -> str:
    """What has moved, as people name it: `orders.load[3]`, `wait 5 of orders.load`, `gold version 7`."""
    task = None
    if each.task is not None:
        index = f"[{each.map_index}]" if each.map_index >= 0 else ""
        task = f"{each.dag}.{each.task}{index}"
    if each.kind == "run":
        return each.dag or "run"
    if each.kind == "dag":
        return f"{each.dag or f'dag {each.number}'}"
    if each.kind == "task":
        return task or f"task {each.number}"
    if each.kind == "attempt":
        return f"{task or 'attempt'} #{each.attempt or each.number}"
    if each.asset is not None:
        return f"{each.asset} {each.kind} {each.number}"
    of = task or each.dag
    name = each.kind if each.number == "0" else f"{each.kind} {each.number}"
    return f"{name} of {of}" if of else name


def _shortened(text: str, room: int) -> str:
    """A name cut in its middle: what it is stands at its head, and which task at its end."""
    text = clean(text)
    head = room // 3
    return text if len(text) <= room else f"{text[:head]}…{text[head + 1 - room :]}"


def _cut(text: str, room: int) -> str:
    text = clean(text)
    return text if len(text) <= room else text[: room - 1] + "…"
