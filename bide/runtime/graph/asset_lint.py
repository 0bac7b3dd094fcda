"""Warnings about assets: those that nobody makes, and DAGs whose runs make each other for ever."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from bide.runtime import typed
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.lint import Warn
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules import OnAssets
from bide.runtime.schedules.on_assets import on_assets
from bide.runtime.schedules.promise import Promise


def asset_warnings(dags: Sequence[Dag]) -> Iterator[Warn]:
    """The warnings about what these DAGs make and look at.

    A DAG that is checked without any that makes something is not expected to be whole.
    """
    makers: dict[str, list[str]] = {}
    for dag in dags:
        for task in dag.spec.tasks:
            for name in task.outlets:
                makers.setdefault(name, []).append(dag.name)
    promises = {
        name: (dag.tz, promise)
        for dag in dags
        for task in dag.spec.tasks
        for name, promise in (task.promises or {}).items()
    }
    looks: dict[str, tuple[str, ...]] = {}
    for dag in dags:
        schedule = on_assets(dag.schedule)
        if schedule is not None:
            looks[dag.name] = schedule.names
            yield from _overlaps(dag)
        for name in looks.get(dag.name, ()):
            if name not in makers and _others(dag.name, makers):
                yield _unmade(dag.name, "", name, makers)
        for task in dag.spec.tasks:
            if task.sensor is not None and task.sensor.trigger == "asset":
                name = str(task.sensor.params.get("asset"))
                if name not in makers and _others(dag.name, makers):
                    yield _unmade(dag.name, task.name, name, makers)
        yield from _before_promises(dag, looks.get(dag.name, ()), promises)
    yield from _loops(looks, makers)


def _overlaps(dag: Dag) -> Iterator[Warn]:
    """Versions are never skipped: what `overlap` says is about firings, and this schedule may have none."""
    overlap = dag.options.get("overlap")
    only = all(isinstance(part, OnAssets) for part in dag.schedule.parts())
    if only and overlap in ("skip", "cancel_running"):
        yield Warn(
            "overlap-of-assets", dag.name, "",
            f"overlap={overlap!r} says what a firing does, and a schedule of assets loses no version: its runs "
            'queue; consume="latest" or "batch" makes one run of what has come while others run',
        )  # fmt: skip


def _before_promises(
    dag: Dag, looks: tuple[str, ...], promises: dict[str, tuple[str, Promise]]
) -> Iterator[Warn]:
    """What is said to be late before an asset that it is made of is: by schedule, or by a sensor of its interval."""
    waited = {
        task.name: str(task.sensor.params.get("asset"))
        for task in dag.spec.tasks
        if task.sensor is not None
        and task.sensor.trigger == "asset"
        and not task.sensor.params.get("delta_us")
    }
    stored = dag.options.get("deadline_alert")
    said = [("", typed.convert(stored, Promise), (*looks, *waited.values()))] if stored is not None else []
    for task in dag.spec.tasks:
        if task.alert is not None:
            own = (waited[task.name],) if task.name in waited else ()
            said.append((task.name, task.alert, (*looks, *own)))
    for who, mine, names in said:
        for name in dict.fromkeys(names):
            if name in promises:
                yield from _before(dag, who, mine, name, *promises[name])


def _before(dag: Dag, task: str, mine: Promise, name: str, tz: str, theirs: Promise) -> Iterator[Warn]:
    if mine.is_before(dag.tz, theirs, tz):
        yield Warn(
            "deadline-before-upstream", dag.name, task,
            f"it is promised {mine.describe(dag.tz)}, and {name!r}, of which it is made, {theirs.describe(tz)}: "
            "it will be late whenever that is in time",
        )  # fmt: skip


def _others(dag: str, makers: dict[str, list[str]]) -> bool:
    """Whether another DAG makes anything."""
    return any(maker != dag for names in makers.values() for maker in names)


def _unmade(dag: str, task: str, name: str, makers: dict[str, list[str]]) -> Warn:
    near = suggestion(name, makers)
    return Warn(
        "asset-not-made", dag, task,
        f"it looks at the asset {name!r}, and no task of these DAGs has it among its outlets"
        f"{near or ': check the DAG that makes it as well'}",
    )  # fmt: skip


def _loops(looks: dict[str, tuple[str, ...]], makers: dict[str, list[str]]) -> Iterator[Warn]:
    after = {dag: {maker for name in names for maker in makers.get(name, ())} for dag, names in looks.items()}
    sorter = TopologicalSorter(after)
    try:
        sorter.prepare()
    except CycleError as error:
        path = error.args[1]
        told = " -> ".join(path)
        yield Warn(
            "asset-loop", path[-1], "",
            f"each of its runs makes another one, for ever, through assets: {told}; take one of these assets "
            "from its schedule, or from its outlets",
        )  # fmt: skip
