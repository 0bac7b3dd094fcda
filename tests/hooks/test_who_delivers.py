"""Hooks behind the edge: a signature opens its hook and nothing else; what is not signed asks for a token."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bide import Runtime
from bide.hooks import CloudEvents, GitHub, Unsigned, Webhook
from bide.runtime.assets.declarations import collecting
from tests.hooks.conftest import build
from tests.hooks.signed import SECRET, assert_nowhere, body_of, github

BODY = body_of({"ref": "main"})
JSON = {"Content-Type": "application/json"}
EVENT = {**JSON, "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1"}


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK_SECRET", SECRET)


@asynccontextmanager
async def app_of(folder: Path) -> AsyncIterator[tuple[Runtime, httpx.AsyncClient]]:
    """The whole app, with its edge, as somebody on the network reaches it."""
    with collecting():
        hooks: list[Webhook | CloudEvents] = [
            Webhook("signed", build, scheme=GitHub("env:HOOK_SECRET"), params={"branch": "$.ref"}),
            Webhook("open", build, scheme=Unsigned(), key="$.id"),
            CloudEvents("*", build),
        ]
    async with Runtime(folder / "b.db", [build], hooks=hooks, synchronous="NORMAL") as rt:
        transport = httpx.ASGITransport(rt.asgi)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            yield rt, client


async def token_of(rt: Runtime, name: str, scope: str) -> dict[str, str]:
    made = await rt.operations.tokens.create(name, scope)
    return {**JSON, "Authorization": f"Bearer {made.token}"}


async def test_b65_a_signature_needs_no_token_and_opens_nothing_else(tmp_path: Path) -> None:
    async with app_of(tmp_path) as (_, client):
        assert (await client.post("/hooks/signed", content=BODY, headers=github(BODY))).status_code == 201
        own = {**github(BODY, "d-2"), "Authorization": "Basic c2VuZGVyOm93bg=="}
        assert (await client.post("/hooks/signed", content=BODY + b" ", headers=own)).status_code == 401
        assert (await client.post("/hooks/signed", content=BODY, headers=own)).status_code == 200
        for path in ("/hooks/signed/", "/hooks/signed/x", "/hooks/", "/api/v1/hooks", "/api/v1/runs"):
            assert (await client.get(path, headers=github(BODY))).status_code in (401, 404, 405), path
            assert (await client.post(path, content=BODY, headers=github(BODY))).status_code in (
                401,
                404,
                405,
            )


async def test_b65_what_is_not_signed_needs_a_token_that_may_start_runs(tmp_path: Path) -> None:
    async with app_of(tmp_path) as (rt, client):
        run, read = await token_of(rt, "ci", "run"), await token_of(rt, "eyes", "read")
        for headers in (JSON, read, {**JSON, "Authorization": "Bearer bide_nonsense"}):
            refused = await client.post("/hooks/open", content=b'{"id":1}', headers=headers)
            assert (refused.status_code, "token of scope run" in refused.text) == (401, True)
            event = await client.post("/api/v1/events", content=b"{}", headers={**EVENT, **headers})
            assert event.status_code in (401, 403)
        assert (await client.post("/hooks/open", content=b'{"id":1}', headers=run)).status_code == 201
        assert (await client.post("/hooks/open", content=b'{"id":1}', headers=run)).status_code == 200
        assert (
            await client.post("/api/v1/events", content=b"{}", headers={**EVENT, **run})
        ).status_code == 201
        assert len(await rt.operations.runs()) == 2


async def test_b65_the_audit_log_says_which_hook_made_a_run(tmp_path: Path) -> None:
    async with app_of(tmp_path) as (rt, client):
        run = await token_of(rt, "ci", "run")
        await client.post("/hooks/signed", content=BODY, headers=github(BODY))
        await client.post("/hooks/open", content=b'{"id":1}', headers=run)
        await client.post("/hooks/signed", content=BODY, headers=github(BODY, secret="a forged secret"))
        lines = [line for line in await rt.operations.audit() if line.verb == "hook_deliver"]
        assert [(line.who, line.via) for line in reversed(lines)] == [("signed", "hook"), ("ci", "http")]


async def test_b65_no_secret_reaches_the_database_the_logs_or_an_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = []
    async with app_of(tmp_path) as (rt, client):
        for headers in (github(BODY), github(BODY, secret="a forged secret"), JSON):
            answer = await client.post("/hooks/signed", content=BODY, headers=headers)
            answers.append(answer.text)
        answers.append(str(await rt.hooks.listed()) + str(await rt.hooks.deliveries("signed")))
    assert [text for text in answers if SECRET in text] == []
    assert SECRET not in caplog.text
    assert_nowhere(tmp_path, SECRET)


async def test_t17_b65_the_audit_log_tells_what_a_hook_refused_from_what_it_took(tmp_path: Path) -> None:
    async with app_of(tmp_path) as (rt, client):
        for body in (BODY, BODY, body_of({"ref": "x" * 50}), b"{"):
            await client.post("/hooks/signed", content=body, headers=github(body, delivery=str(len(body))))
        lines = [line for line in reversed(await rt.operations.audit()) if line.verb == "hook_deliver"]
    told = [(line.outcome, line.message) for line in lines]
    assert told[:2] == [("ok", ""), ("ok", "the same as the delivery that has made run 1")]
    assert [outcome for outcome, _ in told[2:]] == ["refused", "refused"]
    assert "must be 40 characters or fewer" in told[2][1]
    assert "not JSON" in told[3][1]
