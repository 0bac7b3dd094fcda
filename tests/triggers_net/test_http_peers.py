"""T11: what an HTTP wait makes of each way a peer can behave, on real sockets."""

from __future__ import annotations

import asyncio
import resource
import socket
from typing import Any, NamedTuple

import pytest
import trustme

from bide.runtime.clock import SECOND
from bide.triggers._web_clients import KEPT
from bide.triggers.base import Fail, Fire, LookFailed, NotYet
from bide.triggers.http import HttpTrigger
from bide.triggers.http_source import HttpSource
from tests.servers.fixtures import tls_for
from tests.servers.http_server import (
    Behaviour,
    HttpServer,
    black_hole,
    dripping,
    endless,
    gzipped,
    late,
    raw,
    redirect,
    reply,
    reset,
    unused_port,
)
from tests.servers.worlds import Lookout

OK = b"HTTP/1.1 200 OK\r\n"


class Case(NamedTuple):
    """A peer, what is waited for, and what a look brings: fire, wait, fail, or a failed look."""

    name: str
    peer: Behaviour
    outcome: str
    says: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default is never changed


BODY = {"data": {"items": [{"state": "done", "n": 0}], "flag": True}}
CASES = [
    # statuses: ready is 2xx, fail is nothing, all else waits (C34)
    *(Case(f"ready-{status}", reply(status), "fire") for status in (200, 201, 202, 204, 206)),
    *(
        Case(f"wait-{status}", reply(status), "wait", f"answered {status}")
        for status in (300, 400, 401, 403, 404, 408, 409, 410, 418, 425, 429, 500, 502, 503, 504)
    ),
    Case("ready-404-when-asked", reply(404), "fire", options={"expect_status": 404}),
    Case("ready-4xx-when-asked", reply(410), "fire", options={"expect_status": ("4xx",)}),
    Case("wait-200-when-404-asked", reply(200), "wait", options={"expect_status": 404}),
    Case("fail-on-410", reply(410), "fail", "410", {"fail_on": (410,)}),
    Case("fail-on-5xx-range", reply(503), "fail", "503", {"fail_on": ((500, 599),)}),
    # bodies
    Case("path-equals", reply(200, BODY), "fire",
         options={"json_path": "data.items[0].state", "equals": "done"}),
    Case("path-differs", reply(200, BODY), "wait", '"done"',
         {"json_path": "data.items[0].state", "equals": "ready"}),
    Case("path-truthy", reply(200, BODY), "fire", options={"json_path": "data.flag"}),
    Case("path-zero-is-not-truthy", reply(200, BODY), "wait", "is 0", {"json_path": "data.items[0].n"}),
    Case("path-true-is-not-1", reply(200, BODY), "wait", "is true", {"json_path": "data.flag", "equals": 1}),
    Case("path-zero-equals-zero", reply(200, BODY), "fire",
         options={"json_path": "data.items[0].n", "equals": 0}),
    Case("path-absent", reply(200, BODY), "wait", "without", {"json_path": "data.items[7].state"}),
    Case("body-not-json", reply(200, "<html>"), "wait", "not JSON", {"json_path": "a"}),
    Case("body-deep-json", reply(200, "[" * 100_000), "wait", "not JSON", {"json_path": "a"}),
    Case("contains", reply(200, "all ready now"), "fire", options={"contains": "ready"}),
    Case("contains-not", reply(200, "not there"), "wait", "without", {"contains": "ready"}),
    Case("not-utf-8", reply(200, b"\xff\xfeready"), "fire", options={"contains": "ready"}),
    Case("unknown-charset", reply(200, b"ready", {"content-type": "text/plain; charset=klingon"}), "fire",
         options={"contains": "ready"}),
    Case("gzip", gzipped(b"x" * 1000 + b"ready"), "fire", options={"contains": "ready"}),
    Case("gzip-bomb", gzipped(b"\0" * 50_000_000), "wait", "first 1 MiB", {"contains": "ready"}),
    Case("gzip-cut", gzipped(b"0123456789" * 1000, cut=40), "failed", "packed body"),
    Case("gzip-broken", reply(200, b"no gzip at all", {"content-encoding": "gzip"}), "failed", "broken"),
    Case("packed-unasked", reply(200, b"x", {"content-encoding": "br"}), "failed", "not asked for"),
    Case("endless-body", endless(), "wait", "first 1 MiB", {"contains": "ready"}),
    Case("endless-chunks",
         endless(b"10000\r\n" + b"x" * 65536 + b"\r\n", OK + b"transfer-encoding: chunked\r\n\r\n"),
         "wait", "first 1 MiB", {"contains": "ready"}),
    Case("10-GiB-promised", endless(b"x" * 65536, OK + b"content-length: 10737418240\r\n\r\n"), "fire"),
    # slow
    Case("latency", late(0.2, reply(200)), "fire"),
    Case("throttled", dripping(OK + b"content-length: 5\r\n\r\nready", 0.002), "fire",
         options={"contains": "ready"}),
    Case("slow-loris-head", dripping(OK + b"x: y\r\n" * 1000, 0.05), "failed", "within 0.3 s"),
    Case("slow-loris-body", dripping(OK + b"content-length: 99\r\n\r\n" + b"x" * 99, 0.02), "failed", "0.3 s"),
    Case("black-hole", black_hole(), "failed", "0.3 s"),
    Case("headers-then-silence", raw(OK + b"content-length: 9\r\n\r\n", then_close=False), "failed", "0.3 s"),
    # broken
    Case("closed-at-once", raw(b""), "failed", "broke off"),
    Case("cut-in-status", raw(b"HTTP/1."), "failed", "broke off"),
    Case("cut-in-headers", raw(OK + b"content-le"), "failed", "broke off"),
    Case("cut-in-body", raw(OK + b"content-length: 50\r\n\r\nhalf"), "failed", "broke off"),
    Case("cut-in-chunk", raw(OK + b"transfer-encoding: chunked\r\n\r\nff\r\nhalf"), "failed", "broke off"),
    Case("not-http", raw(b"SSH-2.0-OpenSSH_9.2\r\n"), "failed", "not HTTP"),
    Case("corrupt", raw(b"\x00\xff\x17\x03\x01" * 50), "failed", "not HTTP"),
    Case("broken-chunk-size", raw(OK + b"transfer-encoding: chunked\r\n\r\nzz\r\n"), "failed", "not HTTP"),
    Case("endless-headers", endless(b"x: " + b"y" * 65536 + b"\r\n", OK), "failed"),
    Case("reset", reset(), "failed"),
    Case("reset-in-body", reset(OK + b"content-length: 50\r\n\r\nhalf"), "failed"),
    Case("204-with-body", raw(b"HTTP/1.1 204 No\r\ncontent-length: 4\r\n\r\nbody"), "fire"),
    # redirects
    Case("redirect-to-nowhere", redirect("ftp://127.0.0.1/x"), "failed", "no HTTP address"),
    Case("redirect-unreadable", redirect("http://[bad/"), "failed", "no HTTP address"),
    Case("redirect-to-itself", redirect("/case"), "failed", "more than 10 redirects"),
    Case("redirect-to-metadata", redirect("http://169.254.169.254/latest"), "fail", "metadata"),
    Case("redirect-to-metadata-decimal", redirect("http://2852039166/latest"), "fail", "metadata"),
    Case("redirect-to-metadata-mapped", redirect("http://[::ffff:a9fe:a9fe]/"), "fail", "metadata"),
    Case("redirect-without-target", reply(302), "wait", "answered 302"),
    Case("redirect-not-followed", redirect("/elsewhere"), "wait", "302", {"follow_redirects": False}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_t11_http_peer(case: Case, http_server: HttpServer, lookout: Lookout) -> None:
    slow = "0.3 s" in case.says
    trigger = HttpTrigger(
        url=http_server.on("/case", case.peer), timeout=0.3 if slow else 5.0, **case.options
    )
    if case.outcome == "failed":
        with pytest.raises(LookFailed, match=case.says or "."):
            await lookout(trigger)
        return
    verdict = await lookout(trigger)
    kind = {"fire": Fire, "wait": NotYet, "fail": Fail}[case.outcome]
    assert isinstance(verdict, kind), verdict
    assert case.says in getattr(verdict, "reason", "")


def test_t11_has_its_sixty_cases() -> None:
    assert len(CASES) >= 60
    assert len({case.name for case in CASES}) == len(CASES)


async def test_t11_refused_connection(lookout: Lookout) -> None:
    with pytest.raises(LookFailed, match="no connection"):
        await lookout(HttpTrigger(url=f"http://127.0.0.1:{unused_port()}/"))


async def test_t11_unknown_name(lookout: Lookout) -> None:
    with pytest.raises(LookFailed, match=r"no-such-host\.invalid is not known"):
        await lookout(HttpTrigger(url="http://no-such-host.invalid/"))


async def test_localhost_is_tried_at_each_of_its_addresses(http_server: HttpServer, lookout: Lookout) -> None:
    http_server.on("/", reply(200))
    verdict = await lookout(HttpTrigger(url=f"http://localhost:{http_server.port}/"))
    assert isinstance(verdict, Fire)
    assert http_server.asked[-1].headers["host"] == f"localhost:{http_server.port}"


async def test_t11_endless_bodies_do_not_fill_memory(http_server: HttpServer, lookout: Lookout) -> None:
    trigger = HttpTrigger(url=http_server.on("/", endless()), contains="never", timeout=5)
    bomb = HttpTrigger(url=http_server.on("/bomb", gzipped(b"\0" * 100_000_000)), contains="never")
    await lookout(trigger)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(5):
        await lookout(trigger)
        await lookout(bomb)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 40_000  # KiB


async def test_t11_a_cut_look_leaves_the_source_usable(http_server: HttpServer, lookout: Lookout) -> None:
    trigger = HttpTrigger(url=http_server.on("/", black_hole(), reply(200)), timeout=0.1)
    with pytest.raises(LookFailed):
        await lookout(trigger)
    assert isinstance(await lookout(trigger), Fire)


@pytest.fixture
def names_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """All names below `.test` are this machine's."""
    ask = socket.getaddrinfo

    def answer(host: str, *more: Any) -> Any:
        return ask("127.0.0.1" if host.endswith(".test") else host, *more)

    monkeypatch.setattr(socket, "getaddrinfo", answer)


class TestTls:
    """Certificates are verified, and what is wrong is said."""

    async def test_a_private_authority(
        self, https_server: HttpServer, authority_pem: str, lookout: Lookout
    ) -> None:
        trigger = HttpTrigger(url=https_server.on("/", reply(200)), ca=authority_pem)
        assert isinstance(await lookout(trigger), Fire)

    async def test_by_name_through_the_checked_address(
        self, https_server: HttpServer, authority_pem: str, lookout: Lookout
    ) -> None:
        https_server.on("/", reply(200))
        trigger = HttpTrigger(url=f"https://localhost:{https_server.port}/", ca=authority_pem)
        assert isinstance(await lookout(trigger), Fire)

    async def test_an_unknown_authority(self, https_server: HttpServer, lookout: Lookout) -> None:
        with pytest.raises(LookFailed, match="TLS: the certificate is not trusted"):
            await lookout(HttpTrigger(url=https_server.on("/", reply(200))))

    async def test_the_wrong_name(self, authority: trustme.CA, authority_pem: str, lookout: Lookout) -> None:
        server = await HttpServer(tls=tls_for(authority, "elsewhere.example")).start()
        try:
            with pytest.raises(LookFailed, match="TLS: the certificate is not trusted"):
                await lookout(HttpTrigger(url=server.on("/", reply(200)), ca=authority_pem))
        finally:
            await server.stop()

    async def test_a_connection_verified_for_one_name_is_not_used_for_another_on_its_address(
        self,
        authority: trustme.CA,
        authority_pem: str,
        http_server: HttpServer,
        lookout: Lookout,
        names_here: None,
    ) -> None:
        only_b = await HttpServer(tls=tls_for(authority, "b.test")).start()
        only_b.on("/", reply(200))
        hops = [redirect(f"https://{name}.test:{only_b.port}/") for name in "ba"]
        trigger = HttpTrigger(url=http_server.on("/", *hops), ca=authority_pem)
        try:
            assert isinstance(await lookout(trigger), Fire)
            with pytest.raises(LookFailed, match="TLS: the certificate is not trusted"):
                await lookout(trigger)
        finally:
            await only_b.stop()
        assert [one.headers["host"] for one in only_b.asked] == [f"b.test:{only_b.port}"]

    async def test_clients_of_hosts_that_redirects_lead_to_do_not_pile_up(
        self,
        authority: trustme.CA,
        authority_pem: str,
        http_server: HttpServer,
        lookout: Lookout,
        names_here: None,
    ) -> None:
        many = await HttpServer(tls=tls_for(authority, "*.b.test")).start()
        many.on("/", reply(200))
        hops = [redirect(f"https://h{number}.b.test:{many.port}/") for number in range(KEPT + 3)]
        trigger = HttpTrigger(url=http_server.on("/", *hops), ca=authority_pem)
        try:
            for _ in hops:
                assert isinstance(await lookout(trigger), Fire)
            assert isinstance(source := lookout.source(trigger), HttpSource)
            assert len(source._clients._clients) == KEPT
            assert http_server.connections == 1  # the origin's own is in use again and again: it is kept
        finally:
            await many.stop()

    async def test_plain_text_where_tls_is_spoken(self, lookout: Lookout) -> None:
        def speak_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        server = await asyncio.start_server(speak_first, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            with pytest.raises(LookFailed, match="TLS"):
                await lookout(HttpTrigger(url=f"https://127.0.0.1:{port}/"))

    async def test_a_ca_that_is_no_file(self, https_server: HttpServer, lookout: Lookout) -> None:
        with pytest.raises(LookFailed, match=r"ca /no/such\.pem cannot be read"):
            await lookout(HttpTrigger(url=https_server.url(), ca="/no/such.pem"))


class TestRetryAfter:
    """C34: honoured in seconds and as a date, by the request and, for a while, by the origin."""

    async def test_c34_seconds(self, http_server: HttpServer, lookout: Lookout) -> None:
        trigger = HttpTrigger(url=http_server.on("/", reply(429, b"", {"retry-after": "120"})))
        now = lookout.world.now()
        verdict = await lookout(trigger)
        assert isinstance(verdict, NotYet)
        assert verdict.at_least
        assert verdict.again_us is not None
        assert 120 * SECOND <= verdict.again_us - now <= 125 * SECOND
        assert lookout.world.rests

    async def test_c34_a_date(self, http_server: HttpServer, lookout: Lookout) -> None:
        date = "Fri, 01 Jan 2100 00:00:00 GMT"
        verdict = await lookout(HttpTrigger(url=http_server.on("/", reply(503, b"", {"retry-after": date}))))
        assert isinstance(verdict, NotYet)
        assert verdict.at_least

    @pytest.mark.parametrize("written", ["soon", "", "-5", "Mon, 01 Jan 1990 00:00:00 GMT", "9" * 400])
    async def test_c34_nonsense_is_no_obstacle(
        self, written: str, http_server: HttpServer, lookout: Lookout
    ) -> None:
        verdict = await lookout(
            HttpTrigger(url=http_server.on("/", reply(503, b"", {"retry-after": written})))
        )
        assert isinstance(verdict, NotYet)
        assert verdict.again_us is None or verdict.again_us <= lookout.world.now() + 7 * 86_400 * SECOND


async def test_ten_at_once_share_ten_connections(http_server: HttpServer, lookout: Lookout) -> None:
    triggers = [HttpTrigger(url=http_server.on(f"/{n}", late(0.01, reply(200)))) for n in range(10)]
    for _ in range(5):
        await asyncio.gather(*(lookout(trigger) for trigger in triggers))
    assert http_server.most_in_flight <= 10
    assert http_server.connections <= 10
