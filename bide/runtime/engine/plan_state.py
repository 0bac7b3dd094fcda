"""A rerun plan that runs, in memory: its steps, which of them wait for which, and the runs that go.

Plain state. `plans.py` moves it; a plan that is over is left to the database.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime import typed
from bide.runtime.assets.rerun import RerunPlan, RerunStep, instant_us
from bide.runtime.engine.states import PlanState, StepState

if TYPE_CHECKING:
    from bide.runtime.assets.judged import Decision
    from bide.runtime.engine.world import World
    from bide.runtime.store.world_rows import WorldRows

DONE = frozenset({StepState.STAGED, StepState.PUBLISHED, StepState.FAILED, StepState.SKIPPED})
"""A step in one of these states runs no more."""
_MADE = frozenset({StepState.STAGED, StepState.PUBLISHED})


class PlannedStep:
    """One step. `after` are the steps that wait for it, `waits` how many it waits for still."""

    __slots__ = ("after", "end", "place", "run_id", "spec", "start", "state", "waits")

    def __init__(self, place: int, spec: RerunStep) -> None:
        self.place = place
        self.spec = spec
        self.start = instant_us(spec.interval.start)
        self.end = instant_us(spec.interval.end)
        self.state = StepState.PENDING
        self.run_id: int | None = None
        self.after: list[int] = []
        self.waits = 0


class RunningPlan:
    """An approved plan on its way."""

    __slots__ = (
        "_spans", "asked", "judged", "judging", "open", "plan_id", "published", "ready", "reason", "runs", "spec", "started", "state",
        "steps", "unstaged",
    )  # fmt: skip

    def __init__(self, plan_id: int, spec: RerunPlan, started: int) -> None:
        self.plan_id = plan_id
        self.spec = spec
        self.started = started
        self.state = PlanState.RUNNING
        self.reason = ""
        self.steps = [PlannedStep(place, step) for place, step in enumerate(spec.steps)]
        self.runs: dict[int, int] = {}  # run that goes -> the place of its step
        self.ready: dict[
            str, dict[int, None]
        ] = {}  # by DAG: the places of steps that wait for nothing but room
        self.asked = False  # it is asked to go on
        self.open = 0  # steps that are not over
        self.unstaged = 0  # of those that make versions, how many have not made theirs
        self.published = False  # all of these are seen
        self.judged: dict[int, Decision] = {}  # versions that may be published, while the others are judged
        self.judging = 0  # the place of the next step whose versions are judged
        self._spans: dict[str, list[tuple[int, int]]] | None = None
        place_of = {step.spec.name: step.place for step in self.steps}
        for step in self.steps:
            for name in step.spec.depends_on_steps:
                self.steps[place_of[name]].after.append(step.place)

    def count(self) -> None:
        """What waits for what, what is left, and what is free to run, by the states of all steps."""
        self.published = all(s.state is StepState.PUBLISHED for s in self.steps if not s.spec.compensates)
        self.unstaged = sum(s.state not in _MADE for s in self.steps if not s.spec.compensates)
        self.open = sum(s.state not in DONE for s in self.steps)
        for step in self.steps:
            step.waits = 0
        for step in self.steps:
            if step.state not in _MADE:
                for below in step.after:
                    self.steps[below].waits += 1
        self.find_free()

    def find_free(self) -> None:
        """What may run, of all steps."""
        self.ready = {}
        for step in self.steps:
            if self.is_free(step):
                self.freed(step)

    def freed(self, step: PlannedStep) -> None:
        """It may run from now on."""
        self.ready.setdefault(step.spec.pipeline, {})[step.place] = None

    def taken(self, step: PlannedStep) -> None:
        """It runs, or never will."""
        of_dag = self.ready.get(step.spec.pipeline)
        if of_dag is not None and step.place in of_dag:
            del of_dag[step.place]
            if not of_dag:
                del self.ready[step.spec.pipeline]

    def is_free(self, step: PlannedStep) -> bool:
        """Whether it may run now. What corrects an export waits for all that is published with the plan."""
        if step.state is not StepState.PENDING or step.waits:
            return False
        return not step.spec.compensates or self.published

    def spans_of(self, dag: str) -> list[tuple[int, int]]:
        """The intervals that it runs a DAG for."""
        if self._spans is None:
            self._spans = {}
            for step in self.steps:
                self._spans.setdefault(step.spec.pipeline, []).append((step.start, step.end))
        return self._spans.get(dag, [])

    @property
    def name(self) -> str:
        return f"plan {self.plan_id}"


def restore_plans(world: World, rows: WorldRows) -> None:
    """Plans that run, from their rows; the runs of their steps are in the world already."""
    for row in rows.plans:
        plan = RunningPlan(row.plan_id, typed.decode(row.spec, RerunPlan), row.started_us or 0)
        plan.reason = row.reason
        world.plans[plan.plan_id] = plan
    for step_row in rows.plan_steps:
        plan = world.plans[step_row.plan_id]
        step = plan.steps[step_row.step]
        step.state, step.run_id = step_row.state, step_row.run_id
        if step.state is StepState.RUNNING and step.run_id is not None:
            plan.runs[step.run_id] = step.place
            world.plan_runs[step.run_id] = plan.plan_id
            if not step.spec.compensates:
                world.assets.plans[step.run_id] = plan.plan_id
    for plan in world.plans.values():
        plan.count()
