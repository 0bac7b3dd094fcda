"""Waits held and let go: ends posted once, breakdowns contained, cleanup on every path, the log."""

from __future__ import annotations

import pytest

from bide.runtime.clock import MINUTE, SECOND, from_us
from bide.runtime.engine.messages import Arm, LookOnce, WaitFailed, WaitFired, WaitLooked
from bide.runtime.errors import NotFoundError
from bide.runtime.triggerer.triggerer import LINE_LIMIT, LINES_LIMIT
from bide.triggers import PythonTrigger, TimeTrigger
from bide.triggers.base import Fail, Fire, NotYet

from .conftest import Bench, FakeTrigger, PushTrigger, settle


async def test_a_time_wait_fires_at_its_instant_and_not_before(bench: Bench) -> None:
    at_us = bench.clock.at + MINUTE
    bench.arm(1, TimeTrigger(at_us=at_us))
    await bench.clock.advance(59_999_999)
    assert bench.fired == []
    await bench.clock.advance(1)
    assert bench.posted == [WaitFired(1, f'{{"at":"{from_us(at_us).isoformat()}"}}'.encode())]


async def test_an_earlier_time_wait_wakes_the_sleeper(bench: Bench) -> None:
    bench.arm(1, TimeTrigger(at_us=bench.clock.at + 10 * MINUTE))
    await settle()
    bench.arm(2, TimeTrigger(at_us=bench.clock.at + SECOND))
    bench.arm(3, TimeTrigger(at_us=bench.clock.at - SECOND))
    await settle()
    assert bench.fired == [3]
    await bench.clock.advance(SECOND)
    assert bench.fired == [3, 2]


async def test_ten_thousand_due_at_one_instant_fire_in_order_of_their_ids(bench: Bench) -> None:
    for wait_id in range(10_000):
        bench.arm(wait_id, TimeTrigger(at_us=bench.clock.at + MINUTE))
    for wait_id in range(0, 10_000, 2):
        bench.triggerer.disarm(wait_id, "cancelled")
    await bench.clock.advance(MINUTE)
    assert bench.fired == list(range(1, 10_000, 2))
    assert bench.triggerer.armed == 0


async def test_a_paused_time_wait_may_come_back_under_its_id(bench: Bench) -> None:
    trigger = TimeTrigger(at_us=bench.clock.at + MINUTE)
    bench.arm(1, trigger)
    bench.triggerer.disarm(1, "paused")
    bench.arm(1, trigger)
    await bench.clock.advance(MINUTE)
    assert bench.fired == [1]


async def test_an_instant_of_the_calendar_stays_when_the_clock_is_moved(bench: Bench) -> None:
    bench.arm(1, TimeTrigger(at_us=bench.clock.at + 2 * 3600 * SECOND))
    await settle()
    bench.clock.at += 3600 * SECOND
    bench.triggerer.clock_stepped(3600 * SECOND)
    await bench.clock.advance(3599 * SECOND)
    assert bench.fired == []
    await bench.clock.advance(SECOND)
    assert bench.fired == [1]


async def test_an_end_is_posted_once_and_arming_twice_is_once(bench: Bench) -> None:
    bench.world.answer = lambda key: 1
    bench.arm(1, FakeTrigger())
    bench.arm(1, FakeTrigger())
    await settle()
    bench.triggerer.disarm(1, "fired")
    await bench.clock.advance(MINUTE, SECOND)
    assert bench.fired == [1]
    assert bench.world.removed == [(1, "fired")]


@pytest.mark.parametrize("reason", ["timed_out", "cancelled", "paused", "failed"])
async def test_cleanup_runs_with_its_reason(bench: Bench, reason: str) -> None:
    bench.arm(1, FakeTrigger())
    bench.arm(2, PushTrigger(source="p"))
    await settle()
    bench.triggerer.disarm(1, reason)
    bench.triggerer.disarm(2, reason)
    assert bench.world.removed == [(1, reason), (2, reason)]


async def test_cleanup_runs_at_shutdown_and_every_source_is_closed(bench: Bench) -> None:
    bench.arm(1, FakeTrigger())
    bench.arm(2, PushTrigger(source="p"))
    await settle()
    await bench.triggerer.close()
    assert bench.world.removed == [(1, "shutdown"), (2, "shutdown")]
    assert sorted(map(str, bench.world.closed)) == ["('fake', 's')", "push"]
    assert bench.posted == []


