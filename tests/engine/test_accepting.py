"""People take versions as they are: held ones, quarantined ones, with limitations that expire; and purposes."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bide import Asset, OnAssets
from bide.runtime.assets import AssetSpec
from bide.runtime.assets.words import Criticality, Node, Severity
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.store.invariants import check
from tests.engine.declare import HOUR_US, job
from tests.engine.pruning import prune
from tests.engine.scene import T0, Scene
from tests.engine.test_publishing import edge, found, gate, made, of_mart, run, versions

__all__ = ["made"]


def limits(scene: Scene, version: int = 1) -> dict[str, Any]:
    [(text,)] = scene._rows("SELECT limits FROM asset_version WHERE asset_version_id = ?", version)
    return msgspec.json.decode(text)  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("severity", "state"), [(Severity.MAJOR, "validated"), (Severity.CRITICAL, "quarantined")]
)
def test_s1_30_a_person_lets_out_what_its_gates_hold_back_on_record(
    made: Scene, severity: Severity, state: str
) -> None:
    made.dag("mart", job("t"), schedule=OnAssets(Asset("gold"), consume="each"))
    made.declare(gate("rows", severity))
    run(made, "gold", checks=found(rows=(False, severity)))
    assert versions(made) == [state]
    with pytest.raises(UsageError, match="`by`"):
        made.command("asset_publish", version_id=1, why="known")
    answer = made.command("asset_publish", version_id=1, by="ann", why="known")
    assert answer == {"version": 1, "asset": "gold", "state": "degraded"}
    assert versions(made) == ["degraded"], "never silently: what stood against it stands on it"
    assert limits(made)["approved_by"] == "ann"
    assert "rows" in limits(made)["known_limitations"][0]
    made.crash()
    assert of_mart(made) == [1]


def test_s1_30_what_is_not_held_or_not_there_is_refused(made: Scene) -> None:
    run(made, "gold")
    with pytest.raises(RefusedError, match="published"):
        made.command("asset_publish", version_id=1, by="ann", why="again")
    with pytest.raises(NotFoundError, match="version 9"):
        made.command("asset_publish", version_id=9, by="ann", why="again")
    made.trigger("make_gold", logical_us=T0, shadow=True)
    made.end("gold")
    with pytest.raises(RefusedError, match="shadow"):
        made.command("asset_publish", version_id=2, by="ann", why="again")


def test_what_was_overtaken_is_not_let_out_of_quarantine(made: Scene) -> None:
    made.declare(gate("rows"))
    run(made, "gold", checks=found(rows=False))
    run(made, "gold", checks=found(rows=True))
    with pytest.raises(RefusedError, match="version 2 of the same interval"):
        made.command("asset_publish", version_id=1, by="ann", why="known")


def test_s1_30_degraded_metadata_says_what_is_known_who_accepted_it_and_until_when(made: Scene) -> None:
    run(made, "gold")
    until = made.now + HOUR_US
    made.command(
        "asset_degrade", version_id=1, limitations=["3.2% have no category"], by="steward", why="party data stale",
        expires_us=until,
    )  # fmt: skip
    assert versions(made) == ["degraded"]
    assert limits(made) == {
        "reason": "party data stale", "known_limitations": ["3.2% have no category"], "approved_by": "steward",
        "expires_us": until,
    }  # fmt: skip


def test_s1_30_an_acceptance_that_expires_invalidates_over_a_crash(made: Scene) -> None:
    made.declare(edge(missing="block_execution", invalid="block_execution"))
    run(made, "silver")
    made.command(
        "asset_degrade",
        version_id=1,
        limitations=["half of it"],
        by="ann",
        why="late",
        expires_us=made.now + HOUR_US,
    )
    made.crash(1800)
    assert versions(made, "silver") == ["degraded"]
    made.advance(1800)
    assert versions(made, "silver") == ["invalidated"]
    later = run(made, "gold")
    assert made.state("gold", later) == "blocked"
    run(made, "silver")
    assert made.state("gold", later) == "running"


def test_an_acceptance_that_was_renewed_or_overtaken_does_not_expire(made: Scene) -> None:
    run(made, "gold")
    for hours in (1, 3):
        made.command(
            "asset_degrade",
            version_id=1,
            limitations=["half"],
            by="ann",
            why="late",
            expires_us=made.now + hours * HOUR_US,
        )
    made.advance(2 * 3600)
    assert versions(made) == ["degraded"]
    run(made, "gold")
    made.advance(2 * 3600)
    assert versions(made) == ["superseded", "published"]


def test_an_acceptance_outlives_the_run_of_its_version(made: Scene) -> None:
    run(made, "gold")
    run(made, "gold", hour=1)
    made.command(
        "asset_degrade", version_id=1, limitations=["half"], by="ann", why="late",
        expires_us=made.now + HOUR_US,
    )  # fmt: skip
    made.advance(1)
    assert prune(made, 0)["run"] == 1
    made.advance(3600)
    assert versions(made) == ["invalidated", "published"]


def test_an_acceptance_of_a_version_that_retention_has_removed_ends_with_it(made: Scene) -> None:
    run(made, "gold")
    made.command(
        "asset_degrade", version_id=1, limitations=["half"], by="ann", why="late",
        expires_us=made.now + HOUR_US,
    )  # fmt: skip
    run(made, "gold")
    made.advance(1)
    assert prune(made, 0)["asset_version"] == 1
    made.advance(3600)
    assert versions(made) == ["published"]


def test_s1_31_a_version_that_is_held_is_accepted_with_limitations(made: Scene) -> None:
    made.declare(edge(missing="block_publication"))
    run(made, "gold")
    made.command("asset_degrade", version_id=1, limitations=["no silver"], by="ann", why="needed today")
    assert versions(made) == ["degraded"]
    assert limits(made)["known_limitations"] == ["no silver"]


# --- for a purpose -------------------------------------------------------------------------------


def use(
    scene: Scene, asset: str = "gold", purpose: str = "dashboard", hour: int | None = 0
) -> dict[str, Any]:
    span = {} if hour is None else {"start_us": T0 + hour * HOUR_US, "end_us": T0 + (hour + 1) * HOUR_US}
    answer: dict[str, Any] = scene.command(
        "asset_use", asset=asset, purpose=purpose, by="ann", at_us=scene.now, **span
    )
    return answer


def test_s1_57_whether_an_asset_may_be_used_is_asked_of_the_contract_for_that_purpose(made: Scene) -> None:
    made.declare(edge("gold", "report", missing="block_execution", degraded="block_publication"))
    assert not use(made, purpose="report")["allowed"]
    run(made, "gold")
    made.command("asset_degrade", version_id=1, limitations=["half"], by="ann", why="late")
    strict, mild = use(made, purpose="report"), use(made, purpose="dashboard")
    assert (strict["allowed"], mild["allowed"]) == (False, True)
    assert mild["decision"]["limits"], "what is known of it is said"
    assert mild["versions"][0]["version_id"] == 1
    assert made._rows("SELECT phase, consumer, by FROM decision ORDER BY 1") == [
        ("use", "report", "ann"), ("use", "report", "ann"), ("use", "dashboard", "ann"),
    ]  # fmt: skip


def test_s1_56_without_a_contract_what_cannot_be_trusted_is_not_used(made: Scene) -> None:
    made.declare(AssetSpec("gold", criticality=Criticality.HIGH), gate("rows"))
    assert not use(made)["allowed"], "there is none"
    run(made, "gold", checks=found(rows=False))
    assert not use(made)["allowed"], "it is in quarantine"
    run(made, "gold", checks=found(rows=True))
    assert use(made)["allowed"]
    assert not use(made, hour=1)["allowed"], "another interval"
    assert use(made, hour=None)["allowed"], "the newest"


def test_s1_57_a_reference_is_used_at_its_newest_whatever_the_interval(made: Scene) -> None:
    made.declare(AssetSpec("gold", node=Node.REFERENCE))
    run(made, "gold", 0)
    assert use(made, hour=5)["allowed"]


def test_s1_57_a_purpose_and_an_asset_have_to_be_named(made: Scene) -> None:
    with pytest.raises(UsageError, match="name the consumer"):
        use(made, "silver", "")
    with pytest.raises(NotFoundError, match="bronze"):
        use(made, "bronze")


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        ("UPDATE asset_version SET held = 1", "version 1 is published, and is not settled"),
        ("UPDATE asset_version SET state = 'validated'", "nobody is about to settle it"),
        ("UPDATE asset_version SET state = 'staged', held = 2", "made by attempt 1, which is over"),
        ("UPDATE asset_version SET shadow = 1", "shadow run, and is published"),
    ],
)
def test_a_version_that_is_not_what_it_says_is_found(made: Scene, damage: str, says: str) -> None:
    run(made, "gold")
    made.store._raw.execute("SAVEPOINT damage")
    made.store._raw.execute(damage)
    assert any(says in each.sentence for each in check(made.store._raw)), check(made.store._raw)
    made.store._raw.execute("ROLLBACK TO damage")
    made.store._raw.execute("RELEASE damage")
