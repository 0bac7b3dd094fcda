"""Why a DAG that looks at assets makes no run: which of them are missing, as a truth table (C43, C48)."""

from __future__ import annotations

import msgspec

from bide.runtime.assets.asset import Condition, holds, in_words, names_of
from bide.runtime.clock import MINUTE, from_us
from bide.runtime.engine.explain.facts import Why
from bide.runtime.engine.explain.words import ASLEEP, instant_words


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """One asset in one group of versions that may make a run together."""

    asset: str
    true: bool
    newest: int = 0
    """The newest version of the asset, 0 when it has none."""
    has: int = 0
    """Unconsumed versions in the group."""
    share: float | None = None
    """How much of the period is there, where periods must be covered."""
    since_us: int | None = None
    """When the oldest of them was published."""


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Versions that may make one run, and the interval it would have, where that tells them apart."""

    span: tuple[int, int] | None
    sides: tuple[Side, ...]


class ConsumerFacts(msgspec.Struct, frozen=True, kw_only=True):
    dag: str
    condition: Condition
    consume: str
    interval: str | None
    groups: tuple[Group, ...]
    """Those nearest to a run first."""
    pending: int
    open_runs: int
    max_active_runs: int
    paused: bool = False
    removed: bool = False
    code_error: str = ""
    behind: bool = False
    live: bool = False
    fires_us: int | None = None
    """The next firing by the clock, where its schedule has one beside its assets."""


def explain_consumer(f: ConsumerFacts, now: int) -> Why:
    """Why this DAG makes no run of its assets now, and what makes the next one."""
    table: list[tuple[str, str]] = [("condition", in_words(f.condition))]
    for group in f.groups[:5]:
        if group.span is not None:
            table.append(("interval", _span(group.span)))
        table += [(side.asset, _side(side, now)) for side in group.sides]
    if len(f.groups) > 5:
        table.append(("more", f"{len(f.groups) - 5} other intervals with unconsumed versions"))
    ready = bool(f.groups) and _holds(f, f.groups[0])
    waiting = f"{f.pending} unconsumed version{'' if f.pending == 1 else 's'}"
    after: str | None = None
    if f.removed:
        sentence, state = "its DAG was removed, and its cursors stay where they are", "removed"
        after = "load its file again: it goes on from there"
    elif f.paused:
        sentence, state = f"it is paused, with {waiting}", "paused"
        after = f"`bide unpause {f.dag}` looks at them at once"
    elif f.code_error:
        sentence, state = f"its code is not loaded: {f.code_error}; it has {waiting}", "waiting"
        after = "it looks at them when its file loads"
    elif ready and f.consume != "each" and f.open_runs >= f.max_active_runs:
        sentence, state = (
            (
                f'{waiting} {"waits" if f.pending == 1 else "gather"} for its next run (consume="{f.consume}"): {f.open_runs} of the {f.max_active_runs} '
                "runs it may have at once (max_active_runs) are not over"
            ),
            "gathering",
        )
        after = f"when one of them ends; see `bide runs {f.dag}`"
    elif ready or f.behind:
        sentence, state = "its condition holds: its next run is about to be made", "due"
    else:
        sentence, state = _missing(f), "waiting"
        after = "a version of what is missing makes a run on its commit"
        if f.fires_us is not None:
            after += f"; the clock fires at {instant_words(f.fires_us, now)}"
    if not f.live and not f.removed:
        after = f"{after}; {ASLEEP}" if after else ASLEEP
    return Why(state=state, sentence=sentence, details=tuple(table), next=after)


def _holds(f: ConsumerFacts, group: Group) -> bool:
    true = {side.asset for side in group.sides if side.true}
    return holds(f.condition, true.__contains__)


def _missing(f: ConsumerFacts) -> str:
    names = names_of(f.condition)
    if not f.groups or not f.pending:
        return f"none of the {len(names)} assets it looks at has a new version" if len(names) > 1 else (
            f"{', '.join(names)} has no new version"
        )  # fmt: skip
    group = f.groups[0]
    missing = [side for side in group.sides if not side.true]
    told = ", ".join(_lacks(side) for side in missing[:5]) + (
        f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    )
    where = f" for {_span(group.span)}" if group.span is not None else ""
    return f"waits for {len(missing)} of {len(names)} asset{'' if len(names) == 1 else 's'}{where}: {told}"


def _lacks(side: Side) -> str:
    if side.share is None or side.has == 0:
        return side.asset
    return f"{side.asset} ({side.share:.0%} of it is there)"


def _side(side: Side, now: int) -> str:
    since = "" if side.since_us is None else f", since {instant_words(side.since_us, now)}"
    count = f"{side.has} unconsumed version{'' if side.has == 1 else 's'}"
    if side.share is not None and side.has:
        return f"{str(side.true).lower()}: {count}, {side.share:.0%} of the period is there{since}"
    if side.true:
        return f"true: {count}{since}"
    return f"false: nothing after version {side.newest}" if side.newest else "false: it has no version yet"


def _span(span: tuple[int, int]) -> str:
    exact = "%H:%M:%S" if any(at % MINUTE for at in span) else "%H:%M"
    start, end = (f"{from_us(at):%Y-%m-%d {exact}}Z" for at in span)
    return start if start == end else f"{start} to {end}"
