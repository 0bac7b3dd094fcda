"""How answers are printed: tables for people, JSON for programs; colour only on a terminal."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, TextIO

import msgspec

from bide.runtime.engine.states import RunState, State

if TYPE_CHECKING:
    from bide.runtime.service.shapes import Detail

GLYPHS: Final = {
    State.PENDING: ("·", "dim"),
    State.READY: ("○", "cyan"),
    State.RUNNING: ("●", "bold blue"),
    State.DEFERRED: ("◐", "magenta"),
    State.MAPPED: ("⋮", "bold blue"),
    State.UP_FOR_RETRY: ("↻", "yellow"),
    State.AWAITING_APPROVAL: ("?", "yellow"),
    State.BLOCKED: ("■", "yellow"),
    State.LOST: ("!", "bold red"),
    State.SUCCESS: ("✓", "green"),
    State.FAILED: ("✗", "bold red"),
    State.SKIPPED: ("↷", "dim"),
    State.UPSTREAM_FAILED: ("↓", "red"),
    State.CANCELLED: ("⊘", "dim"),
    RunState.EXPANDING: ("…", "dim"),
    RunState.QUEUED: ("○", "cyan"),
}
"""A glyph and a style for each state; the word always stands beside them."""

_NARROW: Final = 20
"""No column that is not wider is folded: an instant stays on one line."""
_CONTROL: Final = re.compile(r"\x1b\[[0-9;]*m|[^ -~]")
_ANSI: Final = {
    "dim": "2",
    "bold red": "1;31",
    "red": "31",
    "green": "32",
    "yellow": "33",
    "bold blue": "1;34",
    "magenta": "35",
    "cyan": "36",
}


def coloured(stream: TextIO | None = None) -> bool:
    """Whether colour may be used: a terminal that has it, and no NO_COLOR."""
    stream = stream if stream is not None else sys.stdout
    return (
        stream is not None
        and stream.isatty()
        and not os.environ.get("NO_COLOR")
        and os.environ.get("TERM") != "dumb"
    )


def paint(text: str, state: str, on: bool) -> str:
    """`text` in the colour of a state."""
    style = GLYPHS.get(state, ("", ""))[1]  # type: ignore[call-overload]
    return f"\x1b[{_ANSI[style]}m{text}\x1b[0m" if on and style else text


def said_state(state: str, on: bool) -> str:
    """A state with its glyph: `✓ success`."""
    glyph = GLYPHS.get(state, (" ", ""))[0]  # type: ignore[call-overload]
    return paint(f"{glyph} {state}", state, on)


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    data = msgspec.json.format(msgspec.json.encode(value), indent=2)
    write(data.decode())


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str | None]], empty: str) -> None:
    """Columns as wide as they must be, folded where a terminal is narrower; `empty` goes to stderr without rows."""
    if not rows:
        note(empty)
        return
    colour = coloured()
    cells = [[clean(cell) if cell is not None else "-" for cell in row] for row in rows]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    if sys.stdout.isatty():
        widths = fitted(widths, [len(head) for head in heads], terminal_width())
    line = "  ".join(head.upper().ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()
    out = [f"\x1b[2m{line}\x1b[0m" if colour else line]
    for row in cells:
        for part in _folded(row, widths):
            padded = [cell.ljust(width) for cell, width in zip(part, widths, strict=True)]
            painted = [
                paint(text, cell, colour) if cell in GLYPHS else text
                for text, cell in zip(padded, part, strict=True)
            ]
            out.append("  ".join(painted).rstrip())
    write("\n".join(out))


def fitted(widths: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """Widths that fit the room, the widest columns made narrower; as they are where that would not do.

    >>> fitted([6, 60, 30], [4, 4, 4], 80)
    [6, 40, 30]
    """
    found = list(widths)
    over = sum(widths) + 2 * (len(widths) - 1) - room
    while over > 0:
        widest = max(range(len(found)), key=found.__getitem__)
        if found[widest] <= max(_NARROW, least[widest]):
            return list(widths)
        found[widest] -= 1
        over -= 1
    return found


def _folded(row: Sequence[str], widths: Sequence[int]) -> list[Sequence[str]]:
    """A row as the lines it takes: one, unless a cell is wider than its column."""
    if all(len(cell) <= width for cell, width in zip(row, widths, strict=True)):
        return [row]
    import itertools
    import textwrap

    parts = [
        [cell] if len(cell) <= width else textwrap.wrap(cell, width, break_on_hyphens=False)
        for cell, width in zip(row, widths, strict=True)
    ]
    return list(itertools.zip_longest(*parts, fillvalue=""))


def terminal_width() -> int:
    """How many columns a terminal has; 80 where it does not say."""
    import shutil

    return max(shutil.get_terminal_size().columns, 40)


def wrapped(text: str, indent: int) -> list[str]:
    """A line as several that fit the terminal, those after the first indented; as it is where there is none."""
    if not sys.stdout.isatty():
        return [text]
    import textwrap

    lines = textwrap.wrap(
        text, terminal_width(), subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
    )
    return lines or [""]


def print_why(head: str, details: Sequence[Detail], after: str | None) -> None:
    """An answer to `why`: its sentence, the facts behind it, what comes next."""
    write(head)
    width = max((len(d.what) for d in details), default=0)
    for detail in details:
        write(f"  {detail.what.ljust(width)}  {detail.value}")
    if after:
        write(f"  next: {after}")


def stamp(instant: str | None) -> str | None:
    """An instant of the answers for people's eyes: to the second, the `T` a space.

    >>> stamp("2026-06-15T02:00:00.123456Z")
    '2026-06-15 02:00:00Z'
    """
    return None if instant is None else f"{instant[:10]} {instant[11:19]}Z"


def clean(text: str) -> str:
    """What came from outside, fit for a terminal: one line, no control characters."""
    return "".join(c if c.isprintable() else " " for c in text)


def write(text: str, end: str = "\n") -> None:
    """To stdout; what its encoding lacks is replaced, and what would drive a terminal does not reach one."""
    print(_fit(text, sys.stdout), end=end)


def note(text: str) -> None:
    """A message for people, on stderr."""
    print(_fit(text, sys.stderr), file=sys.stderr, flush=True)


def _fit(text: str, stream: TextIO) -> str:
    """`text` as a stream takes it. For a terminal colours stay, which are ours; a program gets all as it is."""
    if stream.isatty() and not text.isprintable():
        text = _CONTROL.sub(
            lambda found: found[0] if found[0].startswith("\x1b[") else _blank(found[0]), text
        )
    encoding = stream.encoding or "utf-8"
    return text.encode(encoding, "replace").decode(encoding)


def _blank(character: str) -> str:
    return character if character in "\n\t" or character.isprintable() else " "
