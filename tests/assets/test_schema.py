"""Schemas that are compatible, and those that break a reader: against a reader that reads rows."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.assets.schema import WIDENS, breaks, schema_of
from bide.runtime.errors import UsageError

TYPES = ("int8", "int32", "int64", "float64", "string", "decimal", "timestamp", "date")
columns = st.builds(
    lambda kind, nullable, default: (
        {"type": kind, "nullable": nullable} | ({"default": 1} if default else {})
    ),
    st.sampled_from(TYPES),
    st.booleans(),
    st.booleans(),
)
schemas = st.dictionaries(st.sampled_from("abcd"), columns, max_size=4).map(
    lambda named: {"columns": [{"name": name, **more} for name, more in named.items()]}
)


def readable(reader: dict[str, Any], written: dict[str, Any]) -> bool:
    """Whether code made for `reader` can read every row that was written with `written`, column by column."""
    there = {each["name"]: each for each in written["columns"]}
    for column in reader["columns"]:
        can_do_without = column["nullable"] or "default" in column
        other = there.get(column["name"])
        if other is None:
            if not can_do_without:
                return False
        else:
            if other["type"] != column["type"] and column["type"] not in WIDENS.get(other["type"], ()):
                return False
            if other["nullable"] and not can_do_without:
                return False
    return True


@given(schemas, st.lists(schemas, max_size=4))
def test_s1_40_compatible_is_what_a_reader_of_rows_says(
    new: dict[str, Any], before: list[dict[str, Any]]
) -> None:
    last = before[-1:]
    backward = all(readable(new, each) for each in last)
    forward = all(readable(each, new) for each in last)
    assert (not breaks("backward", new, before)) == backward
    assert (not breaks("forward", new, before)) == forward
    assert (not breaks("full", new, before)) == (backward and forward)
    back, forth = (all(readable(new, each) for each in before), all(readable(each, new) for each in before))
    assert (not breaks("backward_transitive", new, before)) == back
    assert (not breaks("forward_transitive", new, before)) == forth
    assert (not breaks("full_transitive", new, before)) == (back and forth)


@given(schemas, schemas)
def test_s1_40_backward_is_forward_the_other_way_round(one: dict[str, Any], other: dict[str, Any]) -> None:
    assert bool(breaks("backward", one, [other])) == bool(breaks("forward", other, [one]))
    assert breaks("full_transitive", one, [one, one]) == ()


def test_widening_is_transitive_and_goes_one_way() -> None:
    for narrow, wide in WIDENS.items():
        for each in wide:
            assert narrow not in WIDENS.get(each, ())
            assert WIDENS.get(each, frozenset()) <= wide, (narrow, each)


def test_s1_1g_what_breaks_is_said_in_words() -> None:
    before = {
        "columns": [
            {"name": "id", "type": "bigint", "nullable": False},
            {"name": "amount", "type": "int32"},
            {"name": "note", "type": "text", "nullable": False},
        ]
    }
    new = {
        "columns": [
            {"name": "id", "type": "int64"},
            {"name": "amount", "type": "string"},
            {"name": "region", "type": "string", "nullable": False},
        ]
    }
    assert breaks("backward", new, [before]) == (
        "amount was int32 and is string",
        "region is new, and is neither nullable nor has a default",
    )
    assert breaks("forward", new, [before]) == (
        "id was never null and may be now",
        "amount was int32 and is string",
        "note is gone, and was neither nullable nor had a default",
    )


def test_a_mapping_of_names_to_types_is_a_schema_and_words_of_databases_are_known() -> None:
    assert breaks("full", {"id": "BIGINT", "x": "varchar"}, [{"x": "string", "id": "int64"}]) == ()


@pytest.mark.parametrize(
    ("stated", "sentence"),
    [
        ([1], "a schema is"),
        ({"columns": [{"name": "a"}]}, "has a name, a type"),
        ({"columns": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}, "has the column 'a' twice"),
    ],
)  # fmt: skip
def test_a_schema_that_is_none_says_what_is_wrong(stated: object, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        schema_of(stated)
