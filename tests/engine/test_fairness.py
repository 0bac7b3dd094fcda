"""Live runs and backfills at one door (C63): neither starves the other, and what one leaves the other has."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.declare import HOUR_US, job
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def crowd(scene: Scene, *, live: int = 40, backfill: int = 40, max_active: int = 10, **task: Any) -> None:
    """So many live runs of one task each, and a backfill of as many intervals."""
    scene.dag("live", job("l", **task))
    scene.dag("past", job("b", **task))
    for n in range(live):
        scene.trigger("live", logical_us=T0 + n * HOUR_US)
    if backfill:
        scene.backfill("past", backfill, max_active=max_active)


def spend(scene: Scene, seconds: int, **takes: int) -> Counter[str]:
    """Let time go by: a body ends so many seconds after its start. Slot-seconds by task."""
    scene.checking = False
    began: dict[int, int] = dict.fromkeys(scene.bodies, scene.now)
    spent: Counter[str] = Counter()
    for _ in range(seconds):
        scene.advance(1)
        for attempt, start in list(scene.bodies.items()):
            spent[start.task.name] += 1
            if (
                scene.now - began.setdefault(attempt, scene.now - 1_000_000)
                >= takes[start.task.name] * 1_000_000
            ):
                scene.feed(scene.ended(attempt))
        for attempt in scene.bodies:
            began.setdefault(attempt, scene.now)
    scene.checking = True
    return spent


@pytest.mark.parametrize("slots", [1, 2, 4, 6])
def test_c63_a_backfill_is_sure_of_its_share_however_many_live_runs_there_are(
    new_scene: New, slots: int
) -> None:
    scene = new_scene(slots=slots)
    crowd(scene, live=150, backfill=150)
    spent = spend(scene, 50, l=2, b=2)
    share = spent["b"] / sum(spent.values())
    assert 0.2 <= share <= 0.3, f"{share:.2f} of the time went to the backfill"


@pytest.mark.parametrize("slots", [1, 4])
def test_c63_live_runs_are_not_starved_by_a_backfill_of_long_tasks(new_scene: New, slots: int) -> None:
    scene = new_scene(slots=slots)
    crowd(scene, live=150, backfill=150)
    spent = spend(scene, 45, l=1, b=6)
    share = spent["b"] / sum(spent.values())
    assert 0.15 <= share <= 0.4, f"{share:.2f} of the time went to the backfill"


def test_c63_a_share_that_nobody_uses_goes_to_the_other(new_scene: New) -> None:
    alone = new_scene(slots=4)
    crowd(alone, live=0)
    assert alone.going == ["b"] * 4
    busy = new_scene(slots=4)
    crowd(busy, backfill=0)
    assert busy.going == ["l"] * 4


def test_c63_a_live_run_gets_the_next_slot_that_a_backfill_above_its_share_gives_back(new_scene: New) -> None:
    scene = new_scene(slots=4)
    scene.dag("past", job("b"))
    scene.backfill("past", 40, max_active=10)
    scene.dag("live", job("l"))
    scene.trigger("live", logical_us=T0)
    assert scene.going == ["b"] * 4
    scene.end("b")
    assert sorted(scene.going) == ["b", "b", "b", "l"]


def test_c63_a_live_priority_does_not_take_the_share(new_scene: New) -> None:
    scene = new_scene(slots=4)
    scene.dag("live", job("l", priority=50))
    scene.dag("past", job("b"))
    scene.backfill("past", 40, max_active=10)
    for n in range(60):
        scene.trigger("live", logical_us=T0 + n * HOUR_US)
    spent = spend(scene, 30, l=2, b=2)
    assert spent["b"] / sum(spent.values()) >= 0.2


@pytest.mark.parametrize("size", [1, 4])
def test_c63_the_share_holds_in_a_pool_as_well(new_scene: New, size: int) -> None:
    scene = new_scene(slots=50, pools={"db": (size, None)})
    crowd(scene, live=60, backfill=60, pool="db")
    spent = spend(scene, 30, l=2, b=2)
    share = spent["b"] / sum(spent.values())
    assert 0.2 <= share <= 0.3, f"{share:.2f} of the pool went to the backfill"


def test_resumed_work_is_first_within_its_own_side(new_scene: New) -> None:
    scene = new_scene(slots=1)
    crowd(scene, live=3, backfill=0)
    scene.asks("l", "x")
    scene.fire("l", key="x", run=1)
    scene.end("l", run=2)
    assert [start.run_id for start in scene.bodies.values()] == [1], (
        "it came back before run 3, which waits longer"
    )


def test_a_backfill_that_weighs_more_has_more_of_what_backfills_have(new_scene: New) -> None:
    scene = new_scene(slots=4)
    scene.dag("heavy", job("h"))
    scene.dag("light", job("g"))
    scene.backfill("heavy", 200, max_active=20, weight=3)
    scene.backfill("light", 200, max_active=20, weight=1)
    spent = spend(scene, 60, h=1, g=1)
    assert 2.4 <= spent["h"] / spent["g"] <= 3.6


def test_the_share_can_be_set(new_scene: New) -> None:
    scene = new_scene(slots=4)
    scene.world.backfill_share = 0.5
    crowd(scene, live=150, backfill=150)
    spent = spend(scene, 40, l=2, b=2)
    assert 0.45 <= spent["b"] / sum(spent.values()) <= 0.55
