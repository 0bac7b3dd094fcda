"""The live feed over a real socket: what is committed arrives, nothing twice, and nobody is in the way."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from starlette.types import ASGIApp

from bide import Runtime, dag, task
from bide.runtime.errors import NotFoundError, UnreachableError, UsageError
from bide.runtime.service import feed as feeds
from bide.runtime.service import feed_api
from bide.runtime.service.caller import Caller
from bide.runtime.service.feed import Feed, FeedReader
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.store.feed import ALL, Page, Wanted


@task
async def load() -> int:
    return 1


@task
async def send() -> None:
    pass


@dag
def orders() -> None:
    load() >> send()


@dag
def other() -> None:
    load()


class Stream:
    """A client of the feed on a socket of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.place = ""
        self.heads = ""

    @classmethod
    async def to(cls, path: Path, query: str = "", under: str = "", **headers: str) -> Stream:
        made = cls(*await asyncio.open_unix_connection(str(path), limit=2**22))
        more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        made._writer.write(f"GET {under}/api/v1/events{query} HTTP/1.1\r\nHost: bide\r\n{more}\r\n".encode())
        async with asyncio.timeout(20):
            made.heads = (await made._reader.readuntil(b"\r\n\r\n")).decode()
        if made.heads.startswith("HTTP/1.1 200"):
            await made.line("retry: ")
            await made.line("id: ")
        return made

    async def line(self, begins: str) -> str:
        """The rest of the next line that begins so; "" where the stream ends before."""
        async with asyncio.timeout(20):
            while line := (await self._reader.readline()).decode():
                if line.startswith("id: "):
                    self.place = line[4:].strip()
                if line.startswith(begins):
                    return line.removeprefix(begins).strip()
        return ""

    async def events(self, until: str) -> list[dict[str, Any]]:
        """What comes up to the first whose run, or task, has gone to `until`."""
        found: list[dict[str, Any]] = []
        while data := await self.line("data: "):
            found.append(msgspec.json.decode(data))
            if f"{found[-1]['kind']} {found[-1]['now']}" == until:
                break
        return found

    async def rest(self) -> bytes:
        async with asyncio.timeout(20):
            return await self._reader.read()

    def close(self) -> None:
        self._writer.close()


class House:
    def __init__(self, runtime: Runtime, path: Path) -> None:
        self.runtime, self.path = runtime, path
        self.streams: list[Stream] = []

    async def stream(self, query: str = "", **headers: str) -> Stream:
        made = await Stream.to(self.path, query, **headers)
        self.streams.append(made)
        return made

    async def run(self, of: str = "orders") -> str:
        made = await self.runtime.trigger(of)
        assert (await made.wait(20)).state == "success"
        return made.run_id

    @property
    def readers(self) -> int:
        return self.runtime.feed().readers

    async def alone(self) -> None:
        """Nobody listens any more."""
        async with asyncio.timeout(20):
            while self.readers:
                await asyncio.sleep(0.01)


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    async with Runtime(db=folder / "bide.db", dags=[orders, other], watchdog=False) as runtime:
        listener = Listener(folder / "s")
        it = House(runtime, listener.path)
        try:
            async with serving(
                listener.socket, runtime.asgi, runtime.end_streams, told=runtime.at_the_doors.refuse
            ):
                yield it
        finally:
            for stream in it.streams:
                stream.close()
            listener.close()


