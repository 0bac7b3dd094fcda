"""Prometheus metrics of one runtime, in a registry of its own: what was counted, what is now, what the database says.

Nothing is kept for the sake of the library, which is loaded by the first scrape. What is now is read in the
loop at once; the database is asked, and the text is made, in a thread. Scrapes that overlap are one.
Labels are bounded: DAGs, pools, assets, states and kinds, never runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

import bide
from bide.runtime.aside import aside
from bide.runtime.clock import SECOND
from bide.runtime.errors import BideError
from bide.runtime.service.door_counts import DoorCounts
from bide.runtime.service.stats import path_of_run
from bide.runtime.service.tally import Buckets, Tally
from bide.runtime.store.metric_reads import Stored, stored
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

    from bide.runtime.service.live import LiveHouse
    from bide.runtime.service.operations import Asks

PATHS: Final = 20
"""DAGs whose newest critical path one scrape looks up; the others keep theirs until the next."""


class Now(msgspec.Struct, frozen=True):
    """What only the living know."""

    epoch: int
    dags: dict[str, int]
    slots: dict[str, tuple[float | None, int]]
    bodies: int
    armed: int
    inbox: int
    lag_s: float
    blocked: int
    full: bool
    ready: bool
    files: dict[str, int]


class Walked(msgspec.Struct, frozen=True):
    """The critical path of a run by phase, seconds."""

    run_id: int
    spent: dict[str, float]


class Metrics:
    """`await text(accept)` is a scrape."""

    def __init__(self, house: LiveHouse, tally: Tally, reader: Asks, db: Path, doors: DoorCounts) -> None:
        self._house, self._tally, self._reader, self._db = house, tally, reader, db
        self._doors = doors
        self._paths: dict[str, Walked] = {}
        self._scrape: asyncio.Task[Stored | None] | None = None
        self._unread = 0

    async def text(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their content type, in the format that is asked for."""
        if self._scrape is None or self._scrape.done():
            self._scrape = asyncio.create_task(self._ask(), name="bide scrape")
        seen = await asyncio.shield(self._scrape)
        now = now_of(self._house, self._db)
        return await aside(self._render, now, seen, accept)

    async def _ask(self) -> Stored | None:
        """A database that cannot be read costs its own metrics, and no other."""
        wanted = {
            dag: run_id
            for dag, run_id in list(self._tally.last_ended.items())
            if dag not in self._paths or self._paths[dag].run_id != run_id
        }
        try:
            seen: Stored = await self._reader.ask(Reader.read, stored)
            for dag, run_id in list(wanted.items())[:PATHS]:
                spent = await self._reader.ask(path_of_run, run_id)
                self._paths[dag] = Walked(run_id, spent)
        except BideError:
            self._unread += 1
            return None
        return seen

    # --- in a thread ----------------------------------------------------------------------------------

    def _render(self, now: Now, seen: Stored | None, accept: str) -> tuple[bytes, str]:
        from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector
        from prometheus_client.exposition import choose_encoder

        registry = CollectorRegistry()
        registry.register(_Collected([*self._counted(), *self._asked(), *_living(now), *self._stored(seen)]))
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        encode, kind = choose_encoder(accept)
        return encode(registry), kind

    def _counted(self) -> Iterator[Metric]:
        t = self._tally
        yield _counter("bide_commits", "Batches that were committed", t.commits)
        yield _counter("bide_journal_lines", "Lines that were written into the journal", t.lines)
        yield _counters("bide_runs", "Runs that ended", ("dag", "state"), t.runs)
        yield _counters("bide_attempts", "Attempts that ended", ("dag", "state"), t.attempts)
        yield _counters(
            "bide_retries", "Failures after which an instance is tried again", ("dag",), t.retries
        )
        yield _counters(
            "bide_upstream_failed",
            "Instances that did not run because of what stood above",
            ("dag",),
            t.upstream_failed,
        )
        yield _counters("bide_waits_ended", "Waits that ended", ("state",), t.waits)
        yield _counters("bide_alerts", "Alerts, late data among them (kind asset)", ("kind",), t.alerts)
        yield _counters("bide_quality_checks", "Findings of gates", ("severity", "outcome"), t.checks)
        yield _counters(
            "bide_asset_versions", "Versions of assets that came into a state", ("state",), t.versions
        )
        yield _counters("bide_skipped_firings", "Decisions not to run missed firings", ("dag",), t.skipped)
        yield _histograms("bide_run_duration_seconds", "What runs took from start to end", t.run_s)
        yield _histograms("bide_attempt_slot_seconds", "How long attempts held a slot", t.slot_s)
        yield _histograms("bide_attempt_queued_seconds", "How long attempts wanted a slot", t.queued_s)
        yield _gauges(
            "bide_critical_path_seconds",
            "What the critical path of the DAG's last ended run consists of",
            ("dag", "phase"),
            {(dag, phase): s for dag, path in list(self._paths.items()) for phase, s in path.spent.items()},
        )
        yield _counter("bide_unread_scrapes", "Scrapes in which the database could not be read", self._unread)

    def _asked(self) -> Iterator[Metric]:
        doors = self._doors
        yield _counters(
            "bide_http_requests",
            "Requests by the template of their route; none: no route was reached",
            ("route", "method", "status"),
            doors.requests,
        )
        yield _counters("bide_http_refused", "What the HTTP doors refused", ("reason",), doors.refused)
        yield _histograms(
            "bide_http_request_duration_seconds",
            "What requests took until their answer began",
            doors.took_s,
            "route",
        )

    def _stored(self, seen: Stored | None) -> Iterator[Metric]:
        if seen is None:
            return
        yield _gauges("bide_unfinished_runs", "Runs that are not over", ("state",), seen.runs)
        yield _gauges(
            "bide_task_instances", "Instances of runs that are not over", ("state",), seen.instances
        )
        yield _gauges("bide_open_waits", "What is waited for, by kind of trigger", ("kind",), seen.waits)
        yield _gauge("bide_new_alerts", "Alerts that nobody has taken or acknowledged", seen.alerts)
        yield _gauges(
            "bide_backfill_intervals", "Intervals of unfinished backfills", ("dag", "state"), seen.intervals
        )
        at = self._house.clock.now()
        yield _gauges(
            "bide_asset_age_seconds",
            "Time since the end of the newest visible interval of an asset",
            ("asset",),
            {each.asset: (at - each.end_us) / SECOND for each in seen.assets if each.end_us is not None},
        )
        yield _gauges(
            "bide_asset_rows",
            "Rows of the newest visible version of an asset, where that was said",
            ("asset",),
            {each.asset: each.rows for each in seen.assets if each.rows is not None},
        )


