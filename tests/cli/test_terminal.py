"""The terminal, command by command: JSON shapes, exit codes, one line for every error."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.cli.conftest import Bide, Said
from tests.service.conftest import AUDITED, write_world

PIPE = """
from bide import dag, task

@task
async def first() -> int:
    return 1

@task
async def second(x: int, ctx: "Context") -> int:
    ctx.log.info("second was here")
    if ctx.params["fail"]:
        raise OSError("no route")
    return x + 1

@task
async def third(x: int) -> None: ...

from bide import Context

@dag(params={"fail": False})
def pipe():
    third(second(first()))
"""
WAITING = """
from datetime import timedelta
from bide import Context, dag, task
from bide.triggers import TimeTrigger

@task
async def parked(ctx: Context) -> None:
    await ctx.wait(TimeTrigger(at_us=4_000_000_000_000_000), timeout=timedelta(hours=1))

@dag
def waiting():
    parked()
"""


def decode(said: Said) -> Any:
    assert (said.code, said.err) == (0, ""), said
    return msgspec.json.decode(said.out)


def one_line(said: Said) -> str:
    """The one line of an error; there is no traceback, and nothing on stdout."""
    assert said.out == ""
    assert said.err.startswith("bide: ")
    assert said.err.count("\n") == 1, said.err
    assert "Traceback" not in said.err
    return said.err


@pytest.fixture
def world(tmp_path: Path) -> str:
    return str(write_world(tmp_path / "world.db"))


# --- shapes --------------------------------------------------------------------------------------


def test_dags_json(bide: Bide, world: str) -> None:
    (dag,) = decode(bide("dags", "--json", "--db", world))
    assert list(dag) == ["dag", "schedule", "paused", "next_fires_at", "last_state", "code_error"]
    assert (dag["dag"], dag["paused"], dag["last_state"]) == ("etl", False, "failed")


def test_runs_json(bide: Bide, world: str) -> None:
    runs = decode(bide("runs", "--json", "--db", world))
    assert [run["run_id"] for run in runs] == ["3", "2", "1"]
    assert decode(bide("runs", "etl", "--state", "success", "--json", "--db", world))[0]["run_id"] == "1"


def test_show_json(bide: Bide, world: str) -> None:
    run = decode(bide("show", "3", "--json", "--db", world))
    promised = ["run_id", "dag", "state", "logical_date", "interval", "tasks", "alerts", "kind"]
    made = ["version", "reason", "made", "who", "params", "params_bytes", "hidden"]
    assert list(run) == [*promised, *made]
    assert list(run["interval"]) == ["start", "end"]
    promised = ["task", "map_index", "state", "attempts", "reason"]
    assert list(run["tasks"][0])[: len(promised)] == promised
    assert run["run_id"] == "3"


@pytest.mark.parametrize("words", [("waits",), ("waits", "list")])
def test_waits_json(bide: Bide, world: str, words: tuple[str, ...]) -> None:
    (wait,) = decode(bide(*words, "--json", "--db", world))
    promised = [
        "id",
        "run_id",
        "task",
        "trigger",
        "source",
        "since",
        "deadline",
        "next_look",
        "last_look",
        "dag",
    ]
    assert list(wait)[: len(promised)] == promised


def test_why_json(bide: Bide, world: str) -> None:
    why = decode(bide("why", "2/drop", "--json", "--db", world))
    assert list(why) == ["run_id", "task", "state", "why", "since", "details", "next"]
    assert why == decode(bide("why", "2", "drop", "--json", "--db", world)) | {"details": why["details"], "why": why["why"], "next": why["next"]}  # fmt: skip


def test_doctor_json(bide: Bide, world: str) -> None:
    said = bide("doctor", "--json", "--db", world)
    health = msgspec.json.decode(said.out)
    assert said.code == (0 if health["ok"] else 1)
    assert list(health["checks"][0]) == ["name", "ok", "found", "advice"]


def test_doctor_of_a_damaged_database_exits_1(bide: Bide, world: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(world)) as conn:
        conn.execute("PRAGMA journal_mode = DELETE")
        conn.execute("UPDATE wait SET state = 'fired', ended_us = 1 WHERE wait_id = 2")
        conn.commit()
    said = bide("doctor", "--db", world)
    assert said.code == 1
    assert "BAD  invariant: I" in said.out


def test_show_says_what_made_the_run(bide: Bide, world: str) -> None:
    assert bide("show", "3", "--db", world).out.splitlines()[1].startswith("manual run, logical date 2026-")
    assert decode(bide("show", "3", "--json", "--db", world))["kind"] == "manual"


def test_tables_are_for_people_and_hold_no_colour(bide: Bide, world: str) -> None:
    for words in (["dags"], ["runs"], ["show", "3"], ["why", "3"], ["waits"], ["doctor"]):
        said = bide(*words, "--db", world)
        assert said.out
        assert "\x1b" not in said.out + said.err


def test_control_characters_of_a_reason_do_not_reach_the_terminal(bide: Bide, world: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(world)) as conn:
        conn.execute("UPDATE task_instance SET reason = 'a' || char(27) || '[2J' || char(10) || 'b'")
        conn.commit()
    assert "\x1b" not in bide("show", "3", "--db", world).out


# --- run, trigger, and the rest against a database -----------------------------------------------


def test_run_from_nothing_in_a_process_of_its_own(bide_process: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    said = bide_process("run", "pipe.py")
    assert said.code == 0, said
    lines = said.out.splitlines()
    assert lines[-1] == "run 1 of pipe: ✓ success"
    assert [line.split()[1] for line in lines if "● running" in line] == ["run", "first", "second", "third"]
    assert (tmp_path / ".bide" / "bide.db").stat().st_mode & 0o777 == 0o600


def test_run_that_fails_exits_1_and_says_why(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    said = bide("run", "pipe.py:pipe", "--param", "fail=true", "--db", "x.db")
    assert said.code == 1
    assert "second failed: " in said.err
    assert "no route" in said.err
    assert "bide rerun 1" in said.err
    assert "second was here" in bide("logs", "1/second", "--db", "x.db").out
    why = bide("why", "1/third", "--db", "x.db").out
    assert "second is failed" in why


LOUD = """
import logging
from bide import dag, task

