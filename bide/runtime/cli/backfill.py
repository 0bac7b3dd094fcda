"""`bide backfill`: plan, start, watch, pause, resume and cancel runs of historical intervals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
from cyclopts import App, Parameter

from bide.runtime import typed
from bide.runtime.cli.asking import ASLEEP, Dag, Db, Json, Params, asked, dag_name, done
from bide.runtime.cli.output import note, print_json, print_table, print_why, stamp, write
from bide.runtime.clock import SECOND
from bide.runtime.engine.explain import span_words
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import read_params
from bide.runtime.service.doors import Doors

if TYPE_CHECKING:
    from bide.runtime.service.backfill_shapes import (
        BackfillPlan,
        BackfillRequest,
        BackfillShown,
        BackfillStarted,
    )

app = App(
    name="backfill",
    help="Runs of historical intervals: plan, start, list, status, why, pause, resume, cancel.",
)

From = Annotated[
    str | None, Parameter(name="--from", help="The first date; intervals that begin from then on.")
]
To = Annotated[str | None, Parameter(help="The date before which the last interval begins.")]
Every = Annotated[
    str | None, Parameter(help="hour, day, week, month or 6h: for a DAG whose schedule has no intervals.")
]
Order = Annotated[str, Parameter(help="oldest or newest first.")]
MaxActive = Annotated[int | None, Parameter(help="Runs at once; the DAG's max_active_runs.")]
Overwrite = Annotated[
    str, Parameter(help="What there is: skip it, overwrite it, or fail before anything starts.")
]
Weight = Annotated[int, Parameter(help="Its part among the backfills, 1 to 100.")]
Tasks = Annotated[list[str] | None, Parameter(name="--task", negative="", help="Only this task; repeatable.")]
Caps = Annotated[
    list[str] | None,
    Parameter(
        name="--asset-cap", negative="", help="Runs that may write an asset at once, NAME=2; repeatable."
    ),
]
Number = Annotated[str, Parameter(help="The backfill: its number; `bide backfill list` lists them.")]


def _request(
    dag: str,
    from_: str | None,
    to: str | None,
    every: str | None,
    order: str,
    max_active: int | None,
    overwrite: str,
    weight: int,
    task: list[str] | None,
    param: list[str] | None,
    asset_cap: list[str] | None,
    db: Db,
) -> BackfillRequest:
    from bide.runtime.service.backfill_shapes import BackfillRequest

    if from_ is None or to is None:
        raise UsageError(f"which intervals of {dag}? say --from 2026-01-01 --to 2026-02-01")
    caps: dict[str, int] = {}
    for pair in asset_cap or []:
        name, _, number = pair.rpartition("=")
        if not name or not number.isdecimal():
            raise UsageError(
                f"--asset-cap {pair!r} has no name and number: write --asset-cap warehouse/orders=2"
            )
        caps[name] = int(number)
    name = dag_name(dag)
    schema = asked(db, lambda ops: ops.dag(name)).params if param else None
    return BackfillRequest(
        dag=name, from_=from_, to=to, every=every, order=order, max_active=max_active,
        overwrite=overwrite, weight=weight, tasks=tuple(task or ()), params=read_params(param or [], schema),
        asset_caps=caps,
    )  # fmt: skip


@app.command(name="plan")
def plan(
    dag: Dag, /, *, from_: From = None, to: To = None, every: Every = None, order: Order = "oldest",
    max_active: MaxActive = None, overwrite: Overwrite = "skip", weight: Weight = 1, task: Tasks = None,
    param: Params = None, asset_cap: Caps = None, db: Db = None, json: Json = False,
) -> int:  # fmt: skip
    """Say what a backfill would do, and write nothing: runs, tasks, assets, paths, cost, time."""
    request = _request(
        dag, from_, to, every, order, max_active, overwrite, weight, task, param, asset_cap, db
    )
    found = asked(db, lambda ops: ops.backfills.plan(request))
    if json:
        print_json(found)
    else:
        _print_plan(found)
    return 0


def _print_plan(plan: BackfillPlan) -> None:
    first, last = plan.intervals[0], plan.intervals[-1]
    what = ", ".join(f"{n} {word}" for word, n in plan.counts.items() if n)
    write(f"plan {plan.hash[:12]} for {plan.request.dag}: {len(plan.intervals)} intervals ({what})")
    write(
        f"  from {stamp(first.start)} to {stamp(last.start)}, {plan.request.order} first, {plan.max_active} at once"
    )
    write(f"  {plan.runs} runs of {len(plan.tasks)} tasks, {plan.task_instances} task instances")
    if plan.assets:
        write(f"  assets: {', '.join(plan.assets)}")
    for budget, units in plan.cost.items():
        write(f"  cost: {units:g} of the budget {budget}")
    if plan.seconds is not None:
        write(f"  time: about {span_words(round(plan.seconds * SECOND))}, by the last runs that succeeded")
    for text in plan.notes:
        write(f"  note: {text}")
    if plan.overwrites:
        written = [(p.path, p.task, stamp(p.interval), p.run_id) for p in plan.overwrites[:20]]
        print_table(("path that is written", "task", "interval", "written by run"), written, "")
        if len(plan.overwrites) > 20:
            write(f"... and {len(plan.overwrites) - 20} more: --json has all")
    rows = [(stamp(i.start), stamp(i.end), i.what, i.run_id, i.state) for i in plan.intervals[:20]]
    print_table(("start", "end", "what", "run there", "its state"), rows, "no intervals")
    if len(plan.intervals) > 20:
        write(f"... and {len(plan.intervals) - 20} more: --json has all")
    write(f"start it with `bide backfill start ... --hash {plan.hash[:12]}`: then this is done, or nothing")


@app.command(name="start")
def start(
    dag: Annotated[str | None, Parameter(help="The DAG: its name, or a TARGET; --plan names it as well.")] = None,
    /, *, from_: From = None, to: To = None, every: Every = None, order: Order = "oldest",
    max_active: MaxActive = None, overwrite: Overwrite = "skip", weight: Weight = 1, task: Tasks = None,
    param: Params = None, asset_cap: Caps = None,
    plan: Annotated[str | None, Parameter(help="A file with the JSON of a plan: start that.")] = None,
    hash_: Annotated[str | None, Parameter(name="--hash", help="The plan's hash: start only if that is still the plan.")] = None,
    key: Annotated[str | None, Parameter(name="--idempotency-key", help="The same key makes one backfill.")] = None,
    db: Db = None, json: Json = False,
) -> int:  # fmt: skip
    """Start a backfill."""
    if plan is not None:
        if dag is not None or from_ is not None or to is not None:
            raise UsageError(f"either --plan {plan} or a DAG with its dates: leave one of them out")
        request, planned = _of_plan(plan)
        plan_hash: str | None = hash_ or planned
    elif dag is None:
        raise UsageError(
            "a backfill of which DAG? `bide backfill start DAG --from ... --to ...`, or --plan FILE"
        )
    else:
        request = _request(
            dag, from_, to, every, order, max_active, overwrite, weight, task, param, asset_cap, db
        )
        plan_hash = hash_

    async def begin(ops: Doors) -> tuple[BackfillStarted, bool]:
        return await ops.backfills.start(request, plan_hash, key), ops.held

    made, held = asked(db, begin)
    if json:
        print_json(made)
    else:
        skipped = f", {made.skipped} of them skipped" if made.skipped else ""
        write(f"backfill {made.backfill_id}: {made.intervals} intervals{skipped}")
        if not held:
            note(ASLEEP)
    return 0


def _of_plan(file: str) -> tuple[BackfillRequest, str]:
    from bide.runtime.service.backfill_shapes import BackfillPlan

    try:
        found = typed.decode(Path(file).read_bytes(), BackfillPlan)
    except OSError as error:
        raise UsageError(f"the plan {file} cannot be read ({error.strerror})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(
            f"{file} is no plan ({error}): `bide backfill plan DAG ... --json > {file}` writes one"
        ) from None
    return found.request, found.hash


def _print_list(dag: str | None, limit: int, db: Db, json: bool) -> int:
    name = dag_name(dag) if dag is not None else None
    found = asked(db, lambda ops: ops.backfills.listed(name, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (
                b.backfill_id,
                b.dag,
                b.state,
                f"{b.done} of {b.intervals}",
                stamp(b.created_at),
                stamp(b.ended_at),
                b.reason,
            )
            for b in found
        ]
        print_table(
            ("backfill", "dag", "state", "intervals", "created at", "ended at", "reason"),
            rows,
            "no backfills",
        )
    return 0


@app.default
def bare(*, db: Db = None, json: Json = False) -> int:
    """List backfills, the newest first."""
    return _print_list(None, 50, db, json)


@app.command(name="list")
def listed(
    dag: Annotated[str | None, Parameter(help="Only of this DAG.")] = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List backfills, the newest first."""
    return _print_list(dag, limit, db, json)


