"""The eighteen questions of an asset (S1-55), each answered from what is declared and recorded, or named as open.

Pure: `checklist(known)` takes what is known of one asset. An answer says where it comes from; what nobody
has said is open, and what would answer it is said instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.contract import (
    ContractSpec,
    ExactVersion,
    Freshness,
    Latest,
    Quality,
    SameInterval,
    SchemaCompat,
)
from bide.runtime.assets.gate import GateSpec
from bide.runtime.assets.judged import Phase
from bide.runtime.assets.policy import Policy, resolve, severity_of
from bide.runtime.assets.rerun import MODES
from bide.runtime.assets.words import Action, Edge, Level, Node, Output, Result, Severity


class Stands(msgspec.Struct, frozen=True):
    """A contract or gate that is in force, and the file that says so."""

    spec: ContractSpec
    source: str


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one asset. `inlets` are what its tasks read, `read_by` what tasks that read it make, `effects`
    the external ones below it.
    """

    spec: AssetSpec
    asks: tuple[Stands, ...] = ()  # its contracts with its upstreams
    asked: tuple[Stands, ...] = ()  # those of its consumers with it
    gates: tuple[GateSpec, ...] = ()
    inlets: tuple[str, ...] = ()
    producers: tuple[str, ...] = ()  # dag.task
    producer_owners: tuple[str, ...] = ()
    looked_at_by: tuple[str, ...] = ()  # DAGs whose schedule looks at it
    read_by: tuple[str, ...] = ()  # assets; a task that makes none as dag.task
    effects: tuple[tuple[str, bool], ...] = ()  # (name, needs approval)
    versions: int = 0
    with_inputs: int = 0
    newest: int | None = None
    newest_inputs: tuple[str, ...] = ()  # silver version 3
    newest_decision: int | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """`answer` is None of an open question; `source` says where it comes from, or what would answer it."""

    number: int
    question: str
    answer: str | None
    source: str


OUTSIDE: Final = frozenset(
    {Node.SOURCE, Node.RAW, Node.REFERENCE, Node.CONTROL_EVENT, Node.HUMAN_DECISION, Node.QUALITY_GATE}
)
"""Nodes that may well depend on nothing that is known here."""
_ASK: Final = "say Contract(this, upstream, ...) in Python or in contracts/*.toml"
Said = tuple[str | None, str]


def checklist(known: Known) -> tuple[Answer, ...]:
    """All eighteen, in their order."""
    return tuple(
        Answer(number=number, question=question, answer=said[0], source=said[1])
        for number, (question, find) in enumerate(QUESTIONS, 1)
        for said in (find(known),)
    )


def _owner(k: Known) -> Said:
    if k.spec.owner:
        return k.spec.owner, f"owner= of Asset({k.spec.name!r})"
    if k.producer_owners:
        return ", ".join(k.producer_owners), "owner= of the DAG or task that makes it"
    return None, "say owner= where the asset is declared"


def _upstreams(k: Known) -> Said:
    names = list(dict.fromkeys([*(each.spec.upstream for each in k.asks), *k.inlets]))
    if names:
        return ", ".join(names), _sources(k.asks) or "inlets of its tasks"
    if k.spec.node in OUTSIDE:
        return f"none: it is a {k.spec.node.value}", "node= where it is declared"
    return None, f"{_ASK}, or inlets= of the task that makes it"


def _kinds(k: Known) -> Said:
    bare = [name for name in k.inlets if name not in {each.spec.upstream for each in k.asks}]
    if bare:
        return None, f"{', '.join(bare)}: read without a contract; {_ASK}"
    return _each(k, lambda c: c.kind.value)


def _versions_read(k: Known) -> Said:
    return _each(k, _reads)


def _reads(c: ContractSpec) -> str:
    said = []
    for each in c.require:
        match each:
            case SameInterval(offset=offset):
                said.append("same interval" + (f" moved by {offset}" if offset else ""))
            case ExactVersion(version=version):
                said.append(f"exactly version {version}")
            case Latest():
                said.append("latest")
            case Freshness(max_age=age):
                said.append(f"not older than {age}")
            case Quality() | SchemaCompat():
                pass
    return " and ".join(said) or f"as the kind {c.kind.value} says"


