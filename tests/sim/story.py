"""One story from a seed: random DAGs, a world that comes true by the clock, kills, faults, orders.

`tell(seed, folder)` lives through 24 virtual hours on one database, in as many lives as kills make
of it, and checks the invariants after each of them. The world and the bodies are pure functions of
the seed and the time, so that a story without faults says how the others must end.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from bide import Context, Dag, Every, FailTask, Pool, SkipTask, TriggerRule, dag, task
from bide.runtime.clock import HOUR, MINUTE, SECOND, from_us
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import ClockStepped
from bide.runtime.errors import BideError, RefusedError, StoreFullError, StoreLostError
from bide.runtime.store import invariants
from bide.runtime.store.inline import InlineWriter
from bide.sensors import ExternalTaskSensor, HttpSensor, TimeSensor
from bide.testing import FakeHttp, SimRuntime
from bide.triggers import TimeTrigger
from bide.triggers.http import HttpSeen
from tests.sim.simloop import Killed, LoopClock, SimLoop

T0 = 1_767_225_600 * SECOND
LAST_FIRING = T0 + 12 * HOUR
END = T0 + 24 * HOUR
LONG = timedelta(days=2)
"""Accidents make a run late by hours, and whoever waits for it: the ends must not hang on that."""
RULES = ["all_success", "all_success", "all_done", "none_failed", "one_success", "one_failed", "none_skipped"]


class Web(FakeHttp):
    """`https://world/<minutes>/<logical>`: true so many minutes after the logical date's interval ends."""

    def __init__(self, clock: LoopClock) -> None:
        super().__init__()
        self._clock = clock

    def seen(self, url: str) -> HttpSeen:
        _, minutes, due = url.rsplit("/", 2)
        true = self._clock.now() >= int(due) * SECOND + int(minutes) * MINUTE
        return HttpSeen(status=200 if true else 404, url=url, headers={}, text="yes")


class Ledger:
    """What bodies did to the outside: kept by the outside, whatever is killed."""

    def __init__(self) -> None:
        self.begun: Counter[str] = Counter()
        """Starts by (attempt): never more than one."""
        self.done: Counter[str] = Counter()
        self.unique: Counter[str] = Counter()
        """Starts of tasks that are not idempotent, by instance."""


