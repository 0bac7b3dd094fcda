"""`bide schedule`: words, firings as JSON, what was not run; and `--json` against a walk of the wall clock."""

from __future__ import annotations

import itertools
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest

from bide import Cron, dag, task
from bide.runtime.cli.main import pointed
from bide.runtime.clock import to_us
from bide.runtime.errors import BideError
from bide.runtime.graph.load import load_target
from bide.testing import SimClock, sim_runtime
from tests.cli.conftest import Bide

DAGS = """
from bide import AnyOf, Cron, Every, On, dag, task
from bide.triggers import FileTrigger

@task
def work(): ...

@dag(schedule=Cron("0 2 * * *", tz="Europe/Berlin", interval="day"))
def daily(): work()

@dag(schedule=AnyOf(On(FileTrigger(glob="drops/*.csv")), Every(hours=6)))
def drops(): work()
"""


@task
async def work() -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "dags.py"
    path.write_text(DAGS)
    return str(path)


def test_b21_s3_2_a_schedule_is_told_in_words_and_in_the_dags_zone(bide: Bide, file: str) -> None:
    said = bide("schedule", f"{file}:daily", "-n", "2", "--from", "2026-10-25")
    assert said.code == 0
    assert said.out.splitlines() == [
        "daily: at 02:00 every day, Europe/Berlin, for the day before",
        "missed firings: latest; while others run: queue_one",
        "FIRES AT, EUROPE/BERLIN   FIRES AT, UTC         INTERVAL FROM         TO",
        "2026-10-25 02:00:00 CEST  2026-10-25 00:00:00Z  2026-10-23 22:00:00Z  2026-10-24 22:00:00Z",
        "2026-10-26 02:00:00 CET   2026-10-26 01:00:00Z  2026-10-24 22:00:00Z  2026-10-25 23:00:00Z",
    ]


def test_b21_the_json_is_firings_and_intervals_and_nothing_else(bide: Bide, file: str) -> None:
    said = bide("schedule", f"{file}:daily", "-n", "1", "--from", "2026-10-25T02:00", "--json")
    assert msgspec.json.decode(said.out) == [
        {
            "fires_at": "2026-10-25T00:00:00Z",
            "interval": {"start": "2026-10-23T22:00:00Z", "end": "2026-10-24T22:00:00Z"},
        }
    ]
    said = bide("schedule", f"{file}:daily", "--to", "2026-03-30", "--from", "2026-03-28", "--json")
    assert [line["fires_at"] for line in msgspec.json.decode(said.out)] == [
        "2026-03-28T01:00:00Z",
        "2026-03-29T01:00:00Z",
    ]
    assert len(msgspec.json.decode(bide("schedule", f"{file}:daily", "--json").out)) == 5


def test_s3_5_an_event_with_a_fallback_says_both(bide: Bide, file: str, tmp_path: Path) -> None:
    said = bide("schedule", f"{file}:drops")
    assert said.out.splitlines()[0] == f"drops: on file {tmp_path}/drops/*.csv, or every 6 hours"
    assert f"waits for file {tmp_path}/drops/*.csv" in said.out


def test_s3_2_a_cron_line_is_tried_without_a_file(bide: Bide) -> None:
    said = bide("schedule", "30 6 * * mon-fri", "--tz", "Asia/Tehran", "--from", "2026-06-15", "-n", "1")
    assert said.out.splitlines()[0] == "at 06:30 on Monday to Friday, Asia/Tehran"
    assert "2026-06-15 03:00:00Z" in said.out


