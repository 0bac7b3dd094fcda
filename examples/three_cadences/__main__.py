"""`python -m examples.three_cadences`: plays the day. Exit code 0 only if the mart is right and all claims hold.

--quick      an evening and a morning in nine seconds, not a whole day in seventy-five
--json       print the outcome as JSON, and nothing else
--svg PATH   also write the picture of the day
"""

from __future__ import annotations

import argparse
import asyncio
import io
import logging
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.live import Live

from bide.runtime.errors import BideError
from examples.three_cadences.claims import Outcome, outcome
from examples.three_cadences.picture import ending, frame, save_svg
from examples.three_cadences.plot import EVENING, WHOLE, Plot
from examples.three_cadences.stage import Stage
from examples.three_cadences.warehouse import warehouse
from examples.waiting_room.process import DemoError

FRAME_S = 0.2
INTERRUPTED = 130


class Telling(logging.Handler):
    """Alerts go into the story."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._stage = stage

    def emit(self, record: logging.LogRecord) -> None:
        self._stage.alerted(record.getMessage())


async def play(folder: Path, plot: Plot, console: Console, svg: Path | None) -> Outcome:
    """The day, drawn where there is a terminal and told line by line where there is none."""
    shown = console.is_terminal and not console.is_dumb_terminal
    stage = Stage(folder, plot, lambda line: None if shown else console.print(line))
    log = logging.getLogger("bide.engine")
    log.propagate = False
    log.addHandler(Telling(stage))
    living = asyncio.create_task(stage.live(), name="the day")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, living.cancel)
    try:
        if shown:
            with Live(frame(stage.scene, console.width), console=console, auto_refresh=False) as live:
                while not living.done():
                    live.update(frame(stage.scene, console.width), refresh=True)
                    await asyncio.wait({living}, timeout=FRAME_S)
                live.update(frame(stage.scene, console.width), refresh=True)
        await living
    finally:
        living.cancel()
        await asyncio.wait({living})
    if not shown:
        console.print(frame(stage.scene, console.width))
    if svg is not None:
        save_svg(stage.scene, svg)
    done = outcome(stage, warehouse())
    warehouse().close()
    return done


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.three_cadences", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="an evening and a morning, in nine seconds")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON, and nothing else")
    parser.add_argument("--svg", type=Path, metavar="PATH", help="also write the picture of the day")
    asked = parser.parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL + 1)  # a broker that is down is part of the day
    console = Console(highlight=False, quiet=asked.json)
    folder = Path(tempfile.mkdtemp(prefix="bide-three-cadences-"))
    try:
        done = asyncio.run(play(folder, EVENING if asked.quick else WHOLE, console, asked.svg))
    except (DemoError, BideError, OSError) as error:
        sys.stdout.flush()
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    console.print(ending(done))
    if asked.json:
        print(msgspec.json.encode(done).decode())
    return 0 if done.well else 1


if __name__ == "__main__":
    sys.exit(main())
