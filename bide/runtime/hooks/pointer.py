"""Pointers into what was delivered: a path through JSON or the name of a header, never an expression.

`$.order.lines[0].sku` and `/order/lines/0/sku` (RFC 6901) are the same place; `$` is the whole document,
`header:X-GitHub-Event` a header of the request. What a pointer does not find is `MISSING`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import msgspec

from bide.runtime.errors import GraphError, UsageError

LONGEST: Final = 256
"""Characters of a pointer."""
DEEPEST: Final = 32
"""Steps of a pointer."""
_STEP: Final = re.compile(r"\.([^.\[\]\s]+)|\[(0|[1-9][0-9]{0,8})\]")
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_ESCAPE: Final = re.compile(r"~(?![01])")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


class Missing:
    """The type of `MISSING`."""

    def __repr__(self) -> str:
        return "MISSING"


MISSING: Final = Missing()

Headers = Mapping[str, tuple[str, ...]]
"""Lower-case name -> the values it was given, in order."""


class Pointer(msgspec.Struct, frozen=True):
    """A place. A step is a key (str), an index of a list (int), or either, as RFC 6901 has it."""

    header: str = ""
    steps: tuple[str | int, ...] = ()
    either: bool = False

    def read(self, document: Any, headers: Headers) -> Any:
        """What stands there, or `MISSING`. `UsageError` for a header that was given more than once."""
        if self.header:
            found = headers.get(self.header, ())
            if len(found) > 1:
                raise UsageError(f"the header {self.header} was given {len(found)} times: send it once")
            return found[0] if found else MISSING
        at = document
        for step in self.steps:
            at = self._step(at, step)
            if at is MISSING:
                break
        return at

    def _step(self, at: Any, step: str | int) -> Any:
        if isinstance(at, dict):
            return at.get(step, MISSING) if isinstance(step, str) else MISSING
        if isinstance(at, list):
            if isinstance(step, str):
                if not self.either or not _INDEX.fullmatch(step):
                    return MISSING
                step = int(step)
            return at[step] if step < len(at) else MISSING
        return MISSING


@lru_cache(maxsize=1024)
def pointer(text: str) -> Pointer:
    """The pointer that `text` says. `GraphError` shows what one looks like.

    >>> pointer("$.lines[0].sku").read({"lines": [{"sku": "a"}]}, {})
    'a'
    >>> pointer("/lines/0/sku").read({"lines": [{"sku": "a"}]}, {})
    'a'
    """
    found = _parsed(text) if 0 < len(text) <= LONGEST else None
    if found is None or len(found.steps) > DEEPEST:
        shown = text if len(text) <= 80 else f"{text[:79]}…"
        raise GraphError(
            f"{shown!r} points nowhere: write $.key[0].other, /key/0/other (RFC 6901) or header:Name, of at "
            f"most {DEEPEST} steps; a text that is meant as it stands is Fixed({shown!r})"
        )
    return found


def _parsed(text: str) -> Pointer | None:
    if text.startswith("header:"):
        name = text.removeprefix("header:")
        return Pointer(header=name.lower()) if _HEADER.fullmatch(name) else None
    if text.startswith("/"):
        if _ESCAPE.search(text):
            return None
        parts = text[1:].split("/")
        return Pointer(steps=tuple(p.replace("~1", "/").replace("~0", "~") for p in parts), either=True)
    if not text.startswith("$"):
        return None
    steps: list[str | int] = []
    at = 1
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None:
            return None
        steps.append(step[1] if step[1] is not None else int(step[2]))
        at = step.end()
    return Pointer(steps=tuple(steps))
