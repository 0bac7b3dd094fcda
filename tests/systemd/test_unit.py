"""`bide systemd print|install`: what the unit says, what systemd makes of it, and whose hand has the last word."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from bide.runtime.cli import systemd as terminal
from bide.runtime.errors import UsageError
from bide.runtime.service import unit_facts
from bide.runtime.service.unit import Unit, quoted, unit_text, untouched
from bide.runtime.values import Secret
from tests.cli.conftest import Bide, _alone, bide, environment

__all__ = ["_alone", "bide"]
analyze = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(
    analyze is None, reason="this machine cannot: systemd-analyze is missing (apt-get install systemd)"
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose files anybody may read, as a service's are; where pytest keeps it, nobody may."""
    (tmp_path / "dags").mkdir()
    monkeypatch.setattr(unit_facts, "_strangers_may_read", lambda unit: None)
    monkeypatch.setattr(terminal, "systemd_version", lambda: 255)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path


def lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def test_b73_the_unit_says_who_speaks_what_lives_and_how_it_stops(folder: Path, bide: Bide) -> None:
    said = bide("systemd", "print", "dags", "--slots", "8", "--drain", "2m")
    assert said.code == 0, said.err
    unit = lines(said.out)
    for line in (
        "Type=notify-reload", "WatchdogSec=30", "Restart=on-failure", "KillMode=mixed", "NotifyAccess=main",
        "RestartPreventExitStatus=2 3", "TimeoutStopSec=150", "DynamicUser=yes", "StateDirectory=bide",
        "ProtectSystem=strict", f"WorkingDirectory={folder}", "OOMPolicy=continue", "WantedBy=multi-user.target",
    ):  # fmt: skip
        assert line in unit, line
    (command,) = [line for line in unit if line.startswith("ExecStart=")]
    assert command.endswith(f"serve {folder}/dags --slots 8 --drain 120s")
    assert not [line for line in unit if line.startswith("ExecReload=")]


@pytest.mark.parametrize(
    ("version", "typed"), [("252", "notify"), ("253", "notify-reload"), ("254", "notify-reload")]
)
def test_b73_an_older_systemd_is_told_in_words_that_it_knows(
    folder: Path, bide: Bide, version: str, typed: str
) -> None:
    unit = lines(bide("systemd", "print", "dags", "--for-systemd", version).out)
    assert f"Type={typed}" in unit
    assert ("ExecReload=/bin/kill -HUP $MAINPID" in unit) == (typed == "notify")
    assert ("RestartSteps=10" in unit) == (version == "254")
    assert ("StartLimitBurst=10" in unit) == (version != "254")


@needs_analyze
@pytest.mark.parametrize("run_as", [None, "daemon"])
def test_b73_t8_systemd_finds_nothing_wrong_and_the_score_is_at_most_1_4(
    folder: Path, bide: Bide, run_as: str | None
) -> None:
    version = subprocess.run(
        ["systemctl", "--version"], capture_output=True, text=True, check=True
    ).stdout.split()
    words = ["--for-systemd", version[1], "--write", str(folder), *(["--run-as", run_as] if run_as else [])]
    said = bide("systemd", "print", "dags", *words, "--credential", "token:/etc/token")
    assert said.code == 0, said.err
    place = folder / "bide.service"
    place.write_text(said.out)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(place)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, [e for e in done.stderr.splitlines() if "bide.service" in e]) == (0, []), (
        done.stderr
    )
    score = ["systemd-analyze", "security", "--offline=yes", "--threshold=14", str(place)]
    done = subprocess.run(score, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-200:]
    assert "IPAddressDeny" not in said.out  # with the network open


def test_b73_what_a_person_has_changed_is_never_overwritten(folder: Path, bide: Bide) -> None:
    place = folder / "config" / "systemd" / "user" / "bide.service"
    said = bide("systemd", "install", "--user", "dags")
    assert said.code == 0, said.err
    assert said.out.splitlines()[0] == f"written: {place}"
    assert "systemctl --user daemon-reload" in said.out
    assert "systemctl --user enable --now bide" in said.out
    assert place.stat().st_mode & 0o777 == 0o644
    assert "nothing is changed" in bide("systemd", "install", "--user", "dags").out
    said = bide("systemd", "install", "--user", "dags", "--slots", "3")  # its own, untouched: written anew
    assert (said.code, "--slots 3" in place.read_text()) == (0, True)
    changed = place.read_text().replace("WatchdogSec=30", "WatchdogSec=90")
    place.write_text(changed)
    said = bide("systemd", "install", "--user", "dags")
    assert said.code == 4
    assert "is not as bide wrote it, and is left alone" in said.err
    assert place.read_text() == changed
    place.unlink()
    place.symlink_to("/dev/null")
    said = bide("systemd", "install", "--user", "dags")
    assert (said.code, "masked" in said.err, place.is_symlink()) == (4, True, True)


