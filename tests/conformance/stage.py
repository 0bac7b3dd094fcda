"""A case on a stage: its world made true step by step, its sensor in one mode on a real runtime.

Time is simulated; files, HTTP, Kafka and object store are the real ones. Slots are checked whenever
time has stood still: a deferred wait holds none, poke holds its one, reschedule none between looks.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

import bide.sensors
from bide import Dag, Every, dag
from bide.runtime.clock import SystemClock
from bide.runtime.service.handles import RunHandle
from bide.runtime.store.invariants import check
from bide.runtime.store.reader import AttemptShown, Reader
from bide.sensors import TimeSensor
from bide.testing import SimClock, SimRuntime
from tests.conformance.cases import Case, Step
from tests.servers.http_server import HttpServer, reply
from tests.servers.kafka_broker import NoidaBroker
from tests.servers.object_server import ObjectServer

MODES: Final = ("deferred", "reschedule", "poke")
POLL: Final = timedelta(seconds=10)
DATE: Final = "2026-06-15T00:00:00+00:00"
TIMELESS: Final = frozenset({"at", "mtime", "modified_us"})


class Ended(NamedTuple):
    """How a sensor ended, without what differs from world to world."""

    state: str
    output: Any
    reason: str
    attempts: tuple[str, ...]


class Outside:
    """The world of one case in one mode; `fill` puts its places into parameters."""

    def __init__(
        self, name: str, folder: Path, web: HttpServer | None, broker: NoidaBroker | None,
        bucket: ObjectServer | None,
    ) -> None:  # fmt: skip
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.web, self.broker, self.bucket = web, broker, bucket
        self.answer: Any = None
        self.rt: SimRuntime
        self.others: dict[str, RunHandle] = {}
        self.places = {
            "{folder}": str(self.folder),
            "{server}": web.url(f"/{name}") if web is not None else "",
            "{broker}": broker.address if broker is not None else "",
            "{bucket}": f"s3://drops/{name}",
        }

    def predicate(self) -> Any:
        if self.answer == "raise":
            raise ValueError("the predicate does not work today")
        return self.answer

    def fill(self, value: Any) -> Any:
        if isinstance(value, str):
            for place, real in self.places.items():
                value = value.replace(place, real)
        return value

    def blur(self, value: Any) -> Any:
        """What came out, with the names of places in the stead of the places, and without times."""
        text = msgspec.json.encode(value).decode()
        for place, real in self.places.items():
            text = text.replace(real, place) if real else text
        return _timeless(msgspec.json.decode(text.replace(self.name, "{name}")))

    async def make(self, steps: tuple[Step, ...]) -> None:
        for verb, *args in steps:
            await getattr(self, f"_{verb}")(*args)

    # --- the verbs --------------------------------------------------------------------------------

    async def _write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(text)

    async def _touch(self, path: str) -> None:
        (self.folder / path).touch()

    async def _mkdir(self, path: str) -> None:
        (self.folder / path).mkdir(parents=True)

    async def _remove(self, path: str) -> None:
        (self.folder / path).unlink()

    async def _rename(self, old: str, new: str) -> None:
        (self.folder / old).rename(self.folder / new)

    async def _age(self, path: str, seconds: float) -> None:
        then = SystemClock().now() / 1e6 - seconds
        os.utime(self.folder / path, (then, then))

    async def _serve(self, path: str, status: int, body: str) -> None:
        assert self.web is not None
        self.web.on(f"/{self.name}{path}", reply(status, body))

    async def _produce(self, topic: str, partition: int, records: int) -> None:
        assert self.broker is not None
        await self.broker.produce(f"{topic}-{self.name}", {partition: records})

    async def _commit(self, group: str, topic: str, partition: int, offset: int) -> None:
        assert self.broker is not None
        await self.broker.commit(group, f"{topic}-{self.name}", {partition: offset})

    async def _put(self, key: str, text: str) -> None:
        assert self.bucket is not None
        self.bucket.put(f"{self.name}/{key}", text.encode())

    async def _answer(self, value: Any) -> None:
        self.answer = value

    async def _pass(self, seconds: float) -> None:
        await self.rt.clock.advance(seconds)

    async def _publish(self, date: str) -> None:
        run = await self.rt.trigger(maker, logical_date=date)
        await self.rt.command("mark", {"run_id": int(run.run_id), "task": "make", "state": "success"})

    async def _end(self, other: str, task: str | None, state: str) -> None:
        """The other DAG's tasks wait for what never comes, and are ended by hand."""
        if other not in self.others:
            self.others[other] = await self.rt.trigger(other, logical_date=DATE)
        run_id = int(self.others[other].run_id)
        for each in ("load", "tail") if task is None else (task,):
            await self.rt.command("mark", {"run_id": run_id, "task": each, "state": state})


