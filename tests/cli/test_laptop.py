"""A laptop: `bide init`, `bide dev`, `bide completion`. What is written runs, and what runs survives an edit."""

from __future__ import annotations

import asyncio
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cyclopts import App

from bide.runtime.cli.app import app
from bide.runtime.cli.examples import CHAPTERS, EXAMPLES
from bide.runtime.graph.load import forget_beside, load_paths
from bide.runtime.service.changing import changes
from tests.cli.conftest import Bide, completion, environment
from tests.service.test_serve import Service, said, start

FIRST = ["bide.toml", "dags/hello.py", "tests/__init__.py", "tests/test_hello.py", ".gitignore"]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# --- init ----------------------------------------------------------------------------------------


def test_init_writes_a_project_that_is_checked_and_runs(bide: Bide, tmp_path: Path) -> None:
    said = bide("init", "jobs")
    assert said.code == 0
    jobs = tmp_path / "jobs"
    assert files(jobs) == sorted(FIRST)
    assert [line for line in said.out.splitlines() if line[:5] == "wrote"] == [
        f"wrote jobs/{name}" for name in FIRST
    ]
    assert bide("check", str(jobs / "dags")).code == 0
    last = said.out.splitlines()[-1].split()  # what is told to be typed next needs no database
    assert (last[:2], bide("schedule", str(jobs / last[2])).code) == (["bide", "schedule"], 0)
    ran = bide("run", str(jobs / "dags" / "hello.py"), "--db", str(tmp_path / "x.db"), "--param", "name=ada")
    assert ran.code == 0
    assert "'hello, ada' has 10 letters and signs" in ran.out


def test_the_tests_that_init_writes_pass(bide: Bide, tmp_path: Path) -> None:
    assert bide("init", "jobs", "--example").code == 0
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio"],
        cwd=tmp_path / "jobs", env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (ran.returncode, ran.stdout.splitlines()[-1][:8]) == (0, "4 passed"), ran.stdout + ran.stderr


def test_init_touches_nothing_that_is_there(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "bide.toml").write_text("slots = 3")
    refused = bide("init")
    assert (refused.code, files(tmp_path)) == (4, ["bide.toml"])
    assert "nothing is written: bide.toml is there already" in refused.err
    (tmp_path / "bide.toml").unlink()
    (tmp_path / ".gitignore").write_text("mine")
    assert "wrote .gitignore" not in bide("init").out
    assert (tmp_path / ".gitignore").read_text() == "mine"


def test_init_into_a_file_says_so(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "jobs").write_text("")
    assert bide("init", "jobs").code == 2


def test_check_takes_the_paths_of_the_project(bide: Bide, tmp_path: Path) -> None:
    assert bide("check").code == 2
    assert bide("init").code == 0
    checked = bide("check")
    assert (checked.code, checked.err.splitlines()[-1]) == (0, "1 DAG: no errors, no warnings")


# --- dev -----------------------------------------------------------------------------------------


async def test_dev_reads_changed_files_again_and_no_wait_is_lost(bide: Bide, tmp_path: Path) -> None:
    assert bide("init", "jobs", "--example").code == 0
    jobs = tmp_path / "jobs"
    (jobs / "dags" / "words.py").write_text("WORD = 'letters'\n")
    hello = jobs / "dags" / "hello.py"
    hello.write_text(
        hello.read_text().replace("from bide import", "from words import WORD\n\nfrom bide import")
    )
    service = await start(jobs, "dev", "--port", "0")
    try:
        await service.hear("serving 2 DAGs")
        window = await service.hear("the window, for 12h: ")
        assert re.search(r"for 12h: http://127\.0\.0\.1:\d+/#token=bide_[0-9a-f]{8}_", window), window
        code, out, _ = await said(jobs, "trigger", "arrivals", "--date", "2026-06-15")
        assert (code, out) == (0, "run 1\n")
        before = await waits(jobs)
        assert [(wait["run_id"], wait["task"]) for wait in before] == [("1", "file")]
        hello.write_text(hello.read_text().replace("hello, ", "good day, "))
        await service.hear("read again: 2 DAGs loaded, 0 broken files")
        hello.write_text(hello.read_text() + "x = (")
        await service.hear(f"left out {hello}")
        await service.hear("1 broken file")
        hello.write_text(hello.read_text().removesuffix("x = ("))
        await service.hear("0 broken files")
        (jobs / "dags" / "words.py").write_text("WORD = (\n")  # a module beside it is read anew as well
        await service.hear("2 broken files")
        (jobs / "bide.toml").write_text((jobs / "bide.toml").read_text() + "\n")
        await service.hear("changed: bide.toml: settings count from the next start on")
        assert [wait["id"] for wait in await waits(jobs)] == [before[0]["id"]]
        (jobs / "inbox" / "2026-06-15.csv").write_text("id,price\n1,9.5\n")
        code, out, err = await said(jobs, "logs", "1", "load", "-f")
        assert code == 0, err
        await stop(service)
    finally:
        if service.process.returncode is None:
            service.process.kill()
            await service.ends()
    assert (await said(jobs, "show", "1"))[1].startswith("run 1 of arrivals: ✓ success")


