"""Rerun plans on the move: steps run in order and out of sight, and what they make is published in one turn.

A step is a run of its DAG, restricted to its tasks, of the kind `plan`. It is staged when all that it was to
make is validated; when every step is, all versions are judged once more and published together, in one
transaction. What corrects an export runs after that. A step that fails ends the plan, and nothing that
consumers see has changed. A plan goes on from its rows after a crash.
"""

from __future__ import annotations

import hashlib
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from bide.runtime.assets.pending import Unit
from bide.runtime.assets.words import VersionState
from bide.runtime.engine import approving, runs
from bide.runtime.engine.assets import consuming, releasing, versions
from bide.runtime.engine.messages import PlanDue
from bide.runtime.engine.plan_state import DONE, PlannedStep, RunningPlan
from bide.runtime.engine.states import (
    LEGAL_PLAN,
    LEGAL_STEP,
    ApprovalKind,
    IllegalMove,
    PlanState,
    RunState,
    StepState,
)
from bide.runtime.engine.turn import FactKey, NeedFacts, Slices, at_once
from bide.runtime.graph.compile import Compiled, compile_spec
from bide.runtime.graph.facts import RERUN, Rerun
from bide.runtime.graph.part import part_of
from bide.runtime.schedules import Firing

if TYPE_CHECKING:
    from bide.runtime.engine.approval_commands import Answered
    from bide.runtime.engine.approval_state import Approval
    from bide.runtime.engine.assets.state import Open
    from bide.runtime.engine.turn import Turn
    from bide.runtime.engine.world import DagState, Run

AT_ONCE = 16
"""Runs of one plan at once; of one DAG as many as it may have runs at all."""
JUDGED_AT_ONCE = 50

_LEFT = frozenset({StepState.PENDING, StepState.RUNNING, StepState.STAGED})


# --- rows and states -----------------------------------------------------------------------------


def move(t: Turn, plan: RunningPlan, to: PlanState, reason: str) -> None:
    was = plan.state
    if to not in LEGAL_PLAN[was]:
        raise IllegalMove(f"{plan.name}: {was.value} -> {to.value}")
    plan.state = to
    plan.reason = reason
    t.journal("plan", plan.plan_id, None, was.value, to.value, reason)
    ended = None if to is PlanState.RUNNING else t.now
    t.changes.plans_set[plan.plan_id] = (to.value, plan.started, ended, reason, plan.plan_id)


def move_step(t: Turn, plan: RunningPlan, step: PlannedStep, to: StepState, reason: str = "") -> None:
    was = step.state
    if to not in LEGAL_STEP[was]:
        raise IllegalMove(f"{plan.name}, {step.spec.name}: {was.value} -> {to.value}")
    step.state = to
    plan.taken(step)
    plan.open -= to in DONE and was not in DONE
    write_step(t, plan, step, reason)


def write_step(t: Turn, plan: RunningPlan, step: PlannedStep, reason: str = "") -> None:
    t.changes.plan_steps_set[plan.plan_id, step.place] = (
        plan.plan_id, step.place, step.state.value, step.run_id, reason,
    )  # fmt: skip


def wake(t: Turn, plan: RunningPlan) -> None:
    """Have it go on, in a turn to come."""
    if not plan.asked:
        plan.asked = True
        t.ask(PlanDue(plan.plan_id))


def wake_by(t: Turn, plan_id: int) -> None:
    """Something has come of a version of it."""
    plan = t.world.plans.get(plan_id)
    if plan is not None and not plan.unstaged:
        wake(t, plan)


def answered(t: Turn, approval: Approval, answer: Answered) -> None:
    """A person has approved a plan, or not: it may be run, or it is over."""
    state = PlanState.APPROVED if answer.approved else PlanState.CANCELLED
    ended = None if answer.approved else t.now
    t.journal("plan", approval.subject_id, None, PlanState.PROPOSED.value, state.value, str(answer))
    t.changes.plans_set[approval.subject_id] = (state.value, None, ended, str(answer), approval.subject_id)


def recover(t: Turn) -> None:
    """After a restart: every plan goes on from its rows."""
    for plan in list(t.world.plans.values()):
        wake(t, plan)


def begin(t: Turn, plan: RunningPlan) -> None:
    """It runs from now on; its steps are rows."""
    move(t, plan, PlanState.RUNNING, "")
    plan.count()
    t.world.plans[plan.plan_id] = plan
    for step in plan.steps:
        write_step(t, plan, step)
    _end_if_over(t, plan)
    if plan.plan_id in t.world.plans:
        wake(t, plan)


# --- going on ------------------------------------------------------------------------------------


