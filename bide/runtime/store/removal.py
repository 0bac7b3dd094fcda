"""What a slice of retention removes, row by row: the SQL, in an order in which no row is left without its parent.

A run that goes is marked first (`pruning`), and only if nothing living refers to it: that is asked in
the very transaction that marks it. From then on nobody can take it up again, and its rows go in as many
slices as they need. What outlives a run (a version of an asset, its lineage, its evidence, a delivery)
is taken off it. Of all else it is asked again, in the transaction that removes it, whether it still may go.
"""

from __future__ import annotations

import re
import sqlite3
from typing import Final

import msgspec

from bide.runtime.engine.changes import Removal
from bide.runtime.store.last_ids import keep_last_ids, last_ids
from bide.runtime.store.references import free, referring
from bide.runtime.store.still import UNFINISHED_PLAN, UNSENT, still

_THESE: Final = "(SELECT value FROM json_each(?1))"
_NOT_NEWEST: Final = (
    "EXISTS (SELECT 1 FROM dag_code n WHERE n.dag_id = dag_code.dag_id AND n.code_id > dag_code.code_id)"
)
_PAIRS: Final = "(SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?1))"
_APART: Final = "('approval', 'delivery', 'plan')"
"""Subjects of the journal that may outlive a run, and whose lines stay with them."""

_KEPT_APPROVAL: Final = (
    "EXISTS (SELECT 1 FROM decision d WHERE d.decision_id = approval.decision_id AND d.asset_version_id IS NOT NULL)"
    " OR approval.kind IN ('degraded', 'plan') OR approval.kind = 'effect' AND approval.about <> ''"
)
"""Evidence of a version, a plan or a delivery, which all outlive the run."""


def _of_approvals(which: str) -> tuple[str, str]:
    """Lines and rows of the approvals that a condition chooses."""
    return (
        (
            f"DELETE FROM event WHERE subject = 'approval' AND run_id IS NULL"
            f" AND subject_id IN (SELECT approval_id FROM approval WHERE {which})"
        ),
        f"DELETE FROM approval WHERE {which}",
    )


_WITH_DECISIONS: Final = "decision_id IN (SELECT decision_id FROM decision WHERE {0}) AND state <> 'open'"
_LEFT_DECISION: Final = "NOT EXISTS (SELECT 1 FROM approval p WHERE p.decision_id = decision.decision_id)"

