"""What holds of the versions of assets in every database, checked by `db check`."""

from __future__ import annotations

import sqlite3
from typing import Final

from bide.runtime.store.replay import Violation

_CLAIMS: Final = (
    (
        "I2",
        "version {0} is {1}, and is not settled by the books",
        (
            "SELECT asset_version_id, state FROM asset_version WHERE held > 0"
            " AND state NOT IN ('building', 'staged', 'validated')"
        ),
    ),
    (
        "I2",
        "version {0} is {1}, and nobody is about to settle it",
        (
            "SELECT asset_version_id, state FROM asset_version WHERE held = 0 AND (state IN ('building', 'staged')"
            " OR state = 'validated' AND shadow = 0) AND asset_version_id NOT IN (SELECT asset_version_id FROM delivery)"
        ),
    ),
    (
        "I3",
        "version {0} is being made by attempt {1}, which is over",
        (
            "SELECT v.asset_version_id, v.attempt_id FROM asset_version v LEFT JOIN attempt a USING (attempt_id)"
            " WHERE v.held = 2 AND coalesce(a.state, '') <> 'running'"
        ),
    ),
    (
        "I5",
        "version {0} was made by a shadow run, and is {1}",
        (
            "SELECT asset_version_id, state FROM asset_version WHERE shadow = 1"
            " AND state NOT IN ('building', 'staged', 'validated', 'quarantined', 'failed')"
        ),
    ),
    (
        "I5",
        "version {0} was never to be told of, and made run {1}",
        (
            "SELECT v.asset_version_id, t.run_id FROM asset_version v JOIN run_trigger t USING (asset_version_id)"
            " WHERE v.state IN ('building', 'staged', 'validated', 'quarantined', 'failed')"
        ),
    ),
)


def versions_are_what_they_say(conn: sqlite3.Connection) -> list[Violation]:
    """Those that are open are held, those that are held are open, and nobody was given what is not seen."""
    return [
        Violation(which, words.format(*row), (row[0],))
        for which, words, sql in _CLAIMS
        for row in conn.execute(sql).fetchall()[:100]
    ]


def blocked_by_a_decision(conn: sqlite3.Connection) -> list[Violation]:
    """A task that is blocked has the decision that blocks it on record.

    An effect that waits for another delivery, or was approved a moment ago, is held up by no contract.
    """
    found = conn.execute(
        "SELECT instance_id FROM task_instance i WHERE state = 'blocked' AND NOT EXISTS"
        " (SELECT 1 FROM decision d WHERE d.instance_id = i.instance_id) AND i.reason NOT LIKE 'waits for delivery %'"
        " AND i.reason NOT LIKE 'its former attempt has not stopped yet%'"  # as `delivering.py` says
        " AND NOT EXISTS (SELECT 1 FROM approval p WHERE p.kind = 'effect' AND p.subject_id = i.instance_id"
        " AND p.state = 'approved') LIMIT 100"
    ).fetchall()
    return [
        Violation("I4", f"instance {one} is blocked, and no decision says why", (one,)) for (one,) in found
    ]
