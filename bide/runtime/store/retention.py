"""What retention may remove, found a slice at a time: so many rows that a turn stays short, whatever there is.

A run goes when it ended before its DAG's horizon and is not among its newest. It takes its instances,
attempts, waits, outputs and its lines of the journal with it, so that nothing is ever half told. All
else goes by its own age, once nothing refers to it any more.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.store.references import free
from bide.runtime.store.removal import removable, statements
from bide.runtime.store.still import KINDS, may_go

ROWS: Final = 400
"""Rows of a slice, about: what is removed in a few milliseconds."""
PAGE: Final = 200
"""Runs of a DAG that are looked at in a slice."""
MARKS: Final = 40
_LINEAGE_US: Final = 30 * 24 * 3600 * 1_000_000
"""So much longer than any other a run stays whose lineage is still to be sent."""
REPLAYED: Final = "('run', 'instance', 'attempt', 'wait', 'plan', 'approval', 'delivery')"
"""Subjects whose lines go with what they tell of, never alone: their replay always begins at the beginning."""


class Of(msgspec.Struct, frozen=True, array_like=True):
    """For the runs of a DAG: those that ended before `before_us` go, but the newest `last` of them."""

    before_us: int
    last: int = 1


class Policy(msgspec.Struct, frozen=True):
    """What is to go: instants, fixed when a prune begins. `dags` by name; `of` is that of all that is no run, too.

    `audit_before_us`: lines of the audit log that are older go; 0: none does.
    """

    of: Of
    dags: dict[str, Of] = {}
    audit_before_us: int = 0

    def of_dag(self, name: str) -> Of:
        return self.dags.get(name, self.of)


class Cursor(msgspec.Struct, frozen=True, array_like=True):
    """Where the next slice begins: the stage, and how far it has come."""

    stage: int = 0
    at: tuple[Any, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """A run that may go, as far as the database tells."""

    run_id: int
    dag: str
    logical_us: int


class Slice(msgspec.Struct):
    """The next rows to go: runs to be marked, and ids by what they are of (`removal.STEPS`)."""

    cursor: Cursor
    done: bool = False
    marked: list[Candidate] = []
    gone: dict[str, list[Any]] = {}
    counts: dict[str, int] = {}
    journal_from: int = 0


def asked(conn: sqlite3.Connection, policy: str, cursor: str) -> Slice:
    """`next_slice` of what stands in JSON."""
    return next_slice(conn, typed.decode(policy, Policy), typed.decode(cursor, Cursor))


def policy_json(policy: Policy) -> str:
    return msgspec.json.encode(policy).decode()


def without_row(conn: sqlite3.Connection, attempts: list[int]) -> list[int]:
    """Those of these attempts that the database does not know."""
    given = msgspec.json.encode(attempts).decode()
    return _ids(
        conn, "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT attempt_id FROM attempt)", given
    )


def next_slice(conn: sqlite3.Connection, policy: Policy, cursor: Cursor) -> Slice:
    """The slice at a cursor. Runs that are marked already come first, whoever marked them."""
    found = Slice(cursor)
    _marked(conn, found)
    if not found.gone:
        find = _STAGES[cursor.stage]
        at = find(conn, policy, cursor.at, found)
        stage = cursor.stage if at is not None else cursor.stage + 1
        found.cursor = Cursor(stage, at or ())
        found.done = stage >= len(_STAGES)
    _count(conn, found)
    return found


def _count(conn: sqlite3.Connection, found: Slice) -> None:
    """How many rows of each table go: of each statement that deletes, what it would find now."""
    for what, ids in found.gone.items():
        values = (msgspec.json.encode(ids).decode(),)
        for sql in statements(conn, what):
            table = sql.split(" ", 3)[2]
            if not sql.startswith("DELETE") or table == "pruning":
                continue
            count = len(ids)
            if table not in ("run", "asset_version"):  # what refers to these goes in this very slice
                asked = sql.replace("DELETE FROM", "SELECT count(*) FROM", 1)
                count = conn.execute(asked, values).fetchone()[0]
            if count:
                found.counts[table] = found.counts.get(table, 0) + count


# --- runs ----------------------------------------------------------------------------------------


def _marked(conn: sqlite3.Connection, found: Slice) -> None:
    left = ROWS
    for (run_id,) in conn.execute(
        "SELECT run_id FROM pruning ORDER BY run_id LIMIT ?", (MARKS * 2,)
    ).fetchall():
        if left <= 0:
            return
        instances = _ids(
            conn,
            "SELECT instance_id FROM task_instance WHERE run_id = ? LIMIT ?",
            run_id,
            max(1, left // 3) + 1,
        )
        more = len(instances) > max(1, left // 3)
        instances = instances[: max(1, left // 3)]
        found.gone.setdefault("instances", []).extend(instances)
        left -= 3 * len(instances)
        if more:
            return
        lines = _ids(
            conn,
            "SELECT seq FROM event WHERE run_id = ? AND subject NOT IN ('approval', 'delivery', 'plan')"
            " ORDER BY seq LIMIT ?",
            run_id,
            max(1, left) + 1,
        )
        more = len(lines) > max(1, left)
        found.gone.setdefault("events", []).extend(lines[: max(1, left)])
        left -= len(lines)
        if more:
            return
        found.gone.setdefault("runs", []).append(run_id)
        left -= 2


def _runs(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    """At: (dag_id, run_id), the last one looked at."""
    dag_id, after = at or (0, 0)
    dag = conn.execute(
        "SELECT dag_id, name FROM dag WHERE dag_id >= ? ORDER BY dag_id LIMIT 1", (dag_id,)
    ).fetchone()
    if dag is None:
        return None
    if dag[0] != dag_id:
        dag_id, after = dag[0], 0
    keep = policy.of_dag(dag[1])
    newest = conn.execute(
        "SELECT run_id FROM run INDEXED BY run_of_dag WHERE dag_id = ? ORDER BY run_id DESC LIMIT 1 OFFSET ?",
        (dag_id, max(keep.last, 1) - 1),
    ).fetchone()
    if newest is None:
        return (dag_id + 1, 0)
    page = conn.execute(
        "SELECT run_id, logical_us, created_us, ended_us FROM run INDEXED BY run_of_dag"
        " WHERE dag_id = ? AND run_id > ? AND run_id < ? ORDER BY run_id LIMIT ?",
        (dag_id, after, newest[0], PAGE),
    ).fetchall()
    old = [row for row in page if row[3] is not None and row[3] < keep.before_us]
    if old:
        guarded = (
            f"SELECT run_id FROM run WHERE run_id IN (SELECT value FROM json_each(?)) AND {removable(conn)}"
        )
        ids = msgspec.json.encode([row[0] for row in old[:MARKS]]).decode()
        free_now = {run for (run,) in conn.execute(guarded, (ids,))} - _past(conn, dag_id)
        free_now -= _unsent(conn, free_now, keep.before_us)
        latest = conn.execute(
            "SELECT run_id FROM run WHERE dag_id = ? ORDER BY logical_us DESC, run_id DESC LIMIT 1", (dag_id,)
        ).fetchone()[0]  # the next run may go by it
        found.marked = [
            Candidate(run, dag[1], logical)
            for run, logical, *_ in old[:MARKS]
            if run in free_now and run != latest
        ]
    if len(old) > MARKS:
        return (dag_id, old[MARKS - 1][0])
    if len(page) < PAGE or all(row[2] >= keep.before_us for row in page):
        return (dag_id + 1, 0)
    return (dag_id, page[-1][0])


def _past(conn: sqlite3.Connection, dag_id: int) -> set[int]:
    """Runs that an unfinished run of the DAG goes by (`depends_on_past`)."""
    rows = conn.execute(
        "SELECT logical_us, coalesce(run.started_us, run.created_us) FROM run JOIN dag_version v USING (version_id)"
        " WHERE run.ended_us IS NULL AND run.dag_id = ? AND instr(v.spec, '\"depends_on_past\":true')",
        (dag_id,),
    ).fetchall()
    before = (
        "SELECT run_id FROM run WHERE dag_id = ? AND logical_us < ? AND coalesce(started_us, ended_us) <= ?"
        " AND kind NOT IN ('plan', 'shadow') ORDER BY logical_us DESC, run_id DESC LIMIT 1"
    )
    found = (conn.execute(before, (dag_id, logical, began)).fetchone() for logical, began in rows)
    return {row[0] for row in found if row is not None}


def _unsent(conn: sqlite3.Connection, runs: set[int], before_us: int) -> set[int]:
    """Runs with lines that lineage has still to send, unless nobody has sent any for long."""
    sent = conn.execute("SELECT min(seq) FROM lineage_sent").fetchone()[0]
    if sent is None:
        return set()
    newer = (
        "SELECT 1 FROM run WHERE run_id = ?1 AND ended_us >= ?2"
        " AND (SELECT max(seq) FROM event WHERE event.run_id = ?1) > ?3"
    )
    return {run for run in runs if conn.execute(newer, (run, before_us - _LINEAGE_US, sent)).fetchone()}


# --- assets --------------------------------------------------------------------------------------


def _versions(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    """From the newest to the oldest: what was made of others goes before them. At: (the last id looked at,)."""
    page = conn.execute(
        f"SELECT v.asset_version_id, v.created_us < :before AND {may_go(conn, 'versions')} FROM asset_version v"
        " WHERE v.asset_version_id < :at ORDER BY v.asset_version_id DESC LIMIT :page",
        {"before": policy.of.before_us, "at": at[0] if at else 2**62, "page": PAGE},
    ).fetchall()
    found.gone = _some("versions", [version for version, goes in page if goes])
    return (page[-1][0],) if len(page) == PAGE else None


def _hits(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    a, b = at or (0, 0)
    values = {"before": policy.of.before_us, "a": a, "b": b, "page": PAGE}
    kind = KINDS["hits"]
    page = conn.execute(
        f"SELECT {kind.key}, n.discovered_us < :before AND {kind.when} FROM {kind.rows}"
        f" WHERE ({kind.key}) > (:a, :b) ORDER BY {kind.key} LIMIT :page",
        values,
    ).fetchall()
    found.gone = _some("hits", [[one, version] for one, version, goes in page if goes])
    return (page[-1][0], page[-1][1]) if len(page) == PAGE else None


def _intervals(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    a, b = at or (0, -1)
    page = conn.execute(
        "SELECT i.backfill_id, i.place FROM backfill_interval i WHERE (i.backfill_id, i.place) > (?, ?)"
        " AND i.backfill_id IN (SELECT backfill_id FROM backfill WHERE ended_us < ?)"
        " AND i.run_id IS NULL ORDER BY i.backfill_id, i.place LIMIT ?",
        (a, b, policy.of.before_us, ROWS // 2),
    ).fetchall()
    found.gone = _some("intervals", [list(row) for row in page])
    return tuple(page[-1]) if len(page) == ROWS // 2 else None


# --- what goes by its age ------------------------------------------------------------------------


def _aged(what: str, sql: str) -> Callable[..., tuple[Any, ...] | None]:
    """A stage whose rows are found by one query: `:before`, ids after `:at`, so many at a time."""

    def find(
        conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
    ) -> tuple[Any, ...] | None:
        table = sql.split(" FROM ", 1)[1].split(" ", 1)[0]
        asked = sql.replace("{free}", free(conn, table) or "1")
        values = {
            "before": policy.of.before_us,
            "now": policy.of.before_us,
            "audit": policy.audit_before_us,
            "at": at[0] if at else -1,
            "page": ROWS // 2,
        }
        page = [row[0] for row in conn.execute(asked, values)]
        found.gone = _some(what, page)
        return (page[-1],) if len(page) == ROWS // 2 else None

    return find


_AFTER: Final = "{0} > :at ORDER BY {0} LIMIT :page"


def _kind(what: str, age: str) -> Callable[..., tuple[Any, ...] | None]:
    """Rows of a kind that is asked for once more when they go."""
    kind = KINDS[what]
    after = _AFTER.format(kind.key)
    return _aged(what, f"SELECT {kind.key} FROM {kind.rows} WHERE {kind.when} AND {age} AND {after}")


def _lines(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    """Lines of the journal that tell of no run: commands, the clock, DAGs. At: (subject, its id, seq)."""
    page = conn.execute(
        "SELECT subject, subject_id, seq, at_us FROM event INDEXED BY event_apart WHERE run_id IS NULL"
        " AND (subject, subject_id, seq) > (?, ?, ?) ORDER BY subject, subject_id, seq LIMIT ?",
        (*(at or ("", -1, -1)), ROWS // 2),
    ).fetchall()
    replayed = REPLAYED
    old = [row[2] for row in page if row[3] < policy.of.before_us and f"'{row[0]}'" not in replayed]
    found.gone = _some("events", old)
    found.journal_from = max(old, default=0)
    return tuple(page[-1][:3]) if len(page) == ROWS // 2 else None


def _marks(
    conn: sqlite3.Connection, policy: Policy, at: tuple[Any, ...], found: Slice
) -> tuple[Any, ...] | None:
    page = conn.execute(
        "SELECT standing_id, name FROM standing_mark WHERE standing_id IN"
        " (SELECT standing_id FROM standing WHERE ended_us < ?) AND (standing_id, name) > (?, ?)"
        " ORDER BY standing_id, name LIMIT ?",
        (policy.of.before_us, *(at or (0, "")), ROWS // 2),
    ).fetchall()
    found.gone = _some("marks", [list(row) for row in page])
    return tuple(page[-1]) if len(page) == ROWS // 2 else None


def _some(what: str, ids: list[Any]) -> dict[str, list[Any]]:
    return {what: ids} if ids else {}


def _ids(conn: sqlite3.Connection, sql: str, *values: Any) -> list[int]:
    return [row[0] for row in conn.execute(sql, values)]


_STAGES: Final[tuple[Callable[..., tuple[Any, ...] | None], ...]] = (
    _runs,
    _aged(
        "incidents",
        "SELECT incident_id FROM incident WHERE state = 'closed' AND closed_us < :before AND "
        + _AFTER.format("incident_id"),
    ),
    _kind("plans", "coalesce(q.ended_us, q.created_us) < :before"),
    _hits,
    _kind("invalidations", "n.discovered_us < :before"),
    _versions,
    _aged(
        "decisions",
        "SELECT decision_id FROM decision WHERE at_us < :before AND run_id IS NULL AND asset_version_id IS NULL"
        " AND decision_id < (SELECT max(n.decision_id) FROM decision n WHERE n.asset_id = decision.asset_id"
        " AND n.phase = decision.phase AND n.consumer = decision.consumer AND n.start_us = decision.start_us"
        " AND n.end_us = decision.end_us) AND {free} AND " + _AFTER.format("decision_id"),
    ),
    _intervals,
    _kind("backfills", "ended_us < :before AND {free}"),
    _aged(  # nothing runs with it since then, and no run is left that may have
        "loads",
        "SELECT code_id FROM dag_code AS c WHERE EXISTS (SELECT 1 FROM dag_code n WHERE n.code_id ="
        " (SELECT min(m.code_id) FROM dag_code m WHERE m.dag_id = c.dag_id AND m.code_id > c.code_id)"
        " AND n.loaded_us < :before"
        " AND NOT EXISTS (SELECT 1 FROM run r WHERE r.dag_id = n.dag_id AND r.run_id < n.first_run_id)) AND "
        + _AFTER.format("code_id"),
    ),
    _kind("codes", "created_us < :before AND {free}"),
    _aged(
        "texts", "SELECT hash FROM source WHERE {free}"
        " AND hash > coalesce(nullif(:at, -1), '') ORDER BY hash LIMIT :page",
    ),
    _aged("skips", "SELECT skip_id FROM skipped_firing WHERE at_us < :before AND " + _AFTER.format("skip_id")),
    _kind("notices", "coalesce(ended_us, made_us) < :before"),
    _kind("alerts", "fired_us < :before AND {free}"),
    _aged("keys", "SELECT answered_id FROM answered WHERE created_us < :before AND " + _AFTER.format("answered_id")),
    _aged("bulks", "SELECT bulk_id FROM bulk WHERE ended_us < :before AND " + _AFTER.format("bulk_id")),
    _aged("audit", "SELECT audit_id FROM audit WHERE at_us < :audit AND " + _AFTER.format("audit_id")),
    _aged(
        "tokens", "SELECT public FROM token WHERE coalesce(revoked_us, expires_us) < :before"
        " AND public > coalesce(nullif(:at, -1), '') ORDER BY public LIMIT :page",
    ),
    _kind("deliveries", "1"),  # they go with new ones as well, but not where none comes any more
    _marks,
    _aged(
        "standings",
        "SELECT standing_id FROM standing WHERE ended_us < :before AND {free} AND " + _AFTER.format("standing_id"),
    ),
    _lines,
)  # fmt: skip
"""In an order in which what refers goes before what is referred to."""