class Story:
    """Everything that a seed decides."""

    def __init__(
        self, seed: int, folder: Path, *, faults: bool = True, steps: bool = False, orders: bool = False
    ) -> None:
        self.seed = seed
        self.folder = folder
        self.db = folder / "bide.db"
        self.faults = faults
        self.steps = steps
        self.orders = orders
        self.fate = Random(seed * 2 + 1)  # kills and faults: never drawn from for the graphs
        self.ledger = Ledger()
        self.now = T0
        self.lives = 0
        self.kills = 0
        self.ends: dict[tuple[str, int, str], str] = {}
        self.dags = self._graphs(Random(seed))

    # --- what is declared -----------------------------------------------------------------------

    def _graphs(self, random: Random) -> list[Dag]:
        names = [f"d{n}" for n in range(random.randint(1, 3))]
        return [self._graph(random, name, names[:n]) for n, name in enumerate(names)]

    def _graph(self, random: Random, name: str, others: list[str]) -> Dag:
        hours = random.choice([2, 3, 4, 6])
        if others:
            hours = 2

        @dag(
            name=name, schedule=Every(timedelta(hours=hours), anchor=from_us(T0)), start=from_us(T0),
            end=from_us(LAST_FIRING), catchup="all", max_active_runs=random.choice([1, 2, 8]),
        )  # fmt: skip
        def body() -> None:
            made: list[Any] = []
            for n in range(random.randint(1, 6)):
                ups = random.sample(made, min(len(made), random.choice([0, 1, 1, 2])))
                rule = random.choice(RULES) if ups else "all_success"
                node = self._node(random, f"t{n}", rule, others)
                for up in ups:
                    up >> node
                made.append(node)

        return body

    def _node(self, random: Random, name: str, rule: str, others: list[str]) -> Any:
        common: dict[str, Any] = {
            "trigger_rule": TriggerRule(rule),
            "pool": random.choice([None, None, "db", "api"]),
        }
        minutes = random.choice([1, 7, 30, 90])
        match random.choice(["plain", "plain", "waits", "gathers", "once", "http", "time", "other"]):
            case "http":
                return HttpSensor(
                    name, url=_url(minutes), poll_interval=timedelta(minutes=random.choice([5, 10])),
                    timeout=timedelta(hours=20), mode=random.choice(["deferred", "reschedule", "poke"]), **common,
                )  # fmt: skip
            case "time":
                return TimeSensor(
                    name, delta=timedelta(minutes=minutes), timeout=timedelta(hours=20), **common
                )
            case "other" if others:
                return ExternalTaskSensor(
                    name, dag=random.choice(others), at=_same_date, timeout=LONG, on_timeout="skip", **common,
                )  # fmt: skip
            case "waits" | "gathers" | "once" as kind:
                return self._body(random, name, kind, minutes, common)
            case _:
                return self._body(random, name, "plain", minutes, common)

    def _body(self, random: Random, name: str, kind: str, minutes: int, common: dict[str, Any]) -> Any:
        ends = random.choice(["ok", "ok", "ok", "ok", "fails", "skips", "second try"])
        idempotent = ends != "second try" and random.random() < 0.8
        ledger = self.ledger

        @task(
            name=name, retries=1 if ends == "second try" else 0, retry_delay=timedelta(minutes=5), max_lost=1000,
            idempotent=idempotent, **common,
        )  # fmt: skip
        async def run(ctx: Context) -> str:
            ledger.begun[ctx.attempt_key] += 1
            if not idempotent:
                ledger.unique[f"{ctx.idempotency_key}"] += 1
            if kind == "once":
                await ctx.once("step", lambda: 1)
            if kind == "waits":
                await ctx.wait(
                    TimeTrigger(at_us=int(ctx.scheduled_for.timestamp()) * SECOND + minutes * MINUTE)
                )
            if kind == "gathers":
                due = int(ctx.scheduled_for.timestamp()) * SECOND
                both = (
                    TimeTrigger(at_us=due + minutes * MINUTE),
                    TimeTrigger(at_us=due + 2 * minutes * MINUTE),
                )
                await asyncio.gather(*(ctx.wait(each, name=f"w{n}") for n, each in enumerate(both)))
            await asyncio.sleep(minutes * 10)
            match ends:
                case "fails":
                    raise FailTask("it always does")
                case "skips":
                    raise SkipTask("it always does")
                case "second try" if ctx._attempt.order.number % 2:
                    raise OSError("the first try")
                case _:
                    ledger.done[ctx.idempotency_key] += 1
                    return "done"

        return run()

    # --- lives ------------------------------------------------------------------------------------

    def tell(self) -> dict[tuple[str, int, str], str]:
        """Live through it. (dag, logical date in hours, task) -> how it ended."""
        while self.now < END:
            self._live(END)
        for _ in range(200):  # people clear up what was lost; nothing is killed any more
            self.faults = False
            if not self._open():
                break
            self._live(self.now + 24 * HOUR)
        left = self._open()
        assert not left, f"these runs do not end: {left}"
        twice = [key for key, count in self.ledger.begun.items() if count > 1]
        assert not twice, f"bodies of these attempts began twice: {twice}"
        return self._ends()

    def _live(self, until: int) -> None:
        self.lives += 1
        loop = SimLoop()
        clock = LoopClock(self.now)
        store: list[InlineWriter] = []

        def open_store(db: Path) -> InlineWriter:
            made = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
            if self.faults:
                made.before, made.after = self._fault("before"), self._fault("after")
            store.append(made)
            return made

        rt = SimRuntime(
            self.db, self.dags, clock=clock, fakes={"http": Web(clock)}, slots=3, pools={"db": 1, "api": Pool(2, 3)},
            open_store=open_store,
        )  # fmt: skip
        asyncio.set_event_loop(loop)
        rounds = self.fate.choice([3, 30, 100, 300, 1000, 3000, None]) if self.faults else None
        try:
            loop.live(self._life(rt, until), rounds)
        except (Killed, StoreLostError):
            self.kills += 1
        finally:
            self.now = min(self.now + 0, until) if rounds == 0 else self._wall(loop, clock)
            for each in store:
                each._closed = True
                each._raw.close()
            lock = getattr(rt, "_lock", None)
            if lock is not None:
                lock.release()
            loop.bury()
            asyncio.set_event_loop(None)
        self.check()

    def _wall(self, loop: SimLoop, clock: LoopClock) -> int:
        return clock._base + round(loop.time() * SECOND) + (SECOND if self.faults else 0)

    async def _life(self, rt: SimRuntime, until: int) -> None:
        await rt.__aenter__()
        clock = rt.clock
        try:
            await self._clear_up(rt)
            while clock.now() < until:
                pause = self.fate.choice([20, 45, 120]) * MINUTE if self.faults else HOUR
                await clock.sleep_until(min(clock.now() + pause, until))
                rt._raise_failure()
                await self._clear_up(rt)
                if self.orders and self.faults:
                    await self._order(rt)
                if self.steps and isinstance(clock, LoopClock):
                    step = self.fate.choice([-1, 1, 2]) * self.fate.choice([10, 1800, 3600]) * SECOND
                    clock.step_by(step, lambda by: rt._shell.clock_stepped(ClockStepped(by)))
        except BideError:
            rt._raise_failure()
            raise
        await rt.settled()

    async def _clear_up(self, rt: SimRuntime) -> None:
        """A person reruns what was lost; at the end of the story nothing is left paused."""
        if not self.faults:
            for each in self.dags:
                await rt.command("unpause", {"dag": each.name})
        lost = await rt.store.read(
            lambda conn: conn.execute(
                "SELECT run_id, task FROM task_instance WHERE state = 'lost'"
            ).fetchall()
        )
        for run, task_name in lost:
            with contextlib.suppress(RefusedError):  # what follows it still goes on: another time
                await rt.command("rerun", {"run_id": run, "task": task_name})

    async def _order(self, rt: SimRuntime) -> None:
        """A person does something, or asks for what is refused."""
        found = await rt.store.read(
            lambda conn: conn.execute(
                "SELECT run_id, task FROM task_instance ORDER BY instance_id"
            ).fetchall()
        )
        if not found:
            return
        run, task_name = self.fate.choice(found[-40:])
        name = self.fate.choice(self.dags).name
        verb, args = self.fate.choice(
            [
                ("cancel", {"run_id": run}),
                ("rerun", {"run_id": run}),
                ("rerun", {"run_id": run, "task": task_name, "downstream": True}),
                ("mark", {"run_id": run, "task": task_name, "state": self.fate.choice(["success", "failed", "skipped"])}),
                ("pause", {"dag": name}),
                ("unpause", {"dag": name}),
                ("unpause", {"dag": name}),
                ("trigger", {"dag": name, "new": True}),
            ]
        )  # fmt: skip
        with contextlib.suppress(RefusedError):
            await rt.command(verb, args)

    def _fault(self, when: str) -> Any:
        def fault(_changes: Changes, _batch: int) -> None:
            chance = self.fate.random()
            if chance < 0.002:
                raise StoreLostError(f"injected {when} a commit")
            if when == "before" and chance < 0.01:
                raise StoreFullError("injected: no room")

        return fault

    # --- what must hold -----------------------------------------------------------------------------

    def check(self) -> None:
        if not self.db.exists():
            return
        conn = sqlite3.connect(self.db)
        try:
            if conn.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone() == (1,):
                assert invariants.check(conn) == []
        finally:
            conn.close()

    def _ask(self, sql: str) -> list[Any]:
        conn = sqlite3.connect(self.db)
        try:
            return conn.execute(sql).fetchall()
        finally:
            conn.close()

    def _open(self) -> list[Any]:
        return self._ask(
            "SELECT name, run_id, r.state, task, i.state, i.reason FROM run r JOIN dag USING (dag_id)"
            " JOIN task_instance i USING (run_id) WHERE ended_us IS NULL AND i.state NOT IN"
            " ('success', 'failed', 'skipped', 'upstream_failed', 'cancelled')"
        )

    def _ends(self) -> dict[tuple[str, int, str], str]:
        return {
            (name, (logical - T0) // HOUR, task_name): state
            for name, logical, task_name, state in self._ask(
                "SELECT name, logical_us, task, i.state FROM task_instance i JOIN run USING (run_id)"
                " JOIN dag USING (dag_id) ORDER BY 1, 2, 3"
            )
        }


def _url(minutes: int) -> Any:
    return lambda ctx: f"https://world/{minutes}/{int(ctx.interval.end.timestamp())}"


def _same_date(ctx: Any) -> datetime:
    return ctx.logical_date  # type: ignore[no-any-return]