@dag(name="other")
def other() -> None:
    """What the external cases wait for: it goes on until its tasks are marked."""
    TimeSensor("load", at="2121-01-01T00:00", timeout=timedelta(days=50_000), outlets=["load"])
    TimeSensor("tail", at="2121-01-01T00:00", timeout=timedelta(days=50_000))


@dag(name="maker", schedule=Every(days=1, anchor=datetime(2026, 6, 1, tzinfo=UTC)), start="2120-01-01")
def maker() -> None:
    """Makes the asset `orders` of a day, when it is marked."""
    TimeSensor("make", at="2121-01-01T00:00", timeout=timedelta(days=50_000), outlets=["orders"])


def declare(case: Case, mode: str, outside: Outside, **more: Any) -> Dag:
    """A DAG of the case's sensor alone."""
    given: dict[str, Any] = {"poll_interval": POLL, **case.params, **more}
    params = {key: outside.fill(value) for key, value in given.items()}
    if case.sensor == "PythonSensor":
        params["fn"] = outside.predicate
    if case.sensor == "KafkaOffsetSensor":
        params["topic"] = f"{params['topic']}-{outside.name}"
    if case.sensor == "ObjectSensor":
        assert outside.bucket is not None
        params["store"] = outside.bucket.options
    if case.sensor == "ExternalTaskSensor":
        assert other.spec is not None

    @dag(name="d")
    def body() -> None:
        getattr(bide.sensors, case.sensor)("w", mode=mode, **params)

    return body


class Play:
    """One run of the case's DAG on its runtime."""

    def __init__(self, rt: SimRuntime, mode: str, run: RunHandle) -> None:
        self.rt, self.mode, self.run = rt, mode, run
        self.dags: list[Dag] = []

    @property
    def clock(self) -> SimClock:
        return self.rt.clock

    async def state(self) -> str:
        """The sensor's state, once everything that follows from now has been done."""
        await self.rt.clock.settle()
        [line] = (await self.run.show()).tasks
        return line.state

    async def advance(self, seconds: float) -> None:
        await self.rt.clock.advance(seconds)

    async def waits(self) -> None:
        """Assert that it waits now, and holds what its mode says."""
        state = await self.state()
        assert state == ("running" if self.mode == "poke" else "deferred"), f"{self.mode}: {state}"
        assert self.rt.slots_in_use == (1 if self.mode == "poke" else 0), self.mode

    async def attempts(self) -> list[AttemptShown]:
        with Reader(self.rt.db) as reader:
            return reader.attempts(int(self.run.run_id))

    async def wait_id(self) -> int:
        """The one open wait."""
        [line] = [line for line in await self.rt.waits() if line.run_id == self.run.run_id]
        return int(line.id)

    async def deadline(self) -> str:
        [line] = [line for line in await self.rt.waits() if line.run_id == self.run.run_id]
        return str(line.deadline)

    async def over(self, most: int = 6) -> str:
        """Its state, once it is over or has had so many chances to look."""
        for _ in range(most):
            if (state := await self.state()) not in ("deferred", "running"):
                return state
            await self.advance(POLL.total_seconds())
        return await self.state()

    async def ended(self, blur: Callable[[Any], Any] = lambda value: value) -> Ended:
        """How it ended. Nothing of it may be left: no slot, no armed wait, no broken invariant."""
        result = await self.run.wait(timeout=5)
        [line] = (await self.run.show()).tasks
        assert self.rt.slots_in_use == 0, self.mode
        return Ended(
            line.state,
            blur(result.outputs.get("w")),
            blur(line.reason),
            tuple(each.state.value for each in await self.attempts()),
        )


@contextlib.asynccontextmanager
async def on_stage(
    rt_of: Callable[..., contextlib.AbstractAsyncContextManager[SimRuntime]],
    case: Case,
    mode: str,
    outside: Outside,
    db: Path,
    **options: Any,
) -> AsyncIterator[Play]:
    """The case's sensor, waiting, on a runtime of its own; its world is as `before` says."""
    async with rt_of([other], clock=SimClock(SystemClock().now()), db=db) as rt:
        outside.rt = rt
        await outside.make(case.before)
        body = declare(case, mode, outside, **options)
        play = Play(rt, mode, await rt.trigger(body, logical_date=DATE))
        play.dags = [other, body]
        await play.waits()
        yield play
        await rt.clock.settle()
    sound(db)


def crash_image(db: Path, to: Path) -> Path:
    """The database as a kill -9 would leave it now, in a folder of its own: commits are in its log."""
    to.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(f"{db}{suffix}", to / f"{db.name}{suffix}")
    return to / db.name


def sound(db: Path) -> None:
    """Assert that the database keeps every invariant."""
    with contextlib.closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
        assert [f"{found.id}: {found.sentence}" for found in check(conn)] == []


def _timeless(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _timeless(each) for key, each in value.items() if key not in TIMELESS}
    if isinstance(value, list):
        return [_timeless(each) for each in value]
    return value
