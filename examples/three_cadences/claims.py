"""What the day must have come to. Each claim is checked against an account that bide had no part in."""

from __future__ import annotations

import msgspec

from bide.runtime.store.journal import JournalLine, read_journal
from examples.three_cadences.business import MartRow
from examples.three_cadences.stage import Stage, local
from examples.three_cadences.warehouse import Warehouse


class Claim(msgspec.Struct, frozen=True):
    """`about` is the id of what it shows, in the list of features."""

    about: str
    holds: bool
    text: str


class Outcome(msgspec.Struct, frozen=True):
    """The mart, what it must be, and the claims."""

    mart: list[MartRow]
    truth: list[MartRow]
    claims: list[Claim]

    @property
    def well(self) -> bool:
        return all(claim.holds for claim in self.claims)


def outcome(stage: Stage, house: Warehouse) -> Outcome:
    """Look at what is left when the day is over."""
    plot = stage.plot
    journal = list(read_journal(stage.db))
    day = (plot.at(0), plot.at(24))
    truth = stage.business.truth(*day)
    mart = house.mart(plot.day)
    records, reach, pulled = house.counts()
    paid = len(stage.business.payments_between(plot.start_us, house.fresh()["raw.payments"]))
    claims = [
        Claim(
            "S3-47",
            mart == truth and bool(mart),
            f"the mart's {len(mart)} rows are those of an independent count",
        ),
        Claim(
            "S3-50",
            records == reach <= stage.app.sent and records > 0,
            f"{records:,} Kafka records landed, each once, none left out",
        ),
        Claim("S3-51", paid == pulled, f"{pulled:,} of {paid:,} payments landed, each once"),
        *_isolation(stage, journal),
        _dies(journal),
        _alert(stage, journal),
        *_mart_run(stage, journal),
        _sensor(stage),
    ]
    return Outcome(mart, truth, claims)


def _isolation(stage: Stage, journal: list[JournalLine]) -> list[Claim]:
    """While one source is down its own DAG fails, and no other."""
    troubled = {
        "payments API": "stripe_payments_to_raw",
        "Kafka broker": "kafka_events_to_raw",
    }
    found = []
    for outage in stage.scene.outages:
        mine = troubled[outage.what]
        until = outage.until_us if outage.until_us is not None else stage.scene.now_us
        failed = {
            line.dag
            for line in journal
            if line.subject == "attempt" and line.now == "failed" and "injected" not in line.reason
            and outage.since_us <= _us(line) < until
        }  # fmt: skip
        span = f"{local(outage.since_us):%H:%M} to {local(until):%H:%M}"
        found.append(Claim("S3-47", failed == {mine}, f"{outage.what} down {span}: only {mine} had failures"))
    others = {line.dag for line in journal if line.subject == "run" and line.now == "failed"}
    found.append(
        Claim(
            "S3-47",
            others == {"stripe_payments_to_raw"},
            "no run failed but pulls of payments, which were rerun",
        )
    )
    return found


def _dies(journal: list[JournalLine]) -> Claim:
    died = [line for line in journal if line.subject == "attempt" and "injected" in line.reason]
    return Claim(
        "S3-50", len(died) == 1, "one batch died between landing and keeping its offsets, and was read again"
    )


def _alert(stage: Stage, journal: list[JournalLine]) -> Claim:
    alerts = [line for line in journal if line.subject == "alert" and " is late: " in line.reason]
    said = [f"{line.dag} at {_local(line)}" for line in alerts]
    right = len(alerts) == 1 and alerts[0].dag == "salesforce_to_raw" and _local(alerts[0]) < "02:00"
    return Claim("S3-49", right, f"alerts: {', '.join(said) or 'none'}; the CRM's promise was 01:30")


def _mart_run(stage: Stage, journal: list[JournalLine]) -> list[Claim]:
    """Made by the assets where they cover the day, else by the clock at 05:00; once, and before 05:45."""
    night = stage.plot.at(24.5)
    mart = [line for line in journal if line.dag == "daily_revenue_by_account" and _us(line) >= night]
    made = [line for line in mart if line.subject == "run" and not line.was]
    ended = [line for line in mart if line.subject == "run" and line.now == "success"]
    if len(made) != 1 or len(ended) != 1:
        return [Claim("S3-52", False, f"the mart was made {len(made)} times and finished {len(ended)} times")]
    passed_over = any(line.now == "skipped" and "05:00" <= _local(line) < "05:30" for line in mart)
    by_assets = made[0].run.startswith("asset")
    who = (
        "its three assets; the clock passed over it at 05:00"
        if by_assets
        else "the clock, for want of assets"
    )
    return [
        Claim(
            "S3-52",
            by_assets == stage.plot.whole_day == passed_over,
            f"the mart was made at {_local(made[0])} by {who}",
        ),
        Claim(
            "S3-48",
            _local(ended[0]) < "05:45",
            f"it was done at {_local(ended[0])}, of three fresh tables, before 05:45",
        ),
    ]


def _sensor(stage: Stage) -> Claim:
    """What the nightly wait has cost."""
    text = f"the CRM's sensor waited {stage.waited_min:.0f} minutes and held a slot for {stage.slot_seconds:g} s of them"
    return Claim("S3-53", stage.waited_min > 60 and stage.slot_seconds == 0, text)


def _us(line: JournalLine) -> int:
    from examples.three_cadences.stage import _us as read

    return read(line.at)


def _local(line: JournalLine) -> str:
    return f"{local(_us(line)):%H:%M}"
