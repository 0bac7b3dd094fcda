"""The commands of the terminal: what is typed, and which operation answers. Each ends in an exit code.

Only what a command needs is imported, in its own body: `bide run` pays for no web framework.
"""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

import bide
from bide.runtime.cli import (
    alerts,
    approvals,
    asset_graph,
    assets,
    audit,
    backfill,
    check,
    completion,
    config,
    dag_group,
    dev,
    effects,
    events,
    hooks,
    incident,
    init,
    notify,
    pools,
    schedule,
    systemd,
    tasks,
    token,
    top,
    ui,
    waits,
)
from bide.runtime.cli import (
    db as db_commands,
)
from bide.runtime.cli.asking import (
    ASLEEP,
    Dag,
    Database,
    Date,
    Db,
    Json,
    MapIndex,
    Params,
    Run,
    RunOrTask,
    Slots,
    Task,
    asked,
    dag_name,
    done,
)
from bide.runtime.cli.chain import shown_chain
from bide.runtime.cli.folding import folded
from bide.runtime.cli.grouping import by_group
from bide.runtime.cli.made import made_lines
from bide.runtime.cli.many import (
    OfDags,
    OfRuns,
    RunOrNone,
    is_many,
    on_dags,
    on_runs,
    one_dag_name,
    one_run,
    show_action,
)
from bide.runtime.cli.output import note, print_json, print_table, print_why, said_state, stamp, write
from bide.runtime.cli.stats import stats as stats_command
from bide.runtime.clock import SECOND
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import read_params, read_span, split_address
from bide.runtime.service.doors import Doors
from bide.runtime.service.places import settings
from bide.runtime.service.shapes import Triggered

app = App(
    name="bide",
    help="Runs DAGs that wait on the world without holding a slot.",
    version=f"bide {bide.__version__}",
    help_format="plaintext",
    help_epilogue=(
        "Exit codes: 0 done, 1 the run or the check failed, 2 usage, 3 not found, 4 refused, 5 service out of reach, "
        "6 gave up waiting, 130 interrupted."
    ),
    default_parameter=Parameter(show_default=False),
    result_action="return_value",
)
app.command(waits.app)
app.command(dag_group.app)
app.command(tasks.tasks)
app.command(stats_command)
app.command(schedule.schedule)
app.command(backfill.app)
app.command(check.check)
app.command(config.app)
app.command(assets.app)
app.command(dev.dev)
app.command(init.init)
completion.add_to(app)
app.command(alerts.app)
app.command(approvals.app)
app.command(incident.app)
asset_graph.add_to(assets.app)
app.command(effects.app)
app.command(hooks.app)
app.command(notify.app)
app.command(db_commands.app)
app.command(events.events)
app.command(systemd.app)
app.command(top.top)
app.command(pools.pools)
app.command(ui.ui)
app.command(token.app)
app.command(audit.audit)


# --- run, serve ----------------------------------------------------------------------------------


@app.command
def run(
    target: Annotated[str, Parameter(help="file.py[:dag] or module[:dag], the DAG's name or its variable.")],
    /,
    *,
    date: Date = None,
    param: Params = None,
    new: Annotated[
        bool, Parameter(negative="", help="A new run, though there is one for this date.")
    ] = False,
    shadow: Annotated[
        bool,
        Parameter(negative="", help="A shadow run: it computes, stages and checks, and publishes nothing."),
    ] = False,
    slots: Slots = None,
    db: Database = None,
    json: Json = False,
) -> int:
    """Run one DAG (file.py[:dag] or module[:dag]) to its end, with a live picture of its graph."""
    from bide.runtime.cli.run import run_target

    return run_target(target, settings(db=db, slots=slots), date, param or [], new, shadow, json)


