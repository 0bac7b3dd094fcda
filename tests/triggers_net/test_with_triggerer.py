"""The sources under the real triggerer: spacing, sharing, limits, rests, cuts, one round per look."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
import pytest_asyncio

from bide.runtime.clock import SECOND, SystemClock
from bide.runtime.engine.messages import Arm, Input, LookOnce, WaitFailed, WaitFired, WaitLooked
from bide.runtime.triggerer.triggerer import Triggerer
from bide.triggers import encode_trigger
from bide.triggers.base import Trigger
from bide.triggers.http import HttpTrigger
from bide.triggers.kafka import KafkaOffsetTrigger
from tests.servers.http_server import Asked, Behaviour, HttpServer, black_hole, late, redirect, reply
from tests.servers.kafka_broker import NoidaBroker

SLACK = 0.6
"""Gaps are taken where requests arrive, and a busy machine delays the first more than the last."""


class Engine:
    """Stands where the engine does: arms waits, keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[Input] = []
        self.logged: list[str] = []
        self._more = asyncio.Event()
        self._ids = itertools.count(1)
        self.triggerer = Triggerer(
            SystemClock(), self._post, predicates=self._none, log=lambda _, text: self.logged.append(text)
        )

    def _post(self, message: Input) -> None:
        self.posted.append(message)
        self._more.set()

    @staticmethod
    def _none(dag: str, task: str) -> Callable[..., object]:
        raise LookupError(task)

    def arm(self, trigger: Trigger, every_s: float = 5.0) -> int:
        wait_id = next(self._ids)
        deadline = self.triggerer.clock.now() + 600 * SECOND
        self.triggerer.arm(
            Arm(wait_id, wait_id, "d", "t", encode_trigger(trigger), round(every_s * SECOND), 1.0, deadline)
        )
        return wait_id

    async def ended(self, count: int, within_s: float = 10) -> list[Input]:
        async with asyncio.timeout(within_s):
            while len(self.posted) < count:
                self._more.clear()
                await self._more.wait()
        return self.posted


@pytest_asyncio.fixture
async def engine() -> AsyncIterator[Engine]:
    engine = Engine()
    await engine.triggerer.start()
    yield engine
    await engine.triggerer.close()


def counted(behaviour: Behaviour, after: int) -> tuple[Behaviour, asyncio.Event]:
    """`behaviour`, and an event that is set when it has been asked for `after` times."""
    seen, enough = itertools.count(1), asyncio.Event()

    async def behave(asked: Asked, writer: asyncio.StreamWriter) -> None:
        if next(seen) >= after:
            enough.set()
        await behaviour(asked, writer)

    return behave, enough


def gaps(server: HttpServer) -> list[float]:
    return [after.at - before.at for before, after in itertools.pairwise(server.asked)]


@pytest.mark.parametrize("status", [403, 404, 429, 500, 503])
async def test_c33_c34_no_answer_makes_a_tight_loop(
    status: int, http_server: HttpServer, engine: Engine
) -> None:
    behaviour, enough = counted(reply(status), 4)
    engine.arm(HttpTrigger(url=http_server.on("/", behaviour)), every_s=0.15)
    async with asyncio.timeout(10):
        await enough.wait()
    assert sum(gaps(http_server)) >= 3 * 0.15 * SLACK
    assert engine.posted == []


async def test_c33_many_waits_on_one_request_keep_its_spacing(
    http_server: HttpServer, engine: Engine
) -> None:
    behaviour, enough = counted(reply(200, {"n": 0}), 4)
    url = http_server.on("/", behaviour)
    for number in range(300):
        engine.arm(HttpTrigger(url=url, json_path="n", equals=number + 1), every_s=0.15)
    async with asyncio.timeout(10):
        await enough.wait()
    assert sum(gaps(http_server)) >= 3 * 0.15 * SLACK
    assert len(http_server.asked) == 4


async def test_d14_a_thousand_waits_on_an_origin(http_server: HttpServer, engine: Engine) -> None:
    for number in range(100):
        http_server.on(f"/{number}", late(0.005, reply(200, {"n": 1})))
    for number in range(1000):
        trigger = HttpTrigger(url=http_server.url(f"/{number % 100}"), json_path="n", equals=1)
        engine.arm(trigger, every_s=60)
    posted = await engine.ended(1000)
    assert all(isinstance(one, WaitFired) for one in posted)
    assert set(Counter(one.path for one in http_server.asked).values()) == {1}
    assert http_server.most_in_flight <= 10
    assert http_server.connections <= 10


