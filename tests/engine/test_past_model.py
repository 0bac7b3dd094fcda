"""`depends_on_past` against a plain reading of its rule: any dates, caps, orders, cancels, reruns and crashes.

The model keeps who had begun, or was over, when each run began, and looks at nothing else; and
every story can be brought to its end: no two runs wait for each other.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bide.runtime.engine.messages import Failure
from bide.runtime.errors import RefusedError
from tests.engine.declare import HOUR_US, job
from tests.engine.machines import stories
from tests.engine.scene import T0, Scene

WELL = {"success", "skipped"}
OVER = {"success", "failed", "cancelled"}


class Past(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-past-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=8, pools={})
        self.cap = 1
        self.began: dict[int, int | None] = {}  # run -> the run before it, settled when it began
        self.backfilled = False

    @initialize(cap=st.integers(1, 3), budget=st.sampled_from([2, 300]))
    def declare(self, cap: int, budget: int) -> None:
        self.cap = cap
        self.scene.budget = budget
        tasks = job("get", max_lost=99), job("load", "get", depends_on_past=True, max_lost=99)
        self.scene.dag("d", *tasks, max_active_runs=cap)

    # --- the model ------------------------------------------------------------------------------

    def runs(self) -> dict[int, tuple[int, str, bool]]:
        """run -> (date, state, whether it has begun or is over)."""
        rows = self.scene._rows("SELECT run_id, logical_us, state, started_us FROM run")
        return {run: (at, state, began is not None or state in OVER) for run, at, state, began in rows}

    def look(self, known: dict[int, tuple[int, str, bool]]) -> None:
        """Note who has begun since; of those that began together each goes by the others as well."""
        now = self.runs()
        for run, (at, _, begun) in now.items():
            if begun and run not in self.began:
                before = [
                    (other_at, other) for other, (other_at, _, was) in now.items() if was and other_at < at
                ]
                self.began[run] = max(before)[1] if before else None
        started = [
            at
            for run, (at, state, _) in now.items()
            if state == "running" and known.get(run, (0, ""))[1] == "queued"
        ]
        queued = [at for run, (at, state, _) in now.items() if state == "queued" and run in known]
        if started and queued and not self.backfilled:
            assert max(started) <= min(queued), "a later date began before an earlier one that was queued"

    def act(self, doing: Any) -> None:
        known = self.runs()
        self.scene.advance(1)
        try:
            doing()
        except RefusedError:
            pass
        self.look(known)

    @invariant()
    def each_waits_for_the_run_that_had_begun_before_it(self) -> None:
        for run, (_, state, _) in self.runs().items():
            if state != "running":
                continue
            tasks = self.scene.states(run)
            before = self.began[run]
            well = before is None or self.scene.states(before).get("load") in WELL
            if tasks["get"] in WELL and tasks["load"] == "pending":
                assert not well, f"run {run} waits, and the run before it ({before}) ended well"
            elif tasks["load"] == "running" and self.scene.instance("load", run)["attempt"] == 1:
                assert tasks["get"] in WELL

    # --- people ---------------------------------------------------------------------------------

    @rule(day=st.integers(-3, 3), n=st.integers(1, 2))
    def trigger(self, day: int, n: int) -> None:
        if len(self.scene.world.runs) < 6:
            self.act(
                lambda: [
                    self.scene.trigger("d", logical_us=T0 + (day + i) * HOUR_US, new=True) for i in range(n)
                ]
            )

    @rule(first=st.integers(-3, 0), order=st.sampled_from(["oldest", "newest"]))
    def backfill(self, first: int, order: str) -> None:
        if not self.backfilled:
            self.backfilled = True
            self.act(lambda: self.scene.backfill("d", 3, first=first, max_active=1, order=order))

    @rule(data=st.data(), verb=st.sampled_from(["cancel", "rerun", "skip"]))
    def order(self, data: st.DataObject, verb: str) -> None:
        if runs := self.scene.runs():
            run = data.draw(st.sampled_from(runs))[0]
            task = {"task": "load"} if verb == "skip" else {}
            self.act(lambda: self.scene.command(verb, run_id=run, **task))

    @rule(verb=st.sampled_from(["pause", "unpause"]))
    def pause(self, verb: str) -> None:
        self.act(lambda: self.scene.command(verb, dag="d"))

    # --- bodies ---------------------------------------------------------------------------------

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), how=st.sampled_from(["success", "success", "success", "failed", "skipped"]))
    def body_ends(self, data: st.DataObject, how: str) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        failure = None if how == "success" else Failure(how)
        self.act(lambda: self.scene.feed(self.scene.ended(attempt, how, failure=failure)))

    @rule()
    def crash(self) -> None:
        self.act(self.scene.crash)

    def teardown(self) -> None:
        """Bodies end well, and what failed is rerun: then everything comes to its end."""
        try:
            self.act(lambda: self.scene.command("unpause", dag="d"))
            for _ in range(200):
                if self.scene.bodies:
                    attempt = min(self.scene.bodies)
                    self.act(lambda attempt=attempt: self.scene.feed(self.scene.ended(attempt)))
                elif not self.scene.world.runs and not self.scene.world.backfills:
                    break
                else:
                    held = [run for run, (_, state, _) in self.runs().items() if state == "running"]
                    bad = {self.began[run] for run in held} - {None}
                    bad = {
                        run
                        for run in bad
                        if self.scene.states(run).get("load") not in WELL and run not in held
                    }
                    assert bad, f"{held} wait for each other: {self.began}"
                    for run in bad:
                        self.act(lambda run=run: self.scene.command("skip", run_id=run, task="load"))
            assert not self.scene.world.runs, f"{sorted(self.scene.world.runs)} never ended"
            self.scene.close()
        finally:
            self.folder.cleanup()


Past.TestCase.settings = stories(40, steps=25)


TestPast = Past.TestCase
