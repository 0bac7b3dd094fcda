"""The rerun plan of a blast radius: the least that has to be made anew, in which order, how, at what risk.

Pure. It asks of each affected version whether it is still wrong: one that a newer version has replaced, or that
its contract lets stand with a limitation, is left, and the plan says so. `ordering.py` puts the rest in order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bide.runtime.assets.blast import BlastRadius, Impacted
from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.ordering import Group, grouped
from bide.runtime.assets.producing import Producer, Work, tasks_for
from bide.runtime.assets.rerun import (
    MODES,
    WHOLE,
    Cost,
    Left,
    Mode,
    Needed,
    Publication,
    Remade,
    RerunPlan,
    RerunStep,
    Risk,
    Scope,
    Why,
    named,
    span_of,
)
from bide.runtime.assets.words import VISIBLE, Action, Criticality, Node, Output, Severity, VersionState

MANY = 100
"""Runs from which a plan is no small matter."""

_STANDS = frozenset(
    {Action.WARN, Action.USE_PREVIOUS_VERSION, Action.USE_LATEST_VERSION, Action.PARTIAL_PUBLISH}
)


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan reads beside the radius, of the database as it is now.

    `edges` are (version, input) of affected versions; `reads` (version, affected version that has the interval of an
    input by now); `instead` says which newer visible version has taken the
    place of one; `history` how many versions of an asset stand for an interval now, wrong ones included; `params`
    those of the runs that made what is affected, by version, where they were other ones than the DAG's own.
    """

    states: dict[int, VersionState] = {}
    edges: tuple[tuple[int, int], ...] = ()
    reads: tuple[tuple[int, int], ...] = ()
    instead: dict[int, int] = {}
    history: dict[str, int] = {}
    producers: dict[str, Producer] = {}
    made_by: dict[str, tuple[str, ...]] = {}
    params: dict[int, dict[str, Any]] = {}


def plan_of(radius: BlastRadius, catalog: Catalog, known: Known) -> RerunPlan:
    """The plan that mends what is affected; without steps when nothing is left to do."""
    wrong, left = _sorted_out(radius, known)
    groups = grouped(wrong, known.edges, known.reads, catalog, lambda node: _maker(node, known))
    steps = _steps(groups, radius, known)
    risk, because = _risk(groups, steps, radius, known)
    approvals = _approvals(groups, steps, risk, because)
    root = radius.root
    plan = RerunPlan(
        cause=Why(
            invalidation=str(root.invalidation_id),
            asset=root.asset,
            interval=span_of(root.start_us, root.end_us),
            cause=root.cause.value,
            severity=root.severity.value,
            reason=root.reason,
        ),
        steps=steps,
        risk=risk,
        because=because,
        requires_approval=bool(approvals),
        approvals=approvals,
        cost=_cost(steps, known),
        left=left,
    )
    return named(msgspec.structs.replace(plan, summary=summary_of(plan)))


# --- what is wrong -------------------------------------------------------------------------------


def _sorted_out(radius: BlastRadius, known: Known) -> tuple[list[Impacted], tuple[Left, ...]]:
    """The versions that have to be made anew, and those that are left, each with the reason."""
    wrong: list[Impacted] = []
    left: list[Left] = []
    newest: dict[str, Impacted] = {}
    for node in radius.nodes:
        if node.output in WHOLE and node.node is not Node.EXTERNAL_EFFECT:
            before = newest.get(node.asset)
            if before is None or (node.start_us, node.version_id) > (before.start_us, before.version_id):
                newest[node.asset] = node
    for node in radius.nodes:
        why, missing = _why_left(node, known, newest)
        if why:
            left.append(
                Left(
                    asset=node.asset,
                    interval=span_of(node.start_us, node.end_us),
                    version=node.version_id,
                    why=why,
                    missing=missing,
                )
            )
        else:
            wrong.append(node)
    return wrong, tuple(left)


