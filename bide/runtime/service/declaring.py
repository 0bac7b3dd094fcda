"""What a runtime tells the engine of assets: what the files of its DAGs, and what they import, declare."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bide.runtime.assets.declarations import Declared, Sources, concerning, declared
from bide.runtime.assets.gate import Gate
from bide.runtime.graph.dag import Dag
from bide.runtime.schedules.on_assets import on_assets


def declared_for(dags: Iterable[Dag], sources: Sources | None = None) -> Declared:
    """What concerns the assets that these DAGs make, read, wait for or are scheduled by."""
    named = {name for dag in dags for name in assets_of(dag)}
    return concerning(named, declared() if sources is None else sources)


def loaded_gates(sources: Sources | None = None) -> dict[str, tuple[Gate, ...]]:
    """The gates of every asset with their functions, as the modules of this process have them."""
    found: dict[str, dict[str, Gate]] = {}
    for said in (declared() if sources is None else sources).values():
        for gate in said.gates.values():
            found.setdefault(gate.spec.asset, {}).setdefault(gate.spec.name, gate)
    return {asset: tuple(gates.values()) for asset, gates in found.items()}


def assets_of(dag: Dag) -> Iterator[str]:
    """The assets that a DAG names."""
    for task in dag.spec.tasks:
        yield from task.outlets
        yield from task.inlets
        if task.sensor is not None and task.sensor.trigger == "asset":
            yield str(task.sensor.params.get("asset"))
    schedule = on_assets(dag.schedule)
    if schedule is not None:
        yield from schedule.names
