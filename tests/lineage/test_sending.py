"""Lineage on its way out: in order, at least once, never in the engine's way."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import Asset, Dag, Runtime, dag, task
from bide.runtime.config import load_config
from bide.runtime.engine.messages import LineageSent
from bide.runtime.errors import UsageError
from bide.runtime.lineage import exporter
from bide.runtime.lineage.events import event_of
from bide.runtime.lineage.exporter import Exporter
from bide.runtime.lineage.settings import OpenLineage, openlineage_of
from bide.runtime.service.doctor import _lineage
from bide.runtime.store import lineage_reads as reads
from tests.engine.declare import job
from tests.engine.scene import Scene
from tests.lineage.published import check
from tests.servers.http_server import Asked, HttpServer, reply

ORDERS = Asset("orders")


@task(outlets=[ORDERS])
async def load() -> int:
    return 1


@dag
def etl() -> None:
    load()


DAG: Dag = etl


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "GATHER_S", 0.0)
    monkeypatch.setattr(exporter, "FIRST_S", 0.02)


@pytest.fixture
async def collector() -> AsyncIterator[HttpServer]:
    server = await HttpServer().start()
    yield server
    await server.stop()


def received(collector: HttpServer) -> list[dict[str, Any]]:
    return [json.loads(asked.body) for asked in collector.asked]


def words(events: list[dict[str, Any]]) -> list[str]:
    return [f"{each['job']['name']} {each['eventType']}" for each in events if "job" in each]


ONE_RUN = ["etl START", "etl.load START", "etl.load COMPLETE", "etl COMPLETE"]


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.005)


async def test_s1_58_events_reach_a_collector_over_http_in_order_and_as_the_schemas_say(
    tmp_path: Path, collector: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LINEAGE_KEY", "t0ken")
    url = collector.on("/api/v1/lineage", reply(201))
    transport = {
        "type": "http", "url": url.removesuffix("/api/v1/lineage"), "auth": {"type": "api_key", "apiKey": "env:LINEAGE_KEY"}
    }  # fmt: skip
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage={"transport": transport}) as rt:
        await rt.wait(await rt.trigger("etl"))
        await until(lambda: len(collector.asked) == 4)
        await until(lambda: rt.exported is not None and rt.exported.seq == rt.exported.newest)
        [shown] = _lineage(rt)
        assert shown.ok, shown
    assert words(received(collector)) == ONE_RUN
    for each in received(collector):
        check(each)
    assert {asked.headers["authorization"] for asked in collector.asked} == {"Bearer t0ken"}


async def test_s1_58_events_are_appended_to_a_file_and_a_start_goes_on_where_the_last_one_ended(
    tmp_path: Path,
) -> None:
    file = tmp_path / "lineage.jsonl"
    said = OpenLineage(transport={"type": "file", "log_file_path": str(file)}, namespace="prod")
    for _ in range(2):
        async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said) as rt:
            await rt.wait(await rt.trigger("etl"))
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert words(found) == ONE_RUN * 2
    assert {each["job"]["namespace"] for each in found} == {"prod"}
    ids = [each["run"]["runId"] for each in found]
    assert len(set(ids)) == 4


async def test_a_collector_out_of_reach_holds_nothing_up_is_told_by_doctor_and_is_told_all_later(
    tmp_path: Path, collector: HttpServer
) -> None:
    collector.on("/api/v1/lineage", reply(503), reply(503), reply(201), reply(500), reply(201))
    said = {"transport": {"type": "http", "url": collector.url("/")}}
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said) as rt:
        done = await rt.wait(await rt.trigger("etl"))
        assert done.state == "success"
        await until(lambda: bool(rt.exported and rt.exported.failing))
        [shown] = _lineage(rt)
        assert not shown.ok
        assert "503" in shown.found
        await until(
            lambda: bool(
                rt.exported and not rt.exported.failing and rt.exported.seq >= rt.exported.newest > 0
            )
        )
        assert _lineage(rt).__next__().ok
    told = words(received(collector))
    kept = [each for n, each in enumerate(told) if told[n : n + 1] != told[n + 1 : n + 2]]
    assert kept == ONE_RUN  # each at least once, in order


async def test_nothing_is_lost_when_the_process_ends_before_the_collector_is_back(
    tmp_path: Path, collector: HttpServer
) -> None:
    nobody = {"transport": {"type": "http", "url": "http://127.0.0.1:9/"}}
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage=nobody) as rt:
        await rt.wait(await rt.trigger("etl"))
        await until(lambda: bool(rt.exported and rt.exported.failing))
    collector.on("/api/v1/lineage", reply(201))
    said = {"transport": {"type": "http", "url": collector.url("/")}}
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said):
        await until(lambda: len(collector.asked) == 4)
    assert words(received(collector)) == ONE_RUN


async def test_what_the_collector_refuses_for_good_is_passed_over_and_counted(
    tmp_path: Path, collector: HttpServer
) -> None:
    collector.on("/api/v1/lineage", reply(201), reply(422), reply(201))
    said = {"transport": {"type": "http", "url": collector.url("/")}}
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said) as rt:
        await rt.wait(await rt.trigger("etl"))
        await until(lambda: len(collector.asked) == 4)
        await until(lambda: bool(rt.exported and rt.exported.refused == 1))
        [shown] = _lineage(rt)
        assert "1 events refused for good" in shown.found
    assert words(received(collector)) == ONE_RUN


async def test_a_slow_collector_holds_no_task_up(tmp_path: Path, collector: HttpServer) -> None:
    async def slow(asked: Asked, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.5)
        await reply(201)(asked, writer)

    collector.on("/api/v1/lineage", slow)
    said = {"transport": {"type": "http", "url": collector.url("/")}}
    async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said) as rt:
        async with asyncio.timeout(5):
            for _ in range(3):
                assert (await rt.wait(await rt.trigger("etl"))).state == "success"
        assert len(collector.asked) < 12  # of as many events, half a second each


async def test_without_it_nothing_of_it_is_there(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [DAG]) as rt:
        assert rt.exported is None
        assert list(_lineage(rt)) == []


async def test_the_first_time_only_what_comes_is_sent_unless_the_backlog_is_asked_for(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", [DAG]) as rt:
        await rt.wait(await rt.trigger("etl"))
    for backlog, name in ((True, "all.jsonl"),):
        said = OpenLineage(transport={"type": "file", "log_file_path": str(tmp_path / name)}, backlog=backlog)
        async with Runtime(tmp_path / "bide.db", [DAG], openlineage=said):
            pass
        assert words([json.loads(line) for line in (tmp_path / name).read_text().splitlines()]) == ONE_RUN
    other = tmp_path / "other.db"
    async with Runtime(other, [DAG]) as rt:
        await rt.wait(await rt.trigger("etl"))
    said = OpenLineage(transport={"type": "file", "log_file_path": str(tmp_path / "new.jsonl")})
    async with Runtime(other, [DAG], openlineage=said) as rt:
        await until(lambda: bool(rt.exported and rt.exported.seq))
    assert not (tmp_path / "new.jsonl").exists()


def test_the_setting_is_read_from_a_file_and_the_environment(tmp_path: Path) -> None:
    (tmp_path / "bide.toml").write_text(
        '[openlineage]\nnamespace = "prod"\ntransport = { type = "http", url = "http://collector:5000" }\n'
    )
    found = load_config({}, tmp_path).openlineage
    assert found == OpenLineage(transport={"type": "http", "url": "http://collector:5000"}, namespace="prod")
    said = msgspec.json.encode({"transport": {"type": "console"}}).decode()
    assert load_config({"BIDE_OPENLINEAGE": said}, tmp_path).openlineage == OpenLineage(
        transport={"type": "console"}
    )


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"transport": {"type": "kafka"}}, "must be one of http, file, console"),
        ({"transport": {"type": "http"}}, "the http transport needs url"),
        ({"transport": {"type": "console"}, "namespace": ""}, "namespace is empty"),
        ({"transport": {"type": "console"}, "colour": 1}, "colour"),
        ({}, "transport"),
    ],
)
def test_a_wrong_setting_is_refused_in_one_sentence(said: dict[str, Any], why: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=why):
        openlineage_of(said)


def test_without_the_client_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'bide\[openlineage\]'"):
        Exporter(OpenLineage(transport={"type": "console"}), tmp_path / "bide.db", lambda _: None)


def test_the_journal_is_looked_through_in_pieces(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    scene = Scene(tmp_path / "bide.db")
    scene.dag("etl", job("load"), job("send", "load"))
    scene.trigger("etl")
    scene.end("load", "send")
    whole, _ = reads.after(scene.store._raw, 0, 1000, reads.Known())
    monkeypatch.setattr(reads, "_WINDOW", 3)
    seq: int = 0
    found: list[int] = []
    while seq < reads.last(scene.store._raw):
        told, seq = reads.after(scene.store._raw, seq, 2, reads.Known())
        found += [each.line.seq for each in told]
    assert found == [each.line.seq for each in whole]
    scene.close()


@settings(max_examples=25, deadline=None)
@given(
    fails=st.lists(st.booleans(), max_size=40),
    restarts=st.sets(st.integers(0, 30), max_size=4),
    at_once=st.integers(1, 5),
)
def test_however_often_it_fails_or_dies_each_event_is_sent_and_none_before_an_earlier_one(
    fails: list[bool], restarts: set[int], at_once: int
) -> None:
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(exporter, "AT_ONCE", at_once)
        scene = Scene(Path(folder) / "bide.db")
        scene.dag("etl", job("load", outlets=("orders",)), job("send", "load"))
        for _ in range(2):
            scene.trigger("etl")
            scene.end("load", "send")
        left, sent = list(fails), list[str]()

        class Moody:
            def emit(self, event: Any) -> None:
                if left and left.pop(0):
                    raise OSError("no route")
                sent.append(f"{event.run.runId} {event.eventType.value}")

        def opened() -> Exporter:
            made = Exporter(
                OpenLineage(transport={"type": "console"}, backlog=True), scene.db, lambda _: None
            )
            made._transport = Moody()
            return made

        one = opened()
        for step in range(400):
            if step in restarts:
                one._forget()
                one = opened()
            seq, complete = one._step()
            assert seq is not None
            if step % 3:  # the process may die before that is committed
                scene.feed(LineageSent(seq))
                one._seq = seq
            elif not one._failing:
                one._seq = seq
            if complete and not left:
                break
        one._forget()
        whole = list(dict.fromkeys(sent))
        told, _ = reads.after(scene.store._raw, 0, 1000, reads.Known())
        expected = [event_of(each, "bide") for each in told]
        scene.close()
        assert whole == [f"{e.run.runId} {e.eventType.value}" for e in expected if e is not None]  # type: ignore[union-attr]


async def test_a_look_that_began_before_the_end_was_asked_for_is_followed_by_one_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was committed while it went is sent before the runtime is left."""
    begun, go_on = threading.Event(), threading.Event()
    looks: list[bool] = []

    def step(exporter: Exporter) -> tuple[int | None, bool]:
        looks.append(exporter._closing)
        begun.set()
        go_on.wait(10)
        return len(looks), True

    monkeypatch.setattr(Exporter, "_step", step)
    said = OpenLineage(transport={"type": "file", "log_file_path": str(tmp_path / "lineage.jsonl")})
    exporter = Exporter(said, tmp_path / "bide.db", lambda _: None, 0)
    exporter.start()
    await asyncio.to_thread(begun.wait, 10)
    closing = asyncio.create_task(exporter.close())
    await until(lambda: exporter._closing)
    go_on.set()
    await closing
    assert looks == [False, True]