def test_b73_a_persons_own_unit_serves_the_projects_database_and_mounts_nothing(
    folder: Path, bide: Bide
) -> None:
    unit = lines(bide("systemd", "print", "--user", "dags").out)
    (command,) = [line for line in unit if line.startswith("ExecStart=")]
    assert command.endswith(f"--db {folder}/.bide/bide.db")
    assert not [line for line in unit if line.startswith(("User=", "Protect", "Private", "StateDirectory"))]
    assert "WantedBy=default.target" in unit


def test_b73_without_root_the_system_is_left_alone_with_words(
    folder: Path, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = folder / "file"
    locked.touch()
    monkeypatch.setattr(terminal, "_place", lambda unit: locked / unit.file)
    monkeypatch.setattr(terminal, "_complaints", lambda unit, text: [])
    said = bide("systemd", "install", "dags")
    assert said.code == 4
    assert "say it with sudo, or `bide systemd install --user`" in said.err


def test_b73_what_would_fail_at_the_first_start_is_refused_now(
    tmp_path: Path, bide: Bide, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "systemd_version", lambda: 255)

    def refused(*words: str) -> str:
        said = bide("systemd", "print", *words)
        assert said.code in (2, 3, 4), said.out
        assert len(said.err.splitlines()) == 1
        return said.err

    assert "name DAG files or folders" in refused()
    assert "there is no file or folder" in refused("gone")
    (tmp_path / "dags").mkdir()
    assert "--run-as USER" in refused("dags", "--db", "bide.db")
    assert "a unit's name is of" in refused("dags", "--name", "../up")
    assert "say NAME:/absolute/path" in refused("dags", "--credential", "token")
    assert "there is no" in refused("dags", "--run-as", "daemon", "--write", "nowhere")
    assert "--user and --run-as" in refused("dags", "--user", "--run-as", "ada")
    (tmp_path / "dags").chmod(0o700)
    assert "cannot read" in refused("dags")
    assert "too long for a socket" in refused("dags", "--run-as", "daemon", "--db", "d" * 120)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("/srv/dags", "/srv/dags"),
        ("/srv/my dags", '"/srv/my dags"'),
        ("50%", "50%%"),
        ("$HOME", "$$HOME"),
        ('say "hi"', '"say \\"hi\\""'),
        ("back\\slash", '"back\\\\slash"'),
        ("", '""'),
    ],
)
def test_b73_words_are_taken_literally(word: str, said: str) -> None:
    assert quoted(word, command=True) == said


def test_b73_a_line_of_ones_own_cannot_be_smuggled_in() -> None:
    with pytest.raises(UsageError, match="characters that no unit can hold"):
        quoted("dags\nExecStartPre=/bin/rm")
    with pytest.raises(UsageError, match="characters that no unit can hold"):
        unit_text(Unit(name="bide", command=("bide",), folder=Path("/srv/a\nUser=root")))


def test_b73_the_mark_knows_every_change() -> None:
    text = unit_text(Unit(name="bide", command=("bide", "serve"), folder=Path("/srv")))
    assert untouched(text)
    for n in range(text.index("[Unit]"), len(text), 7):
        assert not untouched(text[:n] + "#" + text[n:])
    assert not untouched("")
    assert not untouched("[Service]\nExecStart=/bin/true\n")


def test_b73_credentials_are_names_and_no_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("unit-canary-99\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert Secret("credential:token").resolve() == "unit-canary-99"
    assert Secret("cred:token").resolve() == "unit-canary-99"
    for ref in ("cred:../token", "credential:/etc/passwd", "cred:.hidden", "cred:"):
        with pytest.raises(UsageError):
            Secret(ref)


def test_b73_the_unit_is_printed_by_a_process_too(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bide", "systemd", "print", "--user", "dags"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert untouched(done.stdout)
    assert os.fspath(tmp_path) in done.stdout
