"""Declaring an approval: what it is in a graph, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bide import Dag, TaskGraphBuilder, approval, call, dag, task
from bide.runtime.clock import HOUR
from bide.runtime.errors import GraphError
from bide.runtime.graph.spec import ApprovalSpec, Lane, TriggerRule


@task
async def ship(said: Any = None) -> None: ...


def test_b55_an_approval_is_a_node_without_code() -> None:
    @dag
    def d() -> None:
        ok = approval(
            "release", prompt="release {interval.start:%Y-%m-%d}?", who=["ann"], expires=timedelta(hours=12)
        )
        ship(ok["by"])

    [node, below] = d.spec.tasks
    assert node.lane is Lane.PERSON
    assert node.approval == ApprovalSpec(
        prompt="release {interval.start:%Y-%m-%d}?", who=("ann",), expires_us=12 * HOUR
    )
    assert (node.rule, below.upstream) == (TriggerRule.ALL_SUCCESS, ("release",))
    assert d.code["release"].fn is None


def test_b55_its_options_and_edges_are_those_of_a_task() -> None:
    @dag
    def d() -> None:
        ship() >> approval("a", trigger_rule="all_done", on_reject="skip", on_failure=ship, owner="x")

    node = next(each for each in d.spec.tasks if each.name == "a")
    assert (node.rule, node.owner, node.upstream) == (TriggerRule.ALL_DONE, "x", ("ship",))
    assert node.approval is not None
    assert (node.approval.on_reject, node.approval.expires_us) == ("skip", 24 * HOUR)


def test_b55_a_builder_takes_a_call_of_it() -> None:
    graph = TaskGraphBuilder("g").add(call(approval, "ok", who="ann")).then(call(ship)).build()
    assert graph.edges == (("ok", "ship"),)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"timeout": timedelta(hours=1)}, r"has no option 'timeout', as nothing of it runs: expires="),
        ({"deadline": timedelta(hours=1)}, r"has no option 'deadline'"),
        ({"retries": 3}, r"has no option 'retries'"),
        ({"expires": None}, "nobody is waited for for ever"),
        ({"expires": timedelta(0)}, "must be above zero"),
        ({"expires": 3}, "must be a timedelta"),
        ({"who": [""]}, "must be names"),
        ({"who": 3}, "must be names"),
        ({"prompt": "release {nobody}?"}, "names 'nobody'"),
        ({"prompt": 3}, "must be a string"),
        ({"on_reject": "retry"}, "must be one of fail, skip"),
    ],
)
def test_c78_what_an_approval_cannot_be_is_refused_with_what_to_write(
    options: dict[str, Any], said: str
) -> None:
    with pytest.raises(GraphError, match=said):

        @dag
        def d() -> None:
            approval("ok", **options)


def test_b55_it_is_declared_in_a_dag_only() -> None:
    with pytest.raises(GraphError, match="declared outside of a DAG"):
        approval("ok")


def test_a_dag_that_asks_nobody_is_the_same_version_as_before() -> None:
    @dag
    def d() -> None:
        ship()

    assert isinstance(d, Dag)
    assert b"approval" not in d.encoded
