"""The picture of a stretch of time on a terminal: a line a DAG, a cell a slice, its worst run's colour."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich.table import Table
from rich.text import Text

from bide.runtime.clock import DAY, HOUR, from_us
from bide.testing.simulation.tally import LATE_US, Span

WIDE = 160
_HEIGHTS: Final = "▁▂▃▄▅▆▇█"
_GOING, _WAITING = "─", "·"
_STYLES: Final = {
    "failed": "bold red",
    "cancelled": "yellow",
    "late": "magenta",
    "success": "green",
    "going": "blue",
    "queued": "dim",
}
_RANK: Final = {"": 0, "queued": 1, "going": 2, "success": 3, "late": 4, "cancelled": 5, "failed": 6}
_MARKS: Final = {"failed": "✗", "cancelled": "⊘"}
"""What a cell shows beside its colour, so that the picture reads without one."""


class _Cell:
    __slots__ = ("ended", "worst")

    def __init__(self) -> None:
        self.ended = 0
        self.worst = ""

    def see(self, what: str) -> None:
        if _RANK[what] > _RANK[self.worst]:
            self.worst = what


def timeline(
    spans: Sequence[Span], dags: Sequence[str], start_us: int, end_us: int, width: int, *, tz: str = "UTC",
    outages: Sequence[tuple[str, int, int]] = (), late_us: int = LATE_US,
) -> Table:  # fmt: skip
    """At most `width` columns. A cell's height says how many runs ended in it, against the fullest of
    its line; a line where one goes on, a dot where one waits for its turn. `outages` are (what, from,
    to), each on a line of its own below the DAGs. `late_us`: what started that long after its instant is late.
    """
    names = max((len(name) for name in (*dags, *(one[0] for one in outages))), default=0)
    cells = max(10, min(WIDE, width - names - 3))
    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    for dag in dags:
        table.add_row(
            Text(dag), _line([span for span in spans if span.dag == dag], start_us, end_us, cells, late_us)
        )
    for what, since_us, until_us in outages:
        table.add_row(Text(what, style="dim"), _outage(since_us, until_us, start_us, end_us, cells))
    table.add_row(Text(""), _axis(start_us, end_us, cells, ZoneInfo(tz)))
    return table


def _outage(since_us: int, until_us: int, start_us: int, end_us: int, cells: int) -> Text:
    first, last = ((us - start_us) * cells // (end_us - start_us) for us in (since_us, until_us))
    return Text(" " * max(0, first) + "▒" * max(1, last - first + 1), style="yellow")


def legend() -> Text:
    """What the signs mean."""
    text = Text()
    text.append("ended: ", style="dim")
    for word, mark in (("success", "▁█"), ("late", "▁█"), ("failed", "✗"), ("cancelled", "⊘")):
        text.append(f"{mark} {word}  ", style=_STYLES[word])
    text.append(f"{_GOING} goes on  ", style=_STYLES["going"])
    text.append(f"{_WAITING} queued", style=_STYLES["queued"])
    return text


def _line(spans: Sequence[Span], start_us: int, end_us: int, cells: int, late_us: int) -> Text:
    row = [_Cell() for _ in range(cells)]
    slice_us = max(1, -(-(end_us - start_us) // cells))

    def at(us: int) -> int:
        return min(max(us - start_us, 0) // slice_us, cells - 1)

    for span in spans:
        last = at(span.ended_us if span.ended_us is not None else end_us - 1)
        first = at(span.started_us) if span.started_us is not None else last + 1
        for cell in row[at(span.scheduled_us) : first]:
            cell.see("queued")
        for cell in row[first:last]:
            cell.see("going")
        if span.ended_us is None:
            row[last].see("going" if span.started_us is not None else "queued")
            continue
        row[last].ended += 1
        late = span.started_us is not None and span.started_us - span.scheduled_us > late_us
        row[last].see("late" if late and span.state == "success" else span.state)
    most = max((cell.ended for cell in row), default=0)
    text = Text()
    for cell in row:
        text.append(_glyph(cell, most), style=_STYLES.get(cell.worst, ""))
    return text


def _glyph(cell: _Cell, most: int) -> str:
    if not cell.worst:
        return " "
    if not cell.ended:
        return _WAITING if cell.worst == "queued" else _GOING
    if cell.worst in _MARKS:
        return _MARKS[cell.worst]
    return _HEIGHTS[max(0, -(-cell.ended * len(_HEIGHTS) // most) - 1)]


def _axis(start_us: int, end_us: int, cells: int, tz: ZoneInfo) -> Text:
    """Dates below a long line, hours below a short one, as many as there is room for."""
    span = end_us - start_us
    form, room = ("%H:%M", 8) if span <= 2 * DAY else ("%m-%d", 8)
    step = next((each for each in _STEPS_US if each * cells // max(span, 1) >= room), _STEPS_US[-1])
    text = [" "] * (cells + 8)
    east = tz.utcoffset(from_us(start_us).astimezone(tz)) or timedelta()
    shift = east // timedelta(microseconds=1)
    tick = -(-(start_us + shift) // step) * step - shift
    while tick < end_us:
        place = (tick - start_us) * cells // span
        text[place : place + 6] = f"╵{from_us(tick).astimezone(tz).strftime(form)}"
        tick += step
    return Text("".join(text[:cells]).rstrip(), style="dim")


_STEPS_US: Final = tuple(n * HOUR for n in (1, 2, 3, 6, 12)) + tuple(
    n * DAY for n in (1, 2, 7, 14, 28, 91, 364)
)
