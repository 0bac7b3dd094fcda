"""S3-39 to S3-43: no time-out, a pool burned by waiting, a rate limit tripped, a file that is only there."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bide import BideError, Context, Pool, dag, task
from bide.sensors import (
    ExternalTaskSensor,
    FileSensor,
    HttpSensor,
    KafkaOffsetSensor,
    ObjectSensor,
    PythonSensor,
    TimeSensor,
)
from bide.testing import FakeSource, SimClock
from bide.triggers import HttpTrigger
from tests.complaints.play import DATE, URL, Sim, reason, seconds, states
from tests.conformance.stage import MODES
from tests.servers.http_server import Behaviour, HttpServer, reply

KINDS: dict[str, Callable[..., Any]] = {
    "time": lambda **more: TimeSensor("w", at="2121-01-01T00:00", **more),
    "file": lambda **more: FileSensor("w", path="/nowhere/a", **more),
    "http": lambda **more: HttpSensor("w", url=URL, **more),
    "kafka": lambda **more: KafkaOffsetSensor("w", bootstrap="k:9092", topic="t", offset=1, **more),
    "external_task": lambda **more: ExternalTaskSensor("w", dag="other", **more),
    "object": lambda **more: ObjectSensor("w", url="s3://drops/a", **more),
    "python": lambda **more: PythonSensor("w", lambda: None, poll_interval=timedelta(hours=1), **more),
}
FAKED = ("file", "http", "kafka", "object")


@dag(max_active_runs=99)
def other() -> None:
    task(name="load")(lambda: None)()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "time"])  # an instant always comes
async def test_s3_39_s3_40_a_sensor_that_names_no_timeout_has_one(sim_runtime: Sim, kind: str) -> None:
    """Its world never comes true: it ends by itself, after a day, and says what it waited for."""

    @dag
    def d() -> None:
        KINDS[kind]()

    async with sim_runtime([other, d], fakes={each: FakeSource() for each in FAKED}) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(timedelta(hours=24) - seconds(1))
        assert await states(run) == {"w": "deferred"}
        await rt.clock.advance(1)
        assert await states(run) == {"w": "failed"}
        assert (await reason(run, "w")).startswith("timed out waiting")
        assert (rt.armed, rt.slots_in_use) == (0, 0)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("never", [None, timedelta.max, timedelta(0), seconds(-1), float("inf")])
def test_s3_39_s3_40_no_sensor_can_be_told_to_wait_for_ever(kind: str, never: Any) -> None:
    with pytest.raises(BideError, match="timeout"):

        @dag
        def d() -> None:
            KINDS[kind](timeout=never)


@pytest.mark.parametrize("option", ["timeout", "deadline", "retry_delay", "max_retry_delay"])
def test_s3_39_no_span_of_a_task_is_longer_than_the_store_can_keep(option: str) -> None:
    options: Any = {option: timedelta.max}
    with pytest.raises(BideError, match=f"{option}.*at most 365000 days"):

        @dag
        def d() -> None:
            task(name="only")(lambda: None).options(**options)()


@pytest.mark.parametrize("never", [float("inf"), float("nan"), 1e300, timedelta.max])
async def test_s3_39_s3_40_a_wait_inside_a_task_that_names_no_timeout_has_one(
    sim_runtime: Sim, never: Any
) -> None:
    @task
    async def asks(ctx: Context) -> None:
        await ctx.wait(HttpTrigger(url=URL))

    @task
    async def for_ever(ctx: Context) -> None:
        await ctx.wait(HttpTrigger(url=URL), timeout=never)

    @dag
    def d() -> None:
        asks()
        for_ever()

    async with sim_runtime([d], fakes={"http": FakeSource()}) as rt:
        run = await rt.trigger("d")
        assert await states(run) == {"asks": "deferred", "for_ever": "failed"}
        assert "timeout" in await reason(run, "for_ever")
        assert "at most" in await reason(run, "for_ever")
        await rt.clock.advance(timedelta(hours=24))
        assert await states(run) == {"asks": "failed", "for_ever": "failed"}


@pytest.mark.parametrize("mode", [*MODES, None])
async def test_s3_41_a_pool_is_not_burned_by_waiting(sim_runtime: Sim, mode: str | None) -> None:
    """Fifty sensors in a pool of one slot, and the work in it goes on; poking is what one must ask for."""
    done: list[int] = []

    @task(pool="narrow")
    async def work(n: int) -> None:
        await clock.sleep(1)
        done.append(n)

    async def no() -> None:
        pass

    @dag
    def waits() -> None:
        options: Any = {} if mode is None else {"mode": mode}
        for n in range(50):
            PythonSensor(
                f"w{n}", no, poll_interval=timedelta(minutes=10), pool="narrow", priority=-1, **options
            )

    @dag
    def works() -> None:
        for n in range(20):
            work(n)

    clock = SimClock(DATE)
    async with sim_runtime([waits, works], clock=clock, pools={"narrow": Pool(slots=1)}, slots=8) as rt:
        run = await rt.trigger("waits")
        await clock.advance(5)
        await rt.trigger("works")
        await clock.advance(60)
        if mode == "poke":
            assert (Counter((await states(run)).values()), done) == ({"running": 1, "ready": 49}, [])
        else:
            assert Counter((await states(run)).values()) == {"deferred": 50}
            assert (len(done), rt.slots_in_use) == (20, 0)


def at(clock: SimClock, asked: list[float], answer: Behaviour) -> Behaviour:
    """The answer, with the simulated second of each request written down."""

    async def timed(request: Any, writer: Any) -> None:
        asked.append(clock.elapsed() / 1e6)
        await answer(request, writer)

    return timed


@pytest.mark.parametrize("mode", ["deferred", "reschedule"])
async def test_s3_42_d14_the_rate_of_a_third_party_is_kept_whatever_waits_on_it(
    sim_runtime: Sim, http_server: HttpServer, mode: str
) -> None:
    """Forty URLs of one origin, five a second: never more, in any second, and none is left out."""
    clock, asked = SimClock(DATE), list[float]()
    urls = [http_server.on(f"/{n}", at(clock, asked, reply(404))) for n in range(40)]

    @dag
    def d() -> None:
        for n, url in enumerate(urls):
            HttpSensor(f"w{n}", url=url, max_rps=5, mode=mode, poll_interval=seconds(1))

    async with sim_runtime([d], clock=clock, slots=99) as rt:
        await rt.trigger("d")
        await clock.advance(24)
    assert {one.path for one in http_server.asked} == {f"/{n}" for n in range(40)}
    assert len(asked) >= 100
    for first in range(len(asked) - 5):
        assert asked[first + 5] - asked[first] >= 0.999, asked[first : first + 6]


@pytest.mark.parametrize("mode", MODES)
async def test_s3_42_who_says_too_many_requests_is_left_in_peace(
    sim_runtime: Sim, http_server: HttpServer, mode: str
) -> None:
    """A 429 with Retry-After: no wait on that origin asks before, whatever its interval."""
    clock, asked = SimClock(DATE), list[float]()
    busy = reply(429, "", {"retry-after": "50"})
    urls = [http_server.on(f"/{n}", at(clock, asked, busy), at(clock, asked, reply(200))) for n in range(3)]

    @dag
    def d() -> None:
        for n, url in enumerate(urls):
            HttpSensor(f"w{n}", url=url, mode=mode, poll_interval=seconds(2))

    async with sim_runtime([d], clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.advance(49)
        assert asked
        assert asked[-1] < 1
        await clock.advance(110)
        assert set((await states(run)).values()) == {"success"}
    assert max(later - sooner for sooner, later in pairwise(asked)) >= 49


async def test_s3_43_a_page_that_answers_is_not_yet_what_it_says(
    sim_runtime: Sim, http_server: HttpServer, tmp_path: Path
) -> None:
    """Content is asked for in the sensor itself: of a page, of a file, of a file's check sum."""
    body = {"state": "loading"}
    url = http_server.on("/job", reply(200, body), reply(200, body), reply(200, {"state": "done"}))
    (tmp_path / "a.csv").write_text("id;name\n")

    @dag
    def d() -> None:
        every = seconds(10)
        HttpSensor("page", url=url, json_path="state", equals="done", poll_interval=every)
        FileSensor("text", path=str(tmp_path / "a.csv"), contains="END", poll_interval=every)
        FileSensor("size", path=str(tmp_path / "a.csv"), min_size=20, poll_interval=every)

    async with sim_runtime([d]) as rt:
        run = await rt.trigger("d")
        await rt.clock.advance(9)
        assert set((await states(run)).values()) == {"deferred"}
        (tmp_path / "a.csv").write_text("id;name\n1;one\n2;two\nEND\n")
        await rt.clock.advance(60)
        assert (await run.wait(5)).tasks == dict.fromkeys(("page", "text", "size"), "success")
        assert http_server.count("/job") == 3
