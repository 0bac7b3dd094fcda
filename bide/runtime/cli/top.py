"""`bide top`: how things stand and what moves, redrawn on a terminal as it does; elsewhere once, as lines."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Final

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, Where, asked, place, service_at
from bide.runtime.cli.events import event_words
from bide.runtime.cli.output import GLYPHS, clean, coloured, note, print_json, write
from bide.runtime.clock import SystemClock
from bide.runtime.engine.explain import span_words
from bide.runtime.errors import BideError
from bide.runtime.service.doors import Doors
from bide.runtime.service.event_shapes import EventLine, Top, TopRun
from bide.runtime.service.places import database

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console, RenderableType
    from rich.text import Text

    from bide.runtime.service.client import Client

LEAST_S: Final = 0.5
"""Between two questions, however much moves; and ten times as long as an answer took."""
_SHARE: Final = 10
_STILL_S: Final = 5.0
"""Asked again though nothing has moved: the slots, the lag, who holds the database."""
_REDRAW_S: Final = 1.0
_BAR: Final = 20
_WIDE: Final = 80
_ORDER: Final = (
    "running", "ready", "queued", "deferred", "mapped", "up_for_retry", "awaiting_approval", "blocked", "lost",
    "pending", "expanding", "success", "failed", "upstream_failed", "skipped", "cancelled",
)  # fmt: skip


def top(
    *,
    once: Annotated[bool, Parameter(negative="", help="Print how things stand now, and end.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Watch what runs, what waits and what moves; ^C ends it. Printed once where there is no terminal."""
    if not json and not once and sys.stdout.isatty() and os.environ.get("TERM") != "dumb":
        return _watch(db)
    found = asked(db, _ask)
    if json:
        print_json(found)
        return 0
    for line in plain_lines(found, _width()):
        write(line)
    if not found.held:
        note("no runtime holds this database, so nothing of it moves: start `bide serve`")
    return 0


async def _ask(ops: Doors) -> Top:
    return await ops.top()


def _width() -> int:
    return os.get_terminal_size().columns if sys.stdout.isatty() else 0


# --- once, as lines ------------------------------------------------------------------------------


def plain_lines(found: Top, width: int = 0) -> list[str]:
    """How things stand, for pipes and for a look: no colour, nothing cut unless a `width` is given."""
    lines = [f"{label:<6}  {said}" for label, said in heads(found)]
    if found.newest:
        rows = [
            ("run", "dag", "state", "for", "tasks"),
            *(_run_cells(each, found.at) for each in found.newest),
        ]
        widths = [max(len(row[i]) for row in rows) for i in range(4)]
        lines.append("")
        for nth, row in enumerate(rows):
            cells = [cell.upper() if not nth else cell for cell in row]
            lines.append(
                "  ".join([*(c.ljust(w) for c, w in zip(cells, widths, strict=False)), cells[4]]).rstrip()
            )
    if found.events:
        lines += ["", *(event_words(each, width) for each in found.events)]
    return lines


def heads(found: Top) -> list[tuple[str, str]]:
    """What is counted, a line each: (label, words)."""
    if found.slots is not None:
        slots = f"{found.slots_in_use} of {found.slots} in use, loop lag {found.loop_lag_ms} ms"
    else:
        slots = "known to the process that holds the database alone" if found.held else "nothing runs"
    dags = f"{found.dags:,}" + (f", {found.paused:,} paused" if found.paused else "")
    said = [
        (
            "at",
            f"{found.at[:10]} {found.at[11:19]}Z"
            + (", stopping: nothing new starts" if found.stopping else ""),
        ),
        ("slots", slots),
        ("dags", dags),
        ("runs", _counts(found.runs) or "none that is not over"),
        ("tasks", _counts(found.tasks) or "none"),
        ("waits", ", ".join(f"{count:,} {kind}" for kind, count in found.waits.items()) or "none"),
    ]
    if found.alerts:
        said.append(("alerts", f"{found.alerts:,} that nobody has seen: `bide alerts`"))
    return said


def ordered(counts: dict[str, int]) -> list[tuple[str, int]]:
    """States in the order in which one wants to know of them."""
    rank = {state: place for place, state in enumerate(_ORDER)}
    return sorted(
        ((state, n) for state, n in counts.items() if n), key=lambda each: rank.get(each[0], len(rank))
    )


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {state}" for state, count in ordered(counts))


def _run_cells(run: TopRun, at: str) -> tuple[str, str, str, str, str]:
    return run.run_id, clean(run.dag), run.state, _span(run.since, at), _counts(run.tasks)


def _span(since: str, at: str) -> str:
    took = datetime.fromisoformat(at) - datetime.fromisoformat(since)
    return span_words(max(0, round(took.total_seconds() * 1_000_000)))


# --- on a terminal -------------------------------------------------------------------------------


class _News:
    """What moves, heard in a thread of its own."""

    def __init__(self, db: Path, begins: str | None, far: Client | None) -> None:
        from bide.runtime.service.following import Following
        from bide.runtime.service.top import TOLD

        self.told = threading.Event()
        self.events: deque[EventLine] = deque(maxlen=200)
        self._of = Following(db, SystemClock(), begins, kind=TOLD, elsewhere=far)
        threading.Thread(target=self._hear, name="bide top", daemon=True).start()

    def _hear(self) -> None:
        try:
            for each in self._of:
                if isinstance(each, EventLine):
                    self.events.append(each)
                self.told.set()
        except BideError:
            self.told.set()  # the question that follows finds out what is wrong, and says it

    def close(self) -> None:
        self._of.close()


