"""Deliveries, restarts and crashes in any order: one run a delivery, and its answer never changes.

A model of what was accepted stands beside the engine; the database is opened anew, or the process dies
after any turn of a delivery, and every delivery is then sent again.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bide.runtime.engine.messages import Command
from tests.engine.declare import job
from tests.engine.machines import stories
from tests.engine.pruning import prune
from tests.engine.scene import Scene

IDS = st.integers(0, 5)


class Deliveries(RuleBasedStateMachine):
    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.scene = Scene(Path(self.folder.name) / "b.db")
        self.scene.dag("build", job("a"), max_active_runs=50)
        self.made: dict[int, int] = {}
        self.gone: set[int] = set()

    def args(self, number: int, dag: str = "build", *, other: bool = False) -> dict[str, Any]:
        keys = [f"id:{number}", f"body:{number}"]
        return {
            "hook": "h", "said": f"d-{number}", "keys": keys[1:] if other else keys, "sent_us": None,
            "keep_us": 10**15, "dag": dag, "params": {}, "logical_us": None, "new": True,
        }  # fmt: skip

    @rule(number=IDS, other=st.booleans())
    def deliver(self, number: int, other: bool) -> None:
        told = self.scene.command("hook_deliver", **self.args(number, other=other))
        if number in self.made:
            assert (told["outcome"], told["run_id"]) == ("duplicate", self.made[number])
        else:
            assert told["outcome"] == "accepted"
            self.made[number] = told["run_id"]

    @rule(number=IDS)
    def refused(self, number: int) -> None:
        told = self.scene.command("hook_deliver", **self.args(number, "nowhere"))
        assert told["outcome"] == ("duplicate" if number in self.made else "refused")

    @rule(numbers=st.lists(IDS, min_size=1, max_size=6))
    def at_once(self, numbers: list[int]) -> None:
        """Several in one batch; answered or not, they are known from the next time on."""
        before = self.scene.token
        inputs = [Command(before + 1 + n, "hook_deliver", self.args(each)) for n, each in enumerate(numbers)]
        self.scene.token += len(inputs)
        self.scene.feed(*inputs)
        for token, number in enumerate(numbers, before + 1):
            told = self.scene.reply(token)
            assert self.made.setdefault(number, told["run_id"]) == told["run_id"]

    @rule(number=IDS, turns=st.integers(0, 3))
    def crash(self, number: int, turns: int) -> None:
        """It dies while a delivery is taken: what it answers when it is sent again is for ever."""
        self.scene.token += 1
        self.scene.crash_after(turns, Command(self.scene.token, "hook_deliver", self.args(number)))
        told = self.scene.command("hook_deliver", **self.args(number))
        assert told["outcome"] in (("duplicate",) if number in self.made else ("accepted", "duplicate"))
        assert self.made.setdefault(number, told["run_id"]) == told["run_id"]

    @rule()
    def restart(self) -> None:
        self.scene.crash()

    @rule(last=st.integers(1, 2), ends=st.booleans())
    def what_is_old_is_pruned(self, last: int, ends: bool) -> None:
        """Runs may go; that they were made is known for as long as a delivery can be sent again."""
        while ends and self.scene.bodies:
            self.scene.feed(self.scene.ended(min(self.scene.bodies)))
        self.scene.advance(1)
        known = {run_id for run_id, _ in self.scene.runs("build")}
        prune(self.scene, 0, last)
        self.gone |= known - {run_id for run_id, _ in self.scene.runs("build")}

    @invariant()
    def one_run_a_delivery(self) -> None:
        if hasattr(self, "scene"):
            assert sorted([*self.gone, *(run_id for run_id, _ in self.scene.runs("build"))]) == sorted(
                self.made.values()
            )

    def teardown(self) -> None:
        if hasattr(self, "scene"):
            self.scene.close()
            self.folder.cleanup()


Deliveries.TestCase.settings = stories(12, steps=12)
test_b65_deliveries_restarts_and_crashes = Deliveries.TestCase
