"""Loading files: targets, folders, and files that are broken in every way."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.errors import GraphError, NotFoundError, UsageError
from bide.runtime.graph.load import load_paths, load_target

GOOD = """
from bide.runtime.graph.dag import dag
from bide.runtime.graph.task import task

@task
def step(): return 1

@dag(name="{name}")
def variable():
    step()
"""


@pytest.fixture(autouse=True)
def _clean_path() -> Iterator[None]:
    before, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = before
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def test_a_file_gives_its_dags_with_its_folder(tmp_path: Path) -> None:
    path = write(tmp_path, "etl.py", GOOD.format(name="orders"))
    (dag,) = load_target(str(path))
    assert (dag.name, dag.folder, dag.file) == ("orders", tmp_path, path)


@pytest.mark.parametrize("wanted", ["orders", "variable"])
def test_a_dag_is_named_by_its_name_or_its_variable(tmp_path: Path, wanted: str) -> None:
    path = write(tmp_path, "etl.py", GOOD.format(name="orders"))
    assert [dag.name for dag in load_target(f"{path}:{wanted}")] == ["orders"]


def test_a_module_is_a_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "bide_test_module.py", GOOD.format(name="orders"))
    monkeypatch.chdir(tmp_path)
    assert [dag.name for dag in load_target("bide_test_module:orders")] == ["orders"]


def test_what_is_not_there_says_so(tmp_path: Path) -> None:
    path = write(tmp_path, "etl.py", GOOD.format(name="orders"))
    with pytest.raises(NotFoundError, match="did you mean 'orders'"):
        load_target(f"{path}:ordres")
    with pytest.raises(NotFoundError, match="there is no file"):
        load_target(str(tmp_path / "none.py"))
    with pytest.raises(NotFoundError, match="there is no module 'bide_no_such'"):
        load_target("bide_no_such:x")
    with pytest.raises(NotFoundError, match="declares no DAG"):
        load_target(str(write(tmp_path, "empty.py", "")))
    with pytest.raises(UsageError, match="is a folder"):
        load_target(f"{tmp_path}/")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\ndef (:\n", "bad.py:2: this is not Python"),
        ("\n\nimport no_such_module_at_all\n", "bad.py:3: ModuleNotFoundError: No module named"),
        ("def f():\n    return 1 / 0\n\nf()\n", "bad.py:2: ZeroDivisionError"),
        ("raise SystemExit(3)\n", "bad.py:1: SystemExit: 3"),
        ("from bide.runtime.schedules import Cron\nCron('61 * * * *')\n", "bad.py:2: the cron line"),
        (
            GOOD.format(name="x").replace("    step()", "    step(1)"),
            "bad.py:10: the task 'step' is called with",
        ),
    ],
)
def test_a_broken_file_is_one_sentence_with_its_line_and_hinders_no_other(
    tmp_path: Path, text: str, says: str
) -> None:
    bad = write(tmp_path, "bad.py", text)
    write(tmp_path, "good.py", GOOD.format(name="orders"))
    loaded = load_paths([tmp_path])
    assert [dag.name for dag in loaded.dags] == ["orders"]
    assert list(loaded.errors) == [str(bad)]
    assert says in loaded.errors[str(bad)]
    assert "\n" not in loaded.errors[str(bad)]
    with pytest.raises(GraphError, match=says.split(":", maxsplit=1)[0]):
        load_target(str(bad))


def test_hidden_files_and_tests_are_no_dag_files(tmp_path: Path) -> None:
    for name in (".hidden.py", "_private.py", "test_x.py", "x_test.py", "conftest.py", "notes.txt"):
        write(tmp_path, name, "raise RuntimeError")
    write(tmp_path, "b.py", GOOD.format(name="b"))
    write(tmp_path, "a.py", GOOD.format(name="a"))
    loaded = load_paths([tmp_path])
    assert [dag.name for dag in loaded.dags] == ["a", "b"]
    assert not loaded.errors


def test_two_dags_of_one_name_are_an_error_that_names_both_files(tmp_path: Path) -> None:
    first, second = (write(tmp_path, name, GOOD.format(name="orders")) for name in ("a.py", "b.py"))
    loaded = load_paths([tmp_path])
    assert len(loaded.dags) == 1
    assert str(first) in loaded.errors[str(second)]
    assert str(second) in loaded.errors[str(second)]


def test_a_file_may_import_its_neighbour_and_even_its_dag(tmp_path: Path) -> None:
    write(tmp_path, "bide_test_lib.py", GOOD.format(name="shared"))
    write(
        tmp_path,
        "main.py",
        "from bide_test_lib import variable, step\n" + GOOD.format(name="own").replace("variable", "mine"),
    )
    loaded = load_paths([tmp_path])
    assert sorted(dag.name for dag in loaded.dags) == ["own", "shared"]
    assert not loaded.errors


def test_two_files_with_one_stem_do_not_meet(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        write(tmp_path / folder, "etl.py", GOOD.format(name=folder))
    loaded = load_paths([tmp_path / "x", tmp_path / "y"])
    assert [dag.name for dag in loaded.dags] == ["x", "y"]


def test_a_file_that_changed_is_loaded_anew(tmp_path: Path) -> None:
    path = write(tmp_path, "etl.py", GOOD.format(name="before"))
    load_target(str(path))
    path.write_text(GOOD.format(name="after_it_changed"))
    assert [dag.name for dag in load_target(str(path))] == ["after_it_changed"]


def test_an_edit_of_the_same_second_and_length_is_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python would tell its compiled copy fresh by size and whole seconds."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    file = tmp_path / "orders.py"
    for name in ("one", "two"):
        file.write_text(GOOD.format(name=name))
        os.utime(file, (1_700_000_000, 1_700_000_000))
        assert [dag.name for dag in load_paths([file]).dags] == [name]
    assert not (tmp_path / "__pycache__").exists()


def test_a_path_that_is_not_there_is_an_error_of_its_own(tmp_path: Path) -> None:
    loaded = load_paths([tmp_path / "none"])
    assert "there is no file or folder" in loaded.errors[str(tmp_path / "none")]
