"""Entity tags (RFC 9110): what a resource answers with, and what a request says of those it has seen.

A tag is a number and a digest, `"17-9f86d081884c7d65"`. The number is the entity's (store/revisions.py): an edit that bears
If-Match is compared with it where it is decided. The digest tells two answers apart, for If-None-Match; a
resource that nobody edits under its own path has no number.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from bide.runtime.engine.precondition import Match
from bide.runtime.errors import UsageError

IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
PATTERN: Final = r'^(\*|(W/)?"[!#-~]*"(, ?(W/)?"[!#-~]*")*)$'
LONGEST: Final = 1_000
_LIST: Final = re.compile(r'\*|(W/)?"[!#-~]*"([ \t]*,[ \t]*(W/)?"[!#-~]*")*')
_ONE: Final = re.compile(r'(W/)?"([!#-~]*)"')
_NUMBERED: Final = re.compile(r"([0-9]{1,18})-[0-9a-f]{16}")
_match: Final[ContextVar[list[Match] | None]] = ContextVar("bide match", default=None)


def tag(number: int | None, body: bytes) -> str:
    """The tag of an answer.

    >>> tag(17, b"{}")
    '"17-44136fa355b3678a"'
    """
    digest = hashlib.sha256(body).hexdigest()[:16]
    return f'"{digest}"' if number is None else f'"{number}-{digest}"'


def seen(header: str, of: str) -> bool:
    """Whether an If-None-Match names this tag, by the weak comparison."""
    tags = _tags(header, IF_NONE_MATCH)
    return tags is None or of.strip('"') in {inside for _, inside in tags}


def numbers(header: str) -> tuple[int, ...] | None:
    """The numbers that an If-Match lets the entity have; None: any, it says `*`. Weak tags never match."""
    tags = _tags(header, IF_MATCH)
    if tags is None:
        return None
    found = (_NUMBERED.fullmatch(inside) for weak, inside in tags if not weak)
    return tuple(int(match[1]) for match in found if match is not None)


def _tags(header: str, name: str) -> list[tuple[str, str]] | None:
    header = header.strip(" \t")
    if len(header) > LONGEST or _LIST.fullmatch(header) is None:
        raise UsageError(f'the header {name} is a list of entity tags, such as "17-9f86d081884c7d65", or *')
    return None if header == "*" else _ONE.findall(header)


@contextmanager
def matching(match: Match) -> Iterator[None]:
    """The first command that is made within this block is carried out only if this holds."""
    before = _match.set([match])
    try:
        yield
    finally:
        _match.reset(before)


def taken() -> Match | None:
    """What the command that is made now has to hold to. It is asked for once."""
    found = _match.get()
    return found.pop() if found else None
