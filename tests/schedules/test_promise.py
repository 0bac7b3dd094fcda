"""`by(...)`: the first time the wall shows it, against a brute-force walk through the minutes."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import by
from bide.runtime.clock import DAY, MINUTE, from_us, to_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules.promise import Promise
from bide.runtime.schedules.zones import wall, zone

ODD = [
    "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca", "America/Sao_Paulo",
    "Antarctica/Troll", "Asia/Kathmandu", "UTC",
]  # fmt: skip


def us(text: str) -> int:
    return to_us(datetime.fromisoformat(text))


def walked(end: int, at: time, tz: str) -> int:
    """Minute by minute from the first whole one: the wall shows it, or has just jumped over it."""
    there = zone(tz)
    minute = -(-end // MINUTE) * MINUTE
    before = wall(minute - MINUTE, there)
    while True:
        shown = wall(minute, there)
        if shown.time() == at:
            return minute
        jumped = shown - before > timedelta(minutes=1) and before < datetime.combine(shown.date(), at) < shown
        if jumped and minute - MINUTE >= end - MINUTE:
            return minute
        before, minute = shown, minute + MINUTE


@settings(max_examples=150, deadline=None)
@given(
    tz=st.sampled_from(ODD),
    near=st.sampled_from([
        "2011-12-30T10:00+00:00", "2026-03-29T01:00+00:00", "2026-10-25T01:00+00:00", "2026-04-04T15:00+00:00",
        "2026-10-03T15:30+00:00", "2018-11-04T03:00+00:00", "2026-02-15T02:00+00:00", "2026-07-01T00:00+00:00",
    ]),
    minutes=st.integers(-3 * 1440, 3 * 1440),
    at=st.one_of(st.sampled_from([time(2, 30), time(1, 45), time(0, 30), time(0, 0)]), st.times(max_value=time(23, 59))),
)  # fmt: skip
def test_s3_49_by_is_the_first_time_that_the_wall_shows_it(
    tz: str, near: str, minutes: int, at: time
) -> None:
    at = at.replace(second=0, microsecond=0)
    end = us(near) + minutes * MINUTE
    found = by(f"{at:%H:%M}", tz=tz).instant(end, "UTC")
    assert end <= found < end + 3 * DAY
    assert found == walked(end, at, tz)


@pytest.mark.parametrize(
    ("end", "due"),
    [
        ("2026-06-15T22:00+00:00", "2026-06-16T03:45+00:00"),  # a summer day of Berlin
        ("2026-06-16T03:45+00:00", "2026-06-16T03:45+00:00"),  # at that instant
        ("2026-06-16T03:45:00.000001+00:00", "2026-06-17T03:45+00:00"),
        ("2026-01-15T23:00+00:00", "2026-01-16T04:45+00:00"),
    ],
)
def test_the_quarter_to_six_of_berlin(end: str, due: str) -> None:
    assert by("05:45", tz="Europe/Berlin").instant(us(end), "UTC") == us(due)


def test_a_time_in_a_gap_is_the_first_instant_after_it_and_a_repeated_one_its_first_pass() -> None:
    promise = by("02:30")
    assert promise.instant(us("2026-03-28T23:00+00:00"), "Europe/Berlin") == us("2026-03-29T01:00+00:00")
    assert promise.instant(us("2026-10-24T23:00+00:00"), "Europe/Berlin") == us("2026-10-25T00:30+00:00")
    assert promise.instant(us("2026-10-25T00:45+00:00"), "Europe/Berlin") == us("2026-10-25T01:30+00:00")


def test_a_day_that_a_zone_left_out_has_no_times() -> None:
    end = us("2011-12-30T08:00+00:00")  # the 29th, 22:00 in Apia: tomorrow is the 31st
    due = by("05:45", tz="Pacific/Apia").instant(end, "UTC")
    assert from_us(due).astimezone(zone("Pacific/Apia")).date() == date(2011, 12, 31)
    assert from_us(due).astimezone(UTC) == datetime(2011, 12, 30, 15, 45, tzinfo=UTC)


@pytest.mark.parametrize("wrong", ["545", "25:00", "", "T05:45", "05:45+01:00", 5, None, "noon", "05"])
def test_what_is_no_time_of_day_is_refused(wrong: object) -> None:
    with pytest.raises(ScheduleError, match="no time of day: write by"):
        by(wrong)  # type: ignore[arg-type]


def test_what_is_no_zone_is_refused() -> None:
    with pytest.raises(ScheduleError, match="no time zone 'Berlin'"):
        by("05:45", tz="Berlin")


def test_c62_a_promise_keeps_its_microseconds() -> None:
    end = us("2026-06-15T00:00:00.000007+00:00")
    assert Promise(after_us=1_000_001).describe("UTC") == "within 0:00:01.000001"
    assert by("00:00:30", tz="UTC").instant(end, "UTC") == us("2026-06-15T00:00:30+00:00")
