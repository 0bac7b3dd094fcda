"""What the world holds of assets: the newest version of each, and what its consumers have before them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.pending import Pending, Rule
from bide.runtime.schedules import OnAssets

if TYPE_CHECKING:
    from bide.runtime.engine.world import DagState, Wait

KIND = "asset"
"""The kind of a run that versions of assets have made."""


class Version(NamedTuple):
    """A version just published. `before` is the number of the one before it of the same asset."""

    asset: str
    version_id: int
    start_us: int
    end_us: int
    before: int


class WaitedFor(NamedTuple):
    """An interval that is waited for: one version of it, or versions that cover it."""

    start_us: int
    end_us: int
    cover: bool


class AssetState:
    """One asset: its newest version, who consumes it, and who waits for it."""

    __slots__ = ("asset_id", "consumers", "covering", "last", "name", "waiting")

    def __init__(self, asset_id: int, name: str, last: int = 0) -> None:
        self.asset_id = asset_id
        self.name = name
        self.last = last
        self.consumers: dict[int, Consumer] = {}
        self.waiting: dict[WaitedFor, dict[int, Wait]] = {}  # by wait id
        self.covering: dict[WaitedFor, None] = {}  # of those, the intervals to be covered


class Cursor(NamedTuple):
    """How far a consumer has been given an asset; of that version only the periods before `split_us`."""

    version_id: int
    split_us: int | None = None


class Consumer:
    """A DAG whose schedule looks at assets."""

    __slots__ = ("cursors", "dag", "open_runs", "pending", "queued", "schedule")

    def __init__(self, dag: DagState, schedule: OnAssets) -> None:
        self.dag = dag
        self.schedule = schedule
        self.cursors: dict[str, Cursor] = {}
        self.pending = Pending(rule_of(schedule))
        self.open_runs: set[int] = set()  # made of versions, and not over
        self.queued = False  # its evaluation stands on the agenda


class Assets:
    """All of it. `news` are versions that their consumers are still to be given."""

    __slots__ = ("catalog", "consumers", "delivering", "named", "news")

    def __init__(self) -> None:
        self.named: dict[str, AssetState] = {}
        self.catalog = Catalog()  # what is declared of them
        self.consumers: dict[int, Consumer] = {}  # by dag_id
        self.news: deque[tuple[Version, deque[Consumer]]] = deque()
        self.delivering = False

    def opened(self, dag_id: int, kind: str, run_id: int) -> None:
        """Note an unfinished run of a consumer."""
        if kind == KIND and (consumer := self.consumers.get(dag_id)) is not None:
            consumer.open_runs.add(run_id)


def rule_of(schedule: OnAssets) -> Rule:
    return Rule(schedule.condition, schedule.consume, schedule.interval is not None)
