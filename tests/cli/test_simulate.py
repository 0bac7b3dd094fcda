"""`bide simulate`: what it prints, as people and programs read it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Bide

DAGS = """
from datetime import timedelta
from bide import Cron, dag, task
from bide.sensors import FileSensor

@task(retries=1, retry_delay=timedelta(minutes=5))
def load():
    raise SystemExit("no body runs")

@dag(schedule=Cron("0 1 * * *", interval="day"), catchup="all")
def nightly():
    FileSensor("drop", path="/in/x.csv", timeout=timedelta(hours=4)) >> load()

@dag(schedule=Cron("*/30 * * * *"), catchup="all")
def often():
    load()
"""
SCRIPT = """
[tasks."nightly.drop"]
arrives = "01:20"
on."2026-06-14".arrives = "never"
[tasks."often.load"]
duration = "31m"
"""
SPAN = ("--from", "2026-06-15", "--to", "2026-06-18")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path) -> None:
    (tmp_path / "dags.py").write_text(DAGS)
    (tmp_path / "script.toml").write_text(SCRIPT)


def test_d4_bide_simulate_prints_runs_lateness_slots_and_a_timeline(bide: Bide) -> None:
    said = bide("simulate", "dags.py", *SPAN, "--script", "script.toml")
    assert said.code == 0, said.err
    lines = said.out.splitlines()
    assert lines[1].split("  ")[0] == "nightly"
    assert "1 failed, 2 success" in lines[1]
    assert "late" in lines[0].lower()
    assert any(line.startswith("nightly") and "✗" in line and "─" in line for line in lines[3:])
    assert "slots in use   at most 2" in said.out
    assert "longest queue" in said.out
    assert "simulated in" in said.err


def test_d4_bide_simulate_as_json_is_the_same_twice_but_for_how_long_it_took(
    bide: Bide, tmp_path: Path
) -> None:
    first = bide("simulate", "dags.py", *SPAN, "--script", "script.toml", "--json", "--out", "a.jsonl")
    again = bide("simulate", "dags.py", *SPAN, "--script", "script.toml", "--json", "--out", "b.jsonl")
    assert (first.code, first.out) == (0, again.out)
    assert (tmp_path / "a.jsonl").read_bytes() == (tmp_path / "b.jsonl").read_bytes()
    report = msgspec.json.decode(first.out)
    assert set(report) == {
        "start", "end", "seed", "runs", "tasks", "events", "dags", "slots_most", "slots_mean",
        "longest_queue_wait", "deadline_alerts", "refused",
    }  # fmt: skip
    assert report["dags"]["nightly"]["outcomes"] == {"failed": 1, "success": 2}
    assert report["dags"]["often"]["late"] > 0


def test_d4_bide_simulate_takes_one_dag_of_a_file_and_whole_folders(bide: Bide) -> None:
    one = msgspec.json.decode(bide("simulate", "dags.py:often", *SPAN, "--json").out)
    assert list(one["dags"]) == ["often"]
    both = msgspec.json.decode(bide("simulate", ".", *SPAN, "--json").out)
    assert list(both["dags"]) == ["nightly", "often"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("simulate", *SPAN), 2, "simulate what?"),
        (("simulate", "none.py", *SPAN), 3, "there is no file"),
        (("simulate", "dags.py", "--from", "2026-06-15", "--to", "2026-06-15"), 2, "is not after"),
        (("simulate", "dags.py", "--from", "soon", "--to", "2026-06-15"), 2, "is no date"),
        (("simulate", "dags.py", *SPAN, "--script", "none.toml"), 3, "there is no script"),
    ],
)
def test_d4_bide_simulate_says_what_is_wrong(
    bide: Bide, words: tuple[str, ...], code: int, said: str
) -> None:
    done = bide(*words)
    assert (done.code, said in done.err, done.out) == (code, True, "")
