"""Invalidations and blast radii are plain data that comes back from JSON as it was."""

from __future__ import annotations

import msgspec
import pytest

from bide.runtime.assets import BlastRadius, Impact, Impacted, Invalidation
from bide.runtime.assets.blast import from_json, to_json
from bide.runtime.assets.words import Action, Cause, Edge, Level, Node, Severity, VersionState

WRONG = Invalidation(
    asset="ref.policy", start_us=0, end_us=10, cause=Cause.REFERENCE_UPDATE, severity=Severity.CRITICAL,
    reason="threshold corrected", evidence=("https://tickets.example/1",), effective_us=7, by="ada", discovered_us=8,
)  # fmt: skip


def node(version: int, asset: str, via: int | None, of: Node) -> Impacted:
    impact = Impact(
        True, Action.INVALIDATE_DOWNSTREAM, Level.PUBLICATION, Severity.MAJOR, "made of it", ((0, 5), (7, 9)),
        VersionState.INVALIDATED,
    )  # fmt: skip
    kind = None if via is None else Edge.REFERENCE_DATA
    return Impacted(asset, 0, 10, version, VersionState.PUBLISHED, impact, via, kind, of)


def test_s1_33_an_invalidation_comes_back_from_json_with_cause_severity_finder_and_evidence() -> None:
    assert from_json(to_json(WRONG), Invalidation) == WRONG


def test_s1_20_a_blast_radius_comes_back_from_json_with_every_node_and_its_decision() -> None:
    radius = BlastRadius(
        WRONG, (node(1, "ref.policy", None, Node.REFERENCE), node(2, "out", 1, Node.EXTERNAL_EFFECT))
    )
    assert from_json(to_json(radius), BlastRadius) == radius
    assert (radius.assets, [each.version_id for each in radius.roots]) == (("ref.policy", "out"), [1])
    assert [(each.asset, each.action, each.corrected) for each in radius.effects] == [
        ("out", Action.INVALIDATE_DOWNSTREAM, ((0, 5), (7, 9)))
    ]


def test_s1_32_a_cause_that_does_not_exist_is_refused() -> None:
    said = to_json(WRONG).replace("reference_update", "bad_luck")
    with pytest.raises(msgspec.ValidationError, match="bad_luck"):
        from_json(said, Invalidation)