def go_on(t: Turn, e: PlanDue) -> Slices:
    """Start what is free, as far as there is room; publish when all is staged."""
    plan = t.world.plans.get(e.plan_id)
    if plan is None:
        return
    if t.world.dormant or t.world.slots.closed:
        plan.asked = False
        return
    chosen = _chosen(t, plan)
    keys = [key for step in chosen if (key := _graph_fact(t, step)) is not None]
    if any(key not in t.facts for key in keys):
        raise NeedFacts(*keys)
    if not plan.published and not plan.unstaged:
        may = _judge(t, plan)
        if may is None:
            return
        if may:
            yield from _publish(t, plan)
        if plan.plan_id not in t.world.plans:
            return
    plan.asked = False
    for step in chosen:
        if plan.plan_id not in t.world.plans:
            return
        _start(t, plan, step)
    if plan.ready and len(plan.runs) < AT_ONCE and _chosen(t, plan):
        wake(t, plan)


def _chosen(t: Turn, plan: RunningPlan) -> list[PlannedStep]:
    """The steps that may start now: of a DAG no more at once than it has runs."""
    of_dag: dict[str, int] = {}
    for place in plan.runs.values():
        name = plan.steps[place].spec.pipeline
        of_dag[name] = of_dag.get(name, 0) + 1
    found: list[PlannedStep] = []
    for name, places in plan.ready.items():
        room = AT_ONCE - len(plan.runs) - len(found)
        if room <= 0:
            break
        dag = t.world.dags.get(name)
        cap = dag.options.get("max_active_runs", 1) if dag is not None else 1
        found += [plan.steps[place] for place in islice(places, max(min(cap - of_dag.get(name, 0), room), 0))]
    return found


def moved_on(dag: DagState | None, step: PlannedStep) -> str:
    """How the DAG of a step is not what was approved any more; "" while it is."""
    name, version = step.spec.pipeline, step.spec.transform_version
    if dag is None or dag.compiled is None or dag.removed:
        return f"the DAG {name} was removed"
    if not dag.hash.startswith(version):
        return f"the DAG {name} was {version} when it was planned, and is {dag.hash[: len(version)]}"
    return ""


def _start(t: Turn, plan: RunningPlan, step: PlannedStep) -> None:
    dag = t.world.dags.get(step.spec.pipeline)
    why = moved_on(dag, step)
    if why or dag is None or dag.compiled is None:
        fail(t, plan, step, f"{why}: plan again")
        return
    t.budget -= 1
    run = runs.create_run(
        t, dag, kind="plan", run_key=f"plan:{plan.plan_id}:{step.place}",
        firing=Firing(step.end, step.start, step.end), params=_params(plan, step, dag.compiled.spec.params),
        reason=f"{plan.name}: {step.spec.name}", graph=_graph_of(t, dag, step),
    )  # fmt: skip
    step.run_id = run.run_id
    plan.runs[run.run_id] = step.place
    t.world.plan_runs[run.run_id] = plan.plan_id
    if not step.spec.compensates:
        t.world.assets.plans[run.run_id] = plan.plan_id
    move_step(t, plan, step, StepState.RUNNING)


def _params(plan: RunningPlan, step: PlannedStep, own: dict[str, Any]) -> dict[str, Any]:
    """Those of the run that made what is replaced, and what this one is for."""
    makes = step.spec.makes
    rerun = Rerun(
        str(plan.plan_id),
        step.spec.name,
        {made.asset: made.mode.value for made in makes},
        {made.asset: tuple(map(str, made.replaces)) for made in makes if made.replaces},
    )
    return {**own, **step.spec.params, RERUN: msgspec.to_builtins(rerun)}


def _graph_fact(t: Turn, step: PlannedStep) -> FactKey | None:
    dag = t.world.dags.get(step.spec.pipeline)
    return None if dag is None else ("version", dag.dag_id, _digest(dag, step))


def _digest(dag: DagState, step: PlannedStep) -> str:
    return hashlib.sha256(f"plan:{dag.hash}:{','.join(sorted(step.spec.tasks))}".encode()).hexdigest()


def _graph_of(t: Turn, dag: DagState, step: PlannedStep) -> tuple[int, Compiled]:
    """The version of a DAG that has these tasks alone; made when there is none."""
    assert dag.compiled is not None
    digest = _digest(dag, step)
    known: int | None = t.facts["version", dag.dag_id, digest]
    if known is None:  # unless it was made in this very batch
        known = next((row[0] for row in t.changes.versions_new if row[1:3] == (dag.dag_id, digest)), None)
    if known is None:
        spec = part_of(dag.compiled.spec, step.spec.tasks)
        known = t.world.take_id("version")
        data = msgspec.json.encode(spec).decode()
        t.changes.versions_new.append((known, dag.dag_id, digest, data, t.now))
    if known not in t.world.compiled:
        t.world.compiled[known] = compile_spec(part_of(dag.compiled.spec, step.spec.tasks))
    return known, t.world.compiled[known]


