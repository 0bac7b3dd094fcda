"""A command that bears a key is carried out once for each caller, and answered ever after as it was then. Pure.

A key belongs to one request of one caller: what another caller was told under it is nobody else's, and another request
under it is refused. A request may become several commands; each of them has its own row, by its verb and turn.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from bide.runtime.engine.messages import Command
    from bide.runtime.engine.turn import Turn

ANSWER: Final = "answer"
"""The verb under which the whole answer of a request is kept."""
_USERS: Final = ("terminal", "socket")


class Before(msgspec.Struct, frozen=True):
    """What was answered under a key. `caller` is "" in rows of before callers were known; `result` is JSON."""

    caller: str
    verb: str
    result: str
    digest: str


def caller_id(who: str, via: str) -> str:
    """Whose a key is. A user is the same at the terminal and at the socket; a token is no user of its name.

    >>> caller_id("ann", "terminal"), caller_id("ann", "http")
    ('user ann', 'http ann')
    """
    return f"{'user' if via in _USERS else via} {who}"


def before(t: Turn, e: Command) -> Before | None:
    """What this command was answered under its key; None: it has not been carried out. Raises for another request."""
    key = str(e.args["key"])
    found = [*(Before(*row) for row in t.fact("answered", whose(e), key)), *_of_batch(t, whose(e), key)]
    row = same(found, e.digest, named(e), key)
    if row is None and e.args.get("again"):
        raise RefusedError(f"what was answered under the key {key!r} is kept no longer: nothing was done")
    return row


def same(found: list[Before], digest: str, verb: str, key: str) -> Before | None:
    """The row of a command among those of its key; `UsageError` when they are of another request.

    A row of nobody answers whoever asks the very same.
    """
    mine = [each for each in found if each.caller]
    if any(each.digest and digest and each.digest != digest for each in mine):
        raise UsageError(
            f"the key {key!r} was used for another request: nothing was changed; use a new key for a new request"
        )
    old = [each for each in found if not each.caller and each.digest == digest]
    return next((each for each in (*mine, *old) if each.verb == verb), None)


def keep(t: Turn, e: Command, result: Any) -> None:
    """Write the answer down, in the batch of what was done."""
    row = (whose(e), e.args["key"], named(e), msgspec.json.encode(result).decode(), t.now, e.digest)
    t.changes.answered.append(row)


def whose(e: Command) -> str:
    return caller_id(e.asked.who, e.asked.via) if e.asked is not None else "bide"


def named(e: Command) -> str:
    """The verb, and which turn it is of a request that asks for several."""
    turn = e.args.get("turn", 1)
    return e.verb if turn == 1 else f"{e.verb}#{turn}"


def _of_batch(t: Turn, caller: str, key: str) -> list[Before]:
    """What this very batch has answered."""
    return [Before(caller, row[2], row[3], row[5]) for row in t.changes.answered if row[:2] == (caller, key)]


def answer(t: Turn, args: dict[str, Any]) -> Any:
    """{answer} -> the same: what a request was told as a whole, kept under its key."""
    return args["answer"]
