"""Assets over every door: what is listed, why a DAG waits, what may be dropped and replayed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bide import AnyOf, Asset, Every, FailTask, OnAssets, dag, task
from bide.runtime.clock import from_us
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.store.reader import AsyncReader, Reader
from bide.testing import sim_runtime
from tests.cli.conftest import Bide, bide
from tests.engine.declare import HOUR_US, job
from tests.engine.scene import T0, Scene

A, B = Asset("raw/a"), Asset("raw/b")


class Direct:
    """A door that decides at once, on a scene."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        return self.scene.command(verb, **args)


class Clock:
    def __init__(self, scene: Scene) -> None:
        self.scene = scene

    def now(self) -> int:
        return self.scene.now

    def elapsed(self) -> int:
        return 0

    async def sleep_until(self, at_us: int) -> None:
        raise AssertionError("nothing here waits")


class Stage:
    def __init__(self, db: Path) -> None:
        self.db = db
        self.scene = Scene(db, slots=50)
        grid = Every(hours=1, anchor=from_us(T0))
        for name in ("raw/a", "raw/b"):
            task = job(f"load_{name[-1]}", outlets=(name,))
            self.scene.dag(f"make_{name[-1]}", task, schedule=grid, start_us=T0 * 2)

    def mart(self, schedule: OnAssets | AnyOf, **options: Any) -> None:
        self.scene.dag("mart", job("t"), schedule=schedule, **options)

    def makes(self, name: str, hour: int = 0) -> None:
        run = self.scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)
        self.scene.end(f"load_{name}", run=run)

    @property
    def ops(self) -> Operations:
        reader = AtOnce(Reader(self.db))
        return Operations(self.db, reader, Direct(self.scene), Clock(self.scene), held=True)

    def why(self) -> Any:
        return asyncio.run(self.ops.assets.why("mart"))

    def details(self) -> dict[str, str]:
        return {detail.what: detail.value for detail in self.why().details}


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path / "bide.db")


