"""Budgets: what tasks may spend in a window, persisted, shared with backfills (S0-19, B60)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.engine.budgets import BudgetLimits, hold_words, wait_words
from bide.runtime.engine.messages import ClockStepped
from tests.engine.declare import HOUR_US, job, seconds
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


@pytest.fixture
def hundred(new_scene: New) -> Scene:
    scene = new_scene(slots=20, budgets={"warehouse": BudgetLimits(100)})
    scene.dag("d", job("a", cost={"warehouse": 40.0}))
    return scene


def test_s0_19_a_spent_budget_holds_what_is_ready_until_the_window_is_over(hundred: Scene) -> None:
    scene = hundred
    for n in range(4):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    assert scene.going == ["a", "a"]
    assert scene.reason("a") == (
        "waits for the budget warehouse: 80 of 100 used until 2026-01-01 01:00:00Z, it costs 40"
    )
    scene.end("a", "a")
    assert scene.going == [], "nothing is given back within the window"
    scene.advance(3599)
    assert scene.going == []
    scene.advance(1)
    assert scene.going == ["a", "a"]
    assert scene.reason("a") == ""


def test_c77_who_is_parked_over_several_windows_is_told_of_the_one_that_is_open(hundred: Scene) -> None:
    scene = hundred
    for n in range(6):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    last = max(scene.world.instances)
    scene.advance(3600)
    words = wait_words(scene.world, last, scene.now)
    assert words == "waits for the budget warehouse: 80 of 100 used until 2026-01-01 02:00:00Z, it costs 40"
    assert wait_words(scene.world, min(scene.world.instances), scene.now) == "", "it runs"
    scene.advance(3600)
    assert wait_words(scene.world, last, scene.now) == ""


def test_b60_a_backfill_is_told_how_many_of_its_tasks_wait_for_what(new_scene: New) -> None:
    scene = new_scene(slots=20, budgets={"w": BudgetLimits(100, backfill_units=50)})
    scene.dag("d", job("a", cost={"w": 40.0}))
    scene.backfill("d", 4, max_active=3)
    b = scene.world.backfills[1]
    used = "until 2026-01-01 01:00:00Z, and one costs 40"
    assert (
        hold_words(scene.world, b, scene.now)
        == f"2 tasks wait for the budget w: 40 of 50 used by backfills {used}"
    )
    scene.trigger("d", logical_us=T0 + 50 * HOUR_US)
    assert scene.going == ["a", "a"]
    scene.end("a", "a")
    assert hold_words(scene.world, b, scene.now) == f"3 tasks wait for the budget w: 80 of 100 used {used}"
    scene.advance(3600)
    later = "until 2026-01-01 02:00:00Z, and one costs 40"
    assert (
        hold_words(scene.world, b, scene.now)
        == f"2 tasks wait for the budget w: 40 of 50 used by backfills {later}"
    )
    scene.command("backfill_cancel", backfill_id=1)
    assert hold_words(scene.world, b, scene.now) == ""


def test_s0_19_what_is_spent_survives_a_crash(hundred: Scene) -> None:
    scene = hundred
    scene.trigger("d", logical_us=T0)
    scene.trigger("d", logical_us=T0 + HOUR_US)
    scene.end("a", "a")
    scene.crash(down=60)
    scene.trigger("d", logical_us=T0 + 2 * HOUR_US)
    assert scene.going == []
    scene.crash(down=3600)
    assert scene.going == ["a"]


def test_b60_each_start_spends_retries_and_reruns_too(new_scene: New) -> None:
    scene = new_scene(slots=20, budgets={"warehouse": BudgetLimits(100)})
    scene.dag("d", job("a", cost={"warehouse": 40.0}, retries=3))
    scene.trigger("d", logical_us=T0)
    scene.fails("a")
    scene.fails("a")
    assert scene.going == []
    assert scene.reason("a").startswith("waits for the budget warehouse: 80 of 100")
    scene.advance(3600)
    scene.end("a")
    assert scene.run_state() == "success"


def test_a_wait_within_a_body_spends_once(hundred: Scene) -> None:
    scene = hundred
    scene.trigger("d", logical_us=T0)
    scene.asks("a", "x")
    scene.trigger("d", logical_us=T0 + HOUR_US)
    scene.fire("a", key="x", run=1)
    assert scene.going == ["a", "a"]
    assert scene.world.budgets["warehouse"].spent == 80


def test_a_task_that_costs_more_than_the_whole_budget_starts_in_a_fresh_window(new_scene: New) -> None:
    scene = new_scene(slots=20, budgets={"warehouse": BudgetLimits(10)})
    scene.dag("d", job("small", cost={"warehouse": 1.0}), job("huge", cost={"warehouse": 50.0}))
    scene.trigger("d", logical_us=T0)
    assert scene.going == ["small"]
    scene.end("small")
    scene.advance(3600)
    assert scene.going == ["huge"]


def test_s0_19_backfills_may_be_kept_to_a_part_of_a_budget(new_scene: New) -> None:
    scene = new_scene(slots=20, budgets={"warehouse": BudgetLimits(100, backfill_units=50)})
    scene.dag("d", job("a", cost={"warehouse": 25.0}))
    scene.backfill("d", 6, max_active=6)
    assert len(scene.going) == 2
    assert "50 of 50 used by backfills" in scene.reason("a")
    scene.trigger("d", logical_us=T0 + 100 * HOUR_US)
    scene.trigger("d", logical_us=T0 + 101 * HOUR_US)
    assert len(scene.going) == 4, "live runs have the rest"
    scene.advance(3600)
    assert len(scene.going) == 6


def test_the_window_may_be_any_span_and_a_budget_that_nobody_set_holds_nobody(new_scene: New) -> None:
    scene = new_scene(slots=20, budgets={"api": BudgetLimits(1, window_us=seconds(60))})
    scene.dag("d", job("a", cost={"api": 1.0, "unknown": 1e9}))
    scene.trigger("d", logical_us=T0)
    scene.trigger("d", logical_us=T0 + HOUR_US)
    assert scene.going == ["a"]
    scene.advance(60)
    assert scene.going == ["a", "a"]


def test_a_clock_that_is_set_does_not_leave_anybody_asleep(hundred: Scene) -> None:
    scene = hundred
    for n in range(3):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    assert len(scene.going) == 2
    scene.now += seconds(7200)
    scene.feed(ClockStepped(seconds(7200)))
    assert len(scene.going) == 3


def test_what_waits_for_a_budget_can_be_cancelled_and_leaves_nothing(hundred: Scene) -> None:
    scene = hundred
    for n in range(3):
        scene.trigger("d", logical_us=T0 + n * HOUR_US)
    scene.command("cancel", run_id=3)
    scene.advance(3600)
    assert len(scene.going) == 2
    assert scene.run_state(3) == "cancelled"
