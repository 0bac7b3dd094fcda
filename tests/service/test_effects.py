"""Effects in a real runtime: what their bodies are given, the ledger through every door, and `kill -9`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset, Context, Delivery, FailTask, Runtime, current, dag, effect, task
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.store import invariants
from bide.runtime.store.reader import Reader
from tests.cli.conftest import Bide, bide, environment

__all__ = ["bide"]

GOLD = Asset("svc.gold")
sent: list[dict[str, Any]] = []


@task(outlets=[GOLD])
async def make() -> None: ...


@effect("svc.export", target="partner-a", semantics="append_only_export", inlets=[GOLD], owner="exports")
async def export(ctx: Context, idempotency_key: str, previous: Any) -> dict[str, Any]:
    assert (ctx.idempotency_key, ctx.delivery.key, current().delivery.target) == (
        idempotency_key, idempotency_key, "partner-a",
    )  # fmt: skip
    sent.append({"key": idempotency_key, "previous": previous, "inputs": ctx.delivery.inputs})
    return {"ack": len(sent)}


@effect("svc.index", target="search", semantics="idempotent_put", inlets=[GOLD])
def index(delivery: Delivery) -> str:
    return delivery.key


@dag
def figures() -> None:
    make() >> [export(), index()]


@dag
def plain() -> None:
    @task
    async def no_effect(ctx: Context) -> str:
        try:
            return ctx.delivery.key
        except UsageError as error:
            raise FailTask(str(error)) from error

    no_effect()


@pytest.fixture(autouse=True)
def _fresh() -> None:
    sent.clear()


async def test_s1_49_d19_a_body_gets_its_key_and_what_stands(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", dags=[figures, plain]) as rt:
        first = await (await rt.trigger("figures", logical_date="2026-06-15")).wait(10)
        assert (first.state, first.outputs["export"]) == ("success", {"ack": 1})
        second = await (await rt.trigger("figures", logical_date="2026-06-15", new=True)).wait(10)
        assert second.outputs["export"] == {"ack": 2}, "gold was made anew, so what has left is corrected"
        assert [each["inputs"] for each in sent] == [(1,), (4,)]
        before = sent[1]["previous"]
        assert (before.receipt, before.key, before.inputs) == ({"ack": 1}, sent[0]["key"], (1,))
        again = await rt.operations.rerun(second.run_id, "export")
        assert again.done
        third = await rt.wait(second.run_id, 10)
        assert (third.outputs["export"], len(sent)) == ({"ack": 2}, 2)
        wrong = await (await rt.trigger("plain")).wait(10)
        assert wrong.state == "failed"
        answers = {line.number: line.answer for line in (await rt.evidence.checklist("svc.gold")).questions}
        assert (answers[10], answers[11]) == ("svc.export, svc.index", "svc.export, svc.index"), (
            "inlets say so"
        )
        lines = await rt.effects.listed("svc.export")
        assert [(e.state, e.corrects, e.corrected_by) for e in lines] == [
            ("delivered", lines[1].id, None), ("corrected", None, lines[0].id),
        ]  # fmt: skip
        shown = await rt.effects.show(lines[0].id)
        assert (shown.receipt, shown.target, shown.key) == ({"ack": 2}, "partner-a", sent[1]["key"])
        assert [(i.asset, i.version, i.state) for i in shown.inputs] == [("svc.gold", "4", "published")]
        with pytest.raises(NotFoundError, match=r"did you mean 'svc\.export'"):
            await rt.effects.listed("svc.exprt")
        with pytest.raises(UsageError, match="is no state of a delivery"):
            await rt.effects.listed(state="done")
        with pytest.raises(NotFoundError, match="there is no delivery 99"):
            await rt.effects.show("99")
    with Reader(tmp_path / "bide.db") as reader:
        assert reader.read(invariants.check) == []


async def test_s1_49_the_ledger_over_the_socket_is_the_same(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db, dags=[figures]) as rt:
        listener = Listener(tmp_path / "s")
        client = ServiceClient(listener.path, db, timeout_s=20)

        async def over(ask: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(ask(client.effects)))

        async with serving(listener.socket, make_app(rt.operations, lambda: "")):
            await (await rt.trigger("figures")).wait(10)
            lines = await rt.effects.listed()
            assert await over(lambda there: there.listed()) == lines
            assert await over(lambda there: there.show("1")) == await rt.effects.show("1")
        listener.close()


def test_s1_49_the_ledger_in_the_terminal(tmp_path: Path, bide: Bide) -> None:
    db = str(tmp_path / "bide.db")

    async def once() -> None:
        async with Runtime(db, dags=[figures]) as rt:
            await (await rt.trigger("figures", logical_date="2026-06-15")).wait(10)

    asyncio.run(once())
    said = bide("effects", "list", "svc.export", "--db", db)
    assert (said.code, said.out.split()[:2]) == (0, ["DELIVERY", "EFFECT"])
    assert "partner-a" in said.out
    [line] = msgspec.json.decode(bide("effects", "svc.export", "--json", "--db", db).out)
    shown = bide("effects", "show", line["id"], "--db", db).out
    assert f"key {line['key']}" in shown
    assert 'receipt {"ack":1}' in shown
    assert "made of svc.gold version 1" in shown
    assert msgspec.json.decode(bide("effects", "show", line["id"], "--json", "--db", db).out)["receipt"] == {
        "ack": 1
    }
    assert bide("effects", "show", "9", "--db", db).code == 3


# --- kill -9 -----------------------------------------------------------------------------------------

APPENDS = """
import os, time
from bide import Asset, dag, effect, task

