"""What must be committed whole and is large: decided in slices of one turn, one transaction, all or nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bide.runtime.engine import backfill_commands, loop, mapping, restore, runs, turn, world
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.decide import slices
from bide.runtime.engine.messages import ClockStepped, Command, Effect, Failure, Input, Reply
from bide.testing import SimClock
from tests.engine.declare import HOUR_US, job, mapped, seconds, sensor
from tests.engine.scene import T0, Scene

MANY = 60
BUDGET = 10
SMALL = 7
"""Rows a slice, where rows are what is counted."""


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(backfill_commands, "ROWS", SMALL)
    monkeypatch.setattr(mapping, "FORMER", SMALL)
    monkeypatch.setattr(restore, "AT_ONCE", SMALL)
    monkeypatch.setattr(turn, "SETTLED", SMALL)
    made = Scene(tmp_path / "bide.db", budget=BUDGET, window=10 * MANY)
    yield made
    made.close()


# --- the cases: a scene made ready, and the input that is one long turn ------------------------------


def _waiting_runs(scene: Scene) -> None:
    scene.checking = False
    scene.dag("d", sensor("w"), max_active_runs=MANY)
    scene.feed(*[_ask("trigger", dag="d", new=True) for _ in range(MANY)])
    scene.checking = True


def _ask(verb: str, **args: Any) -> Command:
    return Command(0, verb, args)


def clock_step(scene: Scene) -> Input:
    _waiting_runs(scene)
    scene.now += seconds(600)
    return ClockStepped(seconds(600))


def pause(scene: Scene) -> Input:
    _waiting_runs(scene)
    return _ask("pause", dag="d")


def unpause(scene: Scene) -> Input:
    _waiting_runs(scene)
    scene.command("pause", dag="d")
    scene.sleep(600)
    return _ask("unpause", dag="d")


def unpause_queued(scene: Scene) -> Input:
    scene.checking = False
    scene.dag("d", job("work"), max_active_runs=MANY)
    scene.command("pause", dag="d")
    scene.feed(*[_ask("trigger", dag="d", new=True) for _ in range(MANY)])
    scene.checking = True
    return _ask("unpause", dag="d")


def _fan(scene: Scene) -> None:
    scene.dag("m", mapped("part", over=list(range(MANY))), job("after", "part"))
    scene.checking = False
    scene.trigger("m")


def cancel(scene: Scene) -> Input:
    _fan(scene)
    return _ask("cancel", run_id=1)


def mark(scene: Scene) -> Input:
    _fan(scene)
    return _ask("mark", run_id=1, task="part", state="success")


def backfill_start(scene: Scene) -> Input:
    scene.dag("d", job("work"))
    hours = [T0 - place * HOUR_US for place in range(MANY, 0, -1)]
    spans = [[at + HOUR_US, at, at + HOUR_US] for at in hours]
    return _ask("backfill_start", dag="d", options={}, intervals=spans)


def rerun(scene: Scene) -> Input:
    _fan(scene)
    while scene.bodies:
        over = Failure("no", final=True)
        scene.feed(*[scene.ended(each, "failed", failure=over) for each in list(scene.bodies)])
    assert scene.run_state() == "failed"
    return _ask("rerun", run_id=1)


Case = Callable[[Scene], Input]
LEAST: dict[Case, int] = {
    clock_step: 12, pause: 6, unpause: 18, unpause_queued: 12, cancel: 6, mark: 6, backfill_start: 8, rerun: 8,
}  # fmt: skip
"""Slices of the turn: as many as its work has budgets, or rows in sevens."""

cases = pytest.mark.parametrize("case", LEAST, ids=lambda case: case.__name__)


def rows(scene: Scene) -> list[str]:
    """The whole database, but for how often it was opened."""
    return [
        line
        for line in scene.store._raw.iterdump()
        if not line.startswith(('INSERT INTO "meta"', 'INSERT INTO "runtime"'))
    ]


@cases
def test_a_large_change_is_one_transaction_decided_in_slices(scene: Scene, case: Case) -> None:
    asked = case(scene)
    scene.checking = True
    before = rows(scene)
    batches: list[int] = []
    scene.store.before = lambda changes, batch: batches.append(batch) if touches(changes, asked) else None
    scene.most_slices = 0
    scene.feed(asked)
    assert scene.most_slices >= LEAST[case]
    assert len(batches) == 1, "the row that says it and all it says are one commit"
    assert rows(scene) != before


def touches(changes: Changes, asked: Input) -> bool:
    """Whether this commit holds what the command did: each of its kinds of rows, or some of them."""
    if not isinstance(asked, Command):
        return bool(changes.waits_set)
    match asked.verb:
        case "pause" | "unpause":
            return bool(changes.dags_set or changes.waits_set)
        case "cancel" | "mark":
            return any(row[0] in ("cancelled", "success") for row in changes.instances_set.values())
        case "backfill_start":
            return bool(changes.intervals_new)
        case _:
            return any(row[3] == "run" and row[6] == "failed" for row in changes.events)


@cases
@pytest.mark.parametrize("after", [1, 4, 1_000], ids=["first", "middle", "none"])
def test_a_death_between_two_slices_leaves_nothing_of_the_change(
    scene: Scene, case: Case, after: int
) -> None:
    asked = case(scene)
    scene.checking = True
    scene.turn()  # what is under way comes to rest
    held = states(scene)
    died = scene.crash_between_slices(after, asked)
    assert died == (after < 1_000)
    if died:
        assert states(scene) == held
        scene.feed(asked)
    assert states(scene) != held
    scene.compare()


def states(scene: Scene) -> list[Any]:
    """What these changes change, as the database has it."""
    return [
        scene._rows("SELECT run_id, state FROM run"),
        scene._rows("SELECT instance_id, state FROM task_instance WHERE state NOT IN ('ready', 'running')"),
        scene._rows("SELECT wait_id, state, deadline_us FROM wait"),
        scene._rows("SELECT name, paused FROM dag"),
        scene._rows("SELECT backfill_id, place FROM backfill_interval"),
        scene._rows("SELECT reason FROM event WHERE subject = 'clock'"),
    ]


# --- what is void is let go of in slices as well -----------------------------------------------------


def test_void_tickets_and_timers_of_a_large_cancel_do_not_make_one_turn_long(scene: Scene) -> None:
    _fan(scene)
    assert len(scene.world.ready) > 40
    scene.feed(_ask("cancel", run_id=1))
    assert not scene.world.ready, "they are let go of at once, over as many turns as it takes"


def test_void_timers_are_swept_some_at_a_time(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(world, "FEW_TIMERS", 0)
    monkeypatch.setattr(world, "SWEPT", SMALL)
    asked = clock_step(scene)
    for _ in range(4):
        scene.feed(asked)
    living = scene.world.timers
    scene.world.timers = living * 8
    sweeps = list(scene.world.sweep_timers())
    assert len(sweeps) == -(-8 * len(living) // SMALL)
    assert sorted(scene.world.timers) == sorted(
        {each for each in living if scene.world._says(each[1], each[2]) == each[0]}
    )


def test_what_of_a_wide_run_waits_for_nothing_is_found_some_at_a_time(scene: Scene) -> None:
    scene.dag("wide", job("first"), *[job(f"then{n}", "first") for n in range(MANY)])
    scene.trigger("wide")
    work = runs._Roots(scene.world.runs[1])
    budgets = 0
    while not work(turn.Turn(scene.world, scene.now, {}, 1)):
        budgets += 1
    assert budgets == MANY // turn.LOOKS, "also those have their price that are looked at and left"


# --- the loop goes round between slices --------------------------------------------------------------


class Acting:
    """A shell that notes what it is told to do, and how often the loop went round before."""

    def __init__(self) -> None:
        self.rounds = 0
        self.acted: list[tuple[int, int]] = []
        self.replies: list[Any] = []

    def act(self, effects: Sequence[Effect], *, committed: Changes) -> None:
        self.acted.append((self.rounds, len(effects)))
        self.replies += [each.result for each in effects if isinstance(each, Reply)]

    def clock_stepped(self, e: ClockStepped) -> None:
        raise AssertionError(e)

    async def facts(self, keys: Sequence[Any]) -> Any:
        raise AssertionError(keys)

    async def restored(self) -> Any:
        raise AssertionError


async def test_the_loop_goes_round_between_slices_and_between_effects(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "ACTS", SMALL)
    asked = cancel(scene)
    shell = Acting()
    engine = loop.Engine(scene.store, SimClock(T0), scene.world, shell, batch=scene.batch)
    committed: list[int] = []
    scene.store.after = lambda *_: committed.append(shell.rounds)

    async def rounds() -> None:
        while True:
            shell.rounds += 1
            await asyncio.sleep(0)

    counting = asyncio.create_task(rounds())
    engine.start(watch_clock=False)
    monkeypatch.setattr(loop, "slices", partial(slices, budget=BUDGET))
    engine.post(asked)
    began = shell.rounds
    await engine.settled()
    counting.cancel()
    await engine.stop()
    assert committed[0] - began >= LEAST[cancel] - 1
    assert shell.replies == [{"run_id": 1, "state": "cancelled"}]
    assert len({at for at, _ in shell.acted}) == len(shell.acted), "some effects, then others have their turn"
    scene.batch = engine.batch
