"""What is judged of missed firings, against every one of them stepped through."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import dag, task
from bide.runtime.clock import DAY, HOUR, MINUTE, SECOND
from bide.runtime.errors import BideError, ScheduleError
from bide.runtime.schedules import AnyOf, Cron, Every, Schedule, within
from bide.runtime.schedules.catchup import MISSED_US, Policy, judge, newest

T0 = 1_767_225_600 * SECOND
SCHEDULES: list[Schedule] = [
    Cron("*/10 * * * *"),
    Cron("*/20 * * * *", interval="hour"),
    Cron("30 2 * * *", "Europe/Berlin", "day"),
    Every(minutes=7),
    AnyOf(Cron("0 * * * *"), Every(minutes=25)),
]


@settings(max_examples=200, deadline=None)
@given(
    schedule=st.sampled_from(SCHEDULES),
    after=st.integers(-DAY, DAY),
    missed=st.sampled_from([0, 30 * SECOND, 5 * MINUTE, HOUR, 9 * HOUR, 3 * DAY]),
    catchup=st.sampled_from(["all", "latest", "none", "within"]),
    cap=st.sampled_from([None, 1, 2, 7]),
    window=st.sampled_from([None, 45 * MINUTE, 5 * HOUR]),
    ends=st.sampled_from([None, None, HOUR, 40 * MINUTE]),
)
def test_b26_b29_c58_every_missed_firing_is_run_kept_or_skipped_as_catchup_says(
    schedule: Schedule,
    after: int,
    missed: int,
    catchup: str,
    cap: int | None,
    window: int | None,
    ends: int | None,
) -> None:
    since, now = T0 + after, T0 + after + missed
    end = None if ends is None else since + ends
    policy = Policy(catchup, 2 * HOUR if catchup == "within" else None, cap, window, end)
    due = []
    at = since
    while (firing := schedule.next_after(at, T0)) is not None and firing.fires_us <= now:
        at = firing.fires_us
        if end is None or at < end:
            due.append(at)
    judged = judge(schedule, T0, since, now, policy)
    if not due:
        assert judged is None
        return
    assert judged is not None
    run = [] if judged.run is None else [judged.run.fires_us]
    kept = [] if judged.later is None else [us for us in due if judged.later[0] < us <= judged.later[1]]
    skipped = [us for us in due for skip in judged.skips if skip.from_us <= us <= skip.until_us]
    assert sorted([*run, *kept, *skipped]) == due
    assert judged.decided_us == due[-1]
    assert all(skip.reason.startswith("missed, and ") for skip in judged.skips)
    assert all({skip.from_us, skip.until_us} <= set(due) for skip in judged.skips)
    live = now - due[-1] <= MISSED_US
    young = [us for us in due if window is None or us >= now - window]
    if catchup == "none":
        assert (run, kept) == (due[-1:] if live else [], [])
    elif catchup == "latest":
        assert (run, kept) == (due[-1:] if live or due[-1] in young else [], [])
    else:
        if catchup == "within":
            young = [us for us in young if us >= now - 2 * HOUR]
        wanted = [us for us in young if not (live and us == due[-1])]
        assert run == (due[-1:] if live else [])
        assert kept == wanted
        if cap is None or judged.later is None:
            return
        walked, skip, left = newest(schedule, T0, judged.later, None, cap, 3)
        while walked is not None:
            walked, skip, left = newest(schedule, T0, judged.later, walked, cap, 3)
        assert [us for us in due if left[0] < us <= left[1]] == wanted[-cap:]
        cut = [] if skip is None else [us for us in due if skip.from_us <= us <= skip.until_us]
        assert cut == wanted[:-cap]


def test_c59_ten_years_of_minutes_are_judged_without_stepping_through_them() -> None:
    """Five million firings, and a handful of them is looked at."""
    looks = 0

    class Counted(Cron, frozen=True, tag="counted"):
        def next_after(self, us: int, anchor_us: int | None = None) -> Any:
            nonlocal looks
            looks += 1
            return super().next_after(us, anchor_us)

    for policy in (
        Policy("all"),
        Policy("latest"),
        Policy("none"),
        Policy("all", cap=50),
        Policy("within", DAY),
    ):
        looks = 0
        judged = judge(Counted("* * * * *"), None, T0, T0 + 3652 * DAY + 30 * SECOND, policy)
        assert judged is not None
        assert looks < 12


@task
def work() -> None: ...


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"catchup": "some"}, r"must be one of latest, all, none or within\(timedelta"),
        ({"catchup": "all", "catchup_cap": 0}, "1 or more"),
        ({"catchup": "all", "catchup_cap": 100_001}, "100,000 at most"),
        ({"catchup": "latest", "catchup_cap": 3}, "bounds catchup="),
    ],
)
def test_b26_options_that_cannot_be_meant_are_refused(options: Any, said: str) -> None:
    with pytest.raises(BideError, match=said):

        @dag(schedule=Every(hours=1), **options)
        def one() -> None:
            work()


def test_b26_within_takes_a_span() -> None:
    assert within(timedelta(hours=1)).span_us == HOUR
    for wrong in (timedelta(0), 3600, None):
        with pytest.raises(ScheduleError, match="above zero"):
            within(wrong)  # type: ignore[arg-type]


def test_s3_10_s3_12_options_are_kept_with_the_dag_and_the_hash_stays() -> None:
    def make(**options: Any) -> Any:
        @dag(schedule=Every(hours=1), **options)
        def one() -> None:
            work()

        return one

    plain, judged = make(), make(catchup=within(timedelta(hours=2)), catchup_cap=5)
    assert plain.hash == judged.hash
    assert (plain.options["catchup"], plain.options["overlap"]) == ("latest", "queue_one")
    assert "catchup_cap" not in plain.options
    assert Policy.of(judged.options) == Policy("within", 2 * HOUR, 5, None, None)
    assert judged.options["overlap"] == "queue_all"
