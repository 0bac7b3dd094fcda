"""`bide db`: what it prints, and its exit codes."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from bide.runtime.clock import DAY, SystemClock
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.lock import Lock
from tests.cli.conftest import Bide
from tests.store.rows import Book, three_runs, whole_run


@pytest.fixture
def db(tmp_path: Path) -> Path:
    folder = tmp_path / ".bide"
    folder.mkdir(mode=0o700)
    return three_runs(folder / "bide.db")


def test_t18_backup_check_and_restore_at_the_terminal(bide: Bide, db: Path, tmp_path: Path) -> None:
    assert bide("db", "check").out.startswith("ok ")
    said = bide("db", "backup")
    assert said.code == 0, said.err
    [made] = (tmp_path / ".bide" / "backups").iterdir()
    assert said.out.startswith(f"{made}: ")
    assert bide("db", "backup", str(made)).code == 4
    into = json.loads(bide("db", "backup", "copies/", "--json").out)
    assert Path(into["file"]).parent == Path("copies")
    assert (into["runs"], into["wrong"], into["proved"]) == (3, [], "full")
    assert bide("db", "check", "--full", "--db", into["file"]).code == 0
    back = json.loads(bide("db", "restore", str(made), "--json").out)
    assert (back["runs"], back["unfinished"], back["since"]["delivered"]) == (3, 2, 0)
    assert Path(back["kept"]).exists()
    again = bide("db", "restore", str(made))
    assert "lost: what happened in the" in again.out
    assert "the next start takes up what was going" in again.out
    assert bide("db", "check", "--full").code == 0


def test_t18_a_database_that_is_held_is_not_restored(bide: Bide, db: Path, tmp_path: Path) -> None:
    bide("db", "backup", "copy.db")
    lock = Lock(db)
    assert lock.take("runtime", SystemClock().now()) is None
    try:
        said = bide("db", "restore", "copy.db")
    finally:
        lock.release()
    assert said.code == 4
    assert "the service of process" in said.err
    assert "nothing was changed" in said.err


def test_t18_what_is_wrong_is_told_with_what_to_do(bide: Bide, db: Path) -> None:
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.execute("UPDATE task_instance SET state = 'pending' WHERE instance_id = 13")
    db.chmod(0o640)
    said = bide("db", "check")
    assert said.code == 1
    assert "BAD  I2: run 1 is over" in said.out
    assert "chmod 600" in said.out
    found = json.loads(bide("db", "check", "--json").out)
    assert {"what": "file", "found": "bide.db may be read or written by others (mode 0640)"}.items() <= found[
        "wrong"
    ][0].items()
    kept = bide("db", "backup", "copy.db")
    assert kept.code == 1
    assert "neither does its copy" in kept.err
    assert bide("db", "restore", "copy.db").code == 4
    assert bide("db", "restore", "copy.db", "--anyway").code == 0


def test_t18_no_database_is_said(bide: Bide) -> None:
    for words in (("db", "check"), ("db", "backup", "x.db"), ("db", "restore", "x.db")):
        said = bide(*words)
        assert said.code == 3, said
        assert said.err.startswith("bide: there is no ")


def test_p14_prune_at_the_terminal_first_dry_then_for_good(bide: Bide, tmp_path: Path) -> None:
    folder = tmp_path / ".bide"
    folder.mkdir(mode=0o700)
    db = folder / "bide.db"
    writer = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
    book = Book()
    for run_id in range(1, 8):
        for changes, batch in whole_run(book, run_id):
            writer.commit_here(changes, batch)
    writer.close_here()
    (folder / "bide.db.logs").mkdir()
    for [attempt] in sqlite3.connect(db).execute("SELECT attempt_id FROM attempt").fetchall():
        (folder / "bide.db.logs" / f"{attempt}.log").write_text("said\n")
    dry = json.loads(bide("db", "prune", "--keep", "0s", "--last", "2", "--dry-run", "--json").out)
    assert (dry["dry_run"], dry["runs"], dry["removed"]["run"]) == (True, 5, 5)
    assert len(json.loads(bide("runs", "--json").out)) == 7
    assert not list(folder.glob(".bide-dry-run*"))
    (tmp_path / "bide.toml").write_text('[retention]\nkeep = "0s"\n[retention.dags.etl]\nlast = 2\n')
    went = bide("db", "prune")
    assert went.code == 0, went.err
    assert "5 runs went" in went.out
    assert [run["run_id"] for run in json.loads(bide("runs", "--json").out)] == ["7", "6"]
    left = len(list((folder / "bide.db.logs").iterdir()))
    assert left == sqlite3.connect(db).execute("SELECT count(*) FROM attempt").fetchone()[0]
    assert bide("db", "check", "--full").code == 0, bide("db", "check", "--full").out
    assert "0 runs went" in bide("db", "prune").out
    of_audit = "SELECT count(*) FROM audit WHERE who = 'long ago'"
    with closing(sqlite3.connect(db)) as conn, conn:
        conn.executemany(
            "INSERT INTO audit (at_us, who, via, address, verb, target, args, outcome, message)"
            " VALUES (?, 'long ago', '', '', '', '', '', 'ok', '')",
            [(SystemClock().now() - days * DAY,) for days in (500, 399, 100)],
        )
    settings = {each["key"]: each for each in json.loads(bide("config", "show", "--json").out)}
    assert (settings["retention"]["value"]["audit"], settings["retention"]["origin"][-9:]) == (
        "400d",
        "bide.toml",
    )
    for words, left in (
        ((), 2), ((), 2), (("--audit-older-than", "200d"), 1), (("--keep", "3000d", "--audit-older-than", "99d"), 0),
    ):  # fmt: skip
        assert bide("db", "prune", *words).code == 0
        assert sqlite3.connect(db).execute(of_audit).fetchone() == (left,)
    assert "such as 30d" in bide("db", "prune", "--audit-older-than", "30").err
    assert "no span of time" in bide("db", "prune", "--keep", "soon").err
    assert "last is 1 or more" in bide("db", "prune", "--last", "0").err
