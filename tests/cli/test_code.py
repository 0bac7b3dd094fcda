"""`bide dags code` and its neighbours: what a DAG was, what a run ran with, and what differs."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Bide

FILE = """from bide import Every, dag, task
from datetime import timedelta


@task
def load() -> int:
    return {number}


@dag(schedule=Every(timedelta(days=1)), catchup="none")
def orders():
    load()
"""


@pytest.fixture
def twice(bide: Bide, tmp_path: Path) -> Bide:
    """`orders` ran with one text as run 1, with another as run 2; its graph stayed as it was."""
    file = tmp_path / "orders.py"
    for number in (1, 2):
        file.write_text(FILE.format(number=number))
        assert bide("run", "orders.py", "--date", f"2026-06-1{number}", "--db", "x.db").code == 0
    return lambda *words: bide(*words, "--db", "x.db")


def test_b54_c38_the_terminal_prints_the_code_of_a_run_and_what_has_changed_since(twice: Bide) -> None:
    now = twice("dags", "code", "orders")
    assert (now.code, now.out) == (0, FILE.format(number=2))
    assert now.err.startswith("code 2 of orders, version 1, ")
    assert twice("dags", "code", "orders", "--of-run", "1").out == FILE.format(number=1)
    assert twice("dags", "code", "orders", "--version", "1").out == FILE.format(number=2)
    assert twice("dags", "code", "orders", "--code", "1").out == FILE.format(number=1)
    changed = twice("dags", "code", "orders", "--diff", "1", "2").out.splitlines()
    assert [line for line in changed if line[0] in "+-" and line[:3] not in ("---", "+++")] == [
        "-    return 1",
        "+    return 2",
    ]
    assert twice("dags", "code", "orders", "--diff", "2", "2").out == ""
    listed = msgspec.json.decode(twice("dags", "code", "orders", "--list", "--json").out)
    assert [(each["code"], each["version"], each["current"]) for each in listed] == [
        ("2", "1", True),
        ("1", "1", False),
    ]
    shown = msgspec.json.decode(twice("dags", "code", "orders", "--json").out)
    assert (shown["dag"], shown["text"]) == ("orders", FILE.format(number=2))


@pytest.mark.parametrize("name", ["code", "grid", "show"])
def test_a_dag_with_the_name_of_a_command_is_shown_all_the_same(
    bide: Bide, tmp_path: Path, name: str
) -> None:
    (tmp_path / "named.py").write_text(FILE.format(number=1).replace("orders", name))
    assert bide("run", "named.py", "--date", "2026-06-11", "--db", "x.db").code == 0
    shown = bide("dags", "show", name, "--db", "x.db")
    assert (shown.code, shown.out.split(":")[0]) == (0, name)
    assert bide("dags", "--db", "x.db", "--", name).out == shown.out
    asked = bide("dags", name, "--db", "x.db")
    assert (asked.code, asked.err.rstrip().partition("; ")[2]) == (
        2,
        f"what is named {name!r} is `bide dags -- {name}`",
    )


def test_b54_what_there_is_no_code_of_is_said_in_a_sentence(twice: Bide) -> None:
    assert twice("dags", "code", "order").code == 3
    missing = twice("dags", "code", "orders", "--code", "9")
    assert (missing.code, missing.out) == (3, "")
    assert "`bide dags code orders --list` lists what it was" in missing.err
    assert twice("dags", "code", "orders", "--version", "7").code == 3
    assert twice("dags", "code", "orders", "--code", "1", "--list").code == 2
    assert twice("dags", "code").code == 2


def test_versions_firings_grid_and_tasks_are_listed_in_the_terminal(twice: Bide) -> None:
    [version] = msgspec.json.decode(twice("dags", "versions", "orders", "--json").out)
    assert (version["version"], version["current"]) == ("1", True)
    assert version["hash"][:12] in twice("dags", "versions", "orders").out
    grid = twice("dags", "grid", "orders")
    assert [line.split() for line in grid.out.splitlines()] == [["TASK", "1", "2"], ["load", "✓", "✓"]]
    assert grid.err.strip() == "✓ success"
    fired = msgspec.json.decode(
        twice("dags", "firings", "orders", "--from", "2026-06-10", "--to", "2026-06-13", "--json").out
    )
    assert [(each["what"], each["run_id"]) for each in fired if each["run_id"]] == [
        ("manual", "1"),
        ("manual", "2"),
    ]
    assert "manual" in twice("dags", "firings", "orders", "--from", "2026-06-10", "--to", "2026-06-13").out
    found = twice("tasks", "--state", "success", "--dag", "ord*")
    assert [line.split()[0] for line in found.out.splitlines()] == ["TASK", "2/load", "1/load"]
    assert twice("tasks", "--state", "failed").err.strip() == "no task fits"
