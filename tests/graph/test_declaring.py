"""Declaring a DAG: tasks, outputs, edges, names, and what is refused."""

import asyncio
import traceback
from datetime import timedelta
from typing import Any

import pytest

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.command import shell
from bide.runtime.graph.compile import compile_spec
from bide.runtime.graph.dag import Dag, dag
from bide.runtime.graph.spec import DagSpec, Lane, SensorSpec, TaskSpec, TriggerRule
from bide.runtime.graph.task import task
from bide.runtime.schedules import Cron, Every, Manual
from bide.runtime.values import Secret


@task
def load(path: str = "", rows: Any = None) -> str:
    """Load a file."""
    return f"loaded {path}"


@task
async def wave() -> str:
    return "hello"


def of(built: Dag, name: str) -> TaskSpec:
    return next(spec for spec in built.spec.tasks if spec.name == name)


def test_an_edge_that_comes_after_its_dag_was_declared_is_refused_and_its_nodes_hold_nothing() -> None:
    handles: list[Any] = []

    @dag
    def two() -> None:
        handles.extend((load(), wave()))

    assert of(two, "wave").upstream == ()
    with pytest.raises(GraphError, match="the DAG 'two' is declared already"):
        handles[0] >> handles[1]
    assert all(not each.node.fields and not each.node.encoded[0] for each in handles)


def test_a_task_called_outside_a_dag_runs_the_function() -> None:
    assert load("a.csv") == "loaded a.csv"
    assert asyncio.run(wave()) == "hello"
    assert load.options(retries=2)("b.csv") == "loaded b.csv"


def test_the_decorated_name_is_a_dag_and_calling_it_gives_it_back() -> None:
    @dag
    def daily() -> None:
        """Loads daily."""
        load("a")

    assert isinstance(daily, Dag)
    assert daily() is daily
    assert (daily.name, daily.tasks, daily.edges, daily.failure_edges) == ("daily", ("load",), (), ())
    assert (daily.spec.doc, of(daily, "load").doc) == ("Loads daily.", "Load a file.")
    assert isinstance(daily.schedule, Manual)
    assert repr(daily) == "<dag 'daily': 1 task, started by hand>"


def test_an_output_is_an_edge_and_a_value_wherever_it_stands() -> None:
    @dag
    def nested() -> None:
        a, b, c = load("a"), load("b"), load("c")
        load("d", rows={"first": a, "more": [b["path"], (c[0]["x"],)], "n": 3})

    assert nested.tasks == ("load", "load_2", "load_3", "load_4")
    assert nested.edges == (("load", "load_4"), ("load_2", "load_4"), ("load_3", "load_4"))
    assert of(nested, "load_4").kwargs["rows"] == {
        "first": {"$out": "load"},
        "more": [{"$out": "load_2", "at": ["path"]}, [{"$out": "load_3", "at": [0, "x"]}]],
        "n": 3,
    }


def test_arrows_make_edges_between_tasks_and_lists_of_them() -> None:
    @dag
    def arrows() -> None:
        a, b, c, d, e, f = (load.options(name=name)() for name in "abcdef")
        a >> [b, c] >> d
        e << d
        [e, f] << a

    assert {up + down for up, down in arrows.edges} == {"ab", "ac", "bd", "cd", "de", "ae", "af"}


def test_an_arrow_to_something_else_is_refused() -> None:
    with pytest.raises(GraphError, match="call the task first"):

        @dag
        def uncalled() -> None:
            load() >> load


def test_s0_1_a_cycle_is_refused_with_its_path() -> None:
    with pytest.raises(GraphError) as raised:

        @dag
        def looped() -> None:
            a, b, c = (load.options(name=name)() for name in "abc")
            a >> b >> c >> a

    text = str(raised.value)
    assert "the DAG 'looped' has a cycle: " in text
    assert any(path in text for path in ("a -> b -> c -> a", "b -> c -> a -> b", "c -> a -> b -> c"))
    assert "test_declaring.py:" in text


