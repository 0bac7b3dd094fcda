"""The case of `examples/enforcement_lifecycle` as a service has it: its DAGs are set going by hand, day by day."""

from __future__ import annotations

import csv
import json
import os
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from examples.enforcement_lifecycle.business import BEFORE, cases
from examples.enforcement_lifecycle.dags import DASHBOARD, lifecycle

if TYPE_CHECKING:
    from tests.window.house import House

WORLD = Path(os.environ.get("BIDE_SHOWCASE_WORLD", "."))
TODAY = datetime.now(UTC).date()
OLD, BEFORE_LAST, LAST = (TODAY - timedelta(days=days) for days in (6, 2, 1))
"""Of the first day the figures come too late to be fresh; of the others in time."""


def _by_hand() -> None:
    """No firing is caught up, and none comes while anybody looks."""
    for each in lifecycle(WORLD):
        each.options = {**each.options, "catchup": "none"}
        globals()[each.name] = each


_by_hand()


def written(world: Path, threshold: int = BEFORE) -> None:
    """What the desks have written by the end of each day."""
    for day in (OLD, BEFORE_LAST, LAST):
        for folder in ("source", "policy"):
            (world / folder).mkdir(parents=True, exist_ok=True)
        with (world / "source" / f"{day}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["case", "age"])
            writer.writerows([case.case, case.age(day)] for case in cases())
        (world / "policy" / f"{day}.json").write_text(json.dumps({"threshold": threshold}))


def lived(house: House) -> None:
    """The days have been worked. The figures of the old one are degraded, and nobody has released them."""
    written(house.world)
    for day in (OLD, LAST, BEFORE_LAST):
        for dag in ("case_events", "policy"):
            house.trigger(dag, f"{day}T00:00:00+00:00")
        house.until("/asset-standings", partial(_drawn, day))
    house.until("/approvals", lambda found: len(found) == 4)
    for one in house.ask("/approvals"):
        if one["kind"] != "contract":
            house.ask(f"/approvals/{one['id']}/approve", {"by": "steward", "why": "as every morning"})
    house.until(
        "/asset-intervals?asset=external_regulator_export",
        lambda found: len([each for each in found if each["state"] == "published"]) == 2,
    )


def _drawn(day: date, standings: Any) -> bool:
    """Whether the dashboard of a day is there."""
    parts = [part for each in standings if each["asset"] == DASHBOARD.name for part in each["parts"]]
    return any(part["interval"]["start"].startswith(str(day)) for part in parts)
