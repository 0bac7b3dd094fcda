"""The loop of a host while bide is its guest: opened over 1,000 waits, busy with runs, asked over REST, and left."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import fastapi  # a host that mounts bide has it already
import httpx

from benchmarks.measure import LoopLag, scratch
from bide import Dag, Runtime, dag, task
from bide.runtime.service.caller import Caller
from bide.sensors import TimeSensor

WAITS, TASKS, ASKED = 1_000, 1_000, 100


@task
async def no_op() -> None:
    pass


def waiting_until(due: datetime) -> Dag:
    @dag
    def waiting() -> None:
        for i in range(WAITS):
            TimeSensor(f"t{i}", at=due)

    return waiting


@dag
def busy() -> None:
    no_op() >> [no_op() for _ in range(TASKS)]


async def guest() -> dict[str, float]:
    waiting = waiting_until(datetime.now(UTC) + timedelta(days=1))
    host = fastapi.FastAPI()
    with scratch() as folder:
        async with Runtime(db=folder / "bide.db", dags=[waiting]) as rt:
            await rt.trigger(waiting)
            await rt.settled()
        async with LoopLag() as lag, Runtime(db=folder / "bide.db", dags=[waiting, busy], slots=64) as rt:
            host.mount("/bide", rt.asgi_for(Caller("host")))
            run = await rt.trigger(busy)
            transport = httpx.ASGITransport(host)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                for _ in range(ASKED):
                    answer = await client.get("/bide/api/v1/runs")
                    assert answer.status_code == 200, answer.text
            result = await run.wait()
            assert result.state == "success", result.state
    return {"lag_p99_ms": lag.p99, "worst_ms": lag.worst}
