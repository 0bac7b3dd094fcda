"""The rows: what is measured, the program and its limit, what is to be reached, and the best peer."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Program:
    """`module:function` under `benchmarks`, and its argument; imported only in the process that runs it."""

    path: str
    n: int | None = None

    def __call__(self) -> Coroutine[Any, Any, dict[str, float]]:
        module, _, name = self.path.partition(":")
        fn = getattr(import_module(f"benchmarks.{module}"), name)
        started: Coroutine[Any, Any, dict[str, float]] = fn() if self.n is None else fn(self.n)
        return started


@dataclass(frozen=True)
class Figure:
    """One number of a row. `at_most`/`at_least` are the target; `ratio` is bide's over the limit's.

    `limit` names the limit program's figure when it is called otherwise; "" where there is none.
    """

    label: str
    at_most: float | None = None
    at_least: float | None = None
    ratio_at_most: float | None = None
    ratio_at_least: float | None = None
    limit: str | None = None
    peer: str = ""

    def reached(self, value: float, limit: float | None) -> bool | None:
        """Whether every target of the figure is met; None when it has none."""
        ratio = value / limit if limit else None
        tests = [
            None if self.at_most is None else value <= self.at_most,
            None if self.at_least is None else value >= self.at_least,
            None if self.ratio_at_most is None or ratio is None else ratio <= self.ratio_at_most,
            None if self.ratio_at_least is None or ratio is None else ratio >= self.ratio_at_least,
        ]
        said = [t for t in tests if t is not None]
        return all(said) if said else None

    def target(self) -> str:
        parts = [
            None if self.at_most is None else f"<= {self.at_most:g}",
            None if self.at_least is None else f">= {self.at_least:g}",
            None if self.ratio_at_most is None else f"<= {self.ratio_at_most:g}x",
            None if self.ratio_at_least is None else f">= {self.ratio_at_least:g}x",
        ]
        return ", ".join(p for p in parts if p)


@dataclass(frozen=True)
class Row:
    title: str
    bide: Program
    limit: Program
    figures: Mapping[str, Figure]
    repeat: int | None = None  # fewer than asked for, where one measurement takes long


def _fan(n: int, *, peer: str) -> Row:
    return Row(
        f"fan 1 -> {n:,} -> 1",
        Program("rows.fan:fan", n),
        Program("limits:fan", n),
        {
            "tasks_per_s": Figure("tasks/s", at_least=5000, ratio_at_least=0.25, peer=peer),
            "us_per_task": Figure("us a task"),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=50),
        },
    )


def _mapped(n: int) -> Row:
    return Row(
        f"{n:,} mapped instances",
        Program("rows.mapped:mapped", n),
        Program("limits:fan", n),
        {
            "tasks_per_s": Figure("tasks/s", at_least=5000),
            "us_per_task": Figure("us a task"),
            "cost_ratio": Figure("cost over that of 1,000", at_most=1.5, limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=50),
        },
    )


def _waits(kind: str, n: int) -> Row:
    kept = (
        n == 10_000
    )  # 1,000 shows what little a small number needs; its bytes are mostly what is loaded once
    return Row(
        f"{n:,} {kind} waits",
        Program(f"rows.waits:{kind}_waits", n),
        Program("limits:waits", n),
        {
            "armed_per_s": Figure("armed/s", at_least=5000 if n <= 10_000 else None),
            "bytes_each": Figure(
                "bytes each",
                at_most=2048 if kept else 1536 if n > 10_000 else None,
                peer="DBOS 13,700; Restate 71,000",
            ),
            "late_p50_ms": Figure("late p50 ms"),
            "late_p99_ms": Figure(
                "late p99 ms",
                at_most=500 if n <= 10_000 else 4000,
                peer="Restate 7,300; DBOS 9,200" if kept else "",
            ),
            "done_s": Figure("all done after s", at_most=3 if n <= 10_000 else None),
            "slots": Figure("slots held", at_most=0, limit=""),
        },
        repeat=None if n <= 10_000 else 3,
    )


ROWS: dict[str, Row] = {
    "handoff": Row(
        "hand-off, chain of 50",
        Program("rows.handoff:chain"),
        Program("limits:hand_off"),
        {
            "p50_ms": Figure("p50 ms", ratio_at_most=2.0, peer="huey 0.97; Restate 1.2; DBOS 1.6"),
            "p99_ms": Figure("p99 ms", peer="huey 1.3"),
        },
    ),
    "fan-200": _fan(200, peer="Restate 2,467"),
    "fan-10000": _fan(10_000, peer="huey 900 (1,000)"),
    "fan-100000": _fan(100_000, peer=""),
    "backfill-10000": Row(
        "backfill of 10,000 days",
        Program("rows.backfill:backfill", 10_000),
        Program("limits:backfill", 10_000),
        {
            "plan_s": Figure("planned in s", at_most=2),
            "start_ms": Figure("started in ms", at_most=1000),
            "runs_per_s": Figure("runs/s, one task each", limit=""),
            "most_at_once": Figure("most at once, of 16", at_most=16, limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=50, limit=""),
        },
    ),
    **{f"mapped-{n}": _mapped(n) for n in (1000, 10_000, 100_000)},
    **{f"{kind}-{n}": _waits(kind, n) for kind in ("time", "file", "external") for n in (1000, 10_000)},
    "time-100000": _waits("time", 100_000),
    "http-1000": Row(
        "1,000 HTTP waits, 100 URLs, every 5 s",
        Program("rows.http:polled"),
        Program("limits:loop_lag"),
        {
            "requests_per_s": Figure("requests/s at the server", at_most=21, at_least=19),
            "in_flight": Figure("most in flight", at_most=10),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=20),
        },
        repeat=3,
    ),
    "idle": Row(
        "idle, 5,000 time + 5,000 external waits",
        Program("rows.idle:runtime"),
        Program("limits:idle"),
        {
            "cpu_s_per_min": Figure("CPU s a minute", at_most=0.06, peer="huey 0.15; Airflow 17"),
            "rss_mb": Figure("RSS MB", at_most=80, peer="Airflow 930"),
        },
        repeat=3,
    ),
    "serve": Row(
        "idle as a service, the same waits",
        Program("rows.idle:served"),
        Program("limits:idle"),
        {
            "cpu_s_per_min": Figure("CPU s a minute", at_most=0.06, peer="huey 0.15; Airflow 17"),
            "rss_mb": Figure("RSS MB", at_most=120, peer="Airflow 930"),
        },
        repeat=3,
    ),
    "feed": Row(
        "1,000 events/s to a client of the feed",
        Program("rows.feed:told"),
        Program("rows.feed:bare"),
        {
            "p50_ms": Figure("commit to client p50 ms"),
            "p99_ms": Figure("commit to client p99 ms", at_most=50),
            "events_per_s": Figure("events/s", at_least=950),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=20, limit=""),
        },
        repeat=3,
    ),
    "feed-1000": Row(
        "1,000 readers of the feed",
        Program("rows.feed:crowd"),
        Program("limits:loop_lag"),
        {
            "kb_each": Figure("KB each", at_most=64, limit=""),
            "more_mb": Figure("MB more when told", at_most=16, limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=20),
        },
        repeat=3,
    ),
    "scrape": Row(
        "/metrics of 100,000 instances",
        Program("rows.scrape:scraped"),
        Program("limits:loop_lag"),
        {
            "p50_ms": Figure("p50 ms", limit=""),
            "p99_ms": Figure("p99 ms", limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", at_most=10),
        },
    ),
    "guest": Row(
        "the loop of a host whose guest it is",
        Program("rows.guest:guest"),
        Program("limits:loop_lag"),
        {
            "lag_p99_ms": Figure("loop lag p99 ms"),
            "worst_ms": Figure("longest hold of the loop ms", at_most=50, limit=""),
        },
    ),
    "prune": Row(
        "prune of 20,000 runs beside hand-offs",
        Program("rows.prune:prune"),
        Program("limits:hand_off"),
        {
            "rows_per_s": Figure("rows/s", limit=""),
            "slice_p50_ms": Figure("a slice, p50 ms", at_most=25, limit=""),
            "handoff_p99_ms": Figure("hand-off p99 ms meanwhile", limit="p99_ms"),
        },
        repeat=3,
    ),
    "backup": Row(
        "backup beside hand-offs",
        Program("rows.prune:backup"),
        Program("limits:hand_off"),
        {
            "mb_per_s": Figure("MB/s", limit=""),
            "handoff_p99_ms": Figure("hand-off p99 ms meanwhile", limit="p99_ms"),
        },
        repeat=3,
    ),
    "contracts-1000": Row(
        "contracts of a run with 1,000 edges",
        Program("rows.contracts:evaluated", 1_000),
        Program("rows.contracts:bare", 1_000),
        {
            "evaluate_ms": Figure("evaluated ms", at_most=50, limit=""),
            "load_ms": Figure("versions loaded ms"),
        },
    ),
    "start": Row(
        "cold start",
        Program("rows.start:cold"),
        Program("limits:interpreter"),
        {
            "import_ms": Figure("import bide ms", at_most=80),
            "version_ms": Figure("bide --version ms", at_most=120),
            "script_s": Figure("3-task script s", at_most=0.25, peer="huey 0.22; luigi 0.27"),
            "run_s": Figure("bide run of the same s", at_most=0.5, peer="Airflow 9.4"),
        },
    ),
    "schedules-10000": Row(
        "10,000 schedules due at one instant",
        Program("rows.schedules:due", 10_000),
        Program("limits:runs", 10_000),
        {
            "created_s": Figure("all runs created s", at_most=5.0),
            "done_s": Figure("all over s"),
            "lag_p99_ms": Figure("loop lag p99 ms"),
        },
        repeat=3,
    ),
    "blast-20000": Row(
        "blast radius of 20,120 among 3.65 M versions",
        Program("rows.blast:radius", 10_000),
        Program("rows.blast:walk", 10_000),
        {
            "blast_s": Figure("seconds", at_most=1.0),
            "affected": Figure("versions affected", at_least=20_000),
            "more_mb": Figure("MB more than before", at_most=200, limit=""),
            "most_mb": Figure("most MB of the process", at_most=200, limit=""),
            "making_s": Figure("s to make the database, 0 when it was there", limit=""),
        },
    ),
    "rest-1000000": Row(
        "listings of 1,000,000 task instances beside 1,000 tasks/s",
        Program("rows.rest:listings", 1_000_000),
        Program("limits:hand_off"),
        {
            "p50_ms": Figure("a listing p50 ms", limit=""),
            "p99_ms": Figure("a listing p99 ms", at_most=50, limit=""),
            "slowest_ms": Figure("the slowest listing p99 ms", limit=""),
            "alone_p99_ms": Figure("hand-off p99 ms without readers", limit="p99_ms"),
            "handoff_p50_ms": Figure("hand-off p50 ms with readers", limit="p50_ms"),
            "handoff_p99_ms": Figure("hand-off p99 ms with readers", at_most=5, limit="p99_ms"),
            "checked_p99_ms": Figure("hand-off p99 ms beside doctor", limit="p99_ms"),
            "lag_alone_p99_ms": Figure("loop lag p99 ms without readers", limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms with readers", limit=""),
            "load": Figure("load average of the machine", limit=""),
            "making_s": Figure("s to make the database, 0 when it was there", limit=""),
        },
        repeat=3,
    ),
    "recovery": Row(
        "kill -9 with 10,000 waits",
        Program("rows.recovery:killed"),
        Program("limits:loading"),
        {
            "watched_s": Figure("start to all watched s", at_most=1.0, peer="APScheduler 0.56 (1,000)"),
            "ready_s": Figure("start of the service to READY=1 s", at_most=2.0),
        },
    ),
    "webhook": Row(
        "200 signed webhooks/s over HTTP, each a durable run",
        Program("rows.webhook:delivered"),
        Program("rows.webhook:bare"),
        {
            "per_s": Figure("deliveries/s", at_least=198, limit=""),
            "p50_ms": Figure("acknowledged p50 ms"),
            "p99_ms": Figure("acknowledged p99 ms", at_most=25),
            "worst_ms": Figure("worst ms"),
            "left": Figure("runs not over at the end", limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", limit=""),
        },
        repeat=3,
    ),
    "notices": Row(
        "20 notices/s of failed runs, over a signed webhook",
        Program("rows.notices:told"),
        Program("rows.notices:bare"),
        {
            "p50_ms": Figure("commit to receiver p50 ms"),
            "p99_ms": Figure("commit to receiver p99 ms", at_most=250),
            "worst_ms": Figure("worst ms"),
            "received": Figure("alerts received", at_least=130, limit=""),
            "lag_p99_ms": Figure("loop lag p99 ms", limit=""),
        },
        repeat=3,
    ),
    "window": Row(
        "the window in headless Chromium",
        Program("rows.window:visited"),
        Program("rows.window:bare"),
        {
            "first_kb": Figure("first load kB, packed", at_most=150, limit=""),
            "first_s": Figure("first load s", at_most=1.0),
            "run_s": Figure("page of a run of 1,000 tasks s", at_most=2.0, limit=""),
            "work_ms": Figure("main thread ms in a frame while 100 tasks change", at_most=17, limit=""),
            "frame_ms": Figure("longest frame ms meanwhile", at_most=34, limit=""),
            "still_ms": Figure("longest frame ms while none changes", limit=""),
            "script_ms": Figure("of the main thread's work script ms", limit=""),
            "layout_ms": Figure("of it style and layout ms", limit=""),
            "paint_ms": Figure("of it paint ms", limit=""),
            "sight_work_ms": Figure("its work where all 100 are in sight ms", at_most=17, limit=""),
            "sight_frame_ms": Figure("longest frame ms where all are", at_most=34, limit=""),
            "sight_script_ms": Figure("of that work script ms", limit=""),
            "sight_layout_ms": Figure("of it style and layout ms", limit=""),
            "sight_paint_ms": Figure("of it paint ms", limit=""),
            "grid_ms": Figure("grid of 200 x 50, answer to drawn ms", at_most=200, limit=""),
            "news_p50_ms": Figure("decision to screen p50 ms", at_most=150, limit=""),
            "news_p95_ms": Figure("decision to screen p95 ms", limit=""),
            "waits_s": Figure("waiting room of 10,000, first rows s", at_most=2.0, limit=""),
            "scroll_p95_ms": Figure("scrolling through them, frame p95 ms", at_most=34, limit=""),
            "scroll_ms": Figure("scrolling through them, longest frame ms", at_most=50, limit=""),
            "scroll_work_p95_ms": Figure(
                "scrolling through them, a frame's work p95 ms", at_most=34, limit=""
            ),
            "scroll_work_ms": Figure(
                "scrolling through them, a frame's work at most ms", at_most=50, limit=""
            ),
        },
        repeat=3,
    ),
    "simulate": Row(
        "a simulated month, 11,966 runs",
        Program("rows.simulate:month"),
        Program("rows.simulate:bare"),
        {
            "month_s": Figure("seconds", at_most=20),
            "us_per_task": Figure("us a task attempt"),
            "tasks": Figure("task attempts", limit=""),
        },
        repeat=3,
    ),
}
