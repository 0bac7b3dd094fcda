"""`python -m examples.waiting_room`: plays the demo. Exit code 0 only if everything on it really happened.

--quick      without the pauses that are for people
--json       print the measured report as JSON, and nothing else
             (on a terminal, without either, the run stays to be looked at in a browser until Ctrl-C)
--svg PATH   also write the picture, as it is while everything waits
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import shutil
import signal
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bide.runtime.errors import BideError
from examples.waiting_room.plot import QUICK, Pace, Plot
from examples.waiting_room.process import DemoError
from examples.waiting_room.report import Report
from examples.waiting_room.room import now_us
from examples.waiting_room.scene import Scene
from examples.waiting_room.showing import Showing, Silent, showing

FRAME_S = 0.1
INTERRUPTED = 130


async def play(folder: Path, show: Showing, pace: Pace, svg: Path | None) -> Report:
    """The whole demo in `folder`, drawn about ten times a second."""
    scene = Scene(began_us=now_us())

    def waiting() -> None:
        scene.now_us = now_us()
        show.waiting(scene)
        if svg is not None:
            from examples.waiting_room.svg import save

            save(scene, svg)

    plot = Plot(folder, scene, pace, lambda text: show.said(scene, text), waiting)
    playing = asyncio.create_task(plot.play(), name="the plot")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, playing.cancel)
    report = None
    try:
        while not playing.done():
            scene.now_us = now_us()
            show.draw(scene)
            await asyncio.wait({playing}, timeout=FRAME_S)
        show.draw(scene)
        report = await playing
        return report
    finally:
        playing.cancel()
        with contextlib.suppress(asyncio.CancelledError, DemoError):
            await playing
        show.end(report)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m examples.waiting_room", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--quick", action="store_true", help="without the pauses that are for people")
    parser.add_argument("--json", action="store_true", help="print the report as JSON, and nothing else")
    parser.add_argument(
        "--svg", type=Path, metavar="PATH", help="also write the picture of the waiting state"
    )
    asked = parser.parse_args(words)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    folder = Path(tempfile.mkdtemp(prefix="bide-waiting-room-"))
    try:
        show = Silent() if asked.json else showing()
        report = asyncio.run(play(folder, show, QUICK if asked.quick else Pace(), asked.svg))
        tell(report, asked.json)
        if not asked.quick and not asked.json and sys.stdin.isatty() and sys.stdout.isatty():
            stay(folder, report.run)
    except (DemoError, BideError, OSError) as error:
        sys.stdout.flush()
        print(f"the demo failed: {error}", file=sys.stderr)
        return 1
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("interrupted; nothing is left behind", file=sys.stderr)
        return INTERRUPTED
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0


def tell(report: Report, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.encode(report).decode())
    else:
        print(
            f"done in {report.took_s:.1f} s after {report.setup_s:.1f} s of set-up: {report.waits_held:,} waits, "
            "one kill -9, nothing lost"
        )


def stay(folder: Path, run: str) -> None:
    """Serve the database of the play, so that its run can be looked at; Ctrl-C ends it."""
    from bide.runtime.cli.serve import serve_paths
    from bide.runtime.service.places import settings

    print("the run stays to be looked at until Ctrl-C, at the address that comes now", flush=True)
    room = Path(__file__).with_name("room.py")
    serve_paths(settings(db=str(folder / "room.db"), paths=[str(room)]), window=f"/runs/{run}")


if __name__ == "__main__":
    sys.exit(main())
