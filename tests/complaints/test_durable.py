"""D2, D13, D15: one event, one effect, wherever the process dies; who died is known, not guessed.

At every commit of a run an image of the database is taken, as a kill at that instant would leave it,
and a runtime goes on from each.
"""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any

from bide import Context, Dag, dag, task
from bide.runtime.engine.changes import Changes
from bide.runtime.service.handles import RunHandle
from bide.sensors import HttpSensor, TimeSensor
from bide.testing import FakeHttp, SimClock
from bide.triggers import HttpTrigger
from tests.complaints.play import DATE, URL, Sim, attempts, ends, journal, reason, seconds, states
from tests.conformance.stage import crash_image, sound


def pipeline(clock: SimClock, effects: list[str]) -> Dag:
    """Two sensors, and a body that has an effect, waits, has another, and gives back what it heard."""

    def effect(name: str, value: int) -> int:
        effects.append(name)
        return value

    @task
    async def body(ctx: Context, event: dict[str, Any]) -> list[Any]:
        local = event["status"] + 1
        first = await ctx.once("first", lambda: effect("first", local))
        heard = await ctx.wait(HttpTrigger(url=f"{URL}/2"), timeout=seconds(3600), poll_interval=10)
        second = await ctx.once("second", lambda: effect("second", 2))
        return [first, second, heard["status"]]

    @task
    async def last(found: list[Any]) -> list[Any]:
        await clock.sleep(5)
        return [*found, "last"]

    @dag
    def d() -> None:
        sensor = HttpSensor("w", url=f"{URL}/1", poll_interval=seconds(10))
        TimeSensor("t", delta=seconds(20)) >> sensor
        last(body(sensor.output))

    return d


def world() -> FakeHttp:
    web = FakeHttp()
    for n in (1, 2):
        web.answer(f"{URL}/{n}", status=404)
    return web


def comes_true(web: FakeHttp) -> None:
    for n in (1, 2):
        web.answer(f"{URL}/{n}")


async def test_d2_d15_an_event_has_its_effect_once_wherever_the_process_is_killed(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    clock, effects, web = SimClock(DATE), list[str](), world()
    images: list[tuple[Path, int, int]] = []

    def take(_: Changes) -> None:
        images.append((crash_image(rt.db, tmp_path / str(len(images))), clock.now(), len(effects)))

    async with sim_runtime([pipeline(clock, effects)], clock=clock, fakes={"http": web}) as rt:
        rt._shell.listeners.append(take)
        run = await rt.trigger("d")
        await clock.advance(30)
        web.answer(f"{URL}/1")
        await clock.advance(30)
        web.answer(f"{URL}/2")
        await clock.advance(60)
        calm = await run.wait(5)
    assert calm.outputs["last"] == [201, 2, 200, "last"]
    assert effects == ["first", "second"]
    assert len(images) >= 10
    for image, at_us, before in images:
        done, web, clock = effects[:before], world(), SimClock(at_us)
        comes_true(web)
        async with sim_runtime([pipeline(clock, done)], clock=clock, fakes={"http": web}, db=image) as again:
            played = RunHandle(again, int(run.run_id))
            await clock.advance(120)
            result = await played.wait(5)
            assert (result.tasks, result.outputs["last"]) == (calm.tasks, calm.outputs["last"]), image
            fired = Counter(now for _, now, _ in journal(played, "wait"))
            assert fired["fired"] == 3, (image, fired)
            assert Counter(now for _, now, _ in journal(played, "instance"))["success"] == 4
            # an effect that was in flight at the kill, its record not yet durable, is had once more
            assert {name: most <= 2 for name, most in Counter(done).items()} == {
                "first": True,
                "second": True,
            }
        sound(image)


async def test_d15_a_body_killed_in_its_wait_goes_on_after_it_with_the_deadline_it_had(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    """The effect before the wait is not repeated, nothing is polled anew by mistake, one answer is enough."""
    clock, effects, web = SimClock(DATE), list[str](), world()
    web.answer(f"{URL}/1")
    async with sim_runtime([pipeline(clock, effects)], clock=clock, fakes={"http": web}) as rt:
        run = await rt.trigger("d")
        await clock.advance(60)
        assert (await states(run))["body"] == "deferred"
        [line] = await rt.waits()
        image = crash_image(rt.db, tmp_path / "killed")
    for _ in range(3):  # killed, and killed again while nothing has happened
        clock = SimClock(clock.now() + 600_000_000)
        web = world()
        async with sim_runtime(
            [pipeline(clock, effects)], clock=clock, fakes={"http": web}, db=image
        ) as again:
            played = RunHandle(again, int(run.run_id))
            await clock.advance(30)
            assert (await states(played))["body"] == "deferred"
            assert [(each.id, each.deadline) for each in await again.waits()] == [(line.id, line.deadline)]
            image = crash_image(again.db, tmp_path / f"killed at {clock.now()}")
    clock, web = SimClock(clock.now()), world()
    comes_true(web)
    async with sim_runtime([pipeline(clock, effects)], clock=clock, fakes={"http": web}, db=image) as again:
        played = RunHandle(again, int(run.run_id))
        await clock.advance(60)
        assert (await played.wait(5)).outputs["body"] == [201, 2, 200]
        assert effects == ["first", "second"]
        assert "failed" not in ends(played, "body")
    sound(image)


async def test_d13_c16_who_died_is_known_at_once_and_not_after_a_window(
    sim_runtime: Sim, tmp_path: Path
) -> None:
    """No time passes between the restart and the next attempt; who waited is not held for dead."""

    @task(retries=0)
    async def works(ctx: Context) -> int:
        await clock.sleep(3600)
        return ctx.attempt

    @task(idempotent=False)
    async def pays() -> None:
        await clock.sleep(3600)

    @dag
    def d() -> None:
        works()
        pays()
        TimeSensor("w", delta=timedelta(hours=2))

    clock = SimClock(DATE)
    async with sim_runtime([d], clock=clock) as rt:
        run = await rt.trigger("d")
        await clock.advance(60)
        assert await states(run) == {"works": "running", "pays": "running", "w": "deferred"}
        image = crash_image(rt.db, tmp_path / "killed")
    clock = SimClock(clock.now())
    async with sim_runtime([d], clock=clock, db=image) as again:
        played, began = RunHandle(again, int(run.run_id)), clock.now()
        assert await states(played) == {"works": "running", "pays": "lost", "w": "deferred"}
        assert [(each.number, each.state.value) for each in attempts(played, "works")] == [
            (1, "lost"),
            (2, "running"),
        ]
        assert attempts(played, "works")[1].started_us == began == clock.now()
        assert len(attempts(played, "w")) == 1
        assert await reason(played, "pays")
        await again.operations.rerun(played.run_id, "pays")
        await clock.advance(timedelta(hours=2))
        assert (await played.wait(5)).ok
        assert ends(played, "works") == ["lost", "success"]
        assert ends(played, "pays") == ["lost", "success"]
        assert ends(played, "w") == ["success"]
    sound(image)
