"""The picture: every asset by day, before, when the mistake was known, and when all was mended."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from examples.enforcement_lifecycle.claims import DAYS, Claim
from examples.enforcement_lifecycle.play import Seen

MARKS = {
    "published": ("●", "green"),
    "invalidated": ("✗", "red"),
    "superseded": ("○", "dim"),
    "degraded": ("◐", "yellow"),
    "stale": ("◌", "yellow"),
}
"""State -> its mark and colour: the shape says it without the colour."""


def picture(seen: Seen) -> RenderableType:
    """A row an asset and a column a day, three times; in a cell its versions, the oldest first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    for day in DAYS:
        table.add_column(f"{day:%-d %b}", justify="center")
    for title, states in (
        ("when nobody knew", seen.before),
        ("when it was known", seen.marked),
        ("when it was mended", seen.after),
    ):
        table.add_row(Text(title, style="bold"))
        for asset, days in states.items():
            table.add_row(f"  {asset}", *[_cell(days.get(str(day), ())) for day in DAYS])
        table.add_section()
    words = Text("  ").join(
        Text.assemble((mark, colour), f" {state}") for state, (mark, colour) in MARKS.items()
    )
    return Group(table, words)


def _cell(states: Sequence[str]) -> Text:
    cell = Text()
    for state in states:
        mark, colour = MARKS.get(state, ("?", "magenta"))
        cell.append(mark, style=colour)
    return cell


def told(claims: Sequence[Claim]) -> RenderableType:
    """What held, and what did not."""
    lines = [
        Text.assemble(
            ("✓ ", "green") if each.holds else ("✗ ", "bold red"), (f"{each.about:<7}", "dim"), each.text
        )
        for each in claims
    ]
    return Group(*lines)
