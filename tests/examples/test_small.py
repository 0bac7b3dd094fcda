"""Every small example runs against real files and servers, and does what its docstring says."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bide import Runtime
from bide.runtime.service.handles import RunResult
from bide.runtime.store.reader import Reader
from examples import guest_app, pools_and_priorities
from tests.examples.conftest import EXAMPLES, Opens
from tests.servers.http_server import HttpServer, reply
from tests.servers.kafka_broker import NoidaBroker

LIMIT_S = 30.0
FILES = sorted(path.name for path in EXAMPLES.glob("*.py") if path.name != "__init__.py")


@pytest.mark.parametrize("name", FILES)
def test_each_says_what_it_shows_and_stays_small(name: str) -> None:
    text = (EXAMPLES / name).read_text()
    doc = ast.get_docstring(ast.parse(text)) or ""
    assert doc.splitlines()[0].endswith(".") or "\n" in doc
    assert len(text.splitlines()) <= 90


async def ended(
    runtime: Runtime, dag: str, params: dict[str, Any], come_true: Callable[[], object]
) -> RunResult:
    """The end of a run that waited once, in no slot, before `come_true` was called."""
    assert (
        await runtime.waits() == []
    )  # what the first question loads takes a while; an instant does not wait for it
    run = await runtime.trigger(dag, params=params)
    await runtime.settled()
    assert len(await runtime.waits()) == 1
    assert runtime.slots_in_use == 0
    come_true()
    result = await run.wait(LIMIT_S)
    assert result.state == "success", result
    return result


async def test_time_sensor(opened: Opens) -> None:
    async with opened("time_sensor.py") as runtime:
        result = await ended(runtime, "time_sensor", {"seconds": 1.0}, lambda: None)
    assert result.outputs["good_morning"].startswith("it is past ")


async def test_file_drop(opened: Opens, tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    async with opened("file_drop.py") as runtime:
        result = await ended(runtime, "file_drop", {"path": str(path)}, lambda: path.write_text("a\nb\n"))
    assert result.outputs["count_lines"] == 2


async def test_http_ready(opened: Opens, http_server: HttpServer) -> None:
    http_server.on("/status", reply(503), reply(200, {"state": "busy"}), reply(200, {"state": "ready"}))
    async with opened("http_ready.py") as runtime:
        result = await ended(runtime, "http_ready", {"api": http_server.url("")}, lambda: None)
    assert result.outputs["take"] == 200
    assert http_server.count("/status") == 3


async def test_http_ready_fails_at_once_when_waiting_will_not_help(
    opened: Opens, http_server: HttpServer
) -> None:
    http_server.on("/status", reply(403))
    async with opened("http_ready.py") as runtime:
        run = await runtime.trigger("http_ready", params={"api": http_server.url("")})
        result = await run.wait(LIMIT_S)
    assert result.tasks == {"ready": "failed", "take": "upstream_failed"}


async def test_kafka_offset(opened: Opens, broker: NoidaBroker) -> None:
    await broker.create("orders", 2)
    await broker.produce("orders", {0: 4})
    async with opened("kafka_offset.py") as runtime:
        run = await runtime.trigger("kafka_offset", params={"kafka": broker.address})
        await runtime.settled()
        assert (len(await runtime.waits()), runtime.slots_in_use) == (1, 0)
        await broker.produce("orders", {1: 6})
        result = await run.wait(LIMIT_S)
    assert (result.state, result.outputs["load"]) == ("success", 10)


async def test_external_task(opened: Opens) -> None:
    async with opened("external_task.py") as runtime:
        run = await runtime.trigger("report", logical_date="2026-06-15")
        other = await runtime.trigger("warehouse", logical_date="2026-06-14")
        await other.wait(LIMIT_S)
        assert len(await runtime.waits()) == 1, "another date is not waited for"
        await runtime.trigger("warehouse", logical_date="2026-06-15")
        result = await run.wait(LIMIT_S)
    assert result.tasks == {"filled": "success", "write_report": "success"}


async def test_python_predicate(opened: Opens, tmp_path: Path) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()

    def fill() -> None:
        for name in "123":
            (folder / name).touch()

    async with opened("python_predicate.py") as runtime:
        result = await ended(runtime, "python_predicate", {"folder": str(folder)}, fill)
    assert result.outputs["join"] == "1+2+3"


async def test_object_key(opened: Opens, tmp_path: Path) -> None:
    bucket = tmp_path / "bucket"
    bucket.mkdir()
    (bucket / "part-1.csv").write_text("1")
    async with opened("object_key.py") as runtime:
        result = await ended(
            runtime,
            "object_key",
            {"bucket": f"file://{bucket}"},
            lambda: (bucket / "part-2.csv").write_text("2"),
        )
    assert result.outputs["merge"] == 2


async def test_durable_wait_charges_once_over_a_restart(opened: Opens, tmp_path: Path) -> None:
    ledger, receipt = tmp_path / "ledger", tmp_path / "receipt.txt"
    params = {"ledger": str(ledger), "receipt": str(receipt)}
    async with opened("durable_wait.py") as runtime:
        run = await runtime.trigger("durable_wait", params=params)
        while not await runtime.waits():
            await runtime.settled()
        assert runtime.slots_in_use == 0
    async with opened("durable_wait.py") as runtime:
        receipt.write_text("ok")
        result = await runtime.wait(run.run_id, LIMIT_S)
    assert result.outputs["charge"] == "42 paid, receipt of 2 bytes"
    assert len(ledger.read_text().splitlines()) == 1


async def test_retries(opened: Opens) -> None:
    async with opened("retries.py") as runtime:
        run = await runtime.trigger("retries")
        result = await run.wait(LIMIT_S)
        shown = {task.task: task.attempts for task in (await run.show()).tasks}
    assert result.tasks == {"fetch": "success", "validate": "failed", "repair": "success"}
    assert shown == {"fetch": 3, "validate": 1, "repair": 1}


async def test_s2_24_task_graph(opened: Opens) -> None:
    async with opened("task_graph.py") as runtime:
        well = await (await runtime.trigger("task_graph")).wait(LIMIT_S)
        broken = await (await runtime.trigger("task_graph", params={"broken": "parse"}, new=True)).wait(
            LIMIT_S
        )
    assert (well.state, well.outputs["announce"]) == ("success", "save and done")
    assert {name for name, state in well.tasks.items() if state == "skipped"} == {"alert", "page", "clean_up"}
    assert broken.state == "failed"
    assert broken.outputs["page"] == "parse failed at attempt 1: ValueError: parse cannot go on"
    assert broken.outputs["clean_up"] == ["parse broke, staged: None"]
    assert {name for name, state in broken.tasks.items() if state == "skipped"} == {"alert", "announce"}


async def test_shell_and_process(opened: Opens) -> None:
    async with opened("shell_and_process.py") as runtime:
        run = await runtime.trigger("shell_and_process", params={"words": "to be; $(or) not"})
        result = await run.wait(LIMIT_S)
        log = await runtime.operations.logs(run.run_id, "count")
    assert result.outputs["both"] == f"counted, and {sum(i * i for i in range(100_000))}"
    assert "4" in log.text.split()


async def test_pools_and_priorities() -> None:
    pools_and_priorities.order.clear()
    assert (await pools_and_priorities.main())[0] == "urgent"
    assert sorted(pools_and_priorities.order) == ["archive", "history", "urgent"]


async def test_guest_app(capsys: pytest.CaptureFixture[str]) -> None:
    assert await guest_app.main() == [
        "thanks, ada, for ada.pdf", "thanks, emmy, for emmy.pdf", "thanks, grace, for grace.pdf",
    ]  # fmt: skip
    assert capsys.readouterr().out == "3 waits, 0 of 4 slots in use\n"


@pytest.mark.parametrize(("name", "code"), [("time_sensor", 0), ("retries", 1), ("shell_and_process", 0)])
def test_those_that_need_nobody_run_from_the_terminal(name: str, code: int, tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    done = subprocess.run(
        [sys.executable, "-m", "bide", "run", str(EXAMPLES / f"{name}.py"), "--json", "--db", str(db)],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert json.loads(done.stdout)["dag"] == name
    with Reader(db) as reader:
        assert reader.counts().waits == {}


@pytest.mark.parametrize("name", ["guest_app", "pools_and_priorities"])
def test_programs_run_from_the_terminal(name: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py")],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent)}, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []


async def test_s0_23_mapped_makes_one_instance_a_file_and_one_a_hundred_customers(
    opened: Opens, tmp_path: Path
) -> None:
    for name in "abc":
        (tmp_path / f"{name}.py").write_text("x\n" * 3)
    async with opened("mapped.py") as runtime:
        run = await runtime.trigger("mapped", params={"folder": str(tmp_path), "customers": 250})
        result = await run.wait(LIMIT_S)
    assert result.outputs["report"] == {"files": 3, "lines": 9, "shards": 3, "billed": 250}
    assert result.outputs["bill"] == [100, 100, 50]


async def test_s0_24_manifest_is_read_in_batches_by_mapped_instances(opened: Opens, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    folder.mkdir()
    for n in range(23):
        (folder / f"{n}.txt").write_text("x" * n)
    async with opened("manifest.py") as runtime:
        params = {"folder": str(folder), "manifests": str(tmp_path), "batch": 5}
        result = await (await runtime.trigger("manifest", params=params)).wait(LIMIT_S)
    assert result.outputs["total"] == {"files": 23, "bytes": sum(range(23)), "batches": 5}