def test_an_edge_to_itself_is_refused() -> None:
    with pytest.raises(GraphError, match="'load' cannot stand after itself"):

        @dag
        def narcissus() -> None:
            a = load()
            a >> a


def test_an_output_of_another_dag_is_refused() -> None:
    kept: list[Any] = []

    @dag
    def first() -> None:
        kept.append(load())

    with pytest.raises(GraphError, match=r"the DAG 'second' cannot stand after 'load' of the DAG 'first'"):

        @dag
        def second() -> None:
            load(kept[0])


def test_an_output_used_after_its_dag_is_refused() -> None:
    kept: list[Any] = []

    @dag
    def over() -> None:
        kept.append(load())

    with pytest.raises(GraphError, match="outside of a DAG's body"):
        load(kept[0])


def test_one_name_at_two_places_is_refused_when_it_was_given_there() -> None:
    with pytest.raises(GraphError, match="two tasks named 'x'"):

        @dag
        def twice() -> None:
            load.options(name="x")()
            load.options(name="x")()


def test_numbers_go_around_names_that_were_given() -> None:
    @dag
    def around() -> None:
        load.options(name="load_2")()
        load()
        load()

    assert around.tasks == ("load_2", "load", "load_3")


@pytest.mark.parametrize("name", ["", "a b", "a/b", "x" * 201, "ä", "a\n"])
def test_a_name_is_letters_digits_and_few_signs(name: str) -> None:
    with pytest.raises(GraphError, match="cannot be the name of a task"):
        task(name=name)(lambda: None)
    with pytest.raises(GraphError, match="cannot be the name of a DAG"):
        Dag(DagSpec(name=name, tasks=()), code={})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"retries": -1}, "retries is -1, and must be a whole number, 0 or more"),
        ({"retries": True}, "retries is True"),
        ({"slots": 0}, "slots is 0"),
        ({"jitter": 1.5}, "jitter is 1.5, and must be between 0 and 1"),
        ({"jitter": float("nan")}, "jitter is nan"),
        ({"backoff": 0.5}, "backoff is 0.5"),
        ({"timeout": timedelta()}, "timeout must be longer than nothing"),
        ({"timeout": 5}, "timeout is 5, and must be a timedelta"),
        ({"retry_delay": timedelta(seconds=-1)}, "retry_delay must not be negative"),
        ({"retry_on": "OSError"}, "must be an exception class"),
        ({"trigger_rule": "all_sucess"}, "must be one of all_success, all_done"),
        ({"retrys": 3}, "has no option 'retrys': did you mean 'retries'?"),
        ({"lane": "gpu"}, "must be async, thread or process"),
        ({"lane": "async"}, "is a plain `def`"),
        ({"isolate": True, "lane": "thread"}, "isolate=True means the process lane"),
        ({"memory_limit": 10}, "memory_limit needs a process"),
        ({"outlets": [3]}, "outlets holds 3"),
        ({"max_active": 0}, "max_active is 0"),
        ({"priority": 1.5}, "priority is 1.5"),
        ({"owner": 3}, "owner is 3, and must be a str"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(options: dict[str, Any], says: str) -> None:
    with pytest.raises(GraphError) as raised:

        @task(**options)
        def careless() -> None: ...

    assert says in str(raised.value)
    assert "'careless'" in str(raised.value)


def test_options_become_fields_of_the_spec() -> None:
    class Named:
        name = "warehouse/orders"

    @task(
        retries=3, retry_delay=timedelta(minutes=2), timeout=timedelta(minutes=10), jitter=0.1, slots=2, pool="db",
        retry_on=(OSError, ValueError), outlets=[Named(), "plain"], trigger_rule="all_done", isolate=True,
        idempotent=False,
    )  # fmt: skip
    def rich() -> None: ...

    @dag
    def options() -> None:
        rich()

    spec = of(options, "rich")
    assert (spec.retries, spec.retry_delay_us, spec.timeout_us) == (3, 120_000_000, 600_000_000)
    assert (spec.lane, spec.rule, spec.idempotent) == (Lane.PROCESS, TriggerRule.ALL_DONE, False)
    assert spec.retry_on == ("builtins.OSError", "builtins.ValueError")
    assert spec.outlets == ("warehouse/orders", "plain")


def test_lanes_follow_the_kind_of_function() -> None:
    @dag
    def lanes() -> None:
        load()
        wave()
        shell("run", "true")

    assert [spec.lane for spec in lanes.spec.tasks] == [Lane.THREAD, Lane.ASYNC, Lane.SHELL]


def test_a_command_takes_templates_outputs_and_secrets() -> None:
    @dag
    def commands() -> None:
        path = load()
        shell(
            "dbt",
            "dbt run --select {params.model}",
            env={"IN": path, "KEY": Secret("env:K"), "DAY": "{interval.start}"},
        )

    spec = of(commands, "dbt")
    assert spec.upstream == ("load",)
    assert spec.shell is not None
    assert spec.shell.env == {"IN": {"$out": "load"}, "KEY": {"$secret": "env:K"}, "DAY": "{interval.start}"}


def test_a_template_that_names_nothing_is_refused_when_the_dag_loads() -> None:
    with pytest.raises(GraphError, match=r"names 'interval.begin', and there is interval.start"):

        @dag
        def wrong() -> None:
            shell("x", "echo {interval.begin}")


def test_a_sensor_declares_a_node_with_its_parameters() -> None:
    @dag
    def waits() -> None:
        path = load()
        sensor = SensorSpec(trigger="file", params={}, timeout_us=1, poll_us=1)
        node = declare(
            "w", fields={"lane": Lane.WAIT, "sensor": sensor}, code=Code(kwargs={"path": path["p"]})
        )
        load(node.output)

    spec = of(waits, "w")
    assert spec.sensor is not None
    assert spec.sensor.params == {"path": {"$out": "load", "at": ["p"]}}
    assert waits.edges == (("load", "w"), ("w", "load_2"))


def test_declaring_outside_of_a_dag_is_refused() -> None:
    with pytest.raises(GraphError, match="declared outside of a DAG"):
        shell("x", "true")


def test_arguments_that_the_function_does_not_take_are_refused_with_the_line() -> None:
    with pytest.raises(
        GraphError, match=r"test_declaring.py:\d+: the task 'load' is called with arguments it does"
    ):

        @dag
        def wrong() -> None:
            load(way="a")


def test_an_error_in_the_body_carries_file_and_line() -> None:
    with pytest.raises(GraphError) as raised:

        @dag
        def broken() -> None:
            load()
            raise KeyError("oops")

    cause = raised.value.__cause__
    assert isinstance(cause, KeyError)
    assert f"test_declaring.py:{traceback.extract_tb(cause.__traceback__)[-1].lineno}: " in str(raised.value)
    assert "the body of the DAG 'broken' raised KeyError: 'oops'" in str(raised.value)


@pytest.mark.parametrize(
    ("use", "says"),
    [
        (bool, "tested for truth"),
        (list, "iterated over"),
        (lambda out: f"{out}", "put into a string"),
        (lambda out: "x" in out, "searched"),
        (int, "used as a number"),
        (len, "measured"),
    ],
)
def test_an_output_used_as_a_value_too_early_says_what_to_do(use: Any, says: str) -> None:
    with pytest.raises(GraphError, match=says):

        @dag
        def early() -> None:
            use(load())


def test_a_dag_in_a_dag_is_refused_and_the_outer_goes_on_unharmed() -> None:
    with pytest.raises(GraphError, match="'inner' is declared in the body of 'outer'"):

        @dag
        def outer() -> None:
            @dag
            def inner() -> None: ...

    assert load("after") == "loaded after"


def test_a_body_that_needs_arguments_or_awaits_is_refused() -> None:
    with pytest.raises(GraphError, match="takes model, and is called with nothing"):

        @dag  # type: ignore[arg-type]
        def needy(model: str) -> None: ...

    with pytest.raises(GraphError, match="is an `async def`"):

        @dag
        async def later() -> None: ...


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"schedule": "0 2 * * *"}, "must be a schedule"),
        ({"catchup": True}, "catchup is True, and must be one of latest, all, none"),
        ({"tz": "Mars/Base"}, "no time zone 'Mars/Base'"),
        ({"start": "tomorrow"}, "start is 'tomorrow', and must be a date"),
        ({"start": "2026-02-01", "end": "2026-01-01"}, "end is not after start"),
        ({"max_active_runs": 0}, "max_active_runs is 0"),
        ({"params": {"p": object()}}, "is not JSON"),
        ({"shedule": Manual()}, "did you mean 'schedule'?"),
        ({"deadline": timedelta()}, "deadline must be longer than nothing"),
        ({"on_pause": "stop"}, "must be one of freeze, run"),
    ],
)
def test_a_wrong_option_of_a_dag_is_one_clear_sentence_with_the_line(
    options: dict[str, Any], says: str
) -> None:
    with pytest.raises(Exception, match=r"test_declaring.py:\d+: ") as raised:

        @dag(**options)
        def careless() -> None: ...

    assert says in str(raised.value)


