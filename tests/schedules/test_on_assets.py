"""`OnAssets` and conditions over assets: plain data, in words, and the calendar behind `interval=`."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import AnyOf, Asset, Cron, OnAssets, dag, task
from bide.runtime.assets.asset import Condition, first_true, holds, in_words, made_true_by, names_of
from bide.runtime.assets.pending import Pending, Rule, Unit, run_key
from bide.runtime.clock import HOUR, to_us
from bide.runtime.errors import GraphError, ScheduleError
from bide.runtime.schedules import schedule_from_json
from bide.runtime.schedules.on_assets import on_assets
from bide.runtime.spans import covers, share
from bide.sensors import AssetSensor

A, B, C = Asset("a"), Asset("b"), Asset("c")


def test_b32_conditions_nest_and_stay_flat() -> None:
    cond = OnAssets(A & (B | C) & Asset("d"), consume="each").condition
    assert in_words(cond) == "a and (b or c) and d"
    assert names_of(cond) == ("a", "b", "c", "d")
    assert OnAssets((A | B) | "c", consume="each").condition == OnAssets(A | B | C, consume="each").condition  # type: ignore[operator]


def test_c40_a_schedule_of_assets_is_stored_with_what_it_consumes() -> None:
    for schedule in (
        OnAssets(A & (B | C), consume="each"),
        OnAssets("a", consume="latest", backlog=True),
        OnAssets(A, consume="batch", interval="day", tz="Europe/Berlin"),
    ):
        assert b'"consume"' in schedule.to_json()
        assert schedule_from_json(schedule.to_json()) == schedule
    joined = AnyOf(OnAssets(A, consume="each", interval="day"), Cron("0 5 * * *")).in_zone("Asia/Tokyo")
    assert schedule_from_json(joined.to_json()) == joined
    part = on_assets(joined)
    assert part is not None
    assert part.tz == "Asia/Tokyo"


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: OnAssets(A), "it does not say what it consumes: write consume="),
        (lambda: OnAssets(A, consume="all"), "consume is 'all'"),  # type: ignore[arg-type]
        (lambda: OnAssets(A, consume="each", interval="tick"), "interval is 'tick'"),  # type: ignore[arg-type]
        (lambda: OnAssets(A, consume="each", interval="day", tz="Mars"), "there is no time zone 'Mars'"),
        (lambda: OnAssets([A], consume="each"), "is no condition over assets"),  # type: ignore[arg-type]
        (lambda: OnAssets("a b", consume="each"), "cannot be the name of an asset"),
    ],
)
def test_c40_what_is_not_stated_or_cannot_be_meant_is_refused(make: Any, says: str) -> None:
    with pytest.raises(ScheduleError, match=says):
        make()


def test_s3_6_a_bare_list_of_assets_is_refused_with_what_to_write() -> None:
    with pytest.raises(GraphError, match=r'OnAssets\(orders, consume="each"\)'):

        @dag(schedule=[A])  # type: ignore[call-overload]
        def mart() -> None: ...


def test_s3_25_outlets_and_inlets_take_assets_and_names() -> None:
    @task(outlets=[A, "raw/b"], inlets=C)
    def load() -> None: ...

    @dag
    def d() -> None:
        load()

    [spec] = d.spec.tasks
    assert (spec.outlets, spec.inlets) == (("a", "raw/b"), ("c",))


def test_the_name_of_an_asset_is_checked() -> None:
    for name in ("", "two words", "é", "x" * 201, 3):
        with pytest.raises(GraphError, match="cannot be the name of an asset"):
            Asset(name)  # type: ignore[arg-type]


def test_a_schedule_of_assets_says_in_words_what_it_does() -> None:
    assert OnAssets(A & B, consume="latest").describe() == (
        "when a and b have a new version, a run for the newest version"
    )
    assert OnAssets(A, consume="each", interval="day", tz="Europe/Berlin").describe() == (
        "when a has a new version, a run for each day (Europe/Berlin) that they cover"
    )


def instant(text: str) -> int:
    from datetime import datetime

    return to_us(datetime.fromisoformat(text))


def test_b33_days_of_a_zone_have_23_and_25_hours() -> None:
    berlin = OnAssets(A, consume="each", interval="day", tz="Europe/Berlin")
    for date, hours in (
        ("2026-03-29T12:00+02:00", 23),
        ("2026-10-25T12:00+01:00", 25),
        ("2026-06-15T12:00+02:00", 24),
    ):
        start, end = berlin.period(instant(date))
        assert (end - start) / HOUR == hours


def test_a_manual_run_has_the_interval_of_the_grid_or_none() -> None:
    now, date = instant("2026-06-15T10:00+00:00"), instant("2026-06-10T07:00+00:00")
    assert OnAssets(A, consume="each").interval_for(date, now) == (date, date)
    assert OnAssets(A, consume="each").interval_for(None, now) == (now, now)
    daily = OnAssets(A, consume="each", interval="day", tz="UTC")
    assert daily.interval_for(date, now) == (instant("2026-06-10T00:00Z"), instant("2026-06-11T00:00Z"))
    assert daily.interval_for(None, now) == (instant("2026-06-14T00:00Z"), instant("2026-06-15T00:00Z"))
    assert daily.next_after(now) is None


# --- pure rules ----------------------------------------------------------------------------------

conditions = st.recursive(
    st.sampled_from("abcd").map(Asset),
    lambda inner: st.tuples(inner, inner, st.booleans()).map(lambda t: t[0] & t[1] if t[2] else t[0] | t[1]),
    max_leaves=6,
)


@given(conditions, st.dictionaries(st.sampled_from("abcd"), st.integers(1, 50)))
def test_c48_what_makes_a_condition_true_is_enough_and_nothing_without_it(
    made: Any, since: dict[str, int]
) -> None:
    cond: Condition = OnAssets(made, consume="each").condition
    true = holds(cond, since.__contains__)
    for chosen in (made_true_by(cond, since.__contains__), first_true(cond, since.get)):
        assert bool(chosen) == true
        assert chosen <= since.keys()
        assert not true or holds(cond, chosen.__contains__)
    first = first_true(cond, since.get)
    if true:  # no way of making it true was complete before this one
        last = max(since[name] for name in first)
        assert not holds(cond, lambda name: since.get(name, 99) < last)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), max_size=8))
def test_b33_spans_cover_what_their_points_cover(parts: list[tuple[int, int]]) -> None:
    points = {at for low, high in parts for at in range(low, high)}
    assert covers((5, 15), parts) == points.issuperset(range(5, 15))
    assert share((5, 15), parts) == len(points & set(range(5, 15))) / 10


def test_c41_the_key_of_a_run_is_made_of_its_versions_and_stays_short() -> None:
    def units(*versions: int) -> tuple[Unit, ...]:
        return tuple(Unit(version, "a", 0, 1, 0) for version in versions)

    assert run_key(units(7, 9), None) == "asset:7+9"
    assert run_key(units(7), 60) == "asset:7@60"
    assert run_key((Unit(7, "a", 0, 1, 0, again=2),), None) == "asset:7r2"
    long, other = run_key(units(*range(500)), None), run_key(units(*range(499), 500), None)
    assert len(long) < 80
    assert long != other


def test_points_pair_in_their_order() -> None:
    pending = Pending(Rule(OnAssets(A & B, consume="each").condition, "each"))
    for version, name in enumerate("aabb", 1):
        pending.add(Unit(version, name, version * 10, version * 10, version * 10))
    taken = pending.take(None)
    assert taken is not None
    assert [unit.version_id for unit in taken.used] == [1, 3]
    assert taken.span == (30, 30)


# --- the sensor ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"asset": 3}, "must be an Asset or its name"),
        ({"asset": "a b"}, "cannot be the name of an asset"),
        ({"asset": A, "interval": "dya"}, "did you mean 'day'"),
    ],
)
def test_an_asset_sensor_that_cannot_be_meant_is_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(GraphError, match=says):

        @dag
        def d() -> None:
            AssetSensor("w", **options)


def test_the_event_of_an_asset_names_the_newest_version_of_each_interval() -> None:
    from bide.runtime.store.facts import VersionRow
    from bide.triggers import decode_trigger, encode_trigger
    from bide.triggers.asset import AssetTrigger
    from bide.triggers.base import Fire, NotYet

    trigger = AssetTrigger(asset="a", start_us=0, end_us=20, cover=True)
    assert decode_trigger(encode_trigger(trigger)) == trigger

    def row(version: int, start: int, end: int) -> VersionRow:
        return VersionRow(version, "a", start, end, version, "d", "t", 0)

    assert trigger.judge(None, None, 0) == NotYet("there is no version within this interval yet")
    assert trigger.judge([row(1, 0, 10)], None, 0) == NotYet(
        "1 interval of it is there, and does not cover it"
    )
    fired = trigger.judge([row(1, 0, 10), row(2, 10, 20), row(3, 0, 10)], None, 0)
    assert isinstance(fired, Fire)
    assert [each["version"] for each in fired.event["versions"]] == [3, 2]
    assert msgspec.json.encode(fired.event)
