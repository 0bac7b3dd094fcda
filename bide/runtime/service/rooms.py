"""The shortcuts of a `Runtime` to what its operations offer, room by room: `rt.assets`, `rt.stats`, ...; and `rt.waits()`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bide.runtime.loading import loaded

if TYPE_CHECKING:
    from bide.runtime.service.approvals import Approvals
    from bide.runtime.service.assets import Assets
    from bide.runtime.service.backfills import Backfills
    from bide.runtime.service.effects import Effects
    from bide.runtime.service.evidence import Evidence
    from bide.runtime.service.hooks import Hooks
    from bide.runtime.service.notices import Notices
    from bide.runtime.service.operations import Operations
    from bide.runtime.service.shapes import WaitLine
    from bide.runtime.service.stats import Stats


class _Operated(Protocol):
    @property
    def operations(self) -> Operations: ...


class Rooms:
    """Of whoever has `operations`."""

    async def waits(self: _Operated) -> list[WaitLine]:
        """The open waits, the nearest deadline first: what each waits for, since when, until when, its last look."""
        await loaded("bide.runtime.service.operations")
        return await self.operations.nearest_waits()

    @property
    def backfills(self: _Operated) -> Backfills:
        """Plan, start, show, pause, resume and cancel backfills."""
        return self.operations.backfills

    @property
    def evidence(self: _Operated) -> Evidence:
        """Checklists of assets, incidents and their runbook, bundles of evidence."""
        return self.operations.evidence

    @property
    def assets(self: _Operated) -> Assets:
        """Ask of assets and their versions; plan and run what mends them."""
        return self.operations.assets

    @property
    def approvals(self: _Operated) -> Approvals:
        """List what people are asked, approve and reject."""
        return self.operations.approvals

    @property
    def effects(self: _Operated) -> Effects:
        """The ledger of external effects: list it, show a delivery."""
        return self.operations.effects

    @property
    def hooks(self: _Operated) -> Hooks:
        """List the hooks, and what was delivered to them."""
        return self.operations.hooks

    @property
    def notices(self: _Operated) -> Notices:
        """The routes of notices, and what went over them."""
        return self.operations.notices

    @property
    def stats(self: _Operated) -> Stats:
        """What determined when runs ended, where time and slots went, how fresh data is."""
        return self.operations.stats
