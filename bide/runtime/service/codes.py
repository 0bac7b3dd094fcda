"""The code that DAGs were loaded with, and that runs ran with, as it is told."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime.errors import NotFoundError
from bide.runtime.graph.source import KEPT_BYTES
from bide.runtime.service.code_shapes import CodeLine, CodeShown
from bide.runtime.service.shapes import iso
from bide.runtime.store import code_reads as reads

if TYPE_CHECKING:
    import sqlite3


def loads(
    conn: sqlite3.Connection, dag_id: int, version: int | None, below: int, limit: int
) -> list[CodeLine]:
    """The loads of a DAG below a number, the newest first."""
    return [line(each) for each in reads.codes(conn, dag_id, below, limit, version)]


def show(conn: sqlite3.Connection, dag: str, dag_id: int, number: int) -> CodeShown:
    """One of them with its text."""
    found = reads.codes(conn, dag_id, number + 1, 1)
    if not found or found[0].code_id != number:
        raise NotFoundError(
            f"the DAG {dag!r} was never loaded with a code {number}: `bide dags code {dag} --list` lists what it was"
        )
    row = found[0]
    text = None if row.source is None else reads.text(conn, row.source)
    return CodeShown(**msgspec.structs.asdict(line(row)), dag=dag, text=text)


def of_run(conn: sqlite3.Connection, run_id: int) -> list[CodeLine]:
    """What the attempts of a run were begun with, oldest first."""
    dag_id = reads.dag_of_run(conn, run_id)
    if dag_id is None:
        raise NotFoundError(f"there is no run {run_id}: `bide runs` lists them")
    return [line(each) for each in reads.of_run(conn, dag_id, run_id)]


def line(row: reads.CodeRow) -> CodeLine:
    return CodeLine(
        code=str(row.code_id),
        version=str(row.version_id),
        hash=row.hash,
        file=row.file,
        source=row.source,
        bytes=row.bytes,
        loaded_at=iso(row.loaded_us),
        current=bool(row.current),
        missing=_missing(row),
    )


def _missing(row: reads.CodeRow) -> str:
    if row.source is None:
        return "a program gave the DAG to the runtime, and bide read no file of it"
    if not row.kept:
        return f"it has {row.bytes:,} bytes, and bide keeps texts of up to {KEPT_BYTES:,}"
    return ""