@task
async def talks() -> None:
    print("printed \\x1b[31mred")
    logging.getLogger("shop").info("logged")

@dag
def loud():
    talks()
"""


def test_run_shows_what_tasks_print_and_log_and_logs_has_it(bide_process: Bide, tmp_path: Path) -> None:
    (tmp_path / "loud.py").write_text(LOUD)
    said = bide_process("run", "loud.py")
    assert said.code == 0
    assert [line[15:] for line in said.out.splitlines() if "|" in line] == [
        "talks  | printed  [31mred",
        "talks  | shop: logged",
    ]
    log = bide_process("logs", "1/talks").out
    assert "INFO printed" in log
    assert "INFO shop: logged" in log
    said = bide_process("run", "loud.py", "--new", "--json")
    assert decode(said)["state"] == "success"


def test_run_json_is_the_run(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    run = decode(bide("run", "pipe.py", "--json"))
    assert (run["run_id"], run["state"]) == ("1", "success")


def test_a_triggered_run_is_taken_up_by_run(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    assert bide("run", "pipe.py").code == 0
    assert decode(bide("trigger", "pipe", "--json")) == {"run_id": "2"}
    assert bide("why", "2").out.startswith("run 2 is ")
    said = bide("run", "pipe.py")
    assert "taking up run 2 of pipe" in said.err
    assert said.code == 0
    assert bide("run", "pipe.py", "--date", "2026-06-15").code == 0
    again = bide("run", "pipe.py", "--date", "2026-06-15")
    assert again.code == 4
    assert "bide rerun 3" in one_line(again)
    assert bide("run", "pipe.py", "--date", "2026-06-15", "--new").code == 0


def test_the_same_idempotency_key_makes_one_run(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    assert bide("run", "pipe.py").code == 0
    first = decode(bide("trigger", "pipe", "--idempotency-key", "k1", "--json"))
    assert decode(bide("trigger", "pipe.py", "--idempotency-key", "k1", "--json")) == first


def test_commands_straight_on_the_database(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    assert bide("run", "pipe.py", "--param", "fail=true").code == 1
    assert "marked success" in bide("mark", "1", "second", "success").out
    assert bide("cancel", "1").code == 0
    assert bide("cancel", "1").code == 4
    assert "runs again" in bide("rerun", "1/first", "--downstream").out
    assert "is paused" in bide("pause", "pipe").out
    assert decode(bide("dags", "--json"))[0]["paused"] is True
    assert bide("why", "1").code == 0
    assert "no longer" in bide("unpause", "pipe").out


def test_run_waits_can_be_satisfied_and_the_run_taken_up(
    bide_process: Bide, bide: Bide, tmp_path: Path
) -> None:
    import signal
    import subprocess
    import sys

    from tests.cli.conftest import environment

    (tmp_path / "w.py").write_text(WAITING)
    words = [sys.executable, "-m", "bide", "run", "w.py"]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment()
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if "deferred" in line:
                break
        assert bide("waits", "--json").code == 0  # a runtime without a socket can be read
        assert bide("cancel", "1").code == 5  # and not commanded
        assert bide("run", "w.py").code == 4  # and not joined
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "bide run w.py" in err
    assert decode(bide("show", "1", "--json"))["tasks"][0]["state"] == "deferred"
    (wait,) = decode(bide("waits", "--json"))
    assert bide("waits", "extend", wait["id"], "--by", "2h").code == 0
    assert bide("waits", "satisfy", wait["id"], "--event", '{"by": "hand"}').code == 0
    assert decode(bide("waits", "--json")) == []
    said = bide("run", "w.py")
    assert "taking up run 1" in said.err
    assert said.code == 0


def test_run_of_a_scheduled_dag_makes_the_one_run_it_was_asked_for(bide: Bide, tmp_path: Path) -> None:
    text = PIPE.replace("import dag, task", "import Cron, dag, task", 1)
    options = '@dag(schedule=Cron("0 2 * * *", interval="day"), start="2026-01-01", catchup="all", '
    (tmp_path / "daily.py").write_text(text.replace("@dag(", options))
    said = bide("run", "daily.py")
    assert (said.code, said.err) == (0, "")
    (run,) = decode(bide("runs", "--json"))
    assert run["kind"] == "manual"
    assert bide("run", "daily.py").code == 0  # nobody named a date: one more run of that interval
    assert bide("run", "daily.py", "--date", "2026-03-01").code == 0
    assert decode(bide("show", "3", "--json"))["interval"] == {
        "start": "2026-03-01T00:00:00Z", "end": "2026-03-02T00:00:00Z",
    }  # fmt: skip
    assert bide("run", "daily.py", "--date", "2026-03-01").code == 4  # that date has its run


# --- exit codes and bad input --------------------------------------------------------------------


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version_loads_nothing_else(bide_process: Bide, words: list[str]) -> None:
    said = bide_process(*words, PYTHONPROFILEIMPORTTIME="1")
    assert said.code == 0
    assert re.fullmatch(r"bide \d+\.\d+\.\d+\S*\n", said.out)
    loaded = {line.rsplit("|", 1)[1].strip() for line in said.err.splitlines()}
    assert not loaded & {"cyclopts", "asyncio", "msgspec", "sqlite3", "rich", "httpx"}


def test_listing_loads_no_web_framework_and_no_sources(bide_process: Bide, world: str) -> None:
    said = bide_process("waits", "--db", world, PYTHONPROFILEIMPORTTIME="1")
    loaded = {line.rsplit("|", 1)[1].strip() for line in said.err.splitlines() if "|" in line}
    assert said.code == 0
    assert not loaded & {"fastapi", "uvicorn", "httpx", "aiokafka", "pydantic"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["shwo", "3"], 2, "did you mean `bide show`?"),
        (["show"], 2, "RUN"),
        (["show", "3", "--jsn"], 2, "--json"),
        (["show", "abc"], 2, "names no run"),
        (["show", "2/drop"], 2, "show takes a run"),
        (["why", "2/"], 2, "no task after its slash"),
        (["why", "2/a", "b"], 2, "names a task and so does"),
        (["logs", "2"], 2, "logs of which task"),
        (["mark", "2", "success"], 2, "mark which task"),
        (["mark", "2", "load", "fine"], 2, "cannot be marked"),
        (["runs", "--limit", "many"], 2, "limit"),
        (["trigger", "etl", "--param", "n=1", "--param", "n=2"], 2, "--param n is said twice"),
        (["token", "create", "ci", "--expires", "3x"], 2, "is no end of a token: write 30d"),
        (["notify", "retry", "--route", "nobody"], 3, "there is no route 'nobody'"),
        (["runs", "--state", "done"], 2, "no state of a run"),
        (["trigger", "etl", "--date", "soon"], 2, "is no date"),
        (["trigger", "etl", "--param", "novalue"], 2, "has no key and value"),
        (["trigger", "etl", "--param", 'p={"a":'], 2, "is not JSON"),
        (["waits", "satisfy", "2", "--event", "{"], 2, "is not JSON"),
        (["waits", "extend", "2"], 2, "until when"),
        (["waits", "extend", "2", "+soon"], 2, "no span"),
        (["waits", "nonsense"], 2, "nonsense"),
        (["serve"], 2, "serve what"),
        (["run", "nowhere.py"], 3, "no file"),
        (["serve", "nowhere.py"], 3, "no file or folder"),
        (["show", "99"], 3, "no run 99"),
        (["trigger", "elt"], 3, "elt"),
        (["waits", "look", "2"], 5, "nobody runs the database"),
        (["waits", "fail", "99"], 3, "no open wait 99"),
        (["runs", "elt"], 3, "did you mean 'etl'"),
        (["cancel", "1"], 4, "is over already"),
    ],
)
def test_bad_words_end_in_one_line_and_change_nothing(
    bide: Bide, world: str, words: list[str], code: int, says: str
) -> None:
    import sqlite3
    from contextlib import closing

    def content() -> list[str]:
        with closing(sqlite3.connect(world)) as conn:
            return [line for line in conn.iterdump() if not line.startswith(AUDITED)]

    before = content()
    said = bide(*words, "--db", world)
    assert said.code == code, said
    assert says in one_line(said)
    assert content() == before


BROKEN = {
    "syntax.py": ("def broken(:\n", "syntax.py:1"),
    "raises.py": ("import bide\nraise RuntimeError('boom')\n", "raises.py:2"),
    "empty.py": ("x = 1\n", "no DAG"),
    "cycle.py": (
        "from bide import dag, task\n@task\ndef a(): ...\n@dag\ndef d():\n    x, y = a(), a()\n    x >> y >> x\n",
        "cycle",
    ),
    "cron.py": (
        "from bide import dag, task, Cron\n@task\ndef a(): ...\n@dag(schedule=Cron('61 * * * *'))\ndef d(): a()\n",
        "61",
    ),
    "option.py": ("from bide import dag, task\n@task(retires=3)\ndef a(): ...\n", "retires"),
}


@pytest.mark.parametrize("name", list(BROKEN))
def test_a_wrong_dag_file_ends_in_one_line_and_makes_no_database(
    bide: Bide, tmp_path: Path, name: str
) -> None:
    text, says = BROKEN[name]
    (tmp_path / name).write_text(text)
    said = bide("run", name)
    assert said.code in (2, 3), said
    assert says in one_line(said)
    assert not (tmp_path / ".bide").exists()


def test_two_dags_in_a_file_are_told_apart(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(PIPE + PIPE.replace("def pipe", "def other"))
    assert "two.py:pipe" in one_line(bide("run", "two.py"))
    assert bide("run", "two.py:other", "--json").code == 0
    assert bide("run", "two.py:nope").code == 3


@pytest.mark.parametrize("command", [["runs"], ["trigger", "etl"], ["doctor"], ["waits", "look", "1"]])
def test_a_missing_database_exits_3_and_is_not_made(bide: Bide, tmp_path: Path, command: list[str]) -> None:
    said = bide(*command, "--db", "none.db")
    assert said.code == 3
    assert "none.db" in one_line(said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [["runs"], ["trigger", "etl"], ["run", "pipe.py"]])
def test_what_is_no_database_is_refused_and_left_alone(
    bide: Bide, tmp_path: Path, command: list[str]
) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    (tmp_path / "text.db").write_text("this is not SQLite, it is a text of more than one page\n" * 200)
    before = (tmp_path / "text.db").read_bytes()
    said = bide(*command, "--db", "text.db")
    assert said.code == 4
    assert "not a database" in one_line(said)
    assert (tmp_path / "text.db").read_bytes() == before


def test_a_newer_database_is_refused(bide: Bide, world: str) -> None:
    import sqlite3
    from contextlib import closing

    with closing(sqlite3.connect(world)) as conn:
        conn.execute("PRAGMA user_version = 99")
    said = bide("runs", "--db", world)
    assert said.code == 4
    assert "newer bide" in one_line(said)


def test_a_read_only_database_refuses_commands_and_answers_questions(bide: Bide, world: str) -> None:
    path = Path(world)
    path.chmod(0o400)
    said = bide("trigger", "etl", "--db", world)
    assert said.code == 4
    assert "read-only" in one_line(said)


@pytest.mark.parametrize(
    ("settings", "says"),
    [("slots = 0\n", "slots"), ("slots = \n", "not TOML"), ('sluts = "3"\n', "slots")],
)
def test_wrong_settings_end_in_one_line(bide: Bide, tmp_path: Path, settings: str, says: str) -> None:
    (tmp_path / "bide.toml").write_text(settings)
    said = bide("runs")
    assert said.code == 2
    assert says in one_line(said)


@pytest.mark.parametrize(
    ("place", "code", "says"),
    [(".", 4, "is a folder"), ("/proc/none/bide.db", 4, "cannot be made"), ("", 2, "--db is empty")],
)
def test_a_place_where_no_database_can_be(
    bide: Bide, tmp_path: Path, place: str, code: int, says: str
) -> None:
    (tmp_path / "pipe.py").write_text(PIPE)
    said = bide("run", "pipe.py", "--db", place)
    assert said.code == code, said
    assert says in one_line(said)


def test_a_folder_is_no_target(bide: Bide) -> None:
    said = bide("run", ".")
    assert said.code == 2
    assert "is a folder" in one_line(said)


def test_variables_of_tasks_and_tests_are_no_settings(
    bide: Bide, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIDE_ATTEMPT", "3")
    assert bide("runs", "--db", world).code == 0
    monkeypatch.setenv("BIDE_SLOTS", "many")
    assert "BIDE_SLOTS" in one_line(bide("runs", "--db", world))


def test_a_fault_of_bide_ends_in_one_line_too(
    bide: Bide, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bide.runtime.store.reader import Reader

    monkeypatch.setattr(Reader, "dags", lambda _: 1 / 0)
    said = bide("dags", "--db", world)
    assert said.code == 1
    assert "ZeroDivisionError" in one_line(said)


def test_debug_keeps_the_traceback(bide_process: Bide) -> None:
    assert "Traceback" in bide_process("runs", "--db", "none.db", BIDE_DEBUG="1").err


def test_a_closed_pipe_is_no_failure(bide_process: Bide, world: str) -> None:
    import subprocess
    import sys

    from tests.cli.conftest import environment

    with subprocess.Popen(
        [sys.executable, "-m", "bide", "runs", "--db", world],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        err = process.stderr.read()
    assert b"Traceback" not in err