@pytest.mark.parametrize(
    ("line", "carets"),
    [
        ("0 25 * * *", "    ^^"),
        ("61 2 * * *", "  ^^"),
        (" 0  2 * * funday", "            ^^^^^^"),
        ("0 2 0-40 * *", "      ^^^^"),
    ],
)
def test_s3_2_b21_a_wrong_field_is_pointed_at(
    bide: Bide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, carets: str
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text(DAGS.replace("0 2 * * *", line))
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with pytest.raises(BideError) as in_a_file:
        load_target(str(broken))
    with pytest.raises(BideError) as alone:
        Cron(line)
    for caught in (in_a_file, alone):
        assert pointed(caught.value).splitlines() == [f"  {line}", carets]
    said = bide("schedule", f"{broken}:daily")
    assert said.code == 2
    assert said.err.startswith(f"bide: {broken}:8: the cron line ")
    assert said.err.count("\n") in (1, 3)


@pytest.mark.parametrize(
    ("words", "code", "err"),
    [
        (["daily", "--tz", "UTC"], 2, "--tz is for a cron line"),
        (["0 2 * * *", "-n", "0"], 2, "0 firings cannot be"),
        (["0 2 * * *", "--from", "soon"], 2, "'soon' is no date"),
        (["0 2 * * *", "--from", "2026-02-01", "--to", "2026-01-01"], 2, "is not after"),
        (["daily", "--db", "none.db"], 3, "there is no database"),
    ],
)
def test_what_cannot_be_meant_is_one_line(bide: Bide, words: list[str], code: int, err: str) -> None:
    said = bide("schedule", *words)
    assert said.code == code
    assert err in said.err
    assert said.err.count("\n") == 1


async def test_c58_c60_what_was_not_run_is_listed_with_its_reason(tmp_path: Path) -> None:
    @dag(schedule=Cron("0 * * * *"))
    def hourly() -> None:
        work()

    clock = SimClock("2026-01-01T00:30")
    async with sim_runtime(dags=[hourly], clock=clock, db=tmp_path / "bide.db") as rt:
        await rt.operations.pause("hourly")
        await rt.clock.advance(timedelta(hours=5))
        await rt.operations.unpause("hourly")
        await rt.clock.advance(1)
        found = await rt.operations.schedule("hourly", 2, "2026-01-02")
        assert [line.fires_at for line in found.firings] == ["2026-01-02T00:00:00Z", "2026-01-02T01:00:00Z"]
        [skip] = found.skipped
        assert (skip.fires_at, skip.until) == ("2026-01-01T01:00:00Z", "2026-01-01T04:00:00Z")


def test_c58_the_terminal_lists_what_was_not_run(bide: Bide, tmp_path: Path) -> None:
    import asyncio

    asyncio.run(test_c58_c60_what_was_not_run_is_listed_with_its_reason(tmp_path))
    db = str(tmp_path / "bide.db")
    said = bide("schedule", "hourly", "--skipped", "--json", "--db", db)
    [skip] = msgspec.json.decode(said.out)
    assert sorted(skip) == ["decided_at", "fires_at", "reason", "until"]
    assert skip["reason"] == 'missed, and catchup is "latest"'
    assert 'missed, and catchup is "latest"' in bide("schedule", "hourly", "--skipped", "--db", db).out
    shown = bide("schedule", "hourly", "--db", db)
    assert "last not run: 2026-01-01 01:00:00Z, missed" in shown.err
    assert bide("schedule", "hurly", "--db", db).code == 3


# --- against the wall clock -------------------------------------------------------------------------

ODD = {
    "Australia/Lord_Howe": "2026-04-03",  # half an hour back on the 5th
    "Pacific/Apia": "2011-12-28",  # the 30th was left out
    "Africa/Casablanca": "2026-02-13",  # back for Ramadan on the 15th
    "America/Sao_Paulo": "2018-11-02",  # midnight of the 4th does not exist
    "Asia/Tehran": "2022-03-20",  # midnight of the 22nd does not exist
    "Antarctica/Troll": "2026-03-27",  # two hours forward on the 29th
    "Europe/Berlin": "2026-10-23",
}
PERIODS = {"hour": 1, "day": 24, "week": 24, "month": 24}


def walked(start: datetime, days: int, zone: str) -> list[tuple[datetime, datetime]]:
    """(instant in UTC, what the wall shows) of every five minutes."""
    utc, tz = ZoneInfo("UTC"), ZoneInfo(zone)
    first = start.replace(tzinfo=tz).astimezone(utc)
    steps = [first + timedelta(minutes=5 * n) for n in range(-70 * 288, (days + 40) * 288)]
    return [(at, at.astimezone(tz).replace(tzinfo=None)) for at in steps]


def period_of(shows: datetime, period: str) -> Any:
    match period:
        case "hour":
            return shows.replace(minute=0)
        case "day":
            return shows.date()
        case "week":
            return (shows - timedelta(days=shows.weekday())).date()
        case _:
            return (shows.year, shows.month)


@pytest.mark.parametrize("zone", ODD)
@pytest.mark.parametrize("period", ["day", "week", "month"])
def test_b24_b28_c54_intervals_as_json_agree_with_a_walk_of_the_wall_clock(
    bide: Bide, tmp_path: Path, zone: str, period: str
) -> None:
    """Each firing is the first instant whose wall shows 02:00 of a date or later, dates that never were
    included; its interval is the whole period before, days of 23 and 25 hours included; of two firings
    for one interval the first counts.
    """
    file = tmp_path / "dags.py"
    file.write_text(DAGS.replace("Europe/Berlin", zone).replace('interval="day"', f'interval="{period}"'))
    start = datetime.fromisoformat(ODD[zone])
    said = bide("schedule", f"{file}:daily", "--from", f"{start:%Y-%m-%d}", "-n", "6", "--json")
    found = [
        tuple(
            datetime.fromisoformat(text)
            for text in (line["fires_at"], line["interval"]["start"], line["interval"]["end"])
        )
        for line in msgspec.json.decode(said.out)
    ]
    walk = walked(start, 6 * {"day": 1, "week": 7, "month": 31}[period], zone)
    begins: dict[Any, datetime] = {}
    two: dict[Any, datetime] = {}
    due = walk[0][1].replace(hour=2, minute=0) + timedelta(days=1)
    for at, shows in walk:
        begins.setdefault(period_of(shows, period), at)
        while shows >= due:
            two.setdefault(due.date(), at)
            due += timedelta(days=1)
    starts = sorted(begins.values())
    since = start.replace(tzinfo=ZoneInfo(zone)).astimezone(ZoneInfo("UTC"))
    expected = []
    for fires in sorted(two.values()):
        end = max(at for at in starts if at <= fires) if starts[0] <= fires else None
        before = [at for at in starts if end is not None and at < end]
        if fires >= since and end is not None and before:
            first_of_period = min(each for each in two.values() if each >= end) == fires
            if first_of_period:
                expected.append((fires, before[-1], end))
    assert found == expected[:6]
    assert len(found) == 6


@pytest.mark.parametrize("zone", ODD)
def test_b28_c55_hours_as_json_agree_with_a_walk_of_the_wall_clock(zone: str) -> None:
    cron = Cron("0 * * * *", zone, interval="hour")
    start = datetime.fromisoformat(ODD[zone])
    walk = walked(start, 4, zone)
    begins: list[datetime] = []
    last: Any = None
    for at, shows in walk:
        hour = shows.replace(minute=0)
        jumped = last is not None and shows.minute == 0 and hour == last
        if hour != last or jumped:
            begins.append(at)
        last = hour
    since = to_us(start.replace(tzinfo=ZoneInfo(zone)))
    expected = [
        (to_us(at), to_us(before), to_us(at))
        for before, at in itertools.pairwise(begins)
        if to_us(at) > since and at.astimezone(ZoneInfo(zone)).minute == 0
    ][:96]
    found, at_us = [], since
    for _ in expected:
        firing = cron.next_after(at_us)
        assert firing is not None
        found.append(tuple(firing))
        at_us = firing.fires_us
    assert found == expected
