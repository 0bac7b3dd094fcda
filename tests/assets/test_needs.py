"""Promises against needs, before anything runs: the slack in minutes, and what can never be."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Cron, Every, ExactVersion, Freshness, Latest, Manual, OnAssets, SameInterval, by
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec, Requirement
from bide.runtime.assets.declarations import Declared
from bide.runtime.assets.words import Edge
from bide.runtime.graph.asset_graph import AssetGraph, Program
from bide.runtime.graph.asset_grid import Grid, _Line
from bide.runtime.graph.asset_needs import Need, Standing, needs
from bide.runtime.graph.spec import DagSpec, Lane, TaskSpec
from bide.runtime.schedules import Firing, Schedule
from bide.runtime.schedules.promise import Promise
from tests.assets.judging import JUNE

HOURS = timedelta(hours=1)


def made(
    name: str,
    schedule: Schedule,
    promise: Promise | None = None,
    *,
    tz: str = "UTC",
    inlets: tuple[str, ...] = (),
) -> Program:
    """A DAG with one task that makes one asset."""
    task = TaskSpec(
        name="make",
        lane=Lane.ASYNC,
        outlets=(name,),
        inlets=inlets,
        promises={name: promise} if promise else None,
    )
    dag = name.replace(".", "_")
    return Program(DagSpec(name=dag, tasks=(task,), tz=tz), schedule.in_zone(tz), JUNE)


def on(*require: Requirement, kind: str = "interval_match", **more: Any) -> tuple[ContractSpec, str]:
    spec = ContractSpec(downstream="gold", upstream="silver", kind=Edge(kind), require=require, **more)
    return spec, "contracts/x.toml"


def daily(at: str, tz: str = "UTC") -> Cron:
    hour, minute = at.split(":")
    return Cron(f"{int(minute)} {int(hour)} * * *", tz=tz, interval="day")


def graph(
    *programs: Program, contracts: list[tuple[ContractSpec, str]], assets: tuple[AssetSpec, ...] = ()
) -> AssetGraph:
    return AssetGraph(programs, Declared(assets=assets, contracts=tuple(contracts)))


def the(found: AssetGraph) -> Need:
    [need] = needs(found, JUNE)
    return need


def test_s3_27_b41_a_promise_in_time_has_its_slack_in_minutes() -> None:
    need = the(
        graph(made("silver", daily("02:00"), by("04:00")), made("gold", daily("05:30")), contracts=[on()])
    )
    assert (need.standing, need.slack_minutes) == (Standing.KEPT, 90)
    assert need.sentence == (
        "gold needs silver, the same interval, when its run begins, and has it by 04:00 UTC: 90 min to spare "
        "(of 2026-06-01)"
    )
    assert (need.producer, need.consumer) == ("silver.make", "gold.make")


def test_d17_a_changed_cron_shows_the_contract_it_breaks() -> None:
    before = graph(
        made("silver", daily("02:00"), by("04:00")), made("gold", daily("05:00")), contracts=[on()]
    )
    after = graph(made("silver", daily("02:00"), by("04:00")), made("gold", daily("03:15")), contracts=[on()])
    assert [the(before).standing, the(after).standing] == [Standing.KEPT, Standing.BROKEN]
    assert the(after).slack_minutes == -45
    assert "45 min too late" in the(after).sentence


def test_d17_the_least_slack_counts_where_two_zones_change_their_clocks_on_different_days() -> None:
    """From the end of October to November New York is an hour nearer to Berlin."""
    october = JUNE + 130 * 86_400_000_000
    found = graph(
        made("silver", daily("02:00", "America/New_York"), by("03:00", tz="America/New_York"), tz="America/New_York"),
        made("gold", daily("10:00", "Europe/Berlin"), tz="Europe/Berlin"),
        contracts=[on(SameInterval(), kind="read")],
    )  # fmt: skip
    [need] = needs(found, october)
    assert need.standing is Standing.NEVER, "days of New York are no days of Berlin"
    fresh = graph(*found.programs.values(), contracts=[on(Freshness(timedelta(hours=6)), kind="freshness")])
    [need] = needs(fresh, october)
    assert need.slack_minutes == 60  # 03:00 in New York is 09:00 in Berlin, and 08:00 for a week
    assert need.standing is Standing.KEPT


def test_s3_27_its_own_promise_is_the_need_of_what_events_begin() -> None:
    gold = made("gold", OnAssets("silver", consume="each", interval="day"), by("04:30"))
    need = the(graph(made("silver", daily("02:00"), by("04:00")), gold, contracts=[on()]))
    assert (need.standing, need.slack_minutes) == (Standing.KEPT, 30)
    without = made("gold", OnAssets("silver", consume="each", interval="day"))
    need = the(graph(made("silver", daily("02:00"), by("04:00")), without, contracts=[on()]))
    assert (need.standing, need.slack_minutes) == (Standing.UNKNOWN, None)


def test_s3_27_what_nobody_promises_is_told_apart_from_what_is_promised() -> None:
    need = the(graph(made("silver", daily("02:00")), made("gold", daily("05:00")), contracts=[on()]))
    assert (need.standing, need.slack_minutes) == (Standing.UNPROMISED, 180)
    assert "nothing is promised: its run begins" in need.promise


@pytest.mark.parametrize(
    ("theirs", "mine", "offset", "standing"),
    [
        (
            Cron("5 * * * *", interval="hour"),
            daily("02:00"),
            timedelta(),
            Standing.UNPROMISED,
        ),  # hours fill a day
        (
            daily("02:00"),
            Cron("5 * * * *", interval="hour"),
            timedelta(),
            Standing.BROKEN,
        ),  # the day is over later
        (daily("02:00"), daily("03:00"), -timedelta(days=1), Standing.UNPROMISED),
        (daily("02:00"), Cron("0 6 * * 1", interval="week"), timedelta(), Standing.UNPROMISED),
        (
            Cron("0 6 * * 1", interval="week"),
            Cron("0 9 1 * *", interval="month"),
            timedelta(),
            Standing.NEVER,
        ),
        (daily("02:00"), daily("03:00"), timedelta(hours=6), Standing.NEVER),
        (daily("02:00", "Asia/Tokyo"), daily("23:00"), timedelta(), Standing.NEVER),
        (Every(timedelta(hours=5)), Every(timedelta(hours=7)), timedelta(), Standing.NEVER),
    ],
)
def test_d6_an_interval_that_no_grid_ever_has_is_seen_before_anything_runs(
    theirs: Schedule, mine: Schedule, offset: timedelta, standing: Standing
) -> None:
    need = the(graph(made("silver", theirs), made("gold", mine), contracts=[on(SameInterval(offset))]))
    assert need.standing is standing, need.sentence
    if standing is Standing.NEVER:
        assert "can never be: no interval of silver is, fills or holds" in need.sentence


def test_b41_freshness_is_counted_when_the_consumer_begins() -> None:
    hourly = made("silver", Cron("10 * * * *", interval="hour"), Promise(after_us=20 * 60_000_000))
    fresh = on(Freshness(timedelta(minutes=90)), kind="freshness")
    at_half = made("gold", Cron("30 * * * *", interval="hour"))
    need = the(graph(hourly, at_half, contracts=[fresh]))
    assert (need.standing, need.slack_minutes) == (Standing.KEPT, 60)  # promised at :20, so 30 min old at :30
    at_ten = made("gold", Cron("10 * * * *", interval="hour"))
    need = the(graph(hourly, at_ten, contracts=[fresh]))
    assert (need.standing, need.slack_minutes) == (
        Standing.KEPT,
        20,
    )  # only the hour before is promised by then


def test_b41_a_purpose_reads_at_any_time_so_the_oldest_moment_counts() -> None:
    spec = ContractSpec(
        downstream="dashboard",
        upstream="silver",
        kind=Edge.FRESHNESS,
        require=(Freshness(timedelta(hours=27)),),
    )
    found = graph(made("silver", daily("02:00"), by("04:00")), contracts=[(spec, "")])
    [need] = needs(found, JUNE)
    assert (need.standing, need.slack_minutes) == (Standing.BROKEN, -60)  # 28 hours old just before 04:00


def test_d6_freshness_that_no_cadence_of_the_producer_gives() -> None:
    fresh = on(Freshness(timedelta(hours=1)), kind="freshness")
    need = the(
        graph(
            made("silver", daily("02:00")),
            made("gold", Cron("0 * * * *", interval="hour")),
            contracts=[fresh],
        )
    )
    assert need.standing is Standing.NEVER
    assert "2:00:00 old when its run begins" in need.sentence


def test_d6_an_exact_or_the_latest_version_is_no_matter_of_schedules() -> None:
    week, month = Cron("0 6 * * 1", interval="week"), Cron("0 9 1 * *", interval="month")
    for which in (Latest(), ExactVersion("G7")):
        kind = "exact_version" if isinstance(which, ExactVersion) else "interval_match"
        assert (
            needs(graph(made("silver", week), made("gold", month), contracts=[on(which, kind=kind)]), JUNE)
            == []
        )


def test_what_has_no_schedule_has_the_grain_that_was_declared() -> None:
    silver = made("silver", Manual())
    unknown = the(graph(silver, made("gold", daily("05:00")), contracts=[on()]))
    assert unknown.standing is Standing.UNKNOWN
    assert "no schedule or grain says which intervals silver has" in unknown.sentence
    said = graph(
        silver, made("gold", daily("05:00")), contracts=[on()], assets=(AssetSpec("silver", grain="month"),)
    )
    assert the(said).standing is Standing.BROKEN  # a month is over when it is over


# --- the intervals of an asset, against a list of all of them ----------------------------------------


class Everything:
    """A schedule that is a list: some intervals of one length, a few of them left out, from 0 on."""

    def __init__(self, length: int, missing: set[int], count: int) -> None:
        self.all = [
            Firing((n + 1) * length, n * length, (n + 1) * length) for n in range(count) if n not in missing
        ]

    def find(self, from_us: int, to_us: int, most: int) -> list[Firing]:
        return [each for each in self.all if from_us <= each.start_us < to_us][: most + 1]

    def last_of(self, start: int, end: int) -> Firing | None:
        holding = [each for each in self.all if each.start_us <= start and each.end_us >= end]
        if holding:
            return holding[0]
        within = [each for each in self.all if start <= each.start_us and each.end_us <= end]
        whole = within and within[0].start_us == start and within[-1].end_us == end
        gaps = [a for a, b in pairwise(within) if a.end_us != b.start_us]
        return within[-1] if whole and not gaps else None


@given(
    st.integers(1, 6), st.sets(st.integers(0, 60), max_size=4), st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=8),
)  # fmt: skip
def test_d6_what_is_looked_up_of_a_schedule_is_what_a_list_of_all_its_intervals_says(
    length: int, missing: set[int], now: int, spans: list[tuple[int, int]]
) -> None:
    everything = Everything(length, missing, 400)
    grid = Grid(_Line(everything.find, now), True, None, None, "UTC")
    for start, span in spans:  # in any order: what was found before is kept
        assert grid.last_of((start, start + span)) == everything.last_of(start, start + span)
