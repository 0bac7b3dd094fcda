"""`bide events`: past ones, and those that come, whoever holds the database."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import pytest

from bide import Context, Runtime, dag, task
from bide.runtime.cli.events import event_words, subject_words
from bide.runtime.clock import SystemClock
from bide.runtime.service.client import Client
from bide.runtime.service.event_shapes import EventLine
from bide.runtime.service.feed import frame
from bide.runtime.service.following import Following, Told
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.places import socket_of
from bide.runtime.store.feed import FeedLine
from tests.cli.conftest import Bide


@task
async def load() -> None:
    pass


@dag
def orders() -> None:
    load()


gate = asyncio.Event()


@task
async def first() -> None:
    await gate.wait()


@task
async def second(ctx: Context) -> None:
    ctx.log.info("hello")


@dag
def chained() -> None:
    first() >> second()


class Follower:
    """Follows in a thread of its own, as the terminal does in its process."""

    def __init__(self, db: Path) -> None:
        self.of = Following(db, SystemClock(), kind="run")
        self.notes: list[str] = []
        self.runs: list[str] = []
        self._more = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        for each in self.of:
            if isinstance(each, Told):
                self.notes.append(each.text)
            elif each.now == "success":
                self.runs.append(str(each.run_id))
            self._more.set()

    async def until(self, notes: int = 0, runs: int = 0) -> None:
        async with asyncio.timeout(20):
            while len(self.notes) < notes or len(self.runs) < runs:
                await asyncio.to_thread(self._more.wait, 1)
                self._more.clear()

    def close(self) -> None:
        self.of.close()
        self._thread.join(5)
        assert not self._thread.is_alive()


@asynccontextmanager
async def service(db: Path) -> AsyncIterator[Runtime]:
    listener = Listener(socket_of(db))
    async with (
        Runtime(db=db, dags=[orders, chained], watchdog=False) as runtime,
        serving(listener.socket, runtime.asgi, runtime.end_streams),
    ):
        yield runtime
    listener.close()


async def ran(runtime: Runtime) -> str:
    made = await runtime.trigger(orders)
    assert (await made.wait(20)).state == "success"
    return made.run_id


async def test_a_terminal_follows_whoever_holds_the_database_and_says_so(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with service(db) as runtime:
        first = await ran(runtime)
    follower = Follower(db)
    await follower.until(notes=1)
    assert "no runtime holds" in follower.notes[0]
    async with Runtime(db=db, dags=[orders], watchdog=False) as runtime:  # a guest: no socket
        second = await ran(runtime)
        await follower.until(notes=2, runs=1)
        assert "offers no socket" in follower.notes[1]
    async with service(db) as runtime:
        third = await ran(runtime)
        await follower.until(runs=2)
    async with service(db) as runtime:
        fourth = await ran(runtime)
        await follower.until(runs=3)
        follower.close()
        await asyncio.sleep(0)
    assert first not in follower.runs
    assert follower.runs == [second, third, fourth], "each once, across the ends of who held it"


class Cut(Client):
    """A service whose connections break off after so many bytes, whatever was being sent."""

    def __init__(self, after: int) -> None:
        self.after, self.asked = after, list[str | None]()

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str | None], quiet_s: float) -> Iterator[Iterator[bytes]]:
        since = int(query["since"] or 0)
        self.asked.append(query["since"])
        lines = [
            FeedLine(seq, seq, "dag", 1, None, "orders", None, None, None, None, "", "on", "")
            for seq in (9, 10, 11)
        ]
        told = b"retry: 2000\nid: %d\n\n" % since + b"".join(
            frame(each) for each in lines if each.seq > since
        )
        told = told if len(self.asked) > 1 else told[: self.after]
        yield iter(io.BytesIO(told).readline, b"")


def test_a_stream_that_breaks_off_anywhere_loses_nothing_and_tells_nothing_twice(tmp_path: Path) -> None:
    for after in range(0, 720, 7):
        told = []
        for each in Following(tmp_path / "bide.db", SystemClock(), "8", elsewhere=Cut(after)):
            assert not isinstance(each, Told)
            told.append(each.id)
            if told[-1] == "11":
                break
        assert told == ["9", "10", "11"], after


async def test_a_log_is_followed_from_before_its_attempt_begins(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    async with service(db) as runtime:
        run = await runtime.trigger(chained)
        following = asyncio.create_task(
            asyncio.to_thread(bide, "logs", f"{run.run_id}/second", "-f", "--db", str(db))
        )
        async with asyncio.timeout(20):
            while not runtime.feed().readers:  # it waits for the task to begin, and asks nothing meanwhile
                await asyncio.sleep(0.01)
        gate.set()
        said = await following
    assert (said.code, said.out.split()[-1]) == (0, "hello")


async def test_past_events_as_lines_and_as_json(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db=db, dags=[orders], watchdog=False) as runtime:
        await ran(runtime)
    said = await asyncio.to_thread(bide, "events", "--db", str(db), "--kind", "task")
    assert [line.split()[2:] for line in said.out.splitlines()] == [
        ["run", "1", "orders.load", "pending", "→", "ready"],
        ["run", "1", "orders.load", "ready", "→", "running"],
        ["run", "1", "orders.load", "running", "→", "success"],
    ]
    found = msgspec.json.decode(
        (await asyncio.to_thread(bide, "events", "--db", str(db), "--json", "--limit", "2")).out
    )
    assert [each["kind"] for each in found] == ["task", "run"]
    for words, code in ((("--run", "9"), 3), (("--kind", "rum"), 2), (("--since", "soonish"), 2)):
        assert (await asyncio.to_thread(bide, "events", "--db", str(db), *words)).code == code


SHOWN = EventLine(
    id="7", at="2026-06-15T02:00:00.123456Z", kind="task", number="4", dag="orders", run_id="12", task="load",
    map_index=3, attempt=None, asset=None, was="running", now="failed", reason="OSError: no\nroute to the host " * 9,
)  # fmt: skip


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_a_line_fits_the_terminal(width: int) -> None:
    line = event_words(SHOWN, width)
    assert len(line) <= max(width, 52)
    assert line.startswith("02:00:00.123" if width >= 100 else "02:00:00 ")
    assert "run 12" in line
    assert "✗ failed" in line
    assert ("OSError: no route" in line) is (width >= 80), "why it failed is what is looked for"


def test_of_a_long_name_the_task_is_kept() -> None:
    line = event_words(msgspec.structs.replace(SHOWN, dag="waiting_for_the_partner_file"), 80)
    assert line.split()[3].endswith("load[3]")
    assert len(line) <= 80


def test_a_line_that_is_piped_is_whole() -> None:
    line = event_words(SHOWN)
    assert line.startswith("2026-06-15 02:00:00.123Z  run 12    orders.load[3]")
    assert line.count("OSError") == 9
    assert "\n" not in line


def test_what_has_moved_is_named_as_people_name_it() -> None:
    of = msgspec.structs.replace
    none = of(SHOWN, task=None, map_index=-1, run_id=None, dag=None)
    named = {
        subject_words(each)
        for each in (
            SHOWN,
            of(SHOWN, kind="run"),
            of(SHOWN, kind="attempt", attempt=2),
            of(SHOWN, kind="wait", number="5"),
            of(none, kind="version", number="8", asset="gold"),
            of(none, kind="clock", number="0"),
            of(none, kind="dag", dag="orders"),
            of(none, kind="backfill", number="2", dag="orders"),
        )
    }
    assert named == {
        "orders.load[3]", "orders", "orders.load[3] #2", "wait 5 of orders.load[3]", "gold version 8", "clock",
        "backfill 2 of orders",
    }  # fmt: skip
