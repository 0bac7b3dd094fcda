"""`bide stats`: what determined a run's end, where time and slots go, how far data and backfills are."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked, dag_name
from bide.runtime.cli.output import print_json, print_table, stamp, write
from bide.runtime.errors import UsageError
from bide.runtime.service.stat_shapes import PathLink, RunStats, Spread

_PHASES = ("blocked", "queued", "deferred", "running", "backoff", "approval", "lost")
_WORDS = {"backoff": "back-off"}


def stats(
    what: Annotated[
        str | None, Parameter(help="A run's number, or a DAG: a name or a TARGET. Without it: every DAG.")
    ] = None,
    /,
    *,
    assets: Annotated[
        bool, Parameter(negative="", help="Assets instead: freshness, late data, rows, checks.")
    ] = False,
    backfills: Annotated[
        bool, Parameter(negative="", help="Backfills instead: their intervals by state.")
    ] = False,
    last: Annotated[
        int, Parameter(help="Of a DAG's runs the newest so many; of a run's attempts the longest.")
    ] = 100,
    limit: Most = 1_000,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show what determined when a run ended, and where time and slots go: of a run, a DAG, or all."""
    if assets and backfills:
        raise UsageError("either --assets or --backfills: leave one of them out")
    if assets:
        return _assets(what, limit, db, json)
    if backfills:
        return _backfills(what, limit, db, json)
    if what is None:
        return _dags(last, limit, db, json)
    if what.isdigit():
        return _run(what, last, db, json)
    return _dag(dag_name(what), last, db, json)


def _run(run: str, last: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.stats.run(run, last))
    if json:
        print_json(found)
        return 0
    for line in _head(found):
        write(line)
    rows = [
        (_name(link.task, link.map_index), link.state, span(link.seconds), _spent(link))
        for link in found.path
    ]
    print_table(("critical path", "state", "took", "of which"), rows, "nothing of it has begun")
    if found.attempts:
        write("")
    attempts = [
        (
            _name(a.task, a.map_index),
            str(a.attempt),
            a.state,
            stamp(a.started_at),
            span(a.queued_s),
            span(a.slot_s),
            span(a.waited_s),
        )
        for a in found.attempts
    ]
    if attempts:
        print_table(("task", "attempt", "state", "started at", "queued", "slot", "waited"), attempts, "")
    return 0


def _head(found: RunStats) -> list[str]:
    took = "has not begun" if found.opened_at is None else f"{found.state}, {span(found.seconds)}"
    lines = [f"run {found.run_id} of {found.dag}: {took}"]
    lines.append(f"slots were held for {span(found.slot_s)}, and waited for {span(found.queued_s)}")
    if found.upstream_failed:
        lines.append(f"{found.upstream_failed} did not run because of what stood above")
    return lines


def _spent(link: PathLink) -> str:
    parts = [(phase, getattr(link, f"{phase}_s")) for phase in _PHASES]
    return ", ".join(f"{_WORDS.get(phase, phase)} {span(took)}" for phase, took in parts if took > 0) or "-"


def _dag(dag: str, last: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.stats.dag(dag, last))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            t.task,
            str(t.instances),
            str(t.attempts),
            str(t.failed_attempts),
            str(t.upstream_failed),
            *_three(t.slot),
            *_three(t.queued)[1:],
            span(t.slot_s),
            span(t.waited_s),
        )
        for t in found.tasks
    ]
    write(
        f"{dag}, its newest {found.runs} run{'' if found.runs == 1 else 's'}; p50, p95 and max are of one attempt"
    )
    heads = (
        "task", "instances", "attempts", "failed", "upstream failed", "slot p50", "slot p95", "slot max",
        "queued p95", "queued max", "slot sum", "waited sum",
    )  # fmt: skip
    print_table(heads, rows, "it has not run yet")
    return 0


def _dags(last: int, limit: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.stats.dags(last, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (d.dag, str(d.runs), str(d.success), str(d.failed), span(d.mean_s), span(d.longest_s)) for d in found
    ]
    print_table(("dag", "runs", "success", "failed", "mean", "longest"), rows, "no DAG is known yet")
    return 0


def _assets(asset: str | None, limit: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.stats.assets(asset, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            a.asset,
            stamp(a.interval.end) if a.interval else None,
            span(a.age_s),
            stamp(a.next_due),
            str(a.late),
            str(a.made_again),
            _number(a.rows),
            _number(a.rows_before),
            f"{a.checks_passed} of {a.checks_passed + a.checks_failed}",
            a.failed_checks,
        )
        for a in found
    ]
    heads = (
        "asset",
        "data until",
        "age",
        "next due",
        "late",
        "made again",
        "rows",
        "before",
        "checks",
        "failed",
    )
    print_table(heads, rows, "no asset is known yet")
    return 0


def _backfills(backfill: str | None, limit: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.stats.backfills(backfill, limit))
    if json:
        print_json(found)
        return 0
    rows: list[tuple[Any, ...]] = [
        (
            b.id,
            b.dag,
            b.state,
            f"{b.percent:g} %",
            *map(str, (b.intervals, b.success, b.failed, b.running, b.pending)),
        )
        for b in found
    ]
    heads = ("backfill", "dag", "state", "over", "intervals", "success", "failed", "running", "pending")
    print_table(heads, rows, "there is no backfill yet")
    return 0


def _name(task: str, map_index: int) -> str:
    return task if map_index < 0 else f"{task}[{map_index}]"


def _three(spread: Spread | None) -> tuple[str, str, str]:
    return ("-", "-", "-") if spread is None else (span(spread.p50), span(spread.p95), span(spread.longest))


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:,.10g}"


def span(seconds: float | None) -> str:
    """Seconds for people: as much of them as matters.

    >>> [span(each) for each in (None, 0, 0.0123, 7.25, 75, 7322, 200000)]
    ['-', '0', '12.3 ms', '7.2 s', '1m15s', '2h02m', '2d07h']
    """
    if seconds is None:
        return "-"
    if seconds < 0.0005:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:.3g} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, below, letters in ((60, 1, "ms"), (3600, 60, "hm")):
        if whole < size * (60 if size == 60 else 24):
            return f"{whole // size}{letters[0]}{whole % size // below:02d}{letters[1]}"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"
