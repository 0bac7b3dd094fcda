"""What every door offers on waits taken together: in this process, or over the socket."""

from __future__ import annotations

from typing import Protocol

from bide.runtime.service.route import Limit, get
from bide.runtime.service.waiting_shapes import WaitGroup


class WaitingDoors(Protocol):
    """Waits, many at once."""

    @get("/wait-groups", pages="key")
    async def groups(
        self,
        by: str = "source",
        dag: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        what: str | None = None,
        text: str | None = None,
        troubled: bool = False,
        limit: Limit = 100_000,
        before: str | None = None,
    ) -> list[WaitGroup]:
        """List what is waited for, with how many wait for it and how it is looked at; the most waits first.

        `by`: source (what sees it, shared by all waits on it), what, dag or task. The others narrow it as those of the open
        waits do.
        """
        ...
