"""What raises an alert: once, in the transaction that makes it so, and the same after a crash."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bide.runtime.assets import AssetSpec
from tests.engine.declare import approval, job, mapped
from tests.engine.scene import Scene


def alerts(scene: Scene, *columns: str) -> list[tuple[Any, ...]]:
    return scene._rows(
        f"SELECT {', '.join(columns or ('kind', 'subject', 'severity'))} FROM alert ORDER BY alert_id"
    )


def test_b66_the_first_failure_of_a_run_is_told_while_the_run_goes_on(scene: Scene) -> None:
    scene.dag("d", job("load", owner="sales"), job("long"), job("send", "load"))
    scene.trigger("d")
    scene.fails("load")
    assert alerts(scene) == [("failure", "d", "major")]
    [(text, owners, payload)] = alerts(scene, "text", "owners", "payload")
    assert "load failed" in text
    assert "long still to end" in text or "long, send still to end" in text
    assert json.loads(owners) == ["sales"]
    assert json.loads(payload)["task"] == "load"
    assert scene.run_state() == "running"
    scene.crash()
    scene.fails("long")
    assert (scene.run_state(), len(alerts(scene))) == ("failed", 1), "the run is told of once"


def test_b66_a_rerun_that_fails_is_told_again(scene: Scene) -> None:
    scene.dag("d", job("load"))
    run = scene.trigger("d")
    scene.fails("load")
    scene.command("rerun", run_id=run, whole=True)
    scene.crash()
    scene.fails("load")
    assert len(alerts(scene)) == 2


def test_b66_a_try_that_is_followed_by_another_is_not_told(scene: Scene) -> None:
    scene.dag("d", job("load", retries=1, delay=10), job("mild", fails_run=False))
    scene.trigger("d")
    scene.fails("load")
    scene.fails("mild")
    assert alerts(scene) == []
    scene.advance(10)
    scene.fails("load")
    assert len(alerts(scene)) == 1


def test_b66_what_was_cancelled_did_not_fail(scene: Scene) -> None:
    scene.dag(
        "d",
        job("up", setup=True),
        job("load", "up"),
        job("down", "load", "up", rule="all_done", teardown=True, setups=("up",)),
    )
    run = scene.trigger("d")
    scene.end("up")
    scene.command("cancel", run_id=run)
    scene.stopped("load")
    scene.fails("down")
    assert (scene.run_state(), alerts(scene)) == ("cancelled", [])


def test_b66_a_thousand_failed_instances_are_one_alert(scene: Scene) -> None:
    scene.dag("d", mapped("load", over=list(range(50))))
    scene.trigger("d")
    while scene.going:
        scene.fails(scene.going[0])
    assert (scene.run_state(), len(alerts(scene))) == ("failed", 1)


def test_b66_a_run_whose_deadline_passes_is_told(scene: Scene) -> None:
    scene.dag("d", job("load"), deadline_us=60_000_000)
    scene.trigger("d")
    scene.advance(61)
    [(text,)] = alerts(scene, "text")
    assert "the deadline of the run passed" in text


def test_b66_an_approval_that_is_asked_for_is_told_to_those_who_may_decide(scene: Scene) -> None:
    scene.dag("d", approval("release", prompt="release it?", who=("ann", "bob")))
    scene.trigger("d")
    assert alerts(scene) == [("approval", "d.release", "minor")]
    [(text, owners)] = alerts(scene, "text", "owners")
    assert "`bide approvals approve 1`" in text
    assert json.loads(owners) == ["ann", "bob"]
    scene.crash()
    assert len(alerts(scene)) == 1


def test_b66_an_incident_is_told_as_it_is_opened(scene: Scene) -> None:
    scene.declare(AssetSpec("gold", owner="analytics"))
    scene.command("incident_open", title="wrong figures", asset="gold", by="ana", severity="critical")
    assert alerts(scene, "kind", "subject", "severity", "owners") == [
        ("incident", "gold", "critical", '["analytics"]')
    ]


def test_b66_a_command_that_is_refused_raises_nothing(scene: Scene) -> None:
    with pytest.raises(Exception, match="there is no asset"):
        scene.command("incident_open", title="wrong", asset="nothing", by="ana")
    assert alerts(scene) == []
