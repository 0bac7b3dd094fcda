"""Rows of the database as plain data, checked while they are read, so that damage ends in one sentence."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
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


def in_one(conn: sqlite3.Connection, shape: type[S], sql: str, values: Any = ()) -> list[S]:
    """The rows of a query in their shape, an `array_like` one, fetched as one row of JSON made within SQLite.

    For readers in threads beside a busy loop: each row that is fetched gives the interpreter's lock away and waits
    for it again, a switch interval of the interpreter each.
    """
    wrapped, decoder = _in_one(shape, sql)
    found: list[S] = decoder.decode(conn.execute(wrapped, values).fetchone()[0])
    return found


@cache
def _in_one(shape: type[Any], sql: str) -> tuple[str, msgspec.json.Decoder[Any]]:
    names = ", ".join(f"c{n}" for n in range(len(shape.__struct_fields__)))
    ordered = sql if "LIMIT" in sql.rpartition(")")[2] else f"{sql} LIMIT -1"  # with a limit its order stands
    wrapped = f"WITH found ({names}) AS ({ordered}) SELECT json_group_array(json_array({names})) FROM found"
    return wrapped, typed.decoder(list[shape], strict=False)  # type: ignore[valid-type]


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
