"""`bide completion` completes names: by the protocol its scripts speak, and by bash itself."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from bide import Runtime, dag, task
from bide.runtime.cli.app import app
from bide.runtime.cli.completion import name_the_named
from bide.runtime.cli.names import FLAGS, OPTIONS, SLOTS, complete
from bide.sensors import FileSensor
from tests.cli.conftest import completion, environment
from tests.cli.test_laptop import commands

TOML = """
[pools]
warehouse = 4
[[notify]]
name = "night"
url = "https://example.org/hook"
secret = "env:SECRET"
"""


@task
async def load() -> int:
    return 1


@dag
def orders() -> None:
    load()


@dag
def held() -> None:
    FileSensor("drop", path="/nowhere/drop")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run 1 of `orders` has ended, run 2 of `held` waits (wait 1); one pool, one route."""
    folder = tmp_path_factory.mktemp("named")

    async def make() -> None:
        async with Runtime(folder / ".bide" / "bide.db", [orders, held]) as rt:
            await (await rt.trigger(orders)).wait(timeout=30)
            await rt.trigger(held)
            await rt.settled()

    asyncio.run(make())
    (folder / "bide.toml").write_text(TOML)
    return folder


def names(out: str) -> dict[str, str]:
    """What the protocol says: name -> what is said of it."""
    first, *lines = out.splitlines() or [""]
    assert first in ("\x1fbegin", "")
    return dict(line.split("\t") for line in lines)


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["runs", ""], {"orders", "held"}),
        (["dags", "grid", "or"], {"orders", "held"}),
        (["trigger", "--new", ""], {"orders", "held"}),
        (["show", ""], {"1", "2"}),
        (["show", "2"], {"2"}),
        (["show", "7"], set()),
        (["why", ""], {"1", "2", "orders", "held"}),
        (["why", "2/"], {"2/drop"}),
        (["logs", "1", ""], {"load"}),
        (["logs", "-f", "1/l"], {"1/load"}),
        (["waits", "look", ""], {"1"}),
        (["tasks", "--dag", "orders", "--task", ""], {"load"}),
        (["tasks", "--run", "=", "2"], {"2"}),
        (["tasks", "--run=2"], {"2"}),
        (["rerun", "--run", ""], {"1", "2"}),
        (["pools", ""], {"slots", "warehouse"}),
        (["notify", "test", ""], {"night"}),
        (["show", "1", ""], set()),
        (["show", "--db", "gone.db", ""], set()),
        (["show", "--url", "http://127.0.0.1:1", ""], set()),
        (["run", ""], set()),
        (["show", "--"], set()),
        ([], set()),
    ],
    ids=lambda each: (
        " ".join(each) if isinstance(each, list) else ""
    ),  # a set has another order in each process
)
def test_names_are_completed_where_they_stand(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    offered: set[str],
) -> None:
    monkeypatch.chdir(project)
    complete(words)
    assert set(names(capsys.readouterr().out)) == offered


@pytest.mark.parametrize("amiss", ["nothing", "no database", "no folder", "no toml", "a folder", "another's"])
def test_what_is_amiss_offers_nothing_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], amiss: str
) -> None:
    db = tmp_path / "x.db"
    if amiss == "no database":
        db.write_bytes(b"no database at all" * 400)
    if amiss == "no toml":
        (tmp_path / "bide.toml").write_text("[")
        db = tmp_path / "y.db"
    if amiss == "a folder":
        db.mkdir()
    if amiss == "another's":
        with contextlib.closing(sqlite3.connect(db)) as conn:
            conn.execute("CREATE TABLE dag (of_another)")
    monkeypatch.chdir(tmp_path)
    complete(
        ["show", ""]
        if amiss == "no toml"
        else ["runs", "--db", str(db / "x" if amiss == "no folder" else db), ""]
    )
    out, err = capsys.readouterr()
    assert (names(out), err) == ({}, "")


def test_the_table_of_names_is_that_of_the_commands() -> None:
    """Each command, option and flag of it is there; no option is without a value in one of them and with one in another."""
    name_the_named(app)
    completed: set[str] = set()
    for path in commands(app):
        command = app
        for word in path.split():
            command = command[word]
        if command.default_command is None:
            continue
        found = list(command.assemble_argument_collection())
        asks = [each for each in found if each.parameter.completer is not None]
        assert (path in SLOTS) or not asks, path
        if path in SLOTS:
            options = {name: each.is_flag() for each in found for name in each.names if name.startswith("-")}
            assert all(flag == (name in FLAGS) for name, flag in options.items() if name != "--run"), path
            assert options.get("--run", False) == (path == "rerun"), path
        places = [each for each in asks if each.index is not None]
        assert len(places) == len(SLOTS.get(path, "").split()), path
        completed |= {path for _ in asks}
        if path in SLOTS:
            assert all(not OPTIONS.keys().isdisjoint(each.names) for each in asks if each.index is None), path
    assert completed == set(SLOTS)


@pytest.fixture(scope="module")
def on_path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a `bide` that is this one."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "bide").write_text(f'#!/bin/sh\nexec {sys.executable} -m bide "$@"\n')
    (folder / "bide").chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


_ASK = """
source <(cat)
ask() {{ COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${{#COMP_LINE}}
COMPREPLY=(); _bide; echo "$* -> ${{COMPREPLY[*]}}"; }}
{asked}
"""


def test_bash_asks_for_names_and_gets_those_that_begin_so(project: Path, on_path: str) -> None:
    asked = ("runs or", "logs 1/", "dags grid h", "tasks --run 2", "pools w")
    ran = subprocess.run(
        ["bash", "--norc", "-c", _ASK.format(asked="\n".join(f"ask bide {words}" for words in asked))],
        input=completion("bash"), capture_output=True, text=True, check=False, cwd=project,
        env=environment(PATH=on_path),
    )  # fmt: skip
    assert ran.stdout.splitlines() == [
        "bide runs or -> orders",
        "bide logs 1/ -> 1/load",
        "bide dags grid h -> held",
        "bide tasks --run 2 -> 2",
        "bide pools w -> warehouse",
    ], ran.stderr


def test_it_is_answered_without_the_rest_of_the_terminal(project: Path) -> None:
    """A TAB waits for it: nothing of the terminal, of the settings and of the store is loaded but what is read."""
    script = (
        "import sys; sys.argv = ['bide', '__complete', 'show', '']\n"
        "from bide.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: print(end.code, *sorted(sys.modules), file=sys.stderr)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=project,
        env=environment(),
    )
    assert set(names(ran.stdout)) == {"1", "2"}
    code, *modules = ran.stderr.split()
    assert code == "0"
    assert {each for each in modules if each.startswith("bide.")} == {
        "bide.__main__", "bide.runtime", "bide.runtime.cli", "bide.runtime.cli.names", "bide.runtime.errors",
        "bide.runtime.project", "bide.runtime.store", "bide.runtime.store.name_reads",
    }  # fmt: skip
    assert not {"cyclopts", "msgspec", "asyncio", "rich"} & set(modules)
