"""An asset by its name, and conditions over assets: `a & (b | c)` as plain data."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

import msgspec

from bide.runtime.assets.words import GRAINS, Criticality, Node, Output
from bide.runtime.errors import GraphError

W = TypeVar("W")
_NAME: Final = re.compile(r"[A-Za-z0-9_.:/@+-]{1,200}")


class _Joined:
    """What `&` and `|` make of assets and conditions; chains stay flat: `a & b & c` is one of three."""

    __slots__ = ()

    def __and__(self, other: Asset | AllAssets | AnyAsset) -> AllAssets:
        return AllAssets((*_parts(self, AllAssets), *_parts(other, AllAssets)))

    def __or__(self, other: Asset | AllAssets | AnyAsset) -> AnyAsset:
        return AnyAsset((*_parts(self, AnyAsset), *_parts(other, AnyAsset)))


class Asset(msgspec.Struct, _Joined, frozen=True):
    """Something that a task makes and others use: a table, a file, a model; known by its name.

    `@task(outlets=[orders])` records a version of it with each success; `OnAssets(orders & rates,
    consume="each")` makes runs of versions.

    `promise` says by when a version for each interval of its producer's schedule is to be there:
    `by("04:00", tz="Europe/Berlin")`, or a timedelta from the end of the interval. What is not there by
    then raises an alert; nothing is stopped for it. `node` says what it is (`source`, `raw`, `canonical`,
    `derived`, `product`, `reference`, ...), `grain` how long its intervals are (`hour`, `day`, `week`, `month`, of
    the calendar of `tz`), `output` how it is written, `criticality` how much hangs on it. Making one with
    anything beside its name declares that; raises `GraphError` for words that do not exist.

    >>> Asset("a") & (Asset("b") | Asset("c"))
    AllAssets(of=('a', AnyAsset(of=('b', 'c'))))
    """

    name: str
    promise: Any = None  # checked where the asset is made an outlet
    node: str = Node.DERIVED.value
    owner: str = ""
    criticality: str = Criticality.NORMAL.value
    grain: str | None = None
    tz: str = "UTC"
    output: str = Output.IMMUTABLE_PARTITION.value
    doc: str = ""

    def __post_init__(self) -> None:
        check_asset_name(self.name)
        spec = spec_of(self)
        if spec != AssetSpec(self.name):
            from bide.runtime.assets.declarations import declare_asset

            declare_asset(spec)


class AssetSpec(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was declared of an asset, as plain data; `promise` in words, as it is kept with its producer's task."""

    name: str
    node: Node = Node.DERIVED
    owner: str = ""
    criticality: Criticality = Criticality.NORMAL
    grain: str | None = None
    tz: str = "UTC"
    output: Output = Output.IMMUTABLE_PARTITION
    doc: str = ""


_NODES: Final = {
    **{each.value: each for each in Node},
    "source_system": Node.SOURCE,
    "raw_asset": Node.RAW,
    "external_side_effect": Node.EXTERNAL_EFFECT,
}


def spec_of(asset: Asset) -> AssetSpec:
    """The plain data of an asset, or `GraphError` naming it and the word that is wrong."""
    return asset_of(
        asset.name, node=asset.node, owner=asset.owner, criticality=asset.criticality, grain=asset.grain,
        tz=asset.tz, output=asset.output, doc=asset.doc,
    )  # fmt: skip


def asset_of(
    name: str,
    *,
    node: str = Node.DERIVED.value,
    owner: str = "",
    criticality: str = Criticality.NORMAL.value,
    grain: str | None = None,
    tz: str = "UTC",
    output: str = Output.IMMUTABLE_PARTITION.value,
    doc: str = "",
) -> AssetSpec:
    """The plain data of what was written of an asset, or `GraphError` naming it and the word that is wrong."""
    if grain not in (None, *GRAINS):
        raise GraphError(f"the asset {name!r}: grain is {grain!r}, and must be one of {', '.join(GRAINS)}")
    return AssetSpec(
        name=check_asset_name(name),
        node=_word(name, "node", node, _NODES),
        owner=owner,
        criticality=_word(name, "criticality", criticality, {each.value: each for each in Criticality}),
        grain=grain,
        tz=tz,
        output=_word(name, "output", output, {each.value: each for each in Output}),
        doc=doc,
    )


