"""What contracts and declarations of assets say that cannot be, or will be regretted: each with its reason.

Errors are what can never go on: a contract that nothing can satisfy, a cycle of one layer. All else are
warnings.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Final

from bide.runtime.assets.contract import Quality, SameInterval
from bide.runtime.assets.declarations import Said
from bide.runtime.assets.judged import STOPS, Phase
from bide.runtime.assets.policy import resolve, severity_of
from bide.runtime.assets.words import Criticality, Result, Severity
from bide.runtime.graph.asset_cycles import cycles, which_said
from bide.runtime.graph.asset_driving import too_large
from bide.runtime.graph.asset_graph import AssetGraph
from bide.runtime.graph.asset_needs import Standing, needs
from bide.runtime.graph.lint import Warn
from bide.runtime.graph.validate import suggestion

_WORDS: Final = ("all", *(severity.value for severity in Severity))
"""What `Quality` takes beside the names of gates."""


def contract_findings(graph: AssetGraph, sources: Mapping[str, Said], now_us: int) -> list[Warn]:
    """What there is to say, errors first. `sources`: what each file declared."""
    found = [
        *_unknown(graph),
        *_gates(graph),
        *_differing(graph, sources),
        *_unowned(graph),
        *_needs(graph, now_us),
        *_cycles(graph),
        *_giants(graph),
    ]
    return sorted(found, key=lambda each: each.level != "error")


def guarded(graph: AssetGraph) -> frozenset[tuple[str, str]]:
    """(DAG, asset) of what a DAG reads under a contract of its interval that holds it back while that is missing."""
    found = set()
    for link in graph.links.values():
        if link.contract is None or not isinstance(which_said(link), SameInterval):
            continue
        missing = Result.MISSING
        rule = resolve(link.contract, missing, severity_of(link.contract, missing), Phase.EXECUTING)
        if rule.level in STOPS[Phase.EXECUTING]:
            found |= {(maker.dag, link.upstream) for maker in graph.makers.get(link.downstream, ())}
    return frozenset(found)


def _unknown(graph: AssetGraph) -> Iterator[Warn]:
    """A name that only a contract has: misspelt, or made where these files do not look."""
    makers = set(graph.makers) | set(graph.specs)
    for link in graph.links.values():
        if link.contract is None:
            continue
        if not graph.known(link.upstream):
            near = suggestion(link.upstream, makers)
            yield _of(
                "contract-unknown-asset", link.via,
                f"the contract of {link.downstream!r} is on {link.upstream!r}, which no task of these DAGs makes and "
                f"nobody declares{near or ': declare it with Asset(..., node=...), or check the DAG that makes it as well'}",
            )  # fmt: skip
        if not graph.known(link.downstream) and (near := _alike(link.downstream, makers)):
            yield _of(
                "contract-unknown-asset", link.via,
                f"the contract on {link.upstream!r} is of {link.downstream!r}, which no task of these DAGs makes and "
                f"nobody declares{near}",
            )  # fmt: skip


def _alike(name: str, known: Iterable[str]) -> str:
    """A downstream may be a purpose that nobody makes: only what is all but another name is a slip."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.85)
    return f": did you mean {close[0]!r}?" if close else ""


def _gates(graph: AssetGraph) -> Iterator[Warn]:
    gates: dict[str, list[str]] = {}
    for gate, _ in graph.said.gates:
        gates.setdefault(gate.asset, []).append(gate.name)
    for link in graph.links.values():
        for each in link.contract.require if link.contract is not None else ():
            if not isinstance(each, Quality) or each.checks in _WORDS:
                continue
            known = gates.get(link.upstream, [])
            for name in (each.checks,) if isinstance(each.checks, str) else each.checks:
                if name not in known:
                    yield _of(
                        "contract-unknown-gate", link.via,
                        f"the contract of {link.downstream!r} on {link.upstream!r} asks for the gate {name!r}, and "
                        f"there is none of that name{suggestion(name, [*known, *_WORDS])}: it is never met",
                    )  # fmt: skip


def _differing(graph: AssetGraph, sources: Mapping[str, Said]) -> Iterator[Warn]:
    for name in graph.specs:
        said = [(source, each.assets[name]) for source, each in sources.items() if name in each.assets]
        for source, spec in said[1:]:
            if spec != said[0][1]:
                words = [
                    field
                    for field in spec.__struct_fields__
                    if getattr(spec, field) != getattr(said[0][1], field)
                ]
                yield _of(
                    "asset-declared-twice", source,
                    f"the asset {name!r} is declared in {said[0][0]} as well, with other words for {', '.join(words)}: "
                    "the first one counts; declare it once and import it",
                )  # fmt: skip


def _unowned(graph: AssetGraph) -> Iterator[Warn]:
    for name, spec in sorted(graph.specs.items()):
        if not spec.owner and spec.criticality in (Criticality.HIGH, Criticality.CRITICAL):
            yield _of(
                "asset-without-owner", "",
                f"the asset {name!r} is of {spec.criticality} criticality, and has no owner: nobody is told when it "
                "is wrong; give it owner=...",
            )  # fmt: skip


def _needs(graph: AssetGraph, now_us: int) -> Iterator[Warn]:
    for need in needs(graph, now_us):
        if need.standing is Standing.NEVER:
            yield _of("contract-never", need.source, need.sentence, "error")
        elif need.standing is Standing.BROKEN:
            yield _of("promise-too-late", need.source, need.sentence)


def _cycles(graph: AssetGraph) -> Iterator[Warn]:
    for cycle in cycles(graph):
        if cycle.ordered:
            continue
        if cycle.sure:
            yield _of(
                "asset-cycle", _source(graph, cycle.names),
                f"versions of one interval are made of each other, and none can be made: {cycle}; let one of these "
                "edges read an older version: SameInterval(offset=...), Latest() or ExactVersion(...)",
                "error",
            )  # fmt: skip
        else:
            yield _of(
                "asset-cycle-unsure", _source(graph, cycle.names),
                f"these are made of each other, and no contract says that an older version is read: {cycle}; say "
                "which is meant with SameInterval(offset=...), Latest() or ExactVersion(...)",
            )  # fmt: skip


def _source(graph: AssetGraph, names: tuple[str, ...]) -> str:
    return next(
        (
            link.via
            for down, up in zip(names, (*names[1:], names[0]), strict=True)
            if (link := graph.links[down, up]).contract is not None
        ),
        "",
    )


def _giants(graph: AssetGraph) -> Iterator[Warn]:
    for unit in too_large(graph):
        yield Warn(
            "one-giant-dag", unit.dag, "",
            f"it makes {unit.assets} of the {unit.of} assets there are: each change deploys all of them and each "
            "failure stops what follows; make DAGs of what belongs together, with OnAssets and contracts between them",
        )  # fmt: skip


def _of(code: str, source: str, message: str, level: str = "warning") -> Warn:
    return Warn(code, "", "", message, level, source)
