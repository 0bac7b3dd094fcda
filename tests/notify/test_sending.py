"""Notices on their way: signed, at least once, tried again over days, and never where they must not go."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sqlite3
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Runtime, Secret
from bide.notify import Route, Webhook
from bide.runtime.notify import forewarned
from bide.testing import sim_runtime
from tests.notify.conftest import SECRET, Hook, orders, received, wide
from tests.servers.http_server import Asked, HttpServer, late, redirect, reply


async def until(server: HttpServer, path: str, count: int) -> None:
    async with asyncio.timeout(10):
        while server.count(path) < count:
            await asyncio.sleep(0.005)


async def fails(rt: Runtime, dag: str = "orders") -> None:
    """A run of it has failed, and whoever is to be told of it has been told, or not."""
    run = await rt.trigger(dag)
    assert (await run.wait()).state == "failed"
    await quiet(rt)


async def quiet(rt: Runtime) -> None:
    async with asyncio.timeout(10):
        while True:
            await rt.settled()
            assert rt.notifier is not None
            if not rt.notifier.busy:
                return
            await asyncio.sleep(0.002)


async def shown(rt: Runtime) -> list[tuple[str, int, int | None]]:
    """(state, attempts, last status) of all notices, the oldest first."""
    return [(n.state, n.attempts, n.status) for n in reversed(await rt.operations.notices.listed())]


def now() -> str:
    return datetime.now(UTC).isoformat()


async def test_b66_a_run_that_fails_is_told_over_a_signed_webhook(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async with Runtime(tmp_path / "bide.db", [orders], notify=[Route(hook("/ops", reply(204)))]) as rt:
        run = await rt.trigger("orders")
        assert (await run.wait()).state == "failed"
        await until(http_server, "/ops", 1)
    [asked] = http_server.asked
    told = received(asked)
    assert (told.type, told.data["kind"], told.data["severity"]) == ("bide.failure", "failure", "major")
    [alert] = told.data["alerts"]
    assert (alert["owners"], alert["tags"], alert["run_id"]) == (["sales"], ["nightly"], run.run_id)
    assert "ValueError: no orders today" in told.data["text"]


async def test_b66_a_run_of_a_thousand_failed_instances_is_one_notice(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async with Runtime(tmp_path / "bide.db", [wide], notify=[Route(hook("/ops", reply(204)))]) as rt:
        await fails(rt, "wide")
        assert len(await rt.operations.alerts()) == 1
    [asked] = http_server.asked
    assert received(asked).data["count"] == 1


async def test_b66_a_failure_that_ends_with_the_runtime_is_told_before_it_is_left(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async with Runtime(
        tmp_path / "bide.db", [orders], notify=[Route(hook("/ops", late(0.05, reply(200))))]
    ) as rt:
        await (await rt.trigger("orders")).wait()
    assert http_server.count("/ops") == 1


async def test_b66_each_route_takes_its_own(tmp_path: Path, http_server: HttpServer, hook: Hook) -> None:
    routes = [
        Route(hook("/sales", reply(204)), owner="sales", tags="nightly"),
        Route(hook("/late", reply(204)), kinds="deadline"),
        Route(hook("/pager", reply(204)), at_least="critical"),
        Route(hook("/all", reply(204))),
    ]
    async with Runtime(tmp_path / "bide.db", [orders, wide], notify=routes) as rt:
        await fails(rt)
    assert [http_server.count(path) for path in ("/sales", "/late", "/pager", "/all")] == [1, 0, 0, 1]


async def test_b66_what_was_raised_while_nobody_sent_is_sent_by_the_next_start(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    route = Route(hook("/ops", reply(204)))
    async with Runtime(tmp_path / "bide.db", [orders], notify=[route]):
        pass
    async with Runtime(tmp_path / "bide.db", [orders]) as rt:  # a runtime without routes, such as `bide run`
        await (await rt.trigger("orders")).wait()
        assert rt.notifier is None
    async with Runtime(tmp_path / "bide.db", [orders], notify=[route]) as rt:
        await quiet(rt)
    assert http_server.count("/ops") == 1


async def test_b66_what_was_raised_before_there_was_any_route_is_no_news(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async with Runtime(tmp_path / "bide.db", [orders]) as rt:
        await (await rt.trigger("orders")).wait()
    async with Runtime(tmp_path / "bide.db", [orders], notify=[Route(hook("/ops", reply(204)))]) as rt:
        await quiet(rt)
        assert not http_server.asked
        await fails(rt)
    assert http_server.count("/ops") == 1


# --- not taken -----------------------------------------------------------------------------------


async def test_b66_a_receiver_that_is_busy_is_asked_again_when_it_says(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    busy = reply(429, "slow down", {"retry-after": "3600"})
    route = Route(hook("/ops", busy, reply(200)))
    async with sim_runtime([orders], start=now(), db=tmp_path / "bide.db", notify=[route]) as rt:
        await fails(rt)
        assert await shown(rt) == [("pending", 1, 429)]
        await fails(rt)  # another one waits as long: it is the receiver who is busy
        await rt.clock.advance(timedelta(seconds=3590))
        assert http_server.count("/ops") == 1
        await rt.clock.advance(timedelta(seconds=20))
        await quiet(rt)
        assert [each[0] for each in await shown(rt)] == ["sent", "sent"]
    first = http_server.asked[0]
    [again] = [
        one for one in http_server.asked[1:] if one.headers["webhook-id"] == first.headers["webhook-id"]
    ]
    assert len(http_server.asked) == 3
    assert first.headers["webhook-id"] == again.headers["webhook-id"]
    assert first.body == again.body
    assert int(again.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) >= 3600


async def test_b66_a_receiver_that_is_down_is_tried_over_days_then_given_up_and_tried_again_by_hand(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    route = Route(hook("/ops", *[reply(503, "down")] * 12, reply(204)), name="ops")
    async with sim_runtime([orders], start=now(), db=tmp_path / "bide.db", notify=[route]) as rt:
        await fails(rt)
        for _ in range(5):
            await rt.clock.advance(timedelta(days=1))
            await quiet(rt)
        assert await shown(rt) == [("failed", 12, 503)]
        assert (await rt.operations.notices.routes())[0].failing == "503: down"
        assert http_server.count("/ops") == 12
        done = await rt.operations.notices.retry(None, "ops")
        assert done.done == "1 notice is tried again"
        await quiet(rt)
        assert await shown(rt) == [("sent", 1, 204)]
        assert (await rt.operations.notices.routes())[0].failing is None
    assert len({asked.headers["webhook-id"] for asked in http_server.asked}) == 1


async def test_b66_after_an_outage_what_is_alike_is_told_once_with_all_that_it_stands_for(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    route = Route(hook("/ops", reply(503, "down")), name="ops")
    async with sim_runtime([orders], start=now(), db=tmp_path / "bide.db", notify=[route]) as rt:
        for _ in range(4):
            await fails(rt)
            await rt.clock.advance(timedelta(hours=1))
            await quiet(rt)
        http_server.on("/ops", reply(204))
        down = http_server.count("/ops")
        await rt.clock.advance(timedelta(days=1))
        await quiet(rt)
        states = [state for state, _, _ in await shown(rt)]
    told = [json.loads(asked.body)["data"] for asked in http_server.asked[down:]]
    assert len(told) == 1, "one for all windows of the outage"
    assert told[0]["count"] == 4, "and none of them is lost"
    assert told[0]["title"] == "orders failed (4 times)"
    assert len(told[0]["alerts"]) == 4
    assert states == ["moot"] * 3 + ["sent"]


async def test_b66_a_receiver_that_is_gone_is_never_asked_again(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    gone = hook("/ops", reply(410))
    for _ in range(2):  # a restart does not forget it
        async with Runtime(tmp_path / "bide.db", [orders], notify=[Route(gone, name="ops")]) as rt:
            await fails(rt)
            [line] = await rt.operations.notices.routes()
            assert (line.off or "").startswith("410")
            assert await shown(rt) == [("gone", 1, 410)]
    assert http_server.count("/ops") == 1
    elsewhere = Route(hook("/new", reply(204)), name="ops")
    async with Runtime(tmp_path / "bide.db", [orders], notify=[elsewhere]) as rt:
        await fails(rt)
        assert (await rt.operations.notices.routes())[0].off is None
    assert http_server.count("/new") == 1, "it leads elsewhere now"


async def test_b66_a_test_turns_a_route_on_again(tmp_path: Path, http_server: HttpServer, hook: Hook) -> None:
    route = Route(hook("/ops", reply(410), reply(204)), name="ops")
    async with Runtime(tmp_path / "bide.db", [orders], notify=[route]) as rt:
        await fails(rt)
        done = await rt.operations.notices.test("ops")
        assert done.done == "a test went over ops and was taken (204)"
        await fails(rt)
    types = [received(asked).type for asked in http_server.asked]
    assert types == ["bide.failure", "bide.test", "bide.failure"]


async def test_b66_t17_a_redirect_is_refused(tmp_path: Path, http_server: HttpServer, hook: Hook) -> None:
    http_server.on("/elsewhere", reply(200))
    moved = hook("/ops", reply(307, b"", {"location": http_server.url("/elsewhere")}))
    async with Runtime(tmp_path / "bide.db", [orders], notify=[Route(moved)]) as rt:
        await fails(rt)
        [notice] = await rt.operations.notices.listed()
        assert (notice.state, notice.status) == ("pending", 307)
        assert "redirects" in (notice.error or "")
    assert http_server.count("/elsewhere") == 0


async def test_b66_a_receiver_that_never_answers_holds_up_nobody(
    tmp_path: Path, http_server: HttpServer, hook: Hook
) -> None:
    async def never(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    routes = [
        Route(hook("/hangs", never, timeout=0.2), name="hangs"),
        Route(hook("/well", reply(204)), name="well"),
    ]
    async with Runtime(tmp_path / "bide.db", [orders], notify=routes) as rt:
        await (await rt.trigger("orders")).wait()
        await until(http_server, "/well", 1)
        await quiet(rt)
        found = {n.route: n for n in await rt.operations.notices.listed()}
        assert (found["hangs"].state, found["hangs"].error) == ("pending", "no whole answer within 0.2 s")
        assert found["well"].state == "sent"


async def test_b66_a_secret_that_is_missing_or_weak_is_said_and_nothing_is_sent(
    tmp_path: Path, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAK", "whsec_c2hvcnQ=")
    url = http_server.on("/ops", reply(204))
    routes = [Route(Webhook(url, Secret(ref)), name=ref[4:]) for ref in ("env:WEAK", "env:MISSING")]
    async with Runtime(tmp_path / "bide.db", [orders], notify=routes) as rt:
        await fails(rt)
        found = {n.route: n.error or "" for n in await rt.operations.notices.listed()}
    assert found["WEAK"].startswith("the secret env:WEAK is 5 bytes, and signs with 24 to 64")
    assert "'env:MISSING' cannot be read" in found["MISSING"]
    assert not http_server.asked


# --- the signature -------------------------------------------------------------------------------


async def test_b66_a_route_that_could_tell_nobody_is_named_before_there_is_anything_to_tell(
    tmp_path: Path, hook: Hook, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forewarned, "find_spec", lambda name: None)
    routes = [
        Route(hook("/ops"), name="well"),
        Route(Webhook("http://127.0.0.1:9/x", Secret("env:NO_SUCH_SECRET")), name="no-secret"),
        Route("slack://a/b/c", name="no-library"),
    ]
    async with Runtime(tmp_path / "bide.db", [orders], notify=routes) as rt:
        async with asyncio.timeout(20):
            while rt.notifier is None or rt.notifier.busy:
                await asyncio.sleep(0.001)
        said = {each.name: each.failing or "" for each in await rt.notices.routes()}
    assert (said["well"], said["no-library"]) == ("", "apprise is missing: pip install 'bide[notify]'")
    assert "'env:NO_SUCH_SECRET' cannot be read" in said["no-secret"]
    told = [each.getMessage() for each in caplog.records if "can tell nobody" in each.getMessage()]
    assert [text.split()[2] for text in told] == ["no-secret", "no-library"]


async def test_b66_of_several_secrets_all_sign(
    tmp_path: Path, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = "whsec_" + "QUJD" * 8
    monkeypatch.setenv("OTHER", other)
    both = (Secret("env:OTHER"), Secret("env:HOOK_SECRET"))
    route = Route(Webhook(http_server.on("/ops", reply(204)), both, headers={"X-Team": "{env:OTHER}"}))
    async with Runtime(tmp_path / "bide.db", [orders], notify=[route]) as rt:
        await fails(rt)
    [asked] = http_server.asked
    assert received(asked).id == received(asked, other).id
    assert asked.headers["x-team"] == other
    asked.body = asked.body.replace(b"orders", b"ordres")
    with pytest.raises(Exception, match="No matching signature"):
        received(asked)


async def test_b66_t17_a_receiver_is_known_by_its_certificate(
    tmp_path: Path, https_server: HttpServer, authority_pem: str
) -> None:
    url = https_server.on("/ops", reply(204))
    secret = Secret("env:HOOK_SECRET")
    routes = [
        Route(Webhook(url, secret, ca=authority_pem), name="known"),
        Route(Webhook(url, secret), name="stranger"),
    ]
    async with Runtime(tmp_path / "bide.db", [orders], notify=routes) as rt:
        await fails(rt)
        found = {n.route: n for n in await rt.operations.notices.listed()}
    assert found["known"].state == "sent"
    assert "not trusted" in (found["stranger"].error or "")


async def test_t17_no_secret_stands_in_the_database_or_in_what_is_shown(
    tmp_path: Path, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH_TOKEN", "canary-path-token")
    http_server.on("/canary-path-token", reply(500, f"who is canary-path-token {SECRET}"))
    url = http_server.url("/{env:PATH_TOKEN}")
    async with Runtime(
        tmp_path / "bide.db", [orders], notify=[Route(Webhook(url, Secret("env:HOOK_SECRET")))]
    ) as rt:
        await fails(rt)
        seen = repr(await rt.operations.notices.listed()) + repr(await rt.operations.notices.routes())
    assert http_server.count("/canary-path-token") == 1
    dump = "\n".join(sqlite3.connect(tmp_path / "bide.db").iterdump())
    for text in (seen, dump, caplog.text):
        assert "canary" not in text
        assert SECRET not in text
        assert SECRET[6:] not in text


# --- where it must not go ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host",
    ["169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "[::ffff:169.254.169.254]", "[fe80::1]",
     "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]", "169.254.1"],
)  # fmt: skip
async def test_b66_t17_metadata_and_link_local_addresses_are_refused_however_they_are_spelt(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "connect", _nobody)
    route = Route(Webhook(f"http://{host}/latest", Secret("env:HOOK_SECRET")))
    async with sim_runtime([orders], start=now(), db=tmp_path / "bide.db", notify=[route]) as rt:
        await fails(rt)
        [notice] = await rt.operations.notices.listed()
    assert "is refused: address" in (notice.error or "")


def _nobody(*_: object) -> None:
    raise AssertionError("it must not connect")


async def test_b66_t17_a_name_that_flips_is_resolved_once_and_never_connected_to_unchecked(
    tmp_path: Path, http_server: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    answers = iter(["127.0.0.1", "169.254.169.254"])
    real = socket.getaddrinfo

    def flips(host: Any, port: Any, *args: Any, **named: Any) -> Any:
        if host == "flips.example":
            asked.append(host)
            host = next(answers)
        return real(host, port, *args, **named)

    monkeypatch.setattr(socket, "getaddrinfo", flips)
    http_server.on("/ops", reply(503))
    route = Route(Webhook(f"http://flips.example:{http_server.port}/ops", Secret("env:HOOK_SECRET")))
    async with sim_runtime([orders], start=now(), db=tmp_path / "bide.db", notify=[route]) as rt:
        await fails(rt)
        assert await shown(rt) == [("pending", 1, 503)]
        assert len(asked) == 1
        assert http_server.asked[0].headers["host"] == f"flips.example:{http_server.port}"
        await rt.clock.advance(timedelta(seconds=10))
        await quiet(rt)
        [notice] = await rt.operations.notices.listed()
    assert len(asked) == 2
    assert "169.254.169.254 is link-local" in (notice.error or "")
    assert http_server.count("/ops") == 1


# --- apprise -------------------------------------------------------------------------------------


IMPORTS = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # those of apprise's own imports


@IMPORTS
async def test_b66_people_are_told_through_apprise(tmp_path: Path, http_server: HttpServer) -> None:
    http_server.on("/team", reply(200))
    async with Runtime(
        tmp_path / "bide.db", [orders], notify=[Route(f"json://127.0.0.1:{http_server.port}/team")]
    ) as rt:
        await fails(rt)
        assert await shown(rt) == [("sent", 1, None)]
    body = json.loads(http_server.asked[0].body)
    assert (body["title"], body["type"]) == ("orders failed", "failure")
    assert "ValueError: no orders today" in body["message"]


@IMPORTS
@pytest.mark.parametrize("asked", ["", "?redirect=yes"])
async def test_b66_t17_apprise_is_led_nowhere_else(
    tmp_path: Path, http_server: HttpServer, asked: str
) -> None:
    inner = http_server.on("/inner", reply(200))
    http_server.on("/moved", redirect(inner, 307))
    route = Route(f"json://127.0.0.1:{http_server.port}/moved{asked}")
    async with Runtime(tmp_path / "bide.db", [orders], notify=[route]) as rt:
        run = await rt.trigger("orders")
        assert (await run.wait()).state == "failed"
        await until(http_server, "/moved", 1)
        await quiet(rt)
    assert [each.path.partition("?")[0] for each in http_server.asked] == ["/moved"]


@IMPORTS
async def test_b66_apprise_that_fails_says_why_and_hangs_alone(
    tmp_path: Path, http_server: HttpServer
) -> None:
    release = asyncio.Event()

    async def held(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await release.wait()
        await reply(200)(asked, writer)

    base = f"json://127.0.0.1:{http_server.port}"
    http_server.on("/held", held)
    http_server.on("/angry", reply(500))
    routes = [Route(f"{base}/{name}", name=name) for name in ("held", "angry")]
    routes += [Route("nosuch://x", name="nosuch"), Route("json://169.254.169.254/x", name="metadata")]
    async with Runtime(tmp_path / "bide.db", [orders], notify=routes) as rt:
        run = await rt.trigger("orders")
        assert (await run.wait()).state == "failed"
        await until(http_server, "/held", 1)
        again = await rt.trigger("orders", new=True)  # the loop goes on while a thread hangs
        assert (await again.wait()).state == "failed"
        release.set()
        await quiet(rt)
        found = {n.route: n for n in await rt.operations.notices.listed()}
    assert found["held"].state in ("sent", "pending")
    assert "error=500" in (found["angry"].error or "")
    assert "knows no such URL" in (found["nosuch"].error or "")
    assert "169.254.169.254 is link-local" in (found["metadata"].error or "")


# --- kill -9 -------------------------------------------------------------------------------------

PROGRAM = """
import asyncio, sys
from bide import Runtime, Secret, dag, task
from bide.notify import Route, Webhook