def test_a_dag_without_tasks_is_refused_where_it_is_declared() -> None:
    with pytest.raises(
        GraphError, match=r"test_declaring.py:\d+: the DAG 'hollow' has no tasks: call at least"
    ):

        @dag
        def hollow() -> None: ...


def test_the_zone_is_the_dags_else_its_schedules_else_utc() -> None:
    def body() -> None:
        load("a", rows={})

    berlin = Cron("0 2 * * *", tz="Europe/Berlin")
    assert dag(schedule=berlin)(body).tz == "Europe/Berlin"
    assert dag(schedule=berlin, tz="Asia/Tokyo")(body).tz == "Asia/Tokyo"
    assert dag(schedule=Every(hours=1))(body).tz == "UTC"
    assert dag(schedule=Cron("0 2 * * *"), tz="Asia/Tokyo")(body).schedule == Cron(
        "0 2 * * *", tz="Asia/Tokyo"
    )


def test_naive_dates_are_read_in_the_dags_zone() -> None:
    @dag(start="2026-01-01", tz="Asia/Tokyo", catchup="all")
    def dated() -> None:
        load("a", rows={})

    assert dated.options["start_us"] == 1_767_193_200_000_000  # 2025-12-31T15:00Z
    assert dated.options["overlap"] == "queue_all"


