"""The DAGs that the tests of the simulation live through: three cadences and a mart, without bodies.

Run as a module it simulates two days of them and prints the journal:

    python -m tests.simulation.cadences SEED
"""

from __future__ import annotations

import asyncio
import sys
from datetime import timedelta
from typing import Any

from bide import AnyOf, Asset, Context, Cron, Dag, Every, OnAssets, TriggerRule, branch, by, dag, task
from bide.sensors import ExternalTaskSensor, FileSensor, HttpSensor, KafkaOffsetSensor, TimeSensor
from bide.testing import Down, Order, Rule, Script, Spread, When, simulated

batches, pulls = Asset("raw.events"), Asset("raw.payments")


@task(retries=2, retry_delay=timedelta(minutes=1), jitter=0.5)
def load(ctx: Context) -> None:
    raise AssertionError("a simulation runs no body")


@task(trigger_rule=TriggerRule.ALL_DONE)
def report() -> None:
    raise AssertionError("a simulation runs no body")


@dag(schedule=Every(timedelta(minutes=5)), catchup="all")
def events() -> None:
    batch = KafkaOffsetSensor("batch", bootstrap="kafka:9092", topic="events", offset=1)
    batch >> load() >> report.options(outlets=[batches])()


@dag(schedule=Cron("*/15 * * * *"), catchup="latest", overlap="skip")
def payments() -> None:
    ready = HttpSensor("ready", url="https://pay.example/{interval.start}", mode="reschedule")
    ready >> load() >> report.options(outlets=[pulls])()


@dag(schedule=Cron("0 1 * * *", tz="Europe/Berlin", interval="day"), start="2020-01-01", catchup="all")
def accounts() -> None:
    FileSensor("drop", path="/in/{logical_date:%Y-%m-%d}.csv", timeout=timedelta(hours=3)) >> load()


def same_day(ctx: Any) -> Any:
    return ctx.logical_date


@dag(schedule=Cron("0 5 * * *", tz="Europe/Berlin", interval="day"), catchup="all")
def mart() -> None:
    crm = ExternalTaskSensor(
        "crm", dag="accounts", task="load", at=same_day, timeout=timedelta(hours=1), on_timeout="skip"
    )
    late = TimeSensor("six", delta=timedelta(hours=1))
    [crm, late] >> report()


@branch
def weigh() -> str:
    raise AssertionError("a simulation runs no body")


@task
def slices() -> list[str]:
    raise AssertionError("a simulation runs no body")


@task(retries=1)
def crunch(part: str) -> None:
    raise AssertionError("a simulation runs no body")


@dag(
    schedule=AnyOf(
        OnAssets(batches & pulls, consume="latest", interval="hour"), Cron("50 * * * *", interval="hour")
    ),
    catchup="all",
    deadline_alert=by("00:55"),
)
def hourly() -> None:
    """Of assets, with a branch and a fan."""
    light, heavy = report.options(name="light")(), report.options(name="heavy")()
    weigh() >> [light, heavy]
    crunch.map(part=slices())


DAGS: list[Dag] = [events, payments, accounts, mart, hourly]

BUSY = Script(
    tasks={
        "events.load": Rule(
            duration=Spread(normal=("90s", "60s")), fail=When(every=7, times=2), error="the warehouse is away"
        ),
        "events.batch": Rule(arrives=Spread(exponential="1m"), output={"offset": 1}),
        "payments.ready": Rule(arrives=Spread(uniform=("0s", "25m"))),
        "accounts.drop": Rule(arrives="01:20", on={"2026-03-02": Rule(arrives="never")}),
        "hourly.weigh": Rule(output="heavy", on={"2026-03-02T05:00": Rule(output="light")}),
        "hourly.slices": Rule(output=["a", "b", "c"]),
        "hourly.crunch": Rule(duration=Spread(choice=["1m", "7m"]), fail=When(chance=0.2, times=1)),
        "*.load": Rule(duration="30s", skip=When(chance=0.1)),
        "*": Rule(duration=2.5),
    },
    orders=[
        Order(at="2026-03-03T10:00", do="pause", dag="payments"),
        Order(at="2026-03-03T12:00", do="unpause", dag="payments"),
        Order(at="2026-03-03T13:00", do="trigger", dag="mart", date="2026-02-20"),
    ],
    down=[Down(since="2026-03-03T18:00", until="2026-03-03T19:07")],
)


async def two_days(seed: int) -> bytes:
    async with simulated(DAGS, start="2026-03-02", script=BUSY, seed=seed, slots=4) as sim:
        await sim.run_for(timedelta(days=2))
        return sim.journal_bytes()


if __name__ == "__main__":
    sys.stdout.buffer.write(asyncio.run(two_days(int(sys.argv[1]))))
