"""Records in the journal's native protocol, over a real datagram socket; and what becomes of runs, as they say it."""

from __future__ import annotations

import array
import asyncio
import logging
import os
import socket
import struct
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Runtime, dag, task
from bide.runtime.engine.changes import Changes
from bide.runtime.errors import StoreFullError
from bide.runtime.service import chronicle
from bide.runtime.service.chronicle import Chronicle
from bide.runtime.service.journald import Journal, JournalHandler, encoded, is_journal, journal_handler
from bide.runtime.store.names import Named
from bide.runtime.values import redactor


def decoded(data: bytes) -> dict[str, str]:
    """As journald reads it."""
    found: dict[str, str] = {}
    at = 0
    while at < len(data):
        end = data.index(b"\n", at)
        line = data[at:end]
        if b"=" in line:
            name, _, value = line.partition(b"=")
            at = end + 1
        else:
            (length,) = struct.unpack("<Q", data[end + 1 : end + 9])
            name, value = line, data[end + 9 : end + 9 + length]
            assert data[end + 9 + length : end + 10 + length] == b"\n"
            at = end + 10 + length
        found[name.decode()] = value.decode()
    return found


class Journald:
    """The other end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.settimeout(10)
        self.socket.bind(str(path))

    def read(self) -> dict[str, str]:
        data, ancillary, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_LEN(4))
        if not ancillary:
            return decoded(data)
        fds = array.array("i")
        fds.frombytes(ancillary[0][2][:4])
        with os.fdopen(fds[0], "rb") as file:
            file.seek(0)
            return decoded(file.read())


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journald]:
    made = Journald(tmp_path / "journal")
    yield made
    made.socket.close()


@pytest.fixture
def logger(journald: Journald) -> Iterator[logging.Logger]:
    made = logging.getLogger("bide.test.journal")
    handler = JournalHandler(Journal(journald.path))
    made.addHandler(handler)
    made.propagate = False
    made.setLevel(logging.DEBUG)
    yield made
    made.removeHandler(handler)
    handler.close()


@pytest.mark.parametrize(
    ("level", "priority"),
    [("debug", "7"), ("info", "6"), ("warning", "4"), ("error", "3"), ("critical", "2")],
)
def test_b73_a_record_has_its_priority_its_place_and_whose_it_is(
    journald: Journald, logger: logging.Logger, level: str, priority: str
) -> None:
    extra = {"bide_run": 7, "bide_dag": "etl", "bide_task": "load[3]"}
    getattr(logger, level)("it is %s", "so", extra=extra)
    record = journald.read()
    assert record["MESSAGE"] == "it is so"
    assert record["PRIORITY"] == priority
    assert (record["BIDE_RUN"], record["BIDE_DAG"], record["BIDE_TASK"]) == ("7", "etl", "load[3]")
    assert (record["SYSLOG_IDENTIFIER"], record["LOGGER"]) == ("bide", "bide.test.journal")
    assert record["CODE_FILE"] == __file__


def test_b73_a_traceback_is_one_record_and_secrets_are_masked(
    journald: Journald, logger: logging.Logger
) -> None:
    redactor.register("canary-7741-in-the-journal")
    try:
        raise RuntimeError("no entry with canary-7741-in-the-journal")
    except RuntimeError:
        logger.exception("it failed")
    message = journald.read()["MESSAGE"]
    assert message.startswith("it failed\nTraceback")
    assert message.endswith("RuntimeError: no entry with ***")


def test_b73_what_no_datagram_holds_is_sent_all_the_same(journald: Journald, logger: logging.Logger) -> None:
    text = "x" * 700_000 + "\nend"
    logger.info(text)
    assert journald.read()["MESSAGE"] == text


def test_b73_without_a_journal_that_takes_it_a_record_goes_to_stderr(
    journald: Journald, logger: logging.Logger, capfd: pytest.CaptureFixture[str]
) -> None:
    journald.path.unlink()
    logger.error("nobody\nlistens")
    assert capfd.readouterr().err == "<3>nobody\n<3>listens\n"


@given(
    st.dictionaries(st.from_regex(r"[A-Z][A-Z_]{0,20}", fullmatch=True), st.text(max_size=200), min_size=1)
)
def test_b73_no_value_makes_another_field(fields: dict[str, str]) -> None:
    clean = {name: value.encode("utf-8", "replace").decode() for name, value in fields.items()}
    assert decoded(encoded(fields)) == clean


def test_b73_stderr_is_the_journals_only_where_the_environment_says_this_very_stream(tmp_path: Path) -> None:
    with (tmp_path / "stream").open("w") as stream:
        there = os.fstat(stream.fileno())
        env = {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"}
        assert is_journal(env, stream.fileno())
        assert not is_journal({"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino + 1}"}, stream.fileno())
        assert not is_journal({"JOURNAL_STREAM": "8:often"}, stream.fileno())
        assert not is_journal({}, stream.fileno())
    assert not is_journal(env, 999)
    assert journal_handler({}) is None
    assert journal_handler({"JOURNAL_STREAM": "1:1"}, str(tmp_path / "none")) is None


# --- what becomes of runs ------------------------------------------------------------------------


@task(retries=1, retry_delay=timedelta(milliseconds=1))
def breaks() -> None:
    raise RuntimeError("the source is empty")


@task
async def speaks() -> None:
    logging.getLogger("mine").warning("said within")


@dag
def etl() -> None:
    breaks()


@dag
def well() -> None:
    speaks()


async def test_b73_ends_of_runs_and_what_went_wrong_are_said_with_their_names(
    tmp_path: Path, journald: Journald
) -> None:
    handler = JournalHandler(Journal(journald.path))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        async with Runtime(tmp_path / "bide.db", [etl, well]) as rt:
            follows = Chronicle()
            follows.follow(rt)
            await rt.wait(await rt.trigger("etl"))
            await rt.wait(await rt.trigger("well"))
            await follows.close()
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
    journald.socket.setblocking(False)
    records = []
    while True:
        try:
            records.append(journald.read())
        except BlockingIOError:
            break
    handler.close()
    said = {(r.get("BIDE_DAG"), r.get("BIDE_TASK"), r["PRIORITY"], r.get("BIDE_RUN")) for r in records}
    assert ("etl", "breaks", "4", "1") in said  # up for retry: a warning
    assert ("etl", "breaks", "3", "1") in said
    assert ("etl", None, "3", "1") in said
    assert ("well", None, "6", "2") in said
    assert ("well", "speaks", "4", "2") in said  # what a body logs bears its names by itself
    (failed,) = [r for r in records if r.get("BIDE_TASK") == "breaks" and r["PRIORITY"] == "3"]
    assert failed["MESSAGE"].startswith("breaks of run 1 of etl: failed")
    assert "the source is empty" in failed["MESSAGE"]


class Names:
    """A runtime whose commits are told by hand."""

    told: object = None

    def hear(self, told: object) -> None:
        self.told = told

    async def named(self, runs: object, instances: object) -> Named:
        return Named({}, {})


async def test_b73_a_flood_is_counted_and_not_written(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chronicle, "EVERY_S", 0.01)
    house, follows = Names(), Chronicle()
    follows.follow(house)
    flood = Changes()
    flood.events = [(n, 0, 1, "run", n, n, "running", "failed", "x") for n in range(1000)]
    flood.events.append((1, 0, 1, "instance", 1, 1, "ready", "running", ""))  # no news
    follows._committed(flood)
    await asyncio.wait_for(follows.close(), 5)
    assert len(caplog.records) == chronicle.LINES + 1
    assert caplog.records[-1].getMessage().startswith("950 more of such lines are not written")
    follows._committed(Changes())
    assert follows._writing is None  # nothing owed, nothing runs


async def test_b73_what_went_wrong_is_said_without_names_where_the_database_cannot_be_read(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Unread(Names):
        async def named(self, runs: object, instances: object) -> Named:
            raise StoreFullError("out of descriptors")

    house, follows = Unread(), Chronicle()
    follows.follow(house)
    changes = Changes()
    changes.events = [(1, 0, 1, "run", 7, 7, "running", "failed", "")]
    follows._committed(changes)
    await asyncio.wait_for(follows.close(), 5)
    assert [each.getMessage() for each in caplog.records] == ["run 7 of ?: failed"]
