"""Notices at the doors: the terminal with and without a service, REST, and what each says when it cannot be."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bide import Runtime, approval, dag
from bide.notify import Route
from bide.runtime.cli.main import run as bide
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.caller import Caller
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from tests.notify.conftest import Hook, orders, received
from tests.notify.test_sending import fails, quiet, shown
from tests.servers.http_server import HttpServer, reply

Bide = Callable[..., int]


@dag(owner="sales")
def release() -> None:
    approval("gate", prompt="release it?", who=["ann"])


async def typed(*words: str) -> int:
    """The terminal, in a thread: the service that it talks to lives on this loop."""
    return await asyncio.to_thread(bide, list(words))


async def test_b66_the_terminal_lists_tests_and_retries_over_the_socket(
    tmp_path: Path, http_server: HttpServer, hook: Hook, capsys: pytest.CaptureFixture[str]
) -> None:
    db = tmp_path / "bide.db"
    routes = [
        Route(hook("/ops", reply(204)), name="ops", kinds=["failure"], owner="sales"),
        Route(hook("/down", reply(500, "broken"), reply(500, "broken"), reply(204)), name="down"),
    ]
    async with Runtime(db, [orders], notify=routes) as rt:
        listener = Listener(db.with_name("bide.db.sock"))
        try:
            async with serving(listener.socket, rt.asgi):
                assert await typed("notify", "test", "ops", "--db", str(db)) == 0
                assert "a test went over ops and was taken (204)" in capsys.readouterr().out
                assert await typed("notify", "test", "down", "--db", str(db)) == 4
                assert (
                    "a test over down was not taken: 500: broken; it is tried again; `bide notify routes` says where"
                    in capsys.readouterr().err
                )
                assert await typed("notify", "test", "nobody", "--db", str(db)) == 3
                assert "there is no route 'nobody': there are ops, down" in capsys.readouterr().err
                assert await typed("notify", "routes", "--db", str(db), "--json") == 0
                ops, down = json.loads(capsys.readouterr().out)
                assert (ops["name"], ops["kinds"], ops["failing"]) == ("ops", ["failure"], None)
                assert (down["pending"], down["failing"]) == (1, "500: broken")
                well, wrong = [c for c in (await rt.operations.doctor()).checks if c.name == "notices"]
                assert (well.ok, wrong.ok) == (True, False)
                assert "500: broken" in wrong.found
                assert "`bide notify test down`" in wrong.advice
                assert await typed("notify", "list", "--db", str(db), "--state", "pending", "--json") == 0
                [notice] = json.loads(capsys.readouterr().out)
                assert (notice["route"], notice["kind"], notice["attempts"]) == ("down", "test", 1)
                assert await typed("notify", "retry", notice["id"], "--db", str(db)) == 0
                await quiet(rt)
                assert await typed("notify", "retry", notice["id"], "--db", str(db)) == 0
                await quiet(rt)
                assert await typed("notify", "retry", notice["id"], "--db", str(db)) == 4
                assert f"notice {notice['id']} is sent" in capsys.readouterr().err
                assert await typed("notify", "list", "--db", str(db)) == 0
                assert "a test of the route down" in capsys.readouterr().out
        finally:
            listener.close()


async def test_b66_rest_has_the_same(tmp_path: Path, hook: Hook) -> None:
    async with Runtime(
        tmp_path / "bide.db", [orders], notify=[Route(hook("/ops", reply(204)), name="ops")]
    ) as rt:
        await fails(rt)
        transport = httpx.ASGITransport(rt.asgi_for(Caller("ann")))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost/api/v1") as client:
            [line] = (await client.get("/notify/routes")).json()
            assert (line["name"], line["window_seconds"]) == ("ops", 300)
            [notice] = (await client.get("/notices", params={"route": "ops"})).json()
            assert (notice["state"], notice["title"]) == ("sent", "orders failed")
            answer = await client.post("/notify/routes/ops/test", json={})
            assert answer.json()["done"] == "a test went over ops and was taken (204)"
            assert (await client.post("/notify/routes/x/test", json={})).status_code == 404
            assert (await client.get("/notices", params={"state": "lost"})).status_code in (400, 422)
            assert (await client.post(f"/notices/{notice['id']}/retry", json={})).status_code == 409
            assert (await client.post("/notices/failed/retry", json={"route": "ops"})).json()["result"] == {
                "notices": []
            }


async def test_b66_routes_are_taken_again_while_it_runs(tmp_path: Path, hook: Hook) -> None:
    first, other = Route(hook("/a", reply(204)), name="ops"), Route(hook("/b", reply(204)), name="ops")
    async with Runtime(tmp_path / "bide.db", [orders]) as rt:
        await (await rt.trigger("orders")).wait(timeout=20)
        await rt.settled()
        assert rt.reroute([first]) == "routes: ops is new"
        assert "was taken" in (await rt.operations.notices.test("ops")).done
        assert rt.reroute([first]) == ""
        with pytest.raises(UsageError, match="two routes"):
            rt.reroute([first, other])
        assert rt.reroute([other]) == "routes: ops has changed"
        assert "was taken" in (await rt.operations.notices.test("ops")).done
        await quiet(rt)
        sent = await rt.operations.notices.listed()
        assert {each.kind for each in sent} == {"test"}  # what failed before there was a route is no news
        await fails(rt)
        await quiet(rt)
        assert [each.kind for each in await rt.operations.notices.listed(state="sent")].count("failure") == 1
        assert rt.reroute([]) == "routes: ops is gone"
        with pytest.raises(NotFoundError):
            await rt.operations.notices.test("ops")


async def test_b66_without_a_service_a_test_is_sent_from_here(
    tmp_path: Path, http_server: HttpServer, hook: Hook, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    async with Runtime(tmp_path / ".bide" / "bide.db", [orders]):
        pass
    url = http_server.on("/ops", reply(204))
    (tmp_path / "bide.toml").write_text(
        f'[[notify]]\nname = "ops"\nwebhook = "{url}"\nsecret = "env:HOOK_SECRET"\n'
    )
    monkeypatch.chdir(tmp_path)
    assert await typed("notify", "routes") == 0
    assert "ops" in capsys.readouterr().out
    assert await typed("notify", "test", "ops") == 0
    assert "no service runs: sent from here" in capsys.readouterr().out
    assert received(http_server.asked[0]).type == "bide.test"
    monkeypatch.delenv("HOOK_SECRET")
    assert await typed("notify", "test", "ops") == 4
    assert "cannot be read" in capsys.readouterr().err
    assert await typed("notify", "secret") == 0
    assert capsys.readouterr().out.startswith("whsec_")


async def test_b66_who_may_decide_is_told_and_not_any_more_once_it_is_decided(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    route = Route(hook("/ann", reply(503), reply(204)), owner="ann", kinds="approval", name="ann")
    async with Runtime(tmp_path / "bide.db", [release], notify=[route]) as rt:
        run = await rt.trigger("release")
        await rt.settled()
        await quiet(rt)
        assert await shown(rt) == [("pending", 1, 503)]
        told = received(http_server.asked[0])
        assert told.data["alerts"][0]["payload"]["who"] == ["ann"]
        assert "`bide approvals approve 1`" in told.data["text"]
        await rt.approvals.approve(None, "ann", "fine")
        await run.wait()
        await rt.operations.notices.retry("1")
        await quiet(rt)
        assert (await shown(rt))[0][0] == "moot"
    assert http_server.count("/ann") == 1


async def test_b66_nothing_is_loaded_where_nobody_is_told(tmp_path: Path) -> None:
    code = (
        "import asyncio, sys\nfrom bide import Runtime\n"
        f"async def main():\n    async with Runtime({str(tmp_path / 'bide.db')!r}): pass\n"
        "asyncio.run(main())\n"
        "assert 'bide.runtime.notify.notifier' not in sys.modules and 'apprise' not in sys.modules\n"
    )
    import sys

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={"PYTHONPATH": str(Path(__file__).parents[2])}
    )
    assert await process.wait() == 0
