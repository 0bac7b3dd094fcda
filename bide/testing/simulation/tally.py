"""Counts what a simulation does, commit by commit: runs, late ones, slots over time, queue waits.

It reads the journal's rows as they are committed and keeps nothing of what is over but a span a run.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from bide.runtime.clock import MINUTE
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import RunMeta
from bide.runtime.engine.states import RUN_OVER
from bide.runtime.store.journal import instant

LATE_US = MINUTE
"""A run that starts later than this after its scheduled instant is late."""
_PROMISES = frozenset({"run", "task", "asset", "quality", "invalidation"})
"""Kinds of alerts that the report lists; how runs ended is in their outcomes."""
_OVER = frozenset(state.value for state in RUN_OVER)


class Span(msgspec.Struct, frozen=True):
    """One run on the picture. `ended_us` None: it goes on; `started_us` None: it waits for its turn."""

    dag: str
    scheduled_us: int
    started_us: int | None
    ended_us: int | None
    state: str


class QueueWait(msgspec.Struct, frozen=True):
    """How long a task was ready, or a run queued, before it started."""

    seconds: float
    dag: str
    task: str
    logical_date: str
    at: str


class _Run(msgspec.Struct):
    meta: RunMeta
    since_us: int
    started_us: int | None = None


class DagTally(msgspec.Struct):
    """One DAG: its runs by outcome, its late ones, what its schedule skipped."""

    runs: int = 0
    outcomes: dict[str, int] = {}
    tasks: int = 0
    late: int = 0
    latest_s: float = 0.0
    skipped: list[tuple[str, str]] = []


class Tally:
    """A listener to commits. `now` is the clock's, `used` the slots in use; the others name a DAG
    and a task instance by id.
    """

    def __init__(
        self, now: Callable[[], int], used: Callable[[], int], dag_of: Callable[[int], str],
        task_of: Callable[[int], str],
    ) -> None:  # fmt: skip
        self._now, self._used, self._dag_of, self._task_of = now, used, dag_of, task_of
        self.dags: dict[str, DagTally] = {}
        self.spans: list[Span] = []
        self.alerts: list[tuple[str, str]] = []
        self.slots_most = 0
        self.longest: QueueWait | None = None
        self.events = 0
        self._runs: dict[int, _Run] = {}
        self._ready: dict[int, int] = {}
        self._begun_us = self._last_us = now()
        self._held_us = 0
        self._in_use = 0

    @property
    def slots_mean(self) -> float:
        """Slots in use, on average over simulated time."""
        self._weigh()
        span = self._last_us - self._begun_us
        return self._held_us / span if span else 0.0

    def dag(self, name: str) -> DagTally:
        found = self.dags.get(name)
        if found is None:
            found = self.dags[name] = DagTally(outcomes={}, skipped=[])
        return found

    @property
    def open(self) -> list[Span]:
        """The runs that are not over."""
        return [
            Span(run.meta.dag, run.meta.scheduled_us, run.started_us, None, "running" if run.started_us else "queued")
            for run in self._runs.values()
        ]  # fmt: skip

    def opened(self, run: RunMeta) -> None:
        """A run has been made; told before the commit that made it is."""
        self._runs[run.run_id] = _Run(run, self._now())
        self.dag(run.dag).runs += 1

    def __call__(self, committed: Changes) -> None:
        for _, at, _, subject, subject_id, run_id, was, now, reason in committed.events:
            match subject:
                case "run":
                    self._run(at, subject_id, now)
                case "instance":
                    self._instance(at, subject_id, run_id, was, now)
                case "attempt" if not was and run_id in self._runs:
                    self.dag(self._runs[run_id].meta.dag).tasks += 1
                case "dag" if now == "skipped":
                    self.dag(self._dag_of(subject_id)).skipped.append((instant(at), reason))
        self.alerts += [(instant(row[7]), row[8]) for row in committed.alerts_new if row[2] in _PROMISES]
        self.events += len(committed.events)
        self._weigh()

    def _weigh(self) -> None:
        now = self._now()
        self._held_us += self._in_use * (now - self._last_us)
        self._last_us = now
        self._in_use = self._used()
        self.slots_most = max(self.slots_most, self._in_use)

    def _run(self, at: int, run_id: int, now: str) -> None:
        run = self._runs.get(run_id)
        if run is None:
            return
        if now == "queued":
            run.since_us = at
        elif now == "running" and run.started_us is None:
            self._started(run, at)
        elif now in _OVER:
            del self._runs[run_id]
            tally = self.dag(run.meta.dag)
            tally.outcomes[now] = tally.outcomes.get(now, 0) + 1
            self.spans.append(Span(run.meta.dag, run.meta.scheduled_us, run.started_us, at, now))

    def _started(self, run: _Run, at: int) -> None:
        run.started_us = at
        tally, behind = self.dag(run.meta.dag), at - run.meta.scheduled_us
        if behind > LATE_US:
            tally.late += 1
            tally.latest_s = max(tally.latest_s, behind / 1e6)
        self._waited(at - run.since_us, run, "", at)

    def _instance(self, at: int, instance_id: int, run_id: int | None, was: str, now: str) -> None:
        if now == "ready":
            self._ready[instance_id] = at
        elif was == "ready":
            since = self._ready.pop(instance_id, at)
            run = self._runs.get(run_id or 0)
            if now == "running" and run is not None and at > since:
                self._waited(at - since, run, self._task_of(instance_id), at)

    def _waited(self, span_us: int, run: _Run, task: str, at: int) -> None:
        if span_us and (self.longest is None or span_us / 1e6 > self.longest.seconds):
            self.longest = QueueWait(
                span_us / 1e6, run.meta.dag, task, instant(run.meta.logical_us), instant(at)
            )
