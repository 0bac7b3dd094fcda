"""What must hold of what people are asked, and of what has left: an open approval has something that waits for it,
and nothing was delivered twice.
"""

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


_WHAT = "v.asset_id, d.target, v.start_us, v.end_us"
_LEDGER = "delivery d JOIN asset_version v USING (asset_version_id)"


def i5_delivered_once(conn: sqlite3.Connection) -> list[Violation]:
    """One delivery of an interval stands, one may be under way, and each is corrected once."""
    found = ask(
        conn,
        "I5",
        "{0} deliveries of one interval of asset {1} are {2} at once",
        f"SELECT count(*), v.asset_id, d.state FROM {_LEDGER} WHERE d.state IN ('pending', 'delivered')"
        f" GROUP BY {_WHAT}, d.state HAVING count(*) > 1",
    )
    found += ask(
        conn,
        "I5",
        "delivery {0} was corrected {1} times",
        "SELECT corrects, count(*) FROM delivery WHERE corrects IS NOT NULL AND state NOT IN ('pending', 'failed')"
        " GROUP BY corrects HAVING count(*) > 1",
    )
    found += ask(
        conn,
        "I5",
        "delivery {0} is {1}, and no later one took its place",
        "SELECT delivery_id, state FROM delivery d WHERE state IN ('superseded', 'corrected') AND NOT EXISTS"
        " (SELECT 1 FROM delivery c WHERE c.corrects = d.delivery_id AND c.state NOT IN ('pending', 'failed'))",
    )
    found += ask(
        conn,
        "I5",
        "delivery {0} is {1}, and when it was delivered does not fit",
        "SELECT delivery_id, state FROM delivery WHERE (delivered_us IS NULL) <> (state IN ('pending', 'failed'))",
    )
    return found + ask(
        conn,
        "I5",
        "delivery {0} is {1} and its version {2} is {3}",
        f"SELECT delivery_id, d.state, d.asset_version_id, v.state FROM {_LEDGER} WHERE"
        " (d.state = 'pending') <> (v.state = 'validated') OR (d.state = 'failed') <> (v.state = 'failed')",
    )