def _why_left(node: Impacted, known: Known, newest: dict[str, Impacted]) -> tuple[str, bool]:
    now = known.states.get(node.version_id, node.state)
    if (instead := known.instead.get(node.version_id)) is not None:
        return f"version {instead} has taken its place", False
    if node.state is VersionState.SUPERSEDED or now is VersionState.SUPERSEDED:
        return "it was superseded already", False
    if now is VersionState.FAILED:
        return "it was given up", False
    if node.via is not None and node.action in _STANDS:
        return f"its contract lets it stand ({node.action.value}): {node.decision.reason}", False
    if (latest := newest.get(node.asset)) is not None and latest is not node:
        return f"there is one {node.asset}, and it is rebuilt from version {latest.version_id} on", False
    if not _maker(node, known):
        return "no task that is loaded makes it: publish a corrected version of it, then plan again", True
    return "", False


def _maker(node: Impacted, known: Known) -> str:
    """The DAG that makes it anew: the one that made it, while that still does; "" for none."""
    makers = known.made_by.get(node.asset, ())
    return node.dag if node.dag in makers else next(iter(makers), "")


# --- steps ---------------------------------------------------------------------------------------


def _steps(groups: Sequence[Group], radius: BlastRadius, known: Known) -> tuple[RerunStep, ...]:
    names = _names(groups)
    used = {node.via for node in radius.nodes}
    alone = len(groups) == 1
    wrong_of: dict[str, int] = {}
    for group in groups:
        for node in group.nodes:
            wrong_of[node.asset] = wrong_of.get(node.asset, 0) + 1
    steps = []
    for place, group in enumerate(groups):
        producer = known.producers[group.dag]
        assets = frozenset(node.asset for node in group.nodes)
        tasks = tasks_for(producer, producer.writers(assets))
        makes = _makes(group, producer, tasks)
        steps.append(
            RerunStep(
                name=names[place],
                pipeline=group.dag,
                tasks=tasks,
                interval=span_of(group.start_us, group.end_us),
                scope=_scope(group, tasks, wrong_of, known, used, alone),
                mode=makes[0].mode,
                makes=makes,
                transform_version=producer.version,
                publication_mode=Publication.COMPENSATION if group.effect else Publication.STAGED,
                depends_on_steps=tuple(names[each] for each in group.after),
                params=next(
                    (
                        known.params[node.version_id]
                        for node in group.nodes
                        if node.version_id in known.params
                    ),
                    {},
                ),
                why=next((node.decision.reason for node in group.nodes), ""),
            )
        )
    return tuple(steps)


def _names(groups: Sequence[Group]) -> list[str]:
    """`gold_daily@2026-07-01T00:00:00Z`: names that stay when other steps come or go."""
    taken: dict[str, int] = {}
    names = []
    for group in groups:
        name = f"{group.dag}@{span_of(group.start_us, group.end_us).start}"
        if group.effect:
            name += f":{group.nodes[0].asset}"
        taken[name] = taken.get(name, 0) + 1
        names.append(name if taken[name] == 1 else f"{name}#{taken[name]}")
    return names


def mode_of(node: Impacted) -> Mode:
    """How it is safely made anew (S1-23)."""
    return Mode.COMPENSATE if node.node is Node.EXTERNAL_EFFECT else MODES[node.output]


def _makes(group: Group, producer: Producer, tasks: tuple[str, ...]) -> tuple[Remade, ...]:
    """What the step makes: what is wrong, and what its tasks make beside that."""
    made = {
        asset: Remade(
            asset=asset,
            mode=mode_of(nodes[0]),
            replaces=tuple(sorted(node.version_id for node in nodes)),
        )
        for asset, nodes in _by_asset(group.nodes).items()
    }
    beside = {
        name: Remade(asset=name, mode=Mode.REPLACE)
        for work in producer.tasks
        if work.name in tasks and not work.is_effect
        for name in work.outlets
        if name not in made
    }
    return (*made.values(), *beside.values())


