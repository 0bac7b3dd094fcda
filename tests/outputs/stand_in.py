"""What an output needs of a context, without a runtime: a run of a day, its attempts, its log."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from bide import Context
from bide.runtime.clock import DAY, HOUR
from bide.runtime.graph.facts import Facts

DAY_ONE = 1_781_481_600_000_000
"""2026-06-15 00:00 UTC."""


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def warning(self, message: object, **fields: object) -> None:
        self.lines.append(" ".join([str(message), *(f"{key}={value}" for key, value in fields.items())]))


class StandIn:
    """`attempt` counts over the whole database, as attempt ids do."""

    def __init__(
        self, folder: Path, *, run: int = 1, attempt: int = 1, start: int = DAY_ONE, span: int = DAY, tz: str = "UTC"
    ) -> None:  # fmt: skip
        self._facts = Facts(
            dag="etl", task="load", run_id=run, attempt=attempt, logical_us=start, start_us=start,
            end_us=start + span, scheduled_us=start + span + 2 * HOUR, tz=tz, folder=str(folder),
            params={"model": "daily"},
        )  # fmt: skip
        self.run_id, self.attempt_key = str(run), f"1:{attempt}"
        self.idempotency_key = f"etl/{run}/load/-1"
        self.interval = self._facts.interval
        self.stopping = False
        self.log = Log()

    @property
    def ctx(self) -> Context:
        return cast("Context", cast("Any", self))
