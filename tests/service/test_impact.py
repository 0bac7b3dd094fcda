"""What is wrong and what was made of it, over every door: the operations, the socket, the terminal."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.store.reader import Reader
from bide.testing import sim_runtime
from tests.cli.conftest import Bide, bide
from tests.engine.scene import Scene
from tests.engine.test_invalidating import chain, staged
from tests.service.test_assets import Clock, Direct, plain

DAY_ONE = "1970-01-02"


class Stage:
    def __init__(self, db: Path) -> None:
        self.db = db
        self.scene = Scene(db)
        staged(self.scene, chain())
        self.scene.store._raw.execute(
            "UPDATE asset_version SET label = 's3://gold/2' WHERE asset_version_id = 7"
        )
        self.scene.store._raw.execute(
            "INSERT INTO asset_check VALUES (7, 'rows', 'critical', 1, '3', NULL, '', 0), (7, 'nulls', 'minor', 0, '1', NULL, '', 0)"
        )
        self.scene.store._raw.execute(
            "INSERT INTO delivery VALUES (1, 8, 'partner-a', 'append_only_export', 'k', 'delivered', NULL, 0, 5000000, '{}')"
        )

        for was, now in (("", "pending"), ("pending", "delivered")):
            self.scene.store._raw.execute(
                "INSERT INTO event SELECT max(seq) + 1, 0, 1, 'delivery', 1, NULL, ?, ?, '' FROM event",
                (was, now),
            )
        with patch.object(self.scene, "compare"):  # the delivery came in behind its back
            self.scene.crash()

    @property
    def ops(self) -> Operations:
        return Operations(self.db, AtOnce(Reader(self.db)), Direct(self.scene), Clock(self.scene), held=True)

    def ask(self, question: Any) -> Any:
        return plain(asyncio.run(question))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path / "bide.db")
    yield made
    made.scene.close()


def digest(db: Path) -> str:
    log = db.with_name(db.name + "-wal")
    return hashlib.sha256(db.read_bytes() + (log.read_bytes() if log.exists() else b"")).hexdigest()


def test_b43_s1_20_a_blast_radius_names_each_version_its_input_and_its_decision_and_changes_nothing(
    stage: Stage,
) -> None:
    before = digest(stage.db)
    found = stage.ask(stage.ops.assets.blast("raw", DAY_ONE, severity="critical"))
    assert digest(stage.db) == before
    assert (found["assets"], found["exports"], found["invalidation_id"]) == (
        ["raw", "silver", "gold", "export"],
        1,
        None,
    )
    assert [(node["version"], node["via"], node["decision"]["action"]) for node in found["nodes"]] == [
        ("5", None, "invalidate_downstream"),
        ("6", "5", "invalidate_downstream"),
        ("7", "6", "warn"),
        ("8", "7", "require_manual_approval"),
    ]
    gold = found["nodes"][2]
    assert gold["interval"] == {"start": "1970-01-02T00:00:00Z", "end": "1970-01-03T00:00:00Z"}
    assert gold["decision"] == {
        "action": "warn", "level": "none", "severity": "warning", "reason": "read of silver version 6", "to": "degraded",
        "corrected": [gold["interval"]],
    }  # fmt: skip


def test_b43_a_recorded_invalidation_shows_what_it_hit_as_it_was_decided_then(stage: Stage) -> None:
    asked = stage.ask(stage.ops.assets.blast("raw", DAY_ONE))
    done = stage.ask(
        stage.ops.assets.invalidate("raw", DAY_ONE, reason="twice", by="ada", evidence=["s3://proof"])
    )
    assert done["done"] == (
        "invalidation 1: 1 version of raw is marked, and what was made of it follows: "
        "`bide assets blast --invalidation 1` lists it"
    )
    hit = stage.ask(stage.ops.assets.blast(invalidation="1"))
    for node in (*hit["nodes"], *asked["nodes"]):
        node["decision"].pop("reason")
    assert hit["nodes"] == asked["nodes"]
    [line] = stage.ask(stage.ops.assets.invalidations())
    assert (line["asset"], line["state"], line["versions"], line["by"], line["evidence"], line["reason"]) == (
        "raw", "spread", 4, "ada", ["s3://proof"], "twice",
    )  # fmt: skip


def test_s1_34_a_command_that_bears_a_key_is_carried_out_once(stage: Stage) -> None:
    first = stage.ask(stage.ops.assets.invalidate("raw", DAY_ONE, key="k"))
    again = stage.ask(stage.ops.assets.invalidate("raw", DAY_ONE, key="k"))
    assert first == again
    assert len(stage.ask(stage.ops.assets.invalidations())) == 1


def test_s1_36_s1_38_lineage_tells_versions_intervals_gates_deliveries_and_who_was_told(stage: Stage) -> None:
    stage.ask(stage.ops.assets.invalidate("raw", DAY_ONE, severity="critical"))
    found = stage.ask(stage.ops.assets.lineage("8"))
    assert found["up"] == [
        {"version": "8", "input": "7", "kind": "read"},
        {"version": "7", "input": "6", "kind": "read"},
        {"version": "6", "input": "5", "kind": "read"},
    ]
    mine = found["version"]
    assert (mine["asset"], mine["target"], mine["delivery"], mine["delivered_at"]) == (
        "export", "partner-a", "delivered", "1970-01-01T00:00:05Z",
    )  # fmt: skip
    assert [one.split(" (alert ")[0] for one in found["told"]] == ["partners"]
    gold = next(each for each in found["versions"] if each["version"] == "7")
    assert (gold["label"], gold["state"]) == ("s3://gold/2", "degraded")
    assert gold["checks"] == [
        {"name": "nulls", "severity": "minor", "passed": False},
        {"name": "rows", "severity": "critical", "passed": True},
    ]
    down = stage.ask(stage.ops.assets.lineage("5", depth=2))
    assert [(edge["version"], edge["input"]) for edge in down["down"]] == [("6", "5"), ("7", "6")]


@pytest.mark.parametrize(
    ("question", "error", "sentence"),
    [
        ({"asset": "raw"}, UsageError, "a blast radius of what? an asset with an `interval`"),
        ({"asset": "raw", "interval": "yesterday"}, UsageError, "'yesterday' is no interval: write a day, 2026-06-15"),
        ({"asset": "raw", "interval": "2026-06-15..2026-06-14"}, UsageError, "it ends before it begins"),
        ({"asset": "rawer", "interval": DAY_ONE}, NotFoundError, "did you mean 'raw'?"),
        ({"interval": DAY_ONE}, UsageError, "an interval of which asset?"),
        ({"version": "99"}, NotFoundError, "there is no version 99"),
        ({"asset": "gold", "version": "5"}, NotFoundError, "there is no version 5 of gold"),
        ({"invalidation": "3"}, NotFoundError, "there is no invalidation 3: `bide assets invalidations` lists them"),
        ({"version": "5", "cause": "bad_luck"}, UsageError, "cause is 'bad_luck', and must be one of source_correction"),
        ({"version": "5", "severity": "huge"}, UsageError, "severity is 'huge', and must be one of info"),
    ],
)  # fmt: skip
def test_b43_a_question_that_means_nothing_is_answered_with_what_to_write(
    stage: Stage, question: dict[str, str], error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error) as told:
        asyncio.run(stage.ops.assets.blast(**question))
    assert sentence in str(told.value)


async def test_b42_b43_the_routes_give_what_the_operations_give(stage: Stage) -> None:
    listener, ops = Listener(stage.db.with_name("s")), stage.ops
    client = ServiceClient(listener.path, stage.db, timeout_s=20)
    async with serving(listener.socket, make_app(ops, lambda: "")):

        async def over(ask: Callable[[Any], Any]) -> Any:
            return plain(await asyncio.to_thread(lambda: asyncio.run(ask(client.assets))))

        asks: tuple[Callable[[Any], Any], ...] = (
            lambda assets: assets.blast("raw", DAY_ONE, severity="critical"),
            lambda assets: assets.invalidate(version="5", reason="twice", evidence=["s3://proof"], key="k"),
            lambda assets: assets.blast(invalidation="1"),
            lambda assets: assets.invalidations(),
            lambda assets: assets.lineage("7", 2),
        )
        for ask in asks:
            assert await over(ask) == plain(await ask(ops.assets))
        [line] = await over(lambda assets: assets.invalidations())
        assert (line["version"], line["versions"], line["state"]) == ("5", 4, "spread")
    listener.close()


async def test_b42_a_runtime_marks_spreads_and_answers(tmp_path: Path) -> None:
    prepared = Stage(tmp_path / "bide.db")
    prepared.scene.store.close_here()
    async with sim_runtime(db=tmp_path / "bide.db") as rt:
        done = await rt.assets.invalidate("raw", DAY_ONE, reason="twice")
        await rt.settled()
        hit = await rt.assets.blast(invalidation=done.invalidation_id)
        shown = await rt.assets.show("silver")
    assert [node.version for node in hit.nodes] == ["5", "6", "7", "8"]
    assert {one.version: one.state for one in shown.versions} == {
        "2": "published",
        "6": "invalidated",
        "10": "published",
    }


def test_b42_b43_the_terminal_shows_marks_and_follows_on_a_database_nobody_runs(
    stage: Stage, bide: Bide
) -> None:
    db = str(stage.db)
    stage.scene.store.close_here()
    said = bide("assets", "blast", "raw", "--interval", DAY_ONE, "--db", db)
    lines = said.out.splitlines()
    assert lines[0] == "raw, 1970-01-02 to 1970-01-03, source_correction: 4 versions are affected"
    assert lines[1].split() == [
        "ASSET",
        "INTERVAL",
        "VERSION",
        "VIA",
        "KIND",
        "STATE",
        "SEVERITY",
        "DECISION",
        "REASON",
    ]
    assert lines[4].split() == (
        [
            "gold",
            "1970-01-02",
            "to",
            "1970-01-03",
            "7",
            "6",
            "read",
            "published",
            "->",
            "degraded",
            "warning",
            "warn",
            "read",
            "of",
            "silver",
            "version",
            "6",
        ]
    )
    assert lines[-1].startswith("1 of them left the platform: no rerun takes that back")
    done = bide(
        "assets", "invalidate", "raw", "--interval", DAY_ONE, "--reason", "twice", "--by", "ada", "--db", db
    )
    assert (done.code, done.out.split(":")[0]) == (0, "invalidation 1")
    listed = msgspec.json.decode(bide("assets", "invalidations", "--json", "--db", db).out)
    assert [(one["invalidation_id"], one["state"], one["versions"]) for one in listed] == [("1", "spread", 4)]
    hit = msgspec.json.decode(bide("assets", "blast", "--invalidation", "1", "--json", "--db", db).out)
    assert [node["decision"]["to"] for node in hit["nodes"]] == [
        "invalidated",
        "invalidated",
        "degraded",
        "invalidated",
    ]
    shown = bide("assets", "lineage", "7", "--db", db).out.splitlines()
    assert shown[0] == (
        "version 7 of gold, 1970-01-02 to 1970-01-03: degraded, invalidation 1: read of silver version 6"
    )
    assert "gate rows (critical): passed" in shown
    assert any("delivered to partner-a" in line and line.startswith("to") for line in shown)
    refused = bide("assets", "invalidate", "raw", "--interval", "2026-06-15", "--db", db)
    assert refused.code == 4
    assert refused.err.startswith("bide: nothing of raw is invalidated: there is no version of it")
    stage.scene.store = type(stage.scene.store).open_here(stage.db, synchronous="NORMAL")
    stage.scene.close = stage.scene.store.close_here  # type: ignore[method-assign]


__all__ = ["bide"]
