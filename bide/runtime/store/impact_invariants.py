"""What must hold of invalidations: spread to their end, by inputs that there are, and nothing wrong is seen."""

from __future__ import annotations

import sqlite3

from bide.runtime.store.replay import Violation, ask


def i5_what_is_wrong_is_reached(conn: sqlite3.Connection) -> list[Violation]:
    found = ask(
        conn,
        "I5",
        "invalidation {0} is said to be spread, and what was made of version {1} is still to be judged",
        "SELECT invalidation_id, h.asset_version_id FROM invalidation_hit h JOIN invalidation n USING (invalidation_id)"
        " WHERE h.next_id IS NOT NULL AND n.state <> 'spreading'",
    )
    found += ask(
        conn,
        "I5",
        "invalidation {0} is said to be spread, and not all that is wrong itself is marked",
        "SELECT invalidation_id FROM invalidation WHERE marked_id IS NOT NULL AND state <> 'spreading'",
    )
    found += ask(
        conn,
        "I5",
        "version {0} was found to be wrong by invalidation {1}, and is {2}",
        "SELECT asset_version_id, invalidation_id, v.state FROM invalidation_hit h JOIN asset_version v"
        " USING (asset_version_id) WHERE json_extract(h.decision, '$.to') = 'invalidated'"
        " AND v.state IN ('published', 'stale', 'degraded')",
    )
    return found + ask(
        conn,
        "I5",
        "version {0} is affected by version {1} (invalidation {2}), of which it was not made",
        "SELECT h.asset_version_id, h.via_id, h.invalidation_id FROM invalidation_hit h WHERE h.via_id > 0 AND NOT EXISTS"
        " (SELECT 1 FROM asset_input i WHERE i.asset_version_id = h.asset_version_id AND i.input_id = h.via_id)",
    )