@app.command
def serve(
    *paths: Annotated[str, Parameter(help="DAG files, and folders whose *.py files declare DAGs.")],
    slots: Slots = None,
    drain: Annotated[str | None, Parameter(help="How long what runs may go on after SIGTERM.")] = None,
    host: Annotated[str | None, Parameter(help="Also listen at this address, 127.0.0.1 by default.")] = None,
    port: Annotated[int | None, Parameter(help="Also listen at this TCP port; without it at none.")] = None,
    allow_host: Annotated[
        list[str] | None, Parameter(negative="", help="A name that it is asked by over TCP; repeatable.")
    ] = None,
    db: Database = None,
) -> int:
    """Serve the DAGs of files and folders: schedules, waits, runs, and the other commands' questions."""
    from bide.runtime.cli.serve import serve_paths

    limit = None if drain is None else read_span(drain) / SECOND
    return serve_paths(
        settings(
            db=db, slots=slots, paths=list(paths) or None, stop_timeout=limit, host=host, port=port, hosts=allow_host,
        )
    )  # fmt: skip


@app.command
def simulate(
    *targets: Annotated[
        str,
        Parameter(help="TARGETs (file.py[:dag], module[:dag]), and folders whose *.py files declare DAGs."),
    ],
    since: Annotated[str, Parameter(name="--from", help="The first instant, such as 2026-06-01; UTC.")],
    until: Annotated[
        str, Parameter(name="--to", help="The instant at which it ends, itself not lived through.")
    ],
    seed: Annotated[
        int | None, Parameter(help="Of what the script leaves to chance; else the script's.")
    ] = None,
    script: Annotated[
        str | None, Parameter(help="Durations, failures and arrivals: a .toml, .json or .py file.")
    ] = None,
    out: Annotated[str | None, Parameter(help="Also write the journal there, as JSON lines.")] = None,
    slots: Slots = None,
    json: Json = False,
) -> int:
    """Simulate DAGs over a stretch of time, in seconds and without their bodies, and report."""
    from bide.runtime.cli.simulate import simulate_dags

    return simulate_dags(targets, settings(slots=slots), since, until, seed, json, out, script)


# --- reading -------------------------------------------------------------------------------------


