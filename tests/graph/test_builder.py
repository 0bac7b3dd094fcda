"""The builder: the same edges as boilermaker for the same calls, and what stands beside them.

`golden/task_graphs.json` was written by boilermaker-servicebus 1.4.1: each entry is a program of
calls of its `TaskGraphBuilder` and the graph that came of it, or that it raised `ValueError`. A
program is a list of [method, call, ..., options]; `"#a"` is the id of a call, `["chain", 0]` the first
chain, `own` gives a call an `on_failure` of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import FrozenInstanceError
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import LAST_ADDED, Cron, Dag, Failure, TaskChain, TaskGraphBuilder, call, dag, shell, task
from bide.runtime.errors import GraphError
from bide.runtime.graph.call import Call
from bide.sensors import FileSensor

GOLDEN: list[dict[str, Any]] = json.loads((Path(__file__).parent / "golden" / "task_graphs.json").read_text())


def work() -> None:
    """What every call of these graphs runs."""


def echo(value: object) -> object:
    return value


class Program:
    """Plays a program with the builder of bide."""

    def __init__(self, steps: list[Any]) -> None:
        self.own = {args[0]: args[1] for verb, *args in steps if verb == "own"}
        self.steps = [step for step in steps if step[0] != "own"]
        self.calls: dict[str, Call] = {}
        self.chains: list[TaskChain] = []

    def call(self, name: str) -> Call:
        if name not in self.calls:
            options: dict[str, Any] = {"name": name}
            if name in self.own:
                options["on_failure"] = self.call(self.own[name])
            self.calls[name] = call(work).options(**options)
        return self.calls[name]

    def upstreams(self, given: Any) -> Any:
        if given is None or given == "LAST_ADDED":
            return None if given is None else LAST_ADDED
        return [
            self.chains[each[1]]
            if isinstance(each, list)
            else each[1:]
            if each[0] == "#"
            else self.call(each)
            for each in given
        ]

    def play(self) -> Dag:
        builder = TaskGraphBuilder("g")
        last = None
        for verb, *args in self.steps:
            options = args.pop() if args and isinstance(args[-1], dict) else {}
            kwargs = {
                key: self.upstreams(value) if key == "depends_on" else self.call(value)
                for key, value in options.items()
            }
            match verb:
                case "build":
                    last = self.call(args[0])
                case "add_chain":
                    handler = kwargs.pop("on_any_failure", None)
                    self.chains.append(TaskChain(*map(self.call, args[0]), on_any_failure=handler))
                    builder.add_chain(self.chains[-1], **kwargs)
                case _:
                    getattr(builder, verb)(*map(self.call, args), **kwargs)
        return builder.build(on_all_failed=last)


def same_as_boilermaker(which: str) -> None:
    entries = [entry for entry in GOLDEN if entry["title"].startswith(which)]
    assert entries, which
    for entry in entries:
        if entry.get("error"):
            with pytest.raises(ValueError):
                Program(entry["program"]).play()
            continue
        made = Program(entry["program"]).play()
        found = {
            "tasks": sorted(made.tasks),
            "edges": sorted(map(list, made.edges)),
            "failure_edges": sorted(map(list, made.failure_edges)),
            "on_all_failed": made.callbacks.get("on_all_failed"),
        }
        assert found == {key: entry[key] for key in found}, entry["title"]


# --- the golden table ------------------------------------------------------------------------------


def test_s2_6_sequential() -> None:
    same_as_boilermaker("s2_6")


def test_s2_7_fan_out() -> None:
    same_as_boilermaker("s2_7")


def test_s2_8_fan_in() -> None:
    same_as_boilermaker("s2_8")


def test_s2_9_diamond() -> None:
    same_as_boilermaker("s2_9")


def test_s2_10_independent_chains_and_a_fan_in() -> None:
    same_as_boilermaker("s2_10")


def test_s2_12_add_follows_the_cursor_and_becomes_it() -> None:
    same_as_boilermaker("s2_12")


def test_s2_13_add_after_nothing_replaces_the_cursor() -> None:
    same_as_boilermaker("s2_13")


def test_s2_14_then_follows_the_cursor_and_needs_one() -> None:
    same_as_boilermaker("s2_14")


def test_s2_15_parallel_follows_the_old_cursor_and_all_of_it_is_the_new_one() -> None:
    same_as_boilermaker("s2_15")


def test_s2_16_add_chain_leaves_its_last_as_the_cursor() -> None:
    same_as_boilermaker("s2_16")


def test_s2_17_add_chain_after_nothing_is_put_beside_the_cursor() -> None:
    same_as_boilermaker("s2_17")


def test_s2_18_depends_on_takes_calls_names_and_chains() -> None:
    same_as_boilermaker("s2_18")


def test_s2_19_last_added_can_be_said() -> None:
    same_as_boilermaker("s2_19")


def test_s2_20_build_of_nothing_is_refused() -> None:
    same_as_boilermaker("s2_20")


def test_s2_21_on_failure_on_add_then_and_parallel() -> None:
    same_as_boilermaker("s2_21")


def test_s2_23_on_any_failure_is_registered_on_each_of_a_chain() -> None:
    same_as_boilermaker("s2_23")


def test_s2_24_parallel_chains_with_handlers_and_a_fan_in_with_its_own() -> None:
    same_as_boilermaker("s2_24")


def test_s2_25_on_all_failed_by_method_and_by_build() -> None:
    same_as_boilermaker("s2_25")


def test_s2_28_on_all_failed_beside_handlers() -> None:
    same_as_boilermaker("s2_28")


def test_s2_29_a_second_on_all_failed_is_a_value_error_in_either_style() -> None:
    same_as_boilermaker("s2_29")


def test_s2_30_handlers_and_callbacks_with_handlers_of_their_own() -> None:
    same_as_boilermaker("s2_30")


def test_b52_a_call_stands_once_in_a_graph() -> None:
    same_as_boilermaker("a call twice")
    same_as_boilermaker("an empty chain")


@pytest.mark.parametrize("title", [entry["title"] for entry in GOLDEN if entry["title"].startswith("random")])
def test_b52_same_edges_as_boilermaker_for_random_programs(title: str) -> None:
    [entry] = [entry for entry in GOLDEN if entry["title"] == title]
    if not entry.get("error"):
        assert {tuple(edge) for edge in entry["edges"]} == set(Program(entry["program"]).play().edges)
    same_as_boilermaker(f"{title}")


# --- any program against a model of the cursor -----------------------------------------------------


@st.composite
def programs(draw: st.DrawFn) -> list[Any]:
    names = iter(f"t{n}" for n in range(100))
    used: list[str] = []
    chains = 0
    steps: list[Any] = []
    for _ in range(draw(st.integers(1, 8))):
        verb = draw(st.sampled_from(["add", "then", "parallel", "add_chain", "sequence"]))
        options: dict[str, Any] = {}
        if verb in ("add", "parallel", "add_chain"):
            how = draw(st.sampled_from(["cursor", "LAST_ADDED", "none", "list"]))
            if how != "cursor":
                options["depends_on"] = None if how == "none" else how
            if how == "list":
                named: list[Any] = [*draw(st.lists(st.sampled_from(used), max_size=3))] if used else []
                if chains and draw(st.booleans()):
                    named.append(["chain", draw(st.integers(0, chains - 1))])
                options["depends_on"] = named
        if verb == "then" and not used:
            verb = "add"
        most = {"add": 1, "then": 1, "parallel": 4, "add_chain": 4, "sequence": 4}[verb]
        count = draw(st.integers(0 if verb == "sequence" else 1, most))
        got = [next(names) for _ in range(count)]
        if draw(st.booleans()) and verb != "sequence":
            handler = draw(st.sampled_from(["h", "i", "j"]))
            options["on_any_failure" if verb == "add_chain" else "on_failure"] = handler
        steps.append([verb, *([got] if verb == "add_chain" else got), options])
        used += got
        chains += verb == "add_chain"
    return steps


def cursor_model(steps: list[Any]) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    """(edges, failure edges) by S2-12 to S2-19, written down once more and as plainly as can be."""
    cursor: list[str] = []
    lasts: list[str] = []
    edges: set[tuple[str, str]] = set()
    fails: set[tuple[str, str]] = set()
    for verb, *args in steps:
        options = args.pop()
        names = args[0] if verb == "add_chain" else args
        asked = options.get("depends_on", "LAST_ADDED")
        after = cursor if asked == "LAST_ADDED" else asked or []
        ups = [lasts[each[1]] if isinstance(each, list) else each for each in after]
        if verb in ("add_chain", "sequence"):
            edges |= {(up, names[0]) for up in ups if names} | set(pairwise(names))
            ends = names[-1:]
        else:
            edges |= {(up, name) for up in ups for name in names}
            ends = names
        handler = options.get("on_failure") or options.get("on_any_failure")
        fails |= {(name, handler) for name in names if handler}
        if verb == "add_chain":
            lasts.append(ends[0])
        if verb == "add_chain" and asked is None:
            cursor = [*cursor, *ends]
        elif ends:
            cursor = list(ends)
    return edges, fails


@given(programs())
def test_b52_any_program_has_the_edges_of_the_cursor_model(steps: list[Any]) -> None:
    edges, fails = cursor_model([[*step[:-1], dict(step[-1])] for step in steps])
    if not any(step[1:-1] and step[1:-1] != [[]] for step in steps):
        with pytest.raises(GraphError, match="is empty"):
            Program(steps).play()
        return
    made = Program(steps).play()
    assert (set(made.edges), set(made.failure_edges)) == (edges, fails)
    assert len(made.edges) == len(edges)


@given(programs())
def test_a_refused_call_changes_nothing(steps: list[Any]) -> None:
    program = Program([*steps, ["add", "end", {}]])
    builder = TaskGraphBuilder("g").add(call(work))
    there = call(work)
    builder.add(there)
    before = builder.build().encoded
    refused: list[Callable[[], object]] = [
        lambda: builder.parallel(call(work), there),
        lambda: builder.add_chain(TaskChain(call(work), there)),
        lambda: builder.add(call(work), depends_on="nowhere"),
        lambda: builder.sequence(call(work), there),
        lambda: builder.add(call(work), on_failure=work),  # type: ignore[arg-type]
    ]
    for each in refused:
        with pytest.raises(ValueError):
            each()
    assert builder.build().encoded == before
    assert program.play().tasks[-1] == "end"


# --- calls -----------------------------------------------------------------------------------------


def test_s2_1_a_graph_in_one_sentence() -> None:
    fetched = call(work).options(name="fetch")
    graph = (
        TaskGraphBuilder("etl")
        .add(fetched, on_failure=call(work).options(name="alert"))
        .parallel(call(work).options(name="parse"), call(work).options(name="count"))
        .then(call(work).options(name="save"))
        .build(on_all_failed=call(work).options(name="cleanup"))
    )
    assert graph.tasks == ("fetch", "parse", "count", "save")
    assert graph.edges == (("fetch", "parse"), ("fetch", "count"), ("parse", "save"), ("count", "save"))
    assert (graph.failure_edges, graph.callbacks) == ((("fetch", "alert"),), {"on_all_failed": "cleanup"})


def test_s2_2_retries_are_options_of_a_call_or_of_its_task() -> None:
    @task(retries=3)
    def flaky() -> None: ...

    graph = TaskGraphBuilder("g").add(call(flaky)).then(call(flaky).options(retries=5)).build()
    assert [(each.name, each.retries) for each in graph.spec.tasks] == [("flaky", 3), ("flaky_2", 5)]


def test_s2_3_a_call_takes_arguments_and_is_checked() -> None:
    def add(a: int, b: int = 2) -> int:
        return a + b

    [spec] = TaskGraphBuilder("g").add(call(add, 1, b=5)).build().spec.tasks
    assert (spec.args, spec.kwargs) == ((1,), {"b": 5})
    with pytest.raises(GraphError, match="arguments it does not take"):
        TaskGraphBuilder("g").add(call(add)).build()


def test_s2_31_a_call_is_immutable() -> None:
    def take(rows: list[int], *, more: int = 0) -> None: ...

    rows = [1]
    first = call(take, rows, more=1)
    second = first.options(name="other")
    assert (first.base_name, second.base_name) == ("take", "other")
    with pytest.raises(FrozenInstanceError):
        first.args = (2,)  # type: ignore[misc]
    with pytest.raises(TypeError):
        first.kwargs["more"] = 2  # type: ignore[index]
    rows.append(2)
    [spec] = TaskGraphBuilder("g").add(second).build().spec.tasks
    assert spec.args == ([1],)


def test_an_output_flows_only_where_its_call_is_passed() -> None:
    def take(*values: object) -> None: ...

    first, second = call(work).options(name="first"), call(work).options(name="second")
    graph = (
        TaskGraphBuilder("g")
        .add(first)
        .then(second)
        .then(call(take))
        .then(call(take, first["rows"][0], [second], {"k": first}))
        .build()
    )
    nothing, all_of_it = graph.spec.tasks[2:]
    assert (nothing.args, nothing.upstream) == ((), ("second",))
    assert all_of_it.args == (
        {"$out": "first", "at": ["rows", 0]},
        [{"$out": "second"}],
        {"k": {"$out": "first"}},
    )
    assert set(all_of_it.upstream) == {"take", "first", "second"}


def test_a_call_that_is_not_in_the_graph_cannot_be_an_argument() -> None:
    with pytest.raises(GraphError, match=r"<call of 'work'> is an argument .* add it first"):
        TaskGraphBuilder("g").add(call(echo, call(work))).build()
    with pytest.raises(GraphError, match="cannot be iterated over"):
        list(call(work))


def test_calls_of_one_function_are_numbered_and_their_names_can_be_depended_on() -> None:
    graph = TaskGraphBuilder("g").parallel(call(work), call(work), call(work)).build()
    assert graph.tasks == ("work", "work_2", "work_3")
    named = call(work).options(name="work_2")
    graph = TaskGraphBuilder("g").parallel(named, call(work), call(work)).then(call(work)).build()
    assert graph.tasks == ("work_2", "work", "work_3", "work_4")
    with pytest.raises(GraphError, match="two calls named 'work_2'"):
        TaskGraphBuilder("g").add(named).add(call(work).options(name="work_2"))
    with pytest.raises(GraphError, match="did you mean 'work'"):
        TaskGraphBuilder("g").add(call(work)).add(call(work), depends_on="wrok")


def test_a_handler_gets_a_name_that_no_call_has() -> None:
    @task
    def page() -> None: ...

    @task(on_failure=page)
    def load() -> None: ...

    graph = TaskGraphBuilder("g").add(call(load)).then(call(page)).then(call(load)).build()
    assert graph.tasks == ("load", "page", "load_2")
    assert graph.failure_edges == (("load", "page_2"), ("load_2", "page_3"))


def test_sensors_and_commands_are_called_with_their_names() -> None:
    drop = call(FileSensor, "drop", path="in.csv")
    count = call(shell, "count", "wc -l", env={"FILE": drop["path"]})
    graph = TaskGraphBuilder("g").add(drop, on_failure=call(shell, "tell", "mail")).then(count).build()
    assert (graph.edges, graph.failure_edges) == ((("drop", "count"),), (("drop", "tell"),))
    renamed = TaskGraphBuilder("g").add(drop.options(name="other", retries=2)).build()
    assert [(each.name, each.retries) for each in renamed.spec.tasks] == [("other", 2)]


def test_b53_a_call_of_map_is_a_mapped_task_of_the_graph() -> None:
    @task
    def listed() -> list[int]:
        return [1]

    @task
    def load(n: int) -> int:
        return n

    listing = call(listed)
    graph = (
        TaskGraphBuilder("g")
        .add(listing)
        .then(call(load.map, n=listing), on_failure=call(work))
        .then(call(load.map, n=[1, 2]).options(retries=2))
        .build()
    )
    assert graph.tasks == ("listed", "load", "load_2")
    assert [each.map is not None for each in graph.spec.tasks] == [False, True, True, False]
    assert (graph.edges, graph.failure_edges) == (
        (("listed", "load"), ("load", "load_2")),
        (("load", "work"),),
    )


def test_a_builder_takes_the_options_of_a_dag_and_can_be_scheduled() -> None:
    builder = TaskGraphBuilder("nightly", schedule=Cron("0 2 * * *"), tags=["x"]).add(call(work))
    graph = builder.build()
    assert (graph.schedule.describe(), graph.spec.tags, graph.name) == (
        Cron("0 2 * * *").describe(), ("x",), "nightly",
    )  # fmt: skip
    assert graph.file == Path(__file__)
    assert builder.then(call(work)).build().tasks == ("work", "work_2")
    assert graph.tasks == ("work",), "what was built stays as it is"
    with pytest.raises(GraphError, match="no option 'shedule'"):
        TaskGraphBuilder("g", shedule=None).add(call(work)).build()  # type: ignore[call-arg]


def test_a_handler_has_no_options_of_a_place_in_the_graph() -> None:
    @task(trigger_rule="all_done")
    def whatever() -> None: ...

    with pytest.raises(GraphError, match="trigger_rule='all_done'"):
        TaskGraphBuilder().add(call(work), on_failure=call(whatever)).build()


def test_a_kwarg_of_build_does_not_stick() -> None:
    builder = TaskGraphBuilder("g").add(call(work))
    assert builder.build(on_all_failed=call(work)).callbacks == {"on_all_failed": "work_2"}
    assert builder.build().callbacks == {}


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: call(3),  # type: ignore[arg-type]
        lambda: call(work).options(retires=3),  # type: ignore[call-arg]
        lambda: TaskGraphBuilder("g").add(work),  # type: ignore[arg-type]
        lambda: TaskGraphBuilder("g").add_chain([call(work)]),  # type: ignore[arg-type]
        lambda: TaskGraphBuilder("g").add(call(work), depends_on=3),  # type: ignore[arg-type]
        lambda: TaskGraphBuilder("no name").add(call(work)).build(),
        lambda: TaskGraphBuilder("g").add(call(lambda: None)).build(),
        lambda: TaskGraphBuilder("g", on_all_failed=call(work)).on_all_failed(call(work)),
        lambda: TaskGraphBuilder("g", on_success=3).add(call(work)).build(),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(wrong: Callable[[], object]) -> None:
    with pytest.raises(GraphError) as raised:
        wrong()
    assert "\n" not in str(raised.value)


# --- the decorators --------------------------------------------------------------------------------


@task
def notify(failure: Failure) -> None: ...


@task(on_failure=notify)
def fetch() -> str:
    return "x"


def test_s2_21_on_failure_of_a_task_makes_a_handler_at_each_place() -> None:
    @dag(on_all_failed=notify, on_success=call(work).options(name="done"))
    def twice() -> None:
        fetch() >> fetch()

    assert twice.edges == (("fetch", "fetch_2"),)
    assert twice.failure_edges == (("fetch", "notify"), ("fetch_2", "notify_2"))
    assert twice.callbacks == {"on_all_failed": "notify_3", "on_success": "done"}


def test_s2_23_one_call_is_one_handler_of_all_that_it_is_given_to() -> None:
    page = call(notify)

    @dag
    def both() -> None:
        fetch.options(on_failure=page)() >> shell("count", "wc", on_failure=page)
        FileSensor("drop", path="x", on_failure=page)

    assert both.failure_edges == (("fetch", "notify"), ("count", "notify"), ("drop", "notify"))


def test_s2_11_a_simple_chain_needs_no_builder() -> None:
    same_as_boilermaker("s2_11")

    @dag
    def chain() -> None:
        call_a, call_b = fetch.options(on_failure=None)(), shell("b", "true")
        call_a >> call_b

    assert (chain.edges, chain.failure_edges) == ((("fetch", "b"),), ())


def test_s2_5_a_cycle_is_a_value_error_that_names_its_path() -> None:
    with pytest.raises(ValueError, match="has a cycle: ") as raised:

        @dag
        def round_and_round() -> None:
            a, b, c = (shell(name, "true") for name in "abc")
            a >> b >> c >> a

    path = str(raised.value).partition("has a cycle: ")[2].partition(":")[0].split(" -> ")
    assert (path[0], set(path), len(path)) == (path[-1], {"a", "b", "c"}, 4)


def test_a_task_that_takes_a_failure_is_a_handler_or_has_a_default() -> None:
    with pytest.raises(GraphError, match="takes a Failure"):
        TaskGraphBuilder("g").add(call(notify)).build()

    @task
    def either(failure: Failure | None) -> None: ...

    assert TaskGraphBuilder("g").add(call(either)).build().tasks == ("either",)
    assert notify(Failure("a", "boom")) is None, "outside of a graph it is a plain function"


def test_on_failure_takes_tasks_and_calls() -> None:
    with pytest.raises(GraphError, match="must be a task or a call"):
        task(on_failure=print)(work)

    with pytest.raises(GraphError, match="must be a task or a call"):

        @dag(on_all_failed=print)
        def wrong() -> None:
            fetch()


def test_handlers_are_drawn_with_dotted_edges() -> None:
    graph = TaskGraphBuilder("g").add(call(work), on_failure=call(notify)).build(on_all_failed=call(work))
    drawn = graph.mermaid()
    assert "    t0 -. fails .-> t1\n" not in drawn + "x"
    assert "t0 -. fails .-> t1" in drawn
    assert '"work_2 (on_all_failed)"' in drawn


def test_a_graph_without_handlers_has_the_hash_it_had() -> None:
    @dag
    def plain() -> None:
        shell("a", "true") >> shell("b", "true")

    assert b"role" not in plain.encoded
    assert b"handles" not in plain.encoded
