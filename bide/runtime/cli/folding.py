"""Mapped tasks on a terminal: each with its instances below it while they are few, else those in trouble."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from bide.runtime.engine.states import OVER, State
from bide.runtime.service.shapes import TaskLine

FEW: Final = 20
"""Instances of one task that are shown."""
_TROUBLE: Final = frozenset({State.FAILED, State.LOST, State.UP_FOR_RETRY, State.CANCELLED})


def folded(tasks: Iterable[TaskLine]) -> Iterator[tuple[str, TaskLine]]:
    """(name, task) of what is shown: tasks in their order, of each mapped one at most `FEW` instances."""
    own: dict[str, list[TaskLine]] = defaultdict(list)
    whole = []
    for task in tasks:
        if task.map_index < 0:
            whole.append(task)
        else:
            own[task.task].append(task)
    for task in whole:
        yield task.task, task
        few = own[task.task]
        if len(few) > FEW:
            few = [each for each in few if each.state in _TROUBLE][:FEW]
        for each in few:
            yield f"{each.task}[{each.map_index}]", each


def counted(counts: dict[str, int], items: int) -> str:
    """How far a mapped task is, in words.

    >>> counted({"success": 8, "failed": 1, "running": 3}, 100)
    '9 of 100 ended, 1 failed, 3 running'
    """
    ended = sum(n for state, n in counts.items() if state in OVER)
    told = [f"{n:,} {state}" for state in _TOLD if (n := counts.get(state, 0))]
    return ", ".join([f"{ended:,} of {max(items, sum(counts.values())):,} ended", *told])


_TOLD: Final = (State.FAILED, State.LOST, State.UP_FOR_RETRY, State.DEFERRED, State.RUNNING)
