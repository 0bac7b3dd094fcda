"""What becomes of firings that were missed: run now, run later at a pace, or skipped with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from bide.runtime.clock import LONGEST, span_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.base import Firing, Schedule

MISSED_US: Final = 60_000_000
"""A firing that is decided later than this was missed."""
MOST: Final = 100_000
"""The largest `catchup_cap`."""


class Within(NamedTuple):
    """`catchup=within(timedelta(days=2))`: missed firings not older than this are run."""

    span_us: int


def within(span: timedelta) -> Within:
    """Catchup that reaches back so far: `@dag(catchup=within(timedelta(days=2)))`."""
    given: object = span
    if not isinstance(given, timedelta) or not timedelta(0) < given <= LONGEST:
        raise ScheduleError(
            f"within({span!r}) takes a timedelta above zero, of {LONGEST.days} days at most: "
            "within(timedelta(days=2))"
        )
    return Within(span_us(span))


class Policy(NamedTuple):
    """The options of a DAG that judge its missed firings; spans and instants in microseconds."""

    catchup: str = "latest"
    within_us: int | None = None
    cap: int | None = None
    window_us: int | None = None
    end_us: int | None = None

    @classmethod
    def of(cls, options: Mapping[str, Any]) -> Policy:
        """From the options as they are stored."""
        return cls(
            options.get("catchup", "latest"),
            options.get("catchup_within_us"),
            options.get("catchup_cap"),
            options.get("backfill_window_us"),
            options.get("end_us"),
        )

    @property
    def runs_all(self) -> bool:
        """Whether more than one missed firing may be run."""
        return self.catchup in ("all", "within")

    def too_old(self, now_us: int) -> tuple[int, str]:
        """(no firing before this instant is run, why)."""
        bounds = [(0, "")]
        if self.window_us is not None:
            bounds.append(
                (now_us - self.window_us, f"older than its backfill_window of {_span(self.window_us)}")
            )
        if self.catchup == "within" and self.within_us is not None:
            bounds.append((now_us - self.within_us, f"catchup is within {_span(self.within_us)}"))
        return max(bounds)


class Skip(NamedTuple):
    """The firings from the first to the last of these instants, both included, are not run."""

    from_us: int
    until_us: int
    reason: str


class Judged(NamedTuple):
    """`run` is to be made now. `later` is (after, until]: its firings are made as there is room, the
    newest `Policy.cap` of them (`newest` finds them).
    """

    run: Firing | None
    later: tuple[int, int] | None
    skips: tuple[Skip, ...]
    decided_us: int


def judge(
    schedule: Schedule, anchor_us: int | None, after_us: int, now_us: int, policy: Policy
) -> Judged | None:
    """Every firing after `after_us` and up to now, decided; None when there is none.

    Steps through none of them, however many there are.
    """
    first = schedule.next_after(after_us, anchor_us)
    until_us = now_us if policy.end_us is None else min(now_us, policy.end_us - 1)
    if first is None or first.fires_us > until_us:
        return None
    last = schedule.last_until(until_us, anchor_us)
    if last is None or last.fires_us < first.fires_us:
        last = first
    live = now_us - last.fires_us <= MISSED_US
    oldest_us, why_old = policy.too_old(now_us)
    if not policy.runs_all:
        run = last if live or (policy.catchup == "latest" and last.fires_us >= oldest_us) else None
        reason = f'missed, and catchup is "{policy.catchup}"'
        if run is None and policy.catchup == "latest":
            reason = f"missed, and {why_old}"
        end_us = last.fires_us if run is None else _before(schedule, anchor_us, last.fires_us, after_us)
        missed = () if end_us is None else (Skip(first.fires_us, end_us, reason),)
        return Judged(run, None, missed, last.fires_us)
    run = last if live else None
    missed_us = _before(schedule, anchor_us, last.fires_us, after_us) if live else last.fires_us
    if missed_us is None:
        return Judged(run, None, (), last.fires_us)
    later, skips = _kept(schedule, anchor_us, first.fires_us, missed_us, oldest_us, why_old)
    return Judged(run, later, skips, last.fires_us)


def _kept(
    schedule: Schedule, anchor_us: int | None, first_us: int, last_us: int, oldest_us: int, why_old: str,
) -> tuple[tuple[int, int] | None, tuple[Skip, ...]]:  # fmt: skip
    """Of missed firings: those that are run later, as (after, until], and those that are not."""
    skips: list[Skip] = []
    if first_us < oldest_us:
        end_us = _before(schedule, anchor_us, min(oldest_us, last_us + 1), first_us - 1)
        assert end_us is not None
        skips.append(Skip(first_us, end_us, f"missed, and {why_old}"))
        begin = schedule.next_after(end_us, anchor_us)
        if begin is None or begin.fires_us > last_us:
            return None, tuple(skips)
        first_us = begin.fires_us
    return (first_us - 1, last_us), tuple(skips)


def newest(
    schedule: Schedule, anchor_us: int | None, later: tuple[int, int], walked: tuple[int, int] | None, cap: int,
    steps: int,
) -> tuple[tuple[int, int] | None, Skip | None, tuple[int, int]]:  # fmt: skip
    """Walk back from the end of (after, until] to the firing that `cap` keeps last, some steps at a time.

    `walked` is how far an earlier call came: (the firing it stands at, how many it has kept). Answers
    (where it now stands, None when it is done; what is not run; what of the range is left).
    """
    after_us, until_us = later
    at_us, kept = walked if walked is not None else (until_us, 1)
    for _ in range(steps):
        before_us = _before(schedule, anchor_us, at_us, after_us)
        if before_us is None:
            return None, None, later
        if kept == cap:
            first = schedule.next_after(after_us, anchor_us)
            from_us = before_us if first is None else first.fires_us
            reason = f"missed, and more than its catchup_cap of {cap}"
            return None, Skip(from_us, before_us, reason), (at_us - 1, until_us)
        at_us, kept = before_us, kept + 1
    return (at_us, kept), None, later


def _before(schedule: Schedule, anchor_us: int | None, us: int, after_us: int) -> int | None:
    """The last firing before `us`, unless it is at or before `after_us`."""
    found = schedule.last_until(us - 1, anchor_us)
    return None if found is None or found.fires_us <= after_us else found.fires_us


def _span(us: int) -> str:
    return str(timedelta(microseconds=us))