@app.command(name="status")
def status(
    backfill: Number,
    /,
    *,
    state: Annotated[str | None, Parameter(help="Only intervals in this state.")] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show a backfill, why it stands where it does, and its intervals."""
    found = asked(db, lambda ops: ops.backfills.show(backfill, state))
    if json:
        print_json(found)
        return 0
    _print_head(found)
    rows = [
        (stamp(i.interval.start), i.state, i.run_id, i.run_state, stamp(i.ended_at), i.reason)
        for i in found.intervals[:50]
    ]
    print_table(("interval", "state", "run", "its state", "ended at", "reason"), rows, "no such intervals")
    if len(found.intervals) > 50:
        write(f"... and {len(found.intervals) - 50} more: --json has all, --state failed those in one state")
    return 0


@app.command(name="why")
def why(backfill: Number, /, *, db: Db = None, json: Json = False) -> int:
    """Say why a backfill is in the state it is in."""
    found = asked(db, lambda ops: ops.backfills.show(backfill, limit=1))
    if json:
        print_json(
            {
                "backfill_id": found.backfill_id,
                "state": found.state,
                "why": found.why,
                "details": found.details,
                "next": found.next,
            }
        )
    else:
        _print_head(found)
    return 0


def _print_head(found: BackfillShown) -> None:
    head = f"backfill {found.backfill_id} of {found.dag} is {found.state}: {found.why}"
    ended = f"  {found.done} of {found.total} intervals have ended ({found.percent:g} %)"
    print_why(f"{head}\n{ended}", found.details, found.next)


@app.command(name="pause")
def pause(backfill: Number, /, *, db: Db = None, json: Json = False) -> int:
    """Let a backfill start nothing more, what is queued included; what has begun ends."""
    return done(db, json, lambda ops: ops.backfills.pause(backfill))


@app.command(name="resume")
def resume(
    backfill: Number,
    /,
    *,
    failed: Annotated[
        bool, Parameter(negative="", help="Take up again what failed or was cancelled.")
    ] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Let a paused backfill go on; --failed: take up again what did not succeed."""
    return done(db, json, lambda ops: ops.backfills.resume(backfill, failed), starts=True)


@app.command(name="cancel")
def cancel(
    backfill: Number,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in `why`.")] = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Cancel a backfill and its runs, in one transaction; its intervals are free again."""
    return done(db, json, lambda ops: ops.backfills.cancel(backfill, reason))