async def test_a_source_without_waits_is_closed_after_a_while(bench: Bench) -> None:
    bench.arm(1, FakeTrigger())
    await settle()
    bench.triggerer.disarm(1, "cancelled")
    await bench.clock.advance(9 * SECOND)
    assert bench.world.closed == []
    await bench.clock.advance(2 * SECOND)
    assert bench.world.closed == [("fake", "s")]
    assert bench.triggerer.sources == {}


async def test_fail_ends_the_wait_with_its_reason(bench: Bench) -> None:
    bench.world.answer = lambda key: Fail("410 gone")
    bench.arm(1, FakeTrigger())
    await settle()
    assert bench.posted == [WaitFailed(1, "410 gone")]


async def test_p10_an_event_too_large_or_no_json_fails_its_own_wait(bench: Bench) -> None:
    bench.world.answer = lambda key: Fire("x" * 300_000) if key == "a" else Fire(object())
    bench.arm(1, FakeTrigger(key="a"))
    bench.arm(2, FakeTrigger(key="b"))
    await settle()
    assert "300,002 bytes" in bench.failed[1]
    assert "is not JSON" in bench.failed[2]


@pytest.mark.parametrize("broken", ["judge", "poll_key", "source_key"])
async def test_c6_a_trigger_that_raises_ends_its_own_wait_only(bench: Bench, broken: str) -> None:
    bench.arm(1, FakeTrigger(broken=broken))
    bench.arm(2, FakeTrigger())
    await settle()
    assert list(bench.failed) == [1]
    assert "RuntimeError" in bench.failed[1]
    bench.world.answer = lambda key: 1
    await bench.clock.advance(15 * SECOND, SECOND)
    assert bench.fired == [2]


@pytest.mark.parametrize("broken", ["judge", "poll_key", "source_key"])
async def test_c6_a_single_look_at_a_trigger_that_raises_ends_its_wait(bench: Bench, broken: str) -> None:
    [ended] = [await bench.look_once(1, FakeTrigger(broken=broken))]
    assert isinstance(ended, WaitFailed)
    assert "RuntimeError" in ended.reason


async def test_c6_a_poll_key_that_raises_does_not_break_the_source_it_shares(bench: Bench) -> None:
    bench.arm(1, FakeTrigger())
    bench.arm(2, FakeTrigger(broken="poll_key"))
    await settle()
    assert (list(bench.failed), bench.triggerer.breakdowns, bench.world.opened) == ([2], 0, [("fake", "s")])


async def test_c6_a_source_that_breaks_takes_only_its_waits_along_and_comes_back(bench: Bench) -> None:
    async def crash() -> None:
        raise RuntimeError("bug in the client")

    bench.arm(1, PushTrigger(source="bad"))
    bench.arm(2, FakeTrigger())
    await settle()
    bench.world.sources["fake", "bad"].host.spawn(crash(), "reader")
    await settle()
    status = bench.triggerer.status(1)
    assert status is not None
    assert "bug in the client" in status.last_answer
    await bench.clock.advance(2 * SECOND)
    assert bench.world.opened == [("fake", "bad"), ("fake", "s"), ("fake", "bad")]
    source = bench.world.sources["fake", "bad"]
    source.host.observed(source.waits[1], 1)  # type: ignore[attr-defined]
    assert bench.fired == [1]
    assert bench.triggerer.breakdowns == 1


async def test_a_source_that_cannot_be_opened_is_tried_again_or_refused(bench: Bench) -> None:
    bench.world.break_open = OSError("no route")
    bench.arm(1, FakeTrigger())
    await bench.clock.advance(5 * SECOND, SECOND)
    assert bench.posted == []
    bench.world.break_open = None
    bench.world.answer = lambda key: 1
    await bench.clock.advance(10 * SECOND, SECOND)
    assert bench.fired == [1]
    bench.world.break_open = ImportError("no module obstore: pip install bide[objects]")
    bench.arm(2, FakeTrigger(source="other"))
    await settle()
    assert "pip install bide[objects]" in bench.failed[2]


@pytest.mark.parametrize(
    "data", [b'{"kind":"nope"}', b'{"kind":"os:system"}', b"\x80\x04pickle", b'{"kind":"fake","key":3}']
)
async def test_a_stored_trigger_that_cannot_be_read_fails_its_wait_clearly(bench: Bench, data: bytes) -> None:
    bench.triggerer.arm(Arm(1, 2, "d", "t", data, SECOND, 1.0, bench.clock.at))
    await bench.triggerer.look(LookOnce(2, 2, "d", "t", data))
    assert set(bench.failed) == {1, 2}
    assert "trigger" in bench.failed[1]


