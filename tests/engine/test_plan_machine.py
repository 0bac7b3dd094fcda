"""Random asset graphs: a plan run to its end leaves no invalid version in sight, and a second run changes nothing.

Assets of several DAGs read one another, some by contract, some over a coarser interval. Live runs come and go,
parts of what they made are found wrong, plans are made, run, cancelled and run again, DAGs change, and the
process dies between any two turns. What a plan makes is seen with all of it, or not at all.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bide import Every
from bide.runtime.assets.contract import ContractSpec, Rule
from bide.runtime.assets.rerun import RerunPlan, instant_us
from bide.runtime.assets.words import Action, Edge, Result
from bide.runtime.clock import from_us
from bide.runtime.errors import RefusedError
from tests.engine.declare import HOUR_US, job, seconds
from tests.engine.machines import stories
from tests.engine.planning import invalidate, keep, planned, state_of, visible
from tests.engine.pruning import prune
from tests.engine.scene import T0, Scene

FAR = T0 + 1_000_000 * HOUR_US
HOURS = 3
DAGS = ("d0", "d1", "d2")
SPAN = {"d0": 1, "d1": 1, "d2": 3}
"""How many hours an interval of it has."""
ASSETS = tuple(f"x{n}" for n in range(6))
READS = ("none", "inlet", "inlet", "contract", "contract", "contract", "lenient")


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-plans-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=100, now=T0 + 50 * HOUR_US + 1)
        self.invalidations: list[int] = []
        self.plans: dict[int, RerunPlan] = {}
        self.states: dict[int, str] = {}
        self.changed = 0

    @initialize(
        homes=st.lists(st.sampled_from([0, 0, 1, 1, 2]), min_size=len(ASSETS), max_size=len(ASSETS)),
        reads=st.lists(st.sampled_from(READS), min_size=15, max_size=15),
        budget=st.sampled_from([2, 9, 300]),
    )
    def declare(self, homes: list[int], reads: list[str], budget: int) -> None:
        self.home = {asset: DAGS[n] for asset, n in zip(ASSETS, homes, strict=True)}
        pairs = [(down, up) for at, down in enumerate(ASSETS) for up in ASSETS[:at]]
        self.reads: dict[str, list[str]] = {asset: [] for asset in ASSETS}
        contracts = []
        for (down, up), how in zip(pairs, reads, strict=True):
            if how == "none" or SPAN[self.home[up]] > SPAN[self.home[down]]:
                continue  # of a coarser one it would read what comes after it
            self.reads[down].append(up)
            if how != "inlet":
                lenient = {Result.INVALID: Rule(Action.WARN), Result.MISSING: Rule(Action.WARN)}
                contracts.append(
                    ContractSpec(
                        downstream=down, upstream=up, kind=Edge.INTERVAL_MATCH,
                        on_failure=lenient if how == "lenient" else {},
                    )
                )  # fmt: skip
        self.scene.declare(*contracts)
        for dag in DAGS:
            self._load(dag)
        self.all_is_made()
        self.scene.budget = budget

    def _load(self, dag: str) -> None:
        own = [asset for asset in ASSETS if self.home[asset] == dag]
        tasks = [
            job(
                f"make_{asset}",
                *(f"make_{up}" for up in self.reads[asset] if up in own),
                inlets=tuple(self.reads[asset]),
                outlets=(asset,),
                max_lost=1000,
                retries=self.changed if dag == "d1" else 0,
            )
            for asset in own
        ]
        schedule = Every(hours=SPAN[dag], anchor=from_us(T0))
        self.scene.dag(dag, *tasks or [job("nothing")], schedule=schedule, start_us=FAR)

    # --- what happens -------------------------------------------------------------------------------

    @rule(dag=st.sampled_from(DAGS), hour=st.integers(0, HOURS - 1))
    def live(self, dag: str, hour: int) -> None:
        if len(self.scene.bodies) < 12:
            self.scene.command(
                "trigger", dag=dag, logical_us=T0 + hour // SPAN[dag] * SPAN[dag] * HOUR_US, new=True
            )

    @rule()
    def all_is_made(self) -> None:
        """Every DAG has run for every hour, in the order that its readers need."""
        for dag in DAGS:
            for hour in range(0, HOURS, SPAN[dag]):
                self.scene.command("trigger", dag=dag, logical_us=T0 + hour * HOUR_US, new=True)
        self._work()

    @precondition(lambda self: self.scene.bodies)
    @rule(n=st.integers(0, 30), turns=st.one_of(st.none(), st.integers(0, 3)))
    def succeeds(self, n: int, turns: int | None) -> None:
        going = list(self.scene.bodies)
        ended = self.scene.ended(going[n % len(going)])
        if turns is None:
            self.scene.feed(ended)
        else:
            self.scene.crash_after(turns, ended)

    @precondition(lambda self: self.scene.bodies)
    @rule()
    def all_succeed(self) -> None:
        self._work()

    @precondition(lambda self: self.scene.bodies)
    @rule(n=st.integers(0, 30))
    def fails(self, n: int) -> None:
        going = list(self.scene.bodies)
        self.scene.feed(self.scene.ended(going[n % len(going)], "failed"))

    @rule(asset=st.sampled_from(ASSETS[:4]), hour=st.integers(0, HOURS - 1), hours=st.integers(1, 2))
    def is_wrong(self, asset: str, hour: int, hours: int) -> None:
        try:
            number = invalidate(self.scene, asset, T0 + hour * HOUR_US, T0 + (hour + hours) * HOUR_US)
        except RefusedError:
            return  # there is no version of it
        self.invalidations.append(number)

    @precondition(lambda self: self.invalidations)
    @rule(n=st.integers(0, 30))
    def mend(self, n: int) -> None:
        self._plan(self.invalidations[n % len(self.invalidations)])

    @rule(asset=st.sampled_from(ASSETS[:4]), hour=st.integers(0, HOURS - 1))
    def is_wrong_and_mended(self, asset: str, hour: int) -> None:
        self.is_wrong(asset, hour, 1)
        if self.invalidations:
            self.mend(len(self.invalidations) - 1)

    def _plan(self, number: int) -> RerunPlan:
        plan = planned(self.scene, number)
        plan_id = keep(self.scene, plan)
        self.plans[plan_id] = plan
        self._run(plan_id, plan)
        return plan

    def _run(self, plan_id: int, plan: RerunPlan) -> None:
        if plan.requires_approval:
            self.scene.command("plan_approve", plan_id=plan_id, hash=plan.hash, by="ada", why="seen")
        self.scene.command("plan_run", plan_id=plan_id, hash=plan.hash)

    @precondition(lambda self: self.plans)
    @rule(n=st.integers(0, 30))
    def again(self, n: int) -> None:
        """A plan that runs, or has, is run a second time: nothing changes."""
        plan_id = list(self.plans)[n % len(self.plans)]
        before, was = self._dump(), state_of(self.scene, plan_id)
        try:
            answer = self.scene.command("plan_run", plan_id=plan_id, hash=self.plans[plan_id].hash)
        except RefusedError:
            assert was in ("failed", "cancelled")
        else:
            assert (answer["state"], answer["started"]) == (was, False)
        assert self._dump() == before

    @precondition(lambda self: self.plans)
    @rule(n=st.integers(0, 30))
    def cancel(self, n: int) -> None:
        plan_id = list(self.plans)[n % len(self.plans)]
        if state_of(self.scene, plan_id) == "running":
            self.scene.command("plan_cancel", plan_id=plan_id)
            for attempt in list(self.scene.stops):
                self.scene.feed(self.scene.ended(attempt, "cancelled"))

    @rule()
    def a_dag_changes(self) -> None:
        self.changed += 1
        self._load("d1")

    @rule(keep=st.sampled_from([0, 0, 2]), dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, keep: float, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, seconds(keep), 1, dies)
        self.invalidations = self._left(self.invalidations, "invalidation")
        for plan_id in set(self.plans) - set(self._left(list(self.plans), "rerun_plan")):
            del self.plans[plan_id]

    def _left(self, ids: list[int], table: str) -> list[int]:
        there = {row for (row,) in self.scene._rows(f"SELECT rowid FROM {table}")}
        return [each for each in ids if each in there]

    @rule()
    def dies(self) -> None:
        self.scene.crash()

    def _work(self) -> None:
        """Bodies succeed until none goes."""
        for _ in range(500):
            if not self.scene.bodies:
                return
            attempt = next(iter(self.scene.bodies))
            stop = self.scene.stops.get(attempt)
            self.scene.feed(self.scene.ended(attempt, "cancelled" if stop else "success"))
        raise AssertionError("there is always more to do")

    # --- what must hold -----------------------------------------------------------------------------

    @invariant()
    def what_a_plan_makes_is_seen_with_all_of_it_or_not_at_all(self) -> None:
        found = self.scene._rows(
            "SELECT DISTINCT p.state FROM asset_version v JOIN rerun_plan p USING (plan_id)"
            " WHERE v.state IN ('published', 'stale', 'degraded')"
        )
        assert [state for (state,) in found] in ([], ["published"])
        seen = visible(self.scene)
        for plan_id, plan in self.plans.items():
            was, now = self.states.get(plan_id), state_of(self.scene, plan_id)
            self.states[plan_id] = now
            if now != "published" or was in (None, now):
                continue
            for step in plan.steps:
                for made in step.makes:
                    if made.replaces:
                        version = seen.get((made.asset, instant_us(step.interval.start)))
                        assert version is not None, f"{made.asset} has no version for {step.interval}"
                        assert version not in made.replaces

    def _dump(self) -> list[Any]:
        tables = ("asset_version", "rerun_plan", "rerun_step", "run", "task_instance", "approval", "event")
        return [self.scene._rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]

    def teardown(self) -> None:
        try:
            if hasattr(self, "home"):
                self._mend_all()
            self.scene.close()
        finally:
            self.folder.cleanup()

    def _mend_all(self) -> None:
        """Whatever was wrong is mended by plans that run to their end, and nothing is left to plan."""
        left: list[int] = []
        for _ in range(4 + 2 * len(self.invalidations)):
            self._work()
            left = [number for number in self.invalidations if planned(self.scene, number).steps]
            if not left:
                break
            for number in left:
                self._plan(number)
        else:
            raise AssertionError(f"the plans of {left} do not come to an end")
        self._work()
        seen = visible(self.scene)
        wrong = self.scene._rows(
            "SELECT DISTINCT a.name, v.start_us FROM invalidation_hit h JOIN asset_version v USING (asset_version_id)"
            " JOIN asset a USING (asset_id) WHERE h.was IN ('published', 'stale', 'degraded')"
        )
        assert [each for each in wrong if each not in seen] == [], (
            "an affected interval has no version that is seen"
        )
        mended = self.scene._rows(
            "SELECT h.asset_version_id FROM invalidation_hit h JOIN asset_version v USING (asset_version_id)"
            " WHERE v.state IN ('published', 'stale') AND h.was IN ('published', 'stale')"
            " AND json_extract(h.decision, '$.to') = 'invalidated'"
        )
        assert mended == [], "a version that is wrong is seen"


TestMachine = Machine.TestCase
TestMachine.settings = stories(20, steps=25)
