"""Declaring an effect: what it is in a graph, how it is called as plain Python, what is refused."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from bide import Context, Contract, Delivery, dag, effect
from bide.runtime.assets.declarations import declared
from bide.runtime.assets.words import Node, Output, Semantics
from bide.runtime.errors import GraphError
from bide.runtime.graph.spec import EffectSpec, Lane


@effect("tests.partner-export", target="partner-a", semantics="append_only_export", requires_approval=True,
        who=["ann"], expires=timedelta(hours=2), inlets=["tests.gold"], retries=2)  # fmt: skip
async def export(path: str, idempotency_key: str, previous: Any = None) -> dict[str, Any]:
    """Send it."""
    return {"path": path, "key": idempotency_key, "previous": previous}


@effect("tests.index", target="search", semantics="idempotent_put")
def index(ctx: Context, delivery: Delivery) -> str:
    return delivery.key


def test_s1_50_an_effect_is_a_task_with_its_facts() -> None:
    @dag
    def d() -> None:
        export("a.csv")
        index()

    [one, other] = d.spec.tasks
    assert one.effect == EffectSpec(
        asset="tests.partner-export", target="partner-a", semantics=Semantics.APPEND_ONLY_EXPORT, reversible=False,
        requires_approval=True, who=("ann",), expires_us=7_200_000_000,
    )  # fmt: skip
    assert (one.name, one.lane, one.outlets, one.inlets) == (
        "export", Lane.ASYNC, ("tests.partner-export",), ("tests.gold",),
    )  # fmt: skip
    assert (one.retries, one.idempotent, one.doc) == (2, False, "Send it.")
    assert (other.lane, other.idempotent) == (Lane.THREAD, True)


def test_s1_7_an_effect_is_an_asset_that_contracts_name() -> None:
    said = declared()[__file__].assets["tests.partner-export"]
    assert (said.node, said.output) == (Node.EXTERNAL_EFFECT, Output.EXPORT)
    Contract(downstream="tests.partner-export", upstream="tests.gold", kind="interval_match")


def test_an_effect_called_outside_a_dag_runs_the_function() -> None:
    assert asyncio.run(export("a", idempotency_key="k")) == {"path": "a", "key": "k", "previous": None}
    with pytest.raises(TypeError):
        export("a")


def test_its_options_can_be_others_at_one_place() -> None:
    @dag
    def d() -> None:
        export.options(name="other", retries=5)("a.csv")

    [one] = d.spec.tasks
    assert (one.name, one.retries, one.effect is not None) == ("other", 5, True)


def test_what_it_is_handed_is_no_argument_of_its_call() -> None:
    with pytest.raises(GraphError, match="arguments it does not take"):

        @dag
        def d() -> None:
            export("a.csv", idempotency_key="mine")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"semantics": "put"}, "semantics is 'put', and must be one of idempotent_put"),
        ({"target": " "}, "must say where it goes"),
        ({"outlets": ["x"]}, "has no option 'outlets': its deliveries are the versions of its own asset"),
        ({"isolate": True}, "has no option 'isolate'"),
        ({"lane": "process"}, "has no lane 'process'"),
        ({"requires_approval": "yes"}, "must be True or False"),
        ({"expires": None}, "nobody is waited for for ever"),
        ({"requires_aproval": True}, "did you mean 'requires_approval'"),
        ({"name": "x"}, "has no option 'name'|multiple values"),
    ],
)
def test_s1_50_what_an_effect_cannot_be_is_refused(options: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"target": "t", "semantics": "notification", **options}
    with pytest.raises((GraphError, TypeError), match=said):

        @effect("tests.x", **given)
        def x() -> None: ...


def test_it_cannot_be_mapped_and_is_handed_by_name() -> None:
    with pytest.raises(GraphError, match="cannot be mapped"):
        export.map(["a"])
    with pytest.raises(GraphError, match="cannot be mapped"):
        export.partial(path="a")
    with pytest.raises(GraphError, match="cannot stand before"):

        @effect("tests.y", target="t", semantics="notification")
        def y(idempotency_key: str, /) -> None: ...
