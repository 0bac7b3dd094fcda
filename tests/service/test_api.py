"""REST over a real unix socket: the client and the routes agree, errors keep their class."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide.runtime import errors
from bide.runtime.errors import (
    BideError,
    GaveUpError,
    NotFoundError,
    NotNowError,
    RefusedError,
    StoreFullError,
    StoreHeldError,
    UnreachableError,
    UsageError,
)
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.doors import Doors
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.openapi import document
from bide.runtime.service.operations import Operations
from bide.runtime.service.wire import _UnixConnection
from bide.runtime.store.reader import AsyncReader
from tests.service.test_operations import Book, FixedClock


class Served:
    """A service without an engine, and a client that talks to it from a thread."""

    def __init__(self, path: Path, db: Path, door: Book) -> None:
        self.path, self.door = path, door
        self.client = ServiceClient(path, db, timeout_s=20)
        self.wrong = self.unready = ""

    async def __call__(self, ask: Any) -> Any:
        return await asyncio.to_thread(lambda: asyncio.run(ask(self.client)))

    async def raw(self, method: str, path: str, body: str | None = None) -> tuple[int, str, Any]:
        def ask() -> tuple[int, str, Any]:
            connection = _UnixConnection(self.path, 20)
            try:
                connection.request(method, path, body, {"Content-Type": "application/json"})
                response = connection.getresponse()
                return response.status, response.getheader("content-type") or "", json.loads(response.read())
            finally:
                connection.close()

        return await asyncio.to_thread(ask)


@pytest.fixture
async def served(db: Path) -> AsyncIterator[Served]:
    door = Book()
    reader = AsyncReader(db)
    listener = Listener(db.with_name("s"))
    one = Served(listener.path, db, door)
    app = make_app(Operations(db, reader, door, FixedClock()), lambda: one.wrong, lambda: one.unready)
    async with serving(listener.socket, app):
        yield one
    reader.close()
    listener.close()


async def test_the_client_gives_what_the_operations_give(served: Served, db: Path) -> None:
    reader = AsyncReader(db)
    direct = Operations(db, reader, Book(), FixedClock())
    asks: list[Callable[[Doors], Awaitable[Any]]] = [
        lambda ops: ops.dags(),
        lambda ops: ops.runs(),
        lambda ops: ops.runs("etl", "failed", 5),
        lambda ops: ops.show("2"),
        lambda ops: ops.why("3"),
        lambda ops: ops.why("3", "send"),
        lambda ops: ops.logs("1", "load"),
        lambda ops: ops.waits(),
    ]
    for ask in asks:
        assert msgspec.to_builtins(await served(ask)) == msgspec.to_builtins(await ask(direct))
    reader.close()


async def test_s3_44_every_command_goes_through(served: Served) -> None:
    assert (await served(lambda ops: ops.trigger("etl", None, {"a": 1}, True, "k1"))).run_id == "9"
    for ask in (
        lambda ops: ops.cancel("2"),
        lambda ops: ops.rerun("3", "load"),
        lambda ops: ops.mark("3", "load", "success"),
        lambda ops: ops.pause("etl"),
        lambda ops: ops.unpause("etl"),
        lambda ops: ops.wait_look("2"),
        lambda ops: ops.wait_extend("2", "+1h"),
        lambda ops: ops.wait_satisfy("2", [1]),
        lambda ops: ops.wait_fail("2", "no"),
    ):
        assert (await served(ask)).done
    assert [verb for verb, _ in served.door.told] == [
        "trigger", "cancel", "rerun", "mark", "pause", "unpause",
        "wait_look", "wait_extend", "wait_satisfy", "wait_fail",
    ]  # fmt: skip
    assert served.door.told[0][1] == {
        "dag": "etl", "logical_us": None, "params": {"a": 1}, "new": True, "key": "k1",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("u"), 422),
        (NotFoundError("n"), 404),
        (RefusedError("r"), 409),
        (NotNowError("r"), 503),
        (StoreFullError("f"), 503),
        (StoreHeldError("h"), 409),
        (UnreachableError("x"), 503),
        (GaveUpError("g"), 503),
    ],
)
async def test_an_error_keeps_its_class_and_its_exit_code(
    served: Served, error: BideError, status: int
) -> None:
    async def refuse(verb: str, args: dict[str, Any]) -> Any:
        raise error

    served.door.command = refuse  # type: ignore[method-assign]
    with pytest.raises(type(error), match=str(error)):
        await served(lambda ops: ops.pause("etl"))
    got, kind, problem = await served.raw("POST", "/api/v1/dags/etl/pause")
    assert (got, kind) == (status, "application/problem+json")
    assert (problem["status"], problem["code"]) == (status, type(error).__name__)
    assert issubclass(getattr(errors, problem["code"]), BideError)


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/nope", None, 404),
        ("GET", "/api/v1/runs/99", None, 404),
        ("GET", "/api/v1/runs/x", None, 422),
        ("GET", "/api/v1/runs?limit=0", None, 422),
        ("GET", "/api/v1/runs?limit=many", None, 422),
        ("DELETE", "/api/v1/runs", None, 405),
        ("POST", "/api/v1/dags/etl/runs", "{", 422),
        ("POST", "/api/v1/dags/etl/runs", '{"parms": {}}', 422),
        ("POST", "/api/v1/dags/etl/runs", '{"logical_date": 3}', 422),
        ("POST", "/api/v1/dags/etl/runs", '{"logical_date": "soon"}', 422),
        ("POST", "/api/v1/runs/3/tasks/load/mark", '{"state": "fine"}', 422),
        ("POST", "/api/v1/waits/77/extend", '{"deadline": "+1h"}', 404),
    ],
)
async def test_bad_requests_end_in_a_problem(
    served: Served, method: str, path: str, body: str | None, status: int
) -> None:
    got, kind, problem = await served.raw(method, path, body)
    assert (got, kind) == (status, "application/problem+json")
    assert problem["detail"]
    assert "Traceback" not in problem["detail"]
    assert served.door.told == []


async def test_health_says_what_is_wrong(served: Served) -> None:
    for path in ("/healthz", "/livez", "/readyz", "/startupz"):
        assert (await served.raw("GET", path))[0] == 200
    served.unready = "it is stopping"
    assert (await served.raw("GET", "/readyz"))[0] == 503
    assert (await served.raw("GET", "/livez"))[0] == 200
    served.wrong = "the disk is full"
    status, _, problem = await served.raw("GET", "/livez")
    assert (status, problem["detail"]) == (503, "the disk is full")


async def test_the_openapi_document_names_every_route(served: Served) -> None:
    _, _, document = await served.raw("GET", "/api/v1/openapi.json")
    assert {"/api/v1/dags", "/api/v1/dags/{dag}/runs", "/api/v1/runs/{run}/why", "/api/v1/waits"} <= set(
        document["paths"]
    )


async def test_p16_the_openapi_document_is_made_once_and_off_the_loop(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    made_in: list[threading.Thread] = []

    def noted(app: Any) -> Any:
        made_in.append(threading.current_thread())
        return document(app)

    monkeypatch.setattr("bide.runtime.service.openapi.document", noted)
    first = await served.raw("GET", "/api/v1/openapi.json")
    assert first == await served.raw("GET", "/api/v1/openapi.json")
    assert len(made_in) == 1
    assert made_in[0] is not threading.main_thread()


async def test_t17_a_fault_is_told_to_the_log_and_its_words_to_no_client(
    served: Served, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_: Operations, **asked: Any) -> Any:
        raise ValueError("inner words")

    monkeypatch.setattr(Operations, "dags", fails)
    status, _, problem = await served.raw("GET", "/api/v1/dags")
    assert (status, problem["code"]) == (500, "BideError")
    assert "inner words" not in problem["detail"]
    [said] = [each for each in caplog.records if each.name == "bide.api"]
    assert "GET '/api/v1/dags' has failed" in said.getMessage()
    assert said.exc_info is not None
    assert "inner words" in str(said.exc_info[1])


async def test_nobody_at_the_socket_is_out_of_reach(db: Path) -> None:
    with pytest.raises(UnreachableError, match="bide serve"):
        await ServiceClient(db.with_name("none"), db).dags()


async def test_what_is_no_service_is_told_from_one(db: Path) -> None:
    async def stranger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
        await writer.drain()
        writer.close()

    place = db.with_name("stranger")
    server = await asyncio.start_unix_server(stranger, str(place))
    try:
        client = ServiceClient(place, db)
        with pytest.raises(UnreachableError, match="is not this bide's service"):
            await asyncio.to_thread(lambda: asyncio.run(client.dags()))
    finally:
        server.close()
        await server.wait_closed()


def test_the_connection_is_a_plain_http_client() -> None:
    assert issubclass(_UnixConnection, http.client.HTTPConnection)