def now_of(house: LiveHouse, db: Path) -> Now:
    """Read in the loop, at once."""
    engine = house._engine
    world = engine.world
    slots: dict[str, tuple[float | None, int]] = {"slots": (world.slots.capacity, world.slots.used)}
    for name, (executing, in_flight) in world.pools.items():
        slots[name] = (executing.capacity, executing.used)
        if in_flight.capacity is not None:
            slots[f"{name} in flight"] = (in_flight.capacity, in_flight.used)
    dags = {"active": 0, "paused": 0, "removed": 0, "code not loaded": 0}
    for dag in world.dags.values():
        state = "removed" if dag.removed else "paused" if dag.paused else "active"
        dags["code not loaded" if dag.code_error and not dag.removed else state] += 1
    return Now(
        epoch=world.epoch,
        dags=dags,
        slots=slots,
        bodies=house._shell.executor.running,
        armed=house.armed,
        inbox=engine.waiting,
        lag_s=house.loop_lag_s,
        blocked=house._shell.executor.watchdog.reports,
        full=bool(house.full),
        ready=not house._ready(),
        files={"database": _size(db), "log": _size(Path(f"{db}-wal"))},
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _living(now: Now) -> Iterator[Metric]:
    from prometheus_client.metrics_core import InfoMetricFamily

    yield InfoMetricFamily("bide_build", "The version of bide.", {"version": bide.__version__})
    yield _gauge("bide_epoch", "How often a runtime was started on this database", now.epoch)
    yield _gauges("bide_dags", "DAGs that are known, by state", ("state",), now.dags)
    capacity = {pool: of for pool, (of, _) in now.slots.items() if of is not None}
    yield _gauges("bide_pool_slots", "Slots there are, of each pool and of all (slots)", ("pool",), capacity)
    used = {pool: taken for pool, (_, taken) in now.slots.items()}
    yield _gauges("bide_pool_slots_in_use", "Slots that attempts hold now", ("pool",), used)
    yield _gauge("bide_live_attempts", "Bodies that run or are parked in this process", now.bodies)
    yield _gauge("bide_armed_waits", "Waits that a source is watching", now.armed)
    yield _gauge("bide_mailbox_inputs", "Inputs that are still to be decided", now.inbox)
    yield _gauge(
        "bide_loop_lag_seconds", "How late the event loop was at most in the last ten seconds", now.lag_s
    )
    yield _counter("bide_loop_blocked", "Callbacks that held the event loop for 0.1 s and more", now.blocked)
    yield _gauge("bide_store_full", "1 while nothing can be committed for want of room", int(now.full))
    yield _gauge("bide_ready", "1 while it takes work", int(now.ready))
    yield _gauges("bide_database_bytes", "Size of the database and its log", ("file",), now.files)


class _Collected:
    """Families that are made already."""

    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def _key(labels: Any) -> tuple[str, ...]:
    return labels if isinstance(labels, tuple) else (labels,)


def _counter(name: str, what: str, value: float) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily

    return CounterMetricFamily(name, f"{what}.", value=value)


def _counters(name: str, what: str, labels: tuple[str, ...], counts: Mapping[Any, float]) -> Metric:
    from prometheus_client.metrics_core import CounterMetricFamily

    family = CounterMetricFamily(name, f"{what}.", labels=labels)
    for key, count in dict(counts).items():
        family.add_metric(_key(key), count)
    return family


def _gauge(name: str, what: str, value: float) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    return GaugeMetricFamily(name, f"{what}.", value=value)


def _gauges(name: str, what: str, labels: tuple[str, ...], values: Mapping[Any, float | None]) -> Metric:
    from prometheus_client.metrics_core import GaugeMetricFamily

    family = GaugeMetricFamily(name, f"{what}.", labels=labels)
    for key, value in values.items():
        if value is not None:
            family.add_metric(_key(key), value)
    return family


def _histograms(name: str, what: str, found: dict[str, Buckets], label: str = "dag") -> Metric:
    from prometheus_client.metrics_core import HistogramMetricFamily

    family = HistogramMetricFamily(name, f"{what}.", labels=(label,))
    for of, buckets in dict(found).items():
        family.add_metric((of,), buckets.cumulated(), buckets.sum)
    return family
