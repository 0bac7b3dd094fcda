"""The JSON of rerun plans, as every door gives them. Keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.assets.rerun import RerunPlan
from bide.runtime.service.said_words import Id, Instant, PlanWord
from bide.runtime.service.shapes import Interval, _Shape


class PlanLine(_Shape, frozen=True):
    """A plan that is kept. `steps` counts them by state, once it has been run."""

    plan_id: Id
    invalidation: str | None
    asset: str | None
    state: PlanWord
    risk: str
    requires_approval: bool
    approval: str | None
    hash: str
    total: int
    steps: dict[str, int]
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    reason: str


class PlanStepLine(_Shape, frozen=True):
    """A step, and the run that it is."""

    step: str
    pipeline: str
    tasks: tuple[str, ...]
    interval: Interval
    scope: str
    mode: str
    publication_mode: str
    depends_on_steps: tuple[str, ...]
    state: str
    run_id: Id | None
    run_state: str | None
    reason: str


class PlanShown(PlanLine, frozen=True):
    """A plan, why it stands where it does, and its steps as they are; `plan` is what was approved."""

    why: str
    lines: tuple[PlanStepLine, ...]
    plan: RerunPlan


class PlanRun(_Shape, frozen=True):
    """A plan was asked to run. `started` is false of one that ran already: nothing was changed."""

    plan_id: Id
    state: str
    started: bool
    done: str
