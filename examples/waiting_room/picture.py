"""The live picture: one calm frame, of a scene. Named colours only, so dark and light terminals both read."""

from __future__ import annotations

from typing import Final

from rich import box
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from bide.runtime.cli.output import GLYPHS, clean
from bide.runtime.engine.states import OVER, State
from examples.waiting_room.keeper import FOUR
from examples.waiting_room.report import Report
from examples.waiting_room.room import SHOPS
from examples.waiting_room.scene import SEEN_BY, WAITS_FOR, Scene

LEAST_WIDTH, LEAST_HEIGHT, WIDEST = 76, 24, 104
BARS: Final = 10
_ROWS: Final = 17  # of the frame, the story apart
_KINDS: Final = (
    ("file", "files"),
    ("time", "hours"),
    ("external_task", "other DAGs"),
    ("http", "HTTP"),
    ("kafka", "Kafka"),
)
_LONG: Final = "the sum of end offsets is "
_JOINS: Final = ("─╮", "─┤", "─┼", "─┤", "─╯")


def frame(scene: Scene, console: Console) -> RenderableType:
    """The whole picture, at most as large as the terminal."""
    sides = Table.grid(expand=True)
    sides.add_column(no_wrap=True)
    sides.add_column(no_wrap=True, width=28)
    sides.add_row(_graph(scene), _waits(scene))
    parts: list[RenderableType] = [sides, Text(), _meters(scene), Text(), _looks(scene), Text()]
    room = max(2, min(console.height - _ROWS, 11))
    body = Group(*parts, *_story(scene, room))
    since = max(0, scene.now_us - scene.began_us) / 1e6 if scene.began_us else 0.0
    return Panel(
        body,
        box=box.ROUNDED,
        title=Text.assemble(("bide", "not dim bold"), (" · the waiting room", "not dim")),
        title_align="left",
        subtitle=Text(f"{since:4.1f} s", style="dim"),
        subtitle_align="right",
        border_style="dim",
        padding=(0, 2),
        width=min(console.width, WIDEST),
    )


def _state(state: State | None, word: str = "") -> Text:
    if state is None:
        return Text(f"{'· ' + (word or 'not yet'):<12}", style="dim")
    glyph, style = GLYPHS[state]
    return Text(f"{glyph + ' ' + (word or state.value):<12}", style=style)


def _graph(scene: Scene) -> Text:
    """Four sensors and a thousand shops, all before one report."""
    lines = []
    for place, name in enumerate((*FOUR, "shops")):
        if name == "shops":
            label, state = f"{SHOPS:,} shops", _shops(scene)
        else:
            label, state = name, _state(scene.states.get(name))
        line = Text.assemble((f"{label:<12}", ""), state, (_JOINS[place], "dim"))
        if place == 2:
            line.append("▶ ", style="dim")
            line.append("report ")
            line.append_text(_state(scene.states.get("report")))
        line.rstrip()
        lines.append(line)
    return Text("\n").join(lines)


def _shops(scene: Scene) -> Text:
    open_shops = SHOPS - scene.shops_done
    if not scene.shops:
        return _state(None)
    if open_shops:
        return _state(State.DEFERRED, f"{open_shops:,} wait")
    return _state(State.SUCCESS)


def _waits(scene: Scene) -> Text:
    """Open waits by what sees them."""
    lines = []
    for kind, word in _KINDS:
        count = scene.open_waits.get(kind, 0)
        bar = "▇" * -(-count * BARS // (SHOPS // 3 + 2))
        line = Text(f"{word:<11}{count:>4}  ", style="" if count else "dim")
        line.append(bar, style="magenta")
        lines.append(line)
    return Text("\n").join(lines)


def _meters(scene: Scene) -> Text:
    """Waits, slots, memory, process: the line to look at."""
    line = Text()
    line.append(f"{scene.open:>5,}", style="bold magenta")
    line.append(" waits open   ")
    told = scene.told
    if told is None and scene.run_id is None:
        line.append("no process yet", style="dim")
        return line
    if told is None:
        line.append("no process", style="bold red")
        line.append("   every wait is a row in the database", style="dim")
        return line
    line.append(f"{told.slots}", style="bold green" if told.slots == 0 else "bold blue")
    line.append(f" of {scene.slots} slots in use ")
    line.append("●" * told.slots, style="blue")
    line.append("○" * (scene.slots - told.slots), style="dim")
    line.append(f"   {told.memory / 1e6:.0f} MB   process {scene.pid or '-'}", style="dim")
    return line


def _looks(scene: Scene) -> Table:
    """What each of the four waits for, and what the last look said."""
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=9, no_wrap=True)
    table.add_column(width=29, no_wrap=True, overflow="ellipsis")
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for task in FOUR:
        state = scene.states.get(task)
        if state in OVER:
            said = Text("came true", style="green")
        else:
            said = Text(_last_look(scene, task), style="dim")
        table.add_row(task, Text(WAITS_FOR[task]), said)
    return table