def plain(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_assets_are_listed_with_who_makes_them_and_who_looks_at_them(stage: Stage) -> None:
    stage.mart(OnAssets(A & B, consume="each"))
    stage.makes("a")
    found = plain(asyncio.run(stage.ops.assets.listed()))
    assert found == [
        {
            "asset": "raw/a",
            "version": "1",
            "interval": {"start": "2026-01-01T00:00:00Z", "end": "2026-01-01T01:00:00Z"},
            "created_at": "2026-01-01T00:00:00Z",
            "producers": ["make_a.load_a"],
            "consumers": ["mart"],
        },
        {
            "asset": "raw/b", "version": None, "interval": None, "created_at": None,
            "producers": ["make_b.load_b"], "consumers": ["mart"],
        },
    ]  # fmt: skip


def test_an_asset_is_shown_with_its_versions_and_the_runs_they_made(stage: Stage) -> None:
    stage.mart(OnAssets(A, consume="each"))
    stage.makes("a")
    stage.makes("a", 1)
    shown = asyncio.run(stage.ops.assets.show("raw/a"))
    assert [(v.version, v.task, v.run_id, v.runs) for v in shown.versions] == [
        ("2", "load_a", "3", ("4",)),
        ("1", "load_a", "1", ("2",)),
    ]
    with pytest.raises(NotFoundError, match="did you mean 'raw/a'"):
        asyncio.run(stage.ops.assets.show("raw/aa"))


# --- why -----------------------------------------------------------------------------------------


def test_c43_c48_why_tells_which_of_the_assets_are_missing_as_a_truth_table(stage: Stage) -> None:
    stage.mart(OnAssets(A & B, consume="latest"))
    assert stage.why().why == "none of the 2 assets it looks at has a new version"
    stage.makes("a")
    why = stage.why()
    assert (why.state, why.why) == ("waiting", "waits for 1 of 2 assets: raw/b")
    assert plain(why.details) == [
        {"what": "condition", "value": "raw/a and raw/b"},
        {"what": "raw/a", "value": "true: 1 unconsumed version, since 2026-01-01 00:00:00Z (now)"},
        {"what": "raw/b", "value": "false: it has no version yet"},
    ]


def test_c48_why_names_the_interval_whose_other_side_is_missing(stage: Stage) -> None:
    stage.mart(OnAssets(A & B, consume="each"))
    stage.makes("a", 0)
    stage.makes("b", 1)
    assert stage.why().why == "waits for 1 of 2 assets for 2026-01-01 00:00Z to 2026-01-01 01:00Z: raw/b"


def test_b33_why_tells_how_much_of_a_period_is_there(stage: Stage) -> None:
    stage.mart(OnAssets(A, consume="each", interval="day", tz="UTC"))
    for hour in range(6):
        stage.makes("a", hour)
    assert "raw/a (25% of it is there)" in stage.why().why


def test_c42_why_tells_of_a_pause_and_of_versions_that_gather(stage: Stage) -> None:
    stage.mart(OnAssets(A, consume="batch"), max_active_runs=1)
    stage.makes("a")
    stage.makes("a")
    assert stage.why().why == (
        '1 unconsumed version waits for its next run (consume="batch"): 1 of the 1 runs it may have at once '
        "(max_active_runs) are not over"
    )
    stage.scene.command("pause", dag="mart")
    assert stage.why().why == "it is paused, with 1 unconsumed version"


def test_c40_why_of_a_run_tells_which_versions_made_it(stage: Stage) -> None:
    stage.mart(OnAssets(A & B, consume="latest"))
    stage.makes("a")
    stage.makes("a", 1)
    stage.makes("b", 1)
    why = asyncio.run(stage.ops.why("4"))
    assert [(d.what, d.value) for d in why.details if "version" in d.value] == [
        ("made of", "raw/a version 2, 2026-01-01T01:00:00Z to 2026-01-01T02:00:00Z"),
        ("made of", "raw/b version 3, 2026-01-01T01:00:00Z to 2026-01-01T02:00:00Z"),
        ("passed over", "raw/a version 1, 2026-01-01T00:00:00Z to 2026-01-01T01:00:00Z"),
    ]


def test_c43_why_says_of_a_dag_that_looks_at_no_asset_what_its_next_run_waits_for(stage: Stage) -> None:
    def why(dag: str) -> Any:
        return asyncio.run(stage.ops.assets.why(dag))

    scene = stage.scene
    assert "its next firing is at 2" in why("make_a").why
    scene.dag("by_hand", job("t"))
    assert why("by_hand").why == "no firing lies before it: a run is made when somebody asks"
    assert why("by_hand").next == "`bide trigger by_hand` makes a run"
    scene.dag("hourly", job("t"), schedule=Every(hours=1, anchor=from_us(T0)))
    scene.command("pause", dag="hourly")
    assert (why("hourly").state, why("hourly").why) == ("paused", "it is paused")
    scene.dag("done", job("t"), schedule=Every(hours=1, anchor=from_us(T0)), start_us=T0 - HOUR_US, end_us=T0)
    assert why("done").why.startswith("its schedule ended at 2026-01-01 00:00:00Z")
    with pytest.raises(NotFoundError, match="there is no DAG 'nope'"):
        why("nope")


def test_c43_why_names_the_clock_that_makes_a_run_without_the_assets(stage: Stage) -> None:
    either = AnyOf(OnAssets(Asset("raw/a"), consume="each"), Every(hours=1, anchor=from_us(T0)))
    stage.mart(either)
    assert "; the clock fires at 2026-01-01 0" in str(stage.why().next)


def test_c43_why_tells_intervals_within_a_minute_apart(stage: Stage) -> None:
    from bide.runtime.engine.explain.consumer import _span

    assert _span((T0 + 2_000_000, T0 + 4_000_000)) == "2026-01-01 00:00:02Z to 2026-01-01 00:00:04Z"


# --- drop, replay --------------------------------------------------------------------------------


def test_c36_what_is_pending_is_listed_and_dropped_on_record(stage: Stage) -> None:
    stage.mart(OnAssets(A & B, consume="batch"))
    for hour in range(3):
        stage.makes("a", hour)
    events = asyncio.run(stage.ops.assets.events("mart"))
    assert [(e.version, e.asset, e.state, e.run_id) for e in events] == [
        (str(version), "raw/a", "pending", None) for version in (1, 2, 3)
    ]
    done = asyncio.run(stage.ops.assets.drop("mart", versions=["2"], reason="a wrong file"))
    assert done.done == "1 version dropped for mart: no run is made of it"
    asyncio.run(stage.ops.assets.drop("mart", until="2026-01-01T01:00"))
    stage.makes("b")
    everything = asyncio.run(stage.ops.assets.events("mart", everything=True))
    assert [(e.version, e.state, e.run_id, e.reason) for e in everything] == [
        ("4", "used", "5", ""),
        ("3", "used", "5", ""),
        ("2", "dropped", None, "a wrong file"),
        ("1", "dropped", None, "dropped by hand"),
    ]
    assert ("dropped", "raw/a version 2: a wrong file") in stage.scene.said("dag")


def test_c36_versions_are_had_again_by_runs_of_their_own(stage: Stage) -> None:
    stage.mart(OnAssets(A, consume="each"))
    for hour in range(3):
        stage.makes("a", hour)
    done = asyncio.run(stage.ops.assets.replay("mart", "2"))
    assert done.done == "mart has 2 versions before it once more"
    asyncio.run(stage.ops.assets.replay("mart", "3"))
    keys = [
        key for (key,) in stage.scene._rows("SELECT run_key FROM run WHERE kind = 'asset' ORDER BY run_id")
    ]
    assert keys == ["asset:1", "asset:2", "asset:3", "asset:2r1", "asset:3r1", "asset:3r2"]
    again = [(e.version, e.again) for e in asyncio.run(stage.ops.assets.events("mart", everything=True))]
    assert again == [("3", 2), ("3", 1), ("3", 0), ("2", 1), ("2", 0), ("1", 0)]


def test_c36_a_replay_reaches_back_before_the_first_load(stage: Stage) -> None:
    stage.makes("a")
    stage.scene.now += HOUR_US
    stage.makes("a", 1)
    stage.mart(OnAssets(A, consume="each"))
    assert stage.scene.runs("mart") == []
    asyncio.run(stage.ops.assets.replay("mart", "2026-01-01T00:30:00Z"))
    assert stage.scene._rows("SELECT asset_version_id, again FROM run_trigger") == [(2, 0)]


def test_c36_a_corrected_day_is_replayed_whole(stage: Stage) -> None:
    stage.mart(OnAssets(A, consume="each", interval="day", tz="UTC"))
    for hour in range(24):
        stage.makes("a", hour)
    asyncio.run(stage.ops.assets.replay("mart", "5"))
    days = stage.scene._rows("SELECT start_us, end_us FROM run WHERE kind = 'asset'")
    assert days == [(T0, T0 + 24 * HOUR_US)] * 2


@pytest.mark.parametrize(
    ("ask", "kind", "says"),
    [
        (lambda ops: ops.drop("mart"), UsageError, "drop which versions"),
        (lambda ops: ops.drop("mart", versions=["9"]), NotFoundError, "version 9 is not pending for mart"),
        (lambda ops: ops.drop("mart", versions=["x"]), UsageError, "'x' names no version"),
        (lambda ops: ops.drop("mart", asset="raw/b", everything=True), NotFoundError, "does not look at"),
        (lambda ops: ops.drop("make_a", everything=True), RefusedError, "looks at no asset"),
        (lambda ops: ops.replay("mart", "9"), RefusedError, "no version of raw/a from there on"),
        (lambda ops: ops.replay("mart", "soon"), UsageError, "is no date"),
        (lambda ops: ops.events("mart", limit=0), UsageError, "a limit of 0"),
    ],
)
def test_c36_what_cannot_be_meant_is_refused_and_changes_nothing(
    stage: Stage, ask: Callable[[Any], Any], kind: type[Exception], says: str
) -> None:
    stage.mart(OnAssets(A, consume="each"))
    with pytest.raises(kind, match=says):
        asyncio.run(ask(stage.ops.assets))
    assert stage.scene._rows("SELECT count(*) FROM asset_drop") == [(0,)]


# --- the other doors -----------------------------------------------------------------------------


async def test_the_routes_of_assets_give_what_the_operations_give(tmp_path: Path) -> None:
    stage = Stage(tmp_path / "bide.db")
    stage.mart(OnAssets(A & B, consume="each"))
    stage.makes("a")
    listener, reader = Listener(tmp_path / "s"), AsyncReader(stage.db)
    client = ServiceClient(listener.path, stage.db, timeout_s=20)
    ops = Operations(stage.db, reader, Direct(stage.scene), Clock(stage.scene), held=True)
    async with serving(listener.socket, make_app(ops, lambda: "")):

        async def over(ask: Callable[[Any], Any]) -> Any:
            return plain(await asyncio.to_thread(lambda: asyncio.run(ask(client.assets))))

        asks: tuple[Callable[[Any], Any], ...] = (
            lambda assets: assets.listed(),
            lambda assets: assets.show("raw/a"),
            lambda assets: assets.why("mart"),
            lambda assets: assets.events("mart"),
            lambda assets: assets.events("mart", True, 5),
        )
        for ask in asks:
            assert await over(ask) == plain(await ask(ops.assets))
        dropped = await over(lambda assets: assets.drop("mart", everything=True, reason="late"))
        assert dropped["result"] == {"dag": "mart", "dropped": [1]}
        replayed = await over(lambda assets: assets.replay("mart", "1", "raw/a"))
        assert replayed["result"] == {"dag": "mart", "replayed": [1]}
    reader.close()
    listener.close()
    stage.scene.close()


def test_the_terminal_lists_drops_and_replays_on_a_database_nobody_runs(stage: Stage, bide: Bide) -> None:
    stage.mart(OnAssets(A & B, consume="each"))
    stage.makes("a")
    stage.scene.close()
    db = ("--db", str(stage.db))
    assert "raw/a  1" in bide("assets", *db).out
    assert msgspec.json.decode(bide("assets", "list", "--json", *db).out)[1]["asset"] == "raw/b"
    assert "make_a.load_a" in bide("assets", "show", "raw/a", *db).out
    assert "waits for 1 of 2 assets" in bide("why", "mart", *db).out
    assert msgspec.json.decode(bide("why", "mart", "--json", *db).out)["state"] == "waiting"
    [event] = msgspec.json.decode(bide("assets", "events", "list", "mart", "--json", *db).out)
    assert (event["version"], event["state"]) == ("1", "pending")
    assert bide("assets", "events", "drop", "mart", *db).code == 2
    assert "1 version dropped" in bide("assets", "events", "drop", "mart", "--all", *db).out
    assert "nothing is pending for mart" in bide("assets", "events", "list", "mart", *db).err
    assert "dropped" in bide("assets", "events", "list", "mart", "--all", *db).out
    assert "once more" in bide("assets", "events", "replay", "mart", "--from", "1", *db).out
    assert "1" in bide("assets", "events", "list", "mart", *db).out


__all__ = ["bide"]


async def test_c52_what_a_command_session_publishes_makes_its_run_when_a_runtime_comes(
    tmp_path: Path, bide: Bide
) -> None:
    db = tmp_path / "bide.db"

    @task(outlets=[A])
    async def load() -> None:
        raise FailTask("not today")

    @task
    async def use() -> None: ...

    @dag
    def maker() -> None:
        load()

    @dag(schedule=OnAssets(A, consume="each"))
    def mart() -> None:
        use()

    async with sim_runtime([maker, mart], db=db) as rt:
        run = await rt.trigger("maker", logical_date="2026-06-15")
        assert (await run.wait()).state == "failed"
    said = await asyncio.to_thread(bide, "mark", run.run_id, "load", "success", "--db", str(db))
    assert said.code == 0, said.err
    [event] = msgspec.json.decode(
        (await asyncio.to_thread(bide, "assets", "events", "list", "mart", "--json", "--db", str(db))).out
    )
    assert (event["version"], event["state"]) == ("1", "pending")
    async with sim_runtime([maker, mart], db=db) as rt:
        await rt.clock.settle()
        [made] = [line for line in await rt.operations.runs("mart") if line.kind == "asset"]
        assert made.logical_date == "2026-06-15T00:00:00Z"
        assert (await rt.wait(made.run_id)).state == "success"
