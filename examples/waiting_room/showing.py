"""How the demo is shown: redrawn in place on a terminal, a line a step elsewhere, or not at all."""

from __future__ import annotations

import os
import sys
from typing import Protocol

from rich.console import Console
from rich.live import Live

from bide.runtime.cli.output import coloured
from examples.waiting_room.picture import LEAST_HEIGHT, LEAST_WIDTH, frame, lag_rows, summary, told
from examples.waiting_room.report import Report
from examples.waiting_room.room import now_us
from examples.waiting_room.scene import WAITS_FOR, Scene


class Showing(Protocol):
    """Shows a scene as it goes on."""

    def draw(self, scene: Scene) -> None: ...

    def said(self, scene: Scene, text: str) -> None: ...

    def waiting(self, scene: Scene) -> None: ...

    def end(self, report: Report | None) -> None: ...


class Silent:
    """For `--json`."""

    def draw(self, scene: Scene) -> None: ...

    def said(self, scene: Scene, text: str) -> None: ...

    def waiting(self, scene: Scene) -> None: ...

    def end(self, report: Report | None) -> None: ...


class Lines:
    """For pipes, files and small terminals."""

    def draw(self, scene: Scene) -> None: ...

    def said(self, scene: Scene, text: str) -> None:
        print(f"{(now_us() - scene.began_us) / 1e6:5.1f} s  {text}", flush=True)

    def waiting(self, scene: Scene) -> None:
        if scene.told is None:
            return
        print(f"         {scene.open:,} waits open, {scene.told.slots} of {scene.slots} slots in use")
        for task, what in WAITS_FOR.items():
            look = scene.told.looks.get(task)
            answer = f": {look.answer}" if look and look.answer else ""
            print(f"         {task} waits for {what}{answer}", flush=True)

    def end(self, report: Report | None) -> None:
        if report is None:
            return
        print()
        for word, text in told(report):
            print(f"{word + ':':<8} {text}")
        for event, count, p50, p99, most in lag_rows(report):
            spread = f"{count} events, p50 {p50}, p99 {p99}, most " if p50 else ""
            print(f"{'lag:':<8} {event}: {spread}{most}")
        for task, why in report.why.items():
            print(f"{'why:':<8} {task} {why}")


class Picture:
    """For terminals."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._live = Live(console=console, auto_refresh=False, vertical_overflow="crop")
        self._live.start()

    def draw(self, scene: Scene) -> None:
        self._live.update(frame(scene, self._console), refresh=True)

    def said(self, scene: Scene, text: str) -> None:
        self.draw(scene)

    def waiting(self, scene: Scene) -> None: ...

    def end(self, report: Report | None) -> None:
        self._live.stop()
        if report is not None:
            self._console.print(summary(report, self._console))


def showing() -> Showing:
    """What fits to where the output goes."""
    if not sys.stdout.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return Lines()
    console = Console(no_color=not coloured(), highlight=False)
    if console.width < LEAST_WIDTH or console.height < LEAST_HEIGHT:
        return Lines()
    return Picture(console)
