"""Parameters of a DAG: declared, read from the terminal, checked; against a plain reading of JSON Schema."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import bide
from bide import Every, Param
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.params import checked, from_texts, schema_of
from bide.runtime.graph.spec import DagSpec


@bide.task
def work() -> None: ...


def spec_of(**params: Any) -> DagSpec:
    @bide.dag(params=params)
    def d() -> None:
        work()

    return d.spec


SPEC = spec_of(full=False, region=Param("eu", enum=["eu", "us"]), n=Param(1, type=int, ge=1, le=9))


def test_what_is_declared_is_json_schema_with_the_version() -> None:
    assert schema_of(SPEC) == {
        "type": "object",
        "properties": {
            "region": {"type": "string", "enum": ["eu", "us"], "default": "eu"},
            "n": {"type": "integer", "minimum": 1, "maximum": 9, "default": 1},
            "full": {"type": "boolean", "default": False},
        },
        "required": [],
        "additionalProperties": False,
    }
    assert SPEC.params == {"full": False, "region": "eu", "n": 1}


def test_plain_defaults_leave_the_hash_as_it_was() -> None:
    assert spec_of(full=False).param_schemas == {}


def test_a_run_has_defaults_and_what_it_was_given() -> None:
    assert checked(SPEC, {"n": 3}) == {"full": False, "region": "eu", "n": 3}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"regoin": "eu"}, "has no parameter 'regoin': did you mean 'region'?; it has: full, n, region"),
        ({"n": "3"}, "the parameter 'n' of the DAG 'd' is '3', and must be a whole number"),
        ({"n": True}, "is True, and must be a whole number"),
        ({"n": 1.5}, "is 1.5, and must be a whole number"),
        ({"n": 0}, "is 0, and must be 1 or more"),
        ({"n": 10}, "is 10, and must be 9 or less"),
        ({"full": 1}, "is 1, and must be true or false"),
        ({"region": "de"}, "is 'de', and must be one of 'eu', 'us'"),
        ({"region": None}, "is None, and must be a string"),
    ],
)
def test_a_mistake_is_one_sentence(given: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=re.escape(says)):
        checked(SPEC, given)


def test_a_required_one_is_asked_for_and_a_schedule_cannot_give_it() -> None:
    spec = spec_of(day=Param(type=str, pattern=r"^\d{4}-\d\d-\d\d$"))
    assert schema_of(spec)["required"] == ["day"]
    with pytest.raises(UsageError, match="needs the parameter 'day': give it with --param day="):
        checked(spec, {})
    with pytest.raises(UsageError, match="the pattern"):
        checked(spec, {"day": "yesterday"})
    assert checked(spec, {"day": "2026-06-15"}) == {"day": "2026-06-15"}
    with pytest.raises(GraphError, match="'day' has no default, and a schedule gives none"):

        @bide.dag(schedule=Every(hours=1), params={"day": Param(type=str)})
        def d() -> None:
            work()


def test_null_is_let_in_where_it_is_said() -> None:
    spec = spec_of(limit=Param(None, type=int, ge=1, nullable=True), other=Param(2, nullable=True), any=None)
    assert checked(spec, {"limit": None, "other": None, "any": [1]}) == {
        "limit": None,
        "other": None,
        "any": [1],
    }
    with pytest.raises(UsageError, match="must be a whole number or null"):
        checked(spec, {"limit": "x"})


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Param(1, ge=2), "the default of a Param is 1, and must be 2 or more"),
        (lambda: Param("x", enum=["a"]), "must be one of 'a'"),
        (lambda: Param("x", type=int), "must be a whole number"),
        (lambda: Param(1, type=bytes), "must be int, float, str, bool, list or dict"),
        (lambda: Param("x", pattern="("), "cannot be read"),
    ],
)
def test_a_param_that_contradicts_itself_is_refused(make: Any, says: str) -> None:
    with pytest.raises(GraphError, match=re.escape(says)):
        make()


def test_a_dag_that_declares_none_takes_anything() -> None:
    spec = spec_of()
    assert checked(spec, {"x": 1}) == {"x": 1}
    assert schema_of(spec)["additionalProperties"] is True


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("integer", "7", 7),
        ("integer", "x", "x"),
        ("number", "7", 7.0),
        ("string", "007", "007"),
        ("string", "true", "true"),
        ("boolean", "yes", True),
        ("boolean", "False", False),
        ("array", "[1, 2]", [1, 2]),
        ("object", '{"a": 1}', {"a": 1}),
        (["integer", "null"], "null", None),
    ],
)
def test_what_is_typed_takes_the_type_that_is_declared(kind: Any, text: str, value: Any) -> None:
    assert from_texts({"properties": {"p": {"type": kind}}}, {"p": text}) == {"p": value}
    assert type(from_texts({"properties": {"p": {"type": kind}}}, {"p": text})["p"]) is type(value)


values = (
    st.none() | st.booleans() | st.integers(-3, 12) | st.floats(-3, 12) | st.sampled_from(["", "ab", "abc"])
)


@given(
    kind=st.sampled_from([int, float, str, bool]), value=values, ge=st.none() | st.integers(0, 5),
    lt=st.none() | st.integers(5, 9), short=st.none() | st.integers(1, 3), nullable=st.booleans(),
)  # fmt: skip
def test_the_check_agrees_with_a_plain_reading(
    kind: type, value: Any, ge: int | None, lt: int | None, short: int | None, nullable: bool
) -> None:
    param = Param(type=kind, ge=ge, lt=lt, min_length=short, nullable=nullable)
    spec = DagSpec(name="d", tasks=(), param_schemas={"p": param.schema})
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    right = {
        int: is_number and isinstance(value, int), float: is_number, str: isinstance(value, str),
        bool: isinstance(value, bool),
    }[kind]  # fmt: skip
    if is_number:
        right = right and (ge is None or value >= ge) and (lt is None or value < lt)
    if isinstance(value, str):
        right = right and (short is None or len(value) >= short)
    if value is None:
        right = nullable
    try:
        checked(spec, {"p": value})
    except UsageError:
        assert not right
    else:
        assert right