def _word(name: str, option: str, word: str, known: dict[str, W]) -> W:
    found = known.get(word)
    if found is None:
        raise GraphError(f"the asset {name!r}: {option} is {word!r}, and must be one of {', '.join(known)}")
    return found


def check_asset_name(name: object) -> str:
    """`name`, or `GraphError`: 1 to 200 letters, digits, and `_ . - / : @ +`."""
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise GraphError(
            f"{str(name)[:80]!r} cannot be the name of an asset: use 1 to 200 letters, digits, "
            "and `_`, `.`, `-`, `/`, `:`, `@`, `+`: warehouse/orders_daily"
        )
    return name


class AllAssets(msgspec.Struct, _Joined, frozen=True, tag_field="join", tag="all"):
    """True when every part is; assets stand in it by name."""

    of: tuple[str | AllAssets | AnyAsset, ...]


class AnyAsset(msgspec.Struct, _Joined, frozen=True, tag_field="join", tag="any"):
    """True when a part is."""

    of: tuple[str | AllAssets | AnyAsset, ...]


Condition = str | AllAssets | AnyAsset
"""A name, or parts joined."""


def _parts(value: object, kind: type[AllAssets | AnyAsset]) -> tuple[Condition, ...]:
    if isinstance(value, kind):
        return value.of
    return (condition(value),)


def condition(value: object) -> Condition:
    """The condition that an author wrote: an asset, its name, or assets joined by `&` and `|`."""
    if isinstance(value, Asset):
        return value.name
    if isinstance(value, str):
        return check_asset_name(value)
    if isinstance(value, AllAssets | AnyAsset):
        for part in value.of:
            condition(part)
        return value
    raise GraphError(
        f"{value!r} is no condition over assets: write an Asset, or assets joined by & and |: a & (b | c)"
    )


def names_of(cond: Condition) -> tuple[str, ...]:
    """The assets in it, each once, in the order they are written."""
    return tuple(dict.fromkeys(_leaves(cond)))


def _leaves(cond: Condition) -> Iterator[str]:
    if isinstance(cond, str):
        yield cond
    else:
        for part in cond.of:
            yield from _leaves(part)


def holds(cond: Condition, true: Callable[[str], bool]) -> bool:
    """Whether the condition holds, given which assets are true."""
    if isinstance(cond, str):
        return true(cond)
    if isinstance(cond, AllAssets):
        return all(holds(part, true) for part in cond.of)
    return any(holds(part, true) for part in cond.of)


def made_true_by(cond: Condition, true: Callable[[str], bool]) -> frozenset[str]:
    """Every asset that has a part in making it true; of an `any` each side that holds. Empty: it is false."""
    if isinstance(cond, str):
        return frozenset((cond,)) if true(cond) else frozenset()
    found = [made_true_by(part, true) for part in cond.of]
    if isinstance(cond, AllAssets) and not all(found):
        return frozenset()
    return frozenset().union(*found)


def first_true(cond: Condition, since: Callable[[str], int | None]) -> frozenset[str]:
    """The assets of the one way of making it true that was complete first; empty when it is false.

    `since` is when an asset became true, as a growing number, None while it is not.
    """
    return _first(cond, since)[1]


def _first(cond: Condition, since: Callable[[str], int | None]) -> tuple[int, frozenset[str]]:
    if isinstance(cond, str):
        at = since(cond)
        return (-1, frozenset()) if at is None else (at, frozenset((cond,)))
    found = [_first(part, since) for part in cond.of]
    if isinstance(cond, AllAssets):
        if not all(names for _, names in found):
            return -1, frozenset()
        return max(at for at, _ in found), frozenset().union(*(names for _, names in found))
    true = [each for each in found if each[1]]
    return min(true, key=lambda each: each[0]) if true else (-1, frozenset())


def in_words(cond: Condition, *, within: bool = False) -> str:
    """`a and (b or c)`."""
    if isinstance(cond, str):
        return cond
    word = " and " if isinstance(cond, AllAssets) else " or "
    text = word.join(in_words(part, within=True) for part in cond.of)
    return f"({text})" if within and len(cond.of) > 1 else text