GOLD = Asset("gold")

@task(outlets=[GOLD])
async def make():
    return 1

@effect("feed", target="partner", semantics="idempotent_put", inlets=[GOLD])
def export(idempotency_key):
    with open({out!r}, "a") as out:
        out.write(idempotency_key + "\\n")
        out.flush()
        os.fsync(out.fileno())
    if not os.path.exists({go!r}):
        time.sleep(60)
    return {{"line": idempotency_key}}

@dag
def feed():
    make() >> export()
"""


def test_b45_killed_in_the_middle_of_a_delivery_it_is_driven_again_with_the_same_key(tmp_path: Path) -> None:
    out, go, db = tmp_path / "out.txt", tmp_path / "go", tmp_path / "bide.db"
    (tmp_path / "feed.py").write_text(APPENDS.format(out=str(out), go=str(go)))
    words = [sys.executable, "-m", "bide", "run", "feed.py", "--db", str(db)]
    first = subprocess.Popen(words, cwd=tmp_path, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    try:
        assert wait_for(lambda: out.exists() and out.read_text().count("\n") == 1)
        with Reader(db) as reader:
            ledger = reader.read(lambda conn: conn.execute("SELECT state, key FROM delivery").fetchall())
        assert ledger == [("pending", out.read_text().strip())], "written before its body began"
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    go.touch()
    for _ in range(2):  # the second time there is nothing to be done
        done = subprocess.run([*words, "--date", "2026-06-15"] if _ else words, cwd=tmp_path, env=environment(), capture_output=True, timeout=60, check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
    keys = Counter(out.read_text().split())
    with Reader(db) as reader:
        ledger = reader.read(lambda conn: conn.execute("SELECT state, key FROM delivery ORDER BY 1, delivery_id").fetchall())  # fmt: skip
        assert reader.read(invariants.check) == []
    assert [state for state, _ in ledger] == ["delivered"] * len(ledger)
    assert set(keys) == {key for _, key in ledger}
    assert sorted(keys.values()) in ([2], [1, 2]), (
        "the other side has seen one key twice, and knows it by that"
    )


def wait_for(true: Callable[[], bool]) -> bool:
    import time

    for _ in range(1500):
        if true():
            return True
        time.sleep(0.01)
    return False
