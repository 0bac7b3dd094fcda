"""Rows of the database as plain data, checked while they are read, so that damage ends in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.errors import StoreLostError
from bide.runtime.store.failure import READ_ERRORS, unreadable


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


R = TypeVar("R", bound=_Row)
S = TypeVar("S", bound=msgspec.Struct)


def columns(shape: type[msgspec.Struct], of: str = "") -> str:
    """What to select for rows of a shape whose fields are named as the columns are; `of`: the table's name in the query."""
    return ", ".join(f"{of}.{name}" if of else name for name in shape.__struct_fields__)


def in_one(
    conn: sqlite3.Connection, shape: type[S], sql: str, values: Any = (), parsed: tuple[str, ...] = ()
) -> list[S]:
    """The rows of a query in their shape, an `array_like` one, fetched as one row of JSON made within SQLite.

    For readers in threads beside a busy loop: each row that is fetched gives the interpreter's lock away and waits
    for it again, a switch interval of the interpreter each. `parsed`: the fields that are JSON, not text of it.
    """
    wrapped, decoder = _in_one(shape, sql, parsed)
    found: list[S] = decoder.decode(conn.execute(wrapped, values).fetchone()[0])
    return found


@cache
def _in_one(shape: type[Any], sql: str, parsed: tuple[str, ...]) -> tuple[str, msgspec.json.Decoder[Any]]:
    names = ", ".join(f"c{n}" for n in range(len(shape.__struct_fields__)))
    made = ", ".join(
        f"json(c{n})" if field in parsed else f"c{n}" for n, field in enumerate(shape.__struct_fields__)
    )
    wrapped = (
        f"WITH found ({names}) AS ({_ordered(sql)}) SELECT json_group_array(json_array({made})) FROM found"
    )
    return wrapped, typed.decoder(list[shape], strict=False)  # type: ignore[valid-type]


def _ordered(sql: str) -> str:
    """With a limit the order of what is selected stands."""
    return sql if "LIMIT" in sql.rpartition(")")[2] else f"{sql} LIMIT -1"


def in_words(
    conn: sqlite3.Connection, shape: type[S], sql: str, made_of: Mapping[str, str], values: Any = ()
) -> list[S]:
    """As `in_one`, in a shape with names: what each field is made of in SQL, so that nothing of a row is done in Python.

    `made_of` are expressions over the columns of the query, `found`; a field that is not in it is the column of its name.
    """
    wrapped, decoder = _in_words(shape, sql, tuple(made_of.items()))
    found: list[S] = decoder.decode(conn.execute(wrapped, values).fetchone()[0])
    return found


@cache
def _in_words(
    shape: type[Any], sql: str, made_of: tuple[tuple[str, str], ...]
) -> tuple[str, msgspec.json.Decoder[Any]]:
    wrapped = f"SELECT json_group_array({object_of(shape, dict(made_of))}) FROM ({_ordered(sql)}) found"
    return wrapped, typed.decoder(list[shape], strict=False)  # type: ignore[valid-type]


def object_of(shape: type[msgspec.Struct], made_of: Mapping[str, str]) -> str:
    """SQL: a row as the JSON of a shape."""
    made = (f"'{name}', {made_of.get(name, name)}" for name in shape.__struct_fields__)
    return f"json_object({', '.join(made)})"


def number(of: str) -> str:
    """SQL: a number in the words of the doors, where ids are text.

    >>> number("run_id")
    'CAST(run_id AS TEXT)'
    """
    return f"CAST({of} AS TEXT)"


def instant(of: str) -> str:
    """SQL: microseconds since the epoch as ISO 8601 in UTC, microseconds only where there are any; null as it is."""
    second = f"strftime('%Y-%m-%dT%H:%M:%S', {of} / 1000000 - ({of} % 1000000 < 0), 'unixepoch')"
    return f"{second} || iif({of} % 1000000, printf('.%06dZ', ({of} % 1000000 + 1000000) % 1000000), 'Z')"


def span(start: str, end: str) -> str:
    """SQL: a half-open interval of two instants, as JSON."""
    return f"json_object('start', {instant(start)}, 'end', {instant(end)})"


def listed(conn: sqlite3.Connection, shape: type[R], sql: str, values: tuple[Any, ...] = ()) -> list[R]:
    """As `rows`, but as `in_one`: what is listed for people and programs."""
    return _checked(shape, lambda: in_one(conn, shape, sql, values))


def rows(conn: sqlite3.Connection, shape: type[R], sql: str, values: tuple[Any, ...] = ()) -> list[R]:
    """The rows of a query in their shape, checked. `StoreLostError` says what is damaged."""
    return _checked(shape, lambda: typed.convert(conn.execute(sql, values).fetchall(), list[shape]))  # type: ignore[valid-type]


def _checked(shape: type[R], read: Callable[[], list[R]]) -> list[R]:
    table = shape.__name__.removesuffix("Row").lower()
    try:
        return read()
    except msgspec.ValidationError as error:
        raise StoreLostError(
            f"a row of the {table}s is damaged ({error}): `bide doctor` names it; "
            "put a backup of the database back"
        ) from None
    except READ_ERRORS as error:
        raise unreadable(error, f"the table of {table}s") from error
