"""The day as it is lived: the world, the runtime on a fast clock, the breakdowns, and what is told of it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextlib import AsyncExitStack
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from bide import Pool, Runtime
from bide.runtime.clock import from_us
from bide.runtime.service.shapes import RunLine
from bide.testing.simulation.tally import Span
from examples.three_cadences import dags, sources
from examples.three_cadences.business import Business
from examples.three_cadences.clock import FastClock
from examples.three_cadences.plot import Plot
from examples.three_cadences.warehouse import warehouse
from examples.three_cadences.world import MobileApp, PaymentsApi, export_accounts
from examples.waiting_room.world import Broker

SEED = 7
SLOTS = 8
EVERY_RUN = 2_000
DAGS = (
    dags.kafka_events_to_raw,
    dags.stripe_payments_to_raw,
    dags.salesforce_to_raw,
    dags.daily_revenue_by_account,
)
_LOOK_S = 0.25
_FLUSH_S = 0.3


class Outage(msgspec.Struct):
    """A source is down: from here to there, None while it lasts."""

    what: str
    since_us: int
    until_us: int | None = None


class Scene(msgspec.Struct):
    """What the picture shows."""

    plot: Plot
    now_us: int
    spans: list[Span] = []
    failed: list[Span] = []
    """Runs that failed, as they were before somebody reran them."""
    outages: list[Outage] = []
    story: list[str] = []
    slots: int = 0
    waits: int = 0
    alerts: int = 0

    def say(self, text: str) -> None:
        self.story.append(f"{local(self.now_us):%H:%M}  {text}")


def local(us: int) -> datetime:
    return from_us(us).astimezone(ZoneInfo(dags.PACIFIC))


class Stage:
    """Everything that stands while the day lasts. `told` is called with each line of the story."""

    def __init__(self, folder: Path, plot: Plot, told: Callable[[str], None]) -> None:
        self.folder = folder
        self.plot = plot
        self._told = told
        self.scene = Scene(plot, plot.start_us, spans=[], failed=[], outages=[], story=[])
        self.business = Business(SEED, plot.start_us, plot.at(plot.ends))
        self.broker = Broker(folder / "broker")
        self.db = folder / "bide.db"
        self.reruns: list[str] = []
        self.waited_min = self.slot_seconds = 0.0
        """Of the CRM's sensor in the night: how long it waited, and how long it held a slot for that."""

    async def live(self) -> None:
        """The whole day; afterwards all of the world is gone, and the database and warehouse are left."""
        plot = self.plot
        async with AsyncExitStack() as stack:
            address = await self.broker.start()
            stack.push_async_callback(self.broker.stop)
            await self.broker.create(sources.TOPIC)
            self.clock = clock = FastClock(plot.start_us, plot.speed)
            passing = asyncio.create_task(clock.run(), name="time")
            stack.callback(passing.cancel)
            self.api = PaymentsApi(self.business, clock)
            os.environ.update(
                CADENCES_KAFKA=address, CADENCES_API=await self.api.start(), CADENCES_FOLDER=str(self.folder)
            )
            stack.push_async_callback(self.api.stop)
            self.app = MobileApp(self.business, clock, address)
            self.app.start()
            stack.push_async_callback(self.app.stop)
            stack.push_async_callback(sources.close)
            self.rt = await stack.enter_async_context(
                Runtime(
                    self.db,
                    DAGS,
                    slots=SLOTS,
                    pools={"warehouse": Pool(slots=1)},
                    clock=clock,
                    synchronous="NORMAL",
                )
            )
            clock.busy = lambda: self.rt.slots_in_use > 0
            watching = asyncio.create_task(self._watch(), name="the picture")
            try:
                await self._day()
            finally:
                watching.cancel()
            await self._look()
        warehouse().close()

    # --- what happens ------------------------------------------------------------------------------

    async def _day(self) -> None:
        plot = self.plot
        sources.die_once(f"{local(plot.at(plot.batch_dies)):%Y-%m-%dT%H:%M}")
        happenings: list[tuple[float, Callable[[], Coroutine[Any, Any, None]]]] = [
            (plot.api_down[0], self._api_down),
            (plot.api_down[1], self._api_up),
            (plot.broker_down[0], self._broker_down),
            (plot.broker_down[1], self._broker_up),
            (plot.batch_dies, self._batch_dies),
            (plot.reruns, self._rerun_failed),
            (plot.crm_comes, self._crm_late),
            (plot.ends, self._over),
        ]
        if plot.begins < 1:
            happenings.append((1.2, self._crm_in_time))
        self._say("the day begins")
        for hour, happens in sorted(happenings, key=lambda each: each[0]):
            await self.clock.sleep_until(plot.at(hour))
            await happens()

    async def _api_down(self) -> None:
        self.api.down = True
        self._breaks("payments API", "the payments API answers 503")

    async def _api_up(self) -> None:
        self.api.down = False
        self._mends("payments API", "the payments API is back: the next pull reaches back to its mark")

    async def _broker_down(self) -> None:
        self._breaks("Kafka broker", "the Kafka broker is stopped")
        async with self.app.gate:  # this small broker may forget what it took in its last milliseconds
            await asyncio.sleep(_FLUSH_S)
            await self.broker.stop()

    async def _broker_up(self) -> None:
        await self.broker.start()
        self._mends("Kafka broker", "the Kafka broker is back: batches go on from the same offsets")

    async def _batch_dies(self) -> None:
        self._say("a batch dies after it has landed: it is read again, into the same rows")

    async def _rerun_failed(self) -> None:
        """A person reruns what failed for good: its data has come already, its versions have not."""
        for run in await self.rt.operations.runs("stripe_payments_to_raw", "failed", EVERY_RUN):
            self.scene.failed.append(_span(run))
            await self.rt.operations.rerun(run.run_id)
            self.reruns.append(run.run_id)
        self._say(f"somebody reruns {len(self.reruns)} pulls that had failed")

    async def _crm_in_time(self) -> None:
        self._export(-1)
        self._say("the CRM drops its export of the day before, in time")

    async def _crm_late(self) -> None:
        self._export(0)
        self._say("the CRM drops its export, an hour late")

    def _export(self, days: int) -> None:
        day = date.fromisoformat(self.plot.day) + timedelta(days=days)
        export_accounts(self.business, self.folder / "drops", day.isoformat())

    async def _over(self) -> None:
        await self.rt.drain(2.0)
        run = (await self.rt.operations.runs("salesforce_to_raw", limit=1))[0]
        sensor = (await self.rt.operations.show(run.run_id)).tasks[0]
        self.waited_min = (self.plot.at(self.plot.crm_comes) - _us(run.created_at)) / 60e6
        self.slot_seconds = sensor.slot_seconds
        self._say("the day is over")

    def _breaks(self, what: str, text: str) -> None:
        self.scene.outages.append(Outage(what, self.clock.now()))
        self._say(text)

    def _mends(self, what: str, text: str) -> None:
        for outage in self.scene.outages:
            if outage.what == what:
                outage.until_us = self.clock.now()
        self._say(text)

    def alerted(self, text: str) -> None:
        """What the runtime logs of alerts is part of the story."""
        self._say(f"ALERT: {text.partition(' is late: ')[0]} is late")

    def _say(self, text: str) -> None:
        self.scene.now_us = self.clock.now()
        self.scene.say(text)
        self._told(self.scene.story[-1])

    # --- what is seen ------------------------------------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await self._look()
            await asyncio.sleep(_LOOK_S)

    async def _look(self) -> None:
        scene, ask = self.scene, self.rt.operations
        runs = await ask.runs(limit=EVERY_RUN)
        scene.spans = [*scene.failed, *(_span(run) for run in reversed(runs))]
        scene.now_us = self.clock.now()
        scene.slots = self.rt.slots_in_use
        scene.waits = len(await self.rt.waits())
        scene.alerts = sum(each.kind in ("run", "task", "asset") for each in await ask.alerts())  # late ones


def _span(run: RunLine) -> Span:
    return Span(
        run.dag, _us(run.created_at), _us_or_none(run.started_at), _us_or_none(run.ended_at), run.state
    )


def _us(text: str) -> int:
    return dags.micros(datetime.fromisoformat(text))


def _us_or_none(text: str | None) -> int | None:
    return None if text is None else _us(text)
