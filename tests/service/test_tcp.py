"""T17, start matrix: bound beyond this machine only with a token by which something could be done."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bide.runtime.clock import SystemClock
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service import tcp
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.session import DatabaseDoor
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.reader import Reader
from tests.service.doorstep import everything
from tests.service.test_serve import ONE, said, serving

LOOPBACK = ("127.0.0.1", "127.8.8.8", "localhost", "::1", "[::1]")
PUBLIC = ("0.0.0.0", "::")
TOKENS: dict[str, bool] = {
    "none": False,
    "read": False,
    "expired": False,
    "revoked": False,
    "run": True,
    "admin": True,
}


async def make(db: Path, token: str) -> None:
    InlineWriter.open_here(db, create=True).close_here()
    with Reader(db) as reader:
        ops = Operations(db, AtOnce(reader), DatabaseDoor(db), SystemClock()).tokens
        if token in ("read", "run", "admin"):
            await ops.create("t", token)
        elif token == "expired":
            await ops.create("t", "admin", "0.05s")
            await asyncio.sleep(0.06)
        elif token == "revoked":
            await ops.create("t", "admin")
            await ops.revoke("t")


@pytest.mark.parametrize("token", TOKENS)
async def test_t17_who_may_be_reached_from_elsewhere_needs_a_token_that_can_do_something(
    tmp_path: Path, token: str
) -> None:
    db = tmp_path / "bide.db"
    await make(db, token)
    for host in (*LOOPBACK, *PUBLIC):
        try:
            places = tcp.looked_up(tcp.Asked(host, 0))
        except UsageError:
            assert ":" in host, "a machine without IPv6"
            continue
        assert all(place.public == (host in PUBLIC) for place in places)
        if host in PUBLIC and not TOKENS[token]:
            with pytest.raises(
                RefusedError, match="no token of scope run or admin lives: `bide token create"
            ):
                await tcp.need_token(db, places, SystemClock())
        else:
            await tcp.need_token(db, places, SystemClock())


async def test_t17_an_address_of_this_machine_that_others_reach_counts_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = {
        "both": ["127.0.0.1", "192.0.2.7"],
        "mapped": ["::ffff:192.0.2.7"],
        "mapped-local": ["::ffff:127.0.0.1"],
    }

    def found(host: str, port: int, **_: Any) -> list[Any]:
        return [
            (socket.AF_INET6 if ":" in ip else socket.AF_INET, 1, 6, "", (ip, port)) for ip in answers[host]
        ]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    assert [place.public for place in tcp.looked_up(tcp.Asked("both", 80))] == [False, True]
    assert [place.public for place in tcp.looked_up(tcp.Asked("mapped", 80))] == [True]
    assert [place.public for place in tcp.looked_up(tcp.Asked("mapped-local", 80))] == [False]
    with pytest.raises(RefusedError, match="reached from other machines"):
        await tcp.need_token(tmp_path / "bide.db", tcp.looked_up(tcp.Asked("both", 80)), SystemClock())


def test_t17_no_port_is_opened_that_was_not_asked_for() -> None:
    assert tcp.asked(None, None, []) is None
    assert tcp.asked(None, 80, ["a"]) == tcp.Asked("127.0.0.1", 80, ("a",))
    with pytest.raises(UsageError, match="at which port"):
        tcp.asked("0.0.0.0", None, [])
    with pytest.raises(UsageError, match="leads to no address"):
        tcp.looked_up(tcp.Asked("no such host", 80))


def test_a_port_that_is_taken_is_said_before_work_begins_and_none_is_left_open() -> None:
    [(_, held)] = tcp.bound(tcp.looked_up(tcp.Asked("127.0.0.1", 0)))
    port = held.getsockname()[1]
    places = [*tcp.looked_up(tcp.Asked("127.0.0.2", port)), *tcp.looked_up(tcp.Asked("127.0.0.1", port))]
    with pytest.raises(RefusedError, match=f"cannot listen at 127.0.0.1 port {port}"):
        tcp.bound(places)
    [(_, again)] = tcp.bound(places[:1])
    again.close()
    held.close()


async def test_t17_a_service_is_asked_over_tcp_with_a_token_and_says_who_did_what(tmp_path: Path) -> None:
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "one.py").write_text(ONE)
    code, _, err = await said(tmp_path, "serve", "dags", "--host", "0.0.0.0", "--port", "0")
    assert (code, "no token of scope run or admin lives" in err) == (4, True), err
    code, token, err = await said(tmp_path, "token", "create", "ci", "--scope", "run")
    assert (code, "not shown again" in err) == (0, True), err
    async with serving(
        tmp_path, "dags", "--host", "0.0.0.0", "--port", "0", "--allow-host", "bide.example"
    ) as service:
        port = service.heard.partition("http://0.0.0.0:")[2].partition(":")[0]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/api/v1/dags")).status_code == 401
            bearer = {"Authorization": f"Bearer {token.strip()}"}
            made = await client.post("/api/v1/dags/one/runs", headers=bearer, json={})
            assert made.status_code == 201, made.text
            named = await client.get("/api/v1/dags", headers={**bearer, "Host": "bide.example"})
            evil = await client.get("/api/v1/dags", headers={**bearer, "Host": "evil.example"})
            assert (named.status_code, evil.status_code) == (200, 421)
        await said(tmp_path, "pause", "one")
        service.process.kill()
        await service.ends()
    code, out, _ = await said(tmp_path, "audit", "--json")
    lines = msgspec.json.decode(out)
    assert [(x["who"], x["via"], x["verb"], x["outcome"]) for x in lines[1:]] == [
        ("ci", "http", "trigger", "ok"), (lines[0]["who"], "terminal", "token_create", "ok"),
    ]  # fmt: skip
    assert (lines[0]["via"], lines[0]["verb"], lines[1]["address"]) == ("socket", "pause", "127.0.0.1")
    assert token.strip().encode() not in everything(tmp_path)
    assert token.strip() not in service.heard
