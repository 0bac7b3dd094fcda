"""A request that bears an Idempotency-Key: carried to the command that it becomes, and to what that is told by.

The key goes with the command into one transaction: the command is carried out once, and whoever asks again
with the same key gets the answer of the first time. The digest tells another request with the same key. A request
that becomes several commands of a kind (work in slices) counts them in their order.

An operation that looks before it commands asks `again` first: what it would look at has moved on since, often by what
it did itself. Answers that hold more than their command's are kept as a whole (`Route.kept`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.engine.answering import ANSWER, Before, caller_id, same
from bide.runtime.service.caller import PYTHON, caller

if TYPE_CHECKING:
    from bide.runtime.service.doors import Door
    from bide.runtime.service.operations import Asks

_Once = tuple[str, str, Counter[str]]
_once: Final[ContextVar[_Once | None]] = ContextVar("bide once", default=None)


class Kept(msgspec.Struct, frozen=True):
    """A whole answer: its status, and its body as it was sent."""

    status: int
    body: str


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
    return {**args, "key": key, **({"turn": turn} if turn > 1 else {})}, digest


async def again(reader: Asks, door: Door, verb: str, key: str | None = None) -> Any:
    """The answer of the command that this request became when it was made before; None: it was not.

    `key`: where it is an argument of the operation. `UsageError` when the key is of another request.
    """
    found = _once.get()
    key, digest = (found[0], found[1]) if found is not None else (key, "")
    if key is None or same(await _answered(reader, key), digest, verb, key) is None:
        return None
    return await door.command(verb, {"again": True, "key": key})


async def kept(reader: Asks) -> Kept | None:
    """The whole answer of the first time, where it is kept. `UsageError` when the key is of another request."""
    found = _once.get()
    assert found is not None
    row = same(await _answered(reader, found[0]), found[1], ANSWER, found[0])
    return None if row is None else typed.decode(row.result, Kept)


async def has_commanded(reader: Asks) -> bool:
    """Whether something was carried out under the key of this request."""
    found = _once.get()
    return found is not None and bool(await _answered(reader, found[0]))


async def keep(door: Door, status: int, body: bytes) -> None:
    """Keep the whole answer under the key of this request, before it is given."""
    said = Kept(status, body.decode())
    await door.command(ANSWER, {"answer": msgspec.to_builtins(said)})


async def _answered(reader: Asks, key: str) -> list[Before]:
    from bide.runtime.store.facts import answered
    from bide.runtime.store.reader import Reader

    one = caller.get() or PYTHON
    whose = caller_id(one.who, one.via)
    return [Before(*row) for row in await reader.ask(Reader.read, lambda conn: answered(conn, whose, key))]
