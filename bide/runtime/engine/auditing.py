"""Every command leaves one line: who asked, from where, for what, and what came of it. Pure.

The line is of the batch that holds what the command changed: neither is ever there without the other.
A command that was refused has changed nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.values import redactor, storable

if TYPE_CHECKING:
    from bide.runtime.engine.changes import Row
    from bide.runtime.engine.messages import Command
    from bide.runtime.engine.turn import Turn

OUTCOMES: Final = ("ok", "refused")
_MESSAGE: Final = 2_000
_REPEATED: Final = "answered as before: it was carried out under this key already"


class Asked(msgspec.Struct, frozen=True):
    """Who asked, by which door, and what of: as the audit log is to have it. Secrets are masked already.

    `target` are words (`run 12`), `args` is JSON, cut to a limit.
    """

    who: str = "python"
    via: str = "python"
    address: str = ""
    target: str = ""
    args: str = "{}"


def record(t: Turn, e: Command, *, refused: str = "", repeated: bool = False, said: str = "") -> None:
    """Put the line of a command among the changes of this turn, unless it is bide's own. `said`: what is to be added."""
    if e.asked is None:
        return
    outcome = "refused" if refused else "ok"
    t.changes.audit.append(row(e, e.asked, t.now, outcome, refused or (_REPEATED if repeated else said)))


def row(e: Command, who: Asked, now: int, outcome: str, message: str) -> Row:
    """The line of a command, as `Changes.audit` has it."""
    said = storable(redactor(message)[:_MESSAGE])
    return (now, who.who, who.via, who.address, storable(e.verb[:100]), who.target, who.args, outcome, said)