# --- looking once, and by hand -------------------------------------------------------------------


@pytest.mark.parametrize("kind", [FakeTrigger, PushTrigger])
async def test_one_look_posts_one_answer(bench: Bench, kind: type[FakeTrigger]) -> None:
    assert await bench.look_once(1, kind()) == WaitLooked(1, "saw None", None)
    bench.world.answer = lambda key: 7
    assert await bench.look_once(1, kind()) == WaitFired(1, b"7")
    bench.world.answer = lambda key: Fail("never")
    assert await bench.look_once(2, kind()) == WaitFailed(2, "never")
    bench.world.answer = lambda key: OSError("refused")
    if kind is FakeTrigger:
        assert await bench.look_once(3, kind()) == WaitLooked(3, "OSError: refused", None, failed=True)
    assert bench.triggerer.armed == 0


async def test_what_a_look_remembers_reaches_the_next_one(bench: Bench) -> None:
    bench.world.answer = lambda key: (
        lambda memo: NotYet("counting", memo=(memo or 0) + 1) if memo != 2 else Fire(memo)
    )
    assert isinstance(await bench.look_once(1, PushTrigger()), WaitLooked)
    assert isinstance(await bench.look_once(1, PushTrigger()), WaitLooked)
    assert isinstance(await bench.look_once(1, PushTrigger()), WaitFired)


async def test_a_look_by_hand_keeps_the_spacing_and_tells_what_it_saw(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(), poll_us=60 * SECOND)
    await settle()
    await bench.clock.advance(5 * SECOND)
    status = await bench.triggerer.look_now(1)
    assert status is not None
    assert (status.looks, status.last_answer, status.source) == (2, "saw None", "fake s")
    bench.world.answer = lambda key: 1
    await bench.clock.advance(5 * SECOND)
    assert await bench.triggerer.look_now(1) is None
    with pytest.raises(NotFoundError):
        await bench.triggerer.look_now(1)


# --- the log of the waiting phase ------------------------------------------------------------------


async def test_c22_the_waiting_phase_is_logged_on_the_first_look_and_on_each_change(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(), poll_us=SECOND)
    await bench.clock.advance(20 * SECOND, SECOND)
    bench.world.answer = lambda key: OSError("refused")
    await bench.clock.advance(4 * SECOND, SECOND)
    bench.world.answer = lambda key: 1
    await bench.clock.advance(20 * SECOND, SECOND)
    assert bench.lines == [
        (1001, "waiting for fake a: saw None"),
        (1001, "OSError: refused"),
        (1001, "it is true"),
    ]


async def test_c23_lines_are_cut_with_a_mark_and_their_number_is_bounded(bench: Bench) -> None:
    numbers = iter(range(10_000))
    bench.world.answer = lambda key: NotYet(f"{next(numbers)} {'x' * 5000}")
    bench.arm(1, FakeTrigger(), poll_us=SECOND)
    await bench.clock.advance(300 * SECOND, SECOND)
    assert len(bench.lines) == LINES_LIMIT + 1
    assert all(len(line) < LINE_LIMIT + 100 for _, line in bench.lines)
    assert "characters)" in bench.lines[0][1]
    assert "further ones" in bench.lines[-1][1]


# --- predicates ------------------------------------------------------------------------------------


async def test_a_predicate_is_found_through_its_dag_and_missing_code_fails_nothing(bench: Bench) -> None:
    bench.arm(1, PythonTrigger(dag="d", task="t", args=(2,)))
    await settle()
    status = bench.triggerer.status(1)
    assert status is not None
    assert "code not loaded" in status.last_answer

    async def ready(n: int) -> int:
        return n * 21

    bench.predicates["d", "t"] = ready
    await bench.clock.advance(15 * SECOND, SECOND)
    assert bench.posted == [WaitFired(1, b"42")]


async def test_an_async_predicate_that_raises_or_is_falsy_goes_on_waiting(bench: Bench) -> None:
    answers = iter([ValueError("not yet"), 0, None, "yes"])

    async def ready() -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    bench.predicates["d", "t"] = ready
    bench.arm(1, PythonTrigger(dag="d", task="t"), poll_us=SECOND)
    await bench.clock.advance(30 * SECOND, SECOND)
    assert bench.posted == [WaitFired(1, b'"yes"')]
    assert [line for _, line in bench.lines] == [
        "waiting for the predicate of d.t: ValueError: not yet",
        "it returned 0",
        "it returned None",
        "it is true",
    ]
