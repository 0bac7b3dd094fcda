"""A command from the mailbox: found among the verbs, carried out once for each key, answered, and written down."""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from bide.runtime.engine import auditing, precondition, retention
from bide.runtime.engine.commands import VERBS
from bide.runtime.engine.messages import Command, Reply
from bide.runtime.engine.turn import Slices, Turn
from bide.runtime.errors import BideError, UsageError


def command(t: Turn, e: Command) -> Slices:
    """Carry out a command; its error is its answer. One that bears a key is carried out once."""
    key = e.args.get("key")
    name = f"{e.verb}:{key}"
    if key:
        before = t.fact("idempotency", name)
        if before is None:  # unless it was asked a moment ago, in this very batch
            before = next(((row[1], row[3]) for row in t.changes.idempotency if row[0] == name), None)
        if before is not None:
            _again(t, e, *before)
            return
    try:
        if e.match is not None:
            precondition.check(t, e.match)
        if e.verb not in VERBS:
            raise UsageError(f"there is no command {e.verb!r}; there are: {', '.join(VERBS)}")
        result = VERBS[e.verb](t, e.args)
        if isinstance(result, Generator):
            result = yield from result
    except BideError as error:
        auditing.record(t, e, refused=str(error))
        t.effects.append(Reply(e.token, None, type(error).__name__, str(error)))
        return
    if not retention.goes_on(e):
        auditing.record(t, e)
    if key:
        t.changes.idempotency.append((name, msgspec.json.encode(result).decode(), t.now, e.digest))
    t.effects.append(Reply(e.token, result))


def _again(t: Turn, e: Command, result: str, digest: str) -> None:
    """The answer of the first time, unless another thing is asked for under the same key."""
    if e.digest and digest and e.digest != digest:
        wrong = (
            f"the key {e.args['key']!r} was used for another request: nothing was changed; "
            "use a new key for a new request"
        )
        auditing.record(t, e, refused=wrong)
        t.effects.append(Reply(e.token, None, UsageError.__name__, wrong))
        return
    if not retention.goes_on(e):
        auditing.record(t, e, repeated=True)
    t.effects.append(Reply(e.token, msgspec.json.decode(result)))
