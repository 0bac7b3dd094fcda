"""Patterns of parameters: searched in a number of steps that is bounded, whatever the pattern and the text are.

They are patterns of `re`, and mean what they mean there, but for what only trying again and again can find (look-around,
references back, possessive repeats), which is refused when the pattern is declared. All ways through a pattern are walked at
once, character by character, so nothing is tried twice.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, TypeAlias

from bide.runtime.errors import GraphError, UsageError

LONGEST: Final = 1_000
LARGEST: Final = 2_000
DEEPEST: Final = 40
STEPS: Final = 100_000
"""A pattern's characters, its size with all repeats written out, the depth of its groups; steps of one search (0.1 s)."""

_FLAGS: Final = re.compile(r"\(\?([aimsu]+)\)")
_COUNT: Final = re.compile(r"\{(?!\})([0-9]*)(?:(,)([0-9]*))?\}")
_ESCAPE: Final = re.compile(
    r"\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|N\{[^}]*\}|0[0-7]{0,2}|.)", re.DOTALL
)
_OPENS: Final = re.compile(r"\((?:\?:|\?P<[^>]*>|(?!\?))")
_AT: Final = {"^": "start", "$": "end", r"\A": "first", r"\Z": "last", r"\b": "edge"}

Test: TypeAlias = Callable[[str], object]


@dataclass(frozen=True, slots=True)
class One:
    """A character that passes a test."""

    test: Test


@dataclass(frozen=True, slots=True)
class At:
    """A place between characters."""

    what: str


@dataclass(frozen=True, slots=True)
class All:
    """One after the other."""

    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Any:
    """One or another."""

    of: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """`least` times to `most` times; None: without end."""

    of: Node
    least: int
    most: int | None


Node: TypeAlias = One | At | All | Any | Repeat
Step: TypeAlias = tuple[Test | None, str, tuple[int, ...]]
"""What passes (a character's test, or a place's name), and the steps after it."""


class Pattern:
    """A pattern that was read: `found_in` searches."""

    def __init__(self, steps: list[Step], flags: re.RegexFlag) -> None:
        self._steps = steps
        self._lines = bool(flags & re.MULTILINE)
        self._word = re.compile(r"\w", flags).match

    def found_in(self, text: str) -> bool:
        """Whether it is found anywhere. `UsageError` for a text that takes more than STEPS."""
        steps, left, end = self._steps, STEPS, len(self._steps)
        reached: set[int] = set()
        for at in range(len(text) + 1):
            seen: set[int] = set()
            alive: list[Test | None] = []
            after: list[tuple[int, ...]] = []
            todo = [*reached, 0]
            while todo:
                number = todo.pop()
                if number in seen:
                    continue
                if number == end:
                    return True
                seen.add(number)
                test, place, nexts = steps[number]
                if test is not None:
                    alive.append(test)
                    after.append(nexts)
                elif not place or self._is(place, text, at):
                    todo += nexts
            left -= len(seen) + 1
            if left < 0:
                raise UsageError(
                    f"a text of {len(text):,} characters takes more than {STEPS:,} steps to be searched: give a shorter one"
                )
            if at < len(text):
                here = text[at]
                reached = {
                    each
                    for test, nexts in zip(alive, after, strict=True)
                    if test is not None and test(here)
                    for each in nexts
                }
        return False

    def _is(self, place: str, text: str, at: int) -> bool:
        match place:
            case "first":
                return at == 0
            case "last":
                return at == len(text)
            case "start":
                return at == 0 or (self._lines and text[at - 1] == "\n")
            case "end":
                last = at == len(text) or (at == len(text) - 1 and text[at] == "\n")
                return last or (self._lines and text[at] == "\n")
        before = at > 0 and self._word(text[at - 1]) is not None
        return before is not (at < len(text) and self._word(text[at]) is not None)