def _by_asset(nodes: Iterable[Impacted]) -> dict[str, list[Impacted]]:
    found: dict[str, list[Impacted]] = {}
    for node in nodes:
        found.setdefault(node.asset, []).append(node)
    return found


def _scope(
    group: Group,
    tasks: tuple[str, ...],
    wrong_of: dict[str, int],
    known: Known,
    used: set[int | None],
    alone: bool,
) -> Scope:
    """How far the step reaches (S1-22): the narrowest word that is true of it."""
    first = group.nodes[0]
    if group.effect:
        return Scope.COMPENSATION
    if len(_by_asset(group.nodes)) > 1:
        return Scope.SUBGRAPH
    if first.output in WHOLE:
        return Scope.ENTIRE_ASSET
    if known.history.get(first.asset, 0) > 1 and wrong_of[first.asset] >= known.history[first.asset]:
        return Scope.RESTATEMENT
    if len(tasks) == 1 and not any(node.version_id in used for node in group.nodes):
        if first.state not in VISIBLE and first.state is not VersionState.INVALIDATED:
            return Scope.ATTEMPT
        if alone:
            return Scope.TASK
    return Scope.PARTITION if first.output is Output.IMMUTABLE_PARTITION else Scope.INTERVAL


# --- risk, approvals, cost -----------------------------------------------------------------------


def _risk(
    groups: Sequence[Group], steps: Sequence[RerunStep], radius: BlastRadius, known: Known
) -> tuple[Risk, tuple[str, ...]]:
    """The highest of what speaks for one, and each reason."""
    found: dict[str, Risk] = {}
    for group in groups:
        for node in group.nodes:
            if group.effect:
                work = _effect(node, known)
                target = work.target if work is not None and work.target else "outside"
                if work is not None and not work.reversible:
                    found[f"{node.asset} has left for {target}, and cannot be taken back"] = Risk.CRITICAL
                else:
                    found[f"{node.asset} has left for {target}, and is corrected there"] = Risk.HIGH
            elif node.criticality in (Criticality.HIGH, Criticality.CRITICAL):
                found[f"the criticality of {node.asset} is {node.criticality.value}"] = Risk.HIGH
            elif node.node is Node.PRODUCT:
                found[f"consumers see {node.asset}"] = Risk.MEDIUM
            elif node.output is Output.APPEND_ONLY:
                found[f"{node.asset} is append-only: corrections stay in it for good"] = Risk.MEDIUM
    if steps and radius.root.severity is Severity.CRITICAL:
        found["the invalidation is critical"] = Risk.HIGH
    if len(steps) > MANY:
        found[f"it is {len(steps)} runs"] = Risk.MEDIUM
    order = list(Risk)
    because = sorted(found, key=lambda why: (-order.index(found[why]), why))
    return max(found.values(), key=order.index, default=Risk.LOW), tuple(because)


def _effect(node: Impacted, known: Known) -> Work | None:
    producer = known.producers.get(_maker(node, known))
    works = producer.tasks if producer is not None else ()
    return next((work for work in works if work.is_effect and node.asset in work.outlets), None)


def _approvals(
    groups: Sequence[Group], steps: Sequence[RerunStep], risk: Risk, because: tuple[str, ...]
) -> tuple[Needed, ...]:
    """What a person has to say yes to: what leaves the platform, what a contract asks a person about, high risk."""
    found = []
    for group, step in zip(groups, steps, strict=True):
        asked = [node.asset for node in group.nodes if node.action is Action.REQUIRE_MANUAL_APPROVAL]
        if step.compensates:
            what = " and ".join(made.asset for made in step.makes if made.replaces)
            found.append(Needed(step.name, f"a correction of {what} leaves the platform"))
        elif asked:
            found.append(
                Needed(step.name, f"the contract of {' and '.join(dict.fromkeys(asked))} asks a person")
            )
    if risk in (Risk.HIGH, Risk.CRITICAL):
        found.insert(0, Needed("the plan", f"its risk is {risk.value}: {because[0]}"))
    return tuple(found)


