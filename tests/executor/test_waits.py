"""`ctx.wait` seen from the executor: what is asked, how it is answered, when the body rests."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from bide.runtime.engine.messages import Answer, AttemptEnded, Parked, WaitAsked, WaitDropped
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import WaitBroken, WaitTimedOut
from bide.runtime.executor.context import Context
from bide.runtime.graph.spec import Lane
from bide.triggers.base import Trigger
from bide.triggers.file import FileTrigger
from bide.triggers.time import TimeTrigger
from tests.executor.desk import Desk


class Door(Trigger, frozen=True, kw_only=True, tag="door"):
    """Waits for a door."""

    number: int

    def source_key(self) -> str:
        return "doors"

    def describe(self) -> str:
        return f"door {self.number}"


async def asked(desk: Desk, count: int) -> list[WaitAsked]:
    async with asyncio.timeout(20):
        while len(desk.of(WaitAsked)) < count:
            await asyncio.sleep(0)
    found: list[WaitAsked] = desk.of(WaitAsked)
    return found


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_d15_a_wait_is_asked_as_plain_data_and_answered(desk: Desk) -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.wait(Door(number=3), timeout=timedelta(hours=1), poll_interval=5)

    attempt_id = desk.start(body, takes_context=True)
    (ask,) = await asked(desk, 1)
    assert msgspec.json.decode(ask.trigger) == {"kind": "door", "number": 3}
    assert (ask.kind, ask.timeout_us, ask.poll_us) == ("door", 3_600_000_000, 5_000_000)
    desk.executor.answer(Answer(attempt_id, ask.key, b'{"open":true}'))
    assert (await desk.ended(attempt_id)).output == b'{"open":true}'
    assert desk.of(WaitDropped) == []


@pytest.mark.parametrize(
    ("trigger", "options", "not_before"),
    [
        (TimeTrigger(at_us=7), {}, 7),
        (TimeTrigger(at_us=7), {"timeout": 60}, None),
        (Door(number=3), {}, None),
    ],
    ids=["default", "its own", "no instant"],
)
async def test_c31_a_default_time_out_counts_from_the_instant_that_is_waited_for(
    desk: Desk, trigger: Trigger, options: dict[str, Any], not_before: int | None
) -> None:
    async def body(ctx: Context) -> Any:
        return await ctx.wait(trigger, **options)

    attempt_id = desk.start(body, takes_context=True)
    (ask,) = await asked(desk, 1)
    assert (ask.not_before_us, ask.timeout_us) == (not_before, 60_000_000 if options else 86_400_000_000)
    desk.executor.answer(Answer(attempt_id, ask.key, b"1"))
    await desk.ended(attempt_id)


async def test_d15_recorded_answers_are_given_at_once_whatever_the_order_under_gather(desk: Desk) -> None:
    async def body(ctx: Context) -> Any:
        return await asyncio.gather(
            ctx.wait(Door(number=1)),
            ctx.wait(Door(number=2)),
            ctx.wait(Door(number=1)),
            ctx.wait(Door(number=9), name="n"),
        )

    first = desk.start(body, takes_context=True)
    asks = await asked(desk, 4)
    assert len({ask.key for ask in asks}) == 4
    assert asks[3].key == "n"
    recorded = {ask.key: Answer(2, ask.key, msgspec.json.encode(place)) for place, ask in enumerate(asks)}
    ended = await desk.run(body, takes_context=True, recorded_waits=recorded)
    assert ended.output == b"[0,1,2,3]"
    desk.stop(first)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ({"event": None, "timed_out": True}, WaitTimedOut),
        ({"event": None, "error": "no such door"}, WaitBroken),
    ],
)
async def test_a_wait_that_ends_badly_raises(desk: Desk, answer: Any, error: type[Exception]) -> None:
    async def body(ctx: Context) -> str:
        with pytest.raises(error, match="door 3"):
            await ctx.wait(Door(number=3))
        return "caught"

    attempt_id = desk.start(body, takes_context=True)
    (ask,) = await asked(desk, 1)
    desk.executor.answer(Answer(attempt_id, ask.key, **answer))
    assert (await desk.ended(attempt_id)).output == b'"caught"'
    recorded = {ask.key: Answer(2, ask.key, **answer)}  # what its successor after a crash has of it
    assert (await desk.run(body, takes_context=True, recorded_waits=recorded)).output == b'"caught"'
    assert desk.of(WaitAsked) == [ask]


async def test_a_wait_given_up_is_dropped(desk: Desk) -> None:
    async def body(ctx: Context) -> str:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ctx.wait(Door(number=3))
        return "went on"

    ended = await desk.run(body, takes_context=True)
    (ask,) = desk.of(WaitAsked)
    assert desk.of(WaitDropped) == [WaitDropped(1, ask.key)]
    assert ended.state is AttemptState.SUCCESS


async def test_a_branch_that_gave_up_and_ended_lets_the_rest_park(desk: Desk) -> None:
    async def impatient(ctx: Context) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await ctx.wait(Door(number=1))

    async def body(ctx: Context) -> None:
        await asyncio.gather(impatient(ctx), ctx.wait(Door(number=2)))

    attempt_id = desk.start(body, takes_context=True)
    await desk.seen(Parked, attempt_id)
    assert [type(each).__name__ for each in desk.posted] == [
        "WaitAsked",
        "WaitAsked",
        "WaitDropped",
        "Parked",
    ]
    desk.stop(attempt_id)


async def test_a_relative_file_is_looked_for_beside_the_dag(desk: Desk) -> None:
    async def body(ctx: Context) -> None:
        await ctx.wait(FileTrigger(path="drops/a.csv"))

    attempt_id = desk.start(body, takes_context=True, folder="/dags")
    (ask,) = await asked(desk, 1)
    assert msgspec.json.decode(ask.trigger)["path"] == "/dags/drops/a.csv"
    desk.stop(attempt_id)


async def test_a_body_parks_when_all_that_came_back_have_ended_or_wait_again(desk: Desk) -> None:
    proceed = asyncio.Event()

    async def branch(ctx: Context, number: int) -> None:
        await ctx.wait(Door(number=number))
        await proceed.wait()

    async def body(ctx: Context) -> None:
        await asyncio.gather(*(branch(ctx, number) for number in range(3)))

    attempt_id = desk.start(body, takes_context=True)
    one, two, three = await asked(desk, 3)
    assert desk.of(Parked) == []
    desk.executor.answer(Answer(attempt_id, one.key, b"1"))
    desk.executor.answer(Answer(attempt_id, two.key, b"1"))
    await settled()
    assert desk.of(Parked) == []
    proceed.set()
    await settled()
    assert desk.of(Parked) == [Parked(attempt_id, 2)]
    desk.executor.answer(Answer(attempt_id, three.key, b"1"))
    assert (await desk.ended(attempt_id)).state is AttemptState.SUCCESS
    assert len(desk.of(Parked)) == 1


async def test_a_body_that_waits_one_after_another_parks_at_each(desk: Desk) -> None:
    async def body(ctx: Context) -> None:
        for number in range(3):
            await ctx.wait(Door(number=number))

    attempt_id = desk.start(body, takes_context=True)
    for count in (1, 2, 3):
        ask = (await asked(desk, count))[-1]
        desk.executor.answer(Answer(attempt_id, ask.key, b"1"))
    await desk.ended(attempt_id)
    kinds = [type(message).__name__ for message in desk.posted]
    assert kinds == ["WaitAsked", "WaitAsked", "Parked", "WaitAsked", "Parked", "AttemptEnded"]


async def test_a_body_that_waits_is_not_watched(desk: Desk) -> None:
    async def body(ctx: Context) -> None:
        await ctx.wait(Door(number=1))
        watched.append(desk.executor.watchdog._inside)

    watched: list[int] = []
    attempt_id = desk.start(body, takes_context=True)
    (ask,) = await asked(desk, 1)
    watched.append(desk.executor.watchdog._inside)
    desk.executor.answer(Answer(attempt_id, ask.key, b"1"))
    await desk.ended(attempt_id)
    assert [*watched, desk.executor.watchdog._inside] == [0, 1, 0]


async def test_stopping_a_parked_body_drops_nothing_by_itself(desk: Desk) -> None:
    async def body(ctx: Context) -> None:
        await ctx.wait(Door(number=1))

    attempt_id = desk.start(body, takes_context=True)
    await asked(desk, 1)
    desk.stop(attempt_id)
    assert (await desk.ended(attempt_id)).state is AttemptState.CANCELLED
    assert desk.of(WaitDropped) == []


async def test_branches_that_outlive_their_body_are_cut_loose(desk: Desk) -> None:
    left: list[asyncio.Task[Any]] = []

    async def body(ctx: Context) -> None:
        left.append(asyncio.create_task(ctx.wait(Door(number=1))))
        await asyncio.sleep(0)

    await desk.run(body, takes_context=True)
    await asyncio.wait(left)
    assert left[0].cancelled()
    assert isinstance(desk.posted[-1], AttemptEnded)


def waits_in_vain(ctx: Context) -> None:
    coroutine = ctx.wait(Door(number=1))
    coroutine.send(None)


@pytest.mark.parametrize("lane", [Lane.THREAD, Lane.PROCESS])
async def test_a_plain_function_cannot_wait(desk: Desk, lane: Lane) -> None:
    ended = await desk.run(waits_in_vain, lane=lane, takes_context=True)
    assert ended.failure is not None
    assert f"runs in the {lane} lane" in ended.failure.message


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": 0}, "above zero"),
        ({"name": ""}, "give each wait its own"),
        ({"poll_interval": -1}, "above zero"),
    ],
)
async def test_a_wait_that_cannot_be_meant_says_so(desk: Desk, options: Any, said: str) -> None:
    async def body(ctx: Context) -> None:
        await ctx.wait(Door(number=1), **options)

    ended = await desk.run(body, takes_context=True)
    assert ended.failure is not None
    assert said in ended.failure.message
    assert desk.of(WaitAsked) == []
