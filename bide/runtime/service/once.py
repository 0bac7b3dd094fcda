"""A request that bears an Idempotency-Key: carried to the command that it becomes, and to what that is told by.

The key goes with the command into one transaction: the command is carried out once, and whoever asks again
with the same key gets the answer of the first time. The digest tells another request with the same key. A request
that becomes several commands of a kind (work in slices) has a key of its own for each of them, in their order.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec

_Once = tuple[str, str, Counter[str]]
_once: Final[ContextVar[_Once | None]] = ContextVar("bide once", default=None)


@contextmanager
def once(key: str, operation: str, arguments: dict[str, Any]) -> Iterator[None]:
    """What is commanded within this block is commanded under this key."""
    said = {name: each for name, each in arguments.items() if name != "key"}
    digest = hashlib.sha256(msgspec.json.encode([operation, said], order="sorted")).hexdigest()
    before = _once.set((key, digest, Counter()))
    try:
        yield
    finally:
        _once.reset(before)


def keyed(verb: str, args: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The arguments of a command with the key that it is under, and the digest of what was asked; "": none is."""
    found = _once.get()
    if found is None:
        return args, ""
    key, digest, commanded = found
    commanded[verb] += 1
    turn = commanded[verb]
    return {**args, "key": key if turn == 1 else f"{key}#{turn}"}, digest