# --- what its runs bring about -------------------------------------------------------------------


def run_ended(t: Turn, run: Run) -> None:
    """Its step ends with it, in the same transaction."""
    plan_id = t.world.plan_runs.pop(run.run_id, None)
    t.world.assets.plans.pop(run.run_id, None)
    plan = t.world.plans.get(plan_id or 0)
    if plan is None:
        return
    step = plan.steps[plan.runs.pop(run.run_id)]
    why = _fault(t, run, step)
    if why and not step.spec.compensates:
        fail(t, plan, step, why)
        return
    if why:
        move_step(t, plan, step, StepState.FAILED, why)
        _skip_below(t, plan, step)
    else:
        move_step(t, plan, step, StepState.PUBLISHED if step.spec.compensates else StepState.STAGED)
        plan.unstaged -= not step.spec.compensates
        for below in step.after:
            other = plan.steps[below]
            other.waits -= 1
            if plan.is_free(other):
                plan.freed(other)
    _end_if_over(t, plan)
    if plan.plan_id in t.world.plans:
        wake(t, plan)


def _skip_below(t: Turn, plan: RunningPlan, step: PlannedStep) -> None:
    """What follows from a correction that failed is not made; the others are."""
    edge = list(step.after)
    while edge:
        other = plan.steps[edge.pop()]
        if other.state is StepState.PENDING:
            move_step(t, plan, other, StepState.SKIPPED, f"{step.spec.name} failed")
            edge.extend(other.after)


def _fault(t: Turn, run: Run, step: PlannedStep) -> str:
    """Why a step has not done what it was to do; "" when it has."""
    if run.state is not RunState.SUCCESS:
        return f"run {run.run_id} is {run.state.value}{': ' + run.reason if run.reason else ''}"
    if step.spec.compensates:
        return ""
    for made in step.spec.makes:
        one = made_by(t, step, made.asset)
        if made.replaces and (one is None or one.state is not VersionState.VALIDATED):
            return f"run {run.run_id} has made no validated version of {made.asset}: `bide assets show {made.asset}`"
    return ""


def made_by(t: Turn, step: PlannedStep, asset: str) -> Open | None:
    """The version of an asset that a step has made and that is not let out yet."""
    there = t.world.assets.of_interval.get((asset, step.start, step.end), {})
    return next((one for one in reversed(there.values()) if one.run_id == step.run_id), None)


def fail(t: Turn, plan: RunningPlan, step: PlannedStep, reason: str) -> None:
    """A step that makes versions has failed: so has the plan, and nothing that is seen has changed."""
    move_step(t, plan, step, StepState.FAILED, reason)
    give_up(t, plan, PlanState.FAILED, f"{step.spec.name}: {reason}; nothing that consumers see was changed")


def give_up(t: Turn, plan: RunningPlan, state: PlanState, reason: str) -> None:
    """End a plan: its runs are cancelled, what it had made is not to be used."""
    t.world.plans.pop(plan.plan_id)
    move(t, plan, state, reason)
    going = [t.world.runs[run_id] for run_id in sorted(plan.runs) if run_id in t.world.runs]
    for step in plan.steps:
        if step.state is not StepState.PUBLISHED and not step.spec.compensates and step.run_id is not None:
            _discard(t, plan, step)
        if step.state in _LEFT:
            move_step(t, plan, step, StepState.SKIPPED, f"{plan.name} is {state.value}")
    for run_id in plan.runs:
        t.world.plan_runs.pop(run_id, None)
        t.world.assets.plans.pop(run_id, None)
    plan.runs.clear()
    for run in going:
        at_once(runs.cancel_run(t, run, f"{plan.name} is {state.value}: {reason}"))


def _discard(t: Turn, plan: RunningPlan, step: PlannedStep) -> None:
    for made in step.spec.makes:
        there = t.world.assets.of_interval.get((made.asset, step.start, step.end), {})
        for one in list(there.values()):
            if one.run_id == step.run_id:
                approving.withdraw(
                    t, ApprovalKind.PUBLICATION, one.version_id, f"{plan.name} is {plan.state.value}"
                )
                versions.move(t, one, VersionState.FAILED, f"{plan.name} is {plan.state.value}")


