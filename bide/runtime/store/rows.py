"""Rows of the database as plain data, checked while they are read, so that damage ends in one sentence."""

from __future__ import annotations

import sqlite3
from typing import Any, TypeVar

import msgspec

from bide.runtime.errors import StoreLostError
from bide.runtime.store.failure import READ_ERRORS, unreadable


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False):
    pass


R = TypeVar("R", bound=_Row)


def rows(conn: sqlite3.Connection, shape: type[R], sql: str, values: tuple[Any, ...] = ()) -> list[R]:
    """The rows of a query in their shape, checked. `StoreLostError` says what is damaged."""
    table = shape.__name__.removesuffix("Row").lower()
    try:
        found = conn.execute(sql, values).fetchall()
    except READ_ERRORS as error:
        raise unreadable(error, f"the table of {table}s") from error
    try:
        return msgspec.convert(found, list[shape])  # type: ignore[valid-type]
    except msgspec.ValidationError as error:
        raise StoreLostError(
            f"a row of the {table}s is damaged ({error}): `bide doctor` names it; "
            "put a backup of the database back"
        ) from None
