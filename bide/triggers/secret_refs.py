"""Secrets inside a trigger's options are named there, and never stored: `{"$secret": "env:TOKEN"}`.

`name_secrets` writes a `Secret` of the author's in that form when a trigger is made, and refuses the form
itself there: what a task returned or a sender wrote names no secret. Only a trigger that is read back from
the database (`stored`) has it;
`bide.triggers.base.reveal` reads the values at the wire; `redact_log` covers the client libraries,
whose debug lines show requests and answers.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final

from bide.runtime.errors import UsageError
from bide.runtime.values import Secret, redactor

_stored: Final = ContextVar("bide_stored_trigger", default=False)


@contextmanager
def stored() -> Iterator[None]:
    """What is made within is a trigger that was made before: its references are its author's."""
    before = _stored.set(True)
    try:
        yield
    finally:
        _stored.reset(before)


def name_secrets(value: Any) -> Any:
    """`value` with each `Secret` written as its reference; lists become tuples.

    A reference that names no secret raises `UsageError`.

    >>> name_secrets({"X-Token": Secret("env:TOKEN")})
    {'X-Token': {'$secret': 'env:TOKEN'}}
    """
    match value:
        case Secret(ref=ref):
            return {"$secret": ref}
        case {"$secret": str(ref)} if len(value) == 1:
            if not _stored.get():
                raise UsageError(
                    f"{value!r} names no secret here: it is data, and a secret is named in the code, as Secret({ref!r})"
                )
            return {"$secret": Secret(ref).ref}
        case dict():
            return {key: name_secrets(part) for key, part in value.items()}
        case list() | tuple():
            return tuple(name_secrets(part) for part in value)
        case _:
            return value


def holds_secret(value: Any) -> bool:
    """Whether a reference stands anywhere inside `value`, as `name_secrets` left it."""
    match value:
        case dict():
            return set(value) == {"$secret"} or any(map(holds_secret, value.values()))
        case tuple():
            return any(map(holds_secret, value))
        case _:
            return False


class _Redacting(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redactor(record.getMessage()), None
        return True


_redacting: Final = _Redacting()


def redact_log(*loggers: str) -> None:
    """Mask every secret in the lines of these loggers; may be called again."""
    for name in loggers:
        logging.getLogger(name).addFilter(_redacting)