@app.command
def runs(
    dag: Annotated[str | None, Parameter(help="Only runs of this DAG: a name or a TARGET.")] = None,
    /,
    *,
    state: Annotated[str | None, Parameter(help="Only runs in this state.")] = None,
    kind: Annotated[str | None, Parameter(help="Only runs made by this: scheduled, manual, ...")] = None,
    since: Annotated[str | None, Parameter(help="Only of logical dates since then.")] = None,
    until: Annotated[str | None, Parameter(help="Only of logical dates before this one.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List runs, the newest first: of all DAGs, or of one."""
    name = dag_name(dag) if dag is not None else None
    found = asked(db, lambda ops: ops.runs(name, state, limit, None, kind, since, until))
    if json:
        print_json(found)
    else:
        rows = [
            (r.run_id, r.dag, r.state, r.kind, stamp(r.logical_date), stamp(r.ended_at), r.reason)
            for r in found
        ]
        print_table(("run", "dag", "state", "kind", "logical date", "ended at", "reason"), rows, "no runs")
    return 0


@app.command
def show(
    run: Run,
    /,
    *,
    chain: Annotated[bool, Parameter(negative="", help="What made it, and what it read and made.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show a run: what it was made of, its parameters, and its tasks; or the chain of what made it."""
    head, task = split_address(run)
    if task is not None:
        raise UsageError(f"show takes a run: `bide show {head}`, or `bide why {run}` for one task")
    if chain:
        return shown_chain(asked(db, lambda ops: ops.stats.chain(head)), json)
    found = asked(db, lambda ops: ops.show(head))
    if json:
        print_json(found)
        return 0
    write(f"run {found.run_id} of {found.dag}: {said_state(found.state, False)}")
    interval = found.interval
    span = f", interval {stamp(interval.start)} to {stamp(interval.end)}"
    write(
        f"{found.kind} run, logical date {stamp(found.logical_date)}{span if interval.start != interval.end else ''}"
    )
    for line in made_lines(found):
        write(line)
    rows = [
        (name if t.role == "task" else f"{name} ({t.role})", t.state, str(t.attempts), t.reason)
        for name, t in folded(found.tasks)
    ]
    print_table(("task", "state", "attempts", "reason"), list(by_group(rows)), "no tasks")
    if len(rows) < len(found.tasks):
        note(f"{len(found.tasks) - len(rows):,} instances of mapped tasks are not shown: --json has them all")
    for alert in [each for each in found.alerts if each.kind != "failure"]:  # the tasks say who failed
        write(f"alert {alert.id} ({alert.state}): {alert.text}")
    return 0


@app.command
def why(
    run: Annotated[str, Parameter(help="The run, 3; one task of it, 3/load; or a DAG's name.")],
    task: Task = None,
    /,
    *,
    map_index: MapIndex = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Say why a run, or a task of it (RUN/TASK or RUN TASK), is in the state it is in; or why a DAG
    (its name) makes no run now, and what makes the next one.
    """
    run, task = split_address(run, task, map_index)
    if task is None and not run.isdigit():
        return assets.why_dag(dag_name(run), db, json)
    found = asked(db, lambda ops: ops.why(run, task))
    if json:
        print_json(found)
        return 0
    name = f"{found.task} of run {found.run_id}" if found.task else f"run {found.run_id}"
    print_why(f"{name} is {found.state}: {found.why}", found.details, found.next)
    return 0


@app.command
def logs(
    run: RunOrTask,
    task: Task = None,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=("--follow", "-f"), negative="", help="Go on until it ends.")
    ] = False,
    attempt: Annotated[int | None, Parameter(help="Which attempt, counted from 1; the last one.")] = None,
    map_index: MapIndex = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Print the log of a task's attempt (RUN/TASK or RUN TASK)."""
    from bide.runtime.cli.follow import Moves, print_log, whole_log

    run, task = split_address(run, task, map_index)
    if task is None:
        raise UsageError(f"logs of which task? `bide logs {run}/TASK`; `bide show {run}` lists them")
    name = task
    if json:
        print_json(asked(db, lambda ops: whole_log(ops, run, name, attempt, follow)))
    else:
        asked(db, lambda ops: print_log(ops, run, name, attempt, follow, Moves(db, run).wait))
    return 0


@app.command
def doctor(*, db: Db = None, json: Json = False) -> int:
    """Check the database, its files, who serves it, the settings and the machine; exit 1 when something is wrong.

    A line says `ok`, `note` (well, and there is something to know) or `BAD`; below it what to do.
    """
    from bide.runtime.cli.doctor import health_lines

    health = asked(db, lambda ops: ops.doctor())
    if json:
        print_json(health)
    else:
        for line in health_lines(health):
            write(line)
    return 0 if health.ok else 1


@app.command
def version(*, json: Json = False) -> int:
    """Print the version."""
    if json:
        print_json({"version": bide.__version__})
    else:
        write(f"bide {bide.__version__}")
    return 0


# --- doing ---------------------------------------------------------------------------------------


@app.command
def trigger(
    dag: Dag,
    /,
    *,
    date: Date = None,
    param: Params = None,
    new: Annotated[
        bool, Parameter(negative="", help="A new run, though there is one for this date.")
    ] = False,
    key: Annotated[
        str | None, Parameter(name="--idempotency-key", help="The same key makes one run.")
    ] = None,
    shadow: Annotated[
        bool,
        Parameter(negative="", help="A shadow run: it computes, stages and checks, and publishes nothing."),
    ] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Start a run of a DAG."""
    name = dag_name(dag)

    async def start(ops: Doors) -> tuple[Triggered, bool]:
        schema = (await ops.dag(name)).params if param else None
        params = read_params(param or [], schema)
        return await ops.trigger(name, date, params, new, key, shadow), ops.held

    made, held = asked(db, start)
    if json:
        print_json(made)
    else:
        write(f"run {made.run_id}")
        if not held:
            note(ASLEEP)
    return 0


@app.command
def cancel(run: RunOrNone = None, /, *, many: OfRuns = None, db: Db = None, json: Json = False) -> int:
    """Cancel a run, or all that --where finds: what waits and what runs of it."""
    if many is not None and many.where:
        return on_runs("cancel", run, many, db, json)
    named = one_run("cancel", run, many)
    return done(db, json, lambda ops: ops.cancel(_whole(named, "cancel")))


@app.command
def rerun(
    run: Annotated[str | None, Parameter(help="The run, 3; or one task of it, 3/load.")] = None,
    task: Task = None,
    /,
    *,
    downstream: Annotated[bool, Parameter(negative="", help="And everything below the task.")] = False,
    whole: Annotated[bool, Parameter(name="--run", negative="", help="Every task, successes too.")] = False,
    map_index: MapIndex = None,
    many: OfRuns = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Run again what did not succeed, or one task (RUN/TASK or RUN TASK), or the whole run; or all that --where finds."""
    if many is not None and many.where:
        if task is not None or downstream or map_index is not None:
            raise UsageError("--where is of whole runs: leave the task, --downstream and --map-index out")
        return on_runs("rerun", run, many, db, json, whole)
    named, task = split_address(one_run("rerun", run, many), task, map_index)
    return done(db, json, lambda ops: ops.rerun(named, task, downstream, whole), starts=True)


@app.command
def action(
    number: Annotated[str, Parameter(help="The action: its number.")], /, *, db: Db = None, json: Json = False
) -> int:
    """Show how far a cancel, rerun, pause or unpause of many has come, and what of it was refused."""
    return show_action(number, db, json)


@app.command
def mark(
    run: RunOrTask,
    task: Annotated[str, Parameter(help="The task; the state where RUN names the task.")],
    state: Annotated[str | None, Parameter(help="What it becomes: success, failed or skipped.")] = None,
    /,
    *,
    downstream: Annotated[bool, Parameter(negative="", help="And everything below the task.")] = False,
    map_index: MapIndex = None,
    many: OfRuns = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Mark a task success, failed or skipped: `mark RUN TASK STATE`, `mark RUN/TASK STATE`, `mark TASK STATE --where`."""
    if many is not None and many.where:
        if state is not None or map_index is not None:
            raise UsageError(
                "--where says which runs: `bide mark TASK STATE --where dag=...`, without a run and an index"
            )
        return on_runs("mark", None, many, db, json, mark={"task": run, "to": task, "downstream": downstream})
    run = one_run("mark", run, many)
    if state is None:
        task, state = "", task
        if "/" not in run:
            raise UsageError(f"mark which task? `bide mark {run} TASK {state}`")
    run, name = split_address(run, task or None, map_index)
    if name is None:
        raise UsageError(f"mark which task? `bide mark {run} TASK {state}`")
    meant, to = name, state
    return done(db, json, lambda ops: ops.mark(run, meant, to, downstream))


@app.command
def skip(
    run: RunOrTask,
    task: Task = None,
    /,
    *,
    downstream: Annotated[bool, Parameter(negative="", help="And everything below the task.")] = False,
    map_index: MapIndex = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Let a task (RUN/TASK or RUN TASK) not run, and let that be well: what is below decides by its rule."""
    run, name = split_address(run, task, map_index)
    if name is None:
        raise UsageError(f"skip which task? `bide skip {run} TASK`")
    meant = name
    return done(db, json, lambda ops: ops.skip(run, meant, downstream))


@app.command
def pause(dag: Dag, /, *, many: OfDags = None, db: Db = None, json: Json = False) -> int:
    """Let a DAG, or all that match a name with * or ?, start nothing; waits and their deadlines stand still."""
    if is_many(dag):
        return on_dags("pause", dag, many, db, json)
    name = one_dag_name("pause", dag, many)
    return done(db, json, lambda ops: ops.pause(name))


@app.command
def unpause(dag: Dag, /, *, many: OfDags = None, db: Db = None, json: Json = False) -> int:
    """Let a paused DAG, or all that match a name with * or ?, go on."""
    if is_many(dag):
        return on_dags("unpause", dag, many, db, json)
    name = one_dag_name("unpause", dag, many)
    return done(db, json, lambda ops: ops.unpause(name))


# --- names ---------------------------------------------------------------------------------------


def _whole(run: str, verb: str) -> str:
    head, task = split_address(run)
    if task is not None:
        raise UsageError(f"{verb} takes a run: `bide {verb} {head}`; `bide mark {run} failed` ends one task")
    return head
