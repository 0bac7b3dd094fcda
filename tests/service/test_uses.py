"""Decisions over every door: may it be used, why is it held, what do people let out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide.runtime.assets.words import Severity
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.store.reader import AsyncReader, Reader
from tests.cli.conftest import Bide, bide
from tests.engine.declare import job
from tests.engine.scene import Scene
from tests.engine.test_publishing import FAR, HOURLY, edge, found, gate, run
from tests.service.test_assets import Clock, Direct

__all__ = ["bide"]
DAY = "2026-01-01T00:00..2026-01-01T01:00"


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene(tmp_path / "bide.db")
    scene.dag("make_silver", job("silver", outlets=("silver",)), schedule=HOURLY, start_us=FAR)
    scene.dag("make_gold", job("gold", outlets=("gold",)), schedule=HOURLY, start_us=FAR)
    yield scene
    scene.close()


def ops(scene: Scene) -> Operations:
    return Operations(scene.db, AtOnce(Reader(scene.db)), Direct(scene), Clock(scene), held=True)


async def test_s1_57_may_use_answers_with_the_issues_and_the_versions(scene: Scene) -> None:
    assets = ops(scene).assets
    no = await assets.may_use("gold", DAY, "dashboard", "ann")
    assert (no.allowed, no.level, no.contract) == (False, "execution", None)
    assert [(issue.upstream, issue.result) for issue in no.issues] == [("gold", "missing")]
    run(scene, "gold")
    yes = await assets.may_use("gold", DAY, "dashboard")
    assert (yes.allowed, [line.version for line in yes.versions]) == (True, ["1"])
    newest = await assets.may_use("gold", purpose="dashboard")
    assert newest.allowed
    said = await assets.decisions("gold")
    assert [(line.id, line.phase, line.consumer, line.by) for line in said] == [
        ("3", "use", "dashboard", ""), ("2", "use", "dashboard", ""), ("1", "use", "dashboard", "ann"),
    ]  # fmt: skip
    with pytest.raises(UsageError, match="no interval"):
        await assets.may_use("gold", "yesterday", "dashboard")


async def test_s1_43_why_says_what_holds_a_task_and_what_became_of_its_version(scene: Scene) -> None:
    scene.declare(edge(missing="block_execution"))
    first = run(scene, "gold")
    why = await ops(scene).why(str(first), "gold")
    assert why.state == "blocked"
    assert "silver" in why.why
    assert why.next is not None
    assert f"bide assets decisions --run {first}" in why.next
    [decision] = await ops(scene).assets.decisions(run=str(first))
    assert (decision.phase, decision.task, decision.level) == ("executing", "gold", "execution")
    scene.declare(edge(missing="block_publication"))
    scene.end("gold", run=first)
    done = await ops(scene).why(str(first), "gold")
    assert done.state == "success"
    [detail] = [each for each in done.details if each.what == "gold version 1"]
    assert detail.value.startswith("validated and not let out: gold")


async def test_s1_31_show_says_what_gates_found_and_which_limitations_are_known(scene: Scene) -> None:
    scene.declare(gate("rows", Severity.MAJOR))
    run(scene, "gold", checks=found(rows=(False, Severity.MAJOR)))
    assets = ops(scene).assets
    shown = await assets.show("gold")
    assert shown.version is None, "nobody sees one"
    [version] = shown.versions
    assert (version.state, version.held, version.checks[0].name, version.checks[0].passed) == (
        "validated", True, "rows", False,
    )  # fmt: skip
    with pytest.raises(UsageError, match="`why`"):
        await assets.publish("1", "ann", "")
    done = await assets.degrade("1", ["rows are counted twice"], "ann", "needed", "2026-02-01")
    assert "until 2026-02-01" in done.done
    [version] = (await assets.show("gold")).versions
    assert version.limits is not None
    assert (version.limits.approved_by, version.limits.expires_at) == ("ann", "2026-02-01T00:00:00Z")


async def test_the_socket_gives_what_the_operations_give(scene: Scene, tmp_path: Path) -> None:
    scene.declare(gate("rows"))
    run(scene, "gold", checks=found(rows=False))
    run(scene, "silver")
    listener, reader = Listener(tmp_path / "s"), AsyncReader(scene.db)
    client = ServiceClient(listener.path, scene.db, timeout_s=20)
    here = Operations(scene.db, reader, Direct(scene), Clock(scene), held=True)
    async with serving(listener.socket, make_app(here, lambda: "")):

        async def over(ask: Callable[[Any], Any]) -> Any:
            return await asyncio.to_thread(lambda: asyncio.run(ask(client.assets)))

        use = await over(lambda assets: assets.may_use("gold", DAY, "dashboard", "ann"))
        assert (use.allowed, use.purpose) == (False, "dashboard")
        asks: tuple[Callable[[Any], Any], ...] = (
            lambda assets: assets.decisions("gold"),
            lambda assets: assets.show("gold"),
        )
        for ask in asks:
            assert await over(ask) == await ask(here.assets)
        with pytest.raises(RefusedError, match="published"):
            await over(lambda assets: assets.publish("2", "ann", "again"))
        assert "degraded" in (await over(lambda assets: assets.publish("1", "ann", "known"))).done
        limits = ["half of it"]
        assert "until" in (await over(lambda a: a.degrade("1", limits, "ann", "late", "2027-01-01"))).done
    reader.close()


def test_s1_57_in_the_terminal_no_is_exit_code_4(tmp_path: Path, bide: Bide) -> None:
    scene = Scene(tmp_path / "bide.db")
    scene.dag("make_gold", job("gold", outlets=("gold",)), schedule=HOURLY, start_us=FAR)
    scene.declare(gate("rows"))
    run(scene, "gold", checks=found(rows=False))
    scene.close()
    db = ("--db", str(tmp_path / "bide.db"))
    said = bide("assets", "use", "gold", "--for", "dashboard", *db)
    assert (said.code, said.out.split(":")[0]) == (4, "no")
    assert "quarantine" in bide("assets", "show", "gold", *db).out
    assert "gate rows (critical) failed" in bide("assets", "show", "gold", *db).out
    assert bide("assets", "publish", "1", *db).code == 2
    assert "degraded" in bide("assets", "publish", "1", "--by", "ann", "--why", "known", *db).out
    said = bide("assets", "use", "gold", "--for", "dashboard", "--json", *db)
    assert (said.code, msgspec.json.decode(said.out)["allowed"]) == (0, True)
    assert "dashboard" in bide("assets", "decisions", *db).out
    assert "accepted by ann" in bide("assets", "show", "gold", *db).out
    done = bide(
        "assets",
        "degrade",
        "1",
        "--limitation",
        "half",
        "--by",
        "bea",
        "--why",
        "late",
        "--expires",
        "2027-01-01",
        *db,
    )
    assert (done.code, "until 2027-01-01" in done.out) == (0, True)
