"""What came of a simulation, as plain data: for people, for `--json`, for assertions."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bide.runtime.graph.dag import Dag
from bide.runtime.store.journal import instant
from bide.testing.simulation.tally import QueueWait, Span, Tally


class Happened(msgspec.Struct, frozen=True):
    """Something at an instant, and why."""

    at: str
    reason: str


class DagReport(msgspec.Struct, frozen=True):
    """One DAG. `outcomes` are runs by end state; `open` are those that are not over. A run is late
    that started more than a minute after its scheduled instant; `latest_s` is the worst of them.
    """

    schedule: str
    runs: int
    outcomes: dict[str, int]
    open: int
    tasks: int
    late: int
    latest_s: float
    skipped: list[Happened]


class Report(msgspec.Struct, frozen=True):
    """All of it. `slots_mean` is over simulated time; `longest_queue_wait` None: nothing ever waited."""

    start: str
    end: str
    seed: int
    runs: int
    tasks: int
    events: int
    dags: dict[str, DagReport]
    slots_most: int
    slots_mean: float
    longest_queue_wait: QueueWait | None
    deadline_alerts: list[Happened]
    refused: list[Happened]
    spans: list[Span] = []

    def to_json(self) -> bytes:
        """Without the spans of the single runs; stable keys, in snake_case."""
        data = msgspec.to_builtins(self)
        del data["spans"]
        return msgspec.json.encode(data)


def report_of(
    tally: Tally,
    dags: Sequence[Dag],
    start_us: int,
    end_us: int,
    seed: int,
    refused: Sequence[tuple[str, str]],
) -> Report:
    """What a tally has come to."""
    going = tally.open
    found: dict[str, DagReport] = {}
    for dag in dags:
        each = tally.dag(dag.name)
        found[dag.name] = DagReport(
            schedule=dag.schedule.describe(),
            runs=each.runs,
            outcomes=dict(sorted(each.outcomes.items())),
            open=sum(span.dag == dag.name for span in going),
            tasks=each.tasks,
            late=each.late,
            latest_s=each.latest_s,
            skipped=[Happened(*one) for one in each.skipped],
        )
    return Report(
        start=instant(start_us),
        end=instant(end_us),
        seed=seed,
        runs=sum(each.runs for each in found.values()),
        tasks=sum(each.tasks for each in found.values()),
        events=tally.events,
        dags=found,
        slots_most=tally.slots_most,
        slots_mean=round(tally.slots_mean, 6),
        longest_queue_wait=tally.longest,
        deadline_alerts=[Happened(*one) for one in tally.alerts],
        refused=[Happened(*one) for one in refused],
        spans=[*tally.spans, *going],
    )
