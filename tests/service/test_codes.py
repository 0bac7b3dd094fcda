"""The code that DAGs were loaded with: the text of their file, whenever it was another, and which of it runs ran with."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bide import dag, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.load import load_paths, load_target
from bide.runtime.graph.source import KEPT_BYTES
from bide.testing import SimRuntime

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
FILE = """from bide import dag, task


@task
def count() -> int:
    return {number}


@dag
def etl() -> None:
    count()


@dag
def other() -> None:
    count()
"""


@task
def one() -> int:
    return 1


@dag
def given() -> None:
    one()


async def test_b54_c38_a_run_says_which_code_it_ran_with(tmp_path: Path, sim_runtime: Sim) -> None:
    file = tmp_path / "etl.py"
    file.write_text(FILE.format(number=1))
    async with sim_runtime(load_paths([file]).dags) as rt:
        views = rt.operations.dag_views
        first = await rt.trigger("etl")
        assert (await first.wait()).state == "success"
        file.write_text(FILE.format(number=2))
        await rt.load(load_paths([file]).dags, {})
        second = await rt.trigger("etl", new=True)
        await second.wait()
        (newest, oldest) = await views.codes("etl")
        assert (newest.version, newest.current, oldest.current) == (oldest.version, True, False)
        assert newest.source != oldest.source
        assert newest.file == str(file)
        assert [each.code for each in await views.run_code(first.run_id)] == [oldest.code]
        assert [each.code for each in await views.run_code(second.run_id)] == [newest.code]
        for run, of in ((first, oldest), (second, newest)):
            assert [a.code for a in (await rt.operations.tasks.show(str(run.run_id), "count")).attempts] == [
                of
            ]
            assert (await rt.operations.show(str(run.run_id), 1)).version == of.hash
        await rt.operations.rerun(str(first.run_id), "count")
        await first.wait()
        again = (await rt.operations.tasks.show(str(first.run_id), "count")).attempts
        assert [a.code for a in again] == [oldest, newest], "the first try had other code than the second one"
        assert (await views.code("etl", oldest.code)).text == FILE.format(number=1)
        assert (await views.code("etl", newest.code)).text == FILE.format(number=2)
        (beside, _) = await views.codes("other")
        assert (beside.source, await views.codes("other", newest.version)) == (newest.source, [])


async def test_b54_a_run_that_went_on_over_a_change_names_both(tmp_path: Path, sim_runtime: Sim) -> None:
    file = tmp_path / "etl.py"
    text = FILE.replace(
        "    count()\n\n\n@dag\ndef other", "    count() >> count()\n\n\n@dag\ndef other"
    ).replace("{number}", "1")
    file.write_text(text)
    async with sim_runtime(load_paths([file]).dags) as rt:
        run = await rt.trigger("etl")
        await run.wait()
        file.write_text(text.replace("1", "2"))
        await rt.load(load_paths([file]).dags, {})
        await rt.operations.rerun(run.run_id, "count_2")
        await rt.settled()
        assert [each.current for each in await rt.operations.dag_views.run_code(run.run_id)] == [False, True]


async def test_b54_where_no_text_is_kept_it_says_why(tmp_path: Path, sim_runtime: Sim) -> None:
    async with sim_runtime([given]) as rt:
        run = await rt.trigger("given")
        await run.wait()
        views = rt.operations.dag_views
        assert (await views.codes("given"), await views.run_code(run.run_id)) == ([], [])
        file = tmp_path / "large.py"
        file.write_text(FILE.format(number=1) + "#" * KEPT_BYTES)
        await rt.load([given, *load_paths([file]).dags], {})
        (line,) = await views.codes("etl")
        assert line.missing.startswith("it has 262,")
        assert line.bytes == len(file.read_bytes())
        assert (await views.code("etl", line.code)).text is None
        with pytest.raises(NotFoundError, match="never loaded with a code 99"):
            await views.code("etl", "99")
        with pytest.raises(NotFoundError, match="no run 99"):
            await views.run_code("99")
        with pytest.raises(UsageError, match="code of a DAG"):
            await views.code("etl", "x")


def test_b54_the_text_is_what_was_compiled_and_a_module_has_one_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "coded_module.py"
    file.write_bytes(b"# -*- coding: latin-1 -*-\r\n# \xe9\r\n" + FILE.format(number=1).encode())
    (here, _) = load_target(str(file))
    assert here.source is not None
    assert here.source.text == "# -*- coding: latin-1 -*-\n# \xe9\n" + FILE.format(number=1)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    (there,) = load_target("coded_module:etl")
    assert there.source == here.source
