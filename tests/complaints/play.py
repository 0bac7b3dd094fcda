"""What tests of complaints share: a run looked at from outside, and a trigger that does what it is told."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Final

from bide import Context, task
from bide.runtime.graph.facts import Facts
from bide.runtime.service.handles import RunHandle
from bide.runtime.store.reader import AttemptShown, Reader
from bide.sensors import Sensor
from bide.testing import SimRuntime
from bide.triggers import HttpTrigger
from bide.triggers.base import Fire, NotYet, PollSource, Registration, Source, SourceWorld, Trigger, Verdict

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]

URL: Final = "https://partner.example/ready"
DATE: Final = "2026-06-15T00:00:00+00:00"


def seconds(number: float) -> timedelta:
    return timedelta(seconds=number)


@task
async def asks(ctx: Context) -> Any:
    """A body that waits for the web in the middle, and gives back what it heard."""
    return await ctx.wait(HttpTrigger(url=URL), timeout=seconds(3600))


async def states(run: RunHandle) -> dict[str, str]:
    """Task -> state, once everything that follows from now has been done."""
    rt = run._runtime
    assert isinstance(rt, SimRuntime)
    await rt.clock.settle()
    return {line.task: line.state for line in (await run.show()).tasks}


async def reason(run: RunHandle, task: str) -> str:
    return next(line.reason for line in (await run.show()).tasks if line.task == task)


def attempts(run: RunHandle, task: str) -> list[AttemptShown]:
    with Reader(run._runtime.db) as reader:
        return reader.attempts(int(run.run_id), task)


def ends(run: RunHandle, task: str) -> list[str]:
    return [attempt.state.value for attempt in attempts(run, task)]


def journal(run: RunHandle, entity: str) -> list[tuple[str, str, str]]:
    """The journalled moves of one kind of thing in this run: (from, to, reason)."""
    with Reader(run._runtime.db) as reader:
        moves = reader.events(run_id=int(run.run_id), limit=10_000)
        return [(move.was, move.now, move.reason) for move in moves if move.subject == entity]


async def wait_of(run: RunHandle, task: str) -> str:
    """The id of the open wait of a task."""
    lines = await run._runtime.waits()
    return next(line.id for line in lines if (line.run_id, line.task) == (run.run_id, task))


def log(db: Path, run_id: str, task: str) -> str:
    """All that the attempts of a task said. The lines are there once the runtime has been left."""
    with Reader(db) as reader:
        found = [Path(f"{db}.logs/{each.attempt_id}.log") for each in reader.attempts(int(run_id), task)]
    return "".join(path.read_text() for path in found if path.exists())


def on_disk(db: Path) -> list[Path]:
    """Every file a database has written beside itself, and its logs."""
    found = [*db.parent.glob(f"{db.name}*"), *db.with_name(f"{db.name}.logs").glob("*")]
    return [path for path in found if path.is_file()]


class Third(Trigger, frozen=True, kw_only=True, tag="third"):
    """A third party's trigger: true when `sees` is; `fault` names the call that raises."""

    sees: ClassVar[Any] = None
    fault: str = ""
    source: str = "s"

    def source_key(self) -> Hashable:
        return ("third", self.source)

    def poll_key(self) -> Hashable:
        if self.fault == "poll_key":
            raise RuntimeError("no such key")
        return self.fault

    def judge(self, seen: Any, memo: Any, now: int) -> Verdict:
        if self.fault == "judge":
            raise SystemError("cannot judge")
        return Fire(seen) if seen else NotYet("not yet")

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        return ThirdSource()


class ThirdSource(PollSource):
    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> Any:
        if poll_key == "look":
            raise MemoryError("the vendor's library gave up")
        return Third.sees

    async def close(self) -> None:
        pass


class ThirdSensor(Sensor):
    kind = "third"

    def __init__(self, name: str, fault: str = "", **options: Any) -> None:
        super().__init__(name, {"fault": fault}, options)  # type: ignore[arg-type]  # options pass through

    @classmethod
    def make(cls, params: Mapping[str, Any], facts: Facts) -> Third:
        return Third(fault=params["fault"])
