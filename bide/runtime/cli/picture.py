"""The live picture of a run: a table of its graph on a terminal, a line a transition elsewhere.

Both are fed from the journal in the database, so they show what is committed and nothing else.
"""

from __future__ import annotations

import sys
from collections import Counter, deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from bide.runtime.cli.folding import counted
from bide.runtime.cli.heard import Heard
from bide.runtime.cli.output import GLYPHS, clean, coloured, said_state, write
from bide.runtime.clock import from_us
from bide.runtime.engine.explain import Progress, progress_words, span_words
from bide.runtime.engine.states import OVER, State
from bide.runtime.service.describe import nodes_beside, standing_by, trigger_words
from bide.runtime.store.reader import EventShown, Reader, RunDetail, TaskShown, WaitShown

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

_ROWS_KEPT: Final = 8  # lines of the terminal that are not tasks
_FIRST: Final = (State.RUNNING, State.FAILED, State.LOST, State.DEFERRED, State.UP_FOR_RETRY, State.READY)


class Moment(msgspec.Struct, frozen=True):
    """A run as the database has it now."""

    run: RunDetail
    tasks: list[TaskShown]
    waits: list[WaitShown]
    started: dict[str, int]  # task -> start of its last attempt
    slots_in_use: int
    slots: int
    now_us: int
    progress: dict[int, Progress]  # attempt -> how far it says it is
    mapped: dict[str, str]  # mapped task -> how far it is, in words


class Follower:
    """Reads a run while it goes on: the news since the last question, and the whole of it."""

    def __init__(
        self,
        reader: Reader,
        run_id: int,
        since_us: int,
        heard: Heard | None = None,
        progress: Callable[[int], Progress | None] = lambda _: None,
    ) -> None:
        """`since_us`: what was written before is no news. `heard`: where what tasks write comes from.

        `progress` tells of an attempt how far it says it is.
        """
        self._reader, self._run_id, self._seen, self._since_us = reader, run_id, 0, since_us
        self._names: dict[int, str] = {}
        self._attempts: dict[int, str | None] = {}
        self._heard, self._progress = heard, progress

    def news(self) -> list[EventShown]:
        """Journal entries of the run that were not given before."""
        news = self._reader.events(self._seen, self._run_id, limit=100_000)
        if news:
            self._seen = news[-1].seq
        return [event for event in news if event.at_us >= self._since_us]

    def name(self, instance_id: int) -> str:
        """The task of an instance."""
        if instance_id not in self._names:
            self._names = {
                t.instance_id: name_of(t.task, t.map_index) for t in self._reader.tasks(self._run_id)
            }
        return self._names.get(instance_id, "?")

    def output(self) -> list[tuple[int, str, str]]:
        """(instant, task, line) of what the tasks of the run have written since the last question."""
        lines, missed = self._heard.take() if self._heard is not None else ([], 0)
        if any(line.attempt_id not in self._attempts for line in lines):
            own = {a.attempt_id: name_of(a.task, a.map_index) for a in self._reader.attempts(self._run_id)}
            self._attempts.update(own)
        said = []
        for line in lines:
            name = self._attempts.setdefault(line.attempt_id, None)  # None: of another run
            if name is not None:
                said.append((line.at_us, name, clean(line.text)))
        if missed:
            words = f"({missed} lines more than can be shown here: `bide logs {self._run_id}/TASK`)"
            said.insert(0, (said[0][0] if said else self._since_us, "", words))
        return said

    def awaited(self) -> dict[str, str]:
        """Task -> what it waits for, in words."""
        waits = self._reader.waits(self._run_id)
        return {name_of(w.task, w.map_index): trigger_words(w.kind, w.trigger)[0] for w in waits}

    def moment(self, slots_in_use: int, slots: int, now_us: int) -> Moment:
        """The whole run, as it is now."""
        attempts = self._reader.attempts(self._run_id, whole=True)
        run = self._reader.run(self._run_id)
        beside = nodes_beside(run.spec)
        tasks = [
            msgspec.structs.replace(t, reason=standing_by(t.reason, t.state, beside[t.task]))
            if t.task in beside
            else t
            for t in self._reader.tasks(self._run_id, whole=True)
        ]
        items = self._reader.mapped(self._run_id)
        counts = self._reader.instance_counts(self._run_id) if items else {}
        going = [t.attempt_id for t in tasks if t.state is State.RUNNING and t.attempt_id is not None]
        return Moment(
            run,
            tasks,
            self._reader.waits(self._run_id),
            {name_of(a.task, a.map_index): a.started_us for a in attempts},
            slots_in_use,
            slots,
            now_us,
            {number: said for number in going if (said := self._progress(number)) is not None},
            {task: counted(counts.get(task, {}), count) for task, count in items.items()},
        )


class Picture(Protocol):
    """Something that shows a run as it goes on."""

    def show(self, follower: Follower, slots_in_use: int, slots: int, now_us: int) -> None: ...

    def close(self) -> None: ...


def name_of(task: str, map_index: int) -> str:
    return task if map_index < 0 else f"{task}[{map_index}]"


