"""The commands of the terminal: what is typed, and which operation answers. Each ends in an exit code.

Only what a command needs is imported, in its own body: `bide run` pays for no web framework.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

from cyclopts import App, Parameter

import bide
from bide.runtime.cli.output import print_json, print_table, said_state, write
from bide.runtime.clock import SECOND, SystemClock
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import read_json, read_params, read_span, split_address
from bide.runtime.service.doors import Doors
from bide.runtime.service.places import database, settings

T = TypeVar("T")
Db = Annotated[
    str | None, Parameter(help="The database; without it BIDE_DB, else the project's .bide/bide.db.")
]
Json = Annotated[bool, Parameter(negative="", help="JSON on stdout, with stable keys.")]
Params = Annotated[
    list[str] | None, Parameter(name="--param", negative="", help="A parameter, k=v; repeatable.")
]
Date = Annotated[str | None, Parameter(help="The logical date, such as 2026-06-15; read in the DAG's zone.")]
Slots = Annotated[int | None, Parameter(help="How many tasks may run at once.")]

app = App(
    name="bide",
    help="Runs DAGs that wait on the world without holding a slot.",
    version=f"bide {bide.__version__}",
    help_format="plaintext",
    result_action="return_value",
)
waits_app = App(name="waits", help="What is waited for now: list (bare), look, extend, satisfy, fail.")
app.command(waits_app)


def _ask(db: str | None, question: Callable[[Doors], Awaitable[T]]) -> T:
    """Open the door to the database, ask, close it."""
    from bide.runtime.service.session import doors

    async def ask() -> T:
        async with doors(database(settings(db=db)), SystemClock()) as open_doors:
            return await question(open_doors)

    return asyncio.run(ask())


def _done(db: str | None, json: bool, act: Callable[[Doors], Awaitable[Any]]) -> int:
    done = _ask(db, act)
    if json:
        print_json(done)
    else:
        write(done.done)
    return 0


# --- run, serve ----------------------------------------------------------------------------------


@app.command
def run(
    target: str,
    /,
    *,
    date: Date = None,
    param: Params = None,
    new: Annotated[
        bool, Parameter(negative="", help="A new run, though there is one for this date.")
    ] = False,
    slots: Slots = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Run one DAG (file.py[:dag] or module[:dag]) to its end, with a live picture of its graph."""
    from bide.runtime.cli.run import run_target

    return run_target(target, settings(db=db, slots=slots), date, read_params(param or []), new, json)


@app.command
def serve(
    *paths: str,
    slots: Slots = None,
    drain: Annotated[str | None, Parameter(help="How long what runs may go on after SIGTERM.")] = None,
    db: Db = None,
) -> int:
    """Serve the DAGs of files and folders: schedules, waits, runs, and the other commands' questions."""
    from bide.runtime.cli.serve import serve_paths

    limit = None if drain is None else read_span(drain) / SECOND
    return serve_paths(settings(db=db, slots=slots, paths=list(paths) or None, stop_timeout=limit))


# --- reading -------------------------------------------------------------------------------------


@app.command
def dags(*, db: Db = None, json: Json = False) -> int:
    """List the DAGs of the database."""
    found = _ask(db, lambda ops: ops.dags())
    if json:
        print_json(found)
    else:
        rows = [
            (d.dag, d.schedule, "paused" if d.paused else "", d.next_fires_at, d.last_state) for d in found
        ]
        print_table(("dag", "schedule", "paused", "next fires at", "last state"), rows, "no DAG is known yet")
    return 0


