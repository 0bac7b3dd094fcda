"""The operations answer in the shapes of the terminal and of REST, and refuse what cannot be meant."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from bide.runtime.engine.explain import Look, Progress, Refusal
from bide.runtime.engine.states import RunState, State
from bide.runtime.engine.world import World
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.holds import Held
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.pulse import Pulse
from bide.runtime.store.reader import Reader
from bide.runtime.triggerer.registration import Looked, SourceSeen
from tests.service.conftest import write_world
from tests.store.rows import T0

T = TypeVar("T")

AT = "2026-06-15T00:00:00.000002Z"


def as_json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


class FixedClock:
    def now(self) -> int:
        return T0 + 8

    def elapsed(self) -> int:
        return 0

    async def sleep_until(self, at_us: int) -> None:
        raise AssertionError("nothing here waits")


class Book:
    """A door that writes down what it was told, and answers with a run id."""

    def __init__(self) -> None:
        self.told: list[tuple[str, dict[str, Any]]] = []

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        self.told.append((verb, args))
        return {"run_id": 9, "state": "cancelled", "deadline_us": args.get("deadline_us", 0)}


class Living:
    slots, slots_in_use = 4, 1

    held: tuple[Held, ...] = ()
    bodies = frozenset[int]()
    watched = frozenset[int]()
    unwatched = frozenset[int]()
    left_out: dict[str, str] = {}  # noqa: RUF012
    unread: tuple[tuple[str, str, str], ...] = ()
    full = ""
    exported = notifier = config = None

    async def settled(self) -> None: ...

    def look(self, wait_id: int) -> Look | None:
        return Look(at_us=T0 + 7, answer="no such file", next_us=T0 + 9)

    def seen(self, wait_id: int) -> Looked | None:
        return Looked(T0 + 7, "no such file", T0 + 9, 3, "file", shared=1)

    def source_of(self, wait_id: int) -> SourceSeen | None:
        return SourceSeen("file", 1, None, "", None)

    def refusal(self, instance_id: int) -> Refusal | None:
        return None

    stopping = False
    pulse = Pulse(
        lag_s=0.0, epoch=1, turns=9, inbox=0, bodies=1, blocked=0, readers=0, armed=1, sources={"time": 1}, notes=(),
        pools=(("narrow", 1, 1),),
    )  # fmt: skip

    def between_turns(self, question: Callable[[World, int], T]) -> T:
        return question(World(epoch=1, slots=4, pools={}), T0)

    def backfill_hold(self, backfill_id: int) -> str:
        return ""

    def budget(self, instance_id: int) -> str:
        return ""

    def backfill_budget(self, backfill_id: int) -> str:
        return ""

    def progress(self, attempt_id: int) -> Progress | None:
        return None

    def code_error(self, dag: str) -> str:
        return ""


@pytest.fixture
def door() -> Book:
    return Book()


@pytest.fixture
def ops(db: Path, door: Book) -> Iterator[Operations]:
    with Reader(db) as reader:
        yield Operations(db, AtOnce(reader), door, FixedClock())


async def test_dags_have_the_keys_of_the_terminal(ops: Operations) -> None:
    assert as_json(await ops.dags()) == [
        {
            "dag": "etl",
            "schedule": "started by hand",
            "paused": False,
            "next_fires_at": None,
            "last_state": "failed",
            "code_error": None,
        }
    ]


async def test_show_has_the_keys_of_the_terminal(ops: Operations) -> None:
    shown = as_json(await ops.show("2"))
    promised = ("task", "map_index", "state", "attempts", "reason")
    shown["tasks"] = [{key: task[key] for key in promised} for task in shown["tasks"]]
    assert shown.pop("alerts") == []
    assert shown.pop("kind") == "manual"
    assert shown.pop("version") == "h1"
    made = {key: shown.pop(key) for key in ("reason", "made", "who", "params", "params_bytes", "hidden")}
    assert made == {"reason": "", "made": "", "who": None, "params": {}, "params_bytes": 2, "hidden": []}
    assert shown == {
        "run_id": "2",
        "dag": "etl",
        "state": "running",
        "logical_date": AT,
        "interval": {"start": AT, "end": AT},
        "tasks": [
            {
                "task": "drop",
                "map_index": -1,
                "state": "deferred",
                "attempts": 1,
                "reason": "",
            },
            {
                "task": "load",
                "map_index": -1,
                "state": "pending",
                "attempts": 0,
                "reason": "",
            },
            {
                "task": "send",
                "map_index": -1,
                "state": "pending",
                "attempts": 0,
                "reason": "",
            },
        ],
    }


async def test_waits_have_the_keys_of_the_terminal(ops: Operations) -> None:
    (wait,) = as_json(await ops.waits())
    assert list(wait) == [
        "id", "run_id", "task", "trigger", "source", "since", "deadline", "next_look", "last_look", "dag",
        "kind", "saw", "every_seconds", "looks", "failures", "sharers", "key",
    ]  # fmt: skip
    assert (wait["id"], wait["run_id"], wait["task"], wait["dag"]) == ("2", "2", "drop", "etl")
    assert wait["trigger"].startswith("file")
    assert wait["last_look"] is None


async def test_a_live_runtime_adds_the_looks(db: Path, door: Book) -> None:
    with Reader(db) as reader:
        living = Operations(db, AtOnce(reader), door, FixedClock(), Living())
        (wait,) = await living.waits()
        why = await living.why("2", "drop")
    assert wait.last_look == "2026-06-15T00:00:00.000007Z"
    assert wait.next_look == "2026-06-15T00:00:00.000009Z"
    assert (wait.saw, wait.looks, wait.sharers) == ("no such file", 3, 1)
    assert "no such file" in why.why


async def test_runs_are_the_newest_first_and_can_be_narrowed(ops: Operations) -> None:
    assert [run.run_id for run in await ops.runs()] == ["3", "2", "1"]
    assert [run.run_id for run in await ops.runs("etl", "success")] == ["1"]
    assert len(await ops.runs(limit=2)) == 2


async def test_why_names_the_upstream_that_failed_and_its_error(ops: Operations) -> None:
    why = await ops.why("3", "send")
    assert "load is failed: OSError: no route" in why.why
    run = await ops.why("3")
    assert "load failed: OSError: no route" in run.why
    assert run.task is None


async def test_why_without_a_runtime_says_that_nothing_moves(ops: Operations) -> None:
    why = await ops.why("2", "drop")
    assert "bide serve" in (why.next or "")
    assert (await ops.why("2", "load")).why.startswith("waits for 1 of 1 upstreams")


async def test_c22_the_log_of_the_waiting_phase_can_be_read(ops: Operations, db: Path) -> None:
    folder = db.with_name("bide.db.logs")
    folder.mkdir()
    (folder / "211.log").write_bytes(b"looked: no such file\nlooked again \xff\n")
    part = await ops.logs("2", "drop")
    assert part.text == "looked: no such file\nlooked again \ufffd\n"
    assert (part.attempt, part.over) == (1, False)
    assert (await ops.logs("2", "drop", offset=part.next_offset)).text == ""


async def test_a_long_log_comes_in_pieces_of_whole_lines(ops: Operations, db: Path) -> None:
    folder = db.with_name("bide.db.logs")
    folder.mkdir()
    text = "".join(f"line {n}\n" for n in range(100))
    (folder / "122.log").write_text(text)
    got, offset, over = "", 0, False
    while not over:
        part = await ops.logs("1", "load", offset=offset, limit=50)
        assert part.text.endswith("\n")
        got, offset, over = got + part.text, part.next_offset, part.over
    assert got == text


async def test_a_task_that_has_not_started_has_an_empty_log(ops: Operations) -> None:
    part = await ops.logs("2", "send")
    assert (part.attempt, part.text, part.over) == (0, "", False)


async def test_doctor_finds_a_sound_database_sound(ops: Operations) -> None:
    health = await ops.doctor()
    assert {check.name for check in health.checks} >= {"SQLite", "schema", "disk", "lock", "clock"}
    assert all(check.found for check in health.checks)
    assert all(check.ok for check in health.checks if check.name not in ("invariant", "clock"))


async def test_commands_reach_the_door_as_the_engine_wants_them(ops: Operations, door: Book) -> None:
    assert (await ops.trigger("etl", "2026-06-15", {"n": 1}, key="k")).run_id == "9"
    await ops.cancel("2")
    await ops.rerun("3", "load", downstream=True)
    await ops.mark("3", "load", "success")
    await ops.pause("etl")
    await ops.unpause("etl")
    await ops.wait_look("2")
    await ops.wait_extend("2", "+1h")
    await ops.wait_satisfy("2", {"path": "x"})
    await ops.wait_fail("2", "gone")
    assert door.told == [
        ("trigger", {"dag": "etl", "logical_us": T0, "params": {"n": 1}, "new": False, "key": "k"}),
        ("cancel", {"run_id": 2}),
        ("rerun", {"run_id": 3, "task": "load", "downstream": True, "whole": False}),
        ("mark", {"run_id": 3, "task": "load", "state": "success", "downstream": False}),
        ("pause", {"dag": "etl"}),
        ("unpause", {"dag": "etl"}),
        ("wait_look", {"wait_id": 2}),
        ("wait_extend", {"wait_id": 2, "deadline_us": T0 + 10 + 3_600_000_000}),
        ("wait_satisfy", {"wait_id": 2, "event": {"path": "x"}}),
        ("wait_fail", {"wait_id": 2, "reason": "gone"}),
    ]


@pytest.mark.parametrize(
    ("ask", "error", "says"),
    [
        (lambda o: o.show("99"), NotFoundError, "no run 99"),
        (lambda o: o.show("x"), UsageError, "names no run"),
        (lambda o: o.show("9" * 30), UsageError, "names no run"),
        (lambda o: o.why("99"), NotFoundError, "no run 99"),
        (lambda o: o.why("2", "laod"), NotFoundError, "did you mean 'load'"),
        (lambda o: o.why("2", ""), UsageError, "names no task"),
        (lambda o: o.logs("99", "load"), NotFoundError, "no run 99"),
        (lambda o: o.logs("1", "load", attempt=7), NotFoundError, "no attempt 7"),
        (lambda o: o.logs("1", "load", offset=-1), UsageError, "0 or later"),
        (lambda o: o.runs("elt"), NotFoundError, "did you mean 'etl'"),
        (lambda o: o.runs(state="done"), UsageError, "no state of a run"),
        (lambda o: o.runs(limit=0), UsageError, "limit"),
        (lambda o: o.trigger("etl", "yesterday"), UsageError, "is no date"),
        (lambda o: o.rerun("3", downstream=True), UsageError, "downstream of which task"),
        (lambda o: o.rerun("3", "load", whole=True), UsageError, "either the task"),
        (lambda o: o.mark("3", "load", "done"), UsageError, "cannot be marked"),
        (lambda o: o.wait_look("x"), UsageError, "names no wait"),
        (lambda o: o.wait_extend("77", "+1h"), NotFoundError, "no open wait 77"),
        (lambda o: o.wait_extend("2", "+soon"), UsageError, "no span of time"),
        (lambda o: o.wait_extend("2", "2020-01-01"), UsageError, "is over"),
    ],
)
async def test_bad_input_ends_in_one_sentence(
    ops: Operations, door: Book, ask: Any, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await ask(ops)
    assert door.told == []


@pytest.mark.parametrize("state", [*State, *RunState])
async def test_c77_d5_every_state_in_the_database_has_a_reason(
    tmp_path: Path, state: State | RunState
) -> None:
    db = write_world(tmp_path / "world.db")
    table, key = (
        ("run", "run_id = 2") if isinstance(state, RunState) else ("task_instance", "instance_id = 22")
    )
    with closing(sqlite3.connect(db)) as conn:
        conn.execute(f"UPDATE {table} SET state = ? WHERE {key}", (state.value,))
        conn.commit()
    with Reader(db) as reader:
        for live in (None, Living()):
            ops = Operations(db, AtOnce(reader), Book(), FixedClock(), live)
            why = await ops.why("2") if isinstance(state, RunState) else await ops.why("2", "load")
            assert why.state == state.value
            assert len(why.why) > 8
