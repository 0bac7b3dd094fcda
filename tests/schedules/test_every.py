"""Fixed spans, and no schedule at all."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.clock import HOUR, MINUTE, to_us
from bide.runtime.errors import ScheduleError
from bide.runtime.schedules import Every, Manual

LOADED = to_us(datetime(2026, 11, 21, 10, 7, 3, tzinfo=UTC))


def test_s3_3_the_first_run_is_at_the_first_load_and_the_next_one_a_period_after() -> None:
    every = Every(hours=6)
    assert every.next_after(LOADED - 1, LOADED) == (LOADED, LOADED - 6 * HOUR, LOADED)
    assert every.next_after(LOADED, LOADED) == (LOADED + 6 * HOUR, LOADED, LOADED + 6 * HOUR)


def test_nothing_fires_before_the_first_load() -> None:
    first = Every(hours=6).next_after(LOADED - 100 * HOUR, LOADED)
    assert first is not None
    assert first.fires_us == LOADED
    assert Every(hours=6).last_until(LOADED - 1, LOADED) is None


def test_an_anchor_of_its_own_reaches_in_both_directions() -> None:
    every = Every(timedelta(hours=6), anchor=datetime(2026, 1, 1, 3, tzinfo=UTC))
    firing = every.next_after(to_us(datetime(2025, 12, 31, 22, tzinfo=UTC)), LOADED)
    assert firing is not None
    assert firing.fires_us == to_us(datetime(2026, 1, 1, 3, tzinfo=UTC))


def test_a_naive_anchor_is_read_in_the_dags_zone() -> None:
    every = Every(days=1, anchor=datetime(2026, 1, 1)).in_zone("Asia/Tokyo")
    firing = every.next_after(to_us(datetime(2026, 1, 1, tzinfo=UTC)))
    assert firing is not None
    assert firing.fires_us == to_us(datetime(2026, 1, 1, 15, tzinfo=UTC))


@given(
    period=st.integers(1, 10**6).map(lambda s: s * 1_000_000),
    at=st.integers(LOADED, LOADED + 10**15),
)
def test_s3_1b_firings_are_on_the_grid_and_their_intervals_meet(period: int, at: int) -> None:
    every = Every(timedelta(microseconds=period))
    one = every.next_after(at, LOADED)
    assert one is not None
    two = every.next_after(one.fires_us, LOADED)
    assert two is not None
    assert (one.fires_us - LOADED) % period == 0
    assert at < one.fires_us <= at + period
    assert one.end_us == two.start_us
    assert every.last_until(one.fires_us, LOADED) == one
    assert every.interval_for(at, at, LOADED) == (one.start_us, one.end_us)
    assert every.interval_for(None, at, LOADED)[1] <= at


def test_a_span_that_cannot_be_is_refused() -> None:
    with pytest.raises(ScheduleError, match="too short"):
        Every()
    with pytest.raises(ScheduleError, match="too short"):
        Every(hours=-1)
    with pytest.raises(ScheduleError, match="too short"):
        Every(timedelta(microseconds=5))
    with pytest.raises(ScheduleError, match=r"write|needs a span"):
        Every(6)  # type: ignore[arg-type]
    with pytest.raises(ScheduleError, match="is no date"):
        Every(hours=1, anchor="soon")  # type: ignore[arg-type]


def test_every_tells_itself_in_words() -> None:
    assert Every(hours=6).describe() == "every 6 hours"
    assert Every(hours=1).describe() == "every hour"
    assert Every(minutes=90).describe() == "every 1 hour 30 minutes"
    assert Every(seconds=5).describe() == "every 5 seconds"


def test_a_manual_dag_never_fires_and_its_interval_is_empty() -> None:
    assert Manual().next_after(0) is None
    assert Manual().last_until(LOADED) is None
    assert Manual().interval_for(LOADED - MINUTE, LOADED) == (LOADED - MINUTE, LOADED - MINUTE)
    assert Manual().interval_for(None, LOADED) == (LOADED, LOADED)
