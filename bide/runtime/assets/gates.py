"""Ready gates: rows, nulls, uniqueness, ranges, freshness.

They judge what the task said when it staged (`rows=`, `meta=`), else the data itself: a local file of CSV or
JSON lines at the staged place, or the records that `table=` returns for it. What can be had from neither is
a check that failed, and says so: nothing passes unseen.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bide.runtime.assets.gate import Check
from bide.runtime.assets.staged import Staged
from bide.runtime.clock import from_us
from bide.runtime.errors import GraphError

Record = Mapping[str, Any]
Table = Callable[[Staged], Iterable[Record]]
Ready = Callable[[Staged], Check]


class _Unseen(Exception):  # noqa: N818 - a finding: the data cannot be looked at
    """There is nothing to judge by."""


def rows(min: int | None = None, max: int | None = None, *, table: Table | None = None) -> Ready:  # noqa: A002 - the words of the field
    """As many rows as `min` to `max`, both included; by `stage(rows=...)`, else counted."""

    def check(staged: Staged) -> Check:
        n = staged.rows if staged.rows is not None else sum(1 for _ in _records(staged, table))
        ok = (min is None or n >= min) and (max is None or n <= max)
        return Check(ok, n, _range_words(min, max))

    return _named(check, "rows")


def no_nulls(*columns: str | Sequence[str], cols: Sequence[str] = (), table: Table | None = None) -> Ready:
    """No null in these columns, named one by one or as a list; by `meta={"nulls": {column: count}}`, else counted. In CSV an empty field is one."""
    names = _columns("no_nulls", *columns, cols)

    def check(staged: Staged) -> Check:
        said = staged.meta.get("nulls")
        if isinstance(said, dict) and all(column in said for column in names):
            found = {column: said[column] for column in names if said[column]}
        else:
            counts = dict.fromkeys(names, 0)
            for record in _records(staged, table):
                for column in names:
                    counts[column] += record.get(column) in (None, "")
            found = {column: n for column, n in counts.items() if n}
        return Check(not found, found or 0, "no nulls")

    return _named(check, f"no_nulls({', '.join(names)})")


def unique(*columns: str | Sequence[str], cols: Sequence[str] = (), table: Table | None = None) -> Ready:
    """No two rows alike in these columns, named one by one or as a list; by `meta={"duplicates": {"a,b": count}}`,
    else counted.
    """
    names = _columns("unique", *columns, cols)
    key = ",".join(names)

    def check(staged: Staged) -> Check:
        said = staged.meta.get("duplicates")
        if isinstance(said, dict) and key in said:
            n = int(said[key])
        else:
            seen = set[str]()
            n = 0
            for record in _records(staged, table):
                values = json.dumps([record.get(column) for column in names], default=str)
                n += values in seen
                seen.add(values)
        return Check(n == 0, n, "no duplicates")

    return _named(check, f"unique({', '.join(names)})")


def in_range(
    col: str = "",
    lo: float | None = None,
    hi: float | None = None,
    *,
    column: str = "",
    low: float | None = None,
    high: float | None = None,
    table: Table | None = None,
) -> Ready:
    """Every value of a column from `lo` to `hi` (`column`, `low` and `high` are the same); by `meta={"min": {column: x}, "max": {column: y}}`, else looked at."""
    (column,) = _columns("in_range", col or column)
    low, high = (lo if low is None else low), (hi if high is None else high)

    def check(staged: Staged) -> Check:
        least, most = (_said(staged, word, column) for word in ("min", "max"))
        if least is None or most is None:
            values = [float(v) for r in _records(staged, table) if (v := r.get(column)) not in (None, "")]
            if not values:
                return Check(True, None, _range_words(low, high), f"no value of {column}")
            least, most = min(values), max(values)
        ok = (low is None or least >= low) and (high is None or most <= high)
        return Check(ok, {"min": least, "max": most}, _range_words(low, high))

    return _named(check, f"in_range({column})")


def fresh(max_age: timedelta) -> Ready:
    """The newest record is at most so old, from the instant that it is staged; by `meta={"newest": ISO 8601}`."""

    def check(staged: Staged) -> Check:
        said = staged.meta.get("newest")
        if said is None:
            raise _Unseen('say how new the data is: stage(..., meta={"newest": "2026-06-15T04:00:00+00:00"})')
        newest = said if isinstance(said, datetime) else datetime.fromisoformat(str(said))
        if newest.tzinfo is None:
            raise _Unseen(f'meta["newest"] is {said!r}, and has no zone')
        age = from_us(staged.at_us) - newest
        return Check(age <= max_age, str(age), f"at most {max_age} old")

    return _named(check, "fresh")


def _said(staged: Staged, word: str, column: str) -> float | None:
    said = staged.meta.get(word)
    return float(said[column]) if isinstance(said, dict) and column in said else None


def _columns(gate: str, *given: str | Sequence[str]) -> tuple[str, ...]:
    """The columns, whether they were named one by one or as a list."""
    names = tuple(name for each in given for name in ((each,) if isinstance(each, str) else each))
    if not all(names) or not names:
        raise GraphError(f'the gate {gate} is of no column: name one, {gate}("id")')
    return names


def _named(check: Ready, name: str) -> Ready:
    def ready(staged: Staged) -> Check:
        try:
            return check(staged)
        except _Unseen as error:
            return Check(False, message=str(error))

    ready.__name__ = name
    ready.__doc__ = name
    return ready


def _range_words(low: float | None, high: float | None) -> str:
    if low is not None and high is not None:
        return f"{low} to {high}"
    return f"at least {low}" if low is not None else f"at most {high}" if high is not None else "any"


def _records(staged: Staged, table: Table | None) -> Iterator[Record]:
    """The records at the staged place."""
    if table is not None:
        yield from table(staged)
        return
    path = _local(staged.uri)
    if path is not None and path.suffix in (".csv", ".tsv"):
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",")
    elif path is not None and path.suffix in (".jsonl", ".ndjson"):
        with path.open(encoding="utf-8") as file:
            for line in file:
                if line.strip():
                    yield json.loads(line)
    else:
        where = f"{staged.uri!r} is" if staged.uri else "nothing staged is"
        raise _Unseen(
            f"{where} no local file of CSV or JSON lines: say rows= and meta= when it is staged, or give the gate table="
        )


def _local(uri: str) -> Path | None:
    parts = urlsplit(uri)
    if not uri or parts.scheme not in ("", "file"):
        return None
    path = Path(unquote(parts.path))
    return path if path.is_file() else None
