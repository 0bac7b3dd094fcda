"""The instances of a mapped task, as its summary counts them: O(1) an end, nothing kept of what is over.

The summary is the instance at the task's place in the graph (map index -1); its children have the
indices 0, 1, ... and are made in that order, of a long list no more at a time than a window of them
want a slot. Plain state, like the rest of the world.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bide.runtime.engine.states import OVER, State

if TYPE_CHECKING:
    from bide.runtime.engine.world import Instance


class Fan:
    """The children of one mapped task in one run.

    The counts are of children that are over and whose index is below `made`: what lies beyond
    belongs to an expansion before this one.
    """

    __slots__ = (
        "busy",
        "cancelled",
        "children",
        "ending",
        "failed",
        "former",
        "items",
        "keeps",
        "made",
        "ready",
        "rows",
        "skipped",
        "success",
        "summary",
        "work",
    )

    def __init__(self, summary: Instance) -> None:
        self.summary = summary
        self.items = 0  # children of this expansion; 0 while there is none
        self.made = 0  # rows gone through: each below is as this expansion has it
        self.rows = 0  # rows there are, of any expansion
        self.keeps = False  # going through the rows again leaves alone what succeeded or was skipped
        self.children: dict[int, Instance] = {}  # those that are not over
        self.former: dict[int, Instance] = {}  # over, and still to be gone through
        self.success = self.failed = self.skipped = self.cancelled = 0
        self.ready = 0  # of the children, those that want a slot
        self.work: Any = None  # what makes children, once it has begun
        self.busy = False  # it is on the agenda
        self.ending = False  # all of them are being ended with their summary

    @property
    def total(self) -> int:
        """Rows to be gone through: those of a longer list before are put aside."""
        return max(self.items, self.rows)

    @property
    def whole(self) -> bool:
        return self.made >= self.total

    def begin(self, items: int, *, keeps: bool) -> None:
        """Go through the rows from the first one on."""
        self.items = items
        self.made = 0
        self.keeps = keeps
        self.success = self.failed = self.skipped = self.cancelled = 0

    def count(self, state: State, by: int = 1) -> None:
        """Count a child that is over."""
        if state is State.SUCCESS:
            self.success += by
        elif state is State.SKIPPED:
            self.skipped += by
        elif state is State.CANCELLED:
            self.cancelled += by
        else:
            self.failed += by

    def moved(self, child: Instance, was: State) -> None:
        """A child has come to an end, or from one end to another, or back from it."""
        index = child.map_index
        over = child.state in OVER
        if over:
            self.children.pop(index, None)
        else:
            self.children[index] = child
        if index >= self.made:
            if over:
                self.former[index] = child
            return
        if was in OVER:
            self.count(was, -1)
        if over:
            self.count(child.state)

    def hungry(self, window: int) -> bool:
        """Whether more children are to be made: few of those there are still want a slot."""
        return not self.busy and self.work is not None and 2 * self.ready < window and not self.whole

    @property
    def done(self) -> bool:
        """Nothing of it is left to wait for."""
        return self.whole and not self.children and not self.ending and self.summary.state is State.MAPPED

    def end(self) -> tuple[State, str]:
        """How the summary ends, and why."""
        if self.failed:
            return State.FAILED, f"{self.failed:,} of {self.items:,} instances failed"
        if self.cancelled:
            return State.CANCELLED, f"{self.cancelled:,} of {self.items:,} instances were cancelled"
        if self.success:
            return State.SUCCESS, ""
        return State.SKIPPED, f"all of its {self.items:,} instances were skipped"
