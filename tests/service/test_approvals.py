"""Approvals through every door: a runtime, the REST routes at a socket, the terminal, a database that nobody runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import Asset, Runtime, approval, dag, task
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.testing import sim_runtime
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]


@task
async def ship(by: str) -> str:
    return f"shipped for {by}"


@dag(params={"what": "figures"})
def release() -> None:
    ok = approval("ok", prompt="release the {params.what}?", who=["ann", "bob"], expires=timedelta(hours=12))
    ship(ok["by"])


async def asked(rt: Runtime) -> Any:
    """The one that is open, once it is."""
    for _ in range(500):
        if found := await rt.approvals.listed():
            return found[0]
        await asyncio.sleep(0.002)
    raise AssertionError("nobody is asked")


async def test_b55_a_runtime_lists_approves_and_goes_on() -> None:
    async with sim_runtime(dags=[release]) as rt:
        run = await rt.trigger("release")
        one = await asked(rt)
        assert msgspec.to_builtins(one) == {
            "id": "1", "kind": "task", "state": "open", "subject": f"release.ok of run {run.run_id}",
            "prompt": "release the figures?", "who": ("ann", "bob"), "run_id": run.run_id, "dag": "release",
            "task": "ok", "asked_at": one.asked_at, "expires_at": one.expires_at, "decided_at": None,
            "by": None, "why": None, "about": None,
        }  # fmt: skip
        why = await rt.operations.why(run.run_id, "ok")
        assert why.why == "waits for ann or bob to approve it (approval 1): release the figures?"
        assert why.next is not None
        assert "bide approvals approve 1" in why.next
        with pytest.raises(RefusedError, match="not for eve"):
            await rt.approvals.approve("1", "eve", "let me")
        assert (await rt.approvals.approve(None, "ann", "they match")).done == "approval 1 is approved by ann"
        result = await run.wait(5)
        assert result.outputs["ship"] == "shipped for ann"
        assert await rt.approvals.listed() == []
        [over] = await rt.approvals.listed(None, run.run_id)
        assert (over.state, over.by, over.why) == ("approved", "ann", "they match")


async def test_b55_c78_in_a_simulated_runtime_time_denies_it() -> None:
    async with sim_runtime(dags=[release]) as rt:
        run = await rt.trigger("release")
        await asked(rt)
        await rt.clock.advance(timedelta(hours=13))
        assert (await run.wait(5)).state == "failed"
        why = await rt.operations.why(run.run_id, "ok")
        assert why.why.startswith("it failed: expired: nobody decided in time")


async def test_b55_wrong_words_are_told(tmp_path: Path) -> None:
    async with Runtime(tmp_path / "bide.db", dags=[release]) as rt:
        with pytest.raises(UsageError, match="is no state of an approval"):
            await rt.approvals.listed("opne")
        with pytest.raises(UsageError, match="a limit of 0"):
            await rt.approvals.listed(limit=0)
        with pytest.raises(NotFoundError):
            await rt.approvals.listed(run="77")
        with pytest.raises(RefusedError, match="which approval\\? open are none"):
            await rt.approvals.approve(None, "ann", "x")
        with pytest.raises(UsageError, match="names no approval"):
            await rt.approvals.approve("ok", "ann", "x")


async def test_b55_over_the_socket_it_is_the_same(tmp_path: Path) -> None:
    db = tmp_path / "bide.db"
    async with Runtime(db, dags=[release]) as rt:
        listener = Listener(tmp_path / "s")
        client = ServiceClient(listener.path, db, timeout_s=20)

        async def over(ask: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(ask(client.approvals)))

        async with serving(listener.socket, make_app(rt.operations, lambda: "")):
            run = await rt.trigger("release")
            one = await asked(rt)
            assert await over(lambda there: there.listed()) == [one]
            with pytest.raises(RefusedError, match="not for eve"):
                await over(lambda there: there.approve("1", "eve", "x"))
            done = await over(lambda there: there.reject(None, "bob", "not yet"))
            assert done.done == "approval 1 is rejected by bob"
            assert (await run.wait(5)).state == "failed"
            every = await over(lambda there: there.listed(None, run.run_id))
            assert [each.state for each in every] == ["rejected"]
        listener.close()


async def _leave_open(db: Path) -> None:
    async with Runtime(db, dags=[release]) as rt:
        await rt.trigger("release")
        await asked(rt)


def test_b55_the_terminal_decides_on_a_database_that_nobody_runs(tmp_path: Path, bide: Bide) -> None:
    db = tmp_path / "bide.db"
    asyncio.run(_leave_open(db))
    said = bide("approvals", "--db", str(db))
    assert (said.code, said.out.split()[:2]) == (0, ["APPROVAL", "OF"])
    assert "release the figures?" in said.out
    assert "ann, bob" in said.out
    [line] = msgspec.json.decode(bide("approvals", "list", "--json", "--db", str(db)).out)
    assert (line["id"], line["state"], line["who"]) == ("1", "open", ["ann", "bob"])
    shown = bide("approvals", "show", "1", "--db", str(db)).out
    assert "ann, bob may decide, until 20" in shown
    evidence = msgspec.json.decode(bide("approvals", "show", "1", "--json", "--db", str(db)).out)["evidence"]
    assert (evidence["id"], evidence["results"], evidence["versions"]) == ("1", [], [])
    refused = bide("approvals", "approve", "1", "--by", "eve", "--why", "x", "--db", str(db))
    assert (refused.code, "not for eve" in refused.err) == (4, True)
    done = bide("approvals", "approve", "--by", "ann", "--why", "they match", "--db", str(db))
    assert (done.code, done.out) == (0, "approval 1 is approved by ann\n")
    assert "start `bide serve`" in done.err
    empty = bide("approvals", "--db", str(db))
    assert (empty.code, empty.out, empty.err) == (0, "", "nobody is asked for anything\n")
    assert "ann: they match" in bide("approvals", "--all", "--db", str(db)).out
    again = bide("approvals", "reject", "1", "--by", "bob", "--why", "x", "--db", str(db))
    assert (again.code, "approved by ann already" in again.err) == (4, True)
    asyncio.run(_taken_up(db))


async def _taken_up(db: Path) -> None:
    """The next runtime goes on from what was approved meanwhile."""
    async with Runtime(db, dags=[release]) as rt:
        result = await rt.wait("1", 5)
        assert result.outputs["ship"] == "shipped for ann"


def test_b55_who_and_why_are_asked_for(tmp_path: Path, bide: Bide) -> None:
    assert bide("approvals", "approve", "1", "--by", "ann").code == 2
    assert bide("approvals", "reject", "1", "--why", "x").code == 2


async def test_b55_what_is_known_before_an_answer_is_shown_with_it() -> None:
    figures = Asset("approvals.figures")

    @task(outlets=[figures])
    async def count() -> dict[str, int]:
        return {"rows": 3}

    @task
    async def long() -> str:
        return "x" * 5_000

    @dag
    def looked_at() -> None:
        [count(), long()] >> approval("ok", prompt="go on?")

    async with sim_runtime(dags=[looked_at]) as rt:
        await rt.trigger("looked_at", logical_date="2026-03-01")
        one = await asked(rt)
        found = await rt.approvals.evidence(one.id)
        assert [(each.task, each.state, each.whole) for each in found.results] == [
            ("count", "success", True),
            ("long", "success", False),
        ]
        assert found.results[0].value == '{"rows":3}'
        assert len(found.results[1].value or "") == 2_000
        assert [(each.asset, each.state) for each in found.versions] == [("approvals.figures", "published")]
        assert (found.decided, found.issues, found.plan, found.delivery) == (None, (), None, None)
        with pytest.raises(NotFoundError, match="there is no approval 99"):
            await rt.approvals.evidence("99")
