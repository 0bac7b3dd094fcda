"""The HTTP source: shared looks, validators, redirects without secrets, the rate limit, the policy."""

from __future__ import annotations

import gzip
import logging
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from bide.runtime.clock import SECOND
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.values import Secret, encode
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.base import Fail, Fire, LookFailed, NotYet
from bide.triggers.http import HttpTrigger, origin_of
from bide.triggers.http_policy import HttpPolicy, allowed, why_refused
from bide.triggers.http_source import HttpSource
from tests.servers.http_server import HttpServer, black_hole, late, redirect, reply, with_etag
from tests.servers.worlds import Lookout, Wait, World

CANARY = "canary-7f3a/+x"


@pytest.fixture(autouse=True)
def _a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANARY", CANARY)


async def test_c32_waits_that_differ_in_their_predicate_share_one_request(
    http_server: HttpServer, lookout: Lookout
) -> None:
    url = http_server.on("/", reply(200, {"state": "b"}))
    triggers = [HttpTrigger(url=url, json_path="state", equals=state) for state in "abc"]
    verdicts = await lookout.together(*triggers)
    assert [type(verdict) for verdict in verdicts] == [NotYet, Fire, NotYet]
    assert len(http_server.asked) == 1
    assert len({trigger.poll_key() for trigger in triggers}) == 1


def test_requests_that_differ_are_not_shared() -> None:
    base: dict[str, Any] = {"url": "http://h/a"}
    variants: list[dict[str, Any]] = [
        {}, {"method": "POST"}, {"url": "http://h/b"}, {"headers": {"a": "b"}}, {"body": "x"},
        {"auth": ("u", Secret("env:CANARY"))}, {"auth": Secret("env:CANARY")}, {"follow_redirects": False},
    ]  # fmt: skip
    keys = {HttpTrigger(**(base | variant)).poll_key() for variant in variants}
    assert len(keys) == len(variants)


async def test_an_unchanged_answer_is_judged_again_without_its_body(
    http_server: HttpServer, lookout: Lookout
) -> None:
    trigger = HttpTrigger(url=http_server.on("/", with_etag({"n": 1})), json_path="n", equals=2)
    met = HttpTrigger(url=http_server.url("/"), json_path="n", equals=1)
    assert isinstance(await lookout(trigger), NotYet)
    assert isinstance(await lookout(met), Fire)
    assert http_server.asked[1].headers["if-none-match"] == '"v1"'


@pytest.mark.parametrize(
    ("date", "asked_with"),
    [
        ("Sun, 15 Mar 2026 10:00:00 GMT", set()),  # it may be changed again in this second
        ("Sun, 15 Mar 2026 10:00:01 GMT", set()),
        ("Sun, 15 Mar 2026 10:00:02 GMT", {"if-none-match", "if-modified-since"}),
        ("no date", set()),
    ],
)
async def test_a_change_within_the_second_of_the_last_one_is_not_missed(
    http_server: HttpServer, lookout: Lookout, date: str, asked_with: set[str]
) -> None:
    headers = {"date": date, "last-modified": "Sun, 15 Mar 2026 10:00:00 GMT", "etag": '"69b6-13"'}
    trigger = HttpTrigger(url=http_server.on("/", reply(200, {"n": 1}, headers)), json_path="n", equals=2)
    for _ in range(2):
        await lookout(trigger)
    assert {"if-none-match", "if-modified-since"} & set(http_server.asked[1].headers) == asked_with


async def test_a_304_that_was_not_asked_for_is_a_status_like_others(
    http_server: HttpServer, lookout: Lookout
) -> None:
    verdict = await lookout(HttpTrigger(url=http_server.on("/", reply(304))))
    assert isinstance(verdict, NotYet)
    assert "304" in verdict.reason


async def test_what_is_remembered_goes_with_its_last_wait(http_server: HttpServer) -> None:
    source = HttpSource(("http", http_server.url()), World())
    wait = Wait(HttpTrigger(url=http_server.on("/", with_etag("x"))))
    source.add(wait)
    for _ in range(2):
        await source.look(wait.trigger.poll_key(), [wait])
    source.remove(wait, "fired")
    await source.look(wait.trigger.poll_key(), [wait])
    await source.close()
    assert ["if-none-match" in one.headers for one in http_server.asked] == [False, True, False]


