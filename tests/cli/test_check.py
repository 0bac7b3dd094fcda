"""`bide check`: errors, warnings, exit codes; and the same warnings when `serve` loads."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Bide

UP = """
from bide import Cron, dag, task

@task(outlets=["sales"])
def makes(): ...

@dag(schedule=Cron("0 2 * * *"))
def up(): makes()
"""
DOWN = """
from bide import Cron, dag, task

@task(inlets=["sales"])
def reads(): ...

@dag(schedule=Cron("30 2 * * *"))
def down(): reads()
"""
VAIN = """
from datetime import timedelta
from bide import Cron, dag
from bide.sensors import ExternalTaskSensor

@dag(schedule=Cron("0 3 * * *"))
def vain(): ExternalTaskSensor("wait", dag="up", delta=timedelta(minutes=7))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    dags = tmp_path / "dags"
    dags.mkdir()
    (dags / "up.py").write_text(UP)
    (dags / "down.py").write_text(DOWN)
    return dags


def test_s3_23_warnings_are_said_with_their_reason_and_are_no_failure(bide: Bide, folder: Path) -> None:
    said = bide("check", str(folder))
    assert said.code == 0
    assert said.out.startswith(
        f"warning: {folder}/down.py: down: it is timed 0:30:00 after 'up' and reads sales"
    )
    assert said.out.rstrip().endswith("[time-offset]")
    assert said.err == "2 DAGs: no errors, 1 warning\n"


def test_the_json_of_check_has_stable_keys(bide: Bide, folder: Path) -> None:
    [found] = msgspec.json.decode(bide("check", str(folder), "--json").out)
    assert list(found) == ["level", "code", "dag", "task", "file", "message"]
    assert (found["level"], found["code"], found["dag"], found["task"]) == (
        "warning",
        "time-offset",
        "down",
        None,
    )
    assert msgspec.json.decode(bide("check", str(folder / "up.py"), "--json").out) == []


def test_s3_24_a_wait_whose_schedules_never_meet_is_an_error(bide: Bide, folder: Path) -> None:
    (folder / "vain.py").write_text(VAIN)
    said = bide("check", str(folder), "--json")
    assert said.code == 2
    errors = [one for one in msgspec.json.decode(said.out) if one["level"] == "error"]
    assert [(one["code"], one["dag"]) for one in errors] == [("waits-in-vain", "vain")]
    assert "of a date that it never has" in errors[0]["message"]


def test_a_file_that_does_not_load_is_an_error_and_hinders_no_other(bide: Bide, folder: Path) -> None:
    (folder / "broken.py").write_text("from bide import nothing_of_this_name\n")
    said = bide("check", str(folder))
    assert said.code == 2
    first, second = said.out.splitlines()
    assert first.startswith(f"error: {folder}/broken.py:1: ImportError")
    assert first.endswith("[load]")
    assert second.startswith("warning: ")


def test_check_of_nothing_or_of_what_is_not_there_is_one_line(bide: Bide) -> None:
    assert bide("check").code == 2
    said = bide("check", "nowhere")
    assert (said.code, said.err.count("\n")) == (3, 1)


def test_serve_says_each_warning_once(folder: Path) -> None:
    from bide.runtime.graph.load import load_paths
    from bide.runtime.service.serve import _Warned

    told: list[str] = []
    warned = _Warned(told.append)
    for _ in range(2):
        warned.of(load_paths([folder]))
    [line] = told
    assert line.startswith("warning: down: it is timed 0:30:00 after 'up'")


def test_b65_a_hook_whose_secret_is_not_set_is_a_warning_with_what_to_do(
    bide: Bide, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "hooks.py").write_text(
        'from bide.hooks import GitHub, Webhook\nWebhook("ci", dag="up", scheme=GitHub("env:CI_SECRET"))\n'
    )
    said = bide("check", str(folder))
    assert said.code == 0
    assert (
        "warning: the hook 'ci' cannot check who sends: the secret 'env:CI_SECRET' cannot be read; set it where "
        "the service runs: until then each delivery is refused (503) [hook-secret]\n"
    ) in said.out
    monkeypatch.setenv("CI_SECRET", "one of some length")
    assert "hook-secret" not in bide("check", str(folder)).out
