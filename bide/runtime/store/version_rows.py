"""Versions that are not settled, as recovery reads them."""

from __future__ import annotations

from typing import Final

from bide.runtime.assets.words import VersionState
from bide.runtime.store.rows import _Row


class OpenVersionRow(_Row, frozen=True):
    """A version that is made and not settled. `checks` is JSON: (name, severity, passed) each."""

    version_id: int
    asset: str
    dag_id: int | None
    run_id: int | None
    instance_id: int | None
    attempt_id: int | None
    start_us: int
    end_us: int
    created_us: int
    state: VersionState
    reason: str
    plan_id: int | None
    shadow: int
    checks: str
    made: int
    """1: the task that made it has succeeded"""
    backfill: int


class SettledRow(_Row, frozen=True):
    """An outlet that a body has settled while its attempt goes on: published it, or its gates held it back."""

    attempt_id: int
    asset: str


class AcceptedRow(_Row, frozen=True):
    """A version whose known limitations are accepted until an instant."""

    version_id: int
    expires_us: int


ACCEPTED: Final = (
    "SELECT asset_version_id, json_extract(limits, '$.expires_us') FROM asset_version"
    " WHERE state = 'degraded' AND json_extract(limits, '$.expires_us') IS NOT NULL"
)
OPEN_VERSIONS: Final = (
    "SELECT v.asset_version_id, a.name, v.dag_id, v.run_id, v.instance_id, v.attempt_id, v.start_us, v.end_us,"
    " v.created_us, v.state, v.reason, v.plan_id, v.shadow, (SELECT json_group_array(json_array(c.name, c.severity,"
    " c.passed)) FROM asset_check c WHERE c.asset_version_id = v.asset_version_id), v.held = 1,"
    " coalesce((SELECT r.kind = 'backfill' FROM run r WHERE r.run_id = v.run_id), 0) FROM asset_version v"
    " JOIN asset a USING (asset_id) WHERE v.held > 0 ORDER BY v.asset_version_id"
)
SETTLED: Final = (
    "SELECT v.attempt_id, a.name FROM task_instance i JOIN asset_version v ON v.instance_id = i.instance_id"
    " AND v.attempt_id = i.attempt_id JOIN asset a USING (asset_id) WHERE i.run_id IN"
    " (SELECT run_id FROM run WHERE ended_us IS NULL) AND i.state IN ('running', 'deferred') AND v.held = 0"
)
