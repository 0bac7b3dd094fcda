"""A DAG's timetable over REST and over the socket is the one of the terminal."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from bide import AnyOf, Cron, On, dag, task
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.service.caller import Caller
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.testing import FakeSource, SimClock, SimRuntime, sim_runtime
from bide.triggers import FileTrigger


@task
async def work() -> None: ...


@dag(schedule=AnyOf(On(FileTrigger(glob="/drops/*")), Cron("0 5 * * *", tz="Europe/Berlin", interval="day")))
def mart() -> None:
    work()


def opened(tmp_path: Path) -> Any:
    return sim_runtime(
        [mart], clock=SimClock("2026-03-27T12:00"), db=tmp_path / "bide.db", fakes={"file": FakeSource()}
    )


async def rest(rt: SimRuntime, path: str) -> tuple[int, Any]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(rt.asgi_for(Caller("ann"))), base_url="http://bide.example"
    ) as client:
        answer = await client.get(path)
        return answer.status_code, answer.json()


async def test_b21_the_timetable_over_rest_has_all_that_the_terminal_shows(tmp_path: Path) -> None:
    async with opened(tmp_path) as rt:
        status, found = await rest(rt, "/api/v1/dags/mart/schedule?n=2&since=2026-03-28")
        assert status == 200
        told = await rt.operations.schedule("mart", 2, "2026-03-28")
        assert found == msgspec.json.decode(msgspec.json.encode(told))
        assert list(found) == [
            "dag", "schedule", "tz", "paused", "catchup", "overlap", "firings", "catching_up", "waits_for", "skipped",
            "code_error",
        ]  # fmt: skip
        assert (
            found["schedule"] == "on file /drops/*, or at 05:00 every day, Europe/Berlin, for the day before"
        )
        assert found["firings"] == [
            {
                "fires_at": "2026-03-28T04:00:00Z",
                "interval": {"start": "2026-03-26T23:00:00Z", "end": "2026-03-27T23:00:00Z"},
            },
            {
                "fires_at": "2026-03-29T03:00:00Z",
                "interval": {"start": "2026-03-27T23:00:00Z", "end": "2026-03-28T23:00:00Z"},
            },
        ]
        assert [held["trigger"] for held in found["waits_for"]] == ["file /drops/*"]


async def test_what_rest_cannot_answer_is_a_problem_with_its_class(tmp_path: Path) -> None:
    async with opened(tmp_path) as rt:
        for path, status, code in (
            ("mart/schedule?n=0", 422, "UsageError"),
            ("mart/schedule?n=many", 422, "UsageError"),
            ("mart/schedule?since=soon", 422, "UsageError"),
            ("mast/schedule", 404, "NotFoundError"),
        ):
            got, problem = await rest(rt, f"/api/v1/dags/{path}")
            assert (got, problem["code"]) == (status, code)


async def test_the_client_of_the_socket_says_the_same(tmp_path: Path) -> None:
    async with opened(tmp_path) as rt:
        listener = Listener(tmp_path / "bide.sock")
        try:
            async with serving(listener.socket, rt.asgi):
                client = ServiceClient(tmp_path / "bide.sock", rt.db, timeout_s=20)
                there = await asyncio.to_thread(lambda: asyncio.run(client.schedule("mart", 3)))
                assert there == await rt.operations.schedule("mart", 3)
                waits = await asyncio.to_thread(lambda: asyncio.run(client.waits()))
                assert [wait.run_id for wait in waits] == [None]
                assert waits == await rt.operations.waits()
                dags = await asyncio.to_thread(lambda: asyncio.run(client.dags()))
                assert dags == await rt.operations.dags()
                try:
                    await asyncio.to_thread(lambda: asyncio.run(client.schedule("mast")))
                except NotFoundError as error:
                    assert "it has: mart" in str(error)  # noqa: PT017 - raised in another thread's loop
                else:
                    raise AssertionError("there is no DAG of that name")
        finally:
            listener.close()


async def test_b24_what_a_schedule_waits_for_leaves_no_log_of_an_attempt_that_there_is_not(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()

    @dag(schedule=On(FileTrigger(glob=str(tmp_path / "in/*"), settle_us=0)))
    def drops() -> None:
        work()

    async with sim_runtime([drops], clock=SimClock("2026-03-27T12:00"), db=tmp_path / "bide.db") as rt:
        for name in ("a", "b"):
            (tmp_path / "in" / name).write_text("1")
            await rt.clock.advance(timedelta(minutes=2))
        assert [run.state for run in await rt.operations.runs()] == ["success", "success"]
        doctor = await rt.operations.doctor()
    assert not list(tmp_path.glob("*.logs/0.log"))  # noqa: ASYNC240
    assert [check for check in doctor.checks if "log 0.log" in str(check)] == []


async def test_c77_what_a_schedule_waits_for_stands_among_the_waits_and_can_be_looked_at(
    tmp_path: Path,
) -> None:
    (tmp_path / "in").mkdir()
    now = SimClock("2026-03-27T12:00")

    @dag(schedule=On(FileTrigger(glob=str(tmp_path / "in/*"), settle_us=0)))
    def drops() -> None:
        work()

    async with sim_runtime([drops], clock=now, db=tmp_path / "bide.db") as rt:
        [wait] = await rt.operations.waits()
        assert (wait.dag, wait.run_id, wait.task, wait.deadline) == ("drops", None, None, None)
        assert wait.trigger == f"file {tmp_path}/in/*"
        assert (wait.since, wait.source.split()[0]) == ("2026-03-27T12:00:00Z", "file")
        assert (await rt.operations.wait_look(wait.id)).done == f"wait {wait.id} is looked at now"
        for asked in (rt.operations.wait_extend(wait.id, "+1h"), rt.operations.wait_satisfy(wait.id)):
            with pytest.raises(
                RefusedError, match=f"wait {wait.id} is of the schedule of drops, and of no run"
            ):
                await asked
        (tmp_path / "in" / "a").write_text("1")
        await rt.operations.wait_look(wait.id)
        await rt.clock.advance(timedelta(seconds=1))
        assert [run.kind for run in await rt.operations.runs()] == ["event"]
        assert [line.id for line in await rt.operations.waits()] == [wait.id], "it waits for the next"
