"""What the world holds of assets: the newest version of each, and what its consumers have before them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.judged import Checked
from bide.runtime.assets.pending import Pending, Rule
from bide.runtime.assets.words import VersionState
from bide.runtime.schedules import OnAssets

if TYPE_CHECKING:
    from bide.runtime.engine.assets.changed import Looker
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


class Stale(NamedTuple):
    """The newest version of an asset of which the next is late."""

    version_id: int
    run_id: int | None
    start_us: int
    end_us: int


class AssetState:
    """One asset: its newest version, who consumes it, and who waits for it."""

    __slots__ = ("asset_id", "consumers", "covering", "last", "name", "stale", "waiting")

    def __init__(self, asset_id: int, name: str, last: int = 0) -> None:
        self.asset_id = asset_id
        self.name = name
        self.last = last
        self.stale: Stale | None = None
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


class Open:
    """A version that is made and not settled: its attempt goes, or it is `made` and has not been let out."""

    __slots__ = (
        "asset", "attempt_id", "backfill", "checks", "created", "dag_id", "end_us", "instance_id", "made", "plan_id", "reason",
        "run_id", "shadow", "start_us", "state", "version_id",
    )  # fmt: skip

    def __init__(
        self, version_id: int, asset: str, dag_id: int | None, run_id: int | None, instance_id: int | None,
        attempt_id: int | None, span: tuple[int, int], created: int, *, plan_id: int | None = None,
        shadow: bool = False, backfill: bool = False,
    ) -> None:  # fmt: skip
        self.version_id = version_id
        self.asset = asset
        self.dag_id = dag_id
        self.run_id = run_id
        self.instance_id = instance_id
        self.attempt_id = attempt_id
        self.start_us, self.end_us = span
        self.created = created
        self.plan_id = plan_id  # it is let out with the others of that plan
        self.backfill = backfill
        self.shadow = shadow  # it is never let out
        self.state = VersionState.UNKNOWN
        self.reason = ""
        self.checks: tuple[Checked, ...] = ()
        self.made = False


class Assets:
    """All of it. `news` are versions that their consumers are still to be given."""

    __slots__ = (
        "catalog", "consumers", "delivering", "expiring", "invalidated", "looking", "looks", "making", "named", "news",
        "of_interval", "open", "plans", "settled", "spreading",
    )  # fmt: skip

    def __init__(self) -> None:
        self.named: dict[str, AssetState] = {}
        self.catalog = Catalog()  # what is declared of them
        self.consumers: dict[int, Consumer] = {}  # by dag_id
        self.news: deque[tuple[Version, deque[Consumer]]] = deque()
        self.delivering = False
        self.open: dict[int, Open] = {}  # by number
        self.making: dict[
            int, dict[str, Open]
        ] = {}  # of these, by attempt and asset, those whose attempt goes
        self.of_interval: dict[tuple[str, int, int], dict[int, Open]] = {}  # of these, those that are made
        self.looking: dict[str, dict[Looker, None]] = {}  # by asset: who asks again when it changes
        self.looks: dict[Looker, tuple[str, ...]] = {}  # the same, by who
        self.settled: dict[int, set[str]] = {}  # by attempt that goes: what of its outlets is settled already
        self.expiring: dict[
            int, int
        ] = {}  # version -> until when its limitations are accepted, if it is still degraded
        self.plans: dict[int, int] = {}  # run of a rerun plan -> the plan
        self.invalidated = False  # something was found wrong, some time
        self.spreading: dict[int, None] = {}  # invalidations that are not spread to their end

    def opened(self, dag_id: int, kind: str, run_id: int) -> None:
        """Note an unfinished run of a consumer."""
        if kind == KIND and (consumer := self.consumers.get(dag_id)) is not None:
            consumer.open_runs.add(run_id)


def rule_of(schedule: OnAssets) -> Rule:
    return Rule(schedule.condition, schedule.consume, schedule.interval is not None)
