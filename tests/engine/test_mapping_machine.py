"""Mapped tasks under everything that people and accidents do to them: a small graph, many reruns and marks.

The worlds of `test_machine.py` hold mapped tasks among all else; here nothing else is in the way.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bide.runtime.engine.messages import AttemptEnded, Command, Failure, Input
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError, RefusedError
from tests.engine.declare import job, mapped
from tests.engine.machines import SceneMachine, stories
from tests.engine.scene import Scene

LISTS = st.lists(st.integers(0, 9), max_size=6)


class Machine(SceneMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-mapped-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=3)

    @initialize(
        window=st.sampled_from([1, 2, 1000]), budget=st.sampled_from([2, 300]), retries=st.integers(0, 1),
        shard=st.sampled_from([None, 2]), idempotent=st.booleans(), below=st.sampled_from(["all_success", "all_done"]),
    )  # fmt: skip
    def declare(
        self, window: int, budget: int, retries: int, shard: int | None, idempotent: bool, below: str
    ) -> None:
        scene = self.scene
        scene.budget, scene.window = budget, window
        scene.world.window = window
        load = mapped("load", over="ls", shard=shard, retries=retries, idempotent=idempotent, max_lost=1)
        scene.dag("d", job("ls"), load, mapped("again", over="load"), job("report", "again", rule=below))
        scene.trigger("d")

    def _ended(self, attempt: int, how: str, output: list[int]) -> AttemptEnded:
        stop = self.scene.stops.get(attempt)
        failure = None if how == "success" else Failure(how)
        if stop is not None and how != "success":
            how, failure = stop.state.value, Failure(stop.reason)
        data = msgspec.json.encode(output) if how == "success" else None
        return self.scene.ended(attempt, how, failure=failure, output=data)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), how=st.sampled_from(["success", "success", "failed", "skipped"]), output=LISTS)
    def body_ends(self, data: st.DataObject, how: str, output: list[int]) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.feed(self._ended(attempt, how, output))

    @precondition(lambda self: self.scene.bodies)
    @rule(how=st.sampled_from(["success", "success", "failed"]), output=LISTS)
    def all_bodies_end(self, how: str, output: list[int]) -> None:
        for _ in range(12):
            if not self.scene.bodies:
                break
            self.scene.feed(*[self._ended(attempt, how, output) for attempt in sorted(self.scene.bodies)])

    def _order(self, data: st.DataObject) -> Command:
        verb = data.draw(st.sampled_from(["rerun", "rerun", "one", "one", "mark", "mark", "cancel"]))
        args: dict[str, Any] = {"run_id": 1}
        name = data.draw(st.sampled_from(sorted(self.scene.states(1))))
        task, _, index = name.removesuffix("]").partition("[")
        if verb in ("one", "mark"):
            args["task"] = task
            if index:
                args["map_index"] = int(index)
        if verb == "one":
            verb, args["downstream"] = "rerun", data.draw(st.booleans())
        elif verb == "rerun":
            args["whole"] = data.draw(st.sampled_from([False, False, True]))
        elif verb == "mark":
            args["state"] = data.draw(st.sampled_from(["success", "failed", "skipped"]))
        self.scene.token += 1
        return Command(self.scene.token, verb, args)

    @rule(data=st.data())
    def order(self, data: st.DataObject) -> None:
        order = self._order(data)
        self.scene.feed(order)
        try:
            self.scene.reply(order.token)
        except (RefusedError, NotFoundError):
            pass

    @rule(data=st.data(), turns=st.integers(1, 6), orders=st.booleans())
    def it_dies_in_the_middle(self, data: st.DataObject, turns: int, orders: bool) -> None:
        inputs: list[Input] = [self._order(data)] if orders else []
        if self.scene.bodies and not orders:
            attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
            inputs.append(self._ended(attempt, "success", data.draw(LISTS)))
        self.scene.crash_after(turns, *inputs)

    @rule(data=st.data())
    def an_end_and_an_order_in_one_batch(self, data: st.DataObject) -> None:
        inputs: list[Input] = [self._order(data)]
        if self.scene.bodies:
            attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
            inputs.insert(data.draw(st.integers(0, 1)), self._ended(attempt, "success", data.draw(LISTS)))
        self.scene.feed(*inputs)

    def _to_the_end(self) -> None:
        scene = self.scene
        for _ in range(300):
            lost = [inst for inst in scene.world.instances.values() if inst.state is State.LOST]
            for inst in lost:
                of = {"map_index": inst.map_index} if inst.map_index >= 0 else {}
                scene.command("mark", run_id=1, task=inst.task.name, state="success", **of)
            if scene.bodies:
                scene.feed(self._ended(min(scene.bodies), "success", [1, 2]))
            elif not scene.world.runs:
                break
            else:
                scene.advance(1)
        else:
            raise AssertionError(f"the run does not end: {scene.states(1)}")
        ends = [scene.state(name) for name in ("load", "again")]
        for name, end in zip(("load", "again"), ends, strict=True):
            own = {state for task, state in scene.states(1).items() if task.startswith(f"{name}[")}
            marked = "marked by hand" in scene.reason(name)
            assert end != "success" or "failed" not in own or marked, f"{name} is {end}: {scene.states(1)}"


Machine.TestCase.settings = stories(25, steps=30)
TestMappedWorlds = Machine.TestCase
