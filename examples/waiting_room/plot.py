"""The plot of the demo: wait, kill, recover, make the world come true; and the proof of each claim."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple

from bide.runtime.engine.states import OVER, State
from bide.runtime.store.invariants import check
from bide.runtime.store.reader import Reader, TaskShown
from examples.waiting_room.keeper import FOUR, Told
from examples.waiting_room.process import DemoError, Keeper
from examples.waiting_room.report import Kind, Report, spread
from examples.waiting_room.room import PAYMENTS, SHOPS, now_us
from examples.waiting_room.scene import Scene
from examples.waiting_room.world import Api, Broker, drop

DATE = "2026-06-15T06:00:00+00:00"
DATE_US = 1_781_503_200_000_000
MINUTE_US = 60_000_000
WAITS = len(FOUR) + SHOPS
BY_ENGINE = 1 + len(range(2, SHOPS, 3))  # waits for other DAGs: the engine holds them itself
BY_SOURCES = WAITS - BY_ENGINE
STEP_S = 25.0


class Pace(NamedTuple):
    """Seconds that the picture stands still for people, and until the first shop closes."""

    waiting: float = 3.0
    dead: float = 1.2
    again: float = 2.0
    between: float = 0.8
    closing: float = 8.5


QUICK = Pace(waiting=0.4, dead=0.1, again=0.4, between=0.0, closing=4.5)


class Plot:
    """Plays once. `said` is called with each step that is done, `waiting` when the picture is the picture."""

    def __init__(
        self, folder: Path, scene: Scene, pace: Pace, said: Callable[[str], None], waiting: Callable[[], None]
    ) -> None:
        self.folder, self.scene, self.pace = folder, scene, pace
        self.db = folder / "room.db"
        self.drops = folder / "drops"
        self._said, self._waiting = said, waiting
        self._api, self._broker = Api(), Broker(folder / "kafka")
        self._keeper = Keeper(self.db, self._told)
        self._events: dict[str, int] = {}  # sensor -> when what it waits for happened
        self._holding = False
        self._slots_most = self._samples = 0
        self.report = Report(slots=scene.slots)

    async def play(self) -> Report:
        """All of it; `DemoError` for the first thing that is not as it should be."""
        async with AsyncExitStack() as stack:
            await self._set_up(stack)
            with Reader(self.db) as reader:
                self._watching = asyncio.create_task(self._watch(reader), name="watching the database")
                stack.callback(self._watching.cancel)
                await self._wait_at_once(reader)
                await self._kill_and_recover(reader)
                await self._shops()
                await self._four()
                await self._until(lambda: self.scene.states["report"] in OVER, "the report is over")
                self._say(f"the report ran: {WAITS:,} events came in")
                self.scene.doing = ""
                self._measure(reader)
        self.report.check()
        return self.report

    async def _set_up(self, stack: AsyncExitStack) -> None:
        began_us = now_us()
        self.drops.mkdir()
        stack.push_async_callback(self._api.stop)
        stack.push_async_callback(self._broker.stop)
        stack.push_async_callback(self._keeper.stop)
        api, kafka, (_, ready) = await asyncio.gather(
            self._api.start(), self._broker.start(), self._keeper.start()
        )
        await self._broker.create("payments")
        self.report.memory_before = ready.memory
        self.report.setup_s = self.scene.setup_s = (now_us() - began_us) / 1e6
        self.scene.began_us = now_us()
        self._closing_us = self.scene.began_us + int(self.pace.closing * 1e6)
        self._params = {
            "drops": str(self.drops),
            "api": api,
            "kafka": kafka,
            "closing_us": self._closing_us,
        }

    async def _wait_at_once(self, reader: Reader) -> None:
        self.scene.doing = f"starting one run that waits {WAITS:,} times"
        since = now_us()
        runs = [("morning", DATE, self._params)]
        answer = await self._keeper.ask(verb="trigger", runs=runs, armed=BY_SOURCES)
        self.scene.run_id = int(answer.reply[0])
        self.report.run = str(self.scene.run_id)
        self.report.armed_s = (answer.at_us - since) / 1e6
        await self._until(lambda: self.scene.open == WAITS, f"{WAITS:,} waits are open")
        self._holding = True
        self._say(
            f"{WAITS:,} waits are written down and watched, {self.report.armed_s:.2f} s after the trigger"
        )
        self.scene.doing = "waiting: nothing runs, nothing is lost"
        await asyncio.sleep(self.pace.waiting)
        run = str(self.scene.run_id)
        for task in FOUR:
            why = await self._keeper.ask(verb="why", run=run, task=task)
            self.report.why[task] = why.reply
        self._waiting_now("before the kill")
        self.report.memory_waiting = self._last().memory

    def _waiting_now(self, when: str) -> None:
        """Every wait is watched, at this moment."""
        if self._last().armed != BY_SOURCES:
            raise DemoError(f"{self._last().armed:,} of {BY_SOURCES:,} waits are watched by sources {when}")

    async def _kill_and_recover(self, reader: Reader) -> None:
        self._holding = False
        before = {wait.wait_id: wait.deadline_us for wait in reader.waits()}
        pid, since = self._keeper.pid, now_us()
        self.report.kill_status = await self._keeper.kill()
        self.scene.told = None
        self.scene.doing = "no process at all: this picture reads the database"
        self._say(f"kill -9 {pid}: the process is gone, {len(before):,} waits are rows")
        await asyncio.sleep(self.pace.dead)
        after = {wait.wait_id: wait.deadline_us for wait in reader.waits()}
        self.report.waits_kept = sum(after.get(wait) == deadline for wait, deadline in before.items())
        self.scene.doing = "starting it again on the same database"
        self.report.again_s, ready = await self._keeper.start()
        self.report.down_s = (ready.at_us - since) / 1e6
        engine = sum(wait.kind == "external_task" for wait in reader.waits())
        self.report.armed_again = ready.armed + engine
        self.report.epochs = ready.epoch
        self.scene.doing = "waiting on, deadlines as they were"
        if ready.at_us < self._closing_us:
            self._holding = True
            self._say(
                f"started again: {self.report.armed_again:,} of {len(before):,} watched, {self.report.again_s:.2f} s "
                "after its start"
            )
        await asyncio.sleep(self.pace.again)
        self._waiting()
        self._holding = False
        self.report.slots_most, self.report.samples = self._slots_most, self._samples
        self.report.bodies = sum(
            event.subject == "instance" and event.now == "running" and event.at_us < self._closing_us
            for event in reader.events(0, self.scene.run_id, limit=1_000_000)
        )

    async def _shops(self) -> None:
        files = [f"shop_{shop:04}" for shop in range(SHOPS) if shop % 3 == 0]
        hours = [shop for shop in range(SHOPS) if shop % 3 == 1]
        dags = [shop for shop in range(SHOPS) if shop % 3 == 2]
        self.scene.doing = f"{len(files)} shops send their file"
        for name in files:
            self._events[name] = drop(self.drops / f"{name}.csv")
            await asyncio.sleep(0.002)
        self._events |= {f"shop_{shop:04}": self._closing_us + 1000 * shop for shop in hours}
        await self._until(lambda: self.scene.shops_done >= len(files), "the files are seen")
        self._say(f"{len(files)} shops sent their file")
        self.scene.doing = f"{len(hours)} shops close at their hour"
        await self._until(lambda: self.scene.shops_done == len(files) + len(hours), "the hours have struck")
        self._say(f"{len(hours)} shops closed at their hour")
        await asyncio.sleep(self.pace.between)
        self.scene.doing = f"{len(dags)} shops' own DAGs run"
        for shop in dags:
            await self._keeper.ask(verb="trigger", runs=[("till", _iso(DATE_US - shop * MINUTE_US), {})])
        await self._until(lambda: self.scene.shops_done == SHOPS, "the shops' DAGs are over")
        self._say(f"{len(dags)} shops' own DAGs succeeded")
        await asyncio.sleep(self.pace.between)

    async def _four(self) -> None:
        self.scene.doing = "now the four, one by one"
        for task, happen in (
            ("orders", self._drop_orders),
            ("prices", self._publish_prices),
            ("payments", self._pay),
            ("warehouse", self._fill_warehouse),
        ):
            await asyncio.sleep(self.pace.between)
            await happen()
            await self._until(lambda task=task: self.scene.states[task] in OVER, f"{task} is seen")  # type: ignore[misc]

    async def _drop_orders(self) -> None:
        self._events["orders"] = drop(self.drops / "orders.csv")
        self._say("orders.csv is dropped")

    async def _publish_prices(self) -> None:
        self._api.ready = True
        self._events["prices"] = now_us()
        self._say(f"GET /prices answers 200 (it was asked {self._api.asked} times)")

    async def _pay(self) -> None:
        self._events["payments"] = await self._broker.produce("payments", PAYMENTS)
        self._say(f"{PAYMENTS} payments are in Kafka")

    async def _fill_warehouse(self) -> None:
        await self._keeper.ask(verb="trigger", runs=[("warehouse", DATE, {})])
        self._say("the warehouse DAG succeeded")

    # --- watching ---------------------------------------------------------------------------------

    def _told(self, told: Told) -> None:
        """What the process tells: while everything waits, each sample of its slots counts."""
        if self._holding and told.armed == BY_SOURCES:
            self._slots_most = max(self._slots_most, told.slots_most)
            self._samples += told.samples
        self.scene.told = told

    async def _watch(self, reader: Reader) -> None:
        while True:
            self._look(reader)
            await asyncio.sleep(0.1)

    def _look(self, reader: Reader) -> None:
        self.scene.pid = self._keeper.pid
        self.scene.refresh(reader)

    def _last(self) -> Told:
        if self._keeper.last is None:
            raise DemoError("the runtime has told nothing of itself")
        return self._keeper.last

    async def _until(self, happened: Callable[[], bool], what: str) -> None:
        limit_us = now_us() + int(STEP_S * 1e6)
        while self.scene.run_id is None or not self.scene.states or not happened():
            if now_us() > limit_us:
                raise DemoError(f"waited {STEP_S:g} s in vain until {what}: the machine may be too busy")
            if self._watching.done():
                self._watching.result()  # raises why it ended
            if self._keeper.pid is None:
                raise DemoError("the runtime's process ended by itself")
            await asyncio.sleep(0.02)

    def _say(self, text: str) -> None:
        self.scene.story.append(text)
        self._said(text)

    # --- the proof --------------------------------------------------------------------------------

    def _measure(self, reader: Reader) -> None:
        run_id = self.scene.run_id
        if run_id is None:
            raise DemoError("there is no run to measure")
        report = self.report
        report.took_s = (now_us() - self.scene.began_us) / 1e6
        tasks = {task.task: task for task in reader.tasks(run_id, outputs=True)}
        report.run_state = reader.run(run_id).state.value
        report.waits_held = WAITS
        report.succeeded = sum(task.state is State.SUCCESS for task in tasks.values())
        report.tasks = len(tasks)
        report.twice = sum(task.attempts != 1 for task in tasks.values())
        report.doctor = [f"{found.id}: {found.sentence}" for found in reader.read(check)]
        self._events |= self._ends(reader)
        report.kinds = {
            "file": self._kind(tasks, "orders", 0),
            "hour": self._kind(tasks, None, 1),
            "other DAG": self._kind(tasks, "warehouse", 2),
            "HTTP": self._kind(tasks, "prices", None),
            "Kafka": self._kind(tasks, "payments", None),
        }

    def _ends(self, reader: Reader) -> dict[str, int]:
        """Sensor -> when the task of the other DAG that it waits for returned, as that task says."""
        found: dict[str, int] = {}
        for run in [*reader.runs("till", limit=SHOPS), *reader.runs("warehouse", limit=1)]:
            (load,) = reader.tasks(run.run_id, outputs=True)
            shop = (DATE_US - run.logical_us) // MINUTE_US
            found["warehouse" if run.dag == "warehouse" else f"shop_{shop:04}"] = int(load.output or 0)
        return found

    def _kind(self, tasks: dict[str, TaskShown], named: str | None, third: int | None) -> Kind:
        names = [f"shop_{shop:04}" for shop in range(SHOPS) if third is not None and shop % 3 == third]
        names += [named] if named else []
        return spread([int(tasks[f"{name}_seen"].output or 0) - self._events[name] for name in names])


def _iso(at_us: int) -> str:
    from bide.runtime.clock import from_us

    return from_us(at_us).isoformat()