async def test_d14_max_rps_spaces_the_requests_of_an_origin(http_server: HttpServer, engine: Engine) -> None:
    for number in range(8):
        engine.arm(HttpTrigger(url=http_server.on(f"/{number}", reply(200)), max_rps=25))
    await engine.ended(8)
    assert len(http_server.asked) == 8
    assert sum(gaps(http_server)) >= 7 / 25 * SLACK


async def test_d14_redirects_count_against_max_rps(http_server: HttpServer, engine: Engine) -> None:
    http_server.on("/end", reply(200))
    engine.arm(HttpTrigger(url=http_server.on("/", redirect("/end")), max_rps=10))
    await engine.ended(1)
    assert sum(gaps(http_server)) >= 1 / 10 * SLACK


async def test_c34_a_retry_after_is_waited_out(http_server: HttpServer, engine: Engine) -> None:
    url = http_server.on("/", reply(429, b"", {"retry-after": "1"}), reply(200))
    engine.arm(HttpTrigger(url=url), every_s=0.1)
    await engine.ended(1)
    assert [len(http_server.asked), isinstance(engine.posted[0], WaitFired)] == [2, True]
    assert gaps(http_server)[0] >= 1 * SLACK


async def test_c37_a_hung_look_is_cut_and_the_next_one_sees(http_server: HttpServer, engine: Engine) -> None:
    other = http_server.on("/other", reply(200))
    engine.arm(HttpTrigger(url=http_server.on("/", black_hole(), reply(200)), timeout=0.2), every_s=0.1)
    engine.arm(HttpTrigger(url=other))
    first, second = await engine.ended(2)
    assert isinstance(first, WaitFired)
    assert isinstance(second, WaitFired)
    assert (first.wait_id, second.wait_id) == (2, 1)
    assert any("no whole answer within 0.2 s" in line for line in engine.logged)


async def test_a_refused_address_fails_the_wait(engine: Engine) -> None:
    engine.arm(HttpTrigger(url="http://169.254.169.254/latest"))
    (failed,) = await engine.ended(1)
    assert isinstance(failed, WaitFailed)
    assert "metadata" in failed.reason


async def test_c32_a_single_look_judges_the_body_as_well(http_server: HttpServer, engine: Engine) -> None:
    url = http_server.on("/", reply(200, {"state": "ready"}))
    for wait_id, state in ((1, "other"), (2, "ready")):
        trigger = encode_trigger(HttpTrigger(url=url, json_path="state", equals=state))
        await engine.triggerer.look(LookOnce(wait_id, wait_id, "d", "t", trigger))
    looked, fired = engine.posted
    assert isinstance(looked, WaitLooked)
    assert looked.reason == 'state is "ready"'
    assert isinstance(fired, WaitFired)
    assert msgspec.json.decode(fired.event)["value"] == "ready"


async def test_c39_thresholds_on_one_topic(broker: NoidaBroker, engine: Engine) -> None:
    await broker.create("many", 2)
    for number in range(500):
        engine.arm(KafkaOffsetTrigger(bootstrap=broker.address, topic="many", offset=number + 1), every_s=0.2)
    assert list(engine.triggerer.sources) == [f"kafka {broker.address}"]
    await broker.produce("many", {0: 100, 1: 100})
    fired = await engine.ended(100)
    assert sorted(one.wait_id for one in fired if isinstance(one, WaitFired)) == list(range(1, 101))
    assert engine.triggerer.armed == 400


async def test_c35_what_was_seen_but_not_stored_is_seen_again(broker: NoidaBroker, engine: Engine) -> None:
    """A restart between the look and the commit: the same offsets fire the wait again."""
    await broker.create("again")
    await broker.produce("again", {0: 3})
    trigger = KafkaOffsetTrigger(bootstrap=broker.address, topic="again", offset=3)
    engine.arm(trigger)
    engine.arm(trigger)
    first, second = await engine.ended(2)
    assert isinstance(first, WaitFired)
    assert isinstance(second, WaitFired)
    assert first.event == second.event
