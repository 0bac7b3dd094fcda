"""What a runtime tells the engine of assets: what the files of its DAGs, and what they import, declare."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from bide.runtime.assets.catalog import Catalog
from bide.runtime.assets.contract import Contract
from bide.runtime.assets.declarations import Declared, Said, Sources, concerning, declared
from bide.runtime.assets.gate import Gate
from bide.runtime.errors import GraphError, NotFoundError
from bide.runtime.graph.contract_files import contract_files, stated
from bide.runtime.graph.dag import Dag
from bide.runtime.schedules.on_assets import on_assets

Contracts = Sequence[Contract | str | os.PathLike[str]]
"""What a `Runtime` is given: contracts, and files and folders of them."""


def declared_for(
    dags: Iterable[Dag], given: Sources | None = None, catalog: Catalog | None = None
) -> Declared:
    """What concerns the assets that these DAGs make, read, wait for or are scheduled by, and what was given.

    Where two say something of one edge, what was given is heard first, then the files of these DAGs and the contracts
    beside them, then what else this process has imported. What a file had said that is in the catalogue, and is not there any more, is over.
    """
    dags = list(dags)
    named = {name for dag in dags for name in assets_of(dag)}
    named.update(name for said in (given or {}).values() for edge in said.contracts for name in edge)
    own = {str(dag.file) for dag in dags}
    near = {folder for dag in dags if dag.folder is not None for folder in (dag.folder, dag.folder.parent)}
    joined = _joined(declared(), given or {})

    def distance(source: str) -> tuple[bool, bool]:
        beside = source.endswith(".toml") and Path(source).parent.parent in near
        return source not in (given or {}), source not in own and not beside

    first = sorted(joined, key=distance)
    said = concerning(named, {source: joined[source] for source in first})
    lost = _lost(catalog, said.sources) if catalog is not None else ()
    return msgspec.structs.replace(said, sources=(*said.sources, *lost)) if lost else said


def _joined(sources: Sources, given: Sources) -> Sources:
    """Both; of a file that is in both, what either says of it."""
    found = dict(sources)
    for source, said in given.items():
        before = found.get(source, Said())
        found[source] = Said(
            {**before.assets, **said.assets},
            {**before.contracts, **said.contracts},
            {**before.gates, **said.gates},
        )
    return found


def _lost(catalog: Catalog, read: Sequence[str]) -> tuple[str, ...]:
    """The files that the catalogue has something of, and that are gone."""
    sources = {each.source for each in catalog.contracts()}
    sources |= {gate.source for gates in catalog.gates.values() for gate in gates.values()}
    return tuple(
        each for each in sorted(sources - set(read)) if Path(each).is_absolute() and not Path(each).exists()
    )


def given_contracts(contracts: Contracts) -> Sources:
    """What a runtime was given, by file. `GraphError` for a file that is broken, or a second contract of an edge."""
    found: Sources = {}
    for each in contracts:
        if isinstance(each, Contract):
            source = _source_of(each, declared())
            _take(found, source, Said(contracts={each.spec.edge: each.spec}))
            continue
        path = Path(each)
        if not path.exists():
            raise NotFoundError(f"there is no file or folder of contracts {str(path)!r}")
        files = sorted(path.glob("*.toml")) if path.is_dir() else contract_files([path])
        for file in files:
            _take(found, str(file.resolve()), stated(file.resolve()))
    return found


def _take(found: Sources, source: str, said: Said) -> None:
    for edge in said.contracts:
        for other, each in found.items():
            if edge in each.contracts and each.contracts[edge] != said.contracts[edge]:
                raise GraphError(
                    f"there are two contracts of {edge[0]!r} on {edge[1]!r}, in {other or 'a program'} and in "
                    f"{source or 'a program'}: one contract an edge, so put what both require into one"
                )
    here = found.setdefault(source, Said())
    here.assets.update(said.assets)
    here.contracts.update(said.contracts)
    here.gates.update(said.gates)


def _source_of(contract: Contract, sources: Mapping[str, Said]) -> str:
    edge = contract.spec.edge
    return next((name for name, said in sources.items() if said.contracts.get(edge) == contract.spec), "")


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
