"""The operations on evidence over a service's socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from bide.runtime.service.evidence_shapes import BundleShown, ChecklistShown, IncidentLine, IncidentShown
from bide.runtime.service.shapes import Done


class EvidenceClient:
    """`get` and `post` are those of `ServiceClient`."""

    def __init__(self, get: Callable[..., Any], post: Callable[..., Any]) -> None:
        self._get, self._post = get, post

    async def checklist(self, asset: str) -> ChecklistShown:
        found: ChecklistShown = self._get(ChecklistShown, f"/evidence/checklist/{quote(asset)}")
        return found

    async def incidents(self, state: str | None = None, limit: int = 50) -> list[IncidentLine]:
        found: list[IncidentLine] = self._get(list[IncidentLine], "/incidents", state=state, limit=limit)
        return found

    async def incident(self, incident: str) -> IncidentShown:
        found: IncidentShown = self._get(IncidentShown, _of(incident))
        return found

    async def open(
        self,
        title: str,
        asset: str | None = None,
        invalidation: str | None = None,
        severity: str | None = None,
        by: str = "",
        text: str = "",
        dimensions: Sequence[str] = (),
    ) -> Done:
        body = {
            "title": title,
            "asset": asset,
            "invalidation": invalidation,
            "severity": severity,
            "dimensions": list(dimensions),
            "by": by,
            "text": text,
        }
        done: Done = self._post(Done, "/incidents", body)
        return done

    async def note(
        self, incident: str, step: str, text: str, by: str = "", data: dict[str, Any] | None = None
    ) -> Done:
        body = {"step": step, "text": text, "by": by, "data": data or {}}
        done: Done = self._post(Done, f"{_of(incident)}/notes", body)
        return done

    async def plan(
        self, incident: str, plan: str | None = None, invalidation: str | None = None, by: str = ""
    ) -> Done:
        done: Done = self._post(
            Done, f"{_of(incident)}/plan", {"plan": plan, "invalidation": invalidation, "by": by}
        )
        return done

    async def close(self, incident: str, text: str = "", by: str = "", anyway: bool = False) -> Done:
        done: Done = self._post(Done, f"{_of(incident)}/close", {"text": text, "by": by, "anyway": anyway})
        return done

    async def export(self, incident: str) -> BundleShown:
        found: BundleShown = self._get(BundleShown, f"{_of(incident)}/bundle")
        return found


def _of(incident: str) -> str:
    return f"/incidents/{quote(incident, safe='')}"
