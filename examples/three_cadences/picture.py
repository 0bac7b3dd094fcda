"""The picture of the day, live on a terminal and as an SVG; and the mart at its end."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.terminal_theme import TerminalTheme
from rich.text import Text

from bide.testing.simulation.timeline import legend, timeline
from examples.three_cadences.claims import Outcome
from examples.three_cadences.stage import DAGS, Scene, local

WIDEST: Final = 118
STORY: Final = 7
LATE_US: Final = 15 * 60 * 1_000_000
_COLOURS = TerminalTheme(
    (27, 30, 40),
    (216, 219, 226),
    [
        (73, 80, 100), (240, 113, 120), (143, 206, 133), (232, 200, 124),
        (120, 169, 255), (201, 146, 234), (110, 205, 215), (216, 219, 226),
    ],
)  # fmt: skip
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def frame(scene: Scene, width: int, story: int = STORY) -> RenderableType:
    """The whole picture."""
    width = min(width, WIDEST)
    meters = Text()
    meters.append(f"{scene.slots}", style="bold blue")
    meters.append(" slots in use   ")
    meters.append(f"{scene.waits}", style="bold magenta")
    meters.append(" waits open   ")
    meters.append(f"{scene.alerts}", style="bold yellow" if scene.alerts else "bold")
    meters.append(" alerts")
    lines: list[RenderableType] = [
        timeline(
            scene.spans, [dag.name for dag in DAGS], scene.plot.start_us, scene.plot.at(scene.plot.ends), width - 6,
            tz="America/Los_Angeles", late_us=LATE_US, outages=[(one.what, one.since_us, one.until_us or scene.now_us) for one in scene.outages],
        ),
        legend(),
        Text(),
        meters,
        Text(),
        *(Text(line, no_wrap=True, overflow="ellipsis") for line in scene.story[-story:]),
    ]  # fmt: skip
    lines += [Text()] * max(0, story - len(scene.story))
    return Panel(
        Group(*lines),
        box=box.ROUNDED,
        title=Text.assemble(("bide", "not dim bold"), (" · three cadences, one mart", "not dim")),
        title_align="left",
        subtitle=Text(f"{local(scene.now_us):%A %H:%M} Pacific", style="dim"),
        subtitle_align="right",
        border_style="dim",
        padding=(0, 2),
        width=width,
    )


def ending(outcome: Outcome) -> RenderableType:
    """The mart, and what was claimed of the day."""
    table = Table(
        title="mart.daily_revenue_by_account", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD
    )
    for name in ("account", "name", "region"):
        table.add_column(name)
    for name in ("events", "revenue USD", "counted apart"):
        table.add_column(name, justify="right")
    apart = {row.account_id: row for row in outcome.truth}
    for row in outcome.mart:
        other = apart.get(row.account_id)
        said = Text("equal", style="green") if other == row else Text(f"{other}", style="bold red")
        table.add_row(
            row.account_id, row.account_name, row.region, f"{row.event_count:,}", f"{row.revenue_cents / 100:,.2f}", said
        )  # fmt: skip
    lines = [
        Text.assemble(("✓ ", "green") if claim.holds else ("✗ ", "bold red"), claim.text)
        for claim in outcome.claims
    ]
    return Group(table, *lines)


def save_svg(scene: Scene, path: Path) -> None:
    """The picture as it is, with no font to be fetched; the folder is made when it is missing."""
    console = Console(
        record=True, width=WIDEST, file=io.StringIO(), force_terminal=True, color_system="standard",
        no_color=False, highlight=False,
    )  # fmt: skip
    console.print(frame(scene, WIDEST, story=14))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = console.export_svg(title="make demo-cadences", theme=_COLOURS, unique_id="three-cadences")
    text = _FONTS.sub("", text).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
    path.write_text(text.replace("<svg ", '<svg xml:space="preserve" ', 1))