def _cost(steps: Sequence[RerunStep], known: Known) -> Cost:
    units: dict[str, float] = {}
    took: list[float] = []
    ends: dict[str, float] = {}
    for step in steps:
        chosen = set(step.tasks)
        works = [work for work in known.producers[step.pipeline].tasks if work.name in chosen]
        for work in works:
            for budget, n in work.cost.items():
                units[budget] = units.get(budget, 0) + n
        seconds = [work.seconds for work in works if work.seconds is not None]
        took += seconds
        before = max((ends[name] for name in step.depends_on_steps), default=0.0)
        ends[step.name] = before + sum(seconds)
    return Cost(
        runs=len(steps),
        tasks=sum(len(step.tasks) for step in steps),
        units=dict(sorted(units.items())),
        seconds=round(sum(took), 3) if took else None,
        seconds_at_least=round(max(ends.values()), 3) if took else None,
    )


# --- in words ------------------------------------------------------------------------------------


def summary_of(plan: RerunPlan) -> tuple[str, ...]:
    """What a person reads first: a line a step, in the order in which they run."""
    cause = plan.cause
    lines = [
        f"mends {cause.asset}, {cause.interval}: {cause.cause} ({cause.severity})"
        + (f", {cause.reason}" if cause.reason else "")
    ]
    for place, step in enumerate(plan.steps, 1):
        made = ", ".join(
            f"{each.asset} by {each.mode.value}" if each.replaces else f"{each.asset} beside it"
            for each in step.makes
        )
        when = ", after publication" if step.compensates else ""
        lines.append(f"{place}. {step.pipeline} [{', '.join(step.tasks)}] for {step.interval}{when}: {made}")
    lines += [
        f"{'missing' if each.missing else 'left'}: {each.asset} version {each.version}, {each.interval}: {each.why}"
        for each in plan.left
    ]
    if not plan.steps:
        return (*lines, "nothing has to be made anew")
    lines.append(f"risk {plan.risk.value}" + (f": {'; '.join(plan.because)}" if plan.because else ""))
    cost = plan.cost
    spends = ", ".join(f"{n:g} of {budget}" for budget, n in cost.units.items())
    lines.append(
        f"cost: {cost.runs} runs, {cost.tasks} tasks{f', {spends}' if spends else ''}"
        + (f", about {cost.seconds:g} s of work" if cost.seconds is not None else "")
    )
    lines += [f"approve: {each.what}: {each.why}" for each in plan.approvals]
    return tuple(lines)


def differences(was: RerunPlan, now: RerunPlan) -> tuple[str, ...]:
    """What a plan made now does otherwise, one sentence each; empty when it does the same."""
    found: list[str] = []
    before, after = ({step.name: step for step in plan.steps} for plan in (was, now))
    found += [f"{name} need not be run any more" for name in before if name not in after]
    found += [f"{name} has to be run as well" for name in after if name not in before]
    for name, step in before.items():
        other = after.get(name)
        if other is None or other == step:
            continue
        parts = [
            f"{field} was {_said(getattr(step, field))}, and is {_said(getattr(other, field))}"
            for field in RerunStep.__struct_fields__
            if getattr(step, field) != getattr(other, field)
        ]
        found.append(f"{name}: {'; '.join(parts)}")
    for field in ("cause", "risk", "approvals", "left"):
        if getattr(was, field) != getattr(now, field):
            found.append(f"its {field} differ{'s' if field in ('cause', 'risk') else ''} from those of now")
    if not found and was.hash != now.hash:
        found.append("its cost is another one")
    return tuple(found)


def _said(value: object) -> str:
    if isinstance(value, tuple):
        return (
            ", ".join(
                f"{each.asset} instead of {each.replaces}" if isinstance(each, Remade) else str(each)
                for each in value
            )
            or "none"
        )
    return str(value)
