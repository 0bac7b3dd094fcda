"""What the specification asks of cron lines and intervals, each by its id."""

from __future__ import annotations

from datetime import timedelta

from bide.runtime.clock import HOUR, MINUTE, SECOND, from_us
from bide.runtime.schedules import Cron, Every, Firing

DEPLOYED = 1_767_225_600 * SECOND + 17 * MINUTE  # 2026-01-01 00:17 UTC


def fires(cron: Cron, first: str, count: int) -> list[str]:
    from bide.runtime.service.addresses import read_date

    at, found = read_date(first), []
    for _ in range(count):
        firing = cron.next_after(at)
        assert firing is not None
        at = firing.fires_us
        found.append(f"{from_us(at):%m-%d %H:%M}")
    return found


def test_s3_3_b22_an_interval_fires_at_deploy_and_then_after_each_span_unaligned_to_the_wall() -> None:
    every = Every(timedelta(hours=6))
    first = every.next_after(DEPLOYED - 1, DEPLOYED)
    assert first == Firing(DEPLOYED, DEPLOYED - 6 * HOUR, DEPLOYED)
    second = every.next_after(DEPLOYED, DEPLOYED)
    assert second == Firing(DEPLOYED + 6 * HOUR, DEPLOYED, DEPLOYED + 6 * HOUR)


def test_c56_half_past_two_in_berlin_fires_once_on_both_days_of_change() -> None:
    cron = Cron("30 2 * * *", "Europe/Berlin")
    assert fires(cron, "2026-03-28", 3) == ["03-28 01:30", "03-29 01:00", "03-30 00:30"]
    assert fires(cron, "2026-10-24", 3) == ["10-24 00:30", "10-25 00:30", "10-26 01:30"]


def test_c54_intervals_between_firings_have_no_gap_no_overlap_and_are_never_empty() -> None:
    for zone in ("Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Antarctica/Troll"):
        for line in ("30 2 * * *", "*/20 * * * *", "0 0 * * *"):
            cron = Cron(line, zone)
            at = DEPLOYED + 80 * 24 * HOUR
            before = cron.next_after(at)
            for _ in range(60):
                assert before is not None
                after = cron.next_after(before.fires_us)
                assert after is not None
                assert after.start_us == before.end_us == before.fires_us < after.fires_us
                before = after


def test_c55_the_four_rules_for_hours_that_are_left_out_or_repeated() -> None:
    line = "30 2 * * *"
    assert fires(Cron(line, "Europe/Berlin", gap="skip"), "2026-03-28", 2) == ["03-28 01:30", "03-30 00:30"]
    assert fires(Cron(line, "Europe/Berlin", repeat="last"), "2026-10-24", 2) == [
        "10-24 00:30",
        "10-25 01:30",
    ]
    assert fires(Cron(line, "Europe/Berlin", repeat="both"), "2026-10-24", 3) == [
        "10-24 00:30",
        "10-25 00:30",
        "10-25 01:30",
    ]
