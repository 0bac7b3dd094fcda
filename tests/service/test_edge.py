"""T17, who may: over a real TCP port nothing is told or done for anybody without a name, a scope and a right address."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from bide.runtime.service.api import make_app
from bide.runtime.service.caller import Caller
from bide.runtime.service.edge import OPEN, Edge, Peer, is_open
from bide.runtime.service.scopes import scopes_of
from bide.runtime.service.tokens import UnknownTokenError
from tests.service.doorstep import Doorstep, doorstep, problem

JSON = {"Content-Type": "application/json"}
RUNS = "/api/v1/dags/one/runs"


@pytest.fixture
async def step(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with doorstep(tmp_path / "bide.db") as found:
        yield found


def routes(app: Any) -> list[tuple[str, str]]:
    """(method, template) of every route of the app behind an edge."""
    return [
        (method, route.path)
        for route in app.app.routes
        for method in sorted(getattr(route, "methods", None) or ())
    ]


def filled(template: str) -> str:
    """A path that the template matches."""
    return "/".join("1" if part.startswith("{") else part for part in template.split("/"))


async def test_t17_every_route_without_a_token_is_refused_over_tcp_but_the_four(step: Doorstep) -> None:
    there = routes(step.app)
    assert len(there) > 50
    for method, template in there:
        answer = await step.ask(
            method, filled(template), headers=JSON, content=b"" if method == "GET" else b"{}"
        )
        if template in OPEN:
            assert answer.status_code == 200, template
        elif not template.startswith("/hooks/"):
            said = "" if method == "HEAD" else problem(answer, 401)
            assert answer.status_code == 401, (method, template)
            assert answer.headers["www-authenticate"].startswith("Bearer"), said
    assert await step.rt.operations.runs() == []


def test_t17_a_route_without_a_scope_in_the_table_is_none_and_every_route_has_one(tmp_path: Path) -> None:
    app = make_app(cast("Any", None), lambda: "")
    scope_of = scopes_of(app).of
    for route in app.routes:
        for method in getattr(route, "methods", None) or ():
            path = filled(route.path)  # type: ignore[attr-defined]
            assert is_open(method, path) or scope_of(method, path) in ("read", "run", "admin"), (method, path)
            assert not is_open(method, path) or path in OPEN or path.startswith("/hooks/")
    assert scope_of("GET", "/api/v1/nothing") is None
    assert scope_of("PATCH", "/api/v1/dags") is None


LOOKALIKES = (
    "/api/v1/dags/health", "/api/v1/dags/ready", "/api/v1/runs/healthz", "/x/healthz", "/healthz/",
    "/HEALTHZ", "//healthz", "/healthz/../api/v1/dags", "/api/v1/dags?x=/healthz", "/api/v1/dags#/healthz",
    "/healthz%2f..", "/livez/x", "/api/v1/readyz", "/.healthz", "/healthz;x", "/api/v1/dags/..%2fhealthz",
    "/hooks/a/b", "/hooks",
)  # fmt: skip


async def test_t17_a_path_that_looks_like_an_open_one_is_none(step: Doorstep) -> None:
    for path in LOOKALIKES:
        head = (await step.raw(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"))[0]
        assert head in ("HTTP/1.1 401 Unauthorized", "HTTP/1.1 400 Bad Request"), (path, head)


async def test_t17_each_scope_allows_what_it_says_and_no_more(step: Doorstep) -> None:
    read, run, admin = [await step.token(scope, scope) for scope in ("read", "run", "admin")]
    for token, method, path, status in [
        (read, "GET", "/api/v1/dags", 200), (read, "POST", "/api/v1/dags/one/runs", 403),
        (read, "GET", "/api/v1/tokens", 403), (read, "GET", "/api/v1/audit", 403),
        (run, "GET", "/api/v1/dags", 200), (run, "POST", "/api/v1/dags/one/runs", 201),
        (run, "POST", "/api/v1/tokens", 403), (run, "POST", "/api/v1/tokens/admin/revoke", 403),
        (admin, "POST", "/api/v1/dags/one/runs", 201), (admin, "GET", "/api/v1/audit", 200),
        (admin, "GET", "/api/v1/tokens", 200), (admin, "GET", "/api/v1/nothing", 404),
        (admin, "DELETE", "/api/v1/dags", 405), (read, "OPTIONS", "/api/v1/dags", 405),
    ]:  # fmt: skip
        answer = await step.ask(method, path, token, headers=JSON, content=None if method == "GET" else b"{}")
        assert answer.status_code == status, (method, path, answer.text)
    denied = await step.ask("GET", "/api/v1/tokens", read)
    assert "needs the scope admin, and 'read' has read" in problem(denied, 403)
    assert 'error="insufficient_scope"' in denied.headers["www-authenticate"]


async def test_t17_a_token_that_is_not_expired_revoked_or_cut_opens_and_others_do_not(step: Doorstep) -> None:
    good = await step.token("good", "read")
    assert (await step.ask("GET", "/api/v1/dags", good)).status_code == 200
    for wrong in (
        good[:-1],
        good + "x",
        good.upper(),
        good[:-1] + ("a" if good[-1] != "a" else "b"),
        "bide_",
        "x" * 4000,
        "é",
    ):
        answer = await step.client.get(
            "/api/v1/dags", headers=[(b"authorization", b"Bearer " + wrong.encode())]
        )
        assert "none of this database's" in problem(answer, 401)
    await step.rt.operations.tokens.revoke("good")
    answer = await step.ask("GET", "/api/v1/dags", good)
    assert "'good' is revoked" in problem(answer, 401)
    assert answer.headers["www-authenticate"] == 'Bearer realm="bide", error="invalid_token"'


async def test_t17_who_asks_is_said_by_a_bearer_token_and_nothing_else(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    for said in (
        b"Basic YTpi",
        b"Bearer",
        b"bide_x",
        b"Token x",
        b"",
        b"Bearer " + token.encode() + b", Basic x",
    ):
        problem(await step.client.get("/api/v1/dags", headers=[(b"authorization", said)]), 401)
        twice = [(b"authorization", b"Bearer " + token.encode()), (b"authorization", said)]
        problem(await step.client.get("/api/v1/dags", headers=twice), 401)
    for elsewhere in (f"?token={token}", f"?access_token={token}"):
        problem(await step.client.get(f"/api/v1/dags{elsewhere}"), 401)
    problem(await step.client.get("/api/v1/dags", headers={"Cookie": f"token={token}"}), 401)


HOSTS = {
    200: (
        "localhost", "LOCALHOST:1", "127.0.0.1", "127.9.9.9:80", "[::1]:80", "localhost.", "bide.example",
    ),
    421: (
        "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "10.0.0.1", "[::2]", "2130706433",
        "evil.example:80@localhost", "0.0.0.0",
    ),
}  # fmt: skip


async def test_t17_another_name_that_leads_here_is_refused(tmp_path: Path) -> None:
    async with doorstep(tmp_path / "bide.db", names=("bide.example",)) as step:
        token = await step.token("t", "read")
        for status, hosts in HOSTS.items():
            for host in hosts:
                answer = await step.ask("GET", "/api/v1/dags", token, headers={"Host": host})
                assert answer.status_code == status, (host, answer.text)
        for headers in ("", "Host: localhost\r\nHost: evil.example\r\n"):
            said = await step.raw(f"GET /livez HTTP/1.1\r\n{headers}Connection: close\r\n\r\n")
            assert said[0] == "HTTP/1.1 400 Bad Request", said


PAGES: tuple[tuple[dict[str, str], int], ...] = (
    ({}, 201),
    ({"Origin": "http://{here}"}, 201),
    ({"Sec-Fetch-Site": "same-origin"}, 201),
    ({"Origin": "http://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "http://{here}.evil.example"}, 403),
    ({"Origin": "http://evil.example#{here}"}, 403),
    ({"Origin": "http://[x"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
)


async def test_t17_a_page_of_another_site_changes_nothing(step: Doorstep) -> None:
    token, made = await step.token("t", "run"), 0
    for headers, status in PAGES:
        said = {name: value.replace("{here}", f"127.0.0.1:{step.port}") for name, value in headers.items()}
        answer = await step.ask("POST", RUNS, token, headers={**JSON, **said}, content=b'{"new": true}')
        assert answer.status_code == status, (headers, answer.text)
        made += status == 201
        assert len(await step.rt.operations.runs()) == made
        assert "access-control-allow-origin" not in answer.headers


async def test_t17_what_a_form_of_a_page_can_send_is_refused(step: Doorstep) -> None:
    token = await step.token("t", "run")
    for content in (
        "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain", "text/json", "",
        "application/jsonp", "application/json, text/plain",
    ):  # fmt: skip
        headers = {"Content-Type": content} if content else {}
        problem(await step.ask("POST", RUNS, token, headers=headers, content=b"{}"), 415)
    assert await step.rt.operations.runs() == []


async def test_t17_a_websocket_is_closed_whoever_asks(step: Doorstep) -> None:
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await step.app({"type": "websocket", "path": "/healthz", "headers": []}, receive, send)
    assert sent == [{"type": "websocket.close", "code": 1008}]
    upgrade = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "eA==",
    }
    problem(await step.ask("GET", "/api/v1/events/in", headers=upgrade), 401)


async def test_t17_answers_are_not_for_a_browser_to_read_more_into(step: Doorstep) -> None:
    answer = await step.ask("GET", "/api/v1/dags", await step.token("t", "read"))
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers


async def test_t17_a_path_that_no_table_knows_reaches_no_route() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it must not be reached")

    async def known(token: str, address: str) -> Caller:
        if token == "good":
            return Caller("x", "http")
        raise UnknownTokenError("no")

    edge = Edge(app, lambda method, path: None, known)
    transport = httpx.ASGITransport(edge)
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
        problem(await client.get("/api/v1/dags"), 401)
        problem(await client.get("/healthz/x"), 401)
        assert "Not Found" in problem(
            await client.get("/api/v1/dags", headers={"Authorization": "bearer good"}), 404
        )
    assert edge.refused == {401: 2, 404: 1}


async def test_t17_no_header_can_say_who_is_at_the_other_end(step: Doorstep) -> None:
    for forged in (
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Forwarded",
        "X-Real-IP",
        "bide_peer",
        "bide_caller",
        "Remote-User",
    ):
        problem(await step.ask("GET", "/api/v1/dags", headers={forged: "root"}), 401)
    token = await step.token("t", "run")
    await step.ask(
        "POST", "/api/v1/dags/one/runs", token, headers={**JSON, "X-Forwarded-For": "6.6.6.6"}, content=b"{}"
    )
    [line] = await step.rt.operations.audit(verb="trigger")
    assert (line.who, line.via, line.address) == ("t", "http", "127.0.0.1")


async def test_b69_a_host_says_who_asks_and_what_it_does_not_say_needs_a_token(step: Doorstep) -> None:
    def who(scope: Any) -> Caller | None:
        return Caller("ann", scope="run") if dict(scope["headers"]).get(b"x-session") == b"good" else None

    transport = httpx.ASGITransport(step.rt.asgi_for(who))
    async with httpx.AsyncClient(transport=transport, base_url="http://host.example") as client:
        problem(await client.get("/api/v1/dags"), 401)
        assert (await client.get("/api/v1/dags", headers={"X-Session": "good"})).status_code == 200
        problem(await client.get("/api/v1/audit", headers={"X-Session": "good"}), 403)
        assert (
            await client.post("/api/v1/dags/one/runs", headers={"X-Session": "good"}, json={})
        ).status_code == 201
    [line] = await step.rt.operations.audit(verb="trigger")
    assert (line.who, line.via, line.address) == ("ann", "host", "127.0.0.1")


def test_t17_a_peer_is_only_what_our_own_server_says() -> None:
    assert Peer().user == ""
    assert not Caller("x", scope="read").may("nonsense")
    assert Caller("a\nb\x1b[31m" + "x" * 500).who.isprintable()


async def test_an_answer_over_tcp_is_not_held_back_for_the_next_one(step: Doorstep) -> None:
    """Without it each answer of a connection that is kept waits 40 ms for the other end to say that it has the last."""
    token = await step.token("t", "read")
    began = time.perf_counter()
    for _ in range(25):
        await step.ask("GET", "/api/v1/dags", token)
    assert time.perf_counter() - began < 0.9
