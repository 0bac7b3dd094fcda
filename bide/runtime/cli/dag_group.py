"""`bide dags`: which DAGs there are; of one its tasks, its versions, its firings, its runs task by task."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Dag, Db, Json, Most, asked, dag_name
from bide.runtime.cli.code import code
from bide.runtime.cli.dags import dag_lines, dag_table, unloaded_lines
from bide.runtime.cli.output import GLYPHS, note, print_json, print_table, stamp, write
from bide.runtime.clock import SystemClock, from_us
from bide.runtime.engine.states import State

app = App(
    name="dags",
    help="Which DAGs there are (bare), what one is (its name, or show); of one: code, versions, firings, grid.",
)
app.command(code)


@app.default
def dags(
    dag: Annotated[str | None, Parameter(help="One DAG: a name or a TARGET.")] = None,
    /,
    *,
    limit: Most = 100_000,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the DAGs of the database; or show one: its tasks, and what a run of it takes."""
    if dag is not None:
        return show(dag, db=db, json=json)
    found = asked(db, lambda ops: ops.dags(limit))
    if json:
        print_json(found)
    else:
        print_table(*dag_table(found), "no DAG is known yet")
        for line in unloaded_lines(found):
            note(line)
    return 0


@app.command
def show(dag: Dag, /, *, db: Db = None, json: Json = False) -> int:
    """Show a DAG, whatever its name is (grid, code): its tasks, and what a run of it takes."""
    name = dag_name(dag)
    shown = asked(db, lambda ops: ops.dag(name))
    if json:
        print_json(shown)
    else:
        for line in dag_lines(shown):
            write(line)
    return 0


@app.command
def versions(dag: Dag, /, *, limit: Most = 100, db: Db = None, json: Json = False) -> int:
    """List the versions of a DAG's graph, the newest first."""
    name = dag_name(dag)
    found = asked(db, lambda ops: ops.dag_views.versions(name, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (
                each.version,
                stamp(each.created_at),
                str(each.tasks),
                each.hash[:12],
                "now" if each.current else None,
            )
            for each in found
        ]
        print_table(("version", "since", "tasks", "graph", ""), rows, f"{name} has no graph yet")
    return 0


@app.command
def firings(
    dag: Dag,
    /,
    *,
    since: Annotated[str | None, Parameter(name="--from", help="From this date; a week ago.")] = None,
    until: Annotated[str | None, Parameter(name="--to", help="Before this date; a week ahead.")] = None,
    limit: Most = 1_000,
    db: Db = None,
    json: Json = False,
) -> int:
    """List what became of a DAG's firings, the newest first: ran, late, caught up, missed and why, due."""
    name = dag_name(dag)
    now = from_us(SystemClock().now())
    first = since or (now - timedelta(days=7)).date().isoformat()
    end = until or (now + timedelta(days=8)).date().isoformat()
    found = asked(db, lambda ops: ops.dag_views.firings(name, first, end, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (stamp(each.fires_at), each.what.replace("_", " "), each.run_id, each.state, each.reason or None)
            for each in reversed(found)
        ]
        print_table(("fires at", "what", "run", "state", "reason"), rows, f"no firing from {first} to {end}")
    return 0


@app.command
def grid(
    dag: Dag,
    /,
    *,
    n: Annotated[int, Parameter(name=("-n", "--count"), help="So many runs, the newest.")] = 10,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show the newest runs of a DAG task by task: a row a task, a column a run, the newest at the right."""
    name = dag_name(dag)
    found = asked(db, lambda ops: ops.dag_views.grid(name, n))
    if json:
        print_json(found)
        return 0
    runs = found.runs[::-1]
    signs = [GLYPHS[State(word)][0] for word in found.words]
    rows = [
        (each.task, *("" if run.states[at] < 0 else signs[run.states[at]] for run in runs))
        for at, each in enumerate(found.tasks)
    ]
    if not runs:
        note(f"{name} has no run yet")
        return 0
    print_table(("task", *(run.run_id for run in runs)), rows, f"{name} has no task")
    used = sorted({state for run in runs for state in run.states if state >= 0})
    note("  ".join(f"{signs[each]} {found.words[each]}" for each in used))
    return 0
