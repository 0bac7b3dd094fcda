"""Which versions are read, against a model that looks at every possibility of a small world."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise

import msgspec
from hypothesis import event, given
from hypothesis import strategies as st

from bide import ExactVersion, Latest, SameInterval
from bide.runtime.assets import Asked, ContractSpec, Observed, Phase, Version, evaluate, wanted
from bide.runtime.assets.contract import Requirement, Rule
from bide.runtime.assets.words import Action, Edge, Result, VersionState
from tests.assets.judging import GOLD, SILVER

NOW, PLAN = 1_000, 5
STATES = (
    "published",
    "stale",
    "degraded",
    "superseded",
    "invalidated",
    "quarantined",
    "validated",
    "staged",
    "failed",
)

spans = st.tuples(st.integers(0, 8), st.sampled_from((0, 1, 1, 1, 2, 2, 4, 8))).map(
    lambda s: (s[0], s[0] + s[1])
)
worlds = st.lists(
    st.tuples(spans, st.sampled_from(STATES), st.booleans(), st.booleans()), max_size=9
).map(
    lambda rows: [
        Version(
            n + 1, SILVER, *span, VersionState(state), created_us=n, label=f"v{n + 1}",
            plan_id=PLAN if of_plan else None, expires_us=NOW if expired and state == "degraded" else None,
        )
        for n, (span, state, of_plan, expired) in enumerate(rows)
    ]
)  # fmt: skip
asks = st.builds(
    lambda span, plan: Asked(
        Phase.EXECUTING, GOLD, span[0], span[1], now_us=NOW, plan_id=PLAN if plan else None
    ),
    spans,
    st.booleans(),
)
requirements = st.one_of(
    st.builds(lambda n: SameInterval(timedelta(microseconds=n)), st.integers(-2, 2)),
    st.builds(lambda n: ExactVersion(str(n)), st.integers(1, 9)),
    st.just(Latest()),
)


def observe(world: list[Version], contract: ContractSpec, asked: Asked) -> Observed:
    """What the store answers for a contract: its promise, in one place."""
    want = wanted(contract, asked)
    start, end = want.start_us, want.end_us
    shown = [each for each in world if each.visible and each.expires_us is None]
    return Observed(
        SILVER,
        over=tuple(v for v in world if (v.start_us < end and v.end_us > start) or (v.start_us, v.end_us) == (start, end)
                   or (start == end and v.start_us <= start < v.end_us)),
        latest=max(shown, key=_newest, default=None),
        previous=max((v for v in shown if v.end_us <= start), key=_newest, default=None),
        exact=next((v for v in world if want.exact in (str(v.version_id), v.label)), None),
    )  # fmt: skip


def _newest(v: Version) -> tuple[int, int]:
    return v.end_us, v.version_id


# --- the model -----------------------------------------------------------------------------------


def usable(v: Version, asked: Asked) -> bool:
    shown = v.state in ("published", "stale", "degraded") and v.expires_us is None
    return shown or (v.state == "validated" and v.plan_id == asked.plan_id and asked.plan_id is not None)


def best(of_one_span: list[Version], asked: Asked) -> Version:
    """The plan's own first, then the newest."""
    return max(of_one_span, key=lambda v: rank(v, asked))


def tilings(at: int, end: int, lengths: dict[tuple[int, int], Version]) -> Iterator[list[Version]]:
    if at == end:
        yield []
        return
    for (start, stop), version in lengths.items():
        if start == at and start < stop <= end:
            for rest in tilings(stop, end, lengths):
                yield [version, *rest]


def model(world: list[Version], which: Requirement, asked: Asked) -> list[int]:
    """The numbers of the versions that are read, by looking at every way."""
    if isinstance(which, ExactVersion):
        named = [v for v in world if which.version in (str(v.version_id), v.label)]
        return [v.version_id for v in named if usable(v, asked) or v.state == "superseded"]
    able = [v for v in world if usable(v, asked)]
    if isinstance(which, Latest):  # the plan's own are known for the interval alone
        near = [
            v for v in able
            if v.visible or (v.start_us < asked.end_us and v.end_us > asked.start_us)
            or (v.start_us, v.end_us) == (asked.start_us, asked.end_us)
            or (asked.start_us == asked.end_us and v.start_us <= asked.start_us < v.end_us)
        ]  # fmt: skip
        top = [v for v in near if all(v.end_us >= o.end_us for o in near)]
        return [best(top, asked).version_id] if top else []
    assert isinstance(which, SameInterval)
    step = which.offset // timedelta(microseconds=1)
    start, end = asked.start_us + step, asked.end_us + step
    by_span = {
        span: best([v for v in able if (v.start_us, v.end_us) == span], asked)
        for span in {(v.start_us, v.end_us) for v in able}
    }
    if (start, end) in by_span:
        return [by_span[start, end].version_id]
    if start < end:
        ways = list(tilings(start, end, by_span))
        if ways:  # the longest first, at each place
            way = max(ways, key=lambda way: [v.end_us for v in way])
            return [v.version_id for v in way]
    holding = [
        v
        for (low, high), v in by_span.items()
        if low <= start and high >= end and (start < end or start < high)
    ]
    if not holding:
        return []
    least = min(v.end_us - v.start_us for v in holding)
    return [
        max((v for v in holding if v.end_us - v.start_us == least), key=lambda v: rank(v, asked)).version_id
    ]


