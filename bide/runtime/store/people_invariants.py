"""What must hold of what people are asked: an open approval has something that waits for it."""

from __future__ import annotations

import sqlite3

from bide.runtime.store.replay import Violation, ask


def i4_awaiting_is_an_open_approval(conn: sqlite3.Connection) -> list[Violation]:
    found = ask(
        conn,
        "I4",
        "instance {0} waits for a person and nobody is asked",
        "SELECT instance_id FROM task_instance i WHERE state = 'awaiting_approval' AND NOT EXISTS"
        " (SELECT 1 FROM approval p WHERE p.kind IN ('task', 'contract', 'effect') AND p.subject_id = i.instance_id"
        " AND p.state = 'open')",
    )
    found += ask(
        conn,
        "I4",
        "approval {0} is open and its instance {1} is {2}",
        "SELECT approval_id, instance_id, i.state FROM approval p JOIN task_instance i ON i.instance_id = p.subject_id"
        " WHERE p.kind IN ('task', 'contract', 'effect') AND p.state = 'open' AND i.state <> 'awaiting_approval'",
    )
    found += ask(
        conn,
        "I4",
        "approval {0} is {1}, and when or by whom is not written",
        "SELECT approval_id, state FROM approval WHERE (state = 'open') <> (decided_us IS NULL)"
        " OR (state IN ('approved', 'rejected') AND by = '')",
    )
    return found + ask(
        conn,
        "I4",
        "{0} approvals are open for the same {1} {2}",
        "SELECT count(*), kind, subject_id FROM approval WHERE state = 'open' GROUP BY kind, subject_id HAVING count(*) > 1",
    )
