"""The heap of timers: what is over leaves it, and nothing that counts is lost."""

from __future__ import annotations

from collections.abc import Callable

from bide.runtime.clock import SECOND, from_us
from bide.runtime.engine.budgets import BudgetLimits
from bide.runtime.engine.messages import ConsumerAsked, Unanswered, WaitFailed
from bide.runtime.engine.world import FEW_TIMERS, Due
from bide.runtime.schedules import Every, On
from bide.runtime.schedules.promise import Promise
from bide.triggers import FileTrigger
from tests.engine.declare import approval, job, sensor
from tests.engine.scene import T0, Scene


def test_timers_of_what_is_over_do_not_pile_up_until_their_instants(scene: Scene) -> None:
    """A week-long deadline of a run that ended at once is not kept for a week."""
    week = 7 * 24 * 3600
    scene.dag("d", job("a", deadline=week, timeout=week), deadline_us=week * SECOND)
    scene.dag("keeps", job("k", deadline=week), sensor("s", timeout=week), schedule=Every(hours=100))
    scene.advance(0)
    scene.checking = False
    for _ in range(600):
        scene.trigger("d")
        scene.asks("a", "w", timeout=week)
        scene.fire("a")
        scene.end("a")
    assert len(scene.world.timers) < 1000
    scene.checking = True
    scene.advance(week - 1)
    assert (scene.state("k", 1), scene.state("s", 1)) == ("running", "deferred")
    scene.advance(1)
    assert (scene.state("k", 1), scene.state("s", 1)) == ("failed", "failed")
    assert len(scene.runs("keeps")) == 2
    while scene.going:
        task, run = scene.going[0], next(iter(scene.bodies.values())).run_id
        (scene.stopped if scene.attempt(task, run) in scene.stops else scene.end)(task, run=run)


def test_a_sweep_keeps_every_timer_that_counts(new_scene: Callable[..., Scene]) -> None:
    """Of each kind: they ring as they do without a sweep."""
    scene = new_scene(slots=9, budgets={"w": BudgetLimits(1)})
    cost = {"w": 1.0}
    within = Promise(after_us=150 * SECOND)
    scene.dag(
        "d",
        job("a", retries=1, delay=50),
        job("b", timeout=60, deadline=100, alert=within),
        deadline_us=300 * SECOND,
        deadline_alert={"after_us": 200 * SECOND},
    )
    scene.dag("e", sensor("s", timeout=200), sensor("r", mode="reschedule", poll=40), schedule=Every(hours=1))
    scene.dag("g", job("x", cost=cost), job("y", cost=cost), approval("ok"))
    made = job("m", outlets=("made",), promises={"made": within})
    scene.dag("h", made, schedule=Every(hours=1000, anchor=from_us(T0 - SECOND)))
    scene.dag("f", job("a"), schedule=On(FileTrigger(path="/drops/a")))
    scene.advance(0)
    [standing_id] = scene.world.standing
    scene.feed(WaitFailed(standing_id, "gone"))
    scene.dag("o", job("o", outlets=("old",)))
    scene.trigger("o")
    scene.end("o")
    scene.command(
        "asset_degrade",
        version_id=1,
        limitations=["half"],
        by="ann",
        why="late",
        expires_us=T0 + 900 * SECOND,
    )
    scene.trigger("d")
    scene.fails("a")
    scene.looked("r")
    scene.trigger("g")
    scene.feed(Unanswered(ConsumerAsked(1), "no file descriptor is left", again=True))
    kept = set(scene.world.timers)
    assert {kind for _, kind, _ in kept} == set(Due) - {Due.CATCHUP}  # which is due at once
    for number in range(FEW_TIMERS * 2):
        scene.world.timer(T0 + number, Due.WAIT, 1_000_000)
        at, kind, subject = min(kept)
        scene.world.timer(at, Due(kind), subject)
    scene.feed()
    assert (set(scene.world.timers), len(scene.world.timers)) == (kept, len(kept))
    for run, state in scene.runs():
        if state == "running":
            scene.command("cancel", run_id=run)
    scene.stopped("b")
