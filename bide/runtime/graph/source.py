"""The text of the file that a DAG was read from, as it was when it was read."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

KEPT_BYTES: Final = 256 * 1024
"""A longer text is known by its hash alone: the database is no place for it."""


class Source(msgspec.Struct, frozen=True):
    """`hash` is that of the text, SHA-256 in hex; `text` is None where it is longer than `KEPT_BYTES`."""

    file: str
    hash: str
    bytes: int
    text: str | None


def source_of(file: str, text: str) -> Source:
    r"""What is kept of a file's text.

    >>> found = source_of("/dags/orders.py", "x = 1\n")
    >>> found.bytes, found.text
    (6, 'x = 1\n')
    >>> source_of("/dags/orders.py", "#" * (KEPT_BYTES + 1)).text is None
    True
    """
    data = text.encode("utf-8", "replace")  # an odd encoding may have given what no database takes
    kept = data.decode() if len(data) <= KEPT_BYTES else None
    return Source(file, hashlib.sha256(data).hexdigest(), len(data), kept)
