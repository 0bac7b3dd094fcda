"""Whether a schema is compatible with those before it: backward, forward, full, and transitive.

A schema is JSON: `{"columns": [{"name": "id", "type": "int64"}, ...]}`, each column with `nullable` (true
unless said) and perhaps a `default`, or in short a mapping of names to types, `{"id": "int64"}`.

Backward: who reads with the new schema can read what was written with the old one. Forward: who reads
with the old one can read what is written with the new one. Full: both. Plain modes look at the schema
before, transitive ones at all before. Order of columns means nothing; types may widen as `WIDENS` says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import UsageError


class Column(msgspec.Struct, frozen=True):
    """One column: what it holds, and whether it may be left out."""

    name: str
    type: str
    nullable: bool = True
    default: Any = None

    @property
    def optional(self) -> bool:
        """A reader can do without it: it is null, or its default."""
        return self.nullable or self.default is not None


Schema = dict[str, Column]

WIDENS: Final[dict[str, frozenset[str]]] = {
    "int8": frozenset({"int16", "int32", "int64", "float32", "float64", "decimal"}),
    "int16": frozenset({"int32", "int64", "float32", "float64", "decimal"}),
    "int32": frozenset({"int64", "float64", "decimal"}),
    "int64": frozenset({"decimal"}),
    "uint8": frozenset({"uint16", "uint32", "uint64", "int16", "int32", "int64", "float32", "float64", "decimal"}),
    "uint16": frozenset({"uint32", "uint64", "int32", "int64", "float32", "float64", "decimal"}),
    "uint32": frozenset({"uint64", "int64", "float64", "decimal"}),
    "uint64": frozenset({"decimal"}),
    "float32": frozenset({"float64"}),
    "date": frozenset({"timestamp"}),
}  # fmt: skip
"""What a type may become without a value being lost: a reader of the wider one can read the narrower."""

SAME: Final[dict[str, str]] = {
    "tinyint": "int8", "smallint": "int16", "int": "int32", "integer": "int32", "bigint": "int64", "long": "int64",
    "float": "float32", "real": "float32", "double": "float64", "text": "string", "varchar": "string", "str": "string",
    "boolean": "bool", "datetime": "timestamp", "numeric": "decimal", "bytes": "binary", "blob": "binary",
}  # fmt: skip
"""Other words for a type, as databases have them."""


def schema_of(stated: object) -> Schema:
    """The columns of a schema by name, or `UsageError` that says what is wrong with it."""
    if isinstance(stated, dict) and "columns" in stated and isinstance(stated["columns"], list | tuple):
        columns = [_column(each) for each in stated["columns"]]
    elif isinstance(stated, dict) and all(isinstance(each, str) for each in stated.values()):
        columns = [Column(str(name), _type(kind)) for name, kind in stated.items()]
    else:
        raise UsageError(
            'a schema is {"columns": [{"name": ..., "type": ...}, ...]} or a mapping of names to types, '
            f"and not {str(stated)[:80]}"
        )
    found = {column.name: column for column in columns}
    if len(found) < len(columns):
        names = [column.name for column in columns]
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"a schema has the column {twice!r} twice: rename one")
    return found


def _column(stated: object) -> Column:
    try:
        column = typed.convert(stated, Column)
    except msgspec.ValidationError as error:
        raise UsageError(
            f"a column of a schema has a name, a type, and perhaps nullable and default: {error}, in {str(stated)[:80]}"
        ) from None
    return msgspec.structs.replace(column, type=_type(column.type))


def _type(word: str) -> str:
    plain = word.strip().lower()
    return SAME.get(plain, plain)


def breaks(mode: str, new: object, before: Sequence[object]) -> tuple[str, ...]:
    """What keeps `new` from being compatible with the schemas before it, oldest first; empty: it is.

    >>> breaks("backward", {"id": "int64"}, [{"id": "int32", "note": "string"}])
    ()
    >>> breaks("forward", {"id": "int64"}, [{"id": "int32"}])
    ('id was int32 and is int64',)
    """
    way, _, reach = mode.partition("_")
    others = before if reach == "transitive" else before[-1:]
    if not others:
        return ()
    ours = schema_of(new)
    found: dict[str, None] = {}
    for each in others:
        theirs = schema_of(each)
        if way in ("backward", "full"):
            found.update(dict.fromkeys(_unreadable(ours, theirs, "now")))
        if way in ("forward", "full"):
            found.update(dict.fromkeys(_unreadable(theirs, ours, "before")))
    return tuple(found)


def _unreadable(reader: Schema, written: Schema, is_reader: str) -> list[str]:
    """What a reader with the one schema cannot read of what was written with the other."""
    found = []
    for name, column in reader.items():
        there = written.get(name)
        if there is None:
            if not column.optional:
                found.append(
                    f"{name} is new, and is neither nullable nor has a default"
                    if is_reader == "now"
                    else f"{name} is gone, and was neither nullable nor had a default"
                )
            continue
        if there.type != column.type and column.type not in WIDENS.get(there.type, ()):
            old, new = (there, column) if is_reader == "now" else (column, there)
            found.append(f"{name} was {old.type} and is {new.type}")
        elif there.nullable and not column.nullable and column.default is None:
            found.append(
                f"{name} was nullable and is not"
                if is_reader == "now"
                else f"{name} was never null and may be now"
            )
    return found
