"""Typed parameters through every door: refused before there is a run, typed in the body and in templates."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bide import Context, Param, dag, shell, task
from bide.runtime.errors import UsageError
from bide.testing import sim_runtime

seen: list[dict[str, Any]] = []


@task
async def look(ctx: Context) -> None:
    seen.append(dict(ctx.params))


@dag(params={"full": False, "region": Param("eu", enum=["eu", "us"]), "n": Param(1, ge=1)})
def typed() -> None:
    look() >> shell("say", "test {params.region} = us")


async def test_a_wrong_parameter_makes_no_run() -> None:
    async with sim_runtime([typed]) as rt:
        for params, says in (
            ({"n": "2"}, "must be a whole number"),
            ({"regoin": "us"}, "did you mean 'region'"),
        ):
            with pytest.raises(UsageError, match=says):
                await rt.trigger(typed, params=params)
        assert await rt.operations.runs() == []
        seen.clear()
        run = await rt.trigger(typed, params={"region": "us", "n": 2})
        assert (await run.wait()).state == "success"
        assert seen == [{"full": False, "region": "us", "n": 2}]


async def test_the_schema_is_shown_for_a_form() -> None:
    async with sim_runtime([typed]) as rt:
        shown = await rt.operations.dag("typed")
        assert shown.params["properties"]["n"] == {"type": "integer", "minimum": 1, "default": 1}
        assert [(each.task, each.does, each.upstream) for each in shown.tasks] == [
            ("look", "task", ()),
            ("say", "command", ("look",)),
        ]


FILE = """
from bide import Param, dag, group, task

@task
def load() -> None: ...

@dag(params={"id": "a", "full": False, "n": Param(1, ge=1, doc="how many")})
def typed():
    with group("extract"):
        load()
"""


def typed_in(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "BIDE_DB": str(folder / "bide.db"), "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "bide", *words], cwd=folder, env=env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_the_terminal_turns_text_into_the_declared_type(tmp_path: Path) -> None:
    (tmp_path / "dags.py").write_text(FILE)
    wrong = typed_in(tmp_path, "run", "dags.py", "--param", "n=many")
    assert (wrong.returncode, "must be a whole number" in wrong.stderr) == (2, True)
    assert not (tmp_path / "bide.db").exists()
    assert typed_in(tmp_path, "run", "dags.py", "--param", "id=007", "--param", "full=yes").returncode == 0
    made = typed_in(tmp_path, "trigger", "typed", "--param", "id=12", "--param", "n=3", "--json")
    assert made.returncode == 0, made.stderr
    refused = typed_in(tmp_path, "trigger", "typed", "--param", "m=3")
    assert refused.returncode == 2
    assert "has no parameter 'm'" in refused.stderr
    import sqlite3

    conn = sqlite3.connect(tmp_path / "bide.db")
    params = [json.loads(text) for (text,) in conn.execute("SELECT params FROM run ORDER BY run_id")]
    conn.close()
    assert params == [{"id": "007", "full": True, "n": 1}, {"id": "12", "full": False, "n": 3}]
    shown = typed_in(tmp_path, "dags", "typed")
    assert shown.stdout.splitlines() == [
        "typed: started by hand, UTC",
        "  param full: boolean, default false",
        '  param id: string, default "a"',
        "  param n: integer, 1 or more, default 1 (how many)",
        "  [extract]",
        "    extract.load",
    ]
    as_json = json.loads(typed_in(tmp_path, "dags", "typed", "--json").stdout)
    [only] = as_json["tasks"]
    assert (only["task"], only["group"], only["does"], only["upstream"]) == (
        "extract.load",
        "extract",
        "task",
        [],
    )