STEPS: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (
        "instances",
        (
            *(
                f"DELETE FROM {table} WHERE instance_id IN {_THESE}"
                for table in (
                    "output",
                    "choice",
                    "failure",
                    "manifest",
                    "expansion",
                    "reading",
                    "step",
                    "wait",
                )
            ),
            (
                "DELETE FROM process WHERE attempt_id IN"
                f" (SELECT attempt_id FROM attempt WHERE instance_id IN {_THESE})"
            ),
            f"UPDATE asset_version SET instance_id = NULL, attempt_id = NULL WHERE instance_id IN {_THESE}",
            f"UPDATE decision SET instance_id = NULL WHERE instance_id IN {_THESE}",
            f"DELETE FROM attempt WHERE instance_id IN {_THESE}",
            f"DELETE FROM task_instance WHERE instance_id IN {_THESE}",
        ),
    ),
    ("events", (f"DELETE FROM event WHERE seq IN {_THESE}",)),
    (
        "runs",
        (
            f"UPDATE event SET run_id = NULL WHERE run_id IN {_THESE} AND subject IN {_APART}",
            *_of_approvals(f"run_id IN {_THESE} AND state <> 'open' AND NOT ({_KEPT_APPROVAL})"),
            f"UPDATE approval SET run_id = NULL WHERE run_id IN {_THESE}",
            f"DELETE FROM decision WHERE run_id IN {_THESE} AND asset_version_id IS NULL AND {_LEFT_DECISION}",
            f"UPDATE decision SET run_id = NULL WHERE run_id IN {_THESE}",
            (
                "INSERT INTO asset_drop SELECT r.dag_id, t.asset_version_id, t.part_us, t.again, ?2,"
                " 'its run ' || t.run_id || ' was removed (retention)'"
                f" FROM run_trigger t JOIN run r USING (run_id) WHERE t.run_id IN {_THESE}"
            ),
            f"DELETE FROM run_trigger WHERE run_id IN {_THESE}",
            f"UPDATE backfill_interval SET run_id = NULL WHERE run_id IN {_THESE}",
            f"UPDATE rerun_step SET run_id = NULL WHERE run_id IN {_THESE}",
            f"UPDATE asset_version SET run_id = NULL WHERE run_id IN {_THESE}",
            f"DELETE FROM alert WHERE run_id IN {_THESE}",
            f"DELETE FROM pruning WHERE run_id IN {_THESE}",
            f"DELETE FROM run WHERE run_id IN {_THESE} AND {{free:run}}",
        ),
    ),
    (
        "versions",
        (
            *_of_approvals(_WITH_DECISIONS.format(f"asset_version_id IN {_THESE}")),
            *_of_approvals(f"kind = 'degraded' AND subject_id IN {_THESE} AND state <> 'open'"),
            f"DELETE FROM decision WHERE asset_version_id IN {_THESE} AND {_LEFT_DECISION}",
            *(
                f"DELETE FROM {table} WHERE asset_version_id IN {_THESE}"
                for table in ("asset_check", "asset_input", "asset_drop")
            ),
            f"DELETE FROM asset_version WHERE asset_version_id IN {_THESE} AND {{free:asset_version}}",
        ),
    ),
    ("decisions", (f"DELETE FROM decision WHERE decision_id IN {_THESE} AND {_LEFT_DECISION}",)),
    (
        "incidents",
        (
            f"DELETE FROM incident_entry WHERE incident_id IN {_THESE}",
            f"DELETE FROM incident WHERE incident_id IN {_THESE} AND {{free:incident}}",
        ),
    ),
    (
        "plans",
        (
            *_of_approvals(f"kind = 'plan' AND subject_id IN {_THESE} AND state <> 'open'"),
            f"DELETE FROM event WHERE run_id IS NULL AND subject = 'plan' AND subject_id IN {_THESE}",
            f"DELETE FROM rerun_step WHERE plan_id IN {_THESE}",
            f"DELETE FROM rerun_plan WHERE plan_id IN {_THESE}",
        ),
    ),
    ("hits", (f"DELETE FROM invalidation_hit WHERE (invalidation_id, asset_version_id) IN {_PAIRS}",)),
    (
        "invalidations",
        (f"DELETE FROM invalidation WHERE invalidation_id IN {_THESE} AND {{free:invalidation}}",),
    ),
    ("intervals", (f"DELETE FROM backfill_interval WHERE (backfill_id, place) IN {_PAIRS}",)),
    ("backfills", (f"DELETE FROM backfill WHERE backfill_id IN {_THESE} AND {{free:backfill}}",)),
    (
        "loads",
        (f"DELETE FROM dag_code WHERE code_id IN {_THESE} AND {_NOT_NEWEST}",),
    ),
    ("codes", (f"DELETE FROM dag_version WHERE version_id IN {_THESE} AND {{free:dag_version}}",)),
    ("texts", (f"DELETE FROM source WHERE hash IN {_THESE} AND {{free:source}}",)),
    ("skips", (f"DELETE FROM skipped_firing WHERE skip_id IN {_THESE}",)),
    ("alerts", (f"DELETE FROM alert WHERE alert_id IN {_THESE} AND {{free:alert}}",)),
    ("notices", (f"DELETE FROM notice WHERE notice_id IN {_THESE}",)),
    ("bulks", (f"DELETE FROM bulk WHERE bulk_id IN {_THESE}",)),
    ("audit", (f"DELETE FROM audit WHERE audit_id IN {_THESE}",)),
    ("keys", (f"DELETE FROM answered WHERE answered_id IN {_THESE}",)),
    ("tokens", (f"DELETE FROM token WHERE public IN {_THESE}",)),
    (
        "deliveries",
        tuple(
            f"DELETE FROM {table} WHERE delivery_id IN {_THESE}" for table in ("hook_key", "hook_delivery")
        ),
    ),
    ("marks", (f"DELETE FROM standing_mark WHERE (standing_id, name) IN {_PAIRS}",)),
    ("standings", (f"DELETE FROM standing WHERE standing_id IN {_THESE} AND {{free:standing}}",)),
)
"""(what, its statements), in order: what refers before what is referred to."""

_FREE: Final = re.compile(r"\{free:(\w+)\}")