def _end_if_over(t: Turn, plan: RunningPlan) -> None:
    """Every step has ended, and what it makes is seen: so has the plan."""
    if plan.open or not plan.published:
        return
    bad = [step for step in plan.steps if step.state is StepState.FAILED]
    t.world.plans.pop(plan.plan_id)
    if bad:
        names = ", ".join(step.spec.name for step in bad[:3])
        move(
            t, plan, PlanState.FAILED,
            f"what it made is published, and {len(bad)} of its corrections failed: {names}; plan again for these",
        )  # fmt: skip
    else:
        move(t, plan, PlanState.PUBLISHED, f"{len(plan.steps)} steps")


# --- publication ---------------------------------------------------------------------------------


def _judge(t: Turn, plan: RunningPlan) -> bool | None:
    """Ask of all that was made whether it may be seen, a part at a time. False: it may not, and the plan has failed.

    None: it goes on when more is known, or when a person has answered.
    """
    part: list[tuple[PlannedStep, Open]] = []
    upto = plan.judging
    while upto < len(plan.steps) and len(part) < JUDGED_AT_ONCE:
        step = plan.steps[upto]
        upto += 1
        for one in _made(t, step):
            if not _is_there(one):
                fail(t, plan, step, _GONE)
                return False
            part.append((step, one))
    keys = [key for _, one in part for key in releasing.keys_of(t, one)]
    if any(key not in t.facts for key in keys):
        raise NeedFacts(*keys)
    waits = False
    for step, one in part:
        t.budget -= 1
        decision = releasing.decide(t, PlanDue(plan.plan_id), one)
        if decision is None:
            return None  # it is asked again
        if decision.allowed:
            plan.judged[one.version_id] = decision
        elif releasing.waits_for_a_person(t, one):
            waits = True
        else:
            fail(t, plan, step, decision.reason)
            return False
    plan.asked = False
    if waits or upto == len(plan.steps):
        plan.judging = 0  # what is true of the others may be over when the answer is here
    else:
        plan.judging = upto
        wake(t, plan)
        return None
    if waits:
        plan.judged.clear()
        return None
    return True


_GONE = "what it had made is not there any more: something else has taken its place"


def _made(t: Turn, step: PlannedStep) -> list[Open | None]:
    """What a step has made; None for what it was to make and did not. A correction makes nothing of the plan's."""
    if step.spec.compensates:
        return []
    found = [(made, made_by(t, step, made.asset)) for made in step.spec.makes]
    return [one for made, one in found if one is not None or made.replaces]


def _is_there(one: Open | None) -> TypeGuard[Open]:
    return one is not None and one.state is VersionState.VALIDATED


def _publish(t: Turn, plan: RunningPlan) -> Slices:
    """All of it is seen from now on, in one transaction, however many slices that takes. DAGs that the plan has run are not told: they have."""
    made = [(step, one) for step in plan.steps for one in _made(t, step)]
    gone = [step for step, one in made if not _is_there(one) or one.version_id not in plan.judged]
    if gone:
        plan.judged.clear()
        fail(t, plan, gone[0], _GONE)
        return
    for _, one in made:
        assert one is not None
        if not _is_there(one):
            continue  # one of its interval that this very plan has made after it is seen, and has taken its place
        ran = _ran(t, plan, one)
        releasing.release(t, one, plan.judged[one.version_id], but=ran)
        t.budget -= 1
        if t.budget <= 0:
            yield
        unit = Unit(one.version_id, one.asset, one.start_us, one.end_us, one.start_us, 0)
        for dag_id in ran:
            consumer = t.world.assets.consumers[dag_id]
            consuming.note_dropped(t, consumer, [unit], f"{plan.name} has run {consumer.dag.name} for it")
    plan.judged.clear()
    for step in plan.steps:
        if not step.spec.compensates:
            move_step(t, plan, step, StepState.PUBLISHED)
    plan.published = True
    plan.find_free()
    t.journal("plan", plan.plan_id, None, plan.state.value, plan.state.value, "all that it made is published")
    _end_if_over(t, plan)
    if plan.plan_id in t.world.plans:
        wake(t, plan)


def _ran(t: Turn, plan: RunningPlan, one: Open) -> frozenset[int]:
    """The DAGs that are scheduled by this asset, and that the plan runs for this interval itself."""
    asset = t.world.assets.named.get(one.asset)
    consumers = asset.consumers.values() if asset is not None else ()
    found = set()
    for consumer in consumers:
        spans = plan.spans_of(consumer.dag.name)
        if any((start < one.end_us and end > one.start_us) or start == one.start_us for start, end in spans):
            found.add(consumer.dag.dag_id)
    return frozenset(found)
