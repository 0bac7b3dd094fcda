"""The invariants that hold after every fault, checked on a store that may be damaged (`db check`).

Each is a small function that returns what it found; none of them writes. I3 and I10 also have a
living side, executor entries and armed waits: `live`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Final

from bide.runtime.engine.states import OVER, State
from bide.runtime.graph.spec import Lane
from bide.runtime.store.door_invariants import doors_are_what_they_say
from bide.runtime.store.failure import READ_ERRORS, ROW_ERRORS
from bide.runtime.store.impact_invariants import i5_what_is_wrong_is_reached
from bide.runtime.store.people_invariants import i4_awaiting_is_an_open_approval, i5_delivered_once
from bide.runtime.store.replay import STATES, Violation, replay, specs
from bide.runtime.store.replay import ask as _ask
from bide.runtime.store.version_invariants import blocked_by_a_decision, versions_are_what_they_say

__all__ = ["Violation", "check", "check_logs", "live"]

_OVER: Final = ", ".join(f"'{state}'" for state in sorted(OVER))


def check(conn: sqlite3.Connection, logs: Path | None = None) -> list[Violation]:
    """Everything the store can tell, in the order I1 to I12; empty when all is well.

    `logs` is the folder of attempts' logs. A check that the damage keeps from its end says so as a
    violation of its own; nothing is raised for damage.
    """
    found: list[Violation] = []
    for which, one in _CHECKS:
        found += _guarded(which, one, conn)
    if logs is not None:
        found += _guarded("I12", lambda conn: check_logs(conn, logs), conn)
    return sorted(found, key=lambda violation: int(violation.id[1:]))


def quick(conn: sqlite3.Connection) -> list[Violation]:
    """What can be told without reading every index and the whole journal."""
    return [
        *_guarded("I1", i1_the_file_is_in_order, conn),
        *(
            v
            for which, one in _CHECKS
            if one not in (i1_the_file_is_whole, replay)
            for v in _guarded(which, one, conn)
        ),
    ]


def _guarded(
    which: str, one: Callable[[sqlite3.Connection], list[Violation]], conn: sqlite3.Connection
) -> list[Violation]:
    try:
        return one(conn)
    except (*READ_ERRORS, *ROW_ERRORS) as error:
        return [Violation(which, f"could not be checked, the database is damaged ({error})")]


def i1_the_file_is_whole(conn: sqlite3.Connection) -> list[Violation]:
    said = [text for (text,) in conn.execute("PRAGMA integrity_check(20)") if text != "ok"]
    found = [Violation("I1", f"the file is damaged: {text}") for text in said]
    for table, rowid, parent, _ in conn.execute("PRAGMA foreign_key_check").fetchall()[:100]:
        found.append(Violation("I1", f"row {rowid} of {table} has no {parent}", (rowid or 0,)))
    return found


def i1_the_file_is_in_order(conn: sqlite3.Connection) -> list[Violation]:
    said = [text for (text,) in conn.execute("PRAGMA quick_check(20)") if text != "ok"]
    return [Violation("I1", f"the file is damaged: {text}") for text in said]


def i2_states_are_legal(conn: sqlite3.Connection) -> list[Violation]:
    found = []
    for table, states in STATES.items():
        known = ", ".join(f"'{state}'" for state in states)
        for row, state in conn.execute(f"SELECT rowid, state FROM {table} WHERE state NOT IN ({known})"):
            found.append(Violation("I2", f"{table} {row} is in the unknown state {state!r}", (row,)))
    return found


def i2_runs_end_with_their_tasks(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I2",
        "run {0} is over and its instance {1} is {2}",
        f"SELECT run_id, instance_id, i.state FROM run r JOIN task_instance i USING (run_id)"
        f" WHERE r.state IN ('success', 'failed', 'cancelled') AND i.state NOT IN ({_OVER})",
    )
    return found + _ask(
        conn,
        "I2",
        "run {0} is {1} and its end is {2}",
        "SELECT run_id, state, coalesce(ended_us, 'not written') FROM run"
        " WHERE (ended_us IS NULL) = (state IN ('success', 'failed', 'cancelled'))",
    )


def i2_mapped_tasks_end_with_their_instances(conn: sqlite3.Connection) -> list[Violation]:
    summary = "FROM task_instance s JOIN task_instance c ON c.run_id = s.run_id AND c.task = s.task"
    summary += " AND s.map_index = -1 AND c.map_index >= 0"
    found = _ask(
        conn,
        "I2",
        "instance {0} stands for the instances of a mapped task, is {2}, and its instance {1} is {3}",
        f"SELECT s.instance_id, c.instance_id, s.state, c.state {summary}"
        f" WHERE s.state <> 'mapped' AND c.state NOT IN ({_OVER})",
    )
    found += _ask(
        conn,
        "I2",
        "instance {0} is mapped, and nothing of it is left to wait for",
        "SELECT e.instance_id FROM expansion e JOIN task_instance s USING (instance_id) WHERE s.state = 'mapped'"
        f" AND e.made >= e.items AND NOT EXISTS (SELECT 1 FROM task_instance c WHERE c.run_id = s.run_id"
        f" AND c.task = s.task AND c.map_index >= 0 AND (c.state NOT IN ({_OVER}) OR c.map_index >= e.made))",
    )
    return found + _ask(
        conn,
        "I2",
        "instance {0} is mapped, and it is not written over what",
        "SELECT instance_id FROM task_instance s WHERE state = 'mapped' AND NOT EXISTS"
        " (SELECT 1 FROM expansion JOIN manifest USING (instance_id) WHERE instance_id = s.instance_id)",
    )


def i2_plans_end_with_their_steps(conn: sqlite3.Connection) -> list[Violation]:
    over = "('published', 'failed', 'cancelled')"
    return [
        *_ask(
            conn,
            "I2",
            "plan {0} is {1} and its step {2} is {3}",
            "SELECT plan_id, p.state, s.step, s.state FROM rerun_plan p JOIN rerun_step s USING (plan_id)"
            f" WHERE p.state IN {over} AND s.state IN ('pending', 'running', 'staged')",
        ),
        *_ask(
            conn,
            "I2",
            "step {1} of plan {0} is running and its run {2} is over or not there",
            "SELECT plan_id, step, coalesce(s.run_id, 0) FROM rerun_step s LEFT JOIN run r USING (run_id)"
            " WHERE s.state = 'running' AND (r.run_id IS NULL OR r.ended_us IS NOT NULL)",
        ),
        *_ask(
            conn,
            "I2",
            "version {0} waits for plan {1}, which is {2}",
            "SELECT asset_version_id, v.plan_id, p.state FROM asset_version v JOIN rerun_plan p USING (plan_id)"
            f" WHERE v.held = 1 AND p.state IN {over}",
        ),
    ]


def i2_backfills_end_with_their_intervals(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I2",
        "backfill {0} is {1} and its interval {2} is {3}",
        "SELECT backfill_id, b.state, i.place, i.state FROM backfill b JOIN backfill_interval i USING (backfill_id)"
        " WHERE b.ended_us IS NOT NULL AND i.state IN ('pending', 'running')",
    )
    found += _ask(
        conn,
        "I2",
        "interval {1} of backfill {0} is running and its run {2} is over or not there",
        "SELECT backfill_id, place, coalesce(i.run_id, 0) FROM backfill_interval i LEFT JOIN run r USING (run_id)"
        " WHERE i.state = 'running' AND (r.run_id IS NULL OR r.ended_us IS NOT NULL)",
    )
    return found + _ask(
        conn,
        "I2",
        "run {0} runs {1} intervals of backfills at once",
        "SELECT run_id, count(*) FROM backfill_interval WHERE state = 'running' GROUP BY run_id HAVING count(*) > 1",
    )


def i3_running_is_one_running_attempt(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I3",
        "instance {0} is running and its attempt {1} is not",
        "SELECT i.instance_id, coalesce(i.attempt_id, 0) FROM task_instance i"
        " LEFT JOIN attempt a ON a.attempt_id = i.attempt_id AND a.instance_id = i.instance_id"
        " WHERE i.state = 'running' AND a.state IS NOT 'running'",
    )
    found += _ask(
        conn,
        "I3",
        "instance {0} has {1} running attempts",
        "SELECT instance_id, count(*) FROM attempt WHERE state = 'running' GROUP BY instance_id HAVING count(*) > 1",
    )
    return found + _ask(
        conn,
        "I3",
        "attempt {0} is running and its instance {1} is {2}",
        "SELECT a.attempt_id, i.instance_id, i.state FROM attempt a JOIN task_instance i USING (instance_id)"
        " WHERE a.state = 'running' AND i.state NOT IN ('running', 'deferred', 'ready', 'awaiting_approval')",
    )


def i4_deferred_is_an_open_wait(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I4",
        "instance {0} is deferred and has no open wait",
        "SELECT instance_id FROM task_instance i WHERE state = 'deferred' AND NOT EXISTS"
        " (SELECT 1 FROM wait w WHERE w.instance_id = i.instance_id AND w.state = 'open')",
    )
    found += _ask(
        conn,
        "I4",
        "wait {0} is open and its instance {1} is {2}",
        "SELECT wait_id, i.instance_id, i.state FROM wait w JOIN task_instance i USING (instance_id)"
        " WHERE w.state = 'open' AND i.state NOT IN ('deferred', 'ready', 'running')",
    )
    sensors = specs(conn)
    for instance, task, version, count in conn.execute(
        "SELECT i.instance_id, i.task, r.version_id, count(*) FROM wait w JOIN task_instance i USING (instance_id)"
        " JOIN run r USING (run_id) WHERE w.state = 'open' GROUP BY i.instance_id HAVING count(*) > 1"
    ):
        spec = sensors.get(version, {}).get(task)
        if spec is not None and spec.lane is Lane.WAIT:
            found.append(Violation("I4", f"the sensor {task!r} has {count} open waits", (instance,)))
    return found


def i5_one_event_one_end(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I5",
        "wait {0} fired and its event is not written",
        "SELECT wait_id FROM wait WHERE state = 'fired' AND event IS NULL",
    )
    found += _ask(
        conn,
        "I5",
        "wait {0} is {1} and its end is not written, or it is open and has one",
        "SELECT wait_id, state FROM wait WHERE (state = 'open') = (ended_us IS NOT NULL)",
    )
    return found + _ask(
        conn,
        "I5",
        "wait {0} has ended {1} times in the journal",
        "SELECT subject_id, count(*) FROM event WHERE subject = 'wait' AND was = 'open' AND now <> 'open'"
        " GROUP BY subject_id HAVING count(*) > 1",
    )


def i5_one_version_one_fate(conn: sqlite3.Connection) -> list[Violation]:
    """For each DAG that looks at an asset: pending, in one run, or dropped; nothing beyond its cursor."""
    columns = "asset_version_id, part_us, again"
    found = _ask(
        conn,
        "I5",
        "DAG {0} has accounted for version {1} of an asset {2} times",
        f"SELECT dag_id, asset_version_id, count(*) FROM (SELECT dag_id, {columns} FROM asset_pending"
        f" UNION ALL SELECT r.dag_id, {columns} FROM run_trigger JOIN run r USING (run_id)"
        f" UNION ALL SELECT dag_id, {columns} FROM asset_drop) GROUP BY dag_id, {columns} HAVING count(*) > 1",
    )
    return found + _ask(
        conn,
        "I5",
        "version {1} of an asset is pending for DAG {0}, which has not been given it",
        "SELECT p.dag_id, p.asset_version_id FROM asset_pending p JOIN asset_version v USING (asset_version_id)"
        " LEFT JOIN asset_cursor c ON c.dag_id = p.dag_id AND c.asset_id = v.asset_id"
        " WHERE c.asset_version_id IS NULL OR c.asset_version_id < p.asset_version_id",
    )


def i6_attempts_are_within_their_budget(conn: sqlite3.Connection) -> list[Violation]:
    found = _ask(
        conn,
        "I6",
        "instance {0} counts {1} attempts and the last one stored is number {2}",
        "SELECT i.instance_id, i.attempt, coalesce(max(a.number), 0) FROM task_instance i"
        " LEFT JOIN attempt a USING (instance_id) GROUP BY i.instance_id HAVING i.attempt <> coalesce(max(a.number), 0)",
    )
    found += _ask(
        conn,
        "I6",
        "instance {0} has the attempt number {1} more than once",
        "SELECT instance_id, number FROM attempt GROUP BY instance_id, number HAVING count(*) > 1",
    )
    graphs = specs(conn)
    for instance, task, failures, version in conn.execute(
        "SELECT instance_id, task, failures, version_id FROM task_instance JOIN run USING (run_id) WHERE failures > 0"
    ):
        spec = graphs.get(version, {}).get(task)
        if spec is not None and failures > spec.retries + 1:
            found.append(
                Violation(
                    "I6",
                    f"{task!r} may fail {spec.retries + 1} times and failed {failures} times",
                    (instance,),
                )
            )
    return found


def i8_one_run_a_slot(conn: sqlite3.Connection) -> list[Violation]:
    return _ask(
        conn,
        "I8",
        "DAG {0} has {2} scheduled runs of the logical date {1}",
        "SELECT dag_id, logical_us, count(*) FROM run WHERE kind = 'scheduled'"
        " GROUP BY dag_id, logical_us HAVING count(*) > 1",
    )


def i12_nothing_without_its_owner(conn: sqlite3.Connection) -> list[Violation]:
    found = []
    for words, sql in (*_ORPHANS, *_ALARMS):
        found += _ask(conn, "I12", words, sql)
    graphs = specs(conn)
    for instance, task, version in conn.execute(
        "SELECT instance_id, task, version_id FROM task_instance JOIN run USING (run_id)"
    ):
        if version in graphs and task not in graphs[version]:
            found.append(
                Violation("I12", f"instance {instance} is of {task!r}, no task of its graph", (instance,))
            )
    return found


_ORPHANS: Final = (
    *(
        (
            f"row {{0}} of {table} belongs to the {what} {{1}}, and there is none",
            (
                f"SELECT x.rowid, x.{key} FROM {table} x WHERE NOT EXISTS"
                f" (SELECT 1 FROM {owner} o WHERE o.{key} = x.{key})"
            ),
        )
        for table, owner, key, what in (
            ("task_instance", "run", "run_id", "run"),
            ("attempt", "task_instance", "instance_id", "instance"),
            ("output", "task_instance", "instance_id", "instance"),
            ("expansion", "task_instance", "instance_id", "instance"),
            ("manifest", "expansion", "instance_id", "mapped task"),
            ("failure", "task_instance", "instance_id", "instance"),
            ("wait", "task_instance", "instance_id", "instance"),
            ("wait", "attempt", "attempt_id", "attempt"),
            ("process", "attempt", "attempt_id", "attempt"),
        )
    ),
    (
        "instance {0} names the attempt {1}, which is not its own",
        (
            "SELECT instance_id, attempt_id FROM task_instance i WHERE attempt_id IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM attempt a WHERE a.attempt_id = i.attempt_id AND a.instance_id = i.instance_id)"
        ),
    ),
    (
        "DAG {0} names the version {1}, which is not its own",
        (
            "SELECT dag_id, version_id FROM dag d WHERE version_id IS NOT NULL AND NOT EXISTS"
            " (SELECT 1 FROM dag_version v WHERE v.version_id = d.version_id AND v.dag_id = d.dag_id)"
        ),
    ),
    (
        "wait {0} is of instance {1}, and its attempt is another's",
        (
            "SELECT w.wait_id, w.instance_id FROM wait w JOIN attempt a USING (attempt_id)"
            " WHERE a.instance_id <> w.instance_id"
        ),
    ),
    (
        "a recorded step of attempt {1} of instance {0} has no such attempt",
        (
            "SELECT instance_id, attempt_id FROM step s WHERE NOT EXISTS"
            " (SELECT 1 FROM attempt a WHERE a.attempt_id = s.attempt_id AND a.instance_id = s.instance_id)"
        ),
    ),
)

_ALARMS: Final = (
    (
        "an alarm is set for run {0}, which is over or not there",
        (
            "SELECT subject_id FROM alarm WHERE kind = 'run' AND NOT EXISTS"
            " (SELECT 1 FROM run WHERE run_id = subject_id AND ended_us IS NULL)"
        ),
    ),
    (
        "an alarm is set for instance {0}, which is over or not there",
        (
            "SELECT subject_id FROM alarm WHERE kind = 'task' AND NOT EXISTS"
            f" (SELECT 1 FROM task_instance WHERE instance_id = subject_id AND state NOT IN ({_OVER}))"
        ),
    ),
)

_CHECKS: Final[tuple[tuple[str, Callable[[sqlite3.Connection], list[Violation]]], ...]] = (
    ("I1", i1_the_file_is_whole),
    ("I2", i2_states_are_legal),
    ("I2", i2_runs_end_with_their_tasks),
    ("I2", i2_backfills_end_with_their_intervals),
    ("I2", i2_plans_end_with_their_steps),
    ("I2", i2_mapped_tasks_end_with_their_instances),
    ("I2", doors_are_what_they_say),
    ("I2", replay),
    ("I3", i3_running_is_one_running_attempt),
    ("I4", i4_deferred_is_an_open_wait),
    ("I4", i4_awaiting_is_an_open_approval),
    ("I5", i5_one_event_one_end),
    ("I5", i5_delivered_once),
    ("I5", i5_one_version_one_fate),
    ("I4", blocked_by_a_decision),
    ("I5", versions_are_what_they_say),
    ("I5", i5_what_is_wrong_is_reached),
    ("I6", i6_attempts_are_within_their_budget),
    ("I8", i8_one_run_a_slot),
    ("I12", i12_nothing_without_its_owner),
)


def check_logs(conn: sqlite3.Connection, logs: Path) -> list[Violation]:
    """I12: every file in the folder of logs is some attempt's, `<attempt id>.log`.

    But for `0.log`: what schedules wait for wrote there once, and ids begin with 1.
    """
    if not logs.is_dir():
        return []
    found = []
    for file in sorted(logs.iterdir()):
        if file.name == "0.log":
            continue
        known = file.suffix == ".log" and file.stem.isascii() and file.stem.isdigit() and len(file.stem) < 19
        if (
            not known
            or not conn.execute("SELECT 1 FROM attempt WHERE attempt_id = ?", (int(file.stem),)).fetchone()
        ):
            found.append(Violation("I12", f"the log {file.name} is of no attempt"))
    return found


def live(
    conn: sqlite3.Connection, bodies: Collection[int], armed: Collection[int], slots: int, in_use: int
) -> list[Violation]:
    """I3, I4 and I10 against the living: to be asked when mailbox and commit are quiet.

    `bodies`: attempt ids that the executor holds; `armed`: wait ids that sources hold. A body may
    outlive its attempt (a thread past its time-out), so `bodies` may be more than is running.
    """
    running = [
        attempt
        for (attempt,) in conn.execute(
            "SELECT attempt_id FROM task_instance WHERE state = ?", (State.RUNNING,)
        )
    ]
    found = [
        Violation("I3", f"attempt {attempt} is running in the store and in no executor", (attempt,))
        for attempt in sorted(set(running) - set(bodies))
    ]
    known = {wait for (wait,) in conn.execute("SELECT wait_id FROM wait WHERE state = 'open'")}
    known |= {held for (held,) in conn.execute("SELECT standing_id FROM standing WHERE ended_us IS NULL")}
    found += [
        Violation("I4", f"wait {wait} is armed and not open in the store", (wait,))
        for wait in sorted(set(armed) - known)
    ]
    if in_use > slots:
        found.append(Violation("I10", f"{in_use} slots are in use and there are {slots}"))
    return found
