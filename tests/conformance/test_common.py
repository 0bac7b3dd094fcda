"""D20: what all sensors share means the same in every mode: time-outs, retries, pauses, crashes, hands."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest

from bide import Pool, dag, task, triggers
from bide.runtime.clock import SECOND
from bide.runtime.graph.facts import Facts
from bide.runtime.store.reader import Reader
from bide.sensors import ExternalTaskSensor, PythonSensor, Sensor
from bide.testing import SimClock, SimRuntime
from bide.triggers.base import NotYet, PollSource, Registration, Source, SourceWorld, Trigger, Verdict
from tests.conformance.cases import CASES
from tests.conformance.stage import DATE, MODES, Outside, Play, crash_image, on_stage, other, sound
from tests.servers.http_server import HttpServer

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
FAMILIES = {
    "file": "file-path",
    "python": "python-true",
    "http": "http-status",
    "external": "external-task",
    "asset": "asset-day",
}
_CASE = {case.name: case for case in CASES}


class Scene:
    """One family in one mode: `async with scene(timeout=...) as play`."""

    def __init__(self, family: str, mode: str, folder: Path, web: HttpServer, sim: Sim) -> None:
        self.family, self.mode, self.folder, self.sim = family, mode, folder, sim
        self.case = _CASE[FAMILIES[family]]
        self.outside = Outside(f"{family}-{mode}", folder, web, None, None)
        self.db = folder / "bide.db"

    def __call__(self, **options: Any) -> AbstractAsyncContextManager[Play]:
        return on_stage(self.sim, self.case, self.mode, self.outside, self.db, **options)

    async def comes_true(self) -> None:
        await self.outside.make(self.case.after)

    def image(self) -> Path:
        return crash_image(self.db, self.folder / "crashed")


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    chosen: str = request.param
    return chosen


@pytest.fixture(params=FAMILIES)
def scene(
    request: pytest.FixtureRequest, mode: str, tmp_path: Path, http_server: HttpServer, sim_runtime: Sim
) -> Scene:
    return Scene(request.param, mode, tmp_path, http_server, sim_runtime)


# --- time-outs -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "state"),
    [
        ({"on_timeout": "fail"}, "failed"),
        ({"on_timeout": "skip"}, "skipped"),
        ({"on_timeout": "succeed"}, "success"),
        ({"soft_fail": True}, "skipped"),
        ({"retries": 3}, "failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value),
)
async def test_a_timeout_ends_as_its_author_says(scene: Scene, options: dict[str, Any], state: str) -> None:
    async with scene(timeout=timedelta(seconds=65), **options) as play:
        await play.advance(64)
        await play.waits()
        await play.advance(1)
        assert await play.state() == state
        ended = await play.ended()
        assert (ended.output, ended.attempts) == (None, ("timed_out",))
        assert ended.reason.startswith("timed out waiting")
        assert play.rt.armed == 0


# --- retries -------------------------------------------------------------------------------------


async def test_a_failed_wait_is_tried_again_within_its_time(scene: Scene) -> None:
    async with scene(timeout=timedelta(seconds=600), retries=1, retry_delay=timedelta(seconds=30)) as play:
        deadline = await play.deadline()
        await play.rt.operations.wait_fail(str(await play.wait_id()), "not today")
        assert (await play.state(), play.rt.slots_in_use) == ("up_for_retry", 0)
        await play.advance(30)
        await play.waits()
        assert await play.deadline() == deadline
        await scene.comes_true()
        assert await play.over() == "success"
        assert (await play.ended()).attempts == ("failed", "success")


async def test_a_wait_that_fails_for_good_fails_or_is_skipped(scene: Scene) -> None:
    async with scene() as play:
        await play.rt.operations.wait_fail(str(await play.wait_id()), "not today")
        assert await play.state() == "failed"
        ended = await play.ended()
        assert (ended.reason, ended.attempts) == ("not today", ("failed",))


async def test_soft_fail_skips_what_fails(scene: Scene) -> None:
    async with scene(soft_fail=True) as play:
        await play.rt.operations.wait_fail(str(await play.wait_id()), "not today")
        assert await play.state() == "skipped"


# --- when it looks -------------------------------------------------------------------------------


class HastyTrigger(Trigger, frozen=True, kw_only=True, tag="hasty"):
    """Of a third party: each verdict wants the next look at once."""

    looks: ClassVar[int] = 0

    def source_key(self) -> Hashable:
        return ("hasty",)

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        return NotYet("once more", again_us=1)

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        return HastySource()


class HastySource(PollSource):
    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        HastyTrigger.looks += 1

    async def close(self) -> None:
        pass


class HastySensor(Sensor):
    kind = "hasty"

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> HastyTrigger:
        return HastyTrigger()


class Asked:
    """A predicate that notes when it was asked."""

    def __init__(self, answers: Callable[[int], Any]) -> None:
        self.answers = answers
        self.at: list[int] = []
        self.clock: SimClock

    def __call__(self) -> Any:
        self.at.append(self.clock.now())
        return self.answers(len(self.at))

    @property
    def gaps(self) -> list[float]:
        """Seconds between each two looks."""
        return [(b - a) / SECOND for a, b in zip(self.at, self.at[1:], strict=False)]


async def asked(sim_runtime: Sim, mode: str, answers: Callable[[int], Any], **options: Any) -> Asked:
    """What a predicate was asked within ten minutes, looked at every 10 s."""
    predicate = Asked(answers)

    @dag(name="d")
    def body() -> None:
        PythonSensor("w", lambda: predicate(), mode=mode, poll_interval=timedelta(seconds=10), **options)  # noqa: PLW0108

    async with sim_runtime([body]) as rt:
        predicate.clock = rt.clock
        await rt.trigger("d")
        await rt.clock.advance(timedelta(minutes=10))
    return predicate


async def test_looks_are_a_poll_interval_apart(mode: str, sim_runtime: Sim) -> None:
    gaps = (await asked(sim_runtime, mode, lambda _: None)).gaps
    assert 55 <= len(gaps) <= 60
    assert 10 <= gaps[0] <= 12.5, "looks that begin together part"
    assert set(gaps[1:]) == {10.0}


async def test_backoff_makes_each_interval_longer(mode: str, sim_runtime: Sim) -> None:
    gaps = (await asked(sim_runtime, mode, lambda _: None, backoff=2.0)).gaps
    assert 10 <= gaps[0] <= 12.5
    assert gaps[1:] == [20.0, 40.0, 80.0, 160.0]


async def test_looks_that_fail_are_not_hurried(mode: str, sim_runtime: Sim) -> None:
    def answers(look: int) -> Any:
        raise OSError("not reachable")

    gaps = (await asked(sim_runtime, mode, answers)).gaps
    assert gaps == [10.0, 20.0, 40.0, 80.0, 160.0]


async def test_after_looks_that_failed_the_interval_is_the_plain_one(mode: str, sim_runtime: Sim) -> None:
    def answers(look: int) -> Any:
        if look < 4:
            raise OSError("not reachable")

    gaps = (await asked(sim_runtime, mode, answers)).gaps
    assert gaps[:3] == [10.0, 20.0, 40.0]
    assert set(gaps[4:]) == {10.0}


@pytest.mark.parametrize("end", ["true", "timed out", "cancelled"])
async def test_s3_53_the_time_with_a_slot_is_known(mode: str, end: str, sim_runtime: Sim) -> None:
    """Looks of 2 s each at 0, 10, ...: poke holds its slot all the while, deferred never."""
    clock = SimClock(DATE, patience=0.02)  # time goes on while a look sleeps
    answers = [None] * 4 + [True]

    async def look() -> Any:
        await clock.sleep(2)
        return answers.pop(0) if end == "true" else None

    @dag(name="d")
    def body() -> None:
        every, most = timedelta(seconds=10), timedelta(seconds=48)
        PythonSensor("w", look, mode=mode, poll_interval=every, timeout=most)

    async with sim_runtime([body], clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.advance(47 if end == "cancelled" else 60)
        if end == "cancelled":
            await run.cancel()
        with Reader(rt.db) as reader:
            [attempt] = reader.attempts(int(run.run_id))
        held, total = attempt.active_us / SECOND, ((attempt.ended_us or 0) - attempt.started_us) / SECOND
        assert total >= 42
        looks = 2 * (5 if end == "true" else 4)
        assert held == {"deferred": 0, "reschedule": pytest.approx(looks, abs=2), "poke": total}[mode]


async def test_c33_a_verdict_that_asks_for_haste_makes_no_tight_loop(
    mode: str, sim_runtime: Sim, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(triggers._loaded, "hasty", HastyTrigger)
    monkeypatch.setattr(HastyTrigger, "looks", 0)

    @dag(name="d")
    def body() -> None:
        HastySensor("w", {}, {"mode": mode, "poll_interval": timedelta(seconds=10)})

    async with sim_runtime([body]) as rt:
        await rt.trigger("d")
        await rt.clock.advance(timedelta(minutes=1))
    assert 55 <= HastyTrigger.looks <= 61, "one second is the least, whatever a verdict asks"


# --- ended by hand -------------------------------------------------------------------------------


async def test_a_cancelled_wait_holds_nothing_and_hears_nothing_more(scene: Scene) -> None:
    async with scene() as play:
        await play.run.cancel()
        assert await play.state() == "cancelled"
        assert play.rt.armed == 0
        await scene.comes_true()
        await play.advance(60)
        assert (await play.ended()).attempts == ("cancelled",)
        assert [line.task for line in await play.rt.waits() if line.run_id == play.run.run_id] == []


@pytest.mark.parametrize("state", ["success", "failed", "skipped"])
async def test_a_mark_ends_the_wait(scene: Scene, state: str) -> None:
    async with scene() as play:
        await play.rt.operations.mark(play.run.run_id, "w", state)
        assert await play.state() == state
        await scene.comes_true()
        await play.advance(30)
        assert (await play.ended()).state == state


async def test_an_extended_wait_gives_up_later(scene: Scene) -> None:
    async with scene(timeout=timedelta(seconds=60)) as play:
        await play.rt.operations.wait_extend(str(await play.wait_id()), "+60s")
        await play.advance(90)
        await play.waits()
        await scene.comes_true()
        assert await play.over(2) == "success"


async def test_an_extended_wait_gives_up_at_its_new_deadline(scene: Scene) -> None:
    async with scene(timeout=timedelta(seconds=60)) as play:
        await play.rt.operations.wait_extend(str(await play.wait_id()), "+60s")
        await play.advance(119)
        await play.waits()
        await play.advance(1)
        assert (await play.ended()).attempts == ("timed_out",)


async def test_a_wait_satisfied_by_hand_has_that_event_as_its_output(scene: Scene) -> None:
    async with scene() as play:
        await play.rt.operations.wait_satisfy(str(await play.wait_id()), {"by": "hand"})
        assert await play.state() == "success"
        assert (await play.ended())[:2] == ("success", {"by": "hand"})


async def test_a_look_by_hand_sees_at_once(scene: Scene) -> None:
    async with scene(poll_interval=timedelta(hours=1)) as play:
        await play.advance(5)
        await play.rt.operations.wait_look(str(await play.wait_id()))
        await play.waits()
        await scene.comes_true()
        if await play.state() in ("deferred", "running"):  # told by nobody: it has to look
            await play.advance(2)
            await play.rt.operations.wait_look(str(await play.wait_id()))
        assert await play.state() == "success"
        assert [one.get_name() for one in asyncio.all_tasks() if "bide:look" in one.get_name()] == []


# --- pause ---------------------------------------------------------------------------------------


async def test_a_pause_stops_the_wait_and_its_time(scene: Scene) -> None:
    async with scene(timeout=timedelta(seconds=60)) as play:
        await play.advance(25)
        await play.rt.operations.pause("d")
        await play.advance(600)
        assert await play.state() in ("deferred", "running", "ready")
        assert play.rt.armed == 0
        await play.rt.operations.unpause("d")
        await play.waits()
        await play.advance(34)
        await play.waits()
        await play.advance(1)
        assert (await play.ended()).attempts == ("timed_out",)


async def test_what_comes_true_in_a_pause_is_seen_at_its_end(scene: Scene) -> None:
    async with scene() as play:
        await play.advance(25)
        await play.rt.operations.pause("d")
        await play.advance(600)
        await scene.comes_true()
        await play.advance(600)
        assert await play.state() in ("deferred", "running", "ready")
        await play.rt.operations.unpause("d")
        assert await play.state() == "success", "seen at once"
        await play.ended()


async def test_after_a_pause_it_holds_what_its_mode_says(scene: Scene) -> None:
    async with scene() as play:
        await play.rt.operations.pause("d")
        await play.advance(45)
        await play.rt.operations.unpause("d")
        for _ in range(4):
            await play.waits()
            await play.advance(10)
        await scene.comes_true()
        assert await play.over() == "success"


# --- crashes -------------------------------------------------------------------------------------


async def test_a_wait_goes_on_after_a_crash(scene: Scene) -> None:
    async with scene(timeout=timedelta(seconds=600)) as play:
        await play.advance(25)
        deadline, dead, clock = await play.deadline(), scene.image(), play.clock
        now = clock.now()
    async with scene.sim(play.dags, clock=SimClock(now + 30 * SECOND), db=dead) as rt:
        again = Play(rt, scene.mode, play.run)
        again.run = type(play.run)(rt, int(play.run.run_id))
        scene.outside.rt = rt
        await again.waits()
        assert await again.deadline() == deadline
        await again.advance(30)
        await again.waits()
        await scene.comes_true()
        assert await again.over() == "success"
        assert (await again.ended()).attempts == ("success",)
    sound(dead)


@pytest.mark.parametrize("true", [True, False], ids=["true", "not true"])
async def test_a_deadline_that_passed_while_down_gets_one_last_look(scene: Scene, true: bool) -> None:
    async with scene(timeout=timedelta(seconds=60)) as play:
        await play.advance(25)
        now = play.clock.now()
        if true:  # before the image of an external world: it is in the same database
            if scene.family in ("external", "asset"):
                await play.rt.operations.pause("d")
            await scene.comes_true()
            if scene.family in ("external", "asset"):
                await play.clock.settle()
        dead = scene.image()
    async with scene.sim(play.dags, clock=SimClock(now + 3600 * SECOND), db=dead) as rt:
        again = Play(rt, scene.mode, type(play.run)(rt, int(play.run.run_id)))
        if true and scene.family in ("external", "asset"):
            await rt.operations.unpause("d")
        ended = await again.ended()
        assert ended.state == ("success" if true else "failed")
        assert ended.attempts == ("success" if true else "timed_out",)
    sound(dead)


# --- already true --------------------------------------------------------------------------------


@pytest.mark.parametrize("limit", ["none", "in flight"])
async def test_what_is_true_already_when_it_may_begin_needs_no_luck(
    mode: str, limit: str, sim_runtime: Sim
) -> None:
    @task
    async def hold() -> None:
        await gate.sleep(60)

    @dag(name="d")
    def body() -> None:
        hold.options(pool="p", name="hold")()
        ExternalTaskSensor("w", dag="other", task="load", mode=mode, pool="p", priority=-1)

    gate = SimClock(DATE)
    pools = {"p": Pool(slots=1, in_flight=1)} if limit == "in flight" else {"p": Pool(slots=2)}
    async with sim_runtime([other, body], clock=gate, pools=pools) as rt:
        first = await rt.trigger("other", logical_date=DATE)
        await rt.operations.mark(first.run_id, "load", "success")
        run = await rt.trigger("d", logical_date=DATE)
        await rt.clock.advance(61)
        assert (await run.wait(5)).tasks == {"hold": "success", "w": "success"}