@task(retries=0)
async def explode():
    raise ValueError("boom")

@dag
def orders():
    explode()

async def main():
    route = Route(Webhook(sys.argv[2], Secret("env:HOOK_SECRET")), name="ops")
    async with Runtime(sys.argv[1], [orders], notify=[route], grace=0.1) as rt:
        if sys.argv[3] == "begin":
            await (await rt.trigger("orders")).wait()
        async with asyncio.timeout(20):
            while not any(n.state == "sent" for n in await rt.operations.notices.listed()):
                await asyncio.sleep(0.01)

asyncio.run(main())
"""


async def run_program(db: Path, url: str, how: str, failpoint: str) -> int | None:
    env = {**os.environ, "BIDE_FAILPOINT": failpoint, "PYTHONPATH": str(Path(__file__).parents[2])}
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, str(db), url, how, env=env)
    return await process.wait()


@pytest.mark.parametrize(("where", "delivered"), [("notice-claimed", 1), ("notice-sent", 2)])
async def test_b66_t3_a_death_between_sending_and_knowing_sends_it_again_as_the_same(
    where: str, delivered: int, tmp_path: Path, http_server: HttpServer
) -> None:
    url = http_server.on("/ops", reply(204))
    assert await run_program(tmp_path / "bide.db", url, "begin", f"{where}:1:exit") == 137
    assert await run_program(tmp_path / "bide.db", url, "go on", "") == 0
    told = [received(asked) for asked in http_server.asked]
    assert len(told) == delivered
    assert len({each.id for each in told}) == 1
    assert len({asked.body for asked in http_server.asked}) == 1


async def test_b66_p16_what_sends_is_imported_where_it_holds_up_no_loop() -> None:
    """In a fresh process: a route and the sender load neither an HTTP client nor apprise."""
    code = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom bide import Secret\n"
        "from bide.runtime.notify.notifier import Notifier\n"
        "from bide.notify import Route, Webhook\n"
        "assert 'httpx' not in sys.modules and 'standardwebhooks' not in sys.modules\n"
        "Route(Webhook('https://ops.example.org', Secret('env:X')))\n"
        "assert 'httpx' not in sys.modules\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    )
    assert await process.wait() == 0
