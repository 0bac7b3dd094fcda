"""The operations on the asset graph: the graph itself, the contracts in force, promises against needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime import typed
from bide.runtime.assets.contract import ContractSpec, ExactVersion, Freshness, Latest, Quality, SameInterval
from bide.runtime.assets.judged import Phase
from bide.runtime.assets.policy import USUAL, resolve, severity_of
from bide.runtime.clock import Clock
from bide.runtime.errors import NotFoundError
from bide.runtime.graph.asset_cycles import cycles, relation
from bide.runtime.graph.asset_driving import driving, too_large
from bide.runtime.graph.asset_graph import AssetGraph, program
from bide.runtime.graph.asset_needs import needs
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.schedules import schedule_from_json
from bide.runtime.service.addresses import bounded
from bide.runtime.service.asset_graph_shapes import (
    ContractLine,
    CycleLine,
    GateLine,
    GraphShown,
    LinkLine,
    NodeLine,
    PromiseLine,
    RuleLine,
    UnitLine,
)
from bide.runtime.service.paging import behind
from bide.runtime.service.shapes import iso
from bide.runtime.store import asset_graph_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    import sqlite3

    from bide.runtime.service.operations import Asks


class AssetGraphs:
    """What can be asked of the graph; nothing of it is changed here."""

    def __init__(self, reader: Asks, clock: Clock) -> None:
        self._reader, self._clock = reader, clock

    async def graph(self, limit: int = 100_000, before: str | None = None) -> GraphShown:
        bounded(limit)
        now_us = self._clock.now()
        return await self._reader.ask(Reader.read, lambda conn: _page(_graph(conn, now_us), limit, before))

    async def contracts(
        self, asset: str | None = None, limit: int = 100_000, before: str | None = None
    ) -> list[ContractLine]:
        bounded(limit)
        found: list[ContractLine] = await self._reader.ask(Reader.read, _contracts)
        if asset is None:
            return behind(found, lambda line: line.place, before, limit)
        mine = [line for line in found if asset in (line.downstream, line.upstream)]
        if not mine:
            ends = sorted({name for line in found for name in (line.downstream, line.upstream)})
            raise NotFoundError(
                f"no contract in force names the asset {asset!r}{suggestion(asset, ends) or '; `bide assets contracts` lists them'}"
            )
        return behind(mine, lambda line: line.place, before, limit)

    async def promises(self, limit: int = 100_000, before: str | None = None) -> list[PromiseLine]:
        bounded(limit)
        now_us = self._clock.now()
        found = await self._reader.ask(Reader.read, lambda conn: _promises(_graph(conn, now_us), now_us))
        return behind(found, lambda line: line.place, before, limit)


def _promises(graph: AssetGraph, now_us: int) -> list[PromiseLine]:
    return [
        PromiseLine(
            downstream=need.downstream, upstream=need.upstream, what=need.what, standing=need.standing.value,
            promise=need.promise, need=need.need, slack_minutes=need.slack_minutes, at=need.at,
            producer=need.producer, consumer=need.consumer, sentence=need.sentence,
        )
        for need in needs(graph, now_us)
    ]  # fmt: skip


def _graph(conn: sqlite3.Connection, now_us: int) -> AssetGraph:
    programs = [
        program(
            typed.decode(row.spec, DagSpec),
            schedule_from_json(row.schedule),
            msgspec.json.decode(row.options),
            now_us if row.anchor_us is None else row.anchor_us,
        )
        for row in reads.dags(conn)
    ]
    return AssetGraph(programs, reads.declared(conn))


def _page(graph: AssetGraph, limit: int, before: str | None) -> GraphShown:
    whole = shown(graph)
    assets = behind(whole.assets, lambda each: each.asset, before, limit)
    names = {each.asset for each in assets}
    edges = tuple(each for each in whole.edges if each.downstream in names)
    return msgspec.structs.replace(whole, assets=tuple(assets), edges=edges)


def shown(graph: AssetGraph) -> GraphShown:
    """A graph as doors give it."""
    driven = driving(graph)
    gates: dict[str, list[GateLine]] = {}
    for gate, _ in graph.said.gates:
        line = GateLine(name=gate.name, severity=gate.severity.value, owner=gate.owner)
        gates.setdefault(gate.asset, []).append(line)
    return GraphShown(
        assets=tuple(_node(graph, name, driven[name].value, gates.get(name, [])) for name in graph.names),
        edges=tuple(_link(graph, edge) for edge in sorted(graph.links)),
        cycles=tuple(
            CycleLine(assets=each.names, ordered=each.ordered, sentence=str(each)) for each in cycles(graph)
        ),
        too_large=tuple(UnitLine(dag=unit.dag, assets=unit.assets, of=unit.of) for unit in too_large(graph)),
    )


def _node(graph: AssetGraph, name: str, driven: str, gates: list[GateLine]) -> NodeLine:
    spec = graph.spec(name)
    return NodeLine(
        asset=name,
        node=spec.node.value,
        owner=spec.owner,
        criticality=spec.criticality.value,
        grain=spec.grain,
        output=spec.output.value,
        driven=driven,
        made_by=tuple(maker.name for maker in graph.makers.get(name, ())),
        read_by=tuple(graph.readers.get(name, ())),
        gates=tuple(gates),
    )


def _link(graph: AssetGraph, edge: tuple[str, str]) -> LinkLine:
    link = graph.links[edge]
    how = relation(link)
    return LinkLine(
        downstream=link.downstream,
        upstream=link.upstream,
        kind=link.kind.value,
        contract=link.contract is not None,
        version=how.version,
        interval=how.interval,
        publication=how.publication,
        via=link.via,
    )


def _contracts(conn: sqlite3.Connection) -> list[ContractLine]:
    specs = {spec.edge: spec for spec, _ in reads.declared(conn).contracts}
    lines = []
    for row in reads.since(conn):
        spec = specs[row.downstream, row.upstream]
        lines.append(
            ContractLine(
                contract=str(row.contract_id),
                downstream=spec.downstream,
                upstream=spec.upstream,
                kind=spec.kind.value,
                require=tuple(map(requirement_words, spec.require)),
                rules=_rules(spec),
                rationale=spec.rationale,
                during=spec.during,
                owner=spec.owner,
                source=row.source,
                since=iso(row.since_us),
            )
        )
    return sorted(lines, key=lambda line: (line.downstream, line.upstream))


def _rules(spec: ContractSpec) -> tuple[RuleLine, ...]:
    lines = []
    for result in USUAL:
        severity = severity_of(spec, result)
        rule = resolve(spec, result, severity, Phase.PUBLISHING)
        said = result in spec.on_failure
        lines.append(
            RuleLine(
                result=result.value,
                severity=severity.value,
                action=rule.action.value,
                level=rule.level.value,
                said=said,
                rationale=rule.rationale,
            )
        )
    return tuple(lines)


def requirement_words(each: object) -> str:
    """A requirement as the terminal shows it."""
    if isinstance(each, SameInterval):
        return f"same interval{f' moved by {each.offset}' if each.offset else ''}"
    if isinstance(each, Freshness):
        return f"not older than {each.max_age}"
    if isinstance(each, Quality):
        return f"quality {each.checks if isinstance(each.checks, str) else ', '.join(each.checks)}"
    if isinstance(each, ExactVersion):
        return f"version {each.version}"
    if isinstance(each, Latest):
        return "the latest"
    return f"schema {getattr(each, 'mode', '')}"
