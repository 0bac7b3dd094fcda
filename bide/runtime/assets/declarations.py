"""What modules declare of assets: their facts, contracts and gates, by the file that says so; and hooks.

A contract is a statement, not the value of a name (`Contract(...)`), so declaring is what making one does;
a runtime takes what concerns the assets of its DAGs (`catalog_for`). Loading a file again replaces what
that file had declared, once it has loaded.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import msgspec

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.gate import Gate, GateSpec
from bide.runtime.errors import GraphError
from bide.runtime.hooks.hook import HookSpec


class Said(msgspec.Struct):
    """What one file says."""

    assets: dict[str, AssetSpec] = msgspec.field(default_factory=dict)
    contracts: dict[tuple[str, str], ContractSpec] = msgspec.field(default_factory=dict)
    gates: dict[tuple[str, str], Gate] = msgspec.field(default_factory=dict)
    hooks: dict[str, HookSpec] = msgspec.field(default_factory=dict)


Sources = dict[str, Said]
"""By file; "" for what has none."""

_process: Final[Sources] = {}
_collecting: ContextVar[Sources | None] = ContextVar("bide_declarations", default=None)


def declared() -> Sources:
    """What the modules of this process have declared."""
    return _process


@contextmanager
def collecting() -> Iterator[Sources]:
    """Within: what is declared is kept apart; it counts, file by file, when the block ends well."""
    found: Sources = {}
    token = _collecting.set(found)
    try:
        yield found
    finally:
        _collecting.reset(token)
    (_collecting.get() or _process).update(found)


def put(source: str, said: Said) -> None:
    """What a file says that is no module: it takes the place of what it had said."""
    sources = _collecting.get()
    (_process if sources is None else sources)[source] = said


def forget(source: str) -> None:
    """A file declares nothing any more."""
    _process.pop(source, None)


def declare_asset(spec: AssetSpec) -> None:
    _here().assets[spec.name] = spec


def declare_contract(spec: ContractSpec) -> None:
    said = _here().contracts
    if spec.edge in said and said[spec.edge] != spec:
        raise GraphError(
            f"there are two contracts of {spec.downstream!r} on {spec.upstream!r}: one contract an edge, "
            "so put what both require into one"
        )
    said[spec.edge] = spec


def declare_gate(gate: Gate) -> None:
    said = _here().gates
    key = gate.spec.asset, gate.spec.name
    if key in said and said[key].fn is not gate.fn and said[key].spec != gate.spec:
        raise GraphError(f"the asset {gate.spec.asset!r} has two gates named {gate.spec.name!r}: rename one")
    said[key] = gate


def declare_hook(spec: HookSpec) -> None:
    said = _here().hooks
    if spec.name in said and said[spec.name] != spec:
        raise GraphError(
            f"there are two hooks named {spec.name!r}: rename one, or give one of them both routes"
        )
    said[spec.name] = spec


def _here() -> Said:
    sources = _collecting.get()
    return (_process if sources is None else sources).setdefault(_file(), Said())


def _file() -> str:
    """The file of the innermost code that is not bide's own."""
    frame = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__", "")).startswith("bide."):
            return str(frame.f_globals.get("__file__") or "")
        frame = frame.f_back  # type: ignore[assignment]
    return ""


# --- what concerns a runtime ---------------------------------------------------------------------


class Declared(msgspec.Struct, frozen=True):
    """What was declared of some assets, as plain data, each with the file that says so."""

    assets: tuple[AssetSpec, ...] = ()
    contracts: tuple[tuple[ContractSpec, str], ...] = ()
    gates: tuple[tuple[GateSpec, str], ...] = ()
    sources: tuple[str, ...] = ()
    """The files that were read: what one of them had said and does not say any more is over."""
    beside: frozenset[tuple[str, tuple[str, str]]] = frozenset()
    """(file, edge) and (file, (asset, gate)) of what these files say as well, that concerns other assets: it stays."""


def concerning(names: Iterable[str], sources: Sources) -> Declared:
    """What concerns these assets: contracts at either end of one of them, and on from there."""
    contracts = [(spec, source) for source, said in sources.items() for spec in said.contracts.values()]
    near: dict[str, list[int]] = {}
    for number, (spec, _) in enumerate(contracts):
        for name in spec.edge:
            near.setdefault(name, []).append(number)
    known = set(names)
    edge, taken = list(known), set[int]()
    while edge:
        for number in near.get(edge.pop(), ()):
            if number not in taken:
                taken.add(number)
                new = set(contracts[number][0].edge) - known
                known |= new
                edge.extend(new)
    edges = {(source, edge) for source, said in sources.items() for edge in said.contracts}
    gates = {(source, key) for source, said in sources.items() for key in said.gates}
    heard = {(contracts[number][1], contracts[number][0].edge) for number in taken}
    heard |= {(source, key) for source, key in gates if key[0] in known}
    return Declared(
        beside=frozenset((edges | gates) - heard),
        assets=tuple(_assets(known, sources).values()),
        contracts=tuple(contracts[number] for number in sorted(taken)),
        gates=tuple(
            (gate.spec, source)
            for source, said in sources.items()
            for gate in said.gates.values()
            if gate.spec.asset in known
        ),
        sources=tuple(sources),
    )


def _assets(known: set[str], sources: Sources) -> dict[str, AssetSpec]:
    """The first that says something of an asset is heard; `bide check` names others that differ."""
    found: dict[str, AssetSpec] = {}
    for said in sources.values():
        for name, spec in said.assets.items():
            if name in known:
                found.setdefault(name, spec)
    return found
