"""Arguments: into a spec, through JSON, and back into what the function gets."""

from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any, Optional

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.errors import GraphError, NotFoundError
from bide.runtime.graph.binding import bind, bind_command, bind_params, encode_value, references
from bide.runtime.graph.building import declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.command import shell
from bide.runtime.graph.dag import Dag, dag
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import Lane, SensorSpec, TaskSpec
from bide.runtime.graph.task import task
from bide.runtime.values import Secret

if TYPE_CHECKING:
    from bide.runtime.executor.context import Context

FACTS = Facts(
    dag="d", task="t", run_id=7, logical_us=0, start_us=0, end_us=60_000_000, scheduled_us=0,
    params={"model": "orders"}, folder="/dags",
)  # fmt: skip
CONTEXT = object()


@task
def source() -> Any: ...


@task
def plain(*args: Any, **kwargs: Any) -> Any: ...


@task
def informed(ctx: "Context", path: str, n: int = 3, *, also: "Context | None" = None) -> None: ...


@task
def trusted(open_it: str, keep: Secret) -> None: ...


@task
def optional(x: int, ctx: Optional["Context"] = None) -> None: ...


def stored(built: Dag, name: str) -> TaskSpec:
    """The spec as it comes back from the store."""
    spec = next(spec for spec in built.spec.tasks if spec.name == name)
    return msgspec.json.decode(msgspec.json.encode(spec), type=TaskSpec)


def bound(
    built: Dag, name: str, outputs: dict[str, Any] | None = None
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return bind(stored(built, name), built.code[name], outputs or {}, FACTS, CONTEXT)


def one(*args: Any, to: Any = plain, **kwargs: Any) -> Dag:
    @dag
    def d() -> None:
        to(*args, **kwargs)

    return d


def test_outputs_arrive_where_they_were_passed() -> None:
    @dag
    def d() -> None:
        out = source()
        plain(out, [out["path"], {"deep": out["rows"][0]}], key=out)

    value = {"path": "a.csv", "rows": [10, 20]}
    args, kwargs = bound(d, "plain", {"source": value})
    assert (args, kwargs) == ((value, ["a.csv", {"deep": 10}]), {"key": value})


def test_what_is_not_json_comes_from_the_code() -> None:
    day, path = date(2026, 1, 1), Path("/x")
    args, kwargs = bound(one(day, [path, {1: "a"}], ratio=float("inf")), "plain")
    assert (args, kwargs) == ((day, [path, {1: "a"}]), {"ratio": float("inf")})


def test_a_tuple_stays_a_tuple() -> None:
    assert bound(one((1, (2, 3))), "plain")[0] == ((1, (2, 3)),)


def test_a_dict_with_a_reserved_key_is_taken_literally() -> None:
    value = {"$out": "not a task", "x": {"$secret": "env:NOPE"}, "$lit": {"$code": 1}}
    assert bound(one(value), "plain")[0] == (value,)


def test_code_that_no_longer_has_a_literal_says_so() -> None:
    before, after = one(Path("/x")), one("text", to=plain)
    args, _ = bind(stored(before, "plain"), after.code["plain"], {}, FACTS, CONTEXT)
    assert args == ("text",)
    with pytest.raises(GraphError, match="was declared with a PosixPath as an argument"):
        bind(stored(before, "plain"), Code(fn=plain.fn), {}, FACTS, CONTEXT)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ({"file": 1, "rows": 2}, "which has the keys 'file', 'rows'"),
        ({}, "which is an empty dict"),
        ([1], "which is a list of 1"),
        (3, "which is a int"),
    ],
)
def test_a_missing_key_names_the_task_and_what_was_found(value: Any, says: str) -> None:
    @dag
    def d() -> None:
        plain(source()["path"])

    with pytest.raises(GraphError) as raised:
        bound(d, "plain", {"source": value})
    assert str(raised.value) == f"the task 'plain' takes ['path'] of the output of 'source', {says}"


def test_the_upstreams_whose_outputs_are_needed_are_known_from_the_spec() -> None:
    @dag
    def d() -> None:
        a, b, c, e = (source.options(name=name)() for name in "abce")
        plain(a["x"], [{"deep": b}], key={"$lit": (c,)}) << e
        shell("s", "true", env={"$out": a})

    assert references(stored(d, "plain")) == ("a", "b", "c")
    assert references(stored(d, "s")) == ("a",)


