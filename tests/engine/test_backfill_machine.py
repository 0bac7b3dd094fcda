"""Random backfills, whatever happens to them: each interval at most one run at a time, caps held exactly.

Two DAGs, several backfills over the same intervals, live runs between them; runs fail, people pause,
resume, cancel, the process dies. After every step the database is asked, and the journal is replayed:
at no line of it are more runs of a backfill running than it may have.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bide.runtime.engine.budgets import BudgetLimits
from bide.runtime.engine.messages import AttemptEnded, Command, Failure
from bide.runtime.engine.states import AttemptState, State
from bide.runtime.errors import NotFoundError, RefusedError
from tests.engine.declare import HOUR_US, job, seconds
from tests.engine.machines import stories
from tests.engine.pruning import STAGES, prune, slices_of_prune
from tests.engine.scene import T0, Scene

OF_DAG, OF_ASSET = 3, 2


class Backfills(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-backfills-")
        self.scene = Scene(
            Path(self.folder.name) / "bide.db", slots=3, pools={"db": (2, None)},
            budgets={"warehouse": BudgetLimits(20, backfill_units=12)}, asset_caps={"orders": OF_ASSET},
        )  # fmt: skip
        self.caps: dict[int, int] = {}
        self.succeeded: defaultdict[str, set[int]] = defaultdict(set)

    @initialize(budget=st.sampled_from([2, 300]))
    def declare(self, budget: int) -> None:
        self.scene.budget = budget
        self._load()

    def _load(self) -> None:
        self.scene.dag(
            "d", job("a", pool="db", retries=1), job("b", "a", cost={"warehouse": 2.0}), max_active_runs=2,
            max_active_backfill_runs=OF_DAG,
        )  # fmt: skip
        self.scene.dag("e", job("x", outlets=("orders",)), max_active_runs=2)

    @rule(
        dag=st.sampled_from(["d", "e"]), first=st.integers(0, 3), n=st.integers(1, 5), cap=st.integers(1, 4),
        overwrite=st.sampled_from(["skip", "skip", "overwrite", "fail"]), weight=st.integers(1, 3),
    )  # fmt: skip
    def start(self, dag: str, first: int, n: int, cap: int, overwrite: str, weight: int) -> None:
        if len(self.scene.world.backfills) >= 3:
            return
        try:
            made = self.scene.backfill(
                dag, n, first=first, max_active=cap, overwrite=overwrite, weight=weight
            )
        except RefusedError:
            assert overwrite == "fail"
        else:
            self.caps[made] = cap

    @precondition(lambda self: self.caps)
    @rule(data=st.data(), verb=st.sampled_from(["pause", "resume", "failed", "cancel"]), stages=STAGES)
    def order(self, data: st.DataObject, verb: str, stages: list[int]) -> None:
        backfill = data.draw(st.sampled_from(sorted(self.caps)))
        args: dict[str, Any] = {"backfill_id": backfill}
        if verb == "failed":
            verb, args["failed"] = "resume", True
        there = self.scene._rows("SELECT 1 FROM backfill WHERE backfill_id = ?", backfill)
        beside = slices_of_prune(self.scene, stages)
        self.scene.token += 1
        self.scene.feed(*beside, Command(self.scene.token, f"backfill_{verb}", args))
        try:
            self.scene.reply(self.scene.token)
        except NotFoundError:
            assert not there
        except RefusedError:
            pass

    @rule(keep=st.sampled_from([0, 0, 4000]), dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, keep: float, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, seconds(keep), 1, dies)

    @rule(dag=st.sampled_from(["d", "e"]), hour=st.integers(0, 6))
    def live_run(self, dag: str, hour: int) -> None:
        try:
            self.scene.trigger(dag, logical_us=T0 + hour * HOUR_US)
        except RefusedError:
            pass

    @rule(dag=st.sampled_from(["d", "e"]), verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause_dag(self, dag: str, verb: str) -> None:
        self.scene.command(verb, dag=dag)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), well=st.sampled_from([True, True, True, False]))
    def body_ends(self, data: st.DataObject, well: bool) -> None:
        self.scene.feed(self._end(data.draw(st.sampled_from(sorted(self.scene.bodies))), well))

    @precondition(lambda self: len(self.scene.bodies) > 1)
    @rule(well=st.booleans(), stages=STAGES)
    def all_end_in_one_batch(self, well: bool, stages: list[int]) -> None:
        ends = [self._end(attempt, well) for attempt in sorted(self.scene.bodies)]
        self.scene.feed(*slices_of_prune(self.scene, stages), *ends)

    def _end(self, attempt: int, well: bool) -> AttemptEnded:
        stop = self.scene.stops.get(attempt)
        if stop is not None:
            return self.scene.ended(attempt, stop.state.value, failure=Failure(stop.reason))
        if well:
            return self.scene.ended(attempt)
        return self.scene.ended(attempt, AttemptState.FAILED.value, failure=Failure("broken"))

    @precondition(lambda self: self.scene.world.runs)
    @rule(data=st.data())
    def cancel_a_run(self, data: st.DataObject) -> None:
        run = data.draw(st.sampled_from(sorted(self.scene.world.runs)))
        self.scene.command("cancel", run_id=run)

    @rule(down=st.sampled_from([0, 100, 4000]))
    def crash(self, down: float) -> None:
        self.scene.crash(down)

    @rule(by=st.sampled_from([1, 4000]))
    def time_goes_by(self, by: float) -> None:
        self.scene.advance(by)

    # --- what holds -----------------------------------------------------------------------------

    @invariant()
    def rows_agree(self) -> None:
        rows = self.scene._rows(
            "SELECT i.backfill_id, i.start_us, i.state, b.state, r.state FROM backfill_interval i"
            " JOIN backfill b USING (backfill_id) LEFT JOIN run r USING (run_id)"
        )
        for backfill, start, state, whole, run in rows:
            said = f"interval {start} of backfill {backfill} is {state}, its run {run}, the backfill {whole}"
            match state:
                case "running":
                    assert run in ("expanding", "queued", "running"), said
                    assert whole in ("running", "paused"), said
                case "pending":
                    assert run in (None, "failed", "cancelled"), said
                    assert whole in ("running", "paused"), said
                case "success" | "failed":
                    assert run == state or (run is None and whole in ("success", "failed", "cancelled")), said
                case "cancelled":  # with its own run, or while it waited to be taken up again
                    assert run in (None, "cancelled", "failed"), said
                case _:
                    assert state == "skipped", said
            if whole == "success":
                assert state in ("success", "skipped"), said
        keys = self.scene._rows(
            "SELECT dag_id, logical_us, count(*) FROM run WHERE kind = 'backfill' AND ended_us IS NULL"
            " GROUP BY dag_id, logical_us"
        )
        assert all(n == 1 for _, _, n in keys), f"two runs of backfills write one interval at once: {keys}"

    @invariant()
    def what_succeeded_is_remembered(self) -> None:
        """Runs of an interval, by backfill and start: a prune may take them away."""
        for key, run in self.scene._rows(
            "SELECT run_key, run_id FROM run WHERE run_key LIKE 'backfill:%' AND state = 'success'"
        ):
            self.succeeded[":".join(key.split(":")[1:3])].add(run)

    def teardown(self) -> None:
        try:
            if self.scene.dags:
                self._to_the_end()
                self._replay()
                self.scene.close()
        finally:
            self.scene.store.close_here()
            self.folder.cleanup()

    def _to_the_end(self) -> None:
        """All that is left is let go and succeeds: every backfill ends, what failed is taken up again."""
        scene = self.scene
        for dag in ("d", "e"):
            scene.command("unpause", dag=dag)
        for again in (False, True):
            for backfill in sorted(self.caps):
                try:
                    scene.command("backfill_resume", backfill_id=backfill, failed=again)
                except (RefusedError, NotFoundError):
                    pass
            for _ in range(600):
                lost = [inst for inst in scene.world.instances.values() if inst.state is State.LOST]
                for inst in lost:
                    scene.command("mark", run_id=inst.run.run_id, task=inst.task.name, state="success")
                if scene.bodies:
                    scene.feed(self._end(min(scene.bodies), True))
                elif scene.world.runs or scene.world.backfills:
                    due = scene.world.next_timer
                    assert due is not None, f"nothing will happen any more: {scene.world.runs}"
                    scene.advance(max((due - scene.now) / 1_000_000, 0))
                else:
                    break
            else:
                raise AssertionError("it does not end")
        states = {state for (state,) in scene._rows("SELECT state FROM backfill")}
        left = scene._rows(
            "SELECT i.*, r.state, r.reason FROM backfill_interval i JOIN backfill b USING (backfill_id)"
            " LEFT JOIN run r USING (run_id) WHERE b.state = 'failed' AND i.state IN ('failed', 'cancelled')"
        )
        assert left == [], "a backfill did not end well"
        assert states <= {"success", "cancelled", "failed"}  # what had failed of it may have been pruned
        self.what_succeeded_is_remembered()
        twice = [interval for interval, runs in self.succeeded.items() if len(runs) > 1]
        assert twice == [], f"run twice with success (C68): {twice}"

    def _replay(self) -> None:
        """Caps held at every line of the journal."""
        of = {
            run: (int(key.split(":")[1]), dag)
            for run, key, dag in self.scene._rows(
                "SELECT run_id, run_key, name FROM run JOIN dag USING (dag_id) WHERE run_key LIKE 'backfill:%'"
            )
        }
        running: Counter[int] = Counter()
        dags: Counter[str] = Counter()
        for seq, run, was, now in self.scene._rows(
            "SELECT seq, subject_id, was, now FROM event WHERE subject = 'run' ORDER BY seq"
        ):
            if run not in of:
                continue
            backfill, dag = of[run]
            step = (now == "running") - (was == "running")
            running[backfill] += step
            dags[dag] += step
            assert running[backfill] <= self.caps[backfill], f"event {seq}: the cap of backfill {backfill}"
            assert dags["d"] <= OF_DAG, f"event {seq}: the cap of the DAG d"
            assert dags["e"] <= OF_ASSET, f"event {seq}: the cap of the asset that e writes"


Backfills.TestCase.settings = stories(25, steps=30)
TestRandomBackfillsS013C63C68 = Backfills.TestCase