async def test_s3_32_the_event_is_plain_json_and_small(http_server: HttpServer, lookout: Lookout) -> None:
    url = http_server.on("/", reply(200, {"a": [1]}, {"x-noise": "y", "etag": '"e"'}))
    verdict = await lookout(HttpTrigger(url=url, json_path="a[0]"))
    assert isinstance(verdict, Fire)
    event = verdict.event
    assert (event["status"], event["url"], event["json"], event["value"]) == (200, url, {"a": [1]}, 1)
    assert set(event["headers"]) == {"content-type", "content-length", "etag"}


@pytest.mark.parametrize("letter", ["x", "é", "\0", "\U0001f600", '"'])
@pytest.mark.parametrize("as_json", [False, True])
async def test_an_event_is_never_too_large_to_store(
    letter: str, as_json: bool, http_server: HttpServer, lookout: Lookout
) -> None:
    body: Any = {"state": letter * 60_000} if as_json else letter * 500_000
    large = await lookout(HttpTrigger(url=http_server.on("/", reply(200, body))))
    assert isinstance(large, Fire)
    assert len(encode(large.event)) < 200 * 1024
    assert as_json or len(large.event["text"]) >= 10_000


async def test_body_and_method_are_sent(http_server: HttpServer, lookout: Lookout) -> None:
    url = http_server.on("/", reply(200))
    await lookout(HttpTrigger(url=url, method="post", body={"ask": [1, Secret("env:CANARY")]}))
    asked = http_server.asked[0]
    assert (asked.method, asked.headers["content-type"]) == ("POST", "application/json")
    assert msgspec.json.decode(asked.body) == {"ask": [1, CANARY]}


async def test_cookies_are_not_kept(http_server: HttpServer, lookout: Lookout) -> None:
    trigger = HttpTrigger(url=http_server.on("/", reply(404, b"", {"set-cookie": "a=b"})))
    for _ in range(2):
        await lookout(trigger)
    assert "cookie" not in http_server.asked[1].headers


