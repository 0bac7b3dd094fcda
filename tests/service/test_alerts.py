"""Alerts as people see them: `alerts`, `show`, `why`, the log, over the terminal, REST and a guest alike."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Cron, Every, by, dag, task
from bide.runtime.cli.main import run as bide
from bide.runtime.errors import GraphError, NotFoundError, RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.sensors import FileSensor
from bide.testing import sim_runtime
from bide.testing.runtime import SimRuntime

LATE = timedelta(minutes=10)


@task(deadline_alert=LATE)
async def load() -> None:
    await asyncio.Event().wait()


@task
async def quick() -> None: ...


@dag(
    schedule=Cron("0 2 * * *", tz="Europe/Berlin", interval="day"), start="2026-06-15",
    deadline_alert=by("05:45"),
)  # fmt: skip
def mart() -> None:
    load()
    quick()


@pytest.fixture
async def rt(tmp_path: Path) -> AsyncIterator[SimRuntime]:
    """The 15th of June, 06:00 in Berlin: the mart was to be there at 05:45, its task ten minutes after 02:00."""
    async with sim_runtime([mart], start="2026-06-14T20:00", db=tmp_path / "bide.db") as made:
        await made.clock.advance(timedelta(hours=8))
        yield made


async def test_s3_49_alerts_show_and_why_name_what_is_late(rt: SimRuntime) -> None:
    of_run, of_task = await rt.operations.alerts()
    assert (of_run.kind, of_run.subject, of_run.promise) == ("run", "mart", "by 05:45 Europe/Berlin")
    assert (of_run.due, of_run.fired, of_run.state) == ("2026-06-15T03:45:00Z", "2026-06-15T03:45:00Z", "new")
    assert (of_task.kind, of_task.subject, of_task.promise) == ("task", "mart.load", "within 0:10:00")
    assert of_task.due == "2026-06-15T00:10:00Z"
    assert [alert.id for alert in (await rt.operations.show("1")).alerts] == [of_run.id, of_task.id]
    why = await rt.operations.why("1")
    assert why.why.endswith("; late since 05:45 Europe/Berlin, 2026-06-15 03:45:00Z (15m ago)")
    assert [detail.what for detail in why.details if "late since" in detail.value] == ["task load"]
    why = await rt.operations.why("1", "load")
    assert why.why.endswith("; late since 2026-06-15 00:10:00Z (3h 50m ago), promised within 0:10:00")
    assert "late" not in (await rt.operations.why("1", "quick")).why


async def test_what_was_late_stays_known_when_it_is_over(rt: SimRuntime) -> None:
    await rt.operations.cancel("1")
    details = {d.what: d.value for d in (await rt.operations.why("1")).details}
    assert details["was"].startswith("late since 05:45 Europe/Berlin")
    details = {d.what: d.value for d in (await rt.operations.why("1", "load")).details}
    assert details["was"].startswith("late since 2026-06-15 00:10:00Z")


async def test_an_alert_is_logged_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "bide"):
        async with sim_runtime([mart], start="2026-06-14T20:00") as rt:
            await rt.clock.advance(timedelta(hours=12))
    assert [record.getMessage().split(" is late")[0] for record in caplog.records] == [
        "mart.load in run 1 (2026-06-13T22:00:00Z)", "run 1 of mart (2026-06-13T22:00:00Z)",
    ]  # fmt: skip


async def test_alerts_over_rest_are_those_of_the_runtime(rt: SimRuntime, tmp_path: Path) -> None:
    listener = Listener(tmp_path / "s")
    client = ServiceClient(tmp_path / "s", rt.db, timeout_s=20)

    async def ask(question: Any) -> Any:
        return await asyncio.to_thread(lambda: asyncio.run(question(client)))

    async with serving(listener.socket, make_app(rt.operations, lambda: "")):
        found = await rt.operations.alerts()
        assert await ask(lambda ops: ops.alerts()) == found
        assert await ask(lambda ops: ops.alerts("1", "new", 1)) == found[:1]
        done = await ask(lambda ops: ops.alert_ack(found[0].id))
        assert done.result == {"alert_id": found[0].id, "state": "acked"}
        assert await ask(lambda ops: ops.alerts(state="acked")) == [
            msgspec.structs.replace(found[0], state="acked")
        ]
        with pytest.raises(RefusedError, match="acknowledged already"):
            await ask(lambda ops: ops.alert_ack(found[0].id))
        with pytest.raises(NotFoundError, match="no run 9"):
            await ask(lambda ops: ops.alerts("9"))
        with pytest.raises(UsageError, match="use one of new, taken, acked"):
            await ask(lambda ops: ops.alerts(state="old"))
    listener.close()


async def test_who_delivers_takes_alerts_from_the_runtime(rt: SimRuntime) -> None:
    taken = (await rt.command("alert_take", {"limit": 10, "by": "mail"}))["alerts"]
    assert [one["payload"]["task"] for one in taken] == ["load", None]
    assert (await rt.command("alert_take", {}))["alerts"] == []
    assert [alert.state for alert in await rt.operations.alerts()] == ["taken", "taken"]


def test_the_terminal_lists_and_acknowledges(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    db = str(tmp_path / "bide.db")

    async def play() -> None:
        async with sim_runtime([mart], start="2026-06-14T20:00", db=db) as rt:
            await rt.clock.advance(timedelta(hours=8))

    asyncio.run(play())
    assert bide(["alerts", "--db", db, "--json"]) == 0
    first = json.loads(capsys.readouterr().out)[0]
    assert list(first) == [
        "id", "kind", "subject", "run_id", "promise", "due", "fired", "state", "text", "severity", "owners",
    ]  # fmt: skip
    assert bide(["alerts", "ack", first["id"], "--db", db]) == 0
    assert capsys.readouterr().out == f"alert {first['id']} is acknowledged\n"
    assert bide(["alerts", "list", "--state", "new", "--db", db]) == 0
    table = capsys.readouterr().out
    assert ("mart.load" in table, "by 05:45 Europe/Berlin" in table) == (True, False)
    assert bide(["show", "1", "--db", db]) == 0
    assert f"alert {first['id']} (acked): run 1 of mart" in capsys.readouterr().out
    assert bide(["alerts", "ack", "77", "--db", db]) == 3


async def test_s3_53_how_long_each_sensor_held_a_slot_is_shown() -> None:
    @dag(schedule=Every(hours=1))
    def waits() -> None:
        for mode in ("deferred", "poke"):
            FileSensor(
                mode, path="/nonesuch/{run_id}", mode=mode, timeout=timedelta(minutes=30),
                poll_interval=timedelta(minutes=1), soft_fail=True,
            )  # fmt: skip

    async with sim_runtime([waits]) as rt:
        await rt.clock.advance(timedelta(minutes=40))
        tasks = {line.task: line for line in (await rt.operations.show("1")).tasks}
    assert {name: line.state for name, line in tasks.items()} == {"deferred": "skipped", "poke": "skipped"}
    assert tasks["deferred"].slot_seconds == 0
    assert tasks["poke"].slot_seconds == pytest.approx(1800, abs=1)


@pytest.mark.parametrize("wrong", ["05:45", 30, timedelta(0), timedelta(seconds=-1)])
def test_a_wrong_deadline_alert_is_refused_where_it_is_written(wrong: Any) -> None:
    with pytest.raises(GraphError, match="deadline_alert"):
        task(deadline_alert=wrong)(quick.fn)
    with pytest.raises(GraphError, match="deadline_alert"):
        dag(name="d", deadline_alert=wrong)(lambda: None)
