"""What is asked of tokens and of the audit log."""

from __future__ import annotations

import sqlite3
from typing import Final, TypeVar

import msgspec

from bide.runtime.store import words
from bide.runtime.store.rows import _Row, columns, in_words, listed


class TokenRow(_Row, frozen=True):
    """A token, without what it is made of. `hash` is the SHA-256 of it, hex."""

    public: str
    name: str
    hash: str
    scope: str
    created_us: int
    expires_us: int | None
    revoked_us: int | None


class AuditRow(_Row, frozen=True):
    """One command. `args` is JSON."""

    audit_id: int
    at_us: int
    who: str
    via: str
    address: str
    verb: str
    target: str
    args: str
    outcome: str
    message: str


L = TypeVar("L", bound=msgspec.Struct)
_TOKEN: Final = f"SELECT {columns(TokenRow)} FROM token"
_AUDIT: Final = f"SELECT {columns(AuditRow)} FROM audit"


def live_token(conn: sqlite3.Connection, name: str) -> str | None:
    """The public part of the token of that name that is not revoked."""
    found = conn.execute("SELECT public FROM token WHERE name = ? AND revoked_us IS NULL", (name,)).fetchone()
    return found[0] if found else None


def tokens(conn: sqlite3.Connection) -> list[TokenRow]:
    """All there ever were, in the order they were made."""
    return listed(conn, TokenRow, f"{_TOKEN} ORDER BY created_us, revoked_us IS NULL, public")


def audited(
    conn: sqlite3.Connection,
    shape: type[L],
    since_us: int | None = None,
    who: str | None = None,
    verb: str | None = None,
    outcome: str | None = None,
    before: int | None = None,
    limit: int = 100,
    via: str | None = None,
    target: str | None = None,
) -> list[L]:
    """In the words of the doors, the newest first; `before`: those of lower numbers; `target`: those about it, or a part of it such as a run's task."""
    return in_words(
        conn,
        shape,
        f"{_AUDIT} WHERE (?1 IS NULL OR at_us >= ?1) AND (?2 IS NULL OR who = ?2) AND (?3 IS NULL OR verb = ?3)"
        " AND (?4 IS NULL OR outcome = ?4) AND (?5 IS NULL OR audit_id < ?5)"
        " AND (?7 IS NULL OR via = ?7) AND (?8 IS NULL OR target = ?8 OR substr(target, 1, length(?8) + 1) = ?8 || '/') ORDER BY audit_id DESC LIMIT ?6",
        words.AUDIT,
        (since_us, who, verb, outcome, before, limit, via, target),
    )


def audit_row(conn: sqlite3.Connection, shape: type[L], audit_id: int) -> tuple[AuditRow, L] | None:
    """One command as it is and in the words of the doors; None when there is none of that number."""
    sql = f"{_AUDIT} WHERE audit_id = ?"
    found = listed(conn, AuditRow, sql, (audit_id,))
    return (found[0], in_words(conn, shape, sql, words.AUDIT, (audit_id,))[0]) if found else None
