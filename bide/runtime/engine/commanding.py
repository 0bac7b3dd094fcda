"""A command from the mailbox: found among the verbs, carried out once for each key, answered, and written down."""

from __future__ import annotations

from collections.abc import Generator

import msgspec

from bide.runtime.engine import auditing, retention
from bide.runtime.engine.commands import VERBS
from bide.runtime.engine.messages import Command, Reply
from bide.runtime.engine.turn import Slices, Turn
from bide.runtime.errors import BideError, UsageError


def command(t: Turn, e: Command) -> Slices:
    """Carry out a command; its error is its answer. One that bears a key is carried out once."""
    key = e.args.get("key")
    if key:
        before = t.fact("idempotency", f"{e.verb}:{key}")
        if before is None:  # unless it was asked a moment ago, in this very batch
            before = next((row[1] for row in t.changes.idempotency if row[0] == f"{e.verb}:{key}"), None)
        if before is not None:
            auditing.record(t, e, repeated=True)
            t.effects.append(Reply(e.token, msgspec.json.decode(before)))
            return
    try:
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
        t.changes.idempotency.append((f"{e.verb}:{key}", msgspec.json.encode(result).decode(), t.now))
    t.effects.append(Reply(e.token, result))
