"""Waiting for another DAG's task or run: seen by the engine itself, in the commit that ends it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from bide.runtime.clock import from_us
from bide.runtime.spans import covers
from bide.triggers.base import ENGINE, Fail, Fire, NotYet, Trigger, Verdict

SUCCESS_STATES: tuple[str, ...] = ("success",)
FAIL_STATES: tuple[str, ...] = ("failed", "upstream_failed", "skipped", "cancelled", "lost")
MISSING = "missing"
"""Seen instead of an end where the graph of that date has no such task: it will never have one (C27)."""


class ExternalTaskTrigger(Trigger, frozen=True, kw_only=True, tag="external_task", gc=False):
    """The task `task` of the DAG `dag`, or its run (None), of the logical date `logical_us`.

    Fires when it reaches one of `states`, fails when it ends in one of `fail_on`. Plain data: the
    engine keeps these waits by (dag, logical date) and wakes them itself; no source polls. With
    `until_us`: of all runs that cover `[logical_us, until_us)` together, of each date the newest.
    """

    dag: str
    task: str | None = None
    logical_us: int
    states: tuple[str, ...] = SUCCESS_STATES
    fail_on: tuple[str, ...] = FAIL_STATES
    until_us: int | None = None

    def source_key(self) -> Hashable:
        return ENGINE

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        """`seen` is the end of what is waited for, None while it has none; other ends may be rerun.

        With `until_us` it is a list of (start_us, end_us, end), by logical date.
        """
        if self.until_us is not None:
            return self._judge_all(seen or [], self.until_us)
        if seen in self.states:
            return Fire({"dag": self.dag, "task": self.task, "logical_us": self.logical_us, "state": seen})
        if seen in self.fail_on:
            return Fail(f"{self.describe()} is {seen}")
        if seen == MISSING:
            return Fail(f"{self.describe()} will never be: the graph of that run has no task {self.task!r}")
        return NotYet("not over" if seen is None else f"it is {seen}")

    def _judge_all(self, runs: list[tuple[int, int, str | None]], until_us: int) -> Verdict:
        for start, _, end in runs:
            if end in self.fail_on or end == MISSING:
                return Fail(f"{self._what()} for {from_us(start).isoformat(timespec='seconds')} is {end}")
        good = [(start, until) for start, until, end in runs if end in self.states]
        if not covers((self.logical_us, until_us), good):
            return NotYet(f"{len(good)} of the {len(runs)} runs there are have ended, and do not cover it")
        return Fire(
            {
                "dag": self.dag,
                "task": self.task,
                "logical_us": self.logical_us,
                "until_us": until_us,
                "runs": len(good),
            }
        )

    def _what(self) -> str:
        return f"{self.dag}.{self.task}" if self.task is not None else f"the run of {self.dag}"

    def describe(self) -> str:
        if self.until_us is not None:
            start, until = (
                from_us(at).isoformat(timespec="seconds") for at in (self.logical_us, self.until_us)
            )
            return f"{self._what()} for all of {start} to {until}"
        return f"{self._what()} for {from_us(self.logical_us).isoformat(timespec='seconds')}"
