"""Counts what is committed, from when somebody first asked for it on: plain numbers, no library, no lock.

It is told of every batch after its commit, in the loop; a batch costs it a look at its rows. Of a run it
remembers the DAG until the run is over. A name beyond the first thousand DAGs counts as "other".
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import Final

from bide.runtime.clock import SECOND
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.states import RUN_OVER, AttemptState, State

MOST: Final = 1000
OTHER: Final = "other"
QUICK: Final = (0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
LONG: Final = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 10_800.0, 43_200.0, 86_400.0)
"""Upper bounds of what attempts and runs take, seconds."""


class Buckets:
    """A histogram: how many values were at most each bound, and their sum."""

    __slots__ = ("bounds", "counts", "sum")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        """Count a value.

        >>> buckets = Buckets((1.0, 5.0))
        >>> for value in (0.5, 1.0, 7.0): buckets.add(value)
        >>> buckets.cumulated(), buckets.sum
        ([('1.0', 2), ('5.0', 2), ('+Inf', 3)], 8.5)
        """
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def cumulated(self) -> list[tuple[str, int]]:
        found, total = [], 0
        for bound, count in zip((*self.bounds, None), self.counts, strict=True):
            total += count
            found.append(("+Inf" if bound is None else str(bound), total))
        return found


class Tally:
    """`committed` is a listener to commits, once it has begun."""

    def __init__(self) -> None:
        self._dags: dict[int, str] = {}
        self._runs: dict[int, str] = {}
        self.commits = 0
        self.lines = 0
        self.runs: Counter[tuple[str, str]] = Counter()
        self.attempts: Counter[tuple[str, str]] = Counter()
        self.retries: Counter[str] = Counter()
        self.upstream_failed: Counter[str] = Counter()
        self.waits: Counter[str] = Counter()
        self.alerts: Counter[str] = Counter()
        self.checks: Counter[tuple[str, str]] = Counter()
        self.versions: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self.run_s: dict[str, Buckets] = {}
        self.slot_s: dict[str, Buckets] = {}
        self.queued_s: dict[str, Buckets] = {}
        self.last_ended: dict[str, int] = {}
        """DAG -> the run of it that ended last."""

    def begin(self, runs: Iterable[tuple[int, str]], dags: Iterable[tuple[int, str]]) -> None:
        """`runs`: those that are unfinished, and their DAGs."""
        for dag_id, name in dags:
            self._name(dag_id, name)
        shown = set(self._dags.values())
        self._runs.update((run_id, name if name in shown else OTHER) for run_id, name in runs)

    def committed(self, changes: Changes) -> None:
        """A batch has landed."""
        self.commits += 1
        self.lines += len(changes.events)
        for row in changes.dags_set:
            self._name(row[0], row[1])
        for row in changes.runs_new:
            self._runs[row[0]] = self._dags.get(row[1], OTHER)
        queued = {row[0]: row[6] for row in changes.attempts_new} if changes.attempts_new else {}
        for _, _, _, subject, number, run_id, was, now, _ in changes.events:
            if subject == "instance":
                if now == State.UPSTREAM_FAILED:
                    self.upstream_failed[self._of(run_id)] += 1
                elif now == State.UP_FOR_RETRY:
                    self.retries[self._of(run_id)] += 1
            elif subject == "attempt":
                self._attempt(number, self._of(run_id), was, now, changes, queued)
            elif subject == "run":
                if now in RUN_OVER and was != now:
                    self._ended(number, now, changes)
            elif subject == "wait" and was and now != was:
                self.waits[now] += 1
        self._beside(changes)

    def _attempt(
        self, number: int, dag: str, was: str, now: str, changes: Changes, queued: dict[int, int]
    ) -> None:
        if not was:
            self._into(self.queued_s, dag, QUICK).add(queued.get(number, 0) / SECOND)
        elif was == AttemptState.RUNNING and now != was:
            self.attempts[dag, now] += 1
            active = changes.attempts_set[number][2] if number in changes.attempts_set else 0
            if active:
                self._into(self.slot_s, dag, QUICK).add(active / SECOND)

    def _ended(self, run_id: int, now: str, changes: Changes) -> None:
        dag = self._runs.pop(run_id, OTHER)
        self.runs[dag, now] += 1
        self.last_ended[dag] = run_id
        row = changes.runs_set.get(run_id)
        if row is not None and row[1] is not None and row[2] is not None:
            self._into(self.run_s, dag, LONG).add(max(0, row[2] - row[1]) / SECOND)

    def _beside(self, changes: Changes) -> None:
        for row in changes.alerts_new:
            self.alerts[row[2]] += 1
        for row in changes.asset_checks:
            self.checks[row[2], "passed" if row[3] else "failed"] += 1
        for row in changes.asset_states.values():
            self.versions[row[0]] += 1
        for row in changes.skips:
            self.skipped[self._dags.get(row[0], OTHER)] += 1

    def _of(self, run_id: int | None) -> str:
        return OTHER if run_id is None else self._runs.get(run_id, OTHER)

    def _name(self, dag_id: int, name: str) -> None:
        if dag_id not in self._dags:
            self._dags[dag_id] = name if len(self._dags) < MOST else OTHER

    def _into(self, found: dict[str, Buckets], dag: str, bounds: tuple[float, ...]) -> Buckets:
        if dag not in found:
            found[dag] = Buckets(bounds)
        return found[dag]