def test_s0_2_s3_22_the_hash_is_of_the_graph_and_of_nothing_else() -> None:
    def build(rows: dict[str, int], **options: Any) -> Dag:
        def body() -> None:
            load("a", rows=rows)

        return dag(name="h", **options)(body)

    base = build({"x": 1, "y": 2})
    assert build({"y": 2, "x": 1}).hash == base.hash
    assert build({"x": 1, "y": 2}, schedule=Every(hours=1)).hash == base.hash
    assert build({"x": 1, "y": 3}).hash != base.hash
    assert len(base.hash) == 64


def test_s0_4_a_compiled_graph_has_edges_both_ways() -> None:
    @dag
    def diamond() -> None:
        a = load()
        b, c = load(a), load(a)
        load(b, rows=c)

    compiled = compile_spec(diamond.spec)
    assert compiled.upstream == ((), (0,), (0,), (1, 2))
    assert compiled.downstream == ((1, 2), (3,), (3,), ())
    assert compiled.waiting == (0, 1, 1, 2)
    assert compiled.index["load_4"] == 3


def test_a_large_body_does_no_quadratic_work() -> None:
    def body(n: int) -> Any:
        def fan() -> None:
            load("join", rows=[load(str(i)) for i in range(n)])

        return fan

    big = dag(name="big")(body(20_000))
    assert big.tasks[:2] == ("load", "load_2")
    assert len(big.edges) == 20_000
    assert compile_spec(big.spec).waiting[-1] == 20_000


def test_a_dag_draws_itself() -> None:
    @dag
    def drawn() -> None:
        load(load())

    assert drawn.mermaid() == 'flowchart LR\n    t0["load"]\n    t1["load_2"]\n    t0 --> t1'
    assert drawn.mermaid() in drawn._repr_html_()
