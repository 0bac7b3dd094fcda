"""The demo happens, and what it claims is so: on a pipe, on a terminal, as JSON."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import time
from pathlib import Path
from typing import Any

import pytest

from examples.waiting_room.keeper import FOUR
from examples.waiting_room.process import DemoError
from examples.waiting_room.report import Kind, Report, spread

ROOT = Path(__file__).parents[2]
DEMO = [sys.executable, "-m", "examples.waiting_room"]
LIMIT_S = 90


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    """The temporary folders of the demo are below `tmp_path`, so that what it leaves is seen."""
    mine = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    return {**mine, "TMPDIR": str(tmp_path), "PYTHONPATH": str(ROOT), **more}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of one whole demo."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [*DEMO, "--quick", "--json", "--svg", str(folder / "svg" / "room.svg")],
        cwd=ROOT, env=environment(folder), capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert [left.name for left in folder.iterdir()] == ["svg"], "the temporary folder is removed"
    report: dict[str, Any] = json.loads(done.stdout)
    report["svg"] = (folder / "svg" / "room.svg").read_text()
    return report


def test_no_slot_is_in_use_while_1004_waits_are_open(told: dict[str, Any]) -> None:
    assert told["waits_held"] == 1004
    assert told["slots_most"] == 0
    assert told["samples"] > 10
    assert told["bodies"] == 0


def test_the_killed_process_loses_no_wait_and_no_deadline(told: dict[str, Any]) -> None:
    assert told["kill_status"] == -signal.SIGKILL
    assert told["epochs"] == 2
    assert told["waits_kept"] == told["armed_again"] == 1004


def test_all_is_done_once_and_the_database_is_well(told: dict[str, Any]) -> None:
    assert told["run_state"] == "success"
    assert told["succeeded"] == told["tasks"] == 2009
    assert told["twice"] == 0
    assert told["doctor"] == []


def test_the_lags_are_of_every_event(told: dict[str, Any]) -> None:
    assert {kind: lag["count"] for kind, lag in told["kinds"].items()} == {
        "file": 335, "hour": 333, "other DAG": 334, "HTTP": 1, "Kafka": 1,
    }  # fmt: skip
    for lag in told["kinds"].values():
        assert 0 <= lag["p50_ms"] <= lag["p99_ms"] <= lag["most_ms"]


def test_why_says_what_each_of_the_four_waits_for(told: dict[str, Any]) -> None:
    assert tuple(told["why"]) == FOUR
    assert all("holding no slot" in why for why in told["why"].values())


def test_the_svg_is_the_waiting_state_and_fetches_nothing(told: dict[str, Any]) -> None:
    text = told["svg"].replace("&#160;", " ")
    assert "1,004" in text
    assert "kill -9" in text
    assert "url(http" not in text
    assert "@font-face" not in text


def test_on_a_pipe_it_prints_plain_lines(tmp_path: Path) -> None:
    done = subprocess.run(
        [*DEMO, "--quick"],
        cwd=ROOT, env=environment(tmp_path, PYTHONIOENCODING="ascii"), capture_output=True, text=True,
        timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    assert "1,004 waits open, 0 of 8 slots in use" in done.stdout
    assert "nothing lost" in done.stdout.splitlines()[-1]


@pytest.mark.parametrize(("columns", "extra"), [(80, {}), (120, {"NO_COLOR": "1"})])
def test_on_a_terminal_it_draws_a_frame_that_fits(
    tmp_path: Path, columns: int, extra: dict[str, str]
) -> None:
    status, text = on_terminal([*DEMO, "--quick"], columns, 24, environment(tmp_path, TERM="xterm", **extra))
    assert status == 0, text
    assert "the waiting room" in text
    assert "what happened" in text
    assert bool(re.search(r"\x1b\[[0-9;]*3[1-7]m", text)) is not bool(extra)
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n").splitlines()
    assert max(map(len, lines)) <= columns


@pytest.mark.parametrize(
    ("columns", "rows", "term", "chosen"),
    [
        (76, 24, "xterm", "Picture"),
        (75, 24, "xterm", "Lines"),
        (80, 23, "xterm", "Lines"),
        (80, 24, "dumb", "Lines"),
    ],
)
def test_a_terminal_that_is_too_small_or_dumb_gets_lines(
    tmp_path: Path, columns: int, rows: int, term: str, chosen: str
) -> None:
    code = "from examples.waiting_room.showing import showing; print('=', type(showing()).__name__)"
    status, text = on_terminal([sys.executable, "-c", code], columns, rows, environment(tmp_path, TERM=term))
    assert (status, f"= {chosen}" in text) == (0, True)


def test_without_a_broker_it_says_what_to_do(tmp_path: Path) -> None:
    code = (
        "import shutil, sys; shutil.which = lambda name: None; sys.executable = '/nowhere/python';"
        "from examples.waiting_room.__main__ import main; sys.exit(main(['--quick']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT, env=environment(tmp_path), capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr.startswith("the demo failed: ")
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_demo_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    with subprocess.Popen(
        DEMO, cwd=ROOT, env=environment(tmp_path), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as demo:
        try:
            assert demo.stdout is not None
            first = demo.stdout.readline()
            inside = processes_in(tmp_path)
            demo.send_signal(number)
            _, errors = demo.communicate(timeout=LIMIT_S)
        finally:
            demo.kill()
    assert "waits are written down" in first, errors
    assert len(inside) >= 2, "the broker and the runtime"
    assert demo.returncode == 130, errors
    assert errors == "interrupted; nothing is left behind\n"
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_a_claim_that_does_not_hold_fails_the_demo() -> None:
    report = Report(slots=8, slots_most=1, samples=3)
    with pytest.raises(DemoError, match="1 slots were in use while everything waited"):
        report.check()


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    assert spread([1000 * n for n in range(1, 101)]) == Kind(100, 50.0, 99.0, 100.0)


def processes_in(folder: Path) -> list[int]:
    """Processes that were started with a path below `folder`."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(folder).encode() in words and int(entry.name) != os.getpid():
                found.append(int(entry.name))
    return found


def on_terminal(command: list[str], columns: int, rows: int, env: dict[str, str]) -> tuple[int, str]:
    """Run it on a terminal of this size; its exit code, and all that it wrote."""
    parent, child = pty.openpty()
    fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=child, stdout=child, stderr=child)
    os.close(child)
    until = time.monotonic() + LIMIT_S
    written = b""
    while time.monotonic() < until:
        try:
            piece = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        written += piece
    os.close(parent)
    return process.wait(10), written.decode()
