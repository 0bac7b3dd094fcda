"""What every door offers on evidence: in this process, or over the socket."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from bide.runtime.service.evidence_shapes import BundleShown, ChecklistShown, IncidentLine, IncidentShown
from bide.runtime.service.shapes import Done


class EvidenceDoors(Protocol):
    async def checklist(self, asset: str) -> ChecklistShown: ...

    async def incidents(self, state: str | None = None, limit: int = 50) -> list[IncidentLine]:
        """The newest first."""
        ...

    async def incident(self, incident: str) -> IncidentShown: ...

    async def open(
        self,
        title: str,
        asset: str | None = None,
        invalidation: str | None = None,
        severity: str | None = None,
        by: str = "",
        text: str = "",
        dimensions: Sequence[str] = (),
    ) -> Done: ...

    async def note(
        self, incident: str, step: str, text: str, by: str = "", data: dict[str, Any] | None = None
    ) -> Done: ...

    async def plan(
        self, incident: str, plan: str | None = None, invalidation: str | None = None, by: str = ""
    ) -> Done: ...

    async def close(self, incident: str, text: str = "", by: str = "", anyway: bool = False) -> Done: ...

    async def export(self, incident: str) -> BundleShown: ...
