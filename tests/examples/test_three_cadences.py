"""The three cadences: an evening and a morning of them, for real; and what its parts promise."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide.testing import Rule, Script, simulated
from examples.three_cadences import clock as clock_of_the_day
from examples.three_cadences import dags
from examples.three_cadences.business import Business
from examples.three_cadences.claims import Claim, Outcome
from examples.three_cadences.clock import FastClock
from examples.three_cadences.plot import EVENING, WHOLE
from examples.three_cadences.stage import DAGS, SEED
from examples.three_cadences.warehouse import Warehouse
from examples.three_cadences.world import export_accounts

ROOT = Path(__file__).parents[2]
LIMIT_S = 90
PACIFIC_MIDNIGHT = "2026-06-15T07:00"


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The outcome of one short day, with a real broker and a real API."""
    folder = tmp_path_factory.mktemp("cadences")
    done = subprocess.run(
        [sys.executable, "-m", "examples.three_cadences", "--quick", "--json", "--svg", str(folder / "svg" / "day.svg")],
        cwd=ROOT, env={**os.environ, "TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=LIMIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert [left.name for left in folder.iterdir()] == ["svg"], "the temporary folder is removed"
    outcome: dict[str, Any] = json.loads(done.stdout)
    outcome["svg"] = (folder / "svg" / "day.svg").read_text()
    return outcome


def claims(told: dict[str, Any], about: str) -> list[str]:
    """What was claimed about a feature, all of it true."""
    found = [claim for claim in told["claims"] if claim["about"] == about]
    assert found, about
    assert all(claim["holds"] for claim in found)
    return [claim["text"] for claim in found]


def test_s3_47_each_cadence_fails_alone_and_the_mart_is_right(told: dict[str, Any]) -> None:
    said = claims(told, "S3-47")
    assert sum("only" in text for text in said) == 2
    assert told["mart"] == told["truth"]
    assert len(told["mart"]) == 10
    assert sum(row["event_count"] for row in told["mart"]) > 100


def test_s3_48_the_mart_joins_what_is_fresh(told: dict[str, Any]) -> None:
    assert "of three fresh tables" in claims(told, "S3-48")[0]


def test_s3_49_the_late_load_is_an_alert_while_it_waits(told: dict[str, Any]) -> None:
    (text,) = claims(told, "S3-49")
    assert text.startswith("alerts: salesforce_to_raw at 01:3")


def test_s3_50_batches_go_on_at_the_same_offset_into_the_same_rows(told: dict[str, Any]) -> None:
    assert any("each once, none left out" in text for text in claims(told, "S3-50"))


def test_s3_51_the_high_water_mark_loses_no_payment(told: dict[str, Any]) -> None:
    (text,) = claims(told, "S3-51")
    assert "payments landed, each once" in text


def test_s3_52_the_clock_makes_the_mart_where_assets_do_not_cover_the_day(told: dict[str, Any]) -> None:
    assert "by the clock, for want of assets" in claims(told, "S3-52")[0]


def test_s3_53_the_sensor_waited_long_and_held_no_slot(told: dict[str, Any]) -> None:
    assert "held a slot for 0 s" in claims(told, "S3-53")[0]


def test_the_svg_shows_the_day_and_fetches_nothing(told: dict[str, Any]) -> None:
    text = told["svg"].replace("&#160;", " ")
    assert "kafka_events_to_raw" in text
    assert "Kafka broker" in text
    assert "url(http" not in text
    assert "@font-face" not in text


# --- the same DAGs in simulated time -----------------------------------------------------------------


async def test_s3_52_assets_that_cover_the_day_make_the_mart_and_the_clock_passes_over_it() -> None:
    script = Script(tasks={"salesforce_to_raw.accounts_export": Rule(arrives="70m")})
    async with simulated(DAGS, start=PACIFIC_MIDNIGHT, script=script) as sim:
        await sim.run_for(timedelta(hours=30))
        made = [
            line for line in sim.journal() if line.dag == "daily_revenue_by_account" and line.subject == "run"
        ]
        (run,) = [line for line in made if not line.was and line.at > "2026-06-16T07:00"]
        assert (run.at[:16], run.run.partition(":")[0]) == ("2026-06-16T09:10", "asset")
        assert "run" in sim.report().dags["daily_revenue_by_account"].skipped[-1].reason
        alerts = [alert.at for alert in sim.report().deadline_alerts]
        assert alerts == ["2026-06-15T08:30:00Z", "2026-06-16T08:30:00Z"]


async def test_s3_52_without_the_crm_the_clock_makes_the_mart_at_five() -> None:
    script = Script(tasks={"salesforce_to_raw.accounts_export": Rule(arrives="never")})
    async with simulated(DAGS, start=PACIFIC_MIDNIGHT, script=script) as sim:
        await sim.run_for(timedelta(hours=30))
        made = [
            (line.at[:16], line.run.partition(":")[0])
            for line in sim.journal()
            if line.dag == "daily_revenue_by_account" and line.subject == "run" and not line.was
        ]
        assert made == [("2026-06-15T12:00", "scheduled"), ("2026-06-16T12:00", "scheduled")]


# --- the parts ---------------------------------------------------------------------------------------


def test_the_truth_counts_each_event_once_and_active_accounts_alone() -> None:
    business = Business(SEED, WHOLE.at(0), WHOLE.at(24))
    rows = business.truth(WHOLE.at(0), WHOLE.at(24))
    active = {account.account_id for account in business.accounts if account.is_active}
    ids: dict[str, set[str]] = defaultdict(set)
    for event in business.events:
        ids[event.account_id].add(event.event_id)
    assert {row.account_id: row.event_count for row in rows} == {name: len(ids[name]) for name in active}
    assert len(business.events) > len({event.event_id for event in business.events}), "some are sent twice"
    paid = sum(p.amount_cents for p in business.payments if p.account_id in active)
    assert sum(row.revenue_cents for row in rows) == paid


def test_the_warehouse_takes_everything_twice_and_counts_it_once(tmp_path: Path) -> None:
    house = Warehouse(tmp_path / "w.duckdb")
    events = tmp_path / "events.jsonl"
    at = WHOLE.at(3)
    events.write_text(
        f'{{"part":0,"pos":0,"event_id":"e1","account_id":"a1","at_us":{at}}}\n'
        f'{{"part":0,"pos":1,"event_id":"e1","account_id":"a1","at_us":{at}}}\n'
        f'{{"part":0,"pos":2,"all_before_us":{at}}}\n'
    )
    payments = tmp_path / "payments.jsonl"
    payments.write_text(f'{{"payment_id":"p1","account_id":"a1","amount_cents":250,"created_us":{at}}}\n')
    export_accounts(Business(SEED, WHOLE.at(0), WHOLE.at(1)), tmp_path, "2026-06-15")
    try:
        for _ in range(2):
            house.load_events(str(events))
            house.load_payments(str(payments))
            house.load_accounts(str(tmp_path / "accounts-2026-06-15.csv"))
            assert house.build_mart("2026-06-15", WHOLE.at(0), WHOLE.at(24)) == 10
        first = next(row for row in house.mart("2026-06-15") if row.account_id == "a1")
        assert (first.event_count, first.revenue_cents) == (1, 250)
        assert house.counts() == (3, 3, 1)
    finally:
        house.close()


async def test_a_fast_clock_passes_a_day_in_a_minute_and_waits_for_a_busy_machine() -> None:
    clock = FastClock(WHOLE.start_us, 14_400)
    passing = asyncio.create_task(clock.run())
    await clock.sleep_until(WHOLE.at(1))
    assert WHOLE.at(1) <= clock.now() < WHOLE.at(2)
    passing.cancel()


async def test_the_day_waits_for_work_that_is_in_hand_without_a_pause_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """On a slow machine a second of work is not half an hour of the day."""
    monkeypatch.setattr(clock_of_the_day, "_PATIENCE_S", 0.6)
    clock = FastClock(WHOLE.start_us, 1440)
    passing = asyncio.create_task(clock.run())
    clock.busy = lambda: True
    await asyncio.sleep(0.15)  # real time: it is what the day is measured against
    begun = clock.now()
    await asyncio.sleep(0.2)
    assert clock.now() == begun, "it stands while the machine is behind"
    clock.busy = lambda: False
    await clock.sleep_until(begun + 60_000_000)
    clock.busy = lambda: True
    await clock.sleep_until(clock.now() + 600 * 1_000_000)  # goes on: what hangs is no slow machine
    passing.cancel()


def test_a_claim_that_does_not_hold_fails_the_day() -> None:
    assert Outcome([], [], [Claim("S3-47", True, "so"), Claim("S3-50", False, "not so")]).well is False


def test_the_day_is_over_in_about_a_minute_and_the_evening_in_nine_seconds() -> None:
    assert WHOLE.real_s < 80
    assert EVENING.real_s < 10
    assert dags.PACIFIC == "America/Los_Angeles"