def rank(v: Version, asked: Asked) -> tuple[bool, int]:
    own = v.state == "validated" and asked.plan_id is not None and v.plan_id == asked.plan_id
    return own, v.version_id


def contract_of(which: Requirement, action: Action | None = None) -> ContractSpec:
    return ContractSpec(
        downstream=GOLD, upstream=SILVER, kind=Edge.READ, require=(which,),
        on_failure={Result.MISSING: Rule(action)} if action else {},
    )  # fmt: skip


@given(worlds, requirements, asks)
def test_s1_10_the_versions_that_are_read_are_those_of_the_model(
    world: list[Version], which: Requirement, asked: Asked
) -> None:
    spec = contract_of(which)
    found = evaluate(spec, observe(world, spec, asked), asked)
    expected = model(world, which, asked)
    event(f"{type(which).__name__}: {min(len(expected), 3)}")
    if expected:
        assert [each.version.version_id for each in found.use] == expected
        assert all(issue.result in (Result.DEGRADED, Result.STALE) for issue in found.issues)
    else:
        [issue] = found.issues
        assert issue.result in (Result.MISSING, Result.INVALID)
        assert not any(usable(each.version, asked) for each in found.use) or issue.result is Result.INVALID


@given(worlds, requirements, asks)
def test_s1_14c_the_previous_one_is_the_newest_that_ended_before(
    world: list[Version], which: Requirement, asked: Asked
) -> None:
    spec = contract_of(which, Action.USE_PREVIOUS_VERSION)
    there = observe(world, spec, asked)
    found = evaluate(spec, there, asked)
    missing = [issue for issue in found.issues if issue.result is Result.MISSING]
    if not missing:
        return
    start = wanted(spec, asked).start_us
    able = [v for v in world if usable(v, asked) and v.visible and v.end_us <= start]
    used = [each.version for each in found.use]
    if missing[0].action is Action.USE_PREVIOUS_VERSION:
        [only] = used
        if only.visible:
            assert only.end_us == max(v.end_us for v in able)
        assert only.end_us <= start
    else:
        assert missing[0].action is Action.BLOCK
        assert not able


@given(worlds, requirements, asks)
def test_s1_17_what_is_read_may_be_seen_unless_something_says_that_it_may_not(
    world: list[Version], which: Requirement, asked: Asked
) -> None:
    spec = contract_of(which)
    found = evaluate(spec, observe(world, spec, asked), asked)
    hidden = [each for each in found.use if not usable(each.version, asked)]
    named = isinstance(which, ExactVersion)
    if any(each.version.state != "superseded" or not named for each in hidden):
        assert [issue.result for issue in found.issues] == [Result.INVALID]
    if isinstance(which, SameInterval) and not found.issues:
        step = which.offset // timedelta(microseconds=1)
        parts = [(each.version.start_us, each.version.end_us) for each in found.use]
        assert min(start for start, _ in parts) <= asked.start_us + step
        assert max(end for _, end in parts) >= asked.end_us + step
        assert len(parts) == 1 or all(a[1] == b[0] for a, b in pairwise(parts))


@given(worlds, requirements, asks)
def test_s1_56_what_was_read_and_is_still_good_may_be_published(
    world: list[Version], which: Requirement, asked: Asked
) -> None:
    """Superseded meanwhile or not: the versions that were read decide, and are what is said to be used."""
    spec = contract_of(which)
    before = evaluate(spec, observe(world, spec, asked), asked)
    if any(issue.result in (Result.MISSING, Result.INVALID) for issue in before.issues):
        return
    read = tuple(
        msgspec.structs.replace(each.version, state=VersionState.SUPERSEDED)
        if each.version.visible
        else each.version
        for each in before.use
    )
    newer = [msgspec.structs.replace(v, version_id=v.version_id + 50, state=VersionState.PUBLISHED, expires_us=None)
             for v in world]  # fmt: skip
    now = [v for v in world if v.version_id not in {each.version_id for each in read}] + list(read) + newer
    there = msgspec.structs.replace(observe(now, spec, asked), read=read)
    publishing = msgspec.structs.replace(asked, phase=Phase.PUBLISHING)
    after = evaluate(spec, there, publishing)
    assert {each.version.version_id for each in after.use} == {each.version_id for each in read}
    assert not [issue for issue in after.issues if issue.result in (Result.MISSING, Result.INVALID)]
