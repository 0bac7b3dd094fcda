"""Groups on a terminal: one in which all tasks stand alike is one line, `extract.* (12 tasks)`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from bide.runtime.engine.states import State

Row = tuple[str, str, str, str]
"""(task, state, attempts, reason)"""

_QUIET: Final = frozenset({State.SUCCESS, State.SKIPPED, State.PENDING, State.CANCELLED})


def by_group(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows with each outermost group whose tasks are all in one quiet state folded to one.

    >>> list(by_group([("a", "success", "1", ""), ("e.x", "success", "1", ""), ("e.y", "success", "2", "")]))
    [('a', 'success', '1', ''), ('e.* (2 tasks)', 'success', '', '')]
    """
    for group, found in groupby(rows, key=lambda row: row[0].partition(".")[0] if "." in row[0] else ""):
        of = list(found)
        states = {row[1] for row in of}
        if group and len(of) > 1 and len(states) == 1 and states <= _QUIET:
            reasons = {row[3] for row in of}
            yield f"{group}.* ({len(of)} tasks)", of[0][1], "", reasons.pop() if len(reasons) == 1 else ""
        else:
            yield from of