def _watch(db: Where | None) -> int:
    from rich.console import Console
    from rich.live import Live

    config, clock = place(db), SystemClock()
    path, said = database(config), config.url or str(database(config))
    found, wrong = asked(db, _ask), ""
    news = _News(path, found.events[-1].id if found.events else "0", service_at(config))
    news.events.extend(found.events)
    console = Console(no_color=not coloured(), highlight=False)
    asked_at, cost = clock.elapsed(), 0
    try:
        with Live(console=console, auto_refresh=False, screen=True) as live:
            while True:
                live.update(drawn(found, list(news.events), wrong, said, console), refresh=True)
                moved = news.told.wait(_REDRAW_S)
                rested = (clock.elapsed() - asked_at) / 1e6
                if not moved and rested < _STILL_S:
                    continue
                threading.Event().wait(max(0.0, max(LEAST_S, _SHARE * cost / 1e6) - rested))
                news.told.clear()
                asked_at = clock.elapsed()
                try:
                    found, wrong = asked(db, _ask), ""
                except BideError as error:
                    wrong = str(error)
                cost = clock.elapsed() - asked_at
    except KeyboardInterrupt:
        return 0
    finally:
        news.close()


def drawn(found: Top, events: list[EventLine], wrong: str, db: str, console: Console) -> RenderableType:
    """The whole screen: counts, runs that are not over, and as many events as there is room for."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    width, height = console.width, console.height
    head = _head(found, wrong, db, width)
    room = height - len(head) - 4  # blank lines, heads, how many more there are
    shown = found.newest[: max(0, room // 2)]
    table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for column in ("RUN", "DAG", "STATE", "FOR", "TASKS"):
        table.add_column(column, no_wrap=True, max_width=width // 3 if column == "DAG" else None)
    for run in shown:
        glyph, style = GLYPHS.get(run.state, (" ", ""))  # type: ignore[call-overload]
        state = Text(f"{glyph} {run.state}", style=style)
        table.add_row(run.run_id, Text(clean(run.dag)), state, _span(run.since, found.at), _glyphs(run.tasks))
    left = sum(found.runs.values()) - len(shown)
    more = [Text(f"and {left:,} more: `bide runs`", style="dim")] if left > 0 else []
    runs: list[RenderableType] = [Text(), table, *more] if shown else []
    rest = height - len(head) - (len(shown) + 2 + len(more) if shown else 0) - 1
    lines = (
        [Text.from_ansi(event_words(each, width, coloured())) for each in events[-rest:]] if rest > 0 else []
    )
    return Group(*head, *runs, Text(), *lines)


def _head(found: Top, wrong: str, db: str, width: int) -> list[Text]:
    from rich.text import Text

    def line(label: str, *parts: Text | str) -> Text:
        made = Text(no_wrap=True, overflow="ellipsis").append(f"{label:<7}", style="dim")
        for part in parts:
            made.append(part) if isinstance(part, str) else made.append_text(part)
        return made

    at = f"{found.at[:10]} {found.at[11:19]}Z"
    title = Text(no_wrap=True, overflow="ellipsis").append("bide top ", style="bold")
    room = width - len("bide top ") - len(at) - 2
    title.append(db if len(db) <= room else "…" + db[1 - room :], style="dim").append(
        " " * max(2, room - len(db) + 2)
    )
    lines = [title.append(at, style="dim")]
    if wrong or not found.held or found.stopping:
        said = wrong or (
            "stopping: nothing new starts"
            if found.held
            else "no runtime holds it, so nothing moves: `bide serve`"
        )
        lines.append(Text(clean(said), style="bold yellow", no_wrap=True, overflow="ellipsis"))
    if found.slots is not None and found.slots_in_use is not None:
        full = round(_BAR * min(1.0, found.slots_in_use / found.slots))
        bar = Text("━" * full, style="bold blue").append("━" * (_BAR - full), style="dim")
        lag = found.loop_lag_ms or 0.0
        late = Text(f"{lag} ms", style="bold red" if lag > 100 else "yellow" if lag > 20 else "")
        lines.append(
            line("slots", bar, f"  {found.slots_in_use:,} of {found.slots:,}    ", "loop lag ", late)
        )
    lines.append(line("runs", _glyphs(found.runs, words=True) if found.runs else Text("none", style="dim")))
    lines.append(
        line("tasks", _glyphs(found.tasks, words=True) if found.tasks else Text("none", style="dim"))
    )
    waits = "   ".join(f"{kind} {count:,}" for kind, count in found.waits.items())
    dags = f"{found.dags:,} known" + (f", {found.paused:,} paused" if found.paused else "")
    lines += [line("waits", waits or Text("none", style="dim")), line("dags", dags)]
    if found.alerts:
        lines.append(
            line("alerts", Text(f"{found.alerts:,} that nobody has seen: `bide alerts`", style="yellow"))
        )
    return lines


def _glyphs(counts: dict[str, int], words: bool = False) -> Text:
    """`● 3 running   ○ 2 ready`, or the glyphs and numbers alone."""
    from rich.text import Text

    made = Text()
    for nth, (state, count) in enumerate(ordered(counts)):
        glyph, style = GLYPHS.get(state, (" ", ""))  # type: ignore[call-overload]
        made.append("   " if nth else "").append(
            f"{glyph} {count:,}" + (f" {state}" if words else ""), style=style
        )
    return made