class Lines:
    """For pipes and files: one line a transition, in the journal's order, and what tasks write."""

    def show(self, follower: Follower, slots_in_use: int, slots: int, now_us: int) -> None:
        output = deque(follower.output())
        news = [event for event in follower.news() if event.was != event.now]
        awaited = follower.awaited() if any(event.now == State.DEFERRED for event in news) else {}
        for event in news:
            while output and output[0][0] < event.at_us:
                self._write(*output.popleft())
            if event.subject == "instance":
                name = follower.name(event.subject_id)
                waits = (
                    f"waits for {awaited[name]}" if name in awaited and event.now == State.DEFERRED else ""
                )
                self._say(event, name, waits or event.reason)
            elif event.subject == "run":
                self._say(event, f"run {event.subject_id}", event.reason)
        if news or output:
            for each in output:
                self._write(*each)
            sys.stdout.flush()

    def _say(self, event: EventShown, name: str, reason: str) -> None:
        why = f"  {clean(reason)}" if reason else ""
        write(f"{_at(event.at_us)}  {name}  {said_state(event.now, False)}{why}")

    def _write(self, at_us: int, name: str, line: str) -> None:
        text = f"{_at(at_us)}  {name}  | {line}"
        write(f"\x1b[2m{text}\x1b[0m" if coloured() else text)

    def close(self) -> None:
        sys.stdout.flush()


def _at(at_us: int) -> str:
    return f"{from_us(at_us):%H:%M:%S}.{at_us // 1000 % 1000:03d}Z"


class Silent:
    """For `--json`: nothing but the end."""

    def show(self, follower: Follower, slots_in_use: int, slots: int, now_us: int) -> None: ...

    def close(self) -> None: ...


class Graph:
    """For a terminal: the tasks with state, time and what they wait for, redrawn in place."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._console = Console(no_color=not coloured(), highlight=False)
        self._live: Live = Live(console=self._console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def show(self, follower: Follower, slots_in_use: int, slots: int, now_us: int) -> None:
        if output := follower.output():
            from rich.text import Text

            above = "\n".join(f"{name} | {line}" for _, name, line in output)
            self._console.print(Text(above, style="dim"))
        moment = follower.moment(slots_in_use, slots, now_us)
        self._live.update(self._draw(moment), refresh=True)

    def close(self) -> None:
        self._live.stop()

    def _draw(self, moment: Moment) -> RenderableType:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        waits: dict[tuple[str, int], list[WaitShown]] = {}
        for wait in moment.waits:
            waits.setdefault((wait.task, wait.map_index), []).append(wait)
        table = Table(box=None, padding=(0, 2, 0, 0), show_edge=False, header_style="dim")
        for column in ("task", "state", "time", ""):
            table.add_column(column, no_wrap=True, overflow="ellipsis")
        room = max(5, self._console.height - _ROWS_KEPT)
        for task in chosen(moment.tasks, room):
            glyph, style = GLYPHS[task.state]
            state = Text(f"{glyph} {task.state.value}", style=style)
            said = moment.progress.get(task.attempt_id or 0)
            told = moment.mapped.get(task.task, "") if task.state is State.MAPPED else ""
            told = told or told_of(task, waits.get((task.task, task.map_index), []), moment.now_us, said)
            table.add_row(
                Text(name_of(task.task, task.map_index)), state, took(task, moment), Text(clean(told))
            )
        counts = Counter(task.state.value for task in moment.tasks)
        parts = [f"{n:,} {state}" for state, n in counts.items()]
        run = moment.run
        head = Text(f"run {run.run_id} of {run.dag}: {run.state.value}", style="bold")
        foot = Text(f"{', '.join(parts)}; {moment.slots_in_use} of {moment.slots} slots in use", style="dim")
        return Group(head, table, foot)


def chosen(tasks: list[TaskShown], room: int) -> list[TaskShown]:
    """As many tasks as there is room for: those that move or went wrong first, in graph order."""
    if len(tasks) <= room:
        return tasks
    rank = {state: place for place, state in enumerate(_FIRST)}
    best = sorted(range(len(tasks)), key=lambda i: (rank.get(tasks[i].state, len(rank)), i))[:room]
    return [tasks[i] for i in sorted(best)]


def took(task: TaskShown, moment: Moment) -> str:
    """How long the last attempt took, or takes by now."""
    start = moment.started.get(name_of(task.task, task.map_index))
    if start is None:
        return ""
    end = task.since_us if task.state in OVER else moment.now_us
    return span_words(max(0, end - start))


def told_of(task: TaskShown, waits: list[WaitShown], now_us: int, progress: Progress | None = None) -> str:
    """What a waiting task waits for, how far a running one is, why an ended one ended."""
    if waits:
        first = min(waits, key=lambda wait: wait.deadline_us)
        more = f" and {len(waits) - 1} more" if len(waits) > 1 else ""
        left = span_words(max(0, first.deadline_us - now_us))
        return f"{trigger_words(first.kind, first.trigger)[0]}{more} ({left} left)"
    if task.state is State.UP_FOR_RETRY and task.due_us is not None:
        return f"again in {span_words(max(0, task.due_us - now_us))}: {task.reason}"
    if progress is not None:
        return progress_words(progress)
    return task.reason
