"""Cron lines where the clocks change: gaps, repeated hours, skipped days."""

from datetime import UTC, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from bide.runtime.clock import DAY, HOUR, MINUTE, from_us, to_us
from bide.runtime.schedules import Cron, Firing


def us(text: str, tz: str = "UTC") -> int:
    when = datetime.fromisoformat(text)
    return to_us(when if when.tzinfo else when.replace(tzinfo=ZoneInfo(tz)))


def firings(cron: Cron, start: str, end: str) -> list[Firing]:
    """All firings in (start, end], given in the cron's zone."""
    found, at, last = [], us(start, cron.tz or "UTC"), us(end, cron.tz or "UTC")
    while (firing := cron.next_after(at)) is not None and firing.fires_us <= last:
        found.append(firing)
        at = firing.fires_us
    return found


def walls(cron: Cron, start: str, end: str) -> list[str]:
    tz = ZoneInfo(cron.tz or "UTC")
    return [from_us(f.fires_us).astimezone(tz).strftime("%d %H:%M%z") for f in firings(cron, start, end)]


def test_c56_a_daily_time_in_a_repeated_hour_fires_once_in_berlin() -> None:
    cron = Cron("30 2 * * *", tz="Europe/Berlin")
    assert walls(cron, "2026-10-24T12:00", "2026-10-26T12:00") == ["25 02:30+0200", "26 02:30+0100"]


def test_c56_a_daily_time_in_a_gap_fires_once_at_the_first_instant_after_it() -> None:
    cron = Cron("30 2 * * *", tz="Europe/Berlin")
    assert walls(cron, "2026-03-28T12:00", "2026-03-30T12:00") == ["29 03:00+0200", "30 02:30+0200"]


@pytest.mark.parametrize(
    ("repeat", "expected"),
    [
        ("first", ["25 02:30+0200"]),
        ("last", ["25 02:30+0100"]),
        ("both", ["25 02:30+0200", "25 02:30+0100"]),
    ],
)
def test_a_repeated_hour_fires_as_asked(repeat: str, expected: list[str]) -> None:
    cron = Cron("30 2 * * *", tz="Europe/Berlin", repeat=repeat)  # type: ignore[arg-type]
    assert walls(cron, "2026-10-25T00:00", "2026-10-25T12:00") == expected


def test_both_passes_stand_in_the_order_of_time_not_of_the_wall() -> None:
    cron = Cron("0,30 2 * * *", tz="Europe/Berlin", repeat="both")
    assert walls(cron, "2026-10-25T00:00", "2026-10-25T12:00") == [
        "25 02:00+0200",
        "25 02:30+0200",
        "25 02:00+0100",
        "25 02:30+0100",
    ]


def test_a_gap_can_be_skipped() -> None:
    cron = Cron("30 2 * * *", tz="Europe/Berlin", gap="skip")
    assert walls(cron, "2026-03-28T12:00", "2026-03-30T12:00") == ["30 02:30+0200"]


def test_two_firings_that_fall_on_one_instant_are_one() -> None:
    cron = Cron("0 2,3 * * *", tz="Europe/Berlin")
    assert walls(cron, "2026-03-29T00:00", "2026-03-29T12:00") == ["29 03:00+0200"]


def test_an_hour_field_with_a_star_follows_real_time_through_both_changes() -> None:
    cron = Cron("*/30 * * * *", tz="Europe/Berlin")
    for day in ("2026-03-29", "2026-10-25"):
        found = [f.fires_us for f in firings(cron, f"{day}T00:00", f"{day}T12:00")]
        assert {later - earlier for earlier, later in pairwise(found)} == {30 * MINUTE}


def test_every_other_hour_with_a_star_fires_in_both_passes_and_never_in_a_gap() -> None:
    cron = Cron("30 */2 * * *", tz="Europe/Berlin")
    assert walls(cron, "2026-10-25T00:00", "2026-10-25T05:00") == [
        "25 00:30+0200",
        "25 02:30+0200",
        "25 02:30+0100",
        "25 04:30+0100",
    ]
    assert walls(cron, "2026-03-29T00:00", "2026-03-29T05:00") == ["29 00:30+0100", "29 04:30+0200"]


