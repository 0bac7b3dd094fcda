"""What is declared of assets becomes rows, stays over a restart, and ends when its file says so no more."""

from __future__ import annotations

from bide.runtime.assets import AssetSpec, ContractSpec, GateSpec
from bide.runtime.assets.words import Criticality, Edge, Node, Severity
from tests.engine.scene import Scene

SILVER = AssetSpec("silver", node=Node.CANONICAL, owner="cases", criticality=Criticality.HIGH)
EDGE = ContractSpec(downstream="gold", upstream="silver", kind=Edge.INTERVAL_MATCH)
ROWS = GateSpec("gold", "rows", severity=Severity.CRITICAL, owner="cases")


def test_s1_2_what_is_declared_is_kept_and_found_again_after_a_restart(scene: Scene) -> None:
    scene.declare(SILVER, EDGE, ROWS)
    assert scene._rows("SELECT name, node, owner, criticality FROM asset ORDER BY asset_id") == [
        ("silver", "canonical", "cases", "high"),
        ("gold", "derived", "", "normal"),
    ]
    scene.crash()
    catalog = scene.world.assets.catalog
    assert catalog.asset("silver") == SILVER
    assert catalog.of_upstream["silver"]["gold"].spec == EDGE
    assert catalog.gates["gold"]["rows"].spec == ROWS
    assert scene._rows("SELECT count(*) FROM contract") == [(1,)]


def test_a_contract_that_its_file_says_no_more_is_over_and_stays_on_record(scene: Scene) -> None:
    scene.declare(SILVER, EDGE, ROWS)
    other = ContractSpec(downstream="gold", upstream="silver", kind=Edge.FRESHNESS)
    scene.sleep(1)
    scene.declare(SILVER, other)
    assert scene._rows("SELECT kind, ended_us IS NULL FROM contract ORDER BY contract_id") == [
        ("interval_match", 0),
        ("freshness", 1),
    ]
    assert scene._rows("SELECT name, ended_us IS NULL FROM gate") == [("rows", 0)]
    assert not scene.world.assets.catalog.gates
    scene.declare(source="/dags/other.py")
    assert scene.world.assets.catalog.of_downstream["gold"]["silver"].spec == other
    assert scene.said("contract") == [
        ("held", EDGE_SAID),
        ("over", EDGE_SAID),
        ("held", EDGE_SAID[:-14] + "freshness"),
    ]


EDGE_SAID = "gold on silver: interval_match"
