"""Actions on many: the count that is expected, slices that are transactions, and going on after a crash."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.engine.messages import Command, Reply
from bide.runtime.errors import RefusedError
from bide.runtime.store import bulk_reads
from bide.runtime.store.bulk_reads import Filter
from tests.engine.declare import job, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def asked(action: str, expect: int, of: Filter | None = None, **more: Any) -> dict[str, Any]:
    text = msgspec.json.encode(of or Filter()).decode()
    return {"action": action, "filter": text, "words": "all", "expect": expect, **more}


def row(scene: Scene, number: int = 1) -> bulk_reads.BulkRow:
    found = bulk_reads.bulk(scene.store._raw, number)
    assert found is not None
    return found


def started(scene: Scene, runs: int) -> None:
    scene.dag("d", job("a"), max_active_runs=1000)
    for _ in range(runs):
        scene.trigger("d")


def test_all_that_match_are_cancelled_in_slices(scene: Scene) -> None:
    started(scene, 50)
    turns = scene.turns
    assert scene.command("bulk", **asked("cancel", 50)) == {"bulk_id": 1, "count": 50}
    assert {state for _, state in scene.runs()} == {"cancelled"}
    assert scene.turns - turns > 50 // bulk_reads.SLICE
    assert (row(scene).done, row(scene).refused, row(scene).ended_us) == (50, 0, scene.now)
    assert scene.said("bulk") == [("going", "cancel of 50 runs: all"), ("done", "cancel: 50 done")]
    assert scene.command("bulk", **asked("rerun", 50)) == {"bulk_id": 2, "count": 50}
    assert {state for _, state in scene.runs()} <= {"running", "queued"}
    assert row(scene, 2).done == 50


def test_another_count_is_refused_with_both_numbers(scene: Scene) -> None:
    started(scene, 3)
    with pytest.raises(RefusedError, match="4 runs were expected, and 3 match now"):
        scene.command("bulk", **asked("cancel", 4))
    with pytest.raises(RefusedError, match="0 runs were expected, and 3 match now"):
        scene.command("bulk", **asked("cancel", 0))
    with pytest.raises(RefusedError, match="nothing to rerun"):
        scene.command("bulk", **asked("rerun", 0))
    assert bulk_reads.bulk(scene.store._raw, 1) is None


def test_what_ends_in_the_batch_of_the_action_is_counted_as_it_then_is(scene: Scene) -> None:
    started(scene, 3)
    scene.feed(Command(7, "cancel", {"run_id": 2}), Command(8, "bulk", asked("cancel", 3)))
    reply = next(each for each in scene.effects if isinstance(each, Reply) and each.token == 8)
    assert "3 runs were expected, and 2 match now" in reply.message
    assert sorted(state for _, state in scene.runs()) == ["cancelled", "running", "running"]


def test_a_filter_means_all_that_it_says(scene: Scene) -> None:
    scene.dag("daily_a", job("a"), max_active_runs=9)
    scene.dag("daily_b", job("b"), max_active_runs=9)
    scene.dag("other", job("c"), max_active_runs=9)
    for name in ("daily_a", "daily_b", "other"):
        for day in range(3):
            scene.trigger(name, logical_us=T0 + day)
    find = bulk_reads.targets
    conn = scene.store._raw

    def count(action: str = "cancel", **of: Any) -> int:
        return len(find(conn, action, msgspec.json.encode(Filter(**of)).decode(), False, 100))

    assert count() == 9
    assert (count(dag="daily_*"), count(dag="daily_?", states=("running",)), count(states=("failed",))) == (
        6,
        6,
        0,
    )
    assert (count(since_us=T0 + 1), count(until_us=T0 + 1), count(since_us=T0, until_us=T0 + 2)) == (6, 3, 6)
    assert (count(kind="manual"), count(kind="scheduled"), count(dag="daily_a", since_us=T0 + 2)) == (9, 0, 1)
    assert scene.command("bulk", **asked("pause", 2, Filter(dag="daily_*")))["count"] == 2
    assert (count("pause"), count("unpause"), count("unpause", dag="other")) == (1, 2, 0)
    assert bool(scene.world.dags["daily_b"].paused)


def test_what_is_refused_is_told_and_the_others_are_done(scene: Scene) -> None:
    started(scene, 3)
    scene.command("bulk", **asked("cancel", 3))
    scene.command("rerun", run_id=2)
    with patch.object(bulk_reads, "_BAD", "r.run_id > 0"):
        scene.command("bulk", **asked("rerun", 3))
    assert (row(scene, 2).done, row(scene, 2).refused) == (2, 1)
    [(target, why)] = msgspec.json.decode(row(scene, 2).told)
    assert target == 2
    assert "run 2 has nothing to rerun" in why


@settings(max_examples=20, deadline=None)
@given(
    runs=st.integers(1, 12),
    over=st.sets(st.integers(1, 12)),
    size=st.integers(1, 5),
    action=st.sampled_from(["cancel", "rerun"]),
    dies=st.lists(st.integers(1, 5), max_size=4),
)
def test_after_any_crash_each_is_done_once(
    runs: int, over: set[int], size: int, action: str, dies: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as folder, patch.object(bulk_reads, "SLICE", size):
        scene = Scene(Path(folder) / "bide.db")
        try:
            started(scene, runs)
            for run in sorted(each for each in over if each <= runs):
                scene.command("cancel", run_id=run)
            hit = {run for run, state in scene.runs() if (state == "cancelled") == (action == "rerun")}
            before = _moves(scene)
            told = Command(99, "bulk", asked(action, len(hit)))
            if not hit:
                scene.feed(told)
                assert bulk_reads.bulk(scene.store._raw, 1) is None
                return
            for n, turns in enumerate(dies):
                scene.crash_after(turns, *([told] if n == 0 else []))
                if bulk_reads.bulk(scene.store._raw, 1) is None:  # it died before that was committed
                    scene.feed(told)
            if not dies:
                scene.feed(told)
            scene.feed()
            assert (row(scene).done, row(scene).refused, row(scene).total) == (len(hit), 0, len(hit))
            ended = "cancelled" if action == "cancel" else "running"
            for run, state in scene.runs():
                assert run not in hit or state in (ended, "queued")
            moved = _moves(scene)
            assert {run for run in moved if moved[run] > before.get(run, 0)} == hit
            assert all(moved[run] == before.get(run, 0) + 1 for run in hit)
        finally:
            scene.close()


def _moves(scene: Scene) -> dict[int, int]:
    """How often each run was cancelled or opened again by an action."""
    sql = (
        "SELECT run_id, count(*) FROM event WHERE subject = 'run' AND (now = 'cancelled' OR was = 'cancelled')"
        " AND reason LIKE '%of % runs by hand' GROUP BY run_id"
    )
    return dict(scene.store._raw.execute(sql).fetchall())


def test_waits_that_are_named_are_extended_satisfied_and_failed_each_once(scene: Scene) -> None:
    scene.dag("d", sensor("w"), max_active_runs=1000)
    for _ in range(30):
        scene.trigger("d")
    opened = sorted(scene.world.waits)
    assert len(opened) == 30
    until = {number: wait.deadline for number, wait in scene.world.waits.items()}
    more: dict[str, Any] = {"waits": opened, "wait": {"by_us": 7}}
    assert scene.command("bulk", **asked("extend", 30, **more))["count"] == 30
    assert {
        number: wait.deadline - until[number] for number, wait in scene.world.waits.items()
    } == dict.fromkeys(opened, 7)
    with pytest.raises(RefusedError, match="30 waits were expected, and 29 match now"):
        scene.command("bulk", **asked("fail", 30, waits=[*opened[1:], 999]))
    scene.command("bulk", **asked("satisfy", 10, waits=opened[:10], wait={"event": {"rows": 1}}))
    scene.command("bulk", **asked("fail", 20, waits=opened[10:], reason="gone"))
    assert not scene.world.waits
    assert (row(scene, 2).done, row(scene, 3).done, row(scene, 3).refused) == (10, 20, 0)
    assert [state for _, state in scene.runs()].count("success") == 10


def test_an_action_on_waits_goes_on_after_a_crash_and_tells_what_ended_meanwhile(scene: Scene) -> None:
    scene.dag("d", sensor("w"), max_active_runs=1000)
    for _ in range(50):
        scene.trigger("d")
    opened = sorted(scene.world.waits)
    scene.crash_after(
        2,
        Command(99, "bulk", asked("fail", 50, waits=opened, reason="gone")),
        Command(98, "wait_satisfy", {"wait_id": opened[-1], "event": None}),
    )
    assert not scene.world.waits
    assert (row(scene).done, row(scene).refused, row(scene).ended_us) == (49, 1, scene.now)
    [(target, why)] = msgspec.json.decode(row(scene).told)
    assert (target, "there is no open wait" in why) == (opened[-1], True)
