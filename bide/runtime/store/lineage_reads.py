"""What lineage is told from: the journal after a cursor, each line with the run, the task and the versions it is about."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.graph.spec import DagSpec, TaskSpec

SINK: Final = "openlineage"
_WINDOW: Final = 5000
"""Lines of the journal that are looked through in one go."""


class Line(msgspec.Struct, frozen=True, array_like=True):
    """A move of a run, an attempt or a version."""

    seq: int
    at_us: int
    subject: str
    subject_id: int
    was: str
    now: str
    reason: str


class OfRun(msgspec.Struct, frozen=True, array_like=True):
    """`opening` counts how often it has begun: a run that is taken up again is another one to the outside."""

    run_id: int
    dag: str
    kind: str
    start_us: int
    end_us: int
    created_us: int
    version_id: int
    code: str
    file: str
    opening: int


class OfAttempt(msgspec.Struct, frozen=True, array_like=True):
    attempt_id: int
    instance_id: int
    task: str
    map_index: int
    number: int
    started_us: int
    error: str | None


class Gate(msgspec.Struct, frozen=True, array_like=True):
    name: str
    severity: str
    passed: int
    message: str
    observed: str | None
    expected: str | None


class Dataset(msgspec.Struct, frozen=True, array_like=True):
    """A version with what is known of it; `schema` and `meta` are JSON."""

    version: int
    asset: str
    start_us: int
    end_us: int
    label: str
    node: str
    owner: str
    doc: str
    edge: str
    meta: str | None
    schema: str | None
    gates: tuple[Gate, ...]


class Told(msgspec.Struct, frozen=True):
    """One line with all that is to be said of it."""

    line: Line
    run: OfRun | None
    attempt: OfAttempt | None
    task: TaskSpec | None
    dag: DagSpec | None
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]


class Known:
    """What is asked of every line and changes seldom: the graphs of DAGs, and how often a run has begun.

    A run of many thousand tasks is looked through once, not once a line: lines come in order.
    """

    def __init__(self) -> None:
        self._graphs: dict[int, tuple[DagSpec, dict[str, TaskSpec]]] = {}
        self._begun: dict[int, tuple[int, int]] = {}  # run -> up to which line it was counted, the count

    def graph(self, conn: sqlite3.Connection, version_id: int) -> tuple[DagSpec, dict[str, TaskSpec]]:
        """The graph of a version of a DAG, and its tasks by name."""
        if version_id not in self._graphs:
            if len(self._graphs) > 100:
                self._graphs.clear()
            [spec] = conn.execute(
                "SELECT spec FROM dag_version WHERE version_id = ?", (version_id,)
            ).fetchone()
            dag = typed.decode(spec, DagSpec)
            self._graphs[version_id] = dag, {task.name: task for task in dag.tasks}
        return self._graphs[version_id]

    def begun(self, conn: sqlite3.Connection, run_id: int, seq: int) -> int:
        """How often a run had begun by a line of the journal."""
        upto, count = self._begun.get(run_id, (0, 0))
        if seq < upto:
            upto, count = 0, 0
        [more] = conn.execute(
            "SELECT count(*) FROM event WHERE run_id = ? AND seq > ? AND seq <= ? AND subject = 'run'"
            " AND now = 'running' AND was <> 'running'",
            (run_id, upto, seq),
        ).fetchone()
        if len(self._begun) > 10_000:
            self._begun.clear()
        self._begun[run_id] = seq, count + more
        return count + int(more)


def sent(conn: sqlite3.Connection) -> int | None:
    """Up to which line of the journal it was sent; None: never yet."""
    row = conn.execute("SELECT seq FROM lineage_sent WHERE sink = ?", (SINK,)).fetchone()
    return None if row is None else int(row[0])


def last(conn: sqlite3.Connection) -> int:
    """The newest line of the journal."""
    return int(conn.execute("SELECT coalesce(max(seq), 0) FROM event").fetchone()[0])


def after(conn: sqlite3.Connection, seq: int, limit: int, known: Known) -> tuple[list[Told], int]:
    """What is to be told after a line, in order, at most so much; and up to which line that is."""
    newest = last(conn)
    until = min(newest, seq + _WINDOW)
    found = typed.convert(
        conn.execute(
            "SELECT seq, at_us, subject, subject_id, was, now, reason FROM event WHERE seq > ? AND seq <= ?"
            " AND subject IN ('run', 'attempt', 'version') AND was <> now ORDER BY seq LIMIT ?",
            (seq, until, limit),
        ).fetchall(),
        list[Line],
    )
    return [_told(conn, line, known) for line in found], found[-1].seq if len(found) == limit else until


def _told(conn: sqlite3.Connection, line: Line, known: Known) -> Told:
    if line.subject == "version":
        return Told(line, None, None, None, None, (), _datasets(conn, _VERSION, line.subject_id))
    if line.subject == "run":
        run = _run(conn, line.subject_id, line.seq, known)
        dag = None if run is None else known.graph(conn, run.version_id)[0]
        inputs = _datasets(conn, _RUN_INPUTS, line.subject_id)
        return Told(line, run, None, None, dag, inputs, _datasets(conn, _RUN_OUTPUTS, line.subject_id))
    row = conn.execute(
        "SELECT a.attempt_id, a.instance_id, i.task, i.map_index, a.number, a.started_us, a.error, i.run_id"
        " FROM attempt a JOIN task_instance i USING (instance_id) WHERE a.attempt_id = ?",
        (line.subject_id,),
    ).fetchone()
    if row is None:
        return Told(line, None, None, None, None, (), ())
    attempt = typed.convert(row[:-1], OfAttempt)
    run = _run(conn, row[-1], line.seq, known)
    dag, tasks = (None, {}) if run is None else known.graph(conn, run.version_id)
    task = tasks.get(attempt.task)
    inputs = _datasets(conn, _READ, attempt.instance_id)
    outputs = _datasets(conn, _MADE, attempt.attempt_id) if line.was else ()
    had = {each.version for each in inputs}
    inputs += tuple(each for each in _used(conn, outputs) if each.version not in had)
    return Told(line, run, attempt, task, dag, inputs, outputs)


def _run(conn: sqlite3.Connection, run_id: int, seq: int, known: Known) -> OfRun | None:
    row = conn.execute(
        "SELECT r.run_id, d.name, r.kind, r.start_us, r.end_us, r.created_us, r.version_id, v.hash, d.file"
        " FROM run r JOIN dag d USING (dag_id) JOIN dag_version v ON v.version_id = r.version_id WHERE r.run_id = ?",
        (run_id,),
    ).fetchone()
    return None if row is None else typed.convert((*row, known.begun(conn, run_id, seq)), OfRun)


_DATASET: Final = (
    "SELECT v.asset_version_id, a.name, v.start_us, v.end_us, v.label, a.node, a.owner,"
    " coalesce(json_extract(a.spec, '$.doc'), ''), {edge}, v.meta, s.schema FROM {source}"
    " JOIN asset a ON a.asset_id = v.asset_id LEFT JOIN asset_schema s ON s.schema_id = v.schema_id"
    " WHERE {which} ORDER BY v.asset_version_id"
)
_VERSION: Final = _DATASET.format(edge="''", source="asset_version v", which="v.asset_version_id = ?")
_MADE: Final = _DATASET.format(
    edge="''",
    source="asset_version v",
    which="v.instance_id = (SELECT instance_id FROM attempt WHERE attempt_id = ?1) AND v.attempt_id = ?1",
)
_READ: Final = _DATASET.format(
    edge="r.kind",
    source="reading r JOIN asset_version v ON v.asset_version_id = r.input_id",
    which="r.instance_id = ?",
)
_USED: Final = _DATASET.format(
    edge="n.kind",
    source="asset_input n JOIN asset_version v ON v.asset_version_id = n.input_id",
    which="n.asset_version_id = ?",
)
_RUN_INPUTS: Final = _DATASET.format(
    edge="''",
    source="(SELECT DISTINCT asset_version_id FROM run_trigger WHERE run_id = ?1 AND used = 1) t"
    " JOIN asset_version v USING (asset_version_id)",
    which="1",
)
_RUN_OUTPUTS: Final = _DATASET.format(
    edge="''",
    source="task_instance i JOIN asset_version v ON v.instance_id = i.instance_id",
    which="i.run_id = ?",
)


def _used(conn: sqlite3.Connection, made: tuple[Dataset, ...]) -> tuple[Dataset, ...]:
    found: dict[int, Dataset] = {}
    for each in made:
        found.update({one.version: one for one in _datasets(conn, _USED, each.version)})
    return tuple(found.values())


def _datasets(conn: sqlite3.Connection, sql: str, *values: Any) -> tuple[Dataset, ...]:
    rows = conn.execute(sql, values).fetchall()
    return typed.convert([(*row, _gates(conn, row[0])) for row in rows], tuple[Dataset, ...])


def _gates(conn: sqlite3.Connection, version: int) -> tuple[Gate, ...]:
    rows = conn.execute(
        "SELECT name, severity, passed, message, observed, expected FROM asset_check"
        " WHERE asset_version_id = ? ORDER BY name",
        (version,),
    ).fetchall()
    return typed.convert(rows, tuple[Gate, ...])
