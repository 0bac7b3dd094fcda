"""Backfills: a sliding window with caps, policies for what is there, pause, resume, cancel, crashes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bide.runtime.engine.messages import Command
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.schedules import Every
from tests.engine.declare import HOUR_US, job, seconds
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def dates(scene: Scene) -> list[int]:
    """The hours, from T0, of the runs whose body goes."""
    runs = {start.run_id for start in scene.bodies.values()}
    return [(scene.world.runs[run].meta.logical_us - T0) // HOUR_US for run in sorted(runs)]


# --- the window ----------------------------------------------------------------------------------


def test_s0_7_a_backfill_runs_historical_intervals_in_order(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 3)
    seen = []
    while scene.bodies:
        seen += dates(scene)
        scene.end("a")
    assert seen == [0, 1, 2]
    assert (scene.intervals(), scene.backfill_state()) == (["success"] * 3, "success")
    assert scene._rows("SELECT DISTINCT kind FROM run") == [("backfill",)]


def test_s0_13_c65_as_one_run_ends_the_next_is_made_and_nobody_waits_for_the_slowest(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 6, max_active=3)
    assert dates(scene) == [0, 1, 2]
    assert len(scene.runs()) == 3, "never the whole batch"
    scene.end("a", run=2)
    scene.end("a", run=3)
    assert dates(scene) == [0, 3, 4]
    scene.end("a", run=4)
    assert dates(scene) == [0, 4, 5]


def test_s0_17_the_cap_of_a_dag_is_shared_by_its_backfills_and_apart_from_live_runs(new_scene: New) -> None:
    scene = new_scene(slots=20)
    scene.dag("d", job("a"), max_active_runs=1, max_active_backfill_runs=3)
    scene.backfill("d", 5, max_active=2)
    scene.backfill("d", 5, first=10, max_active=4)
    assert dates(scene) == [0, 1, 10]
    live = scene.trigger("d", logical_us=T0 + 50 * HOUR_US)
    assert scene.run_state(live) == "running", "live runs have their own places"
    scene.end("a", run=1)
    assert len(dates(scene)) == 4


def test_s0_18_the_cap_of_an_asset_holds_over_dags_and_backfills(new_scene: New) -> None:
    scene = new_scene(slots=20)
    scene.world.asset_caps["orders"] = 2
    scene.dag("d", job("a", outlets=("orders",)))
    scene.dag("e", job("b", outlets=("orders", "more")))
    scene.backfill("d", 4, max_active=4)
    scene.backfill("e", 4, max_active=4, asset_caps={"more": 1})
    assert scene.going == ["a", "a"]
    scene.end("a", run=1)
    assert sorted(scene.going) == ["a", "b"], "the one with the least of its share is next"
    scene.end("b")
    assert len(scene.going) == 2


def test_s0_16_a_backfill_never_counts_against_the_overlap_of_live_firings(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=Every(hours=1), overlap="skip", max_active_runs=1)
    while scene.bodies:
        scene.end("a")
    scene.backfill("d", 3, first=-10)
    scene.advance(3600)
    kinds = [kind for (kind,) in scene._rows("SELECT kind FROM run ORDER BY run_id")]
    assert kinds[-2:] == ["backfill", "scheduled"]
    assert not [reason for now, reason in scene.said("dag") if now == "skipped"]


# --- what is there already -----------------------------------------------------------------------


def three_runs(scene: Scene) -> None:
    """Hour 0 has succeeded, hour 1 has failed, hour 2 still runs."""
    scene.dag("d", job("a"))
    for hour in range(3):
        scene.trigger("d", logical_us=T0 + hour * HOUR_US)
    scene.end("a", run=1)
    scene.fails("a", run=2)


def test_s0_22_skip_keeps_what_succeeded_or_still_runs_and_runs_what_failed(new_scene: New) -> None:
    scene = new_scene(slots=10)
    three_runs(scene)
    scene.backfill("d", 4, max_active=4)
    assert dates(scene) == [2, 1, 3]
    assert scene.intervals() == ["skipped", "running", "skipped", "running"]


def test_s0_22_overwrite_makes_runs_of_its_own_beside_those_that_are_over(new_scene: New) -> None:
    scene = new_scene(slots=10)
    three_runs(scene)
    scene.backfill("d", 3, max_active=4, overwrite="overwrite")
    assert scene.intervals() == ["running", "running", "skipped"], "no two runs write one interval at once"
    assert scene.runs("d")[0] == (1, "success")


def test_s0_22_fail_refuses_before_anything_starts(scene: Scene) -> None:
    three_runs(scene)
    with pytest.raises(RefusedError, match=r"nothing was started: d has run 1 \(success\)"):
        scene.backfill("d", 4, overwrite="fail")
    assert scene.world.backfills == {}
    assert scene._rows("SELECT * FROM backfill") == []


def test_b60_an_interval_that_got_a_run_after_the_start_is_judged_when_its_turn_comes(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.backfill("d", 3, max_active=1)
    mine = scene.trigger("d", logical_us=T0 + HOUR_US)
    scene.end("a", run=1)
    assert scene.intervals() == ["success", "skipped", "running"]
    assert scene.run_state(mine) == "running"


def test_c68_two_backfills_of_one_interval_run_it_once(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.backfill("d", 4, max_active=2)
    scene.backfill("d", 4, max_active=4)
    while scene.bodies:
        scene.end("a")
    assert len(scene.runs()) == 4
    assert scene.backfill_state(1) == scene.backfill_state(2) == "success"


# --- pause, resume, cancel -----------------------------------------------------------------------


def test_s0_21_c66_pause_starts_nothing_also_of_what_is_queued_and_resume_goes_on(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"), job("b", "a"))
    scene.backfill("d", 5, max_active=2)
    scene.command("backfill_pause", backfill_id=1)
    scene.command("backfill_pause", backfill_id=1)
    scene.end("a", "a")
    for _ in range(20):
        scene.advance(1)
    assert scene.going == [], "its running runs start nothing either"
    assert len(scene.runs()) == 2, "no run was made a second"
    assert scene.reason("b", run=1) == "backfill 1 is paused"
    scene.crash()
    assert scene.going == []
    scene.command("backfill_resume", backfill_id=1)
    assert scene.going == ["b", "b"]
    scene.end("b", run=1)
    assert scene.going == ["b", "a"]


def test_c64_c67_b61_cancel_is_one_transaction_and_its_intervals_are_free_again(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.backfill("d", 5, first=-10, max_active=2)
    batches = scene.batch
    done = scene.command("backfill_cancel", backfill_id=1)
    assert scene.batch == batches + 1
    assert done["runs"] == [1, 2]
    assert (scene.intervals(), scene.backfill_state()) == (["cancelled"] * 5, "cancelled")
    assert [state for _, state in scene.runs()] == ["cancelled"] * 2
    scene.stopped("a", run=1)
    scene.stopped("a", run=2)
    scene.advance(5)
    assert len(scene.runs()) == 2, "nothing spawns after the cancel"
    again = scene.trigger("d", logical_us=T0 - 10 * HOUR_US)
    assert scene.run_state(again) == "running"
    scene.end("a", run=again)
    scene.backfill("d", 5, first=-10)
    assert scene.intervals(2)[:2] == ["skipped", "running"]
    with pytest.raises(RefusedError, match="it is cancelled already"):
        scene.command("backfill_cancel", backfill_id=1)


def test_c64_a_cancelled_backfill_does_not_hide_the_run_that_was_there_before(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.trigger("d", logical_us=T0)
    scene.end("a")
    scene.backfill("d", 1, overwrite="overwrite")
    scene.command("backfill_cancel", backfill_id=1)
    scene.stopped("a")
    with pytest.raises(RefusedError, match=r"has run 1 \(success\)"):
        scene.trigger("d", logical_us=T0)
    scene.backfill("d", 1)
    assert scene.intervals(2) == ["skipped"]


def test_c68_what_failed_is_taken_up_again_and_what_succeeded_in_it_keeps_its_state(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"), job("b", "a"))
    scene.backfill("d", 3, max_active=3)
    scene.end("a", "a", "a")
    scene.fails("b", run=1)
    scene.fails("b", run=2)
    scene.end("b", run=3)
    assert (scene.intervals(), scene.backfill_state()) == (["failed", "failed", "success"], "failed")
    with pytest.raises(RefusedError, match="resume it with `failed`"):
        scene.command("backfill_resume", backfill_id=1)
    scene.crash()
    assert scene.command("backfill_resume", backfill_id=1, failed=True)["again"] == 2
    assert scene.going == ["b", "b"], "a has succeeded in both, and is not run again"
    scene.end("b", "b")
    assert (scene.intervals(), scene.backfill_state()) == (["success"] * 3, "success")
    assert scene.attempts("b", run=1) == ["failed", "success"], "attempts stay"
    assert len(scene.runs()) == 3


def test_c68_resume_takes_up_failures_of_one_that_still_goes(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.backfill("d", 4, max_active=1)
    scene.fails("a")
    assert scene.command("backfill_resume", backfill_id=1, failed=True)["again"] == 1
    assert scene.intervals() == ["pending", "running", "pending", "pending"]
    scene.end("a")
    assert dates(scene) == [0], "in its old place"
    with pytest.raises(RefusedError, match="no interval of it has failed"):
        scene.command("backfill_resume", backfill_id=1, failed=True)


def test_c68_a_failed_run_that_somebody_reran_counts(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"), max_active_runs=5)
    scene.backfill("d", 3, max_active=3)
    for run in (1, 2, 3):
        scene.fails("a", run=run)
    scene.command("rerun", run_id=1)
    scene.end("a", run=1)
    scene.command("rerun", run_id=2)
    scene.command("backfill_resume", backfill_id=1, failed=True)
    assert scene.intervals() == ["success", "running", "running"]
    scene.end("a", run=2)
    scene.end("a", run=3)
    assert scene.backfill_state() == "success"


def test_c68_what_another_backfill_runs_meanwhile_is_not_taken_up_beside_it(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.backfill("d", 1)
    scene.fails("a")
    scene.backfill("d", 1)
    scene.command("backfill_resume", backfill_id=1, failed=True)
    assert (scene.intervals(1), scene.intervals(2)) == (["skipped"], ["running"])
    assert scene.going == ["a"]


def test_a_run_cancelled_by_hand_ends_its_interval_and_the_window_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 2)
    scene.command("cancel", run_id=1)
    scene.stopped("a", run=1)
    assert scene.intervals() == ["cancelled", "running"]
    scene.end("a")
    assert scene.backfill_state() == "failed"


def test_a_paused_dag_holds_its_backfills_and_lets_them_go(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.command("pause", dag="d")
    scene.backfill("d", 2)
    assert scene.runs() == []
    scene.command("unpause", dag="d")
    assert dates(scene) == [0]


# --- crashes, parts, refusals --------------------------------------------------------------------


def test_b58_several_at_once_survive_a_crash_with_their_windows(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"))
    scene.dag("e", job("b"))
    scene.backfill("d", 4, max_active=2)
    scene.backfill("e", 4, max_active=1)
    scene.end("a")
    scene.crash(down=100)
    assert sorted(scene.going) == ["a", "a", "b"]
    while scene.bodies:
        scene.end(scene.going[0])
    assert scene.backfill_state(1) == scene.backfill_state(2) == "success"
    assert len(scene.runs("d")) == len(scene.runs("e")) == 4


def test_s0_20_a_part_of_a_graph_is_a_version_of_its_own(new_scene: New) -> None:
    scene = new_scene(slots=10)
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    scene.backfill("d", 2, tasks=["b", "c"])
    assert scene.states() == {"b": "running", "c": "pending"}
    scene.crash()
    scene.end("b")
    scene.end("c")
    assert scene.states() == {"b": "running", "c": "pending"}
    assert len(scene._rows("SELECT * FROM dag_version")) == 2, "the part is written once"
    scene.trigger("d", logical_us=T0 + 9 * HOUR_US)
    assert sorted(scene.states()) == ["a", "b", "c"]


def test_what_cannot_be_meant_is_refused_and_nothing_is_written(scene: Scene) -> None:
    scene.dag("d", job("a"), params={"x": 1})
    with pytest.raises(NotFoundError, match="no DAG 'e'"):
        scene.backfill("e", 2)
    with pytest.raises(UsageError, match="over no interval"):
        scene.backfill("d", 0)
    with pytest.raises(NotFoundError, match="no task 'z'"):
        scene.backfill("d", 2, tasks=["z"])
    with pytest.raises(UsageError, match="no parameter 'y'"):
        scene.backfill("d", 2, params={"y": 1})
    with pytest.raises(NotFoundError, match="no backfill 7"):
        scene.command("backfill_pause", backfill_id=7)
    assert scene._rows("SELECT * FROM backfill") == []


def test_one_idempotency_key_is_one_backfill(scene: Scene) -> None:
    scene.dag("d", job("a"))
    args = {"dag": "d", "options": {}, "intervals": [[T0 + 1, T0, T0 + 1]], "key": "k"}
    scene.feed(Command(101, "backfill_start", args), Command(102, "backfill_start", args))
    assert scene.reply(101) == scene.reply(102)
    assert len(scene._rows("SELECT * FROM backfill")) == 1


def test_params_of_a_backfill_reach_its_runs(scene: Scene) -> None:
    scene.dag("d", job("a"), params={"x": 1, "full": False})
    scene.backfill("d", 1, params={"full": True})
    assert scene.world.runs[1].meta.params == b'{"full":true,"x":1}'


def test_a_run_past_its_deadline_fails_its_interval(scene: Scene) -> None:
    scene.dag("d", job("a"), deadline_us=seconds(30))
    scene.backfill("d", 2)
    scene.advance(31)
    assert scene.intervals()[0] == "failed"