def statements(conn: sqlite3.Connection, what: str) -> list[str]:
    """The SQL that removes rows of a kind; `?1` are their ids as JSON, `?2` the instant."""
    steps: dict[str, tuple[str, ...]] = dict(STEPS)
    return [_FREE.sub(lambda match: free(conn, match[1]) or "1", sql) for sql in steps[what]]


def carry_out(conn: sqlite3.Connection, removal: Removal) -> None:
    """Remove a slice, within the transaction of its batch. Marks only what nothing living refers to now."""
    keep_last_ids(conn, last_ids(conn))
    if removal.marked:
        conn.execute(
            f"INSERT OR IGNORE INTO pruning SELECT run_id FROM run WHERE run_id IN {_THESE} AND {removable(conn)}",
            (_json(removal.marked),),
        )
        conn.execute(  # its key is another's from now on
            "UPDATE run SET run_key = 'removed:' || run_id WHERE run_id IN (SELECT run_id FROM pruning)"
            f" AND run_id IN {_THESE}",
            (_json(removal.marked),),
        )
    for what, _ in STEPS:
        ids = still(conn, what, removal.gone.get(what, []), removal.at_us)
        if ids:
            values = (_json(ids), removal.at_us)
            for sql in statements(conn, what):
                conn.execute(sql, values if "?2" in sql else values[:1])
    if removal.journal_from:
        conn.execute(
            "INSERT INTO meta VALUES ('journal_from', ?1) ON CONFLICT (key) DO UPDATE SET value = max(value, ?1)",
            (removal.journal_from,),
        )


def _json(ids: object) -> str:
    return msgspec.json.encode(ids).decode()


_KNOWN: Final = frozenset(
    {
        *(
            "task_instance",
            "alert",
            "asset_version",
            "run_trigger",
            "backfill_interval",
            "closing",
            "decision",
        ),
        *(
            "approval",
            "rerun_step",
            "pruning",
            "attempt",
            "output",
            "process",
            "wait",
            "step",
            "choice",
            "failure",
        ),
        *("expansion", "manifest", "reading"),
    }
)
"""Tables whose references retention settles itself; a reference from any other keeps what it refers to."""
_ROWS_OF_RUN: Final = {
    "run": "",
    "task_instance": " JOIN task_instance p ON p.instance_id = x.{0} WHERE p.run_id = run.run_id",
    "attempt": " JOIN attempt a ON a.attempt_id = x.{0} JOIN task_instance p USING (instance_id) WHERE p.run_id = run.run_id",
    "alert": " JOIN alert p ON p.alert_id = x.{0} WHERE p.run_id = run.run_id",
}
_HELD: Final = (
    "SELECT 1 FROM closing x WHERE x.run_id = run.run_id",
    "SELECT 1 FROM alert x WHERE x.run_id = run.run_id AND x.state = 'taken'",
    "SELECT 1 FROM approval x WHERE x.run_id = run.run_id AND x.state = 'open'",
    (
        f"SELECT 1 FROM alert x JOIN notice_alert USING (alert_id) JOIN notice y USING (notice_id)"
        f" WHERE x.run_id = run.run_id AND y.state IN {UNSENT}"
    ),
    "SELECT 1 FROM asset_version x WHERE x.run_id = run.run_id AND x.held > 0",
    (
        "SELECT 1 FROM asset_version x JOIN delivery y USING (asset_version_id)"
        " WHERE x.run_id = run.run_id AND y.state = 'pending'"
    ),
    (
        "SELECT 1 FROM backfill_interval x JOIN backfill y USING (backfill_id)"
        " WHERE x.run_id = run.run_id AND y.ended_us IS NULL"
    ),
    (
        "SELECT 1 FROM rerun_step x JOIN rerun_plan y USING (plan_id)"
        f" WHERE x.run_id = run.run_id AND y.state IN {UNFINISHED_PLAN}"
    ),
)
"""What keeps a run that is over: something of it that is not."""


def removable(conn: sqlite3.Connection) -> str:
    """The condition that a row of `run` is over, and nothing living refers to it."""
    held: list[str] = list(_HELD)
    for parent, join in _ROWS_OF_RUN.items():
        for child, column, _ in referring(conn, parent):
            if child not in _KNOWN:
                where = join.format(column) if join else f" WHERE x.{column} = run.run_id"
                held.append(f"SELECT 1 FROM {child} x{where}")
    return "ended_us IS NOT NULL" + "".join(f" AND NOT EXISTS ({one})" for one in held)