def _last_look(scene: Scene, task: str) -> str:
    if scene.told is None:
        return "" if scene.run_id is None else "nobody looks"
    look = scene.told.looks.get(task)
    if look is None or look.at_us is None:
        return SEEN_BY[task] if task == "warehouse" else ""
    ago = max(0, scene.now_us - look.at_us) / 1e6
    return clean(f"{ago:.1f} s ago: {look.answer.removeprefix(_LONG) or 'not yet'}")


def _story(scene: Scene, room: int) -> list[RenderableType]:
    """The last steps, and what is being done."""
    lines = [Text.assemble(("✓ ", "green"), text) for text in scene.story]
    if scene.doing:
        lines.append(Text.assemble(("◐ ", "magenta"), (scene.doing, "")))
    lines = lines[-room:]
    for line in lines:
        line.no_wrap, line.overflow = True, "ellipsis"
    return [*lines, *(Text() for _ in range(room - len(lines)))]


def summary(report: Report, console: Console) -> RenderableType:
    """The last panel: what was held, at what price, and what the kill cost."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", width=8)
    facts.add_column()
    for word, text in told(report):
        facts.add_row(word, text)
    lags = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
    for column in ("from the event to your code", "events", "p50", "p99", "most"):
        lags.add_column(column, justify="left" if column.startswith("from") else "right", no_wrap=True)
    for row in lag_rows(report):
        lags.add_row(*row)
    whys = Table.grid(padding=(0, 2, 0, 0))
    whys.add_column(no_wrap=True)
    whys.add_column(style="dim", overflow="fold")
    for task, why in report.why.items():
        whys.add_row(Text.assemble(("$ ", "dim"), f"bide why {report.run} {task}"), why)
    return Panel(
        Group(facts, Text(), lags, Text(), whys),
        box=box.ROUNDED,
        title=Text("what happened", style="not dim bold"),
        title_align="left",
        border_style="dim",
        padding=(0, 2),
        width=min(console.width, WIDEST),
    )


def told(report: Report) -> list[tuple[str, str]]:
    """The facts, a word and a sentence each."""
    grown = (report.memory_waiting - report.memory_before) / 1e6
    held = f"{report.waits_held:,} waits at once, all watched {report.armed_s:.2f} s after the trigger"
    slots = f"0 of {report.slots} while they waited ({report.samples:,} looks); no code ran"
    memory = f"{report.memory_waiting / 1e6:.0f} MB, one process; {grown:.0f} MB came with the run"
    killed = (
        f"-9; all {report.armed_again:,} watched again {report.again_s:.2f} s after the new process began"
    )
    lost = f"nothing: {report.succeeded:,} of {report.tasks:,} tasks succeeded, none ran twice"
    return [("held", held), ("slots", slots), ("memory", memory), ("killed", killed), ("lost", lost)]


_EVENTS: Final = {
    "file": "a file is closed",
    "hour": "an hour strikes",
    "other DAG": "another DAG's task returns",
    "HTTP": "a page changes (asked every 0.5 s)",
    "Kafka": "a topic grows (asked every 0.5 s)",
}


def lag_rows(report: Report) -> list[tuple[str, ...]]:
    """A row for each kind: event, count, p50, p99, most; one event has no percentiles."""
    rows: list[tuple[str, ...]] = []
    for kind, lag in report.kinds.items():
        p50, p99, most = (f"{ms:.1f} ms" for ms in (lag.p50_ms, lag.p99_ms, lag.most_ms))
        rows.append((_EVENTS[kind], f"{lag.count}", *((p50, p99) if lag.count > 1 else ("", "")), most))
    return rows
