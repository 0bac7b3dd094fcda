"""Shadow runs: everything is computed, staged and compared; nothing of it is seen, and nobody waits for it."""

from __future__ import annotations

import msgspec
import pytest

from bide import Asset, OnAssets
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.words import Severity
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import job, sensor
from tests.engine.scene import T0, Scene
from tests.engine.test_publishing import FAR, HOURLY, edge, gate, made, run, say, versions

__all__ = ["made"]


def shadow(scene: Scene, hour: int = 0) -> int:
    return scene.trigger("make_gold", logical_us=T0, shadow=True)


def test_s1_17_a_shadow_run_computes_and_compares_and_publishes_nothing(made: Scene) -> None:
    made.declare(gate("rows", Severity.MINOR))
    made.dag("mart", job("t"), schedule=OnAssets(Asset("gold"), consume="each"))
    made.trigger("make_gold", logical_us=T0)
    say(made, "stage", {"label": "gold/1", "rows": 3, "schema": ["id"]})
    say(made, "check", [CheckResult("rows", Severity.MINOR, True)])
    made.end("gold")
    first = shadow(made)
    say(made, "stage", {"label": "gold/2", "rows": 2, "schema": ["id", "by"]})
    say(made, "check", [CheckResult("rows", Severity.MINOR, False)])
    assert say(made, "publish")["level"] == "publication"
    made.end("gold", run=first)
    assert versions(made) == ["published", "validated"]
    [(meta, held, is_shadow)] = made._rows(
        "SELECT meta, held, shadow FROM asset_version WHERE state = 'validated'"
    )
    assert (held, is_shadow) == (0, 1)
    assert msgspec.json.decode(meta)["shadow"] == {
        "against": 1, "schema": [["id"], ["id", "by"]], "meta": {"rows": [3, 2]}, "checks": {"rows": [True, False]},
    }  # fmt: skip
    assert len(made.runs("mart")) == 1
    made.crash()
    assert versions(made) == ["published", "validated"]
    assert not made.world.assets.open


def test_s1_17_a_shadow_run_stands_in_nobodys_way_and_nobody_waits_for_it(made: Scene) -> None:
    made.dag(
        "waits", sensor("wait", waits_for=ExternalTaskTrigger(dag="make_gold", task="gold", logical_us=T0))
    )
    waits = made.trigger("waits")
    first = shadow(made)
    made.end("gold", run=first, watermark=b"7")
    assert made.state("wait", waits) == "deferred"
    assert made._rows("SELECT count(*) FROM watermark") == [(0,)]
    made.trigger("make_gold", logical_us=T0)
    made.end("gold")
    assert made._rows("SELECT state FROM task_instance WHERE task = 'wait'") == [("success",)]
    assert [kind for (kind,) in made._rows("SELECT kind FROM run WHERE kind <> 'manual'")] == ["shadow"]


def test_s1_17_a_dag_can_be_a_shadow_as_a_whole_and_its_contracts_hold(scene: Scene) -> None:
    scene.dag("make_silver", job("silver", outlets=("silver",)), schedule=HOURLY, start_us=FAR)
    scene.dag("make_gold", job("gold", outlets=("gold",)), schedule=HOURLY, start_us=FAR, shadow=True)
    scene.declare(edge(missing="block_execution"))
    first = run(scene, "gold")
    assert scene.state("gold", first) == "blocked"
    run(scene, "silver")
    scene.end("gold", run=first)
    assert versions(scene) == ["validated"]


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
def test_s1_17_a_crash_amid_the_end_of_a_shadow_run_leaves_it_compared(made: Scene, turns: int) -> None:
    first = shadow(made)
    made.crash_after(turns, made.ended(made.attempt("gold", first)))
    while made.bodies:
        made.end("gold")
    assert versions(made) == ["validated"]
    assert made._rows("SELECT meta FROM asset_version") == [('{"shadow":{"against":null}}',)]
