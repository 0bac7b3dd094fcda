"""Listings in the words of the doors, made within SQLite: what of a row each field of a line is.

Of a thousand lines nothing is then done in Python, where it would hold the interpreter's lock.
"""

from __future__ import annotations

from typing import Final

from bide.runtime.store.rows import instant, number

RUN: Final = {
    "run_id": number("run_id"),
    "dag": "name",
    "logical_date": instant("logical_us"),
    "created_at": instant("created_us"),
    "started_at": instant("started_us"),
    "ended_at": instant("ended_us"),
}
"""Over the columns of `runs`."""

ALERT: Final = {
    "id": number("alert_id"),
    "run_id": number("run_id"),
    "due": instant("due_us"),
    "fired": instant("fired_us"),
    "owners": "json(owners)",
}
"""Over the columns of `alerts`."""

AUDIT: Final = {"id": number("audit_id"), "at": instant("at_us"), "args": "json(args)"}

EVENT: Final = {
    "id": number("seq"),
    "at": instant("at_us"),
    "kind": "iif(subject = 'instance', 'task', subject)",
    "number": number("subject_id"),
    "run_id": number("run_id"),
    "map_index": "ifnull(map_index, -1)",
}
"""Over the columns of the feed."""

RECENT: Final = {
    "run_id": number("run_id"),
    "logical_date": instant("logical_us"),
    "created_at": instant("created_us"),
    "started_at": instant("started_us"),
    "ended_at": instant("ended_us"),
}
"""A run on the card of its DAG."""