async def test_proxies_of_the_environment_are_taken_only_when_asked(
    http_server: HttpServer, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = await HttpServer().start()
    monkeypatch.setenv("HTTP_PROXY", proxy.url(""))
    monkeypatch.delenv("NO_PROXY", raising=False)
    try:
        await lookout(HttpTrigger(url=http_server.on("/", reply(200))))
        assert (len(http_server.asked), len(proxy.asked)) == (1, 0)
        await lookout(HttpTrigger(url="http://api.example/x", env_proxies=True))
        assert proxy.asked[0].path == "http://api.example/x"
    finally:
        await proxy.stop()


class TestRedirects:
    async def test_followed_to_the_answer(self, http_server: HttpServer, lookout: Lookout) -> None:
        http_server.on("/end", reply(200, "here"))
        verdict = await lookout(HttpTrigger(url=http_server.on("/", redirect("/end", 307)), contains="here"))
        assert isinstance(verdict, Fire)
        assert verdict.event["url"] == http_server.url("/end")

    async def test_secrets_stay_with_their_origin(self, http_server: HttpServer, lookout: Lookout) -> None:
        other = await HttpServer().start()
        try:
            url = http_server.on("/", redirect(other.on("/", reply(200))))
            headers = {"x-token": Secret("env:CANARY"), "cookie": "a=b", "x-plain": "p"}
            await lookout(HttpTrigger(url=url, headers=headers, auth=Secret("env:CANARY")))
        finally:
            await other.stop()
        assert http_server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
        assert http_server.asked[0].headers["x-token"] == CANARY
        elsewhere = other.asked[0].headers
        assert elsewhere["x-plain"] == "p"
        assert not {"x-token", "authorization", "cookie"} & set(elsewhere)

    @pytest.mark.parametrize("status", [307, 308])
    @pytest.mark.parametrize("body", [Secret("env:CANARY"), {"key": Secret("env:CANARY")}, "plain"])
    async def test_a_body_stays_with_its_origin(
        self, status: int, body: Any, http_server: HttpServer, lookout: Lookout
    ) -> None:
        other = await HttpServer().start()
        url = http_server.on("/", redirect(other.on("/", reply(200)), status))
        try:
            with pytest.raises(LookFailed, match=f"{other.port}: a body is not sent there"):
                await lookout(HttpTrigger(url=url, method="POST", body=body))
        finally:
            await other.stop()
        assert len(http_server.asked) == 1
        assert other.asked == []

    async def test_a_body_follows_within_its_origin(self, http_server: HttpServer, lookout: Lookout) -> None:
        http_server.on("/end", reply(200))
        url = http_server.on("/", redirect("/end", 307))
        await lookout(HttpTrigger(url=url, method="POST", body=Secret("env:CANARY")))
        assert [one.body.decode() for one in http_server.asked] == [CANARY, CANARY]

    async def test_without_its_body_a_post_goes_on_to_another_origin(
        self, http_server: HttpServer, lookout: Lookout
    ) -> None:
        other = await HttpServer().start()
        url = http_server.on("/", redirect(other.on("/", reply(200)), 302))
        try:
            await lookout(HttpTrigger(url=url, method="POST", body=Secret("env:CANARY")))
        finally:
            await other.stop()
        assert [(one.method, one.body) for one in other.asked] == [("GET", b"")]

    async def test_a_post_becomes_a_get_after_303(self, http_server: HttpServer, lookout: Lookout) -> None:
        http_server.on("/end", reply(200))
        await lookout(HttpTrigger(url=http_server.on("/", redirect("/end", 303)), method="POST", body="x"))
        assert [(one.method, one.body) for one in http_server.asked] == [("POST", b"x"), ("GET", b"")]


class TestRateLimit:
    """C33, D14: the slowest limit that a wait asks for rules its origin; the triggerer spaces looks."""

    async def test_spacing_follows_the_waits(self) -> None:
        source = HttpSource(("http", "http://h"), World())
        waits = [Wait(HttpTrigger(url="http://h/", max_rps=rps)) for rps in (10, 2, None)]
        for wait in waits:
            source.add(wait)
        assert source.spacing_us == SECOND // 2
        source.remove(waits[1], "fired")
        assert source.spacing_us == SECOND // 10
        source.remove(waits[0], "cancelled")
        assert source.spacing_us == 0

    async def test_one_origin_is_one_source(self) -> None:
        keys = {
            HttpTrigger(url=url).source_key()
            for url in ("http://h/a", "http://H:80/b?c", "HTTP://h", "http://h/d#e")
        }
        assert keys == {("http", "http://h")}


class TestPolicy:
    @pytest.mark.parametrize(
        "url",
        [
            "http://169.254.169.254/latest/meta-data", "http://2852039166/", "http://0xa9fea9fe/",
            "http://0251.0376.0251.0376/", "http://169.254.43518/", "http://[::ffff:169.254.169.254]/",
            "http://[fe80::1]/", "http://[fe80::1%25eth0]/", "http://[64:ff9b::a9fe:a9fe]/",
            "http://[2002:a9fe:a9fe::]/", "http://[fd00:ec2::254]/", "http://100.100.100.200/",
            "http://[fd20:ce::254]/", "http://168.63.129.16/", "http://[::ffff:0:a9fe:a9fe]/",
            "http://169.254.169.254./", "http://224.0.0.1/", "http://[ff02::1]/", "http://255.255.255.255/",
        ],
    )  # fmt: skip
    async def test_metadata_and_link_local_are_refused(self, url: str, lookout: Lookout) -> None:
        assert not allowed(url, HttpPolicy())
        verdict = await lookout(HttpTrigger(url=url))
        assert isinstance(verdict, Fail)
        assert "is refused" in verdict.reason

    @pytest.mark.parametrize(
        "url",
        ["http://127.0.0.1:1/", "http://[::1]/", "http://10.0.0.1/", "http://example.org/", "http://de/"],
    )
    def test_loopback_private_and_public_are_open(self, url: str) -> None:
        assert allowed(url, HttpPolicy())

    def test_a_name_that_resolves_to_a_refused_address(self) -> None:
        assert allowed("http://h/", HttpPolicy(), ["93.184.216.34"])
        assert not allowed("http://h/", HttpPolicy(), ["93.184.216.34", "169.254.169.254"])

    @pytest.mark.parametrize(
        ("url", "resolved", "ok"),
        [
            ("https://api.example.org/x", [], True),
            ("https://a.b.example.net/", [], True),
            ("https://example.net/", [], False),
            ("http://host:8443/", [], True),
            ("http://host:8080/", [], False),
            ("http://10.1.2.3/", [], True),
            ("http://inside/", ["10.1.9.9"], True),
            ("http://inside/", ["10.1.9.9", "10.2.0.1"], False),
            ("http://127.0.0.1/", [], False),
            ("http://169.254.10.1/", [], True),
            ("http://169.254.10.2/", [], False),
        ],
    )
    def test_c33_the_allow_list(self, url: str, resolved: list[str], ok: bool) -> None:
        listed = "api.example.org, *.example.net,host:8443,10.1.0.0/16,169.254.10.1/32"
        policy = HttpPolicy.of({"BIDE_HTTP_ALLOW": listed})
        assert allowed(url, policy, resolved) is ok

    async def test_c33_the_allow_list_holds_in_the_source(
        self, http_server: HttpServer, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("BIDE_HTTP_ALLOW", "api.example.org")
        verdict = await lookout(HttpTrigger(url=http_server.on("/", reply(200))))
        assert isinstance(verdict, Fail)
        assert "BIDE_HTTP_ALLOW" in verdict.reason
        assert http_server.asked == []

    async def test_what_was_checked_is_what_is_connected_to(self, http_server: HttpServer) -> None:
        """DNS rebinding: the second answer of the name server is never asked for."""
        answers = [["127.0.0.1"], ["169.254.169.254"]]

        class Rebinding(World):
            async def in_thread(self, fn: Any, *args: Any, limit_us: int | None = None) -> Any:
                return [(0, 0, 0, "", (one, args[1])) for one in answers.pop(0)]

        source = HttpSource(("http", "http://rebound.example"), Rebinding())
        http_server.on("/", reply(200))
        wait = Wait(HttpTrigger(url=f"http://rebound.example:{http_server.port}/"))
        seen = await source.look(wait.trigger.poll_key(), [wait])
        await source.close()
        assert seen.status == 200  # type: ignore[union-attr]
        assert len(answers) == 1

    def test_why_refused_names_the_list(self) -> None:
        why = why_refused("http://h/", HttpPolicy(allow=("other",)))
        assert why == "h:80 is not in BIDE_HTTP_ALLOW"


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    lines: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    root, keep = logging.getLogger(), Keep(level=0)
    level = root.level
    root.addHandler(keep)
    root.setLevel(1)
    try:
        yield lines
    finally:
        root.setLevel(level)
        root.removeHandler(keep)


class TestSecrets:
    """B72, C18: a secret is a reference until it is on the wire, and nowhere afterwards."""

    def trigger(self, url: str, **more: Any) -> HttpTrigger:
        return HttpTrigger(
            url=url,
            headers={"x-token": Secret("env:CANARY")},
            auth=("user", Secret("env:CANARY")),
            body={"key": Secret("env:CANARY")},
            method="POST",
            **more,
        )

    def test_c18_what_is_stored_names_the_secret_only(self) -> None:
        trigger = self.trigger("https://h/")
        stored = encode_trigger(trigger)
        assert b"canary" not in stored.lower().replace(b"env:canary", b"")
        assert decode_trigger(stored) == trigger
        for text in (trigger.describe(), repr(trigger), str(trigger.poll_key()), str(trigger.source_key())):
            assert CANARY not in text

    async def test_b72_a_server_that_echoes_it_does_not_get_it_stored(
        self, http_server: HttpServer, lookout: Lookout
    ) -> None:
        url = http_server.on("/", reply(200, {"you sent": CANARY}, {"x-request-id": CANARY}))
        with everything_logged() as lines:
            verdict = await lookout(self.trigger(url))
        assert isinstance(verdict, Fire)
        assert CANARY not in msgspec.json.encode(verdict.event).decode()
        assert not [line for line in lines if CANARY in line]
        assert http_server.asked[0].headers["x-token"] == CANARY

    async def test_b72_errors_do_not_show_it(
        self, http_server: HttpServer, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("CANARY", f"{CANARY}\r\nx-injected: 1")
        with pytest.raises(LookFailed, match="line break") as caught:
            await lookout(self.trigger(http_server.on("/", reply(200))))
        assert CANARY not in str(caught.value)
        assert http_server.asked == []

    async def test_b72_a_missing_secret_is_named(
        self, http_server: HttpServer, lookout: Lookout, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("CANARY")
        with pytest.raises(NotFoundError, match="env:CANARY"):
            await lookout(self.trigger(http_server.on("/", reply(200))))

    @pytest.mark.parametrize(
        "options",
        [
            {"url": "http://user:pw@h/"},
            {"url": "http://h/", "auth": ("user", "plain")},
            {"url": "http://h/", "auth": {"bearer": "plain"}},
            {"url": "http://h/", "auth": "plain"},
        ],
    )
    def test_c18_credentials_in_the_clear_are_refused(self, options: dict[str, Any]) -> None:
        with pytest.raises(UsageError) as caught:
            HttpTrigger(**options)
        assert "pw" not in str(caught.value)
        assert "'plain'" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"url": "ftp://h/"}, "not an HTTP address"),
        ({"url": "h/path"}, "not an HTTP address"),
        ({"url": "http://h:99999/"}, "cannot be read"),
        ({"url": "http://h/a b"}, "%20"),
        ({"method": "BREW"}, "BREW"),
        ({"equals": 1}, "json_path"),
        ({"json_path": "a[b"}, "character"),
        ({"json_path": ""}, "json_path"),
        ({"expect_status": 99}, "100 to 599"),
        ({"expect_status": ()}, "nothing would be ready"),
        ({"expect_status": None}, "100 to 599"),
        ({"expect_status": ("6xx",)}, "6xx"),
        ({"fail_on": ((500, 400),)}, "fail_on"),
        ({"timeout": 0}, "timeout"),
        ({"max_rps": 0}, "max_rps"),
        ({"headers": {"x": {"$secret": "vault:x"}}}, "names no secret"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(options: dict[str, Any], says: str) -> None:
    usual: dict[str, Any] = {"url": "http://h/"}
    with pytest.raises(UsageError, match=says):
        HttpTrigger(**(usual | options))


def test_a_trigger_is_the_same_after_a_restart() -> None:
    trigger = HttpTrigger(
        url="https://h:8443/x?y", method="HEAD", expect_status=(200, "3xx", (401, 403)), json_path="a.b",
        equals=None, fail_on=410, max_rps=0.5, body=["x", {"y": 1}], headers={"a": "b"}, timeout=5,
    )  # fmt: skip
    again = decode_trigger(encode_trigger(trigger))
    assert again == trigger
    assert again.poll_key() == trigger.poll_key()
    assert isinstance(again, HttpTrigger)
    assert again.equals is None
    assert decode_trigger(encode_trigger(HttpTrigger(url="http://h"))).equals is msgspec.UNSET  # type: ignore[attr-defined]


def test_origins() -> None:
    assert origin_of("http://[::1]:8080/x") == "http://[::1]:8080"


async def test_a_client_of_the_users_own(http_server: HttpServer) -> None:
    httpx = pytest.importorskip("httpx")
    made: list[Any] = []

    def mine(tls: Any, env_proxies: bool) -> Any:
        made.append(httpx.AsyncClient(verify=tls, headers={"x": "y"}))
        return made[-1]

    source = HttpSource(("http", http_server.url()), World(), new_client=mine)
    wait = Wait(HttpTrigger(url=http_server.on("/", reply(200))))
    assert (await source.look("k", [wait])).status == 200  # type: ignore[union-attr]
    await source.close()
    assert made[0].is_closed
    assert http_server.asked[0].headers["x"] == "y"


async def test_cut_looks_give_their_connections_back(http_server: HttpServer, lookout: Lookout) -> None:
    hung = HttpTrigger(url=http_server.on("/", black_hole()), timeout=0.05)
    for _ in range(12):
        with pytest.raises(LookFailed):
            await lookout(hung)
    assert isinstance(await lookout(HttpTrigger(url=http_server.on("/ok", reply(200)), timeout=1)), Fire)


def test_stored_waits_are_read_without_loading_a_client() -> None:
    code = (
        "import sys; from bide.triggers import decode_trigger as d;"
        'd(b\'{"kind":"http","url":"http://h/"}\');'
        'd(b\'{"kind":"kafka","bootstrap":"h:1","topic":"t","offset":1}\');'
        'd(b\'{"kind":"object","url":"s3://b/k"}\');'
        "print([name for name in ('httpx', 'httpx2', 'aiokafka', 'obstore') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


async def test_the_longest_time_limit_of_a_shared_look_holds(http_server: HttpServer) -> None:
    url = http_server.on("/", late(0.2, reply(200, gzip.compress(b"x"), {"content-encoding": "gzip"})))
    source = HttpSource(("http", origin_of(url)), World())
    waits = [Wait(HttpTrigger(url=url, timeout=limit)) for limit in (0.05, 40)]
    for wait in waits:
        source.add(wait)
    assert (await source.look("k", waits)).status == 200  # type: ignore[union-attr]
    assert source.limit_us == 45 * SECOND
    await source.close()
