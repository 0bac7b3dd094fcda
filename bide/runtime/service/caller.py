"""Who asks: set by the door that a request comes in by, read where a command is put into the mailbox.

The edge sets it for each request, the terminal for its process, whoever mounts bide in an app of their
own for their users. What nobody has said is this process's own Python.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, Final, Literal

import msgspec
from msgspec.structs import force_setattr

from bide.runtime.engine.auditing import Asked
from bide.runtime.service.masking import masked, target_of
from bide.runtime.values import storable

Scope = Literal["read", "run", "admin"]
Via = Literal["terminal", "socket", "http", "hook", "python", "host"]
_RANK: Final = {"read": 1, "run": 2, "admin": 3}
_LONGEST: Final = 200


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text[:_LONGEST])


class Caller(msgspec.Struct, frozen=True):
    """Who asks, by which door, from where, and how much they may.

    `who`: a user of the system, the name of a token or of a hook. `scope`: read, run or admin, each of
    which allows what those before it do.
    """

    who: str
    via: Via = "host"
    address: str = ""
    scope: Scope = "admin"

    def __post_init__(self) -> None:
        for field in ("who", "address"):
            force_setattr(self, field, storable(_one_line(getattr(self, field))))

    def may(self, scope: str) -> bool:
        """Whether what needs `scope` is allowed. A scope that is not known is not."""
        return _RANK.get(self.scope, 0) >= _RANK.get(scope, 9)


PYTHON: Final = Caller("python", "python")
caller: Final[ContextVar[Caller | None]] = ContextVar("bide caller", default=None)


@contextmanager
def acting(who: Caller) -> Iterator[None]:
    """What is asked within this block is asked by `who`."""
    before = caller.set(who)
    try:
        yield
    finally:
        caller.reset(before)


def asked(verb: str, args: dict[str, Any], default: Caller = PYTHON) -> Asked:
    """The line of the audit log that a command of now leaves, but for what comes of it."""
    one = caller.get() or default
    return Asked(one.who, one.via, one.address, target_of(verb, args), masked(args))


def terminal() -> Caller:
    """Whoever has started this process."""
    return Caller(user_name(os.geteuid()), "terminal")


@cache
def user_name(uid: int) -> str:
    """The name of a user of this system; its number where it has none. Looked up once: that may ask a directory far away."""
    import pwd

    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"
