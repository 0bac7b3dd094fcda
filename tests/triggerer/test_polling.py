"""When looks are made: shared, spaced, spread, bounded, backed off, cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from bide.runtime.clock import MINUTE, SECOND
from bide.triggers.base import Fire, LookFailed, NotYet

from .conftest import Bench, FakeTrigger, settle


async def test_a_condition_true_at_arming_fires_at_once(bench: Bench) -> None:
    bench.world.answer = lambda key: 1
    bench.arm(1, FakeTrigger())
    await settle()
    assert bench.fired == [1]
    assert bench.look_times() == [0.0]


async def test_each_period_has_one_look_and_the_first_gap_is_spread(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(), poll_us=10 * SECOND)
    await bench.clock.advance(2 * MINUTE, SECOND // 4)
    times = bench.look_times()
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert 10 <= gaps[0] <= 12.75
    assert all(10 <= gap <= 10.5 for gap in gaps[1:])


async def test_identical_polls_share_one_look_at_the_shortest_period(bench: Bench) -> None:
    for wait_id in range(1, 101):
        bench.arm(wait_id, FakeTrigger(), poll_us=60 * SECOND)
    bench.arm(200, FakeTrigger(), poll_us=5 * SECOND)
    await settle()
    assert [shared for _, _, shared in bench.world.looks] == [101]
    await bench.clock.advance(61 * SECOND, SECOND // 4)
    assert 10 <= len(bench.look_times()) <= 13
    bench.world.answer = lambda key: 1
    await bench.clock.advance(6 * SECOND, SECOND // 4)
    assert len(bench.fired) == 101


async def test_c20_many_waits_on_one_key_are_one_poller(bench: Bench) -> None:
    for wait_id in range(1, 1001):
        bench.arm(wait_id, FakeTrigger(want=wait_id))
        if wait_id % 100 == 0:
            await settle(2)
    await bench.clock.advance(2 * SECOND, SECOND // 4)
    assert len(bench.world.opened) == 1
    assert len(bench.look_times()) <= 4


@pytest.mark.parametrize(
    "answer", [NotYet("now", again_us=0), NotYet("past", again_us=-1), LookFailed("403")]
)
async def test_c33_no_verdict_and_no_error_makes_a_tight_loop(bench: Bench, answer: object) -> None:
    bench.world.answer = lambda key: answer
    bench.arm(1, FakeTrigger(), poll_us=5 * SECOND)
    await bench.clock.advance(10 * SECOND, SECOND // 20)
    times = bench.look_times()
    assert len(times) <= 12
    assert all(later - sooner > 0.999 for sooner, later in pairwise(times))


async def test_failing_looks_are_backed_off_and_the_wait_goes_on(bench: Bench) -> None:
    bench.world.answer = lambda key: OSError("refused")
    bench.arm(1, FakeTrigger(), poll_us=SECOND)
    await bench.clock.advance(10 * MINUTE, SECOND)
    assert 8 <= len(bench.look_times()) <= 14
    status = bench.triggerer.status(1)
    assert status is not None
    assert (status.last_answer, status.failures) == ("OSError: refused", len(bench.look_times()))
    bench.world.answer = lambda key: 1
    await bench.clock.advance(6 * MINUTE, SECOND)
    assert bench.fired == [1]


async def test_backoff_lengthens_the_interval_to_at_most_an_hour(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(), poll_us=60 * SECOND, backoff=2.0)
    await bench.clock.advance(6 * 60 * MINUTE, 10 * SECOND)
    times = bench.look_times()
    gaps = [later - sooner for sooner, later in pairwise(times)]
    assert gaps[1] >= 119
    assert gaps[2] >= 239
    assert max(gaps) <= 3620
    assert gaps == sorted(gaps)


async def test_a_retry_after_holds_for_all_who_share_the_look(bench: Bench) -> None:
    until = bench.clock.at + 40 * SECOND
    bench.world.answer = lambda key: NotYet("asked to rest", again_us=until, at_least=True)
    bench.arm(1, FakeTrigger(), poll_us=SECOND)
    await settle()
    bench.arm(2, FakeTrigger(), poll_us=SECOND)
    await bench.clock.advance(39 * SECOND, SECOND)
    assert bench.look_times() == [0.0]
    bench.world.answer = lambda key: 1
    await bench.clock.advance(2 * SECOND, SECOND)
    assert sorted(bench.fired) == [1, 2]


async def test_a_source_may_rest_as_a_whole(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(key="a"), poll_us=SECOND)
    await settle()
    bench.world.sources["fake", "s"].host.rest_until(bench.clock.at + 30 * SECOND)
    bench.arm(2, FakeTrigger(key="b"), poll_us=SECOND)
    await bench.clock.advance(29 * SECOND, SECOND)
    assert len(bench.world.looks) == 1
    await bench.clock.advance(2 * SECOND, SECOND)
    assert len(bench.world.looks) >= 3


async def test_looks_are_bounded_per_source_and_in_all(bench: Bench) -> None:
    for wait_id in range(60):
        bench.arm(wait_id, FakeTrigger(key=f"k{wait_id}", source=f"s{wait_id % 3}"))
    bench.world.hang = {f"k{wait_id}" for wait_id in range(60)}
    await settle()
    assert bench.world.under_way == 20  # in all; 10 a source would be 30
    bench.world.released.set()
    await settle(200)
    assert len(bench.world.looks) == 60
    assert bench.world.most_under_way == 20


async def test_spacing_is_the_rate_limit_of_a_source(bench: Bench) -> None:
    bench.world.spacing_us = SECOND // 2
    for wait_id in range(10):
        bench.arm(wait_id, FakeTrigger(key=f"k{wait_id}"), poll_us=60 * SECOND)
    await settle()
    await bench.clock.advance(4 * SECOND, SECOND // 10)
    times = [at for at, _, _ in bench.world.looks]
    assert len(times) == 9
    assert all(later - sooner >= SECOND // 2 for sooner, later in pairwise(times))


async def test_c37_a_look_that_hangs_is_cut_counted_and_tried_again(bench: Bench) -> None:
    bench.world.hang = {"a"}
    bench.arm(1, FakeTrigger(), poll_us=5 * SECOND)
    await bench.clock.advance(31 * SECOND, SECOND)
    assert bench.triggerer.cuts == 1
    status = bench.triggerer.status(1)
    assert status is not None
    assert "hung and was cut after 30 s" in status.last_answer
    bench.world.hang = set()
    bench.world.answer = lambda key: 1
    await bench.clock.advance(30 * SECOND, SECOND)
    assert bench.fired == [1]


async def test_c38_a_hanging_look_delays_no_other(bench: Bench) -> None:
    bench.world.hang = {"bad"}
    bench.arm(1, FakeTrigger(key="bad"))
    bench.world.answer = lambda key: 1
    bench.arm(2, FakeTrigger(key="good"))
    bench.arm(3, FakeTrigger(key="good", source="other"))
    await settle()
    assert sorted(bench.fired) == [2, 3]


async def test_a_look_never_overlaps_itself_even_when_it_ignores_its_cut(bench: Bench) -> None:
    bench.world.hang = {"a"}
    bench.arm(1, FakeTrigger(), poll_us=SECOND)
    await bench.clock.advance(29 * SECOND, SECOND)
    assert len(bench.world.looks) == 1
    assert bench.world.most_under_way == 1


async def test_a_look_cut_before_its_first_step_gives_its_room_back(bench: Bench) -> None:
    bench.arm(1, FakeTrigger())
    await asyncio.sleep(0)
    assert (bench.triggerer.looking, bench.world.looks) == (1, [])
    bench.triggerer.disarm(1, "cancelled")
    await settle()
    assert (bench.triggerer.looking, bench.world.looks) == (0, [])
    bench.world.answer = lambda key: 1
    bench.arm(2, FakeTrigger())
    await settle()
    assert bench.fired == [2]


async def test_a_wait_taken_away_ends_its_look(bench: Bench) -> None:
    bench.world.hang = {"a"}
    bench.arm(1, FakeTrigger())
    await settle()
    bench.triggerer.disarm(1, "cancelled")
    await settle()
    assert bench.world.under_way == 0
    assert bench.world.removed == [(1, "cancelled")]
    bench.world.hang = set()
    bench.world.answer = lambda key: Fire(3)
    bench.arm(2, FakeTrigger())
    await bench.clock.advance(2 * SECOND, SECOND)
    assert bench.fired == [2]


async def test_a_clock_moved_back_does_not_stop_the_polls(bench: Bench) -> None:
    bench.arm(1, FakeTrigger(), poll_us=5 * SECOND)
    await bench.clock.advance(SECOND)
    bench.clock.at -= 3600 * SECOND
    bench.triggerer.clock_stepped(-3600 * SECOND)
    bench.world.answer = lambda key: 1
    await bench.clock.advance(7 * SECOND, SECOND)
    assert bench.fired == [1]
