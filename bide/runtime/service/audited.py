"""One line of the audit log with what it moved: the journal's lines of the same commit, which say what was and what is."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bide.runtime.errors import NotFoundError
from bide.runtime.service.addresses import before_number
from bide.runtime.service.event_shapes import event_line
from bide.runtime.service.token_shapes import AuditLine, AuditShown
from bide.runtime.store.feed import ALL, FeedLine, Wanted, line_before, lines_after
from bide.runtime.store.reader import Reader
from bide.runtime.store.who_reads import audit_row

if TYPE_CHECKING:
    import sqlite3
MOST: Final = 50


def shown(reader: Reader, number: str) -> AuditShown:
    """`NotFoundError` when there is no such line."""
    found = reader.read(lambda conn: _seen(conn, before_number(number)))
    if found is None:
        raise NotFoundError(f"there is no line {number} in the audit log: `bide audit` lists them")
    line, moved = found
    return AuditShown(
        line=line, moved=tuple(event_line(each) for each in moved[:MOST]), more=len(moved) > MOST
    )


def _seen(conn: sqlite3.Connection, number: int) -> tuple[AuditLine, list[FeedLine]] | None:
    found = audit_row(conn, AuditLine, number)
    if found is None:
        return None
    row, line = found
    if row.outcome != "ok":
        return line, []
    page = lines_after(conn, line_before(conn, row.at_us), _about(row.target), MOST + 1)
    return line, [each for each in page.lines if each.at_us == row.at_us]


def _about(target: str) -> Wanted:
    """Which lines of the journal are about what a command was about, as far as its words tell."""
    if run := re.match(r"run ([0-9]+)", target):
        return Wanted(run_id=int(run[1]))
    return Wanted(dag=target[4:]) if target.startswith("dag ") else ALL