def _gates(k: Known) -> Said:
    stop = [gate for gate in k.gates if gate.severity in (Severity.MAJOR, Severity.CRITICAL)]
    if stop:
        return ", ".join(f"{gate.name} ({gate.severity.value})" for gate in stop), "its gates"
    mild = f"its gates ({', '.join(g.name for g in k.gates)}) only degrade it; " if k.gates else ""
    return None, f'{mild}declare @gate(asset, severity="critical")'


def _schema(k: Known) -> Said:
    if not k.asks:
        return _nothing(k)
    asked = [each for each in k.asks if any(isinstance(r, SchemaCompat) for r in each.spec.require)]
    if not asked:
        return None, "no contract of it requires SchemaCompat(...): a change of schema goes unseen"
    stop = [each for each in asked if _rule(each.spec, Result.SCHEMA).level is Level.EXECUTION]
    if not stop:
        said = _told(asked, lambda c: f"{_what(_rule(c, Result.SCHEMA))}")
        return f"none blocks execution: {said}", _sources(asked)
    return _told(stop, lambda c: f"one that is not {_mode(c)}"), _sources(stop)


def _mode(c: ContractSpec) -> str:
    return next(str(r.mode) for r in c.require if isinstance(r, SchemaCompat))


def _stale(k: Known) -> Said:
    return _each(k, lambda c: _what(_rule(c, Result.STALE)))


def _previous(k: Known) -> Said:
    def may(c: ContractSpec) -> str:
        when = [result.value for result in Result if _can(c, result) and _rule(c, result).action in _ANOTHER]
        return f"yes, when it is {' or '.join(when)}" if when else "no"

    return _each(k, may)


_ANOTHER: Final = (Action.USE_PREVIOUS_VERSION, Action.USE_LATEST_VERSION)


def _degraded(k: Known) -> Said:
    def may(c: ContractSpec) -> str:
        when = [result.value for result in Result if _can(c, result) and _rule(c, result).level is Level.NONE]
        return f"yes, when it is {' or '.join(when)}" if when else "no"

    return _each(k, may)


def _consumers(k: Known) -> Said:
    names = [
        *(each.spec.downstream for each in k.asked),
        *k.read_by,
        *(f"the DAG {dag}" for dag in k.looked_at_by),
    ]
    if names:
        said = _sources(k.asked), "inlets of tasks" * bool(k.read_by), "schedules" * bool(k.looked_at_by)
        return ", ".join(dict.fromkeys(names)), ", ".join(each for each in said if each)
    if k.spec.node is Node.EXTERNAL_EFFECT:
        return "whoever gets what is delivered", "it is an external effect"
    return None, "nobody says to use it: consumers declare Contract(them, this)"


def _effects(k: Known) -> Said:
    if k.effects:
        return ", ".join(name for name, _ in k.effects), "contracts and inlets that lead to it"
    return "none", "no external effect depends on it by a contract or an inlet"


def _invalidation(k: Known) -> Said:
    if not k.asked:
        return (
            "to the versions that were made of it, as `read`",
            "recorded inputs; no contract says otherwise",
        )
    said = "; ".join(f"{each.spec.downstream}: {_what(_rule(each.spec, Result.INVALID))}" for each in k.asked)
    return said, _sources(k.asked)


def _blast(k: Known) -> Said:
    how = f"from version to version by recorded inputs: bide assets blast {k.spec.name}"
    if not k.versions:
        return None, f"no version yet; then {how}"
    if k.with_inputs or not (k.asks or k.inlets):
        return how, f"{k.with_inputs} of {k.versions} versions have their inputs on record"
    return None, "none of its versions has inputs on record: name them with inlets= or contracts"


def _rerun(k: Known) -> Said:
    mode = MODES[k.spec.output].value
    if k.producers:
        return (
            f"{mode}, by {', '.join(k.producers)}",
            f"output={k.spec.output.value}, and the tasks with it as outlet",
        )
    if k.spec.node in OUTSIDE:
        return f"not made here: it is a {k.spec.node.value}", "node= where it is declared"
    return None, "no task that is loaded makes it: name it in outlets="


def _proof(k: Known) -> Said:
    if k.newest is None:
        return None, "no version that consumers see yet"
    decided = f", decision {k.newest_decision}" if k.newest_decision is not None else ""
    if k.newest_inputs:
        return (
            f"version {k.newest} was made of {', '.join(k.newest_inputs)}{decided}",
            "asset_input and decision",
        )
    if not (k.asks or k.inlets):
        return f"version {k.newest} was made of nothing that is known here", "asset_input"
    return None, f"version {k.newest} has no inputs on record: it was made before they were named"


