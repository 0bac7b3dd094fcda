"""T17, denial of service: sizes, depths, times and connections are bounded before any route is reached."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.service import tcp
from bide.runtime.service.bodies import DEPTH, check_json, read_body
from bide.runtime.service.edge import BODY_LIMIT, HEADERS
from bide.runtime.service.http_server import LEAST_READ, _Connection, serving
from bide.runtime.service.refusals import Refusal
from tests.service.doorstep import Doorstep, doorstep, problem

JSON = {"Content-Type": "application/json"}
RUNS = "/api/v1/dags/one/runs"


@pytest.fixture
async def step(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with doorstep(tmp_path / "bide.db", most=4, head_s=0.3) as found:
        yield found


async def test_t17_a_body_is_bounded_in_size_whether_it_says_its_length_or_not(step: Doorstep) -> None:
    token = await step.token("t", "run")
    large = b'{"params": {"x": "' + b"x" * BODY_LIMIT + b'"}}'
    assert "larger than 1,048,576 bytes" in problem(
        await step.ask("POST", RUNS, token, headers=JSON, content=large), 413
    )

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(large), 65_536):
            yield large[at : at + 65_536]

    problem(await step.ask("POST", RUNS, token, headers=JSON, content=pieces()), 413)
    head = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    claimed = await step.raw(head + "Content-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n{}")
    assert claimed[0] == "HTTP/1.1 413 Request Entity Too Large", claimed[0]
    for lengths in (
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length: x\r\n",
    ):
        assert (await step.raw(f"{head}{lengths}\r\n{{}}"))[0].startswith("HTTP/1.1 400")
    assert await step.rt.operations.runs() == []


async def test_t17_without_a_token_no_body_is_read(step: Doorstep) -> None:
    head = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", step.port)
    writer.write(f"{head}\r\n".encode())
    async with asyncio.timeout(10):
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
    writer.close()


async def test_t17_headers_and_addresses_are_bounded(step: Doorstep) -> None:
    token = await step.token("t", "read")
    many = {f"X-{n}": "x" for n in range(HEADERS + 1)}
    problem(await step.ask("GET", "/api/v1/dags", token, headers=many), 431)
    problem(await step.ask("GET", f"/api/v1/dags?x={'x' * 9_000}", token), 414)
    huge = await step.ask("GET", "/api/v1/dags", token, headers={"X": "x" * 60_000})
    assert huge.status_code in (400, 431)


async def test_t17_who_does_not_say_what_it_wants_is_hung_up_on(step: Doorstep) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", step.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(10):
        assert await reader.read() == b""
    writer.close()


async def test_t17_connections_are_counted_and_one_too_many_is_told_so(step: Doorstep) -> None:
    held = [await asyncio.open_connection("127.0.0.1", step.port) for _ in range(4)]
    for _, writer in held:
        writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    for reader, _ in held:
        await reader.readuntil(b"}")
    said = await step.raw("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert said[0] == "HTTP/1.1 503 Too many connections"
    assert '"status":503' in said[-1]
    for _, writer in held:
        writer.close()
        await writer.wait_closed()
    async with asyncio.timeout(10):
        while (await step.ask("GET", "/livez")).status_code != 200:
            await asyncio.sleep(0.01)


async def test_t17_what_is_no_json_or_too_deep_is_a_problem_and_no_fault(step: Doorstep) -> None:
    token = await step.token("t", "run")
    for body in (
        b"{",
        b"[" * 100_000,
        b'{"a":' * 2_000,
        b"\xff\xfe",
        b"nul",
        b'{"a": 1e}',
        b'{"params":{"a":' + b"[" * 70 + b"]" * 70 + b"}}",
    ):
        problem(await step.ask("POST", RUNS, token, headers=JSON, content=body), 400)
    assert await step.rt.operations.runs() == []


async def test_t17_a_body_that_trickles_is_cut_and_one_that_ends_early_is_told() -> None:
    async def never() -> Any:
        await asyncio.Event().wait()

    async def gone() -> Any:
        return {"type": "http.disconnect"}

    with pytest.raises(Refusal) as slow:
        await read_body(never, [], 10, 0.01)
    with pytest.raises(Refusal) as cut:
        await read_body(gone, [], 10, 10)
    assert (slow.value.status, cut.value.status) == (408, 400)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=200,
)


def depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(depth, value.values()), default=0)
    return 1 + max(map(depth, value), default=0) if isinstance(value, list) else 0


@given(VALUES, st.integers(0, 80))
@settings(max_examples=100, deadline=None)
def test_t14_depth_is_judged_right_whatever_the_strings_say(value: Any, more: int) -> None:
    import json

    for _ in range(more):
        value = [value, ']]}}\\"[[']
    body = json.dumps(value).encode()
    if depth(value) <= DEPTH:
        check_json(body)
    else:
        with pytest.raises(Refusal):
            check_json(body)


@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_t14_any_bytes_are_json_or_refused(body: bytes) -> None:
    import json

    try:
        check_json(body)
    except Refusal:
        return
    json.loads(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * BODY_LIMIT,
        b"[]" * (BODY_LIMIT // 2),
        b'{"' * (BODY_LIMIT // 2),
        b'"' + b"\\" * BODY_LIMIT,
        b"[" * 70 + b'"' + b'\\"' * (BODY_LIMIT // 2 - 100),
        b"[" * 70 + b'["\\"",' * (BODY_LIMIT // 7),
        (b"[" * 63 + b"]" * 63) * 8_000,
    ],
)
def test_t14_judging_a_body_of_the_most_that_may_be_takes_no_time_worth_telling(body: bytes) -> None:
    began = time.perf_counter()  # of this process: the machine may be busy
    with pytest.raises(Refusal):
        check_json(body)
    assert time.perf_counter() - began < 1


def test_t14_judging_a_large_body_that_is_as_it_should_be_takes_no_time_worth_telling() -> None:
    body = b'{"a":[' + b",".join([rb'{"k":"\"v\\"}'] * (BODY_LIMIT // 20)) + b"]}"
    began = time.process_time()
    check_json(body)
    assert time.process_time() - began < 0.1
    check_json(b'["' + b"[" * 100 + b'"]')
    check_json(b'"' + b"[" * 100 + b'"')


async def test_t17_a_body_of_a_question_is_bounded_as_any_other(step: Doorstep) -> None:
    token = await step.token("t", "read")
    read = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal read
        for _ in range(64):
            read += 1_000_000
            yield b"x" * 1_000_000

    try:
        answer = await step.ask("GET", "/api/v1/dags", token, content=endless())
    except (httpx.WriteError, httpx.ReadError):  # it was hung up on
        return
    problem(answer, 413)
    assert (await step.ask("GET", "/api/v1/dags", token, content=b"{}")).status_code == 200


async def test_t17_who_does_not_say_what_it_wants_next_is_hung_up_on_as_well(step: Doorstep) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", step.port)
    writer.write(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await reader.readuntil(b"}")
    writer.write(b"GET /livez HTTP/1.1\r\nHost: loc")
    async with asyncio.timeout(2):
        assert b"200" not in await reader.read()
    writer.close()


class Unread:
    """A transport of which nobody reads but by `takes`."""

    def __init__(self) -> None:
        self.left, self.aborted = 0, False

    def get_write_buffer_size(self) -> int:
        return self.left

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize("sent", ["whole", "in pieces"])
async def test_t17_an_answer_that_nobody_reads_is_cut_and_holds_no_connection(sent: str) -> None:
    """Over a real socket: the kernel takes what it can, the rest stays, and goes with the connection."""
    cut = asyncio.Event()
    said: list[str] = []

    def told(reason: str) -> None:
        said.append(reason)
        cut.set()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        whole = 24 * 1024 * 1024
        length = [(b"content-length", str(whole).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": length})
        parts = 1 if sent == "whole" else 96
        for n in range(parts):
            part = bytes(whole // parts)
            await send({"type": "http.response.body", "body": part, "more_body": n < parts - 1})

    [(place, at)] = tcp.bound(tcp.looked_up(tcp.Asked("127.0.0.1", 0, ())))
    async with serving(at, app, hosts=place.hosts, write_s=0.1, told=told):
        port = at.getsockname()[1]
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1024)
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        async with asyncio.timeout(20):
            await cut.wait()
        writer.transport.abort()
    assert said == ["slow_reader"]
    at.close()


async def test_t17_who_takes_some_of_an_answer_in_each_span_of_time_is_not_cut() -> None:
    said: list[str] = []
    wire = Unread()
    one: Any = _Connection.__new__(_Connection)
    one.transport, one.loop, one.write_s = wire, asyncio.get_running_loop(), 3600.0
    one.told = said.append
    wire.left = 200_000
    one._watch()
    for wire.left in (200_000 - LEAST_READ, 20_000, 1, 0):
        one._unread.cancel()
        one._look()
        assert not wire.aborted
    assert one._unread is None, "nothing is left to look at"
    again: Any = _Connection.__new__(_Connection)
    again.transport, again.loop, again.write_s, again.told = wire, one.loop, 3600.0, said.append
    wire.left = 5
    again._watch()
    again._unread.cancel()
    again._look()
    assert (wire.aborted, said) == (True, ["slow_reader"])
