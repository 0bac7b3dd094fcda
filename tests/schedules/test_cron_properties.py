"""Cron lines against a brute-force walker of the wall clock, and against cronsim where rules agree."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bide.runtime.clock import DAY, HOUR, MINUTE, from_us, to_us
from bide.runtime.schedules import Cron

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Tehran",
]
CHANGES = [
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 3, 8, 7, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2026, 10, 3, 15, 30, tzinfo=UTC),
    datetime(2026, 2, 15, 2, tzinfo=UTC),
    datetime(2026, 6, 15, 12, tzinfo=UTC),
]
starts = st.builds(
    lambda change, hours: to_us(change) + hours * HOUR // 4, st.sampled_from(CHANGES), st.integers(-120, 40)
)
minutes = st.sets(st.integers(0, 59), min_size=1, max_size=3)
named_hours = st.sets(st.integers(0, 23), min_size=1, max_size=4)


def minute_walk(start: int, end: int, tz: ZoneInfo) -> list[tuple[int, datetime]]:
    """(instant, what the wall shows) for each whole minute in (start, end]."""
    first = start - start % MINUTE + MINUTE
    return [(at, from_us(at).astimezone(tz).replace(tzinfo=None)) for at in range(first, end + 1, MINUTE)]


def expected_named(
    start: int, end: int, tz: ZoneInfo, hours: set[int], mins: set[int], gap: str, repeat: str
) -> list[int]:
    """The rule for hours that are named, stated by walking every minute that exists."""
    seen: dict[datetime, list[int]] = {}
    shifted: set[int] = set()
    before: datetime | None = None
    for at, shows in minute_walk(start - 2 * DAY, end + 2 * DAY, tz):
        if before is not None and shows > before + timedelta(minutes=1):  # a gap: what did it leave out?
            missing = before + timedelta(minutes=1)
            while missing < shows:
                if missing.hour in hours and missing.minute in mins:
                    shifted.add(at)
                missing += timedelta(minutes=1)
        before = shows
        if shows.hour in hours and shows.minute in mins:
            seen.setdefault(shows, []).append(at)
    found = set(shifted) if gap == "shift" else set()
    for instants in seen.values():
        found.update({"first": instants[:1], "last": instants[-1:], "both": instants}[repeat])
    return sorted(at for at in found if start < at <= end)


def stepped(cron: Cron, start: int, end: int) -> list[int]:
    found, at = [], start
    while (firing := cron.next_after(at)) is not None and firing.fires_us <= end:
        at = firing.fires_us
        found.append(at)
    return found


def text(values: set[int]) -> str:
    return ",".join(map(str, sorted(values)))


@settings(max_examples=60, deadline=None)
@given(
    start=starts,
    zone=st.sampled_from(ZONES),
    hours=named_hours,
    mins=minutes,
    gap=st.sampled_from(["shift", "skip"]),
    repeat=st.sampled_from(["first", "last", "both"]),
)
@example(to_us(CHANGES[1]) - DAY, "Europe/Berlin", {2}, {30}, "shift", "first")
@example(to_us(CHANGES[4]) - DAY, "Australia/Lord_Howe", {1}, {30, 45}, "skip", "both")
def test_named_hours_fire_exactly_where_the_walker_says(
    start: int, zone: str, hours: set[int], mins: set[int], gap: str, repeat: str
) -> None:
    cron = Cron(f"{text(mins)} {text(hours)} * * *", zone, gap=gap, repeat=repeat)  # type: ignore[arg-type]
    end = start + 2 * DAY
    assert stepped(cron, start, end) == expected_named(start, end, ZoneInfo(zone), hours, mins, gap, repeat)


@settings(max_examples=40, deadline=None)
@given(start=starts, zone=st.sampled_from(ZONES), every=st.sampled_from([1, 2, 3, 5]), mins=minutes)
def test_a_star_hour_fires_at_each_matching_minute_that_exists(
    start: int, zone: str, every: int, mins: set[int]
) -> None:
    cron = Cron(f"{text(mins)} */{every} * * *", zone)
    end = start + DAY
    walked = minute_walk(start, end, ZoneInfo(zone))
    expected = [at for at, shows in walked if shows.hour % every == 0 and shows.minute in mins]
    assert stepped(cron, start, end) == expected


@settings(max_examples=60, deadline=None)
@given(
    start=starts,
    zone=st.sampled_from(ZONES),
    hours=named_hours,
    mins=minutes,
    repeat=st.sampled_from(["first", "last", "both"]),
)
def test_the_firing_before_is_found_as_surely_as_the_one_after(
    start: int, zone: str, hours: set[int], mins: set[int], repeat: str
) -> None:
    cron = Cron(f"{text(mins)} {text(hours)} * * *", zone, repeat=repeat)  # type: ignore[arg-type]
    one = cron.next_after(start)
    assert one is not None
    two = cron.next_after(one.fires_us)
    assert two is not None
    assert two.start_us == one.fires_us
    assert cron.last_until(two.fires_us - 1) == one
    assert cron.last_until(two.fires_us) == two


field = st.one_of(st.just("*"), st.integers(1, 12).map(str))


@settings(max_examples=60, deadline=None)
@given(
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    day=st.one_of(st.just("*"), st.just("*/2"), st.integers(1, 28).map(str)),
    month=field,
    weekday=st.one_of(st.just("*"), st.integers(0, 7).map(str), st.just("1-5")),
    start=starts,
)
def test_without_clock_changes_cronsim_says_the_same(
    minute: int, hour: int, day: str, month: str, weekday: str, start: int
) -> None:
    expr = f"{minute} {hour} {day} {month} {weekday}"
    oracle = CronSim(expr, from_us(start))
    at = start
    for _ in range(5):
        firing = Cron(expr).next_after(at)
        assert firing is not None
        at = firing.fires_us
        assert from_us(at) == next(oracle)