@lru_cache(maxsize=256)
def pattern(text: str) -> Pattern:
    """Read it. `GraphError` says what of it cannot be read, or not be searched in bounded time.

    >>> pattern("^[a-z]+(-[a-z]+)*$").found_in("a-b"), pattern("^(a+)+$").found_in("a" * 1000 + "!")
    (True, False)
    """
    if len(text) > LONGEST:
        raise _refused(text, f"has {len(text):,} characters, and may have {LONGEST:,}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # a set that will mean something else one day
            re.compile(text)
    except (re.error, OverflowError, Warning) as error:
        raise _refused(text, f"cannot be read: {error}") from None
    except RecursionError:
        raise _refused(text, f"has groups nested deeper than {DEEPEST}") from None
    reading = _Reading(text)
    node = reading.either(0)
    steps: list[Step] = []
    _write(node, steps, text)
    return Pattern(steps, reading.flags)


def _refused(text: str, why: str) -> GraphError:
    shown = text if len(text) <= 80 else f"{text[:79]}…"
    return GraphError(f"the pattern {shown!r} of a Param {why}")


class _Reading:
    """From text to nodes; `re` has said that the text is a pattern."""

    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.flags = re.NOFLAG
        if said := _FLAGS.match(text):
            self.at = said.end()
            self.flags = re.RegexFlag(re.compile(said[0]).flags)

    def either(self, depth: int) -> Node:
        if depth > DEEPEST:
            raise _refused(self.text, f"has groups nested deeper than {DEEPEST}")
        found = [self._sequence(depth)]
        while self.text[self.at : self.at + 1] == "|":
            self.at += 1
            found.append(self._sequence(depth))
        return found[0] if len(found) == 1 else Any(tuple(found))

    def _sequence(self, depth: int) -> Node:
        found: list[Node] = []
        while self.at < len(self.text) and self.text[self.at] not in "|)":
            found.append(self._repeated(self._item(depth)))
        return All(tuple(found))

    def _item(self, depth: int) -> Node:
        text, start = self.text, self.at
        if text[start] == "(":
            opened = _OPENS.match(text, start)
            if opened is None:
                raise self._unbounded(start)
            self.at = opened.end()
            inner = self.either(depth + 1)
            self.at += 1
            return inner
        if text[start] == "[":
            self.at = self._end_of_set(start)
        elif escaped := _ESCAPE.match(text, start):
            self.at = escaped.end()
            if escaped[0][1] in "123456789Bz":
                raise self._unbounded(start)
        else:
            self.at += 1
        said = text[start : self.at]
        if said in _AT:
            return At(_AT[said])
        if len(said) == 1 and said != "." and not self.flags & re.IGNORECASE:
            return One(said.__eq__)
        return One(re.compile(said if said != "{" else r"\{", self.flags).match)

    def _end_of_set(self, at: int) -> int:
        at += 2 if self.text[at + 1] == "^" else 1
        at += self.text[at] == "]"
        while self.text[at] != "]":
            at += 2 if self.text[at] == "\\" else 1
        return at + 1

    def _repeated(self, node: Node) -> Node:
        text = self.text
        sign = text[self.at : self.at + 1]
        if sign and sign in "*+?":
            self.at += 1
            node = Repeat(node, int(sign == "+"), 1 if sign == "?" else None)
        elif count := _COUNT.match(text, self.at):
            self.at = count.end()
            least = int(count[1] or 0)
            most = int(count[3]) if count[3] else None
            node = Repeat(node, least, most if count[2] else least)
        else:
            return node
        if text[self.at : self.at + 1] == "+":
            raise self._unbounded(self.at - 1)
        self.at += text[self.at : self.at + 1] == "?"  # of how much is found nobody asks
        return node

    def _unbounded(self, at: int) -> GraphError:
        return _refused(
            self.text,
            f"has {self.text[at : at + 4]!r}, and is not searched in bounded time with it: it may have characters, "
            "sets, groups, |, repeats, ^, $ and \\b, with flags at its beginning; check anything else in a task",
        )


def _write(node: Node, steps: list[Step], text: str) -> None:
    """Append the steps of a node; who passes all of them is at the end of the list."""
    here = len(steps)
    if here > LARGEST:
        raise _refused(text, f"has more than {LARGEST:,} steps, each repeat written out: ask for fewer")
    match node:
        case One(test):
            steps.append((test, "", (here + 1,)))
        case At(what):
            steps.append((None, what, (here + 1,)))
        case All(of):
            for each in of:
                _write(each, steps, text)
        case Any(of):
            steps.append((None, "", ()))
            ways, ends = [], []
            for each in of:
                ways.append(len(steps))
                _write(each, steps, text)
                ends.append(len(steps))
                steps.append((None, "", ()))
            steps[here] = (None, "", tuple(ways))
            for each_end in ends:
                steps[each_end] = (None, "", (len(steps),))
        case Repeat(of, least, most):
            for _ in range(least):
                before = len(steps)
                _write(of, steps, text)
                if len(steps) == before:
                    return
            _write_rest(of, None if most is None else most - least, steps, text)


def _write_rest(of: Node, more: int | None, steps: list[Step], text: str) -> None:
    """Up to `more` times after those that must be."""
    leaves = []
    for _ in range(1 if more is None else more):
        leaves.append(len(steps))
        steps.append((None, "", ()))
        _write(of, steps, text)
        if len(steps) == leaves[-1] + 1:
            break
    if more is None:
        steps.append((None, "", (leaves[0],)))
    for leave in leaves:
        steps[leave] = (None, "", (leave + 1, len(steps)))
