"""`bide schedule`: when a DAG runs next, in words and in its zone; what it missed, and why it was not run."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, asked
from bide.runtime.cli.output import clean, note, print_json, print_table, stamp, write
from bide.runtime.clock import SystemClock
from bide.runtime.errors import UsageError
from bide.runtime.service.shapes import Timetable


def schedule(
    dag: Annotated[str, Parameter(help='The DAG: its name, a TARGET, or a cron line: "0 2 * * mon-fri".')],
    /,
    *,
    n: Annotated[int | None, Parameter(name=("-n", "--count"), help="So many firings: 5.")] = None,
    since: Annotated[str | None, Parameter(name="--from", help="At or after this date; now.")] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Before this date.")] = None,
    tz: Annotated[str | None, Parameter(help="The zone of a cron line; UTC.")] = None,
    skipped: Annotated[
        bool, Parameter(negative="", help="The firings that were not run, and why, instead.")
    ] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Say in words when a DAG runs, and print its next firings with their intervals."""
    found = _timetable(dag, n, since, until, tz, db)
    if json:
        print_json(found.skipped if skipped else found.firings)
    elif skipped:
        _print_skipped(found)
    else:
        _print(found)
    return 0


def _timetable(
    dag: str, n: int | None, since: str | None, until: str | None, tz: str | None, db: Db
) -> Timetable:
    is_cron = " " in dag.strip() or dag.startswith("@")
    if tz is not None and not is_cron:
        raise UsageError(
            f"--tz is for a cron line, and {dag!r} is a DAG, which has its own zone: leave it out"
        )
    if not is_cron and ":" not in dag and not dag.endswith(".py"):
        return asked(db, lambda ops: ops.schedule(dag, n, since, until))
    from bide.runtime.service.timetable import Asked, of_dag, of_schedule

    now = SystemClock().now()
    if is_cron:
        from bide.runtime.schedules import Cron

        return of_schedule(Cron(dag, tz or "UTC"), Asked(n, since, until), now)
    from bide.runtime.cli.targets import one_dag

    return of_dag(one_dag(dag), Asked(n, since, until), now)


def _print(found: Timetable) -> None:
    from bide.runtime.service.timetable import in_zone

    name = f"{found.dag}: " if found.dag else ""
    write(clean(f"{name}{found.schedule}{' (paused)' if found.paused else ''}"))
    if found.code_error:
        write(clean(f"its code is not loaded, and what fires waits for it: {found.code_error}"))
    if found.dag:
        write(f"missed firings: {found.catchup}; while others run: {found.overlap}")
    for span in found.catching_up:
        write(f"catching up from {stamp(span.start)} to {stamp(span.end)}")
    for held in found.waits_for:
        last = f", last {stamp(held.fired_at)}" if held.fired_at else ""
        times = f"fired {held.firings} time{'' if held.firings == 1 else 's'}{last}"
        write(clean(f"waits for {held.trigger} since {stamp(held.since)}: {times}"))
    here = [] if found.tz == "UTC" else [found.tz]
    rows = [
        (
            *([in_zone(line.fires_at, found.tz)] if here else []),
            stamp(line.fires_at),
            stamp(line.interval.start),
            stamp(line.interval.end),
        )
        for line in found.firings
    ]
    heads = (*(f"fires at, {zone}" for zone in here), "fires at, UTC", "interval from", "to")
    print_table(heads, rows, "no firing by the clock")
    if found.skipped:
        newest = found.skipped[0]
        note(clean(f"last not run: {stamp(newest.fires_at)}, {newest.reason} (--skipped lists them)"))


def _print_skipped(found: Timetable) -> None:
    rows = [(stamp(s.fires_at), stamp(s.until), stamp(s.decided_at), s.reason) for s in found.skipped]
    print_table(("fires at", "until", "decided at", "reason"), rows, "every firing was run")
