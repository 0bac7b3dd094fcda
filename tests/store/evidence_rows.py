"""Rows of a small world of assets, written as plain SQL: what views and bundles are tested on.

`policy` (reference) and `silver` make `gold`, which makes the `dashboard` and the delivery `export`.
"""

from __future__ import annotations

import sqlite3
from typing import Any

import msgspec

DAY = 86_400_000_000
D1 = 1_782_000_000_000_000 // DAY * DAY
"""A midnight, UTC."""
SPEC = {
    "name": "cases",
    "tasks": [
        {"name": "build", "lane": "async", "outlets": ["gold"]},
        {"name": "show", "lane": "async", "upstream": ["build"], "outlets": ["dashboard"]},
    ],
}


class Rows:
    """Inserts rows; an id is the number of its table unless it is given."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        self.ids: dict[str, int] = {}

    def put(self, table: str, **values: Any) -> int:
        """One row; values that are no plain ones are stored as JSON. The id of it."""
        stored = {
            name: value if isinstance(value, int | str | None) else msgspec.json.encode(value).decode()
            for name, value in values.items()
        }
        marks = ", ".join("?" * len(stored))
        self.conn.execute(
            f"INSERT INTO {table} ({', '.join(stored)}) VALUES ({marks})", tuple(stored.values())
        )
        return int(self.conn.execute("SELECT last_insert_rowid()").fetchone()[0])

    def asset(self, name: str, node: str = "derived", owner: str = "", **spec: Any) -> int:
        self.ids[name] = self.put(
            "asset", name=name, created_us=D1, node=node, owner=owner, spec={"name": name, "node": node, **spec}
        )  # fmt: skip
        return self.ids[name]

    def contract(self, downstream: str, upstream: str, kind: str = "interval_match", **spec: Any) -> int:
        said = {"downstream": downstream, "upstream": upstream, "kind": kind, **spec}
        return self.put(
            "contract", downstream_id=self.ids[downstream], upstream_id=self.ids[upstream], kind=kind, spec=said,
            source="contracts/cases.toml", since_us=D1,
        )  # fmt: skip

    def version(
        self,
        asset: str,
        day: int = 0,
        state: str = "published",
        of: tuple[int, ...] = (),
        kind: str = "interval_match",
        **fields: Any,
    ) -> int:
        """A version of one day, made of others."""
        made = self.put(
            "asset_version", asset_id=self.ids[asset], start_us=D1 + day * DAY, end_us=D1 + (day + 1) * DAY,
            state=state, created_us=D1 + (day + 1) * DAY + fields.pop("after_us", 0), **fields,
        )  # fmt: skip
        for each in of:
            self.put("asset_input", asset_version_id=made, input_id=each, kind=kind)
        return made

    def dag(self) -> None:
        self.put("dag", dag_id=1, name="cases", version_id=1, schedule={"kind": "manual"}, options={})
        self.put("dag_version", version_id=1, dag_id=1, hash="c0de", spec=SPEC, created_us=D1)

    def run(self, run_id: int, day: int = 0, **tasks: str) -> dict[str, int]:
        """A run that is over, with the states of its tasks; their instances."""
        at = D1 + day * DAY
        self.put(
            "run", run_id=run_id, dag_id=1, version_id=1, state="success", kind="manual", run_key=f"manual:{run_id}",
            logical_us=at, start_us=at, end_us=at + DAY, scheduled_us=at + DAY, params={}, created_us=at + DAY,
            started_us=at + DAY, ended_us=at + DAY + 1,
        )  # fmt: skip
        return {
            task: self.put(
                "task_instance", run_id=run_id, task=task, state=state, since_us=at + DAY,
                attempt=int(state in ("success", "failed")),
            )
            for task, state in tasks.items()
        }  # fmt: skip

    def decision(self, asset: str, level: str, issues: list[dict[str, Any]], **fields: Any) -> int:
        stored: dict[str, Any] = {
            "at_us": D1 + 2 * DAY, "phase": "publishing", "start_us": D1, "end_us": D1 + DAY, "retryable": 1,
            "reason": "silver is missing", "observed": {}, **fields,
        }  # fmt: skip
        return self.put("decision", asset_id=self.ids[asset], level=level, issues=issues, **stored)

    def invalidation(self, asset: str, **fields: Any) -> int:
        stored: dict[str, Any] = {
            "start_us": D1, "end_us": D1 + DAY, "cause": "reference_update", "severity": "critical",
            "reason": "the threshold was 30, not 40", "evidence": ["https://wiki/42"], "discovered_us": D1 + 3 * DAY,
            "by": "steward", "state": "spread", **fields,
        }  # fmt: skip
        return self.put("invalidation", asset_id=self.ids[asset], **stored)

    def hit(self, invalidation: int, version: int, via: int | None, action: str, **fields: Any) -> None:
        self.put(
            "invalidation_hit", invalidation_id=invalidation, asset_version_id=version, via_id=via,
            kind="" if via is None else "interval_match", action=action, was="published",
            decision=fields.pop("decision", {}),
        )  # fmt: skip


def graph(conn: sqlite3.Connection) -> Rows:
    """The assets and their contracts; no version yet."""
    rows = Rows(conn)
    rows.asset("policy", "reference", owner="policy-team")
    rows.asset("silver", "canonical", owner="cases")
    rows.asset("gold", owner="analytics")
    rows.asset("dashboard", "product")
    rows.asset("export", "external_effect", owner="partners", output="export")
    rows.contract("gold", "silver", require=[{"is": "same_interval"}, {"is": "schema", "mode": "backward"}],
                  on_failure={"missing": {"action": "block", "level": "execution"}})  # fmt: skip
    rows.contract("gold", "policy", "reference_data", on_failure={"stale": {"action": "use_previous_version"}},
                  rationale="yesterday's thresholds hold for a day", owner="analysts")  # fmt: skip
    rows.contract("dashboard", "gold", "publication")
    rows.contract("export", "gold", "interval_match")
    rows.dag()
    return rows