async def test_dev_sees_a_folder_again_that_was_gone(tmp_path: Path) -> None:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "a.py").write_text("")
    async with asyncio.timeout(20), aclosing(changes([str(dags)])) as bursts:
        first = asyncio.ensure_future(anext(bursts))
        await begun()
        dags.rename(tmp_path / "aside")
        assert await first == [str(dags)]
        back = asyncio.ensure_future(anext(bursts))
        (tmp_path / "aside").rename(dags)
        assert await back == [str(dags)]
        edited = asyncio.ensure_future(anext(bursts))
        await begun()
        (dags / "a.py").write_text("x = 1")
        assert await edited == [str(dags / "a.py")]


async def begun() -> None:
    """What was started has come to where it waits."""
    for _ in range(20):
        await asyncio.sleep(0)


async def waits(folder: Path) -> list[dict[str, Any]]:
    _, out, _ = await said(folder, "waits", "--json")
    return msgspec.json.decode(out, type=list[dict[str, Any]])


async def stop(service: Service) -> None:
    service.process.terminate()
    assert await service.ends() == 0


def test_what_lies_beside_dag_files_is_read_anew_when_asked_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "prices.py").write_text("NAME = 'one'")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "names.py").write_text("NAME = 'two'")
    dags = tmp_path / "dags.py"
    dags.write_text(
        "import prices\nfrom shop.names import NAME\nfrom bide import dag, task\n"
        "@task\ndef t(): pass\n@dag(name=prices.NAME + NAME)\ndef d(): t()\n"
    )
    kept = {name: module for name, module in sys.modules.items() if name.startswith("bide")}
    assert [each.name for each in load_paths([tmp_path]).dags] == ["onetwo"]
    (tmp_path / "prices.py").write_text("NAME = 'three'")
    (tmp_path / "shop" / "names.py").write_text("NAME = 'four'")
    assert [each.name for each in load_paths([tmp_path]).dags] == ["onetwo"]
    forget_beside([tmp_path])
    assert [each.name for each in load_paths([tmp_path]).dags] == ["threefour"]
    assert {name: module for name, module in sys.modules.items() if name in kept} == kept
    forget_beside([tmp_path])


# --- completion ----------------------------------------------------------------------------------

_ASK = """
source <(cat)
COMP_WORDS=({words}); COMP_CWORD={last}; COMP_LINE="{words}"; COMP_POINT=${{#COMP_LINE}}
_bide; printf '%s\\n' "${{COMPREPLY[@]}}"
"""


@pytest.mark.parametrize(
    ("words", "offered"),
    [("bide back", {"backfill"}), ("bide waits ext", {"extend"}), ("bide runs --li", {"--limit"})],
)
def test_bash_completes_commands_and_options(words: str, offered: set[str]) -> None:
    asked = _ASK.format(words=words, last=len(words.split()) - 1)
    ran = subprocess.run(
        ["bash", "--norc", "-c", asked], input=completion("bash"), capture_output=True, text=True, check=False
    )
    assert offered <= set(ran.stdout.split()), ran.stderr


def test_bash_is_offered_files_where_it_is_offered_nothing_else() -> None:
    assert "complete -o bashdefault -o default -F _bide bide" in completion("bash").splitlines()


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_have_a_script_as_well(shell: str) -> None:
    """It asks for names as that of bash does, which is tried (test_names)."""
    assert "backfill" in completion(shell)
    assert "__complete" in completion(shell)


# --- help ----------------------------------------------------------------------------------------


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[str]:
    for name in app:
        if not name.startswith("-"):
            yield " ".join((*path, name))
            yield from commands(app[name], (*path, name))


def test_help_is_a_command_too_and_a_bare_group_prints_its_own_without_frames(bide_process: Bide) -> None:
    assert bide_process("help", "trigger").out == bide_process("trigger", "--help").out
    assert bide_process("db").out == bide_process("db", "--help").out


def test_every_command_has_an_example_in_its_help_and_each_example_is_one_that_it_takes() -> None:
    there = set(commands(app))
    assert there == set(EXAMPLES)
    for path, lines in EXAMPLES.items():
        for line in lines:
            bide, *words = shlex.split(line)
            assert (bide, words[: len(path.split())]) in (("bide", path.split()), ("bide", words[:1])), line
            app.parse_args(words, exit_on_error=False, print_error=False)


def test_the_help_names_each_command_once_under_a_chapter(bide_process: Bide) -> None:
    said = bide_process("--help").out
    assert sorted(" ".join(CHAPTERS.values()).split()) == sorted(name for name in app if name[0] != "-")
    assert all(title in said for title in CHAPTERS)
    assert "╭" not in said  # no frames for a pipe
    assert "bide waits extend 7 +2h" in bide_process("waits", "extend", "--help").out
