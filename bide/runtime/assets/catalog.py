"""The catalogue: what is declared of assets now, by name, and the graph that its contracts make.

Plain data in memory, a few hundred bytes an asset; versions are never in it. The engine keeps one, the
store has the same rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.declarations import Declared
from bide.runtime.assets.gate import GateSpec


class Held(msgspec.Struct, frozen=True, gc=False):
    """A contract that is in force: its number, and the file that says so."""

    contract_id: int
    spec: ContractSpec
    source: str


class HeldGate(msgspec.Struct, frozen=True, gc=False):
    gate_id: int
    spec: GateSpec
    source: str


class Catalog:
    """What is declared. `of_downstream` and `of_upstream` are the same contracts, by either end."""

    __slots__ = ("assets", "gates", "of_downstream", "of_upstream")

    def __init__(self) -> None:
        self.assets: dict[str, AssetSpec] = {}
        self.of_downstream: dict[str, dict[str, Held]] = {}
        self.of_upstream: dict[str, dict[str, Held]] = {}
        self.gates: dict[str, dict[str, HeldGate]] = {}

    def asset(self, name: str) -> AssetSpec:
        """What was declared of it; one of which nothing was has all the defaults."""
        return self.assets.get(name) or AssetSpec(name)

    def contracts(self) -> Iterator[Held]:
        for held in self.of_downstream.values():
            yield from held.values()

    def put(self, held: Held) -> None:
        down, up = held.spec.edge
        self.of_downstream.setdefault(down, {})[up] = held
        self.of_upstream.setdefault(up, {})[down] = held

    def drop(self, held: Held) -> None:
        down, up = held.spec.edge
        _drop(self.of_downstream, down, up)
        _drop(self.of_upstream, up, down)

    def put_gate(self, held: HeldGate) -> None:
        self.gates.setdefault(held.spec.asset, {})[held.spec.name] = held

    def drop_gate(self, held: HeldGate) -> None:
        _drop(self.gates, held.spec.asset, held.spec.name)


T = TypeVar("T")


def _drop(table: dict[str, dict[str, T]], outer: str, inner: str) -> None:
    del table[outer][inner]
    if not table[outer]:
        del table[outer]


class Difference(msgspec.Struct, frozen=True):
    """What a declaration changes in a catalogue."""

    assets: tuple[AssetSpec, ...]
    contracts: tuple[tuple[ContractSpec, str], ...]
    over: tuple[Held, ...]
    gates: tuple[tuple[GateSpec, str], ...]
    gates_over: tuple[HeldGate, ...]

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in self.__struct_fields__)


def difference(catalog: Catalog, said: Declared) -> Difference:
    """What is new, and what is over: said before by one of the files that were read, and not now.

    What a file says that was not read this time (it is broken, or belongs to another program) stays. The
    first contract of an edge counts; another one of the same edge is left out.
    """
    contracts: dict[tuple[str, str], tuple[ContractSpec, str]] = {}
    for spec, source in said.contracts:
        contracts.setdefault(spec.edge, (spec, source))
    gates: dict[tuple[str, str], tuple[GateSpec, str]] = {}
    for gate, source in said.gates:
        gates.setdefault((gate.asset, gate.name), (gate, source))
    held = {each.spec.edge: each for each in catalog.contracts()}
    held_gates = {
        (g.spec.asset, g.spec.name): g for of_asset in catalog.gates.values() for g in of_asset.values()
    }
    read = set(said.sources)
    return Difference(
        assets=tuple(spec for spec in said.assets if catalog.assets.get(spec.name) != spec),
        contracts=tuple(
            (spec, source)
            for edge, (spec, source) in contracts.items()
            if edge not in held or (held[edge].spec, held[edge].source) != (spec, source)
        ),
        over=tuple(
            each
            for edge, each in held.items()
            if (edge in contracts and contracts[edge] != (each.spec, each.source))
            or (edge not in contracts and each.source in read and (each.source, edge) not in said.beside)
        ),
        gates=tuple(
            (spec, source)
            for key, (spec, source) in gates.items()
            if key not in held_gates or (held_gates[key].spec, held_gates[key].source) != (spec, source)
        ),
        gates_over=tuple(
            each
            for key, each in held_gates.items()
            if (key in gates and gates[key] != (each.spec, each.source))
            or (key not in gates and each.source in read and (each.source, key) not in said.beside)
        ),
    )
