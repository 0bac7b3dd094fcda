"""How answers are printed: tables for people, JSON for programs; colour only on a terminal."""

from __future__ import annotations

import os
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
    """Columns as wide as they must be; `empty` goes to stderr when there are no rows."""
    if not rows:
        note(empty)
        return
    colour = coloured()
    cells = [[clean(cell) if cell is not None else "-" for cell in row] for row in rows]
    widths = [max(len(head), *(len(row[i]) for row in cells)) for i, head in enumerate(heads)]
    line = "  ".join(head.upper().ljust(width) for head, width in zip(heads, widths, strict=True)).rstrip()
    out = [f"\x1b[2m{line}\x1b[0m" if colour else line]
    for row in cells:
        padded = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        painted = [
            paint(text, cell, colour) if cell in GLYPHS else text
            for text, cell in zip(padded, row, strict=True)
        ]
        out.append("  ".join(painted).rstrip())
    write("\n".join(out))


def wrapped(text: str, indent: int) -> list[str]:
    """A line as several that fit the terminal, those after the first indented; as it is where there is none."""
    if not sys.stdout.isatty():
        return [text]
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, 40)
    lines = textwrap.wrap(
        text, width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False
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
    """To stdout; what its encoding lacks is replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), end=end)


def note(text: str) -> None:
    """A message for people, on stderr."""
    encoding = sys.stderr.encoding or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding), file=sys.stderr, flush=True)
