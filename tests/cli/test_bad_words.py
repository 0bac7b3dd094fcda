"""Wrong names and broken DAG files: what is meant, where it stands, what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.runtime.graph.load import load_paths
from bide.runtime.service.serve import loaded
from tests.cli.conftest import Bide
from tests.service.conftest import write_world


@pytest.fixture
def world(tmp_path: Path) -> str:
    return str(write_world(tmp_path / "world.db"))


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["trigger", "elt"], 3, "did you mean 'etl'?"),
        (["pause", "zzz"], 3, "it has: etl"),
        (["mark", "3", "laod", "success"], 3, "did you mean 'load'?"),
        (["rerun", "3", "laod"], 3, "did you mean 'load'?"),
        (["rerun", "99"], 3, "there is no run 99: `bide runs` lists them"),
        (["cancel", "99"], 3, "there is no run 99: `bide runs` lists them"),
        (["mark", "99", "load", "failed"], 3, "there is no run 99: `bide runs` lists them"),
        (["waits", "extend", "2", "2h"], 2, "write +2h"),
        (["cancel", "--where", "state=faild"], 2, "did you mean 'failed'?"),
    ],
)
def test_a_wrong_name_is_answered_with_the_right_one(
    bide: Bide, world: str, words: list[str], code: int, says: str
) -> None:
    said = bide(*words, "--db", world)
    assert said.code == code, said
    assert says in said.err


def test_a_template_without_its_parameter_says_how_to_give_it(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "sh.py").write_text(
        "from bide import dag, shell\n@dag\ndef d():\n    shell('s', 'echo {params.who}')\n"
    )
    said = bide("run", "sh.py")
    assert said.code == 1
    assert "--param who=..." in said.err


WRONG = {
    "option.py": "from bide import task\n\n@task(retris=3)\ndef a(): ...\n",
    "rule.py": "from bide import task\n\n@task(trigger_rule='all_sucess')\ndef a(): ...\n",
    "span.py": "from bide import task\n\n@task(timeout=-3)\ndef a(): ...\n",
}


@pytest.mark.parametrize("name", list(WRONG))
def test_what_is_wrong_in_a_dag_file_is_said_with_its_file_and_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(WRONG[name])
    [(file, why)] = load_paths([tmp_path]).errors.items()
    assert why.startswith(f"{file}:3: the task 'a'")


def test_serve_names_a_broken_file_once(tmp_path: Path) -> None:
    (tmp_path / "bytes.py").write_bytes(b"\xff\xfe\x00bad")
    (tmp_path / "option.py").write_text(WRONG["option.py"])
    said: list[str] = []
    loaded([str(tmp_path)], said.append)
    assert len(said) == 2
    assert all(line.count(".py") == 1 for line in said)
    assert "bytes.py: this is not Python" in said[0]
