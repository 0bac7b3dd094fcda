"""S1-55: eighteen questions of an asset, answered from what is declared and recorded, or named as open."""

from __future__ import annotations

from datetime import timedelta

from bide.runtime.assets import AssetSpec, ContractSpec, Freshness, GateSpec, SameInterval, SchemaCompat
from bide.runtime.assets.checklist import QUESTIONS, Known, Stands, checklist
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.words import Action, Criticality, Edge, Node, Output, Result, Severity

SILVER = ContractSpec(
    downstream="gold",
    upstream="silver",
    kind=Edge.INTERVAL_MATCH,
    require=(SameInterval(), Freshness(timedelta(hours=2)), SchemaCompat("backward_transitive")),
    on_failure={Result.STALE: Rule(Action.WARN), Result.SCHEMA: Rule(Action.REQUIRE_MANUAL_APPROVAL)},
)
POLICY = ContractSpec(
    downstream="gold",
    upstream="policy",
    kind=Edge.REFERENCE_DATA,
    on_failure={
        Result.STALE: Rule(Action.USE_PREVIOUS_VERSION),
        Result.MISSING: Rule(Action.USE_PREVIOUS_VERSION),
    },
)
DASHBOARD = ContractSpec(downstream="dashboard", upstream="gold", kind=Edge.PUBLICATION)
WHOLE = Known(
    spec=AssetSpec(
        "gold", owner="analytics", criticality=Criticality.HIGH, output=Output.IMMUTABLE_PARTITION
    ),
    asks=(Stands(SILVER, "contracts/cases.toml"), Stands(POLICY, "contracts/cases.toml")),
    asked=(Stands(DASHBOARD, "dags/cases.py"),),
    gates=(GateSpec("gold", "rows", severity=Severity.CRITICAL),),
    inlets=("silver",),
    producers=("cases.build",),
    looked_at_by=("report",),
    effects=(("export", True),),
    versions=3,
    with_inputs=3,
    newest=7,
    newest_inputs=("policy version 2", "silver version 5"),
    newest_decision=11,
)
BARE = Known(spec=AssetSpec("lonely"))


def said(known: Known) -> dict[int, str | None]:
    return {each.number: each.answer for each in checklist(known)}


def test_s1_55_there_are_eighteen_questions_in_the_order_of_the_seed() -> None:
    assert len(QUESTIONS) == 18
    assert QUESTIONS[0][0] == "Who owns it?"
    assert QUESTIONS[17][0] == "What manual approvals are required?"


def test_s1_55_an_asset_that_says_everything_has_eighteen_answers() -> None:
    answers = said(WHOLE)
    assert None not in answers.values()
    assert answers[1] == "analytics"
    assert answers[2] == "silver, policy"
    assert answers[3] == "silver: interval_match; policy: reference_data"
    assert (
        answers[4]
        == "silver: same interval and not older than 2:00:00; policy: as the kind reference_data says"
    )
    assert answers[5] == "rows (critical)"
    assert answers[6] == "none blocks execution: silver: require_manual_approval"
    assert answers[7] == "silver: warn; policy: use_previous_version"
    assert answers[8] is not None
    assert "policy: yes, when it is missing or stale" in answers[8]
    assert answers[9] is not None
    assert answers[9].startswith("silver: yes, when it is stale")
    assert answers[10] == "dashboard, the DAG report"
    assert answers[11] == "export"
    assert answers[12] == "dashboard: block (publication)"
    assert answers[14] == "stage_validate_replace, by cases.build"
    assert answers[15] == "version 7 was made of policy version 2, silver version 5, decision 11"
    assert answers[18] == "schema of silver, delivery of export"
    sources = {each.number: each.source for each in checklist(WHOLE)}
    assert sources[3] == "contracts/cases.toml"
    assert sources[13] == "3 of 3 versions have their inputs on record"


def test_s1_55_what_nobody_has_said_is_open_and_says_what_would_answer_it() -> None:
    found = checklist(BARE)
    open_ = {each.number: each.source for each in found if each.answer is None}
    assert sorted(open_) == [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 13, 14, 15]
    assert open_[1] == "say owner= where the asset is declared"
    assert "Contract(" in open_[2]
    assert "@gate" in open_[5]
    assert all(each.source for each in found)


def test_s1_55_a_source_depends_on_nothing_and_says_so() -> None:
    answers = said(Known(spec=AssetSpec("crm", node=Node.SOURCE, owner="crm-team")))
    assert answers[2] == "none: it is a source"
    assert answers[3] == "it depends on nothing here"
    assert answers[14] == "not made here: it is a source"


def test_s1_55_reading_without_a_contract_leaves_the_kind_of_the_edge_open() -> None:
    found = checklist(Known(spec=AssetSpec("gold"), asks=(Stands(SILVER, ""),), inlets=("silver", "rates")))
    kind = found[2]
    assert kind.answer is None
    assert kind.source.startswith("rates: read without a contract")


def test_s1_55_a_contract_without_a_schema_check_leaves_schema_changes_open() -> None:
    plain = ContractSpec(downstream="gold", upstream="silver", kind=Edge.READ)
    assert said(Known(spec=AssetSpec("gold"), asks=(Stands(plain, ""),)))[6] is None
    strict = ContractSpec(
        downstream="gold",
        upstream="silver",
        kind=Edge.SCHEMA_COMPATIBILITY,
        require=(SchemaCompat("backward"),),
    )
    assert (
        said(Known(spec=AssetSpec("gold"), asks=(Stands(strict, ""),)))[6]
        == "silver: one that is not backward"
    )


def test_s1_55_mild_gates_do_not_block_publication() -> None:
    found = checklist(
        Known(spec=AssetSpec("gold"), gates=(GateSpec("gold", "rows", severity=Severity.WARNING),))
    )
    assert found[4].answer is None
    assert "its gates (rows) only degrade it" in found[4].source
