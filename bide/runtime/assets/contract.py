"""Contracts: what one asset asks of another that it depends on, and what follows when it is not so.

`Contract(...)` is what an author writes, in Python or in a TOML file; `ContractSpec` is the same as
plain data. One contract an edge (C49). Actions are data with a rationale, never code in tasks (S1-15).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Final, Literal, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import Asset, check_asset_name
from bide.runtime.assets.words import Action, Edge, Level, Result, Severity
from bide.runtime.errors import GraphError


class SameInterval(msgspec.Struct, frozen=True, tag_field="is", tag="same_interval"):
    """Versions of the very interval that is made: one of it, finer ones that cover it, or a coarser one that
    holds it. `offset` moves the interval first: `SameInterval(offset=-timedelta(days=1))` is the day before.
    """

    offset: timedelta = timedelta()


class Freshness(msgspec.Struct, frozen=True, tag_field="is", tag="freshness"):
    """The data must not end longer ago than `max_age`, counted from the end of the newest version's interval."""

    max_age: timedelta


class Quality(msgspec.Struct, frozen=True, tag_field="is", tag="quality"):
    """Gates that must have passed: those of a severity or worse (`"critical"`, `"all"`), or those named."""

    checks: str | tuple[str, ...] = "critical"


T = TypeVar("T")

Compatibility = Literal[
    "backward", "forward", "full", "backward_transitive", "forward_transitive", "full_transitive"
]


class SchemaCompat(msgspec.Struct, frozen=True, tag_field="is", tag="schema"):
    """The schema must be compatible with the one before, or with all before it (transitive)."""

    mode: Compatibility = "backward"


class ExactVersion(msgspec.Struct, frozen=True, tag_field="is", tag="exact_version"):
    """One version: by its number, or by the label it was staged with."""

    version: str


class Latest(msgspec.Struct, frozen=True, tag_field="is", tag="latest"):
    """The newest version that is published, whatever its interval."""


Requirement = SameInterval | Freshness | Quality | SchemaCompat | ExactVersion | Latest


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """What follows from one kind of result. A level of None is that of the action, or of the default policy."""

    action: Action
    level: Level | None = None


class ContractSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A contract as plain data. Results that `on_failure` leaves out follow the policy of the kind."""

    downstream: str
    upstream: str
    kind: Edge = Edge.READ
    require: tuple[Requirement, ...] = ()
    on_failure: dict[Result, Rule] = {}
    severity: dict[Result, Severity] = {}
    rationale: str = ""
    during: Literal["always", "backfill"] = "always"  # or only in runs of backfills (S1-10)
    owner: str = ""

    @property
    def edge(self) -> tuple[str, str]:
        return self.downstream, self.upstream


_NEEDS: Final = (
    (Edge.EXACT_VERSION, ExactVersion, 'ExactVersion("...")'),
    (Edge.FRESHNESS, Freshness, "Freshness(...)"),
)
"""Kinds that say nothing without their requirement."""

_BLOCKS: Final = {
    f"block_{word}": Rule(Action.BLOCK, level)
    for word, level in (
        ("execution", Level.EXECUTION),
        ("publication", Level.PUBLICATION),
        ("consumer_notification", Level.CONSUMER_NOTIFICATION),
        ("notification", Level.CONSUMER_NOTIFICATION),
        ("external_side_effect", Level.EXTERNAL_SIDE_EFFECT),
        ("effects", Level.EXTERNAL_SIDE_EFFECT),
    )
}
ACTIONS: Final[dict[str, Rule]] = {
    **{action.value: Rule(action) for action in Action},
    **_BLOCKS,
    "require_approval": Rule(Action.REQUIRE_MANUAL_APPROVAL),
}
"""What may be written for an action."""

RESULTS: Final[dict[str, Result]] = {
    **{result.value: result for result in Result if result is not Result.MET},
    "missing_interval": Result.MISSING,
    "stale_within_tolerance": Result.STALE,
    "quality_critical": Result.QUALITY,
    "schema_breaking": Result.SCHEMA,
}
"""What may be written for a result."""


class Contract:
    """A contract of an edge; making one declares it, for the DAGs that make or read these assets.

    `require` holds `SameInterval()`, `Quality("critical")`, `Freshness(timedelta(hours=2))`,
    `SchemaCompat("backward_transitive")`, `ExactVersion("2026_07_01")`, `Latest()`. `on_failure` says what
    follows from a result: `{"quality": "block_publication", "stale": "warn", "missing": "block_execution",
    "schema": "require_approval"}`; `severity` how bad that is. Raises `GraphError` for words that do not exist.
    """

    __slots__ = ("spec",)

    def __init__(
        self,
        downstream: Asset | str,
        upstream: Asset | str,
        *,
        kind: Edge | str = Edge.READ,
        require: Iterable[Requirement] | Requirement = (),
        on_failure: Mapping[str, str] | None = None,
        severity: Mapping[str, Severity | str] | None = None,
        rationale: str = "",
        during: str = "always",
        owner: str = "",
    ) -> None:
        from bide.runtime.assets.declarations import declare_contract

        self.spec = contract_of(
            downstream=_name(downstream),
            upstream=_name(upstream),
            kind=str(kind),
            require=(require,) if isinstance(require, Requirement) else tuple(require),
            on_failure=on_failure or {},
            severity=severity or {},
            rationale=rationale,
            during=during,
            owner=owner,
        )
        declare_contract(self.spec)

    def __repr__(self) -> str:
        return f"<contract {self.spec.downstream} <- {self.spec.upstream}: {self.spec.kind}>"


def contract_of(
    *,
    downstream: str,
    upstream: str,
    kind: str,
    require: tuple[Requirement, ...],
    on_failure: Mapping[str, str],
    severity: Mapping[str, str],
    rationale: str,
    during: str,
    owner: str,
) -> ContractSpec:
    """The spec of what was written, or `GraphError` naming the edge and the word that is wrong."""
    edge = f"the contract of {downstream!r} on {upstream!r}"
    if check_asset_name(downstream) == check_asset_name(upstream):
        raise GraphError(f"{edge}: an asset has no contract with itself; name the version before as an asset")
    for each in require:
        if not isinstance(each, Requirement):
            raise GraphError(
                f"{edge}: require holds {each!r}, and takes SameInterval(), Freshness(...), Quality(...), "
                "SchemaCompat(...), ExactVersion(...) and Latest()"
            )
    require = tuple(_whole(edge, each) for each in require)
    kinds = [type(each) for each in require]
    if twice := next((kind for kind in kinds if kinds.count(kind) > 1), None):
        raise GraphError(f"{edge}: require holds {twice.__name__} twice: say one")
    if len([kind for kind in kinds if kind in (SameInterval, ExactVersion, Latest)]) > 1:
        raise GraphError(
            f"{edge}: SameInterval(), ExactVersion() and Latest() each say which versions are read: say one of them"
        )
    for needs, what, example in _NEEDS:
        if kind == needs.value and what not in kinds:
            raise GraphError(
                f"{edge}: kind is {kind!r}, and require does not say which: put {example} into it"
            )
    if during not in ("always", "backfill"):
        raise GraphError(f"{edge}: during is {during!r}, and must be 'always' or 'backfill'")
    return ContractSpec(
        downstream=downstream,
        upstream=upstream,
        kind=Edge(_word(f"{edge}: kind", kind, {each.value: each for each in Edge})),
        require=require,
        on_failure={
            _word(f"{edge}: on_failure", result, RESULTS): _word(
                f"{edge}: on_failure of {result!r}", action, ACTIONS
            )
            for result, action in on_failure.items()
        },
        severity={
            _word(f"{edge}: severity", result, RESULTS): _word(
                f"{edge}: severity of {result!r}", str(word), {each.value: each for each in Severity}
            )
            for result, word in severity.items()
        },
        rationale=rationale,
        during="backfill" if during == "backfill" else "always",
        owner=owner,
    )


def _whole(edge: str, each: Requirement) -> Requirement:
    """A requirement whose values are what they must be: what is written down is read again."""
    if isinstance(each, ExactVersion):
        each = ExactVersion(str(each.version))
    try:
        found: Requirement = typed.convert(msgspec.to_builtins(each), Requirement)
    except (msgspec.ValidationError, TypeError) as error:
        raise GraphError(f"{edge}: require holds {each!r}, and that cannot be: {error}") from None
    return found


def _word(what: str, word: str, known: Mapping[str, T]) -> T:
    try:
        return known[word]
    except (KeyError, TypeError):
        raise GraphError(f"{what} is {word!r}, and must be one of {', '.join(known)}") from None


def _name(asset: Asset | str) -> str:
    return asset.name if isinstance(asset, Asset) else check_asset_name(asset)
