"""S1-54: twelve steps of an incident, answered from what is recorded or by a note."""

from __future__ import annotations

import pytest

from bide.runtime.assets.runbook import Facts, Hit, Note, Step, missing, recorded, walk
from bide.runtime.assets.words import Cause, Criticality, Severity


def hit(
    version: int, asset: str, now: str = "invalidated", replaced_by: int | None = None, **fields: object
) -> Hit:
    stored = {"was": "published", "node": "derived", "action": "invalidate_downstream", **fields}
    return Hit(version=version, asset=asset, now=now, replaced_by=replaced_by, **stored)  # type: ignore[arg-type]


OPEN = Facts(
    asset="policy",
    node="reference",
    invalidation=1,
    interval="2026-07-01 to 2026-07-02",
    cause="reference_update",
    reason="the threshold was 30, not 40",
    spread=True,
    severity=Severity.CRITICAL,
    hits=(
        hit(1, "policy"),
        hit(2, "gold"),
        hit(3, "export", "published", node="external_effect", action="require_manual_approval"),
    ),
)


def known(f: Facts) -> dict[str, str]:
    return {each.step.value: each.known for each in walk(f)}


def test_s1_54_the_runbook_has_twelve_steps_in_order() -> None:
    assert [each.number for each in walk(Facts())] == list(range(1, 13))
    assert [each.step for each in walk(Facts())] == list(Step)


def test_s1_54a_to_e_an_invalidation_answers_what_is_wrong_how_far_and_how_bad() -> None:
    said = known(OPEN)
    assert said["identify"] == "policy over 2026-07-01 to 2026-07-02: the threshold was 30, not 40"
    assert said["failure_type"] == "source_correction (reference_update)"
    assert said["consumer_visible"] == (
        "yes: 3 visible versions of policy, gold, export, and 1 that left the platform (export)"
    )
    assert said["blast_radius"] == "3 versions of 3 assets: policy, gold, export"
    assert (
        said["severity"] == "critical; by the dimensions critical: visible wrong, effect done, needs a person"
    )
    assert said["block"] == "2 versions are not to be used (policy, gold)"
    assert missing(OPEN) == (Step.PLAN, Step.NOTIFY, Step.RECOMPUTE, Step.VALIDATE, Step.PUBLISH)


@pytest.mark.parametrize(
    ("f", "dimension"),
    [
        (Facts(hits=(hit(1, "a"),)), "visible_wrong"),
        (Facts(hits=(hit(1, "a", action="warn"),)), "visible_stale"),
        (Facts(hits=(hit(1, "a", action="schedule_recompute"),)), "visible_stale"),
        (Facts(stale=1), "visible_stale"),
        (Facts(hits=(hit(1, "a", was="staged"),)), "blocked"),
        (Facts(blocked=("a",)), "blocked"),
        (Facts(hits=(hit(1, "a", node="external_effect"),)), "effect_done"),
    ],
)
def test_s1_27_the_records_show_the_dimensions_of_a_severity(f: Facts, dimension: str) -> None:
    assert recorded(f) == (dimension,)


def test_s1_27_who_should_not_see_it_and_what_no_machine_mends_count_as_well() -> None:
    assert recorded(Facts(cause="security", hits=(hit(1, "a"),))) == ("visible_wrong", "sensitive_exposed")
    assert recorded(Facts(cause="security", hits=(hit(1, "a", was="staged"),))) == ("blocked",)
    asked = hit(1, "a", node="external_effect", action="require_manual_approval")
    assert recorded(Facts(hits=(asked,))) == ("effect_done", "needs_a_person")


def test_s1_27_what_people_say_counts_beside_what_is_on_record_and_with_what_hangs_on_it() -> None:
    late = Facts(
        severity=Severity.MINOR, dimensions=("regulatory_deadline",), hits=(hit(1, "a", action="warn"),)
    )
    assert known(late)["severity"] == "minor; by the dimensions major: regulatory deadline, visible stale"
    small = Facts(hits=(hit(1, "a", criticality=Criticality.LOW),))
    assert known(small)["severity"] == "major; by the dimensions major: visible wrong"


@pytest.mark.parametrize("cause", list(Cause))
def test_s1_54b_every_cause_is_one_of_the_types_of_failure(cause: Cause) -> None:
    said = known(Facts(asset="a", cause=cause.value))["failure_type"]
    assert said.split(" ")[0] in ("execution", "quality", "schema", "source_correction", "security")


def test_s1_54b_of_an_effect_it_is_the_effect_that_failed() -> None:
    assert known(Facts(asset="export", node="external_effect"))["failure_type"] == "external_effect"


def test_s1_54f_to_k_a_plan_that_has_run_answers_the_rest() -> None:
    done = Facts(
        asset="policy", invalidation=1, spread=True, cause="reference_update",
        hits=(hit(1, "policy", replaced_by=11), hit(2, "gold", "superseded", replaced_by=12)),
        plan=4, plan_hash="c0ffee" * 8, plan_state="published", steps=(("published", 2),), told=("analytics",),
    )  # fmt: skip
    said = known(done)
    assert said["plan"] == "plan 4 (c0ffeec0ffee) is published"
    assert said["notify"] == "alerts were raised for analytics"
    assert said["recompute"] == "all 2 steps of plan 4 have staged what they make"
    assert said["validate"] == "2 versions took the place of wrong ones, and no gate of them has failed"
    assert said["publish"] == "every wrong version has a successor: policy, gold"
    assert missing(done) == ()


def test_s1_54j_a_successor_with_a_failed_gate_is_not_reconciled() -> None:
    f = Facts(invalidation=1, spread=True, hits=(hit(1, "gold", replaced_by=2, checks_failed=1),))
    assert known(f)["validate"] == ""
    assert known(f)["publish"] != ""


def test_a_note_answers_what_no_record_does_and_says_who() -> None:
    f = Facts(asset="policy", notes=(Note("notify", "ana", "called the regulator"),))
    [step] = [each for each in walk(f) if each.step is Step.NOTIFY]
    assert (step.done, step.known, step.notes[0].by) == (True, "", "ana")
    assert Step.NOTIFY not in missing(f)


def test_what_still_spreads_has_no_radius_yet() -> None:
    f = Facts(asset="policy", invalidation=1, hits=(hit(1, "policy"),))
    assert known(f)["blast_radius"] == known(f)["consumer_visible"] == ""