@pytest.mark.parametrize("outputs", [{}, {"source": None}])
def test_an_upstream_without_an_output_or_with_null_reads_as_none(outputs: dict[str, Any]) -> None:
    @dag
    def d() -> None:
        plain(source()["path"])

    assert bound(d, "plain", outputs)[0] == (None,)


def test_the_context_goes_to_the_parameter_annotated_so_wherever_it_stands() -> None:
    assert bound(one("a", to=informed), "informed") == ((CONTEXT, "a"), {"also": CONTEXT})
    assert bound(one(path="a", n=4, to=informed), "informed") == ((CONTEXT, "a", 4), {"also": CONTEXT})
    assert bound(one(1, to=optional), "optional") == ((1, CONTEXT), {})


def test_the_context_is_known_by_its_class_too() -> None:
    kind = type("Context", (), {"__module__": "bide.runtime.executor.context"})
    other = type("Context", (), {"__module__": "flask"})

    def takes(ctx: Any, theirs: Any = None) -> None: ...

    takes.__annotations__.update(ctx=kind, theirs=other)
    assert bound(one(to=task(takes)), "takes") == ((CONTEXT,), {})


def test_b72_a_secret_is_stored_by_name_and_arrives_as_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_TEST_CANARY", "s3cr3t-canary")
    built = one(Secret("env:BIDE_TEST_CANARY"), Secret("env:BIDE_TEST_CANARY"), to=trusted)
    assert b"s3cr3t" not in built.encoded
    assert bound(built, "trusted")[0] == ("s3cr3t-canary", Secret("env:BIDE_TEST_CANARY"))


def test_a_secret_that_is_not_set_names_its_reference_only() -> None:
    with pytest.raises(NotFoundError, match="env:BIDE_TEST_UNSET"):
        bound(one(Secret("env:BIDE_TEST_UNSET")), "plain")


def test_a_function_that_changed_its_parameters_says_so() -> None:
    built = one("a", to=informed)

    def informed_now(ctx: "Context") -> None: ...

    with pytest.raises(GraphError, match="no longer takes the arguments of this run"):
        bind(stored(built, "informed"), Code(fn=informed_now, args=("a",)), {}, FACTS, CONTEXT)


def test_a_sensors_parameters_keep_secrets_by_name() -> None:
    @dag
    def d() -> None:
        spec = SensorSpec(trigger="http", params={}, timeout_us=1, poll_us=1)
        params = {"url": "http://x/{dag}", "token": Secret("env:T"), "id": source()["id"]}
        declare("w", fields={"lane": Lane.WAIT, "sensor": spec}, code=Code(kwargs=params))

    params = bind_params(stored(d, "w"), d.code["w"], {"source": {"id": 5}})
    assert params == {"url": "http://x/{dag}", "token": Secret("env:T"), "id": 5}


def test_a_command_is_rendered_but_what_comes_from_outside_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIDE_TEST_KEY", "{run_id}")

    @dag
    def d() -> None:
        env = {"A": "{run_id}", "B": source(), "C": Secret("env:BIDE_TEST_KEY"), "N": 3}
        shell("s", "run {params.model}", env=env, cwd="out/{dag}")

    command = bind_command(stored(d, "s"), d.code["s"], {"source": "{run_id}"}, FACTS)
    assert command.command == "run orders"
    assert command.env == {"A": "7", "B": "{run_id}", "C": "{run_id}", "N": "3"}
    assert command.cwd == "/dags/out/d"


def test_a_callable_stands_in_for_a_template_of_a_command() -> None:
    @dag
    def d() -> None:
        shell("s", lambda run: f"echo {run.run_id}", env={"END": lambda run: run.interval.end.minute})

    command = bind_command(stored(d, "s"), d.code["s"], {}, FACTS)
    assert (command.command, command.env) == ("echo 7", {"END": "1"})


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text() | st.sampled_from(["$out", "$lit", "$code"]), inner)
    ),
    max_leaves=12,
)


@given(value=json_values)
def test_any_json_value_survives_the_way_through_the_store(value: Any) -> None:
    def never(_out: Any) -> None:
        raise AssertionError

    spec = TaskSpec(name="plain", lane=Lane.THREAD, args=(encode_value(value, never),))
    again = msgspec.json.decode(msgspec.json.encode(spec), type=TaskSpec)
    args, _ = bind(again, Code(fn=plain.fn, args=(value,)), {}, FACTS, CONTEXT)
    assert args == (value,)
