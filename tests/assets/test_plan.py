"""A rerun plan is the least that has to be made anew, in an order that works, with its risk, approvals and cost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.assets.blast import Impacted
from bide.runtime.assets.plan import differences
from bide.runtime.assets.producing import Work, tasks_for
from bide.runtime.assets.rerun import (
    MODES,
    Mode,
    Publication,
    Risk,
    Scope,
    from_file,
    hash_of,
    named,
    to_file,
)
from bide.runtime.assets.words import Action, Criticality, Node, Output, Severity, VersionState
from bide.runtime.errors import UsageError
from tests.assets.planned import contracts, dag, day, enforcement, hit, plan, radius

GOLDEN = Path(__file__).parent / "golden" / "enforcement_plan.json"


def task(name: str, *upstream: str, makes: str = "", **fields: object) -> Work:
    return Work(name=name, upstream=upstream, outlets=(makes,) if makes else (), **fields)  # type: ignore[arg-type]


# --- the case study ------------------------------------------------------------------------------


def test_s1_53_d7_the_plan_of_the_case_study_is_the_golden_file() -> None:
    assert to_file(enforcement()) == GOLDEN.read_text()


def test_s1_53a_gold_is_made_anew_for_the_impacted_intervals_alone() -> None:
    gold = [step for step in enforcement().steps if step.pipeline == "case_sla"]
    assert [step.interval.start for step in gold] == [f"2026-07-0{n}T00:00:00Z" for n in (1, 2, 3)]
    assert {step.tasks for step in gold} == {("join_policy", "sla")}
    assert [made.replaces for step in gold for made in step.makes] == [(10,), (20,), (30,)]


def test_s1_53b_each_affected_version_of_the_dashboard_is_made_anew_after_its_gold() -> None:
    board = [step for step in enforcement().steps if step.pipeline == "dashboard"]
    assert [step.depends_on_steps for step in board] == [
        (f"case_sla@2026-07-0{n}T00:00:00Z",) for n in (1, 2, 3)
    ]


def test_s1_53c_the_export_needs_approval_and_goes_out_as_a_correction_after_publication() -> None:
    found = enforcement()
    export = found.compensations
    assert [(step.scope, step.mode, step.publication_mode) for step in export] == [
        (Scope.COMPENSATION, Mode.COMPENSATE, Publication.COMPENSATION)
    ] * 3
    assert {step.name for step in export} <= {each.what for each in found.approvals}
    assert found.risk is Risk.CRITICAL
    assert found.requires_approval


def test_s1_53d_the_alert_stream_gets_corrections_and_nothing_is_overwritten() -> None:
    alerts = [step for step in enforcement().steps if step.pipeline == "alerts"]
    assert [(step.mode, step.scope) for step in alerts] == [(Mode.CORRECT, Scope.INTERVAL)] * 3


def test_s1_53_what_a_corrected_version_has_replaced_is_left_alone() -> None:
    [left] = enforcement().left
    assert (left.asset, left.version, left.why, left.missing) == (
        "reference.policy_threshold", 1, "version 60 has taken its place", False,
    )  # fmt: skip


# --- scopes and modes ----------------------------------------------------------------------------


@pytest.mark.parametrize("output", list(Output))
def test_s1_23_the_mode_of_a_step_is_that_of_its_output(output: Output) -> None:
    found = plan(radius(hit(1, "a", day(1), output=output, dag="d")), dag("d", task("make", makes="a")))
    assert found.steps[0].mode is MODES[output]
    assert len(set(MODES.values())) == len(Output)


MAKE = dag(
    "d",
    task("make", makes="a"),
    task("more", "make", makes="b"),
    task("send", makes="out", semantics="notification"),
)
BELOW = dag("e", task("read", makes="c"))
SCOPES: dict[Scope, tuple[tuple[Impacted, ...], dict[str, int]]] = {
    Scope.ATTEMPT: ((hit(1, "a", day(1), dag="d", state=VersionState.VALIDATED),), {"a": 9}),
    Scope.TASK: ((hit(1, "a", day(1), dag="d"),), {"a": 9}),
    Scope.PARTITION: ((hit(1, "a", day(1), dag="d"), hit(2, "c", day(1), via=1, dag="e")), {"a": 9}),
    Scope.INTERVAL: (
        (hit(1, "a", day(1), dag="d", output=Output.APPEND_ONLY), hit(2, "c", day(1), via=1, dag="e")),
        {"a": 9},
    ),
    Scope.ENTIRE_ASSET: ((hit(1, "a", day(1), dag="d", output=Output.CACHE),), {"a": 1}),
    Scope.SUBGRAPH: ((hit(1, "a", day(1), dag="d"), hit(2, "b", day(1), via=1, dag="d")), {"a": 9, "b": 9}),
    Scope.COMPENSATION: ((hit(1, "out", day(1), dag="d", node=Node.EXTERNAL_EFFECT),), {}),
    Scope.RESTATEMENT: ((hit(1, "a", day(1), dag="d"), hit(2, "a", day(2), dag="d")), {"a": 2}),
}


@pytest.mark.parametrize("scope", list(Scope))
def test_s1_22_a_step_has_the_narrowest_scope_that_is_true_of_it(scope: Scope) -> None:
    nodes, history = SCOPES[scope]
    assert plan(radius(*nodes), MAKE, BELOW, history=history).steps[0].scope is scope


# --- the least that is safe ----------------------------------------------------------------------


def test_s1_25_only_the_tasks_that_make_what_is_wrong_run_and_what_they_need_of_others() -> None:
    works = dag(
        "d",
        task("seen", waits=True),  # the world has come: it is not waited for again
        task("raw", "seen", makes="raw"),  # an asset of its own, which is right
        task("clean", "raw"),  # nothing says where its work has gone
        task("submit", "clean"),
        task("ready", "submit", waits=True),  # it waits for what runs again
        task("ask", "ready", asks=True),
        Work(name="gold", upstream=("ask", "ready"), reads=("counts",), outlets=("gold",)),
        task("counts", "raw", makes="counts"),  # its output is an argument
        task("report", "gold", makes="report"),
        task("send", "gold", makes="out", semantics="notification"),
    )
    assert tasks_for(works, ["gold"]) == ("clean", "submit", "ready", "gold", "counts")


def test_s1_25_set_ups_and_their_tear_downs_come_with_what_stands_between_them() -> None:
    works = dag(
        "d",
        task("cluster", setup=True),
        task("make", "cluster", makes="a"),
        task("drop", "make", setups=("cluster",)),
        task("mail", "drop"),
    )
    assert tasks_for(works, ["make"]) == ("cluster", "make", "drop")


def test_s1_25_what_its_tasks_make_beside_is_said_and_replaces_nothing() -> None:
    both = dag("d", Work(name="make", outlets=("a", "twin")))
    made = plan(radius(hit(1, "a", day(1), dag="d")), both).steps[0].makes
    assert [(each.asset, each.replaces) for each in made] == [("a", (1,)), ("twin", ())]


@pytest.mark.parametrize(
    ("action", "stands"),
    [
        (Action.WARN, True),
        (Action.USE_PREVIOUS_VERSION, True),
        (Action.USE_LATEST_VERSION, True),
        (Action.PARTIAL_PUBLISH, True),
        (Action.BLOCK, False),
        (Action.QUARANTINE_OUTPUT, False),
        (Action.INVALIDATE_DOWNSTREAM, False),
        (Action.SCHEDULE_RECOMPUTE, False),
        (Action.REQUIRE_MANUAL_APPROVAL, False),
    ],
)
def test_s1_14_what_its_contract_lets_stand_is_not_made_anew(action: Action, stands: bool) -> None:
    nodes = (hit(1, "a", day(1), dag="d"), hit(2, "c", day(1), via=1, action=action, dag="e"))
    found = plan(radius(*nodes), MAKE, BELOW)
    assert ([step.pipeline for step in found.steps], len(found.left)) == (
        ["d"] if stands else ["d", "e"],
        stands,
    )


def test_s1_24_a_version_that_was_superseded_before_is_not_made_anew() -> None:
    found = plan(radius(hit(1, "a", day(1), dag="d", state=VersionState.SUPERSEDED)), MAKE)
    assert (found.steps, found.left[0].why) == ((), "it was superseded already")
    assert found.summary[-1] == "nothing has to be made anew"
    assert not found.requires_approval


def test_s1_25_a_step_runs_with_the_parameters_that_its_version_was_made_with() -> None:
    found = plan(radius(hit(1, "a", day(1), dag="d")), MAKE, params={1: {"region": "north"}})
    assert found.steps[0].params == {"region": "north"}


def test_s1_24_what_no_task_makes_is_named_as_missing() -> None:
    found = plan(radius(hit(1, "source.case_db", day(1)), hit(2, "c", day(1), via=1, dag="e")), BELOW)
    assert [each.asset for each in found.missing] == ["source.case_db"]
    assert "no task that is loaded makes it" in found.missing[0].why


def test_s1_23_of_a_projection_only_the_newest_is_rebuilt() -> None:
    nodes = (hit(1, "a", day(1), dag="d"), hit(3, "c", day(1), via=1, dag="e", output=Output.SEARCH_INDEX),
             hit(4, "c", day(2), via=1, dag="e", output=Output.SEARCH_INDEX))  # fmt: skip
    found = plan(radius(*nodes), MAKE, BELOW)
    assert [step.interval.start for step in found.steps if step.pipeline == "e"] == ["2026-07-02T00:00:00Z"]
    assert [each.version for each in found.left] == [3]


def test_s1_24_an_asset_that_another_dag_makes_by_now_is_made_by_that_one() -> None:
    found = plan(radius(hit(1, "a", day(1), dag="former")), MAKE)
    assert [step.pipeline for step in found.steps] == ["d"]


# --- order ---------------------------------------------------------------------------------------


def test_s1_25_steps_follow_lineage_also_into_coarser_intervals() -> None:
    month = (day(1)[0], day(31)[1])
    nodes = [hit(n, "a", day(n), dag="d") for n in (1, 2, 3)]
    found = plan(
        radius(*nodes, hit(9, "c", month, via=1, dag="e")), MAKE, BELOW, edges=((9, 1), (9, 2), (9, 3))
    )
    assert found.steps[-1].pipeline == "e"
    assert len(found.steps[-1].depends_on_steps) == 3


def test_s1_25_what_read_a_superseded_version_comes_after_its_successor_unless_that_was_made_of_it() -> None:
    nodes = (hit(2, "b", day(1), via=1, dag="b"), hit(3, "a", day(1), dag="a"))
    makers = (dag("a", task("t", makes="a")), dag("b", task("u", makes="b")))
    order = [
        (each.pipeline, each.depends_on_steps)
        for each in plan(radius(*nodes), *makers, reads=((2, 3),)).steps
    ]
    assert [dag for dag, _ in order] == ["a", "b"]
    assert order[1][1] != ()
    turned = plan(radius(*nodes), *makers, reads=((2, 3),), edges=((3, 2),)).steps
    assert [(each.pipeline, bool(each.depends_on_steps)) for each in turned] == [("b", False), ("a", True)]


def test_s1_25_what_leaves_the_platform_comes_last_whatever_reads_it() -> None:
    nodes = (
        hit(1, "a", day(1), dag="d"),
        hit(2, "out", day(1), via=1, node=Node.EXTERNAL_EFFECT, dag="d"),
        hit(3, "c", day(1), via=2, dag="e"),
    )
    found = plan(radius(*nodes), MAKE, BELOW)
    assert [(step.pipeline, step.compensates) for step in found.steps] == [
        ("d", False),
        ("e", False),
        ("d", True),
    ]
    assert found.steps[1].depends_on_steps == ()


def test_s1_25_a_contract_orders_what_lineage_does_not_know_of_yet() -> None:
    nodes = (hit(1, "c", day(1), dag="e"), hit(2, "a", day(1), dag="d"), hit(3, "a", day(2), dag="d"))
    found = plan(radius(*nodes), MAKE, BELOW, catalog=contracts(("c", "a")))
    [below] = [step for step in found.steps if step.pipeline == "e"]
    assert below.depends_on_steps == ("d@2026-07-01T00:00:00Z",)


def test_s1_25_a_dag_runs_twice_for_an_interval_when_another_one_stands_between() -> None:
    nodes = (
        hit(1, "a", day(1), dag="d"),
        hit(2, "c", day(1), via=1, dag="e"),
        hit(3, "b", day(1), via=2, dag="d"),
    )
    steps = plan(radius(*nodes), MAKE, BELOW).steps
    assert [(step.name, step.depends_on_steps) for step in steps] == [
        ("d@2026-07-01T00:00:00Z", ()),
        ("e@2026-07-01T00:00:00Z", ("d@2026-07-01T00:00:00Z",)),
        ("d@2026-07-01T00:00:00Z#2", ("e@2026-07-01T00:00:00Z",)),
    ]


def test_s1_44_a_loop_of_names_is_cut_by_the_versions() -> None:
    """What was found on the 1st goes into the exceptions that the 2nd is filtered by."""
    nodes = (
        hit(1, "a", day(1), dag="d"),
        hit(2, "c", day(1), via=1, dag="e"),
        hit(3, "a", day(2), via=2, dag="d"),
    )
    found = plan(radius(*nodes), MAKE, BELOW, catalog=contracts(("a", "c"), ("c", "a")))
    assert [step.name[:12] for step in found.steps] == ["d@2026-07-01", "e@2026-07-01", "d@2026-07-02"]


@st.composite
def lineages(draw: st.DrawFn) -> tuple[list[Impacted], list[tuple[int, int]]]:
    """Versions of up to six assets, made by three DAGs over three days, of any older ones."""
    count = draw(st.integers(1, 14))
    nodes, edges = [], []
    for version in range(1, count + 1):
        n = draw(st.integers(0, 5))
        reads = draw(st.sets(st.integers(1, version - 1), max_size=3)) if version > 1 else set()
        span = day(draw(st.integers(1, 3)))
        nodes.append(hit(version, f"x{n}", span, via=min(reads, default=None), dag=f"d{n // 2}"))
        edges += [(version, read) for read in reads]
    return nodes, edges


@given(lineages(), st.sets(st.tuples(st.integers(1, 14), st.integers(1, 14)), max_size=6))
def test_s1_25_every_step_comes_after_all_it_depends_on_and_each_version_is_replaced_once(
    drawn: tuple[list[Impacted], list[tuple[int, int]]], reads: set[tuple[int, int]]
) -> None:
    nodes, edges = drawn
    makers = [
        dag(f"d{n}", task(f"t{2 * n}", makes=f"x{2 * n}"), task(f"t{2 * n + 1}", makes=f"x{2 * n + 1}"))
        for n in range(3)
    ]
    found = plan(radius(*nodes), *makers, edges=tuple(edges), reads=tuple(sorted(reads)))
    at = {step.name: n for n, step in enumerate(found.steps)}
    assert len(at) == len(found.steps)
    assert all(at[up] < n for n, step in enumerate(found.steps) for up in step.depends_on_steps)
    step_of = {
        version: n for n, step in enumerate(found.steps) for made in step.makes for version in made.replaces
    }
    assert sorted(step_of) == [node.version_id for node in nodes]
    for version, read in edges:
        down, up = step_of[version], step_of[read]
        assert down == up or found.steps[up].name in found.steps[down].depends_on_steps


# --- risk, approvals, cost -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "severity", "risk"),
    [
        ({}, Severity.MAJOR, Risk.LOW),
        ({"node": Node.PRODUCT}, Severity.MAJOR, Risk.MEDIUM),
        ({"output": Output.APPEND_ONLY}, Severity.MAJOR, Risk.MEDIUM),
        ({"criticality": Criticality.HIGH}, Severity.MAJOR, Risk.HIGH),
        ({}, Severity.CRITICAL, Risk.HIGH),
    ],
)
def test_s1_24_risk_is_that_of_the_riskiest_and_high_risk_needs_approval(
    fields: dict[str, Any], severity: Severity, risk: Risk
) -> None:
    found = plan(radius(hit(1, "a", day(1), dag="d", **fields), severity=severity), MAKE)
    assert (found.risk, found.requires_approval) == (risk, risk is Risk.HIGH)
    assert bool(found.because) == (risk is not Risk.LOW)


@pytest.mark.parametrize(("reversible", "risk"), [(True, Risk.HIGH), (False, Risk.CRITICAL)])
def test_s1_50_what_has_left_is_high_risk_and_critical_when_it_cannot_be_taken_back(
    reversible: bool, risk: Risk
) -> None:
    send = dag(
        "d", task("send", makes="out", semantics="idempotent_put", target="partner-a", reversible=reversible)
    )
    found = plan(radius(hit(1, "out", day(1), dag="d", node=Node.EXTERNAL_EFFECT)), send)
    assert (found.risk, found.because[0].startswith("out has left for partner-a")) == (risk, True)


def test_s1_14i_a_contract_that_asks_a_person_makes_the_plan_ask_one() -> None:
    nodes = (
        hit(1, "a", day(1), dag="d"),
        hit(2, "c", day(1), via=1, action=Action.REQUIRE_MANUAL_APPROVAL, dag="e"),
    )
    found = plan(radius(*nodes), MAKE, BELOW)
    assert [each.what for each in found.approvals] == ["e@2026-07-01T00:00:00Z"]


def test_d7_the_cost_is_of_the_tasks_that_run_and_of_how_long_they_took_before() -> None:
    cost = enforcement().cost
    assert (cost.runs, cost.tasks, cost.units) == (12, 15, {"warehouse": 9.0})
    assert (cost.seconds, cost.seconds_at_least) == (3 * 35.0, 35.0)


# --- a file --------------------------------------------------------------------------------------


def test_b44_a_plan_is_a_file_that_comes_back_as_it_was_and_compares_line_by_line() -> None:
    found = named(enforcement(), "7")
    text = to_file(found)
    assert from_file(text) == found
    assert text.count("\n") > 300  # one value a line
    assert text == to_file(from_file(text))


def test_b44_the_hash_is_of_the_acts_and_not_of_the_number_or_of_estimates() -> None:
    found = enforcement()
    slower = msgspec.structs.replace(found, id="9", cost=msgspec.structs.replace(found.cost, seconds=1e6))
    assert hash_of(slower) == found.hash
    assert hash_of(msgspec.structs.replace(found, steps=found.steps[1:])) != found.hash


def test_b44_a_file_that_was_changed_by_hand_is_refused() -> None:
    text = to_file(enforcement())
    with pytest.raises(UsageError, match=r"plan\.json was changed after it was made"):
        from_file(text.replace('"case_sla-1"', '"case_sla-2"'), "plan.json")
    with pytest.raises(UsageError, match="is no rerun plan"):
        from_file("{}")


def test_b44_what_a_plan_made_now_does_otherwise_is_named() -> None:
    nodes = (hit(1, "a", day(1), dag="d"), hit(2, "c", day(1), via=1, dag="e"))
    was = plan(radius(*nodes), MAKE, BELOW)
    again = plan(radius(*nodes), MAKE, BELOW)
    assert differences(was, again) == ()
    changed = plan(radius(*nodes), MAKE, dag("e", task("read", makes="c"), version="e-2"))
    assert differences(was, changed) == ("e@2026-07-01T00:00:00Z: transform_version was e-1, and is e-2",)
    less = plan(radius(*nodes), MAKE, BELOW, instead={2: 5})
    assert differences(was, less)[0] == "e@2026-07-01T00:00:00Z need not be run any more"
    assert differences(less, was)[0] == "e@2026-07-01T00:00:00Z has to be run as well"
