"""Cron lines: fields, intervals, manual runs, words, the store."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from bide.runtime.clock import from_us, to_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules import Cron, Every, Manual, Schedule, schedule_from_json


def us(text: str, tz: str = "UTC") -> int:
    return to_us(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(tz)))


def days(cron: Cron, start: str, count: int) -> list[str]:
    found, at = [], us(start)
    for _ in range(count):
        firing = cron.next_after(at)
        assert firing is not None
        at = firing.fires_us
        found.append(from_us(at).strftime("%Y-%m-%d"))
    return found


@pytest.mark.parametrize(
    ("expr", "pointer"),
    [
        ("61 * * * *", "minute 61: it goes from 0 to 59"),
        ("0 24 * * *", "hour 24: it goes from 0 to 23"),
        ("0 0 0 * *", "day of month 0: it goes from 1 to 31"),
        ("0 0 * foo *", "month foo: write 1 to 12, or jan to dec"),
        ("0 0 * * 8", "weekday 8: it goes from 0 to 7"),
        ("*/0 * * * *", "minute */0: the step is 0"),
        ("5/15 * * * *", "minute 5/15: a step needs a range: 5-59/15 or */15"),
        ("0 22-4 * * *", "hour 22-4: the range runs backwards; write 22-23,0-4"),
        ("0 0 * * mon#6", "weekday mon#6: the number after # is 1 to 5"),
        ("0 , * * *", "hour ,:"),
        ("0 1--2 * * *", "hour 1--2:"),
        ("* * * *", "has 4 fields and needs five"),
        ("* * * * * *", "has 6 fields and needs five"),
        ("", "has 0 fields"),
        ("@reboot", "is no cron alias"),
        ("R * * * *", "minute r: write 0 to 59"),
        ("h * * * *", "minute h: write 0 to 59"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 ٣ * *", "day of month"),
    ],
)
def test_s3_2_a_wrong_line_is_refused_and_the_error_points_at_the_field(expr: str, pointer: str) -> None:
    with pytest.raises(ScheduleError) as raised:
        Cron(expr)
    assert pointer in str(raised.value)


def test_a_wrong_zone_or_rule_is_refused() -> None:
    with pytest.raises(ScheduleError, match="no time zone 'Europe/Berlim'"):
        Cron("0 2 * * *", tz="Europe/Berlim")
    with pytest.raises(ScheduleError, match="no time zone"):
        Cron("0 2 * * *", tz="../../etc/passwd")
    with pytest.raises(ScheduleError, match="interval is 'fortnight', and must be one of tick, hour"):
        Cron("0 2 * * *", interval="fortnight")  # type: ignore[arg-type]


def test_day_of_month_and_weekday_are_joined_by_or() -> None:
    assert days(Cron("0 0 13 * fri"), "2026-11-01", 4) == [
        "2026-11-06",
        "2026-11-13",
        "2026-11-20",
        "2026-11-27",
    ]
    assert "2026-12-13" in days(Cron("0 0 13 * fri"), "2026-12-01", 3)


def test_a_day_field_that_begins_with_a_star_is_joined_by_and_as_vixie_does() -> None:
    assert days(Cron("0 0 */2 * mon"), "2026-11-01", 2) == ["2026-11-09", "2026-11-23"]


def test_a_date_that_exists_only_in_leap_years_is_found() -> None:
    assert days(Cron("0 0 29 2 *"), "2026-01-01", 2) == ["2028-02-29", "2032-02-29"]


def test_an_impossible_day_beside_a_weekday_is_not_impossible() -> None:
    assert days(Cron("0 0 31 2 mon"), "2026-02-01", 1) == ["2026-02-02"]


def test_last_and_nth_days() -> None:
    assert days(Cron("0 0 l * *"), "2026-01-15", 2) == ["2026-01-31", "2026-02-28"]
    assert days(Cron("0 0 * * mon#1"), "2026-01-01", 2) == ["2026-01-05", "2026-02-02"]
    assert days(Cron("0 0 * * sat-sun"), "2026-11-01", 3) == ["2026-11-07", "2026-11-08", "2026-11-14"]


@pytest.mark.parametrize(
    ("interval", "start", "end"),
    [
        ("hour", "2026-06-17T01:00", "2026-06-17T02:00"),
        ("day", "2026-06-16T00:00", "2026-06-17T00:00"),
        ("week", "2026-06-08T00:00", "2026-06-15T00:00"),
        ("tick", "2026-06-10T02:00", "2026-06-17T02:00"),
    ],
)
def test_s3_1a_a_firing_is_for_the_last_whole_period_before_it(interval: str, start: str, end: str) -> None:
    berlin = "Europe/Berlin"
    cron = Cron("0 2 * * wed", tz=berlin, interval=interval)  # type: ignore[arg-type]
    firing = cron.next_after(us("2026-06-16T00:00", berlin))
    assert firing == (us("2026-06-17T02:00", berlin), us(start, berlin), us(end, berlin))


def test_a_month_ends_where_the_next_one_begins() -> None:
    firing = Cron("0 2 3 * *", tz="Europe/Berlin", interval="month").next_after(us("2026-04-01T00:00"))
    berlin = [
        us(text, "Europe/Berlin") for text in ("2026-04-03T02:00", "2026-03-01T00:00", "2026-04-01T00:00")
    ]
    assert firing == tuple(berlin)


def test_of_several_firings_for_one_day_only_the_first_counts() -> None:
    cron = Cron("0 */6 * * *", interval="day")
    assert days(cron, "2026-01-01", 3) == ["2026-01-02", "2026-01-03", "2026-01-04"]
    minutely = Cron("* * * * *", interval="month")
    assert days(minutely, "2026-01-01", 3) == ["2026-02-01", "2026-03-01", "2026-04-01"]


@pytest.mark.parametrize("interval", ["tick", "hour", "day", "week", "month"])
@pytest.mark.parametrize(
    "expr",
    [
        "30 2 * * *",
        "*/20 * * * *",
        "0 6 * * mon",
        "15 9-17 1,15 * *",
        "0 0 l * *",
        "5 4 * * mon#1",
        "0 0 1 * fri",
    ],
)
def test_the_last_firing_until_an_instant_is_the_one_that_stepping_finds(expr: str, interval: str) -> None:
    cron = Cron(expr, tz="Europe/Berlin", interval=interval)  # type: ignore[arg-type]
    for day in ("2026-03-29T03:00", "2026-10-25T02:30", "2026-07-01T12:34"):
        last = cron.last_until(us(day, "Europe/Berlin"))
        assert last is not None
        following = cron.next_after(last.fires_us)
        assert following is not None
        assert last.fires_us <= us(day, "Europe/Berlin") < following.fires_us
        assert cron.next_after(last.fires_us - 1) == last


def test_a_manual_run_takes_the_interval_that_holds_its_date() -> None:
    cron = Cron("0 2 * * *", tz="Europe/Berlin", interval="day")
    start, end = cron.interval_for(us("2026-06-15T13:00", "Europe/Berlin"), us("2026-11-01"))
    assert (start, end) == (us("2026-06-15", "Europe/Berlin"), us("2026-06-16", "Europe/Berlin"))
    assert cron.interval_for(start, us("2026-11-01")) == (start, end)


def test_a_manual_run_without_a_date_takes_the_last_complete_interval() -> None:
    cron = Cron("0 2 * * *", interval="day")
    assert cron.interval_for(None, us("2026-06-15T01:00")) == (us("2026-06-14"), us("2026-06-15"))
    tick = Cron("0 2 * * *")
    assert tick.interval_for(None, us("2026-06-15T01:00")) == (us("2026-06-13T02:00"), us("2026-06-14T02:00"))
    assert tick.interval_for(us("2026-06-15T01:00"), 0) == (us("2026-06-14T02:00"), us("2026-06-15T02:00"))


def test_the_dags_zone_is_the_default() -> None:
    assert Cron("0 2 * * *").in_zone("Asia/Tokyo") == Cron("0 2 * * *", tz="Asia/Tokyo")
    assert Cron("0 2 * * *", tz="UTC").in_zone("Asia/Tokyo") == Cron("0 2 * * *", tz="UTC")


@pytest.mark.parametrize(
    ("expr", "words"),
    [
        ("0 2 * * *", "at 02:00 every day, UTC"),
        ("30 6,18 * * mon-fri", "at 06:30 and 18:30 on Monday to Friday, UTC"),
        ("*/15 * * * *", "every 15 minutes, UTC"),
        ("* * * * *", "every minute, UTC"),
        ("5 * * * *", "at minute 5 of every hour, UTC"),
        ("0 */2 * * *", "at minute 0 of every 2nd hour, UTC"),
        ("0 0 1 1 *", "at 00:00 on day 1 of the month in January, UTC"),
        ("0 0 13 * fri", "at 00:00 on day 13 of the month or Friday, UTC"),
        ("0 9 * * mon#1", "at 09:00 on the 1st Monday of the month, UTC"),
        ("0 9 l * *", "at 09:00 on the last day of the month, UTC"),
    ],
)
def test_b21_a_line_is_told_in_words(expr: str, words: str) -> None:
    assert Cron(expr).describe() == words


@pytest.mark.parametrize(
    "schedule",
    [
        Manual(),
        Every(hours=6),
        Every(minutes=1, seconds=30, anchor=datetime(2026, 1, 1, tzinfo=ZoneInfo("UTC"))),
        Cron("0 2 * * *"),
        Cron("0 2 * * *", tz="Europe/Berlin", interval="day", gap="skip", repeat="both"),
    ],
)
def test_a_schedule_survives_the_store(schedule: Schedule) -> None:
    assert schedule_from_json(schedule.to_json()) == schedule


def test_a_stored_schedule_of_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ScheduleError, match="cannot be read"):
        schedule_from_json(b'{"kind":"moon"}')


@pytest.mark.parametrize("year", [1700, 1960, 2200, 9000])
@pytest.mark.parametrize("expr", ["0 2 * * *", "0 0 29 2 *", "*/7 3 l * mon"])
def test_far_years_are_no_different(expr: str, year: int) -> None:
    at = to_us(datetime(year, 1, 5, tzinfo=ZoneInfo("UTC")))
    cron = Cron(expr, tz="Europe/Berlin")
    last, after = cron.last_until(at), cron.next_after(at)
    assert last is not None
    assert after is not None
    assert last.fires_us <= at < after.fires_us
    assert after.start_us == last.fires_us


@pytest.mark.parametrize("when", [datetime.min, datetime.max])
def test_a_date_at_the_end_of_time_ends_in_one_sentence(when: datetime) -> None:
    at, cron = to_us(when.replace(tzinfo=ZoneInfo("UTC"))), Cron("0 2 * * *", interval="day")
    with pytest.raises(ScheduleError, match="outside of the years 100 to 9900"):
        cron.interval_for(at, 0)
    with pytest.raises(ScheduleError, match="outside of the years 100 to 9900"):
        cron.next_after(at)
