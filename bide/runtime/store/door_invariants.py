"""I2 of what came by the doors and went out of them: deliveries, notices, tokens and the audit log say what can be."""

from __future__ import annotations

import sqlite3
from typing import Final

from bide.runtime.store.replay import Violation, ask

_WORDS: Final = (
    ("notice", "notice_id", "state", "'pending', 'sending', 'sent', 'failed', 'gone', 'moot'"),
    ("hook_delivery", "delivery_id", "outcome", "'accepted', 'ignored', 'refused'"),
    ("token", "name", "scope", "'read', 'run', 'admin'"),
    ("audit", "audit_id", "outcome", "'ok', 'refused'"),
)


def doors_are_what_they_say(conn: sqlite3.Connection) -> list[Violation]:
    found: list[Violation] = []
    for table, key, column, known in _WORDS:
        found += ask(
            conn,
            "I2",
            f"{table} {{0}} has the unknown {column} {{1!r}}",
            f"SELECT {key}, {column} FROM {table} WHERE {column} NOT IN ({known})",
        )
    found += ask(
        conn,
        "I2",
        "notice {0} is {1} and its end is {2}",
        "SELECT notice_id, state, coalesce(ended_us, 'not written') FROM notice"
        " WHERE (ended_us IS NULL) <> (state IN ('pending', 'sending'))",
    )
    found += ask(
        conn,
        "I2",
        "notice {0} is {1}, and what is sent does not stand",
        "SELECT notice_id, state FROM notice WHERE state IN ('sending', 'sent') AND message IS NULL",
    )
    return found + ask(
        conn,
        "I2",
        "the delivery {0} of the hook {1} is {2} and its run is {3}",
        "SELECT delivery_id, hook, outcome, coalesce(run_id, 'not written') FROM hook_delivery"
        " WHERE (run_id IS NULL) = (outcome = 'accepted')",
    )
