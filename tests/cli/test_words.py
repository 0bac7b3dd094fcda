"""What is typed and what is shown: help, words that are not understood, instants in tables."""

from __future__ import annotations

import logging
import re
from pathlib import Path

import msgspec
import pytest

from bide.runtime.cli.serve import speaks
from tests.cli.conftest import Bide
from tests.service.conftest import write_world


@pytest.fixture
def world(tmp_path: Path) -> str:
    return str(write_world(tmp_path / "world.db"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["rnu"], "bide has no command 'rnu': did you mean `bide run`?"),
        (["frobnicate"], "there are action, alerts, "),
        (["waits", "lst"], "did you mean `bide waits list`?; see `bide waits --help`"),
        (["trigger"], "`bide trigger` needs a DAG: see `bide trigger --help`"),
        (["waits", "extend"], "extend which wait? `bide waits extend WAIT`, or `bide waits extend --where"),
        (["assets", "show"], "`bide assets show` needs an ASSET: see"),
        (["show", "1", "2"], "`bide show` takes no '2' there"),
        (["runs", "--limt", "5"], "Did you mean --limit? see `bide runs --help`"),
        (["run", "a.py", "--db"], "--db needs a value"),
        (["runs", "--limit", "x"], "--limit is 'x', and must be a whole number: see `bide runs --help`"),
        (["run", "a.py", "--slots", "many"], "--slots is 'many', and must be a whole number"),
        (["run", ""], "which DAG?"),
        (["run", "a.py", "--slots", "0"], "--slots is 0"),
    ],
)
def test_words_that_are_not_understood_are_answered_in_one_sentence(
    bide: Bide, words: list[str], says: str
) -> None:
    said = bide(*words)
    assert said.code == 2, said
    assert says in said.err
    assert said.err.count("\n") == 1


def test_help_names_every_argument_and_the_exit_codes(bide: Bide) -> None:
    assert "130 interrupted" in re.sub(r"\s+", " ", bide("--help").out)
    for command in ("run", "serve", "show", "why", "logs", "mark", "rerun", "trigger", "pause"):
        out = bide(command, "--help").out
        arguments = out[out.index("Arguments") :].split("Parameters")[0]
        for line in arguments.splitlines()[1:]:
            words = line.strip("│ *").replace("[required]", "").split()
            assert len(words) > 2 or not words, f"{command}: {line}"
        assert "default: False" not in out


def test_help_is_a_word_too_and_export_is_that_of_incidents(bide: Bide, world: str) -> None:
    assert bide("help").out == bide("--help").out
    assert bide("help", "waits", "look").out == bide("waits", "look", "--help").out
    assert bide("help", "frobnicate").code == 2
    said = bide("export", "7", "--db", world)
    assert (said.code, said.err) == (3, bide("incident", "export", "7", "--db", world).err)


def test_version_and_logs_have_json_too(bide: Bide, world: str) -> None:
    assert msgspec.json.decode(bide("version", "--json").out)["version"]
    said = msgspec.json.decode(bide("logs", "2", "drop", "--json", "--db", world).out)
    assert set(said) == {"attempt", "text", "next_offset", "over"}


def test_tables_show_instants_to_the_second_and_waits_how_long(bide: Bide, world: str) -> None:
    assert not re.search(r"\d\.\d{6}", bide("runs", "--db", world).out)
    out = bide("waits", "--db", world).out
    assert "DEADLINE" in out
    assert re.search(r"\b(in|ago)\b", out)
    assert max(map(len, out.splitlines())) < 120


def test_a_wrong_limit_is_answered_the_same_with_and_without_a_service(bide: Bide, world: str) -> None:
    assert "a limit of 0 cannot be" in bide("runs", "--limit", "0", "--db", world).err


def test_work_for_nobody_is_said(bide: Bide, world: str) -> None:
    said = bide("trigger", "etl", "--new", "--db", world)
    assert said.code == 0
    assert "no runtime holds this database" in said.err
    assert "bide serve" in said.err


def test_a_wait_that_a_person_satisfied_says_so(bide: Bide, world: str) -> None:
    assert bide("waits", "satisfy", "2", "--db", world).code == 0
    assert "satisfied by hand" in bide("why", "2", "drop", "--db", world).out


def test_a_table_is_folded_where_the_terminal_is_narrower_and_never_in_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from bide.runtime.cli.output import print_table

    rows = [
        (
            "7",
            "a file that is waited for at /var/spool/incoming/2026-06-15.csv, once " * 2,
            "2026-06-15 02:00:00Z",
        )
    ]
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    print_table(("wait", "for", "since"), rows, "")
    assert len(capsys.readouterr().out.splitlines()) == 2
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_table(("wait", "for", "since"), rows, "")
    shown = capsys.readouterr().out.splitlines()
    assert len(shown) > 2
    assert max(map(len, shown)) <= 80
    assert " ".join(" ".join(line[6:58].split()) for line in shown[1:]) == " ".join(rows[0][1].split())
    assert shown[1].endswith("2026-06-15 02:00:00Z")
    monkeypatch.setenv("COLUMNS", "40")  # what cannot be folded is left to the terminal
    print_table(("a", "b"), [("2026-06-15 02:00:00Z", "2026-06-15 02:00:00Z")], "")
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_the_paragraphs_of_a_help_are_folded_where_the_terminal_ends_and_nowhere_else(
    bide_process: Bide,
) -> None:
    said = bide_process("db", "prune", "--help").out
    assert [line for line in said.splitlines() if line and len(line) < 40 and line.endswith("what is")] == []
    assert "says what is kept" in " ".join(said.split())
    assert said.count("Examples:") == 1


def test_t17_a_service_logs_no_address_that_a_sensor_looks_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """The HTTP library has a line for each request, with its whole query; sensors look every few seconds."""
    levels = {name: logging.getLogger(name).level for name in ("", "httpx", "httpx2")}
    monkeypatch.setattr(logging, "basicConfig", lambda **said: logging.getLogger().setLevel(said["level"]))
    try:
        speaks("info", None)
        assert not any(logging.getLogger(name).isEnabledFor(logging.INFO) for name in ("httpx", "httpx2"))
        assert logging.getLogger("bide.runs").isEnabledFor(logging.INFO)
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
