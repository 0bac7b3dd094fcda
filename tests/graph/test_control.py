"""Declaring branches, groups, set-ups and tear-downs: names, edges, and mistakes in one sentence."""

from __future__ import annotations

import re
from typing import Any

import pytest

import bide
from bide.runtime.errors import GraphError
from bide.runtime.graph.branching import beyond, chosen, names_of, spared
from bide.runtime.graph.spec import TriggerRule


@bide.task
def load(of: Any = None) -> int:
    return 1


@bide.task
def count(of: Any = None) -> int:
    return 2


def spec_of(dag: bide.Dag, task: str) -> Any:
    return next(each for each in dag.spec.tasks if each.name == task)


# --- groups ------------------------------------------------------------------------------------------


def test_a_group_names_its_tasks_and_is_joined_as_one() -> None:
    @bide.dag
    def d() -> None:
        start = load()
        with bide.group("extract") as extract:
            a, b = load(), load()
            with bide.group("clean"):
                count(a)
        start >> extract >> count()
        assert b.node.name == "extract.load_2"

    assert d.tasks == ("load", "extract.load", "extract.load_2", "extract.clean.count", "count")
    assert set(d.edges) == {
        ("load", "extract.load"), ("load", "extract.load_2"), ("extract.load", "extract.clean.count"),
        ("extract.load_2", "count"), ("extract.clean.count", "count"),
    }  # fmt: skip
    assert spec_of(d, "extract.clean.count").group == "extract.clean"


def test_a_decorated_group_is_made_at_each_call_and_hands_on_what_it_returns() -> None:
    @bide.group
    def extract(of: Any = None) -> Any:
        return count(load(of))

    @bide.dag
    def d() -> None:
        first = extract()
        second = extract(first)
        load(second)

    assert d.tasks == ("extract.load", "extract.count", "extract_2.load", "extract_2.count", "load")
    assert set(d.edges) == {
        ("extract.load", "extract.count"), ("extract.count", "extract_2.load"),
        ("extract_2.load", "extract_2.count"), ("extract_2.count", "load"),
    }  # fmt: skip


def test_groups_on_both_sides_join_lasts_to_firsts() -> None:
    @bide.dag
    def d() -> None:
        with bide.group("a") as a:
            load() >> count()
        with bide.group("b") as b:
            [load(), count()]
        a >> b

    assert {("a.count", "b.load"), ("a.count", "b.count"), ("a.load", "a.count")} == set(d.edges)


def broken(make: Any) -> str:
    with pytest.raises(GraphError) as raised:
        bide.dag(make)
    return str(raised.value).partition(": ")[2]


def test_a_group_that_cannot_be_is_refused_in_a_sentence() -> None:
    def empty() -> None:
        with bide.group("none") as none:
            pass
        load() >> none

    def twice() -> None:
        with bide.group("a"):
            load()
        with bide.group("a"):
            load()

    def within() -> None:
        with bide.group("a") as a:
            load() >> a

    def output() -> None:
        with bide.group("a") as a:
            load()
        count(a)

    assert broken(empty) == "the group 'none' has no tasks, so there is nothing to join"
    assert "two tasks or groups named 'a'" in broken(twice)
    assert "joined within itself" in broken(within)
    assert "the group 'a' has no output" in broken(output)
    with pytest.raises(GraphError, match="outside of a DAG"), bide.group("a"):
        pass


def test_a_picture_has_a_subgraph_for_each_group() -> None:
    @bide.branch
    def pick() -> str:
        return "extract"

    @bide.dag
    def d() -> None:
        with bide.group("extract") as extract:
            load()
            with bide.group("clean"):
                count()
        pick() >> extract

    assert d.mermaid().splitlines() == [
        "flowchart LR",
        '    subgraph g0["extract"]',
        '        t0["load"]',
        '        subgraph g1["clean"]',
        '            t1["count"]',
        "        end",
        "    end",
        '    t2{"pick"}',
        "    t2 --> t0",
        "    t2 --> t1",
    ]


# --- set-ups and tear-downs --------------------------------------------------------------------------


def test_a_tear_down_stands_after_its_set_up_and_all_of_its_scope() -> None:
    @bide.task
    def create() -> str:
        return "c1"

    @bide.task
    def delete(cluster: Any = None) -> None: ...

    @bide.dag
    def d() -> None:
        c = create()
        a, b = load(c), count(c)
        early = load.options(name="early", trigger_rule="one_success")()
        [a, b] >> early
        early >> delete(c).as_teardown(setups=c)

    teardown = spec_of(d, "delete")
    assert (teardown.rule, teardown.setups, teardown.teardown) == (TriggerRule.ALL_DONE, ("create",), True)
    assert spec_of(d, "create").setup
    assert set(teardown.upstream) == {"create", "early", "load", "count"}, "one_success waits for one alone"


def test_options_mark_a_pair_as_well_and_a_group_is_not_joined_by_its_tear_down() -> None:
    @bide.task(setup=True)
    def create() -> str:
        return "c1"

    @bide.task(teardown=True, fails_run=False)
    def delete(cluster: Any) -> None: ...

    @bide.dag
    def d() -> None:
        with bide.group("g") as g:
            c = create()
            load(c) >> delete(c)
        g >> count()

    assert spec_of(d, "g.delete").setups == ("g.create",)
    assert not spec_of(d, "g.delete").fails_run
    assert spec_of(d, "count").upstream == ("g.load",)


def test_a_tear_down_with_a_rule_of_its_own_is_refused() -> None:
    def d() -> None:
        c = load().as_setup()
        count.options(trigger_rule="all_success")(c).as_teardown(setups=c)

    assert "leave it out" in broken(d)


# --- branches ----------------------------------------------------------------------------------------


def test_what_a_branch_returns_is_read_as_names() -> None:
    @bide.dag
    def d() -> None:
        out = load()
        assert names_of(out) == ["load"]
        assert names_of((out, "count")) == ["load", "count"]

    assert names_of(load) == ["load"]
    assert names_of({"b", "a"}) == ["a", "b"]
    assert names_of(None) == []
    assert names_of(7) == [7]


@pytest.mark.parametrize(
    ("returned", "group", "taken"),
    [
        ("full", "", ["full"]),
        (["y", "full"], "g", ["full", "g.y"]),
        ("g", "", ["g.x", "g.y"]),
        ("x", "g", ["g.x"]),
        ([], "", []),
    ],
)
def test_a_name_means_a_task_or_a_group_seen_from_the_branch(
    returned: Any, group: str, taken: list[str]
) -> None:
    assert chosen("pick", group, returned, ["full", "g.x", "g.y"]) == taken


def test_a_name_that_is_none_of_them_is_told_with_those_there_are() -> None:
    with pytest.raises(GraphError, match=re.escape("there are: full, g.x, g.y")):
        chosen("pick", "", ["x"], ["full", "g.x", "g.y"])


def test_those_below_a_chosen_one_are_spared() -> None:
    downstream = [(1, 2, 3), (3,), (), ()]
    upstream = [(), (0,), (0,), (0, 1)]
    reach = beyond(0, downstream, upstream)
    assert reach == {1: frozenset({3})}
    assert spared([1], reach) == {1, 3}
    assert spared([2], reach) == {2}
    assert beyond(0, [(1, 2), (), ()], [(), (0,), (0,)]) == {}


def test_hashes_of_dags_without_these_are_what_they_were() -> None:
    @bide.dag
    def d() -> None:
        load()

    assert b"group" not in d.encoded
    assert b"branch" not in d.encoded
