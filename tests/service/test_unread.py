"""A service that starts with a broken file names it: in `why`, in the listings, in what waits for its code."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bide import Runtime
from bide.runtime.cli.dags import dag_lines, dag_table, unloaded_lines
from bide.runtime.graph.load import Loaded, load_paths

GOOD = """
from bide import Every, dag, task

@task
async def work() -> int:
    return 1

@dag(schedule=Every(hours=1))
def {name}():
    work()
"""
BROKEN = GOOD + "\ndef half(:\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "dags").mkdir()
    for name in ("mine", "other"):
        write(tmp_path / "dags", name, GOOD)
    return tmp_path / "dags"


def write(folder: Path, name: str, text: str) -> None:
    (folder / f"{name}.py").write_text(text.format(name=name))


def opened(folder: Path, found: Loaded | None = None) -> Runtime:
    """What `bide serve` opens on the folder as it now is."""
    found = found if found is not None else load_paths([folder])
    return Runtime(
        folder.parent / "bide.db",
        dags=found.dags,
        errors=found.errors,
        whole=True,
        refused=lambda dag, why: None,
    )


async def test_c77_d5_a_file_that_is_broken_at_a_start_is_named_by_why_and_in_the_lists(folder: Path) -> None:
    async with opened(folder):
        pass
    write(folder, "mine", BROKEN)
    broken = f"{folder / 'mine.py'}:12: this is not Python"
    for date in ("2026-01-01", "2026-01-02"):  # it is known at each start
        async with opened(folder) as rt:
            why = await rt.operations.assets.why("mine")
            assert why.why.startswith(f"its code is not loaded: {broken}"), why.why
            mine, other = await rt.operations.dags()
            assert (mine.dag, other.code_error) == ("mine", None)
            assert (mine.code_error or "").startswith(broken)
            assert mine.next_fires_at is not None, "its firing is still due, and is made when the file loads"
            assert (await rt.operations.dag("mine")).code_error == mine.code_error
            assert (await rt.operations.schedule("mine")).code_error == mine.code_error
            assert (await rt.operations.schedule("other")).code_error is None
            run = await rt.trigger("mine", logical_date=date)
            task = await rt.operations.why(run.run_id, "work")
            assert task.why.startswith(f"code not loaded: {broken}"), task.why
            assert task.next == "it starts when its DAG file loads again"
            whole = await rt.operations.why(run.run_id)
            assert whole.why.startswith(f"1 of its tasks is ready, and its code is not loaded: {broken}")
            await rt.operations.cancel(run.run_id)


async def test_the_lists_of_the_terminal_say_it_where_there_is_something_to_say(folder: Path) -> None:
    async with opened(folder) as rt:
        found = await rt.operations.dags()
        heads, _ = dag_table(found)
        assert "code" not in heads
        assert list(unloaded_lines(found)) == []
    write(folder, "mine", BROKEN)
    async with opened(folder) as rt:
        found = await rt.operations.dags()
        heads, rows = dag_table(found)
        assert (heads[-1], [row[-1] for row in rows]) == ("code", ["not loaded", None])
        [line] = unloaded_lines(found)
        assert line.startswith(f"mine: its code is not loaded, and what fires waits for it: {folder}")
        assert any("its code is not loaded" in line for line in dag_lines(await rt.operations.dag("mine")))


async def test_a_reload_says_what_is_wrong_by_now_and_takes_the_file_that_was_mended(folder: Path) -> None:
    async with opened(folder):
        pass
    write(folder, "mine", BROKEN)
    async with opened(folder) as rt:
        run = await rt.trigger("mine", logical_date="2026-01-01")
        write(folder, "mine", "import nowhere_to_be_found\n")
        found = load_paths([folder])
        await rt.load(found.dags, found.errors)
        assert "nowhere_to_be_found" in (await rt.operations.assets.why("mine")).why
        assert "nowhere_to_be_found" in (await rt.operations.why(run.run_id, "work")).why
        write(folder, "mine", GOOD)
        found = load_paths([folder])
        await rt.load(found.dags, found.errors)
        assert "not loaded" not in (await rt.operations.assets.why("mine")).why
        assert (await run.wait(10)).ok


async def test_a_loaded_dag_whose_file_breaks_goes_on_with_the_code_it_has(folder: Path) -> None:
    async with opened(folder) as rt:
        write(folder, "mine", BROKEN)
        found = load_paths([folder])
        await rt.load(found.dags, found.errors)
        assert [line.code_error for line in await rt.operations.dags()] == [None, None]
        assert (await (await rt.trigger("mine", logical_date="2026-01-01")).wait(10)).ok


async def test_a_dag_whose_file_is_not_known_is_said_to_be_in_one_of_the_broken_ones(folder: Path) -> None:
    """A database of before its files were written down; and a DAG that was moved to the broken file."""
    async with opened(folder):
        pass
    with closing(sqlite3.connect(folder.parent / "bide.db")) as conn:
        assert conn.execute("SELECT file FROM dag ORDER BY name").fetchall() == [
            (str(folder / "mine.py"),),
            (str(folder / "other.py"),),
        ]
        conn.execute("UPDATE dag SET file = '' WHERE name = 'mine'")
        conn.commit()
    (folder / "mine.py").unlink()
    write(folder, "broken", BROKEN)
    (folder / "other.py").write_text("")
    async with opened(folder) as rt:
        for name, begins in (("mine", "it may stand"), ("other", f"{folder / 'other.py'} did not bring it")):
            why = (await rt.operations.assets.why(name)).why
            assert why.startswith(f"its code is not loaded: {begins}"), why
            assert f"could not be read: {folder / 'broken.py'}:12" in why


async def test_a_runtime_that_was_not_given_a_dag_says_so(folder: Path) -> None:
    async with opened(folder):
        pass
    [other] = [dag for dag in load_paths([folder]).dags if dag.name == "other"]
    async with Runtime(folder.parent / "bide.db", dags=[other]) as rt:
        why = await rt.operations.assets.why("mine")
    assert why.why == "its code is not loaded: this runtime was started without it"


async def test_what_is_not_loaded_is_known_after_a_batch_that_was_refused(folder: Path) -> None:
    async with opened(folder):
        pass
    write(folder, "mine", BROKEN)
    async with opened(folder) as rt:
        world, inputs = await rt._restored()
        assert [getattr(each, "dag", "") for each in inputs] == ["mine", ""]
        assert world.dags["mine"].file == str(folder / "mine.py")
