"""D20: every option of every sensor means the same in every mode, on a real runtime."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from bide.runtime.clock import SystemClock
from bide.testing import SimClock, SimRuntime
from tests.conformance.cases import CASES, Case
from tests.conformance.stage import DATE, MODES, Ended, Outside, Play, declare, maker, other, sound
from tests.servers.http_server import HttpServer

Sim = Callable[..., AbstractAsyncContextManager[SimRuntime]]
LOOKS = 8


async def played(case: Case, mode: str, outside: Outside, db: Path, sim_runtime: Sim) -> Ended:
    if case.sensor == "KafkaOffsetSensor":
        assert outside.broker is not None
        await outside.broker.create(f"t-{outside.name}", 2)
    clock = SimClock(SystemClock().now())
    async with sim_runtime([other, maker], clock=clock, db=db) as rt:
        outside.rt = rt
        await outside.make(case.before)
        date = DATE if case.sensor in ("ExternalTaskSensor", "AssetSensor") else None
        play = Play(rt, mode, await rt.trigger(declare(case, mode, outside), logical_date=date))
        passes = any(step[0] == "pass" for step in case.after)
        if not case.enough:
            await play.waits()
            if not passes:
                await play.advance(25)
                await play.waits()
        await outside.make(case.after)
        if case.ends == "waiting":
            await play.advance(35)
            await play.waits()
            await play.run.cancel()
            assert rt.armed == 0 or case.sensor in ("ExternalTaskSensor", "AssetSensor")
        for _ in range(0 if case.enough else LOOKS):
            if await play.state() not in ("deferred", "running"):
                break
            await play.advance(10)
        ended = await play.ended(outside.blur)
        await clock.settle()
    sound(db)
    return ended


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_d20_the_case_ends_alike_in_every_mode(
    case: Case, tmp_path: Path, http_server: HttpServer, sim_runtime: Sim, request: pytest.FixtureRequest
) -> None:
    broker = request.getfixturevalue("broker") if case.sensor == "KafkaOffsetSensor" else None
    bucket = request.getfixturevalue("bucket") if case.sensor == "ObjectSensor" else None
    ends: dict[str, Ended] = {}
    for mode in MODES:
        name = f"{case.name}-{mode}"
        outside = Outside(name, tmp_path, http_server, broker, bucket)
        ends[mode] = await played(case, mode, outside, tmp_path / f"{mode}.db", sim_runtime)
    assert ends["reschedule"] == ends["deferred"]
    assert ends["poke"] == ends["deferred"]
    ended = ends["deferred"]
    assert ended.state == {"waiting": "cancelled"}.get(case.ends, case.ends), ended
    if case.event is not None:
        assert ended.output is not None
        assert {key: ended.output[key] for key in case.event} == case.event