async def test_what_is_committed_is_told_at_once_and_in_order(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        stream = await it.stream("?kind=run,task")
        assert "text/event-stream" in stream.heads
        await it.run()
        found = await stream.events("run success")
        assert [(each["task"], each["now"]) for each in found if each["kind"] == "task"] == [
            ("load", "ready"), ("load", "running"), ("load", "success"),
            ("send", "ready"), ("send", "running"), ("send", "success"),
        ]  # fmt: skip
        assert {each["dag"] for each in found} == {"orders"}
        numbers = [int(each["id"]) for each in found]
        assert numbers == sorted(set(numbers))
        stream.close()


async def test_a_reader_that_comes_back_is_told_what_it_missed_and_nothing_twice(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        stream = await it.stream()
        await it.run()
        before = await stream.events("run success")
        place = stream.place
        stream.close()
        await it.alone()
        await it.run("other")
        again = await it.stream("?since=0", Last_Event_ID=place)
        missed = await again.events("run success")
        assert {each["dag"] for each in missed} == {"other"}
        live = asyncio.create_task(again.events("run success"))
        await it.run("other")
        everything = [each["id"] for each in (*before, *missed, *await live)]
        journal = await it.runtime.operations.events(since="0", limit=1000)
        assert everything == [each.id for each in journal if int(each.id) >= int(everything[0])]
        again.close()


async def test_news_only_unless_it_is_said_from_where(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        first = await it.run()
        news = await it.stream("?kind=run")
        whole = await it.stream("?kind=run&since=0")
        lately = await it.stream("?kind=run&since=1h")
        second = await it.run()
        assert {each["run_id"] for each in await news.events("run success")} == {second}
        for stream in (whole, lately):
            assert {each["run_id"] for each in await stream.events("run success")} == {first}
            assert {each["run_id"] for each in await stream.events("run success")} == {second}


async def test_a_reader_hears_of_what_it_asks_for_alone(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        of_dag = await it.stream("?dag=other&kind=run")
        of_run = await it.stream(f"?run={await it.run()}&since=0&kind=task")
        await it.run()
        await it.run("other")
        assert {each["dag"] for each in await of_dag.events("run success")} == {"other"}
        assert {each["task"] for each in await of_run.events("task success")} == {"load"}


async def test_what_cannot_be_meant_is_a_problem_and_no_stream(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        for query, status, words in (
            ("?kind=rum", 422, "no kind of event"),
            ("?run=77", 404, "no run 77"),
            ("?dag=oders", 404, "did you mean 'orders'?"),
            ("?since=tomorrowish", 422, "no place in the journal"),
        ):
            stream = await it.stream(query, Connection="close")
            assert stream.heads.startswith(f"HTTP/1.1 {status}"), stream.heads
            assert words in (await stream.rest()).decode()
        stream = await it.stream("", Last_Event_ID="x", Connection="close")
        assert stream.heads.startswith("HTTP/1.1 422")
        assert not it.readers


async def test_nobody_listening_costs_nothing(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        hooks = it.runtime._shell.listeners
        others = list(hooks)
        one, two = await it.stream(), await it.stream()
        assert len(hooks) == len(others) + 1, "one hook for all"
        one.close()
        two.close()
        await it.alone()
        assert hooks == others
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "bide:feed"]


async def test_a_client_that_stops_reading_is_cut_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed_api, "SEND_S", 0.3)
    monkeypatch.setattr(feeds, "RING_BYTES", 20_000)
    async with house(tmp_path):
        pass
    _lines(tmp_path / "bide.db", 4_000)
    async with house(tmp_path) as it:
        well = await it.stream("?kind=run")
        sockets = _sockets()
        with socket.socket(socket.AF_UNIX) as frozen:
            frozen.connect(str(it.path))
            frozen.sendall(b"GET /api/v1/events?since=0 HTTP/1.1\r\nHost: bide\r\n\r\n")
            async with asyncio.timeout(20):
                while it.readers < 2:
                    await asyncio.sleep(0.001)
                sizes = []
                while it.readers == 2:  # it never reads a byte; all others go on
                    await it.run()
                    assert (await well.events("run success"))[-1]["now"] == "success"
                    sizes.append(it.runtime.feed().kept_bytes)
                while _sockets() > sockets + 1:
                    await asyncio.sleep(0.001)  # the server's end is closed, though not all of it was taken
        assert it.runtime.at_the_doors.refused == {"slow_reader": 1}
        assert sizes
        assert max(sizes) < 40_000, "what is kept has a bound"


def _sockets() -> int:
    found = 0
    for each in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # the listing's own
            found += str(each.readlink()).startswith("socket:")
    return found


def _lines(db: Path, many: int) -> None:
    """A journal of so many more lines, as long ones are."""
    with contextlib.closing(sqlite3.connect(db)) as conn, conn:
        conn.execute(
            "WITH RECURSIVE n (seq) AS (SELECT max(seq) + 1 FROM event UNION ALL SELECT seq + 1 FROM n LIMIT ?) "
            "INSERT INTO event SELECT seq, 1, 1, 'dag', 1, NULL, '', 'told', printf('%.*c', 200, 'x') FROM n",
            (many,),
        )


async def test_a_reader_further_behind_than_is_kept_is_told_out_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "RING_BYTES", 1)
    monkeypatch.setattr(feeds, "PAGE", 3)
    async with house(tmp_path) as it:
        feed = it.runtime.feed()
        reader = await feed.open()
        begins = reader.seq
        for _ in range(4):
            await it.run()
        newest = int((await it.runtime.operations.events(limit=1))[0].id)
        async with asyncio.timeout(20):
            while feed.seq < newest:
                await asyncio.sleep(0.01)
        assert feed.kept_after > begins, "the ring has forgotten where the reader stands"
        text = b""
        async with asyncio.timeout(20):
            async for piece in reader:
                text += piece
                if reader.seq == newest:
                    reader.end()
        told = [int(line[4:]) for line in text.splitlines() if line.startswith(b"id: ")]
        assert told == list(range(begins, newest + 1))
        feed.leave(reader)


async def test_one_who_follows_a_quiet_run_asks_nothing_of_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as it:
        quiet, _ = await it.run(), await it.run()
        feed, asked = it.runtime.feed(), 0

        async def counted(seq: int, wanted: Wanted = ALL) -> Page:
            nonlocal asked
            asked += 1
            return await Feed.page(feed, seq, wanted)

        monkeypatch.setattr(feed, "page", counted)
        reader = await feed.open(Wanted(run_id=int(quiet)), after=0)
        text = b""

        async def followed() -> None:
            nonlocal text
            async for piece in reader:
                text += piece

        following = asyncio.create_task(followed())
        async with asyncio.timeout(20):
            while reader.seq < feed.seq:
                await asyncio.sleep(0.01)
        before = asked
        await asyncio.sleep(0.05)
        assert asked == before, "it waits for the next commit"
        await it.run()
        await it.runtime.operations.rerun(quiet, whole=True)
        await it.runtime.wait(quiet, 20)
        lines = [int(each.id) for each in await it.runtime.operations.events("0", run=quiet)]
        async with asyncio.timeout(20):
            while reader.seq < lines[-1]:
                await asyncio.sleep(0.01)
        reader.end()
        await following
        assert [int(line[4:]) for line in text.splitlines() if line.startswith(b"id: ")] == [0, *lines]
        feed.leave(reader)


async def test_one_who_asks_for_the_feed_while_it_ends_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as it:
        feed = it.runtime.feed()
        monkeypatch.setattr(feeds, "READERS", 1)
        found = await asyncio.gather(feed.open(), feed.open(), return_exceptions=True)
        came = [one for one in found if isinstance(one, FeedReader)]
        assert len(came) == 1, "who is there already is counted when the other comes in"
        feed.leave(came[0])
        opening = asyncio.create_task(feed.open())
        await asyncio.sleep(0)  # it asks the database where the journal ends
        feed.close()
        with pytest.raises(UnreachableError, match="stopping"):
            await opening
        assert "bide:feed" not in {one.get_name() for one in asyncio.all_tasks() if not one.cancelling()}


async def test_a_stream_may_be_ended_by_several_at_once(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        reader = await it.runtime.feed().open()
        sending = asyncio.create_task(reader.sent(asyncio.sleep(60), 60))
        await asyncio.sleep(0)
        reader.end()  # it leaves, and before it has left its token is revoked and the runtime stops
        for _ in range(3):
            await asyncio.sleep(0)
            reader.end()
        with pytest.raises(TimeoutError):
            await sending
        it.runtime.feed().leave(reader)


async def test_a_fault_while_the_feed_tells_ends_it_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "_AGAIN_S", 0.01)
    async with house(tmp_path) as it:
        feed, faults = it.runtime.feed(), 1

        async def faulty(seq: int, wanted: Wanted = ALL) -> Page:
            nonlocal faults
            if faults:
                faults -= 1
                raise OverflowError("an instant beyond the calendar")
            return await Feed.page(feed, seq, wanted)

        monkeypatch.setattr(feed, "page", faulty)
        stream = await it.stream("?kind=run")
        await it.run()
        assert (await stream.events("run success"))[-1]["now"] == "success"


async def test_there_is_a_most_of_readers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feeds, "READERS", 2)
    async with house(tmp_path) as it:
        streams = [await it.stream(Connection="close") for _ in range(3)]
        assert [stream.heads.split()[1] for stream in streams] == ["200", "200", "503"]
        for stream in streams:
            stream.close()
        await it.alone()
        assert (await it.stream()).heads.startswith("HTTP/1.1 200")


async def test_stopping_ends_streams_at_once(tmp_path: Path) -> None:
    async with asyncio.timeout(4):  # uvicorn alone would wait for them for five seconds
        async with house(tmp_path) as it:
            stream = await it.stream()
            feed = it.runtime.feed()
            ending = asyncio.create_task(stream.rest())
        assert (await ending).endswith(b"0\r\n\r\n"), "ended in order, not cut"
    with pytest.raises(UnreachableError, match="stopping"):
        await feed.open()


async def test_b69_a_guest_that_is_not_open_has_no_feed_and_knows_no_token_and_says_so(
    tmp_path: Path,
) -> None:
    runtime = Runtime(tmp_path / "bide.db", [orders])
    app = runtime.asgi
    token = "bide_00000000_" + "a" * 43
    named = runtime.asgi_for(Caller("ann"))

    async def status(of: ASGIApp, path: str, **headers: str) -> int:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(of), base_url="http://bide") as client:
            async with asyncio.timeout(5):
                return (await client.get(path, headers=headers)).status_code

    async def refused() -> list[int]:
        by_token = await status(app, "/api/v1/dags", authorization=f"Bearer {token}")
        return [by_token, await status(named, "/api/v1/events")]

    assert await refused() == [503, 503]
    async with runtime:
        pass
    assert await refused() == [503, 503]
    assert "bide:feed" not in {one.get_name() for one in asyncio.all_tasks()}


async def test_past_events_are_paged(tmp_path: Path) -> None:
    async with house(tmp_path) as it:
        await it.run()
        await it.run("other")
        ops = it.runtime.operations
        whole = await ops.events(since="0", limit=1000)
        assert [int(each.id) for each in whole] == list(range(1, len(whole) + 1))
        assert await ops.events(limit=5) == whole[-5:]
        assert await ops.events(since="3", limit=4) == whole[3:7]
        assert await ops.events(dag="other", limit=1000) == [each for each in whole if each.dag == "other"]
        assert (
            await ops.events(run="1", kind="task", limit=2)
            == [each for each in whole if (each.run_id, each.kind) == ("1", "task")][-2:]
        )
        assert await ops.events(since=whole[4].at, limit=1000) == [e for e in whole if e.at >= whole[4].at]
        with pytest.raises(NotFoundError):
            await ops.events(run="9")
        with pytest.raises(UsageError, match="limit"):
            await ops.events(limit=0)


async def test_a_token_that_is_revoked_ends_its_stream(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house(tmp_path) as it:
        tokens = it.runtime.operations.tokens
        for name in ("wall", "desk"):
            await tokens.create(name)
        feed = it.runtime.feed()
        by_token, by_socket = await feed.open(token=True), await feed.open()
        await tokens.revoke("wall")
        assert (by_token.ended, by_socket.ended) == (True, False)
        monkeypatch.setattr(feeds, "TOKEN_S", 0.0)
        expired = await feed.open(token=True)
        assert [piece async for piece in expired] == [b"retry: 2000\nid: %d\n\n" % expired.seq]
        for reader in (by_token, by_socket, expired):
            feed.leave(reader)


HOST = """
import contextlib, sys
import uvicorn
from fastapi import FastAPI
from bide import Runtime

@contextlib.asynccontextmanager
async def life(app):
    async with Runtime(db=sys.argv[1]) as runtime:
        app.mount("/bide", runtime.asgi)
        yield
    print("left", flush=True)

uvicorn.run(FastAPI(lifespan=life), uds=sys.argv[2], log_level="critical")
"""


async def test_a_host_that_is_told_to_stop_does_not_wait_for_our_streams(tmp_path: Path) -> None:
    host = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        HOST,
        str(tmp_path / "bide.db"),
        str(tmp_path / "s"),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(30):
            while not (tmp_path / "s").exists():
                await asyncio.sleep(0.02)
            stream = await Stream.to(tmp_path / "s", under="/bide")
            host.terminate()
            out, _ = await host.communicate()
            stream.close()
        assert out == b"left\n", "it has left in order, and waited for no time-out"
    finally:
        if host.returncode is None:
            host.kill()
            await host.wait()
