"""Retention beside what lives: what needs a row finds it, decided in one batch with its removal or after a prune that died."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bide import Every
from bide.runtime.assets.words import Severity
from bide.runtime.clock import from_us
from bide.runtime.engine.messages import Command
from bide.runtime.errors import NotFoundError
from bide.runtime.store.still import still
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import HOUR_US, job, sensor
from tests.engine.planning import invalidate, planned
from tests.engine.pruning import prune, prune_beside
from tests.engine.scene import T0, Scene
from tests.engine.test_publishing import found, gate, made, run, versions

__all__ = ["made"]


def order(verb: str, /, **args: Any) -> Command:
    return Command(90, verb, args)


def test_p14_a_dag_is_loaded_as_it_once_was_while_that_version_is_removed(scene: Scene) -> None:
    scene.dag("d", job("a"))
    once = scene.dags["d"]
    scene.dag("d", job("b"))
    scene.advance(1)
    scene.dags["d"] = once
    prune_beside(scene, "codes", once)
    scene.crash()
    scene.trigger("d")
    scene.end("a")
    assert scene.run_state() == "success"


def test_p14_a_backfill_is_taken_up_again_while_its_intervals_are_removed(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 2, max_active=2)
    scene.fails("a")
    scene.fails("a")
    assert scene.backfill_state() == "failed"
    scene.trigger("d", logical_us=T0 + 9 * HOUR_US)
    scene.end("a")
    scene.advance(1)
    prune_beside(scene, "intervals", order("backfill_resume", backfill_id=1, failed=True))
    scene.end("a", "a")
    assert scene.intervals() == ["success", "success"]
    assert scene.backfill_state() == "success"


def test_p14_a_version_is_let_out_while_it_is_removed(made: Scene) -> None:
    made.declare(gate("rows", Severity.CRITICAL))
    for _ in range(2):
        run(made, "gold", checks=found(rows=(False, Severity.CRITICAL)))
    run(made, "gold", hour=1)
    assert versions(made)[:2] == ["quarantined", "quarantined"]
    made.advance(1)
    prune_beside(made, "versions", order("asset_publish", version_id=1, by="ann", why="known"))
    assert versions(made)[0] == "degraded"


def test_p14_what_is_read_of_a_wrong_version_while_its_hits_are_removed_is_reached(scene: Scene) -> None:
    begins_of_what_is_wrong(scene)
    prune(scene, 0)
    scene.end("build")
    assert version_states(scene) == {1: "invalidated", 2: "published", 3: "invalidated"}


def test_p14_a_hit_goes_when_all_that_was_made_of_it_is_reached_and_nobody_reads_it(scene: Scene) -> None:
    begins_of_what_is_wrong(scene)
    conn = scene.store._raw
    assert still(conn, "hits", [[1, 1]], scene.now) == [], "it is being read"
    scene.end("build")
    conn.execute("DELETE FROM reading")
    conn.execute("UPDATE invalidation_hit SET next_id = 0")
    assert still(conn, "hits", [[1, 1]], scene.now) == [], "it spreads on from there"
    conn.execute("UPDATE invalidation_hit SET next_id = NULL")
    assert still(conn, "hits", [[1, 1]], scene.now) == [[1, 1]]


def begins_of_what_is_wrong(scene: Scene) -> None:
    """b is being made of a version of a that is found wrong; a is right again."""
    scene.dag("up", job("load", outlets=("a",)))
    scene.dag("down", job("build", inlets=("a",), outlets=("b",)))
    scene.trigger("up", logical_us=T0)
    scene.end("load")
    scene.trigger("down", logical_us=T0)
    invalidate(scene, "a", T0, T0 + HOUR_US)
    scene.trigger("up", logical_us=T0, new=True)
    scene.end("load")
    scene.advance(1)


def version_states(scene: Scene) -> dict[int, str]:
    return dict(scene._rows("SELECT asset_version_id, state FROM asset_version"))


def test_p14_a_notice_is_tried_again_while_it_is_removed(scene: Scene) -> None:
    scene.command("notice_test", route="mail")
    scene.store._raw.execute("UPDATE notice SET state = 'failed', ended_us = made_us")
    scene.advance(1)
    prune_beside(scene, "notices", order("notice_retry", notice_id=1, route=None))
    assert scene._rows("SELECT state FROM notice") == [("pending",)]


def test_b65_a_delivery_that_is_sent_again_while_it_is_forgotten_is_known(scene: Scene) -> None:
    args: dict[str, Any] = {
        "hook": "h", "said": "d-1", "keys": ["id:1"], "sent_us": None, "keep_us": 10, "dag": "build", "params": {},
        "logical_us": None, "new": True,
    }  # fmt: skip
    scene.command("hook_deliver", **args)  # refused: there is no such DAG
    scene.dag("build", job("a"))
    scene.advance(1)
    prune_beside(scene, "deliveries", order("hook_deliver", **(args | {"keep_us": 10**12})))
    assert scene.command("hook_deliver", **args)["outcome"] == "duplicate"
    assert len(scene.runs("build")) == 1


def test_p14_a_plan_of_an_invalidation_that_was_removed_is_refused_in_one_sentence(scene: Scene) -> None:
    scene.dag("up", job("load", outlets=("a",)))
    scene.trigger("up", logical_us=T0)
    scene.end("load")
    plan = planned(scene, invalidate(scene, "a", T0, T0 + HOUR_US))
    scene.trigger("up", logical_us=T0, new=True)
    scene.end("load")
    invalidate(scene, "a", T0, T0 + HOUR_US)
    scene.advance(1)
    prune(scene, 0)
    with pytest.raises(NotFoundError, match="no invalidation 1"):
        scene.command("asset_plan", plan=msgspec.to_builtins(plan))


def test_p14_the_newest_version_that_consumers_were_told_of_stays(made: Scene) -> None:
    """A newer one of its interval is in quarantine, and nobody has heard of it."""
    run(made, "gold")
    invalidate(made, "gold", T0, T0 + HOUR_US)
    made.declare(gate("rows", Severity.CRITICAL))
    run(made, "gold", checks=found(rows=(False, Severity.CRITICAL)))
    run(made, "gold", checks=found(rows=(False, Severity.CRITICAL)))
    made.advance(1)
    prune(made, 0)
    prune(made, 0)
    assert versions(made)[0] == "invalidated"
    made.crash()


def test_p14_the_newest_version_stays_while_one_of_its_interval_is_being_made(made: Scene) -> None:
    made.declare(gate("rows", Severity.CRITICAL))
    run(made, "gold", checks=found(rows=(False, Severity.CRITICAL)))
    run(made, "gold", hour=1)
    made.declare(gate("rows", Severity.MAJOR))
    run(made, "gold", checks=found(rows=(False, Severity.MAJOR)))
    made.advance(1)
    prune(made, 0)
    assert versions(made) == ["quarantined", "validated", "validated"]


def test_p14_what_is_wrong_and_was_never_made_again_can_be_mended_however_old_it_is(scene: Scene) -> None:
    scene.dag("up", job("load", outlets=("a",)), schedule=Every(hours=1, anchor=from_us(T0)), start_us=T0 * 2)
    for hour in (0, 1):
        scene.trigger("up", logical_us=T0 + hour * HOUR_US)
        scene.end("load")
    number = invalidate(scene, "a", T0, T0 + HOUR_US)
    invalidate(scene, "a", T0 + HOUR_US, T0 + 2 * HOUR_US)
    scene.advance(1)
    prune(scene, 0)
    assert [step.pipeline for step in planned(scene, number).steps] == ["up"]


# --- a prune that died when it had marked what goes ------------------------------------------------


def test_p14_a_backfill_is_taken_up_again_whose_run_is_being_removed(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 1)
    scene.fails("a")
    scene.trigger("d", logical_us=T0 + 9 * HOUR_US)
    scene.end("a")
    scene.advance(1)
    prune(scene, 0, dies_after=1)
    assert scene._rows("SELECT run_id FROM pruning") == [(1,)]
    scene.command("backfill_resume", backfill_id=1, failed=True)
    scene.end("a")
    assert (scene.intervals(), scene.backfill_state()) == (["success"], "success")
    prune(scene, 0)
    assert scene.intervals() == ["success"]


def test_p14_an_interval_is_run_anew_though_its_run_has_gone_meanwhile(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.backfill("d", 1)
    scene.fails("a")
    scene.command("pause", dag="d")
    scene.command("backfill_resume", backfill_id=1, failed=True)
    scene.store._raw.execute("INSERT INTO pruning VALUES (1)")  # as an earlier version may have marked it
    scene.command("unpause", dag="d")
    scene.end("a", run=2)
    assert (scene.intervals(), scene.backfill_state()) == (["success"], "success")


def test_p14_a_run_that_is_being_removed_stands_in_nobody_s_way_and_is_waited_for_no_more(
    scene: Scene,
) -> None:
    scene.dag("up", job("a"))
    for hour in (0, 9):
        scene.trigger("up", logical_us=T0 + hour * HOUR_US)
        scene.end("a")
    scene.advance(1)
    prune(scene, 0, dies_after=1)
    assert scene._rows("SELECT run_id FROM pruning") == [(1,)]
    looks = ExternalTaskTrigger(dag="up", task="a", logical_us=T0)
    scene.dag("down", sensor("waits", waits_for=looks))
    scene.trigger("down")
    assert scene.state("waits") == "deferred", "there is none of that date, as when it is gone"
    again = scene.trigger("up", logical_us=T0)
    scene.end("a")
    assert (scene.run_state(again), scene.state("waits", 3)) == ("success", "success")
