"""What only the process that watches knows of the waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from bide.runtime.triggerer.registration import Looked, SourceSeen


class Watching(Protocol):
    """Answers at once, from memory."""

    def seen(self, wait_id: int) -> Looked | None:
        """All that is known of the looks at an armed wait; None when it is not armed."""
        ...

    def source_of(self, wait_id: int) -> SourceSeen | None:
        """How the source of an armed wait stands; None when it is not armed."""
        ...
