"""A command from the mailbox: found among the verbs, carried out once for each key, answered, and written down."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import msgspec

from bide.runtime.engine import answering, auditing, hooking, precondition, retention
from bide.runtime.engine.commands import VERBS
from bide.runtime.engine.messages import Command, Reply
from bide.runtime.engine.turn import Slices, Turn
from bide.runtime.errors import BideError, UsageError


def command(t: Turn, e: Command) -> Slices:
    """Carry out a command; its error is its answer. One that bears a key is carried out once."""
    key = e.args.get("key")
    try:
        if key and (before := answering.before(t, e)) is not None:
            _record(t, e, None, repeated=True)
            t.effects.append(Reply(e.token, msgspec.json.decode(before.result)))
            return
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
    _record(t, e, result)
    if key:
        answering.keep(t, e, result)
    t.effects.append(Reply(e.token, result))


def _record(t: Turn, e: Command, result: Any, *, repeated: bool = False) -> None:
    """One line for what somebody asked for: not for each slice of it, nor for its answer."""
    if e.verb == hooking.DELIVER and result is not None:
        refused, said = hooking.told(result)
        auditing.record(t, e, refused=refused, said=said)
    elif e.verb != answering.ANSWER and not retention.goes_on(e):
        auditing.record(t, e, repeated=repeated)
