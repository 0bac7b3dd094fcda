"""`bide tasks`: task instances across runs and DAGs, by filter."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, asked
from bide.runtime.cli.output import print_json, print_table, stamp


def tasks(
    *,
    run: Annotated[str | None, Parameter(help="Only of this run.")] = None,
    dag: Annotated[str | None, Parameter(help="Only of this DAG; * and ? stand for any.")] = None,
    task: Annotated[str | None, Parameter(help="Only tasks of this name; * and ? stand for any.")] = None,
    state: Annotated[str | None, Parameter(help="Only in this state, or several: failed,lost.")] = None,
    since: Annotated[str | None, Parameter(help="Only of logical dates since then.")] = None,
    until: Annotated[str | None, Parameter(help="Only of logical dates before this one.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, those of the newest runs.")] = 100,
    db: Db = None,
    json: Json = False,
) -> int:
    """List tasks of all runs by filter, those of the newest run first; without one, of unfinished runs."""
    found = asked(db, lambda ops: ops.tasks.listed(run, dag, task, state, since, until, limit))
    if json:
        print_json(found)
    else:
        rows = [
            (
                f"{t.run_id}/{t.task}" + (f"[{t.map_index}]" if t.map_index >= 0 else ""),
                t.dag,
                t.state,
                stamp(t.since),
                str(t.attempts),
                t.reason,
            )
            for t in found
        ]
        print_table(("task", "dag", "state", "since", "attempts", "reason"), rows, "no task fits")
    return 0
