"""How a mapped task is declared, counted, and given its part."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Context, Dag, branch, dag, task, unmapped
from bide.runtime.errors import GraphError
from bide.runtime.graph.binding import bind
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.mapping import measure, part, shared, sources
from bide.runtime.graph.spec import MapSpec, TaskSpec

FACTS = Facts(dag="d", task="load", run_id=1, logical_us=0, start_us=0, end_us=0, scheduled_us=0)


@task
def ls() -> list[str]:
    return ["a", "b"]


@task
def load(path: Any, day: Any = "today", *, n: int = 1) -> Any:
    return path, day, n


def spec_of(made: Dag, name: str = "load") -> TaskSpec:
    return next(one for one in made.spec.tasks if one.name == name)


def test_an_output_a_list_a_tuple_and_a_range_are_mapped_and_nothing_else() -> None:
    @dag
    def d() -> None:
        load.map(path=ls(), day="monday", n=3)
        load.map((1, 2), range(2))

    first, second = spec_of(d), spec_of(d, "load_2")
    assert first.map == MapSpec(over=("path",))
    assert first.kwargs == {"path": {"$out": "ls"}, "day": "monday", "n": 3}
    assert first.upstream == ("ls",)
    assert second.map == MapSpec(over=("path", "day"))
    assert second.kwargs == {"path": [1, 2], "day": [0, 1]}


def test_partial_and_unmapped_go_whole_to_every_instance() -> None:
    @dag
    def d() -> None:
        load.partial(day=[1, 2]).map(path=ls())
        load.options(name="other").map(path=[1], day=unmapped(ls()))

    assert spec_of(d).map == MapSpec(over=("path",))
    assert spec_of(d).kwargs["day"] == [1, 2]
    assert spec_of(d, "other").map == MapSpec(over=("path",))
    assert spec_of(d, "other").upstream == ("ls_2",)


def test_the_hash_of_a_dag_without_mapping_is_what_it_was() -> None:
    @dag
    def plain() -> None:
        ls()

    assert b"map" not in msgspec.json.encode(spec_of(plain, "ls"))


def test_mermaid_shows_it_as_several() -> None:
    @dag
    def d() -> None:
        load.map(path=ls())

    assert 't1[["load × n"]]' in d.mermaid()


def declared(body: Any) -> str:
    with pytest.raises(GraphError) as error:
        dag(name="d")(body)
    assert re.match(rf"{re.escape(__file__)}:\d+: ", str(error.value)), "it names no line"
    return str(error.value)


@task
def sharded(shard: Any, x: Any = 0) -> None: ...


@task
def by_place(x: Any, /) -> None: ...


@branch
def choose(x: Any) -> None: ...


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: load.map(path="a.csv"), "is mapped over nothing: give map() a list or the output"),
        (lambda: load.map(path=[1], day=[1, 2]), "differ in length: path has 1, day has 2 items"),
        (lambda: load.map(path=[1], shard=0), "shard is 0, and must be a whole number, 1 or more"),
        (lambda: load.map(path=[1], shard=True), "shard is True, and must be"),
        (lambda: load.map(path=range(10_001)), "10,001 instances, and the limit is 10,000: give each a list"),
        (lambda: load.map(file=[1]), "arguments it does not take"),
        (lambda: load.partial(path=1).map(path=[1]), "is given 'path' both by partial() and by map()"),
        (lambda: sharded.map(x=[1], shard=2), "has a parameter named shard"),
        (lambda: by_place.map([1]), "takes 'x' by position only"),
        (lambda: choose.map([1]), "cannot be mapped, as there is one choice in a run"),
        (lambda: load.options(max_map=0), "max_map is 0, and must be a whole number, 1 or more"),
    ],
)  # fmt: skip
def test_c71_what_cannot_be_meant_is_said_where_it_is_written(body: Any, said: str) -> None:
    assert said in declared(body)


def test_c71_a_larger_expansion_is_an_option() -> None:
    @dag
    def d() -> None:
        load.options(max_map=100_000).map(path=range(100_000))

    assert spec_of(d).map == MapSpec(over=("path",), limit=100_000)
    assert measure(spec_of(d), {}).items == 100_000


def test_outside_of_a_dag_it_is_the_function_for_each_item() -> None:
    assert load.map(path=["a", "b"], day=unmapped(["x"])) == [("a", ["x"], 1), ("b", ["x"], 1)]
    assert load.partial(n=2).map(path=range(3), shard=2) == [([0, 1], "today", 2), ([2], "today", 2)]
    assert load.map(path=[]) == []


# --- at run time ---------------------------------------------------------------------------------


def bound(made: Dag, index: int, outputs: dict[str, Any], name: str = "load") -> dict[str, Any]:
    spec = spec_of(made, name)
    assert spec.map is not None
    of = spec.map
    lists = msgspec.json.decode(measure(spec, outputs).manifest)
    args, kwargs = bind(
        spec, made.code[name], outputs, FACTS, None, (), lists, lambda whole: part(of, whole, index)
    )
    assert args == ()
    return kwargs


def test_an_instance_gets_its_item_and_what_is_whole() -> None:
    @dag
    def d() -> None:
        known = ls()
        load.partial(n=7).map(path=known["files"], day=[known["files"][0], "x"])

    outputs = {"ls": {"files": ["a", {"$out": "b"}]}}
    assert bound(d, 0, outputs) == {"path": "a", "day": "a", "n": 7}
    assert bound(d, 1, outputs) == {"path": {"$out": "b"}, "day": "x", "n": 7}
    assert sources(spec_of(d)) == ("ls",)
    assert shared(spec_of(d)) == ("ls",), "the first item of the list in the code is an output"


def test_items_that_are_not_json_come_from_the_code() -> None:
    class Thing: ...

    things = [Thing(), Thing()]

    @dag
    def d() -> None:
        load.map(path=things)
        load.map(path=things, shard=2)

    assert bound(d, 1, {})["path"] is things[1]
    assert bound(d, 0, {}, "load_2")["path"] == things


def test_null_is_an_empty_list() -> None:
    @dag
    def d() -> None:
        load.map(path=ls())

    assert measure(spec_of(d), {}) == (0, b'{"path":[]}')


@pytest.mark.parametrize(
    ("outputs", "said"),
    [
        ({"ls": "abc"}, "the output of 'ls', which is a str, not a list"),
        ({"ls": [1, 2]}, "path has 2, day has 3 items"),
    ],
)
def test_what_is_no_list_or_of_another_length_is_a_clear_failure(outputs: dict[str, Any], said: str) -> None:
    @dag
    def d() -> None:
        load.map(path=ls(), day=[1, 2, 3])

    with pytest.raises(GraphError, match=said):
        measure(spec_of(d), outputs)


@given(length=st.integers(0, 300), shard=st.none() | st.integers(1, 40))
def test_s0_23_every_item_goes_to_one_instance_in_order(length: int, shard: int | None) -> None:
    spec = TaskSpec(
        name="t", lane=spec_of(_WITH, "load").lane, kwargs={"x": {"$out": "u"}}, upstream=("u",),
        map=MapSpec(over=("x",), shard=shard),
    )  # fmt: skip
    items = measure(spec, {"u": list(range(length))}).items
    assert spec.map is not None
    parts = [part(spec.map, list(range(length)), index) for index in range(items)]
    flat = parts if shard is None else [one for each in parts for one in each]
    assert flat == list(range(length))
    assert all(parts) or shard is None


@dag
def _WITH() -> None:  # noqa: N802 - a DAG that tests take a lane from
    load.map(path=ls())


def test_a_mapped_task_with_a_context_is_tested_as_plain_python() -> None:
    @task
    def one(n: int, ctx: Context | None = None) -> int:
        return n

    assert one.map(n=[1, 2]) == [1, 2]
