"""The asset graph: who makes an asset, who reads it, and what the contract of each edge says.

Made of DAGs as they are declared or stored, and of what was declared of assets. It is not the task graph:
one task may make several assets, several may make one (S1-3..6).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.declarations import Declared
from bide.runtime.assets.words import Edge
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.spec import DagSpec, TaskSpec
from bide.runtime.schedules import Schedule
from bide.runtime.schedules.on_assets import on_assets
from bide.runtime.schedules.promise import Promise


class Program(msgspec.Struct, frozen=True):
    """A DAG as it matters here. `anchor_us` is the instant it was first loaded, `alert` what its runs promise."""

    spec: DagSpec
    schedule: Schedule
    anchor_us: int
    alert: Promise | None = None


class Maker(msgspec.Struct, frozen=True):
    """A task that makes an asset, and by when it promises to."""

    dag: str
    task: str
    promise: Promise | None

    @property
    def name(self) -> str:
        return f"{self.dag}.{self.task}"


class Link(msgspec.Struct, frozen=True):
    """An edge of the graph. Without a contract it is what a task (`via`) reads."""

    downstream: str
    upstream: str
    contract: ContractSpec | None
    via: str
    """The file of the contract, or `dag.task`."""

    @property
    def kind(self) -> Edge:
        return Edge.READ if self.contract is None else self.contract.kind


class AssetGraph:
    """Nodes by name, links by (downstream, upstream)."""

    def __init__(self, programs: Sequence[Program], said: Declared) -> None:
        self.programs = {each.spec.name: each for each in programs}
        self.said = said
        self.specs: dict[str, AssetSpec] = {spec.name: spec for spec in said.assets}
        self.makers: dict[str, list[Maker]] = {}
        self.readers: dict[str, list[str]] = {}
        self.links: dict[tuple[str, str], Link] = {}
        for spec, source in said.contracts:
            self.links.setdefault(spec.edge, Link(*spec.edge, spec, source))
        for program in programs:
            for task in program.spec.tasks:
                self._task(program.spec.name, task)
            schedule = on_assets(program.schedule)
            for name in schedule.names if schedule is not None else ():
                self._reader(name, program.spec.name)

        self._upstream: dict[str, list[Link]] = {}
        for link in self.links.values():
            self._upstream.setdefault(link.downstream, []).append(link)

    def _task(self, dag: str, task: TaskSpec) -> None:
        for name in task.outlets:
            promise = (task.promises or {}).get(name)
            self.makers.setdefault(name, []).append(Maker(dag, task.name, promise))
        for name in task.inlets:
            self._reader(name, f"{dag}.{task.name}")
            for made in task.outlets:
                if made != name:
                    self.links.setdefault((made, name), Link(made, name, None, f"{dag}.{task.name}"))
        if task.sensor is not None and task.sensor.trigger == "asset":
            self._reader(str(task.sensor.params.get("asset")), f"{dag}.{task.name}")

    def _reader(self, name: str, who: str) -> None:
        found = self.readers.setdefault(name, [])
        if who not in found:
            found.append(who)

    @property
    def names(self) -> list[str]:
        """All assets that anything says something of, sorted."""
        ends = {name for edge in self.links for name in edge}
        return sorted({*self.specs, *self.makers, *self.readers, *ends})

    def spec(self, name: str) -> AssetSpec:
        return self.specs.get(name) or AssetSpec(name)

    def known(self, name: str) -> bool:
        """Whether somebody makes it, or has said something of it."""
        return name in self.makers or name in self.specs

    def upstream(self, name: str) -> Sequence[Link]:
        """What it depends on."""
        return self._upstream.get(name, ())


def programs_of(dags: Iterable[Dag], now_us: int) -> list[Program]:
    """DAGs as they are declared; nobody has loaded them yet, so they are anchored now."""
    return [program(dag.spec, dag.schedule, dict(dag.options), now_us) for dag in dags]


def program(spec: DagSpec, schedule: Schedule, options: dict[str, Any], anchor_us: int) -> Program:
    """One DAG, with what its options say of when its runs are late."""
    stored = options.get("deadline_alert")
    alert = None if stored is None else typed.convert(stored, Promise)
    return Program(spec, schedule, anchor_us, alert)
