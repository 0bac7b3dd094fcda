"""Scripts from files: TOML, JSON and Python say the same; what is wrong is said with the file's name."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide import On, dag, task
from bide.runtime.errors import BideError, UsageError
from bide.testing import Down, Events, Order, Rule, Script, Spread, When, read_script
from bide.triggers import FileTrigger

TOML = """
seed = 7

[tasks."events.load"]
duration = { uniform = ["10s", "4m"] }
fail = { every = 300, times = 1 }

[tasks."accounts.drop"]
arrives = "01:20"
on."2026-03-09".arrives = "never"

[[orders]]
at = "2026-03-21"
do = "pause"
dag = "events"

[[down]]
from = "2026-03-05T00:00"
to = "2026-03-05T03:00"
"""
JSON = """
{"seed": 7,
 "tasks": {"events.load": {"duration": {"uniform": ["10s", "4m"]}, "fail": {"every": 300, "times": 1}},
           "accounts.drop": {"arrives": "01:20", "on": {"2026-03-09": {"arrives": "never"}}}},
 "orders": [{"at": "2026-03-21", "do": "pause", "dag": "events"}],
 "down": [{"from": "2026-03-05T00:00", "to": "2026-03-05T03:00"}]}
"""
PYTHON = """
from bide.testing import Down, Events, Order, Rule, Script, Spread, When, read_script
from bide.triggers import FileTrigger
script = Script(
    seed=7,
    tasks={
        "events.load": Rule(duration=Spread(uniform=("10s", "4m")), fail=When(every=300, times=1)),
        "accounts.drop": Rule(arrives="01:20", on={"2026-03-09": Rule(arrives="never")}),
    },
    orders=[Order(at="2026-03-21", do="pause", dag="events")],
    down=[Down(since="2026-03-05T00:00", until="2026-03-05T03:00")],
)
"""


@pytest.mark.parametrize(("name", "text"), [("s.toml", TOML), ("s.json", JSON), ("s.py", PYTHON)])
def test_d4_a_script_is_read_from_toml_json_and_python(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    assert read_script(tmp_path / name) == Script(
        seed=7,
        tasks={
            "events.load": Rule(duration=Spread(uniform=("10s", "4m")), fail=When(every=300, times=1)),
            "accounts.drop": Rule(arrives="01:20", on={"2026-03-09": Rule(arrives="never")}),
        },
        orders=[Order(at="2026-03-21", do="pause", dag="events")],
        down=[Down(since="2026-03-05T00:00", until="2026-03-05T03:00")],
    )


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("s.toml", "[tasks.x]\nduraton = 3\n", "'s.toml' cannot be read: .*duraton"),
        ("s.toml", "seed = ", "'s.toml' cannot be read"),
        ("s.json", '{"orders": [{"at": "2026-03-01", "do": "dance", "dag": "x"}]}', "dance"),
        (
            "s.toml",
            '[tasks.x]\nduration = {uniform = ["1s", "2s"], exponential = "1s"}\n',
            "a spread is one of",
        ),
        ("s.toml", "[tasks.x]\nfail = {evry = 2}\n", "evry"),
        ("s.py", "x = 1\n", "names no script"),
        ("s.yaml", "", "of no kind known here"),
    ],
)
def test_d4_a_script_that_is_wrong_is_refused_with_its_place(
    tmp_path: Path, name: str, text: str, said: str
) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BideError, match=said):
        read_script(tmp_path / name)


def test_d4_a_script_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BideError, match="there is no script"):
        read_script(tmp_path / "none.toml")


@task
def step() -> None: ...


@pytest.mark.parametrize(
    ("events", "said"),
    [
        (Events(every="1x"), "every: '1x'"),
        (Events(every=Spread(uniform=("1m", "2q"))), "every: '2q'"),
        (Events(at=["2026-06-31"]), "at: '2026-06-31' is no date"),
        (Events(), "never come"),
    ],
)
def test_d4_events_that_cannot_come_are_refused_before_the_simulation(events: Events, said: str) -> None:
    @dag(schedule=On(FileTrigger(glob="/drops/*.csv")))
    def drops() -> None:
        step()

    with pytest.raises(UsageError, match=said):
        Script(events={"drops": events}).check([drops])


def test_d4_events_for_a_dag_that_waits_for_none_are_refused() -> None:
    @dag
    def by_hand() -> None:
        step()

    with pytest.raises(UsageError, match="waits for none"):
        Script(events={"by_hand": Events(every="1h")}).check([by_hand])