@app.command
def runs(
    dag: str | None = None,
    /,
    *,
    state: Annotated[str | None, Parameter(help="Only runs in this state.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List runs, the newest first: of all DAGs, or of one."""
    name = _dag_name(dag) if dag is not None else None
    found = _ask(db, lambda ops: ops.runs(name, state, limit))
    if json:
        print_json(found)
    else:
        rows = [(r.run_id, r.dag, r.state, r.kind, r.logical_date, r.ended_at, r.reason) for r in found]
        print_table(("run", "dag", "state", "kind", "logical date", "ended at", "reason"), rows, "no runs")
    return 0


@app.command
def show(run: str, /, *, db: Db = None, json: Json = False) -> int:
    """Show a run and its tasks."""
    head, task = split_address(run)
    if task is not None:
        raise UsageError(f"show takes a run: `bide show {head}`, or `bide why {run}` for one task")
    found = _ask(db, lambda ops: ops.show(head))
    if json:
        print_json(found)
        return 0
    write(f"run {found.run_id} of {found.dag}: {said_state(found.state, False)}")
    write(f"logical date {found.logical_date}, interval {found.interval.start} to {found.interval.end}")
    rows = [
        (t.task if t.map_index < 0 else f"{t.task}[{t.map_index}]", t.state, str(t.attempts), t.reason)
        for t in found.tasks
    ]
    print_table(("task", "state", "attempts", "reason"), rows, "no tasks")
    return 0


@app.command
def why(run: str, task: str | None = None, /, *, db: Db = None, json: Json = False) -> int:
    """Say why a run, or a task of it (RUN/TASK or RUN TASK), is in the state it is in."""
    run, task = split_address(run, task)
    found = _ask(db, lambda ops: ops.why(run, task))
    if json:
        print_json(found)
        return 0
    name = f"{found.task} of run {found.run_id}" if found.task else f"run {found.run_id}"
    write(f"{name} is {found.state}: {found.why}")
    width = max((len(d.what) for d in found.details), default=0)
    for detail in found.details:
        write(f"  {detail.what.ljust(width)}  {detail.value}")
    if found.next:
        write(f"  next: {found.next}")
    return 0


@app.command
def logs(
    run: str,
    task: str | None = None,
    /,
    *,
    follow: Annotated[
        bool, Parameter(name=("--follow", "-f"), negative="", help="Go on until it ends.")
    ] = False,
    attempt: Annotated[int | None, Parameter(help="Which attempt, counted from 1; the last one.")] = None,
    db: Db = None,
) -> int:
    """Print the log of a task's attempt (RUN/TASK or RUN TASK)."""
    from bide.runtime.cli.follow import print_log

    run, task = split_address(run, task)
    if task is None:
        raise UsageError(f"logs of which task? `bide logs {run}/TASK`; `bide show {run}` lists them")
    name = task
    _ask(db, lambda ops: print_log(ops, run, name, attempt, follow))
    return 0


@app.command
def doctor(*, db: Db = None, json: Json = False) -> int:
    """Check the database and what it rests on; exit 1 when something is wrong."""
    health = _ask(db, lambda ops: ops.doctor())
    if json:
        print_json(health)
    else:
        for check in health.checks:
            write(f"{'ok ' if check.ok else 'BAD'}  {check.name}: {check.found}")
            if check.advice:
                write(f"     {check.advice}")
    return 0 if health.ok else 1


@app.command
def version() -> int:
    """Print the version."""
    write(f"bide {bide.__version__}")
    return 0


# --- doing ---------------------------------------------------------------------------------------


@app.command
def trigger(
    dag: str,
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
    db: Db = None,
    json: Json = False,
) -> int:
    """Start a run of a DAG."""
    name, params = _dag_name(dag), read_params(param or [])
    made = _ask(db, lambda ops: ops.trigger(name, date, params, new, key))
    if json:
        print_json(made)
    else:
        write(f"run {made.run_id}")
    return 0


@app.command
def cancel(run: str, /, *, db: Db = None, json: Json = False) -> int:
    """Cancel a run: what waits and what runs of it."""
    return _done(db, json, lambda ops: ops.cancel(_whole(run, "cancel")))


@app.command
def rerun(
    run: str,
    task: str | None = None,
    /,
    *,
    downstream: Annotated[bool, Parameter(negative="", help="And everything below the task.")] = False,
    whole: Annotated[bool, Parameter(name="--run", negative="", help="Every task, successes too.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Run again what did not succeed, or one task (RUN/TASK or RUN TASK), or the whole run."""
    run, task = split_address(run, task)
    return _done(db, json, lambda ops: ops.rerun(run, task, downstream, whole))


@app.command
def mark(run: str, task: str, state: str | None = None, /, *, db: Db = None, json: Json = False) -> int:
    """Mark a task success, failed or skipped: `mark RUN TASK STATE` or `mark RUN/TASK STATE`."""
    if state is None:
        task, state = "", task
        if "/" not in run:
            raise UsageError(f"mark which task? `bide mark {run} TASK {state}`")
    run, name = split_address(run, task or None)
    if name is None:
        raise UsageError(f"mark which task? `bide mark {run} TASK {state}`")
    meant, to = name, state
    return _done(db, json, lambda ops: ops.mark(run, meant, to))


@app.command
def pause(dag: str, /, *, db: Db = None, json: Json = False) -> int:
    """Let a DAG start nothing; its waits and their deadlines stand still."""
    name = _dag_name(dag)
    return _done(db, json, lambda ops: ops.pause(name))


@app.command
def unpause(dag: str, /, *, db: Db = None, json: Json = False) -> int:
    """Let a paused DAG go on."""
    name = _dag_name(dag)
    return _done(db, json, lambda ops: ops.unpause(name))


# --- waits ---------------------------------------------------------------------------------------


def _list_waits(db: str | None, json: bool) -> int:
    found = _ask(db, lambda ops: ops.waits())
    if json:
        print_json(found)
    else:
        rows = [
            (w.id, f"{w.run_id}/{w.task}", w.trigger, w.since, w.deadline, w.last_look, w.next_look)
            for w in found
        ]
        heads = ("wait", "task", "for", "since", "deadline", "last look", "next look")
        print_table(heads, rows, "nothing is waited for")
    return 0


@waits_app.default
def waits_bare(*, db: Db = None, json: Json = False) -> int:
    """List what is waited for now, the nearest deadline first."""
    return _list_waits(db, json)


@waits_app.command(name="list")
def waits_list(*, db: Db = None, json: Json = False) -> int:
    """List what is waited for now, the nearest deadline first."""
    return _list_waits(db, json)


@waits_app.command(name="look")
def waits_look(wait: str, /, *, db: Db = None, json: Json = False) -> int:
    """Look now, without waiting for the next look."""
    return _done(db, json, lambda ops: ops.wait_look(wait))


@waits_app.command(name="extend")
def waits_extend(
    wait: str,
    to: Annotated[str | None, Parameter(help="The new deadline: 2026-06-15T12:00Z, or +2h.")] = None,
    /,
    *,
    by: Annotated[str | None, Parameter(help="So much later than now planned: 2h.")] = None,
    until: Annotated[str | None, Parameter(help="The new deadline.")] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Give a wait a later deadline: `+2h` (or --by 2h) from the one it has, or an instant (--until)."""
    said = [word for word in (to, by and f"+{by}", until) if word]
    if len(said) != 1:
        raise UsageError(
            f"extend wait {wait} until when? give one of +2h, --by 2h, --until 2026-06-15T12:00Z"
        )
    return _done(db, json, lambda ops: ops.wait_extend(wait, said[0]))


@waits_app.command(name="satisfy")
def waits_satisfy(
    wait: str,
    /,
    *,
    event: Annotated[str | None, Parameter(help="What the task gets, JSON.")] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """End a wait as if what it waits for had come true."""
    value = None if event is None else read_json(event, "--event")
    return _done(db, json, lambda ops: ops.wait_satisfy(wait, value))


@waits_app.command(name="fail")
def waits_fail(
    wait: str,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in the log and in `why`.")] = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """End a wait as failed."""
    return _done(db, json, lambda ops: ops.wait_fail(wait, reason))


# --- names ---------------------------------------------------------------------------------------


def _whole(run: str, verb: str) -> str:
    head, task = split_address(run)
    if task is not None:
        raise UsageError(f"{verb} takes a run: `bide {verb} {head}`; `bide mark {run} failed` ends one task")
    return head


def _dag_name(text: str) -> str:
    """A DAG's name as it is, or the name of the one DAG of a TARGET."""
    if ":" not in text and not text.endswith(".py"):
        return text
    from bide.runtime.cli.targets import one_dag

    return one_dag(text).name