_BACK: Final = {
    Output.IMMUTABLE_PARTITION: "a newer version of the interval supersedes it; the old one stays on record",
    Output.APPEND_ONLY: "corrections and retractions are appended; nothing is overwritten",
    Output.CURRENT_PROJECTION: "it is rebuilt or overwritten; a newer version supersedes every older one",
    Output.EXPORT: "the ledger supersedes or corrects the delivery; it cannot be taken back",
    Output.SEARCH_INDEX: "it is reindexed and the alias is moved back and forth",
    Output.CACHE: "it is invalidated and rebuilt from its source",
}


def _rollback(k: Known) -> Said:
    return _BACK[k.spec.output], f"output={k.spec.output.value}"


def _incident(k: Known) -> Said:
    worst = sorted(
        {
            result.value
            for each in (*k.asks, *k.asked)
            for result in Result
            if _can(each.spec, result) and severity_of(each.spec, result) is Severity.CRITICAL
        }
    )
    also = f"; critical by contract: {', '.join(worst)}" if worst else ""
    return f"critical, once it was published; its criticality is {k.spec.criticality.value}{also}", (
        "criticality= and the contracts' severity"
    )


def _approvals(k: Known) -> Said:
    said = [
        f"{result.value} of {each.spec.upstream}"
        for each in k.asks
        for result in Result
        if _can(each.spec, result) and _rule(each.spec, result).level is Level.MANUAL_APPROVAL
    ]
    said += [f"delivery of {name}" for name, needed in k.effects if needed]
    if said:
        return ", ".join(said), _sources(k.asks) or "requires_approval= of its effects"
    return "none", "no contract or effect requires one"


QUESTIONS: Final[tuple[tuple[str, Callable[[Known], Said]], ...]] = (
    ("Who owns it?", _owner),
    ("What upstream assets does it depend on?", _upstreams),
    ("What kind of dependency is each edge?", _kinds),
    ("Does it require an exact version, the same interval, the latest, or a freshness?", _versions_read),
    ("What quality gates block publication?", _gates),
    ("What schema changes block execution?", _schema),
    ("What happens if an upstream is stale?", _stale),
    ("Can it use a previous upstream version?", _previous),
    ("Can it publish degraded output?", _degraded),
    ("What consumers depend on it?", _consumers),
    ("What external side effects depend on it?", _effects),
    ("How is invalidation propagated?", _invalidation),
    ("How is the blast radius calculated?", _blast),
    ("How is the rerun scope determined?", _rerun),
    ("What metadata proves which input versions were used?", _proof),
    ("What is the rollback or supersession strategy?", _rollback),
    ("What severity triggers an incident?", _incident),
    ("What manual approvals are required?", _approvals),
)


def _can(c: ContractSpec, result: Result) -> bool:
    """Whether evaluating this contract can find it: a schema or a gate that nobody asks for is not looked at."""
    if result is Result.SCHEMA:
        return c.kind is Edge.SCHEMA_COMPATIBILITY or any(isinstance(r, SchemaCompat) for r in c.require)
    if result is Result.QUALITY:
        return c.kind is Edge.QUALITY_GATE or any(isinstance(r, Quality) for r in c.require)
    return result is not Result.MET


def _rule(c: ContractSpec, result: Result) -> Policy:
    return resolve(c, result, severity_of(c, result), Phase.PUBLISHING)


def _what(rule: Policy) -> str:
    if rule.level in (Level.NONE, Level.MANUAL_APPROVAL):
        return rule.action.value
    return f"{rule.action.value} ({rule.level.value})"


def _each(k: Known, say: Callable[[ContractSpec], str]) -> Said:
    """One thing said of each contract with an upstream."""
    return (_told(k.asks, say), _sources(k.asks)) if k.asks else _nothing(k)


def _nothing(k: Known) -> Said:
    if k.spec.node in OUTSIDE and not k.inlets:
        return "it depends on nothing here", "node= where it is declared"
    return None, _ASK


def _told(those: Iterable[Stands], say: Callable[[ContractSpec], str]) -> str:
    return "; ".join(f"{each.spec.upstream}: {say(each.spec)}" for each in those)


def _sources(those: Iterable[Stands]) -> str:
    return ", ".join(dict.fromkeys(each.source or "a contract in Python" for each in those))
