"""What only the process that holds the database knows of its waits, and of all that is in its memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from bide.runtime.engine.world import World
    from bide.runtime.triggerer.registration import Looked, SourceSeen

T = TypeVar("T")


class Watching(Protocol):
    """Answers at once, from memory."""

    def seen(self, wait_id: int) -> Looked | None:
        """All that is known of the looks at an armed wait; None when it is not armed."""
        ...

    def source_of(self, wait_id: int) -> SourceSeen | None:
        """How the source of an armed wait stands; None when it is not armed."""
        ...

    @property
    def watched(self) -> frozenset[int]:
        """The waits that sources watch, by id."""
        ...

    @property
    def unwatched(self) -> frozenset[int]:
        """The waits that a source should watch and none does, by id."""
        ...

    def between_turns(self, question: Callable[[World, int], T]) -> T:
        """What a question finds in memory, now: it changes nothing, and takes a few milliseconds. Asked in the loop."""
        ...
