"""How an answer of `doctor` is printed: a line for each check, what to do below it, and what it comes to."""

from __future__ import annotations

from collections.abc import Iterator

from bide.runtime.cli.output import clean, wrapped
from bide.runtime.service.shapes import Check, Health

_INDENT = 6


def health_lines(health: Health) -> Iterator[str]:
    """The lines, as wide as the terminal; in a pipe each check is one."""
    for check in health.checks:
        yield from wrapped(f"{_word(check):<{_INDENT - 1}}{clean(f'{check.name}: {check.found}')}", _INDENT)
        if check.advice:
            yield from wrapped(" " * _INDENT + clean(check.advice), _INDENT)
    wrong = sum(not check.ok for check in health.checks)
    notes = sum(check.ok and bool(check.advice) for check in health.checks)
    noted = f", {notes} {'note' if notes == 1 else 'notes'}" if notes else ""
    if wrong:
        yield f"{wrong} of {len(health.checks)} checks {'is' if wrong == 1 else 'are'} BAD{noted}"
    else:
        yield f"{len(health.checks)} checks, nothing is wrong{noted}"


def _word(check: Check) -> str:
    if not check.ok:
        return "BAD"
    return "note" if check.advice else "ok"