def test_new_york_fires_once_on_both_changes() -> None:
    cron = Cron("30 2 * * *", tz="America/New_York")
    assert walls(cron, "2026-03-07T12:00", "2026-03-09T12:00") == ["08 03:00-0400", "09 02:30-0400"]
    early = Cron("30 1 * * *", tz="America/New_York")
    assert walls(early, "2026-10-31T12:00", "2026-11-02T12:00") == ["01 01:30-0400", "02 01:30-0500"]


def test_lord_howe_changes_by_half_an_hour() -> None:
    cron = Cron("45 1 * * *", tz="Australia/Lord_Howe")  # 1:30 to 2:00 is repeated
    assert walls(cron, "2026-04-04T12:00", "2026-04-06T12:00") == ["05 01:45+1100", "06 01:45+1030"]
    gap = Cron("15 2 * * *", tz="Australia/Lord_Howe")  # 2:00 to 2:30 is left out
    assert walls(gap, "2026-10-03T12:00", "2026-10-05T12:00") == ["04 02:30+1100", "05 02:15+1100"]


def test_apia_left_out_a_whole_day() -> None:
    shift = Cron("0 2 * * *", tz="Pacific/Apia")
    assert walls(shift, "2011-12-28T12:00", "2012-01-01T12:00") == [
        "29 02:00-1000",
        "31 00:00+1400",
        "31 02:00+1400",
        "01 02:00+1400",
    ]
    skip = Cron("0 2 * * *", tz="Pacific/Apia", gap="skip")
    assert walls(skip, "2011-12-28T12:00", "2012-01-01T12:00") == [
        "29 02:00-1000",
        "31 02:00+1400",
        "01 02:00+1400",
    ]


def test_apia_daily_intervals_meet_and_none_is_empty() -> None:
    cron = Cron("0 2 * * *", tz="Pacific/Apia", interval="day")
    found = firings(cron, "2011-12-27T12:00", "2012-01-03T12:00")
    assert all(a.end_us == b.start_us for a, b in pairwise(found))
    assert {f.end_us - f.start_us for f in found} == {DAY}


@pytest.mark.parametrize("tz", ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana"])
def test_c54_the_daily_intervals_of_a_year_meet_and_none_is_empty(tz: str) -> None:
    found = firings(Cron("0 2 * * *", tz=tz, interval="day"), "2025-12-31T12:00", "2026-12-31T12:00")
    assert len(found) == 365
    assert all(a.end_us == b.start_us for a, b in pairwise(found))
    assert {(f.end_us - f.start_us) / HOUR for f in found} <= {23, 23.5, 24, 24.5, 25}


def test_c54_a_tick_interval_is_the_time_between_two_firings() -> None:
    found = firings(Cron("30 2 * * *", tz="Europe/Berlin"), "2026-10-20T12:00", "2026-10-30T12:00")
    assert all(a.fires_us == b.start_us and b.fires_us == b.end_us for a, b in pairwise(found))


def test_hourly_intervals_at_lord_howe_meet_through_the_half_hour() -> None:
    cron = Cron("5 * * * *", tz="Australia/Lord_Howe", interval="hour")
    for day in ("2026-04-05", "2026-10-04"):
        found = firings(cron, f"{day}T00:00", f"{day}T08:00")
        assert all(a.end_us == b.start_us for a, b in pairwise(found))
        assert {f.end_us - f.start_us for f in found} == {HOUR, HOUR * 3 // 2}


def test_an_interval_of_a_day_begins_at_its_first_instant_where_midnight_is_left_out() -> None:
    cron = Cron("0 6 * * *", tz="America/Havana", interval="day")  # 2026-03-08 begins at 01:00
    firing = cron.next_after(us("2026-03-09T00:00", "America/Havana"))
    assert firing is not None
    assert from_us(firing.start_us) == datetime(2026, 3, 8, 5, tzinfo=UTC)
    assert firing.end_us - firing.start_us == 23 * HOUR
