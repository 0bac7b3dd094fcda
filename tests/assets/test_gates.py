"""Ready gates judge what was said, else the data itself; what cannot be seen has failed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Asset, Check, Staged, gate
from bide.gates import fresh, in_range, no_nulls, rows, unique
from bide.runtime.assets.compared import Side, difference
from bide.runtime.assets.declarations import collecting
from bide.runtime.assets.words import Severity
from bide.runtime.clock import to_us
from bide.runtime.errors import GraphError

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def staged(uri: str = "", n: int | None = None, **meta: Any) -> Staged:
    return Staged("gold", uri, n, None, meta, NOW - timedelta(days=1), NOW, to_us(NOW))


@pytest.fixture(params=["csv", "jsonl", "table"])
def data(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, dict[str, Any]]:
    """The same records: in a file of either kind, or from a function."""
    records = [{"id": "1", "n": "5"}, {"id": "2", "n": "9"}, {"id": "2", "n": None}]
    if request.param == "table":
        return "db://gold", {"table": lambda _: records}
    path = tmp_path / f"gold.{request.param}"
    if request.param == "csv":
        path.write_text("id,n\n1,5\n2,9\n2,\n")
    else:
        path.write_text('{"id": "1", "n": 5}\n{"id": "2", "n": 9}\n\n{"id": "2", "n": null}\n')
    return str(path), {}


def test_b40_ready_gates_read_the_data(data: tuple[str, dict[str, Any]]) -> None:
    uri, table = data
    found = {
        check.__name__: check(staged(uri))
        for check in (
            rows(3, 3, **table), no_nulls("id", **table), no_nulls("n", **table), unique("id", **table),
            unique("id", "n", **table), in_range("n", 0, 8, **table),
        )
    }  # fmt: skip
    assert {name: (check.passed, check.observed) for name, check in found.items()} == {
        "rows": (True, 3),
        "no_nulls(id)": (True, 0),
        "no_nulls(n)": (False, {"n": 1}),
        "unique(id)": (False, 1),
        "unique(id, n)": (True, 0),
        "in_range(n)": (False, {"min": 5.0, "max": 9.0}),
    }


def test_b40_what_the_task_said_is_believed_before_the_data_is_looked_at() -> None:
    said = staged("nowhere", 7, nulls={"id": 0}, duplicates={"id": 2}, min={"n": 1}, max={"n": 3})
    assert rows(min=8)(said) == Check(False, 7, "at least 8")
    assert no_nulls("id")(said).passed
    assert unique("id")(said).observed == 2
    assert in_range("n", 1, 3)(said).passed


@pytest.mark.parametrize(
    "check", [rows(min=1), no_nulls("id"), unique("id"), in_range("n", 1), fresh(timedelta(hours=1))]
)
def test_b40_what_cannot_be_seen_has_failed_and_says_what_to_do(check: Any) -> None:
    found = check(staged("s3://bucket/gold.parquet"))
    assert not found.passed
    assert "say" in found.message


@pytest.mark.parametrize(("age", "passed"), [(1, True), (3, False)])
def test_b40_fresh_counts_from_the_instant_it_was_staged(age: float, passed: bool) -> None:
    newest = (NOW - timedelta(hours=age)).isoformat()
    assert fresh(timedelta(hours=2))(staged(newest=newest)).passed is passed


def test_b40_columns_are_named_one_by_one_or_as_a_list_and_a_range_in_either_words(
    data: tuple[str, dict[str, Any]],
) -> None:
    uri, table = data
    same = [
        [no_nulls("id", "n", **table), no_nulls(["id", "n"], **table), no_nulls(cols=["id", "n"], **table)],
        [unique("id", "n", **table), unique(("id", "n"), **table), unique(cols=["id", "n"], **table)],
        [in_range("n", 0, 8, **table), in_range(col="n", lo=0, hi=8, **table), in_range(column="n", low=0, high=8, **table)],
    ]  # fmt: skip
    for first, *others in same:
        for other in others:
            assert (other.__name__, other(staged(uri))) == (first.__name__, first(staged(uri)))
    for nothing in (no_nulls, unique, in_range):
        with pytest.raises(GraphError, match="is of no column: name one"):
            nothing()


def test_s1_7g_gates_are_declared_by_decorator_and_in_the_call() -> None:
    gold = Asset("gold")
    with collecting() as found:

        @gate(gold, severity="critical", owner="ann")
        def all_there(staged: Staged) -> bool:
            """All there is."""
            return True

        gate(gold, rows(min=1), no_nulls("id"), severity="minor")
        [said] = found.values()
        specs = {spec.spec.name: spec.spec for spec in said.gates.values()}
        found.clear()
    assert (specs["all_there"].severity, specs["all_there"].owner, specs["all_there"].doc) == (
        Severity.CRITICAL, "ann", "All there is.",
    )  # fmt: skip
    assert specs["no_nulls(id)"].severity is Severity.MINOR
    assert all_there(staged()) is True, "it is still a function"
    with pytest.raises(GraphError, match="'bad', and must be one of info"):
        gate(gold, severity="bad")


def test_s1_17_a_shadow_is_compared_with_what_is_seen() -> None:
    mine = Side(2, "b", {"rows": 3, "by": "x"}, 7, ["a", "b"], {"rows": True})
    seen = Side(1, "a", {"rows": 2, "by": "x"}, 6, ["a"], {"rows": True, "old": True})
    assert difference(mine, seen) == {
        "against": 1, "schema": [["a"], ["a", "b"]], "meta": {"rows": [2, 3]}, "checks": {"old": [True, None]},
    }  # fmt: skip
    assert difference(mine, None) == {"against": None}
