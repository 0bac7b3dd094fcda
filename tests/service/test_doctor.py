"""`bide doctor`: every check is made to find something, and its words are read; and on a sound place all is well."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Runtime, Secret, dag, task
from bide.hooks import GitHub, Webhook
from bide.runtime.clock import DAY, SECOND, SystemClock, from_us
from bide.runtime.errors import RefusedError
from bide.runtime.executor.orphans import boot_id, started_ticks
from bide.runtime.service import doctor_place, operations
from bide.runtime.service.doctor import examine
from bide.runtime.service.keeping import check as db_check
from bide.runtime.service.shapes import Check
from bide.runtime.store.lock import Lock
from bide.runtime.store.migrate import newest_number
from bide.runtime.store.reader import Reader
from tests.cli.conftest import Bide, bide, bide_process
from tests.service.conftest import write_world

__all__ = ["bide", "bide_process"]
GONE = 4_190_000  # no process has such a number


@pytest.fixture(autouse=True)
def _alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("BIDE_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir(mode=0o700)
    return write_world(folder / "bide.db")


def found(db: Path, name: str) -> list[Check]:
    """What the checks of a name say, asked as a terminal does when nobody holds the database."""
    with Reader(db) as reader:
        health = examine(reader, db, SystemClock().now(), None)
    return [check for check in health.checks if check.name == name]


def one(db: Path, name: str) -> Check:
    [check] = found(db, name)
    return check


def change(db: Path, sql: str, *values: Any) -> None:
    with closing(sqlite3.connect(db)) as conn:
        conn.execute(sql, values)
        conn.commit()


def now_us() -> int:
    return SystemClock().now()


# --- a sound place -------------------------------------------------------------------------------


def test_d9_in_a_sound_place_every_check_is_well(home: Path) -> None:
    with Reader(home) as reader:
        checks = examine(reader, home, now_us(), None).checks
    assert [c for c in checks if not c.ok and c.name != "invariant"] == []
    said = {c.name: c.found for c in checks}
    assert said["files"].endswith("nobody else may write")
    assert said["write-ahead log"].endswith("not in the database yet")
    assert said["served"] == "at no socket and no port: no runtime is running"
    assert said["orphans"].startswith("none")
    assert said["clock steps"] == "none in 7 days"
    assert said["setting"] == f"db = {home} (flag)"


def test_p15_of_an_older_schema_is_told_what_can_be_and_nothing_is_called_damaged(
    bide: Bide, home: Path
) -> None:
    change(home, "DROP TABLE hook")  # as of a bide that knew none
    change(home, f"PRAGMA user_version = {newest_number() - 1}")
    said = bide("doctor", "--db", str(home))
    assert said.code == 0, said
    assert "note invariants: not checked, the schema is older" in said.out
    assert "ok   files: " in said.out
    assert "ok   setting: db = " in said.out


# --- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "mode", "words", "ok", "fix"),
    [
        ("", 0o666, "others may write to", False, "`chmod 600"),
        ("", 0o644, "others may read", True, "`chmod 600"),
        (".lock", 0o606, "others may write to", False, "`chmod 600"),
        (".logs", 0o777, "others may write to", False, "`chmod 700"),
        (".logs/7.log", 0o666, "others may write to", False, "`chmod 600"),
    ],
)
def test_t17_a_file_that_others_may_use_is_named_with_what_to_do(
    home: Path, name: str, mode: int, words: str, ok: bool, fix: str
) -> None:
    home.parent.chmod(0o711)
    home.with_name("bide.db.logs").mkdir(mode=0o700, exist_ok=True)
    path = Path(f"{home}{name}")
    if not path.exists():
        path.touch()
    path.chmod(mode)
    wrong = [check for check in found(home, "files") if f"{path} (mode" in check.found]
    assert [(check.ok, check.found.startswith(words), check.advice[: len(fix)]) for check in wrong] == [
        (ok, True, fix)
    ]


def test_t17_a_file_that_others_could_read_lies_in_a_folder_that_they_cannot_enter(home: Path) -> None:
    home.chmod(0o644)
    assert [check.advice for check in found(home, "files")] == [""]


@pytest.mark.parametrize(
    ("mode", "words", "ok"),
    [(0o777, "anybody may write to the folder", False), (0o770, "the group may write to the folder", True)],
)
def test_t17_a_folder_that_others_may_write_to_is_named(home: Path, mode: int, words: str, ok: bool) -> None:
    home.parent.chmod(mode)
    [said] = [check for check in found(home, "files") if check.advice]
    assert (said.found.startswith(words), said.ok) == (True, ok)
    assert said.advice.startswith(f"`chmod {'o' if not ok else 'g'}-w {home.parent}`")


def test_t17_a_socket_that_others_may_connect_to_is_named(home: Path) -> None:
    path = home.with_name("bide.db.sock")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        path.chmod(0o666)
        [wrong] = [check for check in found(home, "files") if not check.ok]
    assert (wrong.found, wrong.advice) == (
        f"others may write to {path} (mode 666)",
        f"`chmod 600 {path}`",
    )


def test_t17_a_file_of_another_user_is_named(home: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("no root: no file can be given away")
    path = home.with_name("bide.db.lock")
    path.touch()
    os.chown(path, 12_345, -1)
    [wrong] = [check for check in found(home, "files") if not check.ok]
    assert wrong.found == f"{path} belongs to user 12345, and the database to user 0"
    assert wrong.advice == f"`chown 0 {path}`"


def test_t18_a_second_name_of_the_database_is_named(home: Path) -> None:
    os.link(home, home.with_name("other.db"))
    wrong = one(home, "database file")
    assert not wrong.ok
    assert "has 2 names" in wrong.found


# --- the log -------------------------------------------------------------------------------------


def test_a_database_without_its_log_is_told_and_wrong_while_a_runtime_holds_it(home: Path) -> None:
    change(home, "PRAGMA journal_mode = DELETE")
    told = one(home, "write-ahead log")
    assert (told.ok, told.found) == (True, "not used, the journal mode is delete")
    lock = Lock(home)
    lock.take("runtime", now_us())
    try:
        assert not one(home, "write-ahead log").ok
    finally:
        lock.release()


def test_a_log_that_a_reader_keeps_from_being_written_back_is_told(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(sqlite3.connect(home)) as reader, closing(sqlite3.connect(home)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM event").fetchone()
        for n in range(3):
            writer.execute("INSERT INTO meta VALUES (?, 1)", (f"x{n}",))
            writer.commit()
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert "3 pages (12 KiB) not in the database yet" in one(home, "write-ahead log").found
        monkeypatch.setattr(doctor_place, "_LONG_LOG", 4096)
        noted = one(home, "write-ahead log")
        assert (noted.ok, f"`fuser -v {home}`" in noted.advice) == (True, True)
        monkeypatch.setattr(doctor_place, "_FAR_BEHIND", 8192)
        assert not one(home, "write-ahead log").ok
        reader.rollback()
        writer.execute("PRAGMA wal_checkpoint(PASSIVE)")
        assert ", 0 pages (0 B) not in the database yet" in one(home, "write-ahead log").found


async def test_t18_a_database_in_use_has_its_own_log_and_is_sound(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "b.db"):
        assert db_check(tmp_path / "b.db").wrong == []


# --- backups, and what was left ----------------------------------------------------------------------


def test_t18_the_age_of_the_newest_backup_is_told(home: Path) -> None:
    assert one(home, "backups").advice == f"`bide db backup --db {home}` makes one there"
    folder = home.parent / "backups"
    folder.mkdir()
    assert (one(home, "backups").ok, one(home, "backups").found) == (
        False,
        f"the folder {folder} holds none of this database",
    )
    for days in (40, 10):
        taken = from_us(now_us() - days * DAY)
        (folder / f"bide-{taken:%Y%m%dT%H%M%S}.000Z.db").write_bytes(b"x" * 2048)
    old = one(home, "backups")
    assert old.ok
    assert old.found.startswith(f"2 in {folder}, the newest 10d old")
    assert old.advice == f"`bide db backup --db {home}` makes a new one"
    fresh = folder / "bide-by-hand.db"
    fresh.write_bytes(b"x")
    assert one(home, "backups").advice == ""
    fresh.write_bytes(b"")
    assert (one(home, "backups").ok, one(home, "backups").found) == (False, f"{fresh} is empty")


@pytest.mark.parametrize(
    "name",
    [
        f".bide-20260615T020000.000Z.db.part-{GONE}",
        f"backups/.bide-20260615T020000.000Z.db.part-{GONE}",
        "bide.db.before-0009.part",
        ".bide-dry-run-abc/bide.db",
        f"bide.db.sock.{GONE}",
    ],
)
def test_t18_what_unfinished_work_left_is_told_and_what_goes_on_is_not(home: Path, name: str) -> None:
    path = home.parent / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(b"x" * 5000)
    left = one(home, "left over")
    shown = path if path.parent in (home.parent, home.parent / "backups") else path.parent
    assert left.found == f"{shown}, 5 KiB, of work that was cut off"
    assert left.advice == f"`rm -r {shown}`: nobody needs it"
    if str(GONE) in name:
        path.rename(path.with_name(path.name.replace(str(GONE), str(os.getpid()))))
        assert found(home, "left over") == []


def test_t18_a_restore_that_was_cut_off_is_wrong(home: Path) -> None:
    home.with_name("bide.db.restoring").touch()
    wrong = one(home, "database file")
    assert not wrong.ok
    assert "a restore was cut off before its end" in wrong.found


# --- settings ------------------------------------------------------------------------------------


def test_each_setting_that_is_no_default_is_told_with_its_origin(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bide.toml").write_text('db = "home/bide.db"\nslots = 3\n')
    monkeypatch.setenv("BIDE_SLOTS", "4")
    file = tmp_path / "bide.toml"
    assert [check.found for check in found(home, "setting")] == [
        f"db = {home} ({file})",
        "slots = 4 (BIDE_SLOTS)",
    ]
    file.write_text("slotz = 3\n")
    wrong = one(home, "settings")
    assert (wrong.ok, wrong.advice) == (False, "correct it: `bide config show --origin`")
    assert "did you mean 'slots'?" in wrong.found


def test_config_show_says_where_each_value_was_set_and_no_secret(
    bide: Bide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "bide.toml"
    file.write_text(
        "slots = 3\nurl = 'http://ada:hunter2@host:1'\n[pools]\ngpu = 2\ntokens = 5\n[[notify]]\nname = 'ops'\n"
        "to = 'slack://hunter2/b/c'\n[openlineage.transport]\ntype = 'http'\nurl = 'http://c:5000'\n"
        "auth = {type = 'api_key', apiKey = 'hunter2'}\n"
    )
    monkeypatch.setenv("BIDE_SLOTS", "4")
    said = bide("config", "show", "--json", "--db", "x.db")
    assert "hunter2" not in said.out
    shown = {each["key"]: each for each in msgspec.json.decode(said.out)}
    assert list(shown["slots"].items()) == [("key", "slots"), ("value", 4), ("origin", "BIDE_SLOTS")]
    assert (shown["db"]["origin"], shown["port"]["origin"]) == ("flag", "default")
    assert shown["pools"] == {"key": "pools", "value": {"gpu": 2, "tokens": 5}, "origin": str(file)}
    assert shown["notify"]["value"][0] == {
        "name": "ops",
        "to": "apprise slack://...",
        "kinds": [],
        "at_least": "info",
    }
    default = msgspec.json.decode(bide("config", "show", "--json").out)[0]
    assert default == {"key": "db", "value": str(tmp_path / ".bide" / "bide.db"), "origin": "default"}
    plain = bide("config", "show").out.splitlines()
    assert plain[0].split() == ["SETTING", "VALUE"]
    with_origin = bide("config", "show", "--origin").out.splitlines()
    assert with_origin[0].split() == ["SETTING", "VALUE", "ORIGIN"]
    assert ["slots", "4", "BIDE_SLOTS"] in [line.split() for line in with_origin]


# --- who serves ----------------------------------------------------------------------------------------


async def test_d12_a_guests_database_in_use_is_looked_at_from_outside_and_from_within(
    bide_process: Bide, tmp_path: Path
) -> None:
    db = tmp_path / "guest" / "b.db"
    async with Runtime(db, slots=5) as runtime:
        health = await runtime.operations.doctor()
        said = {check.name: check.found for check in health.checks}
        assert health.ok, [check for check in health.checks if not check.ok]
        assert said["settings"] == "those of the program that runs it: 5 slots"
        outside = bide_process("doctor", "--db", str(db))
        assert outside.code == 0, outside.out
        assert f"settings: those of process {os.getpid()}, which cannot be asked" in outside.out
        path = db.with_name("b.db.sock")
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
        health = await runtime.operations.doctor()
        assert [(check.name, check.found) for check in health.checks if not check.ok] == [
            ("served", f"nobody answers at {path}")
        ]
    assert one(db, "served").found == f"{path} was left by a service that is gone"
    assert one(db, "served").advice == f"the next `bide serve` takes it; or `rm {path}`"


async def test_a_service_that_commits_nothing_or_is_never_at_rest_is_told_of_without_a_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operations, "_QUIET_S", 0.05)
    async with Runtime(tmp_path / "b" / "b.db") as runtime:
        engine, never = runtime._engine, asyncio.Event()
        monkeypatch.setattr(runtime, "settled", never.wait)
        busy = await runtime.operations.doctor()
        assert busy.ok
        assert busy.checks[-1].found == "not compared with the database: it was never at rest"
        engine.full = "the batch was not written (SQLITE_FULL): it will be tried again"
        health = await runtime.operations.doctor()
        engine.full = ""
        never.set()
        [check] = [check for check in health.checks if not check.ok]
        assert (check.name, check.found) == (
            "commits",
            "nothing can be committed now: the batch was not written (SQLITE_FULL): it will be tried again",
        )
        assert health.checks[-1].found == "not compared with the database: nothing is committed"
        assert (await runtime.operations.doctor()).ok


async def test_a_runtime_that_is_not_open_yet_says_how_it_is_opened(tmp_path: Path) -> None:
    runtime = Runtime(tmp_path / "b.db")
    for ask in (runtime.trigger("d"), runtime.wait("1"), runtime.settled(), runtime.command("pause", {})):
        with pytest.raises(RefusedError, match=r"is not open: use it inside `async with Runtime\("):
            await ask


async def test_ports_and_sockets_are_told_with_their_process(tmp_path: Path) -> None:
    db = tmp_path / "b.db"
    with socket.socket() as near, socket.socket() as far, socket.socket(socket.AF_UNIX) as here:
        near.bind(("127.0.0.1", 0))
        far.bind(("0.0.0.0", 0))
        here.bind(str(tmp_path / "b.db.sock"))
        for each in (near, far, here):
            each.listen()
        async with Runtime(db) as runtime:
            checks = {c.found: c for c in (await runtime.operations.doctor()).checks if c.name == "served"}
            await runtime.operations.tokens.create("ci", "run")
            again = {c.found for c in (await runtime.operations.doctor()).checks if c.name == "served"}
        by = f"by process {os.getpid()}"
        assert f"unix {tmp_path / 'b.db.sock'} {by}" in checks
        assert f"tcp 127.0.0.1:{near.getsockname()[1]} {by}" in checks
        public = f"tcp 0.0.0.0:{far.getsockname()[1]} {by}"
        assert checks[f"{public}, and no token lives"].advice.startswith(
            "`bide token create NAME --scope run"
        )
        assert public in again


# --- orphans -----------------------------------------------------------------------------------------


@pytest.fixture
def lasting() -> Iterator[Callable[[], int]]:
    made: list[subprocess.Popen[bytes]] = []

    def start() -> int:
        made.append(subprocess.Popen(["sleep", "600"], start_new_session=True))
        return made[-1].pid

    yield start
    for each in made:
        os.kill(each.pid, signal.SIGKILL)
        each.wait()


async def test_i12_a_process_that_nobody_holds_is_named(home: Path, lasting: Callable[[], int]) -> None:
    pid = lasting()
    row = (pid, started_ticks(pid), boot_id())
    change(home, "INSERT INTO process SELECT min(attempt_id), ?, ?, ? FROM attempt", *row)
    orphan = one(home, "orphan")
    assert not orphan.ok
    assert orphan.found.startswith(f"process {pid} (sleep) of attempt ")
    assert orphan.found.endswith(" lives, and nobody holds it")
    assert orphan.advice == f"the next start ends it: `bide serve`; or `kill -KILL {pid}`"
    change(home, "UPDATE process SET started = started + 1")  # another process has its number by now
    assert one(home, "orphans").ok


async def test_i12_a_living_runtime_holds_its_own_and_names_what_it_does_not(
    tmp_path: Path, lasting: Callable[[], int]
) -> None:
    db, pid = tmp_path / "b.db", lasting()

    @task
    async def one_task() -> int:
        return 1

    @dag
    def quick() -> None:
        one_task()

    async with Runtime(db, [quick]) as runtime:
        assert (await (await runtime.trigger(quick)).wait()).ok
        change(db, "INSERT INTO process VALUES (1, ?, ?, ?)", pid, started_ticks(pid), boot_id())
        [orphan] = [c for c in (await runtime.operations.doctor()).checks if c.name == "orphan"]
        assert (orphan.ok, orphan.advice) == (False, f"`kill -KILL {pid}`")


# --- hooks and notices ---------------------------------------------------------------------------------


async def test_b65_a_hook_that_cannot_check_who_sends_is_named(
    bide: Bide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    @task
    async def build_it() -> None: ...

    @dag
    def build() -> None:
        build_it()

    db = tmp_path / "b.db"
    hook = Webhook("github", dag="build", scheme=GitHub(Secret("env:NO_SUCH_SECRET")))
    async with Runtime(db, [build], hooks=[hook]) as runtime:

        async def said() -> Check:
            [check] = [c for c in (await runtime.operations.doctor()).checks if c.name == "hook"]
            return check

        await runtime.settled()
        missing = await said()
        assert not missing.ok
        assert (
            "github (github) cannot check who sends: the secret 'env:NO_SUCH_SECRET' cannot be read"
            in missing.found
        )
        assert missing.advice.startswith("give the service the secret")
        monkeypatch.setenv("NO_SUCH_SECRET", "short")
        assert "8 characters or more" in (await said()).found
        monkeypatch.setenv("NO_SUCH_SECRET", "a secret of some length")
        assert ((await said()).ok, (await said()).found) == (True, "github (github) has its secret")
        monkeypatch.delenv("NO_SUCH_SECRET")
        [line] = await runtime.operations.hooks.listed()
        assert line.unchecked == "the secret 'env:NO_SUCH_SECRET' cannot be read"
        assert (
            "warning" not in (await asyncio.to_thread(bide, "hooks", "--db", str(db))).err
        )  # its own, unseen
    said_so = (await asyncio.to_thread(bide, "hooks", "--db", str(db))).err
    assert said_so.startswith(
        "warning: the hook 'github' cannot check who sends: the secret 'env:NO_SUCH_SECRET' cannot be read; set it"
    )
    monkeypatch.setenv("NO_SUCH_SECRET", "a secret of some length")
    assert one(db, "hook").ok
    monkeypatch.delenv("NO_SUCH_SECRET")
    told = one(db, "hook")
    assert (told.ok, told.advice.startswith("`bide serve` needs it")) == (True, True)
    assert "in a service that is started here" in told.found


def test_b66_notices_that_did_not_arrive_are_told_when_nothing_runs(home: Path) -> None:
    assert found(home, "notices") == []
    change(
        home,
        "INSERT INTO notice (route, key, kind, severity, state, count, title, made_us, from_us, next_us, attempts, error)"
        " VALUES ('pager', 'failure:x', 'failure', 'major', 'pending', 1, 'x', 1, 1, 1, 4, 'connection refused')",
    )
    change(home, "INSERT INTO notice_off VALUES ('desk', 't', 1000000, 'answered 410')")
    off, stuck = found(home, "notices")
    assert (off.ok, off.found) == (False, "desk: off since 1970-01-01T00:00:01Z: answered 410")
    assert (stuck.ok, stuck.found) == (False, "pager: 1 not taken after 4 tries: connection refused")
    assert stuck.advice == "`bide notify test pager`, then `bide notify retry --route pager`"


# --- the clock ---------------------------------------------------------------------------------------


def test_p9_steps_of_the_clock_are_told_and_many_in_a_day_are_wrong(home: Path) -> None:
    step = "INSERT INTO event (at_us, epoch, subject, subject_id, was, now, reason) VALUES (?, 1, 'clock', 0, '', 'stepped', ?)"
    change(home, step, now_us() - 8 * DAY, "the wall clock moved by -9.000 s")
    assert one(home, "clock steps").found == "none in 7 days"
    change(home, step, now_us() - 2 * DAY, "the wall clock moved by -7.000 s")
    change(home, step, now_us() - 60 * SECOND, "the wall clock moved by +3.250 s")
    noted = one(home, "clock steps")
    assert noted.ok
    assert noted.found.startswith("2 in 7 days, 1 in the last one; the last at ")
    assert noted.found.endswith("the wall clock moved by +3.250 s")
    assert "`timedatectl status`" in noted.advice
    for _ in range(19):
        change(home, step, now_us() - SECOND, "the wall clock moved by +1.000 s")
    assert not one(home, "clock steps").ok


# --- how it is printed -----------------------------------------------------------------------------------


def test_in_a_terminal_no_line_is_longer_than_it_and_in_a_pipe_each_check_is_one(
    bide: Bide, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    piped = bide("doctor", "--db", str(home)).out.splitlines()
    assert sum(line.startswith(("ok   ", "note ", "BAD  ")) for line in piped[:-1]) == len(
        msgspec.json.decode(bide("doctor", "--db", str(home), "--json").out)["checks"]
    )
    assert piped[-1].split()[1:3] in (["of", piped[-1].split()[2]], ["checks,", "nothing"])
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    shown = bide("doctor", "--db", str(home)).out.splitlines()
    assert len(shown) > len(piped)
    assert [line for line in shown if len(line) > 80 and " " in line.strip()] == []
