"""Bytes over the real socket: what is smuggled, huge, binary or slow is refused or hung up on, and the next one is served."""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.service.doorstep import Doorstep, doorstep

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak
RUNS = "/api/v1/dags/one/runs"


@pytest.fixture
async def step(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with doorstep(tmp_path / "bide.db", head_s=0.5) as found:
        yield found


async def said(step: Doorstep, data: bytes, patience: float = 0.7) -> bytes:
    """What comes back until the service hangs up, or is silent: it may wait for the rest of what was sent."""
    reader, writer = await asyncio.open_connection("127.0.0.1", step.port)
    answer = b""
    try:
        writer.write(data)
        while part := await asyncio.wait_for(reader.read(65_536), 0.1 if answer else patience):
            answer += part
    except (ConnectionError, TimeoutError):
        pass
    finally:
        writer.close()
    return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


SMUGGLED = {
    "two lengths": "Content-Length: 2\r\nContent-Length: 60\r\n\r\n{}",
    "a list of lengths": "Content-Length: 2, 60\r\n\r\n{}",
    "a signed length": "Content-Length: +2\r\n\r\n{}",
    "a length in hex": "Content-Length: 0x2\r\n\r\n{}",
    "a negative length": "Content-Length: -2\r\n\r\n{}",
    "length and chunks": "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two codings": "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "an odd coding": "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding in a list": "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "a coding behind a tab": "Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\n",
    "a coding before a colon": "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a folded coding": "X: y\r\n Transfer-Encoding: chunked\r\nContent-Length: 99999\r\n\r\n",
    "a bare newline": "X: y\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a bare return": "X: y\rContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
    "a chunk of no size": "Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n",
    "a chunk of minus one": "Transfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
    "a chunk of too many": "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "a zero in a header": "X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
    "a zero in a name": "X\0: a\r\nContent-Length: 2\r\n\r\n{}",
    "no colon": "Host\r\nContent-Length: 2\r\n\r\n{}",
    "an empty name": ": x\r\nContent-Length: 2\r\n\r\n{}",
    "a second host": "Host: evil.example\r\nContent-Length: 2\r\n\r\n{}",
}


async def test_t17_what_two_servers_could_read_as_two_things_is_no_request(step: Doorstep) -> None:
    """Behind each stands a second request, which must not be answered as if it were one of its own."""
    token = await step.token("t", "run")
    second = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nX-Second: 1\r\n"
    second += "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    head = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    sent = [f"{head}{each}{second}".encode("latin-1") for each in SMUGGLED.values()]
    for how, answer in zip(SMUGGLED, await asyncio.gather(*[said(step, each) for each in sent]), strict=True):
        assert b"Traceback" not in answer
        assert all(400 <= status < 500 for status in statuses(answer)), (how, answer)
    assert await step.rt.operations.runs() == []
    assert (await step.ask("GET", "/livez")).status_code == 200


LINES = (
    b"\r\n" * 5_000, b"GET", b"GET \r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 5_000,
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"\0" * 100_000,
    b"\xff" * 100_000, b"A" * 1_000_000, b"GET http://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /%00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /\xc3\xa9 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"get /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /livez HTTP/1.0\r\n\r\n", b"GET //evil HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /?a=%0d%0aSet-Cookie:x HTTP/1.1\r\nHost: localhost\r\n\r\n", b"SSH-2.0-OpenSSH_9.6\r\n", b"*1\r\n$4\r\nPING\r\n",
    b"GET /livez HTTP/1.1\r\nHost: " + b"x" * 70_000 + b"\r\n\r\n", b"X" * 30_000 + b" / HTTP/1.1\r\nHost: localhost\r\n\r\n",
)  # fmt: skip


async def test_t14_other_protocols_and_no_protocol_get_no_more_than_a_refusal(step: Doorstep) -> None:
    answers = await asyncio.gather(*[said(step, line) for line in LINES])
    for line, answer in zip(LINES, answers, strict=True):
        assert b"Traceback" not in answer
        page = (
            line.startswith(b"GET /?") and b'<div id="app">' in answer
        )  # the empty page, which anybody may have
        assert page or all(400 <= status < 500 for status in statuses(answer)), (line[:60], answer)
        assert b"set-cookie" not in answer.lower()
    assert sum(bool(answer) for answer in answers) > 10
    assert (await step.ask("GET", "/livez")).status_code == 200


def changed(rng: random.Random, good: bytes) -> bytes:
    """`good` with a few bytes changed, gone, put in, or said twice."""
    data = bytearray(good)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 20)]
            case 2:
                data[at:at] = rng.randbytes(rng.randint(1, 20))
            case _:
                data[at:at] = data[at : at + rng.randint(1, 40)]
    return bytes(data)


async def test_t14_a_request_with_bytes_changed_ends_in_a_problem_or_an_answer(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    good = f"POST {RUNS} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
    good += 'Content-Type: application/json\r\nContent-Length: 27\r\n\r\n{"params":{"a":[1,"x",{}]}}'
    assert statuses(await said(step, good.encode())) == [201]
    rng, seen = random.Random(20260615), set[int]()
    for _ in range(6 * SOAK):
        tries = [changed(rng, good.encode()) for _ in range(40)]
        answers = await asyncio.gather(*[said(step, data) for data in tries])
        for data, answer in zip(tries, answers, strict=True):
            assert b"Traceback" not in answer, data
            assert all(status < 500 for status in statuses(answer)), (data, answer)
            seen.update(statuses(answer))
    assert {400, 401} <= seen
    assert (await step.ask("GET", "/livez")).status_code == 200


async def test_t17_who_trickles_is_hung_up_on_and_holds_up_nobody(step: Doorstep) -> None:
    async def trickle(data: bytes) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", step.port)
        answer = asyncio.ensure_future(reader.read())
        try:
            for each in data:
                if answer.done():
                    break
                writer.write(bytes([each]))
                await asyncio.sleep(0.02)
            return await asyncio.wait_for(answer, 10)
        except ConnectionError:
            return b""
        finally:
            answer.cancel()
            writer.close()

    slow = [trickle(b"GET /livez HTTP/1.1\r\nX: " + bytes([65 + n]) * 200) for n in range(20)]
    gathered = asyncio.gather(*slow)
    assert (await step.ask("GET", "/livez")).status_code == 200
    assert all(not statuses(each) or statuses(each)[0] >= 400 for each in await gathered)


async def test_t17_requests_one_after_the_other_on_one_connection_are_answered_in_order(
    step: Doorstep,
) -> None:
    asked = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\nGET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n"
    chunked = (
        b"POST /hooks/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    )
    assert statuses(await said(step, asked * 2 + chunked)) == [200, 401, 200, 401, 404]
