"""A prune within a scene, and what must survive it: all that something living needs, row for row.

What is needed is found here in its own way: by the world in memory and by plain questions, not by those that
retention asks.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import msgspec
from hypothesis import strategies as st

from bide.runtime.engine.messages import Command
from bide.runtime.engine.retention import BEGINNING
from bide.runtime.engine.waiting import EXTERNAL, decode_external
from bide.runtime.store import invariants
from bide.runtime.store.retention import _STAGES, Of, Policy, policy_json
from bide.runtime.store.retention import asked as next_slice

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bide.runtime.engine.messages import Input
    from tests.engine.scene import Scene

_SLICES: Final = 500
STAGES: Final = st.lists(st.integers(0, len(_STAGES) - 1), max_size=3)
"""Slices that something happens beside."""
_KEPT_RUNS: Final = (
    "SELECT run_id FROM run WHERE ended_us IS NULL OR ended_us >= {before}",
    "SELECT max(run_id) FROM run GROUP BY dag_id",
    "SELECT run_id FROM backfill_interval JOIN backfill b USING (backfill_id) WHERE b.ended_us IS NULL",
    "SELECT run_id FROM rerun_step JOIN rerun_plan p USING (plan_id) WHERE p.state IN ('proposed', 'approved', 'running')",
    "SELECT run_id FROM approval WHERE state = 'open'",
    "SELECT run_id FROM asset_version v JOIN delivery d USING (asset_version_id) WHERE d.state = 'pending'",
    "SELECT run_id FROM asset_version WHERE held > 0",
)
_KEPT: Final = {
    "asset_version": (
        "SELECT asset_version_id FROM asset_version WHERE state IN ('published', 'stale', 'degraded') OR held > 0",
        (
            "SELECT max(asset_version_id) FROM asset_version WHERE shadow = 0"
            " AND state NOT IN ('building', 'staged', 'validated') GROUP BY asset_id, start_us, end_us"
        ),
        "SELECT v.asset_version_id FROM asset_version v JOIN asset_cursor c USING (asset_id) WHERE v.asset_version_id > c.asset_version_id",
        "SELECT asset_version_id FROM asset_pending",
        "SELECT asset_version_id FROM run_trigger WHERE run_id IN ({runs})",
        "SELECT asset_version_id FROM delivery",
        "SELECT asset_version_id FROM asset_version WHERE run_id IN ({runs})",
        "SELECT subject_id FROM approval WHERE kind = 'degraded' AND state = 'open'",
    ),
    "backfill": ("SELECT backfill_id FROM backfill WHERE ended_us IS NULL OR ended_us >= {before}",),
    "rerun_plan": (
        "SELECT plan_id FROM rerun_plan WHERE state IN ('proposed', 'approved', 'running')",
        "SELECT plan_id FROM incident WHERE state = 'open'",
        "SELECT subject_id FROM approval WHERE kind = 'plan' AND state = 'open'",
    ),
    "invalidation": (
        "SELECT invalidation_id FROM invalidation WHERE state <> 'spread'",
        "SELECT invalidation_id FROM incident WHERE state = 'open'",
        "SELECT invalidation_id FROM rerun_plan WHERE state IN ('proposed', 'approved', 'running')",
    ),
    "incident": ("SELECT incident_id FROM incident WHERE state = 'open'",),
    "approval": ("SELECT approval_id FROM approval WHERE state = 'open'",),
    "delivery": ("SELECT delivery_id FROM delivery",),
    "dag": ("SELECT dag_id FROM dag",),
    "dag_version": (
        "SELECT version_id FROM dag WHERE version_id IS NOT NULL",
        "SELECT version_id FROM run WHERE run_id IN ({runs})",
    ),
    "standing": ("SELECT standing_id FROM standing WHERE ended_us IS NULL",),
    "hook_delivery": ("SELECT delivery_id FROM hook_delivery WHERE expires_us >= {now}",),
}  # fmt: skip
_WHOLE: Final = {
    "asset_cursor": "SELECT * FROM asset_cursor",
    "asset_pending": "SELECT * FROM asset_pending",
    "hook_key": (
        "SELECT * FROM hook_key WHERE delivery_id IN"
        " (SELECT delivery_id FROM hook_delivery WHERE expires_us >= {now})"
    ),
    "answered": "SELECT * FROM answered WHERE created_us >= {before}",
}
"""Of these every row stays as it is."""
_RUNS: Final = "run_id IN ({runs})"
_CODE_OF_ATTEMPTS: Final = (
    "SELECT attempt.attempt_id, (SELECT c.source FROM dag_code c WHERE c.dag_id = run.dag_id AND c.first_attempt_id <= attempt.attempt_id"
    " ORDER BY c.code_id DESC LIMIT 1) FROM run JOIN task_instance USING (run_id) JOIN attempt USING (instance_id)"
)
"""(attempt, the hash of the text that it was begun with)."""
Rows = dict[str, set[Any]]


def prune(scene: Scene, keep_us: int, last: int = 1, dies_after: int | None = None) -> dict[str, int]:
    """Prune, a command a slice, and see that nothing has gone that is needed. The rows that went, by table.

    `dies_after`: it is killed after so many slices, and what it has not done stays undone.
    """
    scene.feed()  # what a crash has left half done goes on first: it is no work of the prune
    before_us = scene.now - keep_us
    policy = policy_json(Policy(Of(before_us, last), {}, scene.now))
    needed = _needed(scene, before_us)
    scene.remember_alerts()
    removed: dict[str, int] = {}
    cursor, done = BEGINNING, False
    checking, scene.checking = scene.checking, False  # what a slice leaves is looked at once, at the end
    for n in range(_SLICES):
        if done or n == dies_after:
            break
        told = scene.command("prune", policy=policy, cursor=cursor)
        cursor, done = msgspec.json.encode(told["cursor"]).decode(), told["done"]
        for table, count in told["removed"].items():
            removed[table] = removed.get(table, 0) + count
    else:
        raise AssertionError(f"a prune does not come to its end, it stands at {cursor}")
    scene.checking = checking
    _still_there(scene, needed, done=done)
    found = invariants.check(scene.store._raw)
    assert found == [], found
    if dies_after is None:
        scene.compare()
        scene.feed()
    else:
        scene.crash()
    return removed


def _needed(scene: Scene, before_us: int) -> Rows:
    """What must be there afterwards: whole rows of what belongs to a run, the ids of all else."""
    values = {"before": before_us, "now": scene.now}
    runs = {run for sql in _KEPT_RUNS for (run,) in scene._rows(sql.format(**values))} - {None}
    runs |= set(scene.world.runs) | _looked_at(scene)
    runs -= {
        run for (run,) in scene._rows("SELECT run_id FROM pruning")
    }  # an earlier prune was killed: they go
    listed = ", ".join(map(str, sorted(runs))) or "NULL"
    found: Rows = {
        f"{table} of runs": set(map(repr, scene._rows(_of_runs(table, column).format(runs=listed))))
        for table, column in _tables(scene)
    }
    found["runs"] = {listed}
    for table, asked in _KEPT.items():
        found[table] = {row for sql in asked for (row,) in scene._rows(sql.format(runs=listed, **values))} - {
            None
        }
    for table, sql in _WHOLE.items():
        found[f"{table} whole"] = set(scene._rows(sql.format(**values)))
    found["code of attempts"] = set(scene._rows(f"{_CODE_OF_ATTEMPTS} WHERE run_id IN ({listed})"))
    found["wait ids"] = set(scene.world.waits)
    found["attempt ids"] = (
        scene.bodies.keys() & scene.world.attempts.keys()
    )  # others were given up, and end unheard
    return found


def _looked_at(scene: Scene) -> set[int]:
    """Runs that open waits look at, or that a run goes by."""
    found = {run for run, _ in (*scene.world.past, *scene.world.behind.values())}
    for wait in scene.world.waits.values():
        if wait.kind == EXTERNAL:
            trigger = decode_external(wait.trigger)
            until = trigger.logical_us + 1 if trigger.until_us is None else trigger.until_us
            rows = scene._rows(
                "SELECT run_id FROM run JOIN dag USING (dag_id) WHERE name = ? AND logical_us >= ? AND logical_us < ?",
                trigger.dag, trigger.logical_us, until,
            )  # fmt: skip
            found |= {run for (run,) in rows}
    return found


def _tables(scene: Scene) -> list[tuple[str, str]]:
    """(table, the column by which its rows are of a run)."""
    found = []
    for (table,) in scene._rows("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1"):
        columns = {row[1] for row in scene._rows(f"PRAGMA table_info({table})")}
        if column := next((each for each in ("run_id", "instance_id", "attempt_id") if each in columns), ""):
            found.append((table, column))
    return found


def _of_runs(table: str, column: str) -> str:
    if table == "rerun_step":  # of the run, and of a plan: it goes with that
        return f"SELECT * FROM {table} JOIN rerun_plan USING (plan_id) WHERE {_RUNS} AND ended_us IS NULL"
    match column:
        case "run_id":
            return f"SELECT * FROM {table} WHERE {_RUNS}"
        case "instance_id":
            return (
                f"SELECT * FROM {table} WHERE instance_id IN"
                " (SELECT instance_id FROM task_instance WHERE run_id IN ({runs}))"
            )
        case _:
            return (
                f"SELECT * FROM {table} WHERE attempt_id IN (SELECT a.attempt_id FROM attempt a"
                " JOIN task_instance USING (instance_id) WHERE run_id IN ({runs}))"
            )


def _still_there(scene: Scene, needed: Rows, *, done: bool) -> None:
    [listed] = needed.pop("runs")
    for table, column in _tables(scene):
        rows = set(map(repr, scene._rows(_of_runs(table, column).format(runs=listed))))
        gone = needed.pop(f"{table} of runs") - rows
        assert not gone, (
            f"a prune has removed or changed rows of {table} of a run that is needed: {sorted(gone)[:3]}"
        )
    for name, table, column in (("wait ids", "wait", "wait_id"), ("attempt ids", "attempt", "attempt_id")):
        known = {row for (row,) in scene._rows(f"SELECT {column} FROM {table}")}
        assert needed.pop(name) <= known, f"a prune has removed rows of {table} that live"
    gone = needed.pop("code of attempts") - set(scene._rows(_CODE_OF_ATTEMPTS))
    assert not gone, f"a prune has taken the code that attempts ran with: {sorted(gone)[:3]}"
    lone = scene._rows(
        "SELECT hash FROM source WHERE hash NOT IN (SELECT source FROM dag_code WHERE source IS NOT NULL)"
    )
    assert done is False or not lone, f"a prune has left texts that nobody refers to: {lone}"
    for table in _WHOLE:
        gone = needed.pop(f"{table} whole") - set(scene._rows(f"SELECT * FROM {table}"))
        assert not gone, f"a prune has removed or changed rows of {table}: {gone}"
    for table, ids in needed.items():
        given = json.dumps(sorted(ids))
        sql = f"SELECT value FROM json_each(?) WHERE value NOT IN (SELECT rowid FROM {table})"
        lost = [row for (row,) in scene._rows(sql, given)]
        assert not lost, f"a prune has removed rows of {table} that are needed: {lost[:9]}"


def slices_of_prune(scene: Scene, stages: Iterable[int]) -> list[Command]:
    """Slices of one, each the first of its stage: to be decided in one batch with others."""
    scene.remember_alerts()
    policy = policy_json(Policy(Of(scene.now), {}, scene.now))
    found = []
    for stage in stages:
        scene.token += 1
        found.append(Command(scene.token, "prune", {"policy": policy, "cursor": f"[{stage},[]]"}))
    return found


def prune_beside(scene: Scene, what: str, *beside: Input) -> None:
    """Prune all there is; the slice that removes rows of `what` is of one batch with these inputs."""
    policy = policy_json(Policy(Of(scene.now), {}, scene.now))
    cursor, done, met = BEGINNING, False, False
    for _ in range(_SLICES):
        if done:
            break
        here = what in next_slice(scene.store._raw, policy, cursor).gone and not met
        scene.token += 1
        scene.feed(
            Command(scene.token, "prune", {"policy": policy, "cursor": cursor}), *(beside if here else ())
        )
        told = scene.reply(scene.token)
        cursor, done = msgspec.json.encode(told["cursor"]).decode(), told["done"]
        met = met or here
    assert met, f"nothing of {what} goes"
    found = invariants.check(scene.store._raw)
    assert found == [], found
    scene.compare()
