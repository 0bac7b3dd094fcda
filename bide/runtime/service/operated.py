"""The rooms of the operations: what leads from `Operations` to those on backfills, assets, notices and the others.

A room is made when it is asked for: a command of the terminal loads its own alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from bide.runtime.clock import Clock

if TYPE_CHECKING:
    from bide.runtime.service.actions import Actions
    from bide.runtime.service.approvals import Approvals
    from bide.runtime.service.asset_graphs import AssetGraphs
    from bide.runtime.service.assets import Assets
    from bide.runtime.service.backfills import Backfills
    from bide.runtime.service.dag_views import DagViews
    from bide.runtime.service.door_counts import DoorCounts
    from bide.runtime.service.doors import Door, Live
    from bide.runtime.service.effects import Effects
    from bide.runtime.service.evidence import Evidence
    from bide.runtime.service.hooks import Hooks
    from bide.runtime.service.live import LiveHouse
    from bide.runtime.service.metrics import Metrics
    from bide.runtime.service.notices import Notices
    from bide.runtime.service.operations import Asks
    from bide.runtime.service.overview import Overview
    from bide.runtime.service.plans import Plans
    from bide.runtime.service.pools import Pools
    from bide.runtime.service.retaining import Retaining
    from bide.runtime.service.stats import Stats
    from bide.runtime.service.system import System
    from bide.runtime.service.tally import Tally
    from bide.runtime.service.tasks import Tasks
    from bide.runtime.service.waiting import WaitingRoom


class Operated:
    """Whoever is one of these sets what stands here."""

    db: Path
    _reader: Asks
    _door: Door
    _clock: Clock
    _live: Live | None
    _held: bool

    def metrics(self, house: LiveHouse, tally: Tally, db: Path, doors: DoorCounts) -> Metrics:
        """What is scraped of the runtime behind these."""
        from bide.runtime.service.metrics import Metrics

        return Metrics(house, tally, self._reader, db, doors)

    @property
    def backfills(self) -> Backfills:
        """The operations on backfills."""
        from bide.runtime.service.backfills import Backfills

        return Backfills(self._reader, self._door, self._clock, self._live, self._held)

    @property
    def plans(self) -> Plans:
        """The operations on rerun plans."""
        from bide.runtime.service.plans import Plans

        return Plans(self._reader, self._door, self._live, self._held)

    @property
    def assets(self) -> Assets:
        """The operations on assets."""
        from bide.runtime.service.assets import Assets

        return Assets(self._reader, self._door, self._clock, self._live, self._held)

    @property
    def asset_graph(self) -> AssetGraphs:
        """The operations on the asset graph, on contracts and promises."""
        from bide.runtime.service.asset_graphs import AssetGraphs

        return AssetGraphs(self._reader, self._clock)

    @property
    def actions(self) -> Actions:
        """One thing done to all runs, DAGs or waits that a filter finds."""
        from bide.runtime.service.actions import Actions

        return Actions(self._reader, self._door, self._clock, self._live)

    @property
    def approvals(self) -> Approvals:
        """The operations on approvals."""
        from bide.runtime.service.approvals import Approvals

        return Approvals(self._reader, self._door)

    @property
    def dag_views(self) -> DagViews:
        """DAGs at a glance, and how the runs of one went."""
        from bide.runtime.service.dag_views import DagViews

        return DagViews(self._reader, self._clock, self._live)

    @property
    def evidence(self) -> Evidence:
        """The operations on evidence: checklists, incidents, bundles."""
        from bide.runtime.service.evidence import Evidence

        return Evidence(self._reader, self._door, self._clock)

    @property
    def stats(self) -> Stats:
        """What runs did with their time."""
        from bide.runtime.service.stats import Stats

        return Stats(self._reader, self._clock)

    @property
    def tasks(self) -> Tasks:
        """The operations on task instances."""
        from bide.runtime.service.tasks import Tasks

        return Tasks(self._reader, self.db, self._live)

    @property
    def hooks(self) -> Hooks:
        """The webhooks and CloudEvents, and what was delivered."""
        from bide.runtime.service.hooks import Hooks

        return Hooks(self._reader, apart=self._held and self._live is None)

    @property
    def notices(self) -> Notices:
        """Routes of notices, and what went over them."""
        from bide.runtime.service.notices import Notices

        return Notices(self._reader, self._door, self._clock, self._live, self._held)

    @property
    def waiting(self) -> WaitingRoom:
        """What is waited for, in groups."""
        from bide.runtime.service.waiting import WaitingRoom

        return WaitingRoom(self._reader, self._live)

    @property
    def effects(self) -> Effects:
        """The ledger of external effects."""
        from bide.runtime.service.effects import Effects

        return Effects(self._reader)

    @property
    def retaining(self) -> Retaining:
        """How long what is over is kept."""
        from bide.runtime.service.retaining import Retaining

        return Retaining(self.db, self._reader, self._door, self._clock)

    @property
    def overview(self) -> Overview:
        """How all of it stands."""
        from bide.runtime.service.overview import Overview

        return Overview(self.db, self._reader, self._clock, self._live, self._held)

    @property
    def pools(self) -> Pools:
        """Slots, pools and budgets, who holds them and who waits."""
        from bide.runtime.service.pools import Pools

        return Pools(self._live, self._held)

    @property
    def system(self) -> System:
        """The process that holds the database, and the database."""
        from bide.runtime.service.system import System

        return System(self.db, self._reader, self._clock, self._live)
