"""A request that bears an Idempotency-Key: carried to the command that it becomes, and to what that is told by.

The key goes with the command into one transaction: the command is carried out once, and whoever asks again
with the same key gets the answer of the first time. The digest tells another request with the same key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

import msgspec

_once: Final[ContextVar[tuple[str, str] | None]] = ContextVar("bide once", default=None)


@contextmanager
def once(key: str, operation: str, arguments: dict[str, Any]) -> Iterator[None]:
    """What is commanded within this block is commanded under this key."""
    said = {name: each for name, each in arguments.items() if name != "key"}
    digest = hashlib.sha256(msgspec.json.encode([operation, said], order="sorted")).hexdigest()
    before = _once.set((key, digest))
    try:
        yield
    finally:
        _once.reset(before)


def keyed(args: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The arguments of a command with the key that it is under, and the digest of what was asked; "": none is."""
    found = _once.get()
    return (args, "") if found is None else ({**args, "key": found[0]}, found[1])
