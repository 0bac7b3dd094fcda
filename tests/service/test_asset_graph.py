"""The asset graph, contracts and promises over every door: the database, the terminal, the service."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide.runtime.assets.declarations import declared, forget
from bide.runtime.graph.load import load_paths
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.testing import sim_runtime
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]

FILE = """
from bide import Asset, Cron, OnAssets, by, dag, task
from datetime import timedelta

silver = Asset("silver", node="canonical", owner="cases", grain="day", promise=by("04:00"))

@task(outlets=[silver], inlets=[Asset("crm", node="source")])
async def clean() -> None: ...

@task(outlets=[Asset("gold", criticality="high", owner="bi")], inlets=[silver])
async def build() -> None: ...

@dag(schedule=Cron("0 2 * * *", interval="day"), start="2026-01-01", catchup="none")
def cleaning():
    clean()

@dag(schedule=Cron("0 5 * * *", interval="day"), start="2026-01-01", catchup="none")
def building():
    build()
"""
TOML = """
[[contract]]
downstream = "gold"
upstream = "silver"
kind = "interval_match"
require = { interval = "same", freshness = "PT26H" }
on_failure = { stale = "warn" }
rationale = "figures of the day"

[[contract]]
downstream = "dashboard"
upstream = "gold"
kind = "publication"
"""


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    before = set(declared())
    folder = tmp_path / "dags"
    (folder / "contracts").mkdir(parents=True)
    (folder / "sla.py").write_text(FILE)
    (folder / "contracts" / "sla.toml").write_text(TOML)
    yield folder
    for source in set(declared()) - before:
        forget(source)


def load(project: Path, db: Path) -> None:
    """A runtime takes the files as they are now."""

    async def once() -> None:
        async with sim_runtime(load_paths([project]).dags, db=db):
            pass

    asyncio.run(once())


@pytest.fixture
def db(project: Path) -> Path:
    path = project.parent / "bide.db"
    load(project, path)
    return path


def answers(said: str) -> Any:
    return msgspec.json.decode(said)


def test_s0_39_s1_2_the_asset_graph_is_a_view_of_data_beside_that_of_tasks(db: Path, bide: Bide) -> None:
    found = answers(bide("assets", "graph", "--json", "--db", str(db)).out)
    nodes = {each["asset"]: each for each in found["assets"]}
    assert {name: each["node"] for name, each in nodes.items()} == {
        "crm": "source", "silver": "canonical", "gold": "derived", "dashboard": "derived",
    }  # fmt: skip
    assert (nodes["gold"]["driven"], nodes["crm"]["driven"]) == ("independent", "external")
    assert nodes["silver"]["made_by"] == ["cleaning.clean"]
    edges = {(each["downstream"], each["upstream"]): each for each in found["edges"]}
    assert edges["gold", "silver"]["kind"] == "interval_match"
    assert edges["gold", "silver"]["contract"] is True
    assert edges["silver", "crm"]["via"] == "cleaning.clean"
    assert edges["dashboard", "gold"]["publication"] == "only what is published"
    assert found["cycles"] == []
    table = bide("assets", "graph", "--db", str(db)).out
    assert "DRIVEN" in table
    assert "interval_match" in table


def test_s0_39_the_graph_as_a_picture(db: Path, bide: Bide) -> None:
    lines = bide("assets", "graph", "--mermaid", "--db", str(db)).out.splitlines()
    assert lines[0] == "flowchart LR"
    assert '    a0[("crm")]' in lines
    assert "    a3 -- interval_match --> a2" in lines
    assert "    a0 -.-> a3" in lines
    assert bide("assets", "graph", "--mermaid", "--json", "--db", str(db)).code == 2


def test_s1_15_a_contract_is_shown_with_every_rule_that_follows_and_who_says_it(db: Path, bide: Bide) -> None:
    [found] = [
        each
        for each in answers(bide("assets", "contracts", "silver", "--json", "--db", str(db)).out)
        if each["upstream"] == "silver"
    ]
    assert found["source"].endswith("sla.toml")
    assert found["require"] == ["same interval", "not older than 1 day, 2:00:00"]
    rules = {each["result"]: each for each in found["rules"]}
    assert (rules["stale"]["action"], rules["stale"]["said"]) == ("warn", True)
    assert (rules["missing"]["level"], rules["missing"]["said"]) == ("execution", False)
    assert all(each["rationale"] for each in found["rules"])
    shown = bide("assets", "contracts", "silver", "--db", str(db)).out
    assert "figures of the day" in shown
    assert "policy" in shown
    assert len(answers(bide("assets", "contracts", "--json", "--db", str(db)).out)) == 2
    wrong = bide("assets", "contracts", "silvr", "--db", str(db))
    assert (wrong.code, "did you mean 'silver'?" in wrong.err) == (3, True)


def test_d17_s3_27_promises_are_compared_anew_when_a_schedule_changes(
    project: Path, db: Path, bide: Bide
) -> None:
    found = answers(bide("assets", "promises", "--json", "--db", str(db)).out)
    assert [(each["what"], each["standing"], each["slack_minutes"]) for each in found] == [
        ("interval", "kept", 60), ("freshness", "kept", 26 * 60 - 5 * 60),
    ]  # fmt: skip
    (project / "sla.py").write_text(FILE.replace("0 5 * * *", "30 3 * * *"))
    load(project, db)
    found = answers(bide("assets", "promises", "--json", "--db", str(db)).out)
    assert [(each["what"], each["standing"], each["slack_minutes"]) for each in found] == [
        ("interval", "broken", -30), ("freshness", "broken", -90),
    ]  # fmt: skip
    assert "30 min too late" in found[0]["sentence"]
    assert "broken" in bide("assets", "promises", "--db", str(db)).out


def test_every_door_gives_the_same_graph(db: Path, tmp_path: Path) -> None:
    async def compare() -> None:
        async with sim_runtime([], db=db) as rt:
            listener = Listener(tmp_path / "s.sock")
            client = ServiceClient(listener.path, db)
            async with serving(listener.socket, make_app(rt.operations, lambda: "")):
                asks: tuple[Callable[[Any], Any], ...] = (
                    lambda graph: graph.graph(),
                    lambda graph: graph.contracts(),
                    lambda graph: graph.contracts("dashboard"),
                    lambda graph: graph.promises(),
                )
                for ask in asks:
                    here = await ask(rt.operations.asset_graph)
                    there = await asyncio.to_thread(lambda ask=ask: asyncio.run(ask(client.asset_graph)))  # type: ignore[misc]
                    assert msgspec.to_builtins(there) == msgspec.to_builtins(here)
            listener.close()

    asyncio.run(compare())
