"""Spreading over random histories of random assets, against a model that follows every single hour."""

from __future__ import annotations

import random
from itertools import pairwise
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bide.runtime.assets import spreading
from bide.runtime.assets.impact import Use
from bide.runtime.assets.words import Edge, VersionState
from bide.runtime.spans import Span
from tests.assets.world_of_versions import Versions, wrong

DAY = 4  # hours: a day of four is enough, and a month of 30 or 31 of them
MONTHS = (0, 31 * DAY, 61 * DAY, 92 * DAY)
HORIZON = MONTHS[-1]
GRAINS: dict[str, list[Span]] = {
    "hour": [(n, n + 1) for n in range(HORIZON)],
    "day": [(n, n + DAY) for n in range(0, HORIZON, DAY)],
    "week": [(n, n + 7 * DAY) for n in range(-2 * DAY, HORIZON, 7 * DAY)],
    "month": list(pairwise(MONTHS)),
}
KINDS = (Edge.INTERVAL_MATCH, Edge.READ, Edge.REFERENCE_DATA, Edge.FRESHNESS)


class History:
    """Assets a0, a1, ... with grains; versions made over time, each of what there was of the assets before it.

    `taint` follows hours: which of a version hold what is wrong, by what was read for each of them.
    """

    def __init__(self, seed: int, steps: int, shuffled: bool) -> None:
        dice = random.Random(seed)
        self.world = Versions()
        self.grain = [dice.choice(list(GRAINS)) for _ in range(dice.randint(2, 6))]
        self.edges = {
            (up, down): (dice.choice(KINDS), dice.choice((0, 0, -DAY, DAY, -1)))
            for down in range(1, len(self.grain))
            for up in dice.sample(range(down), dice.randint(1, min(down, 3)))
        }
        for (up, down), (kind, offset) in self.edges.items():
            if kind is Edge.INTERVAL_MATCH:
                self.world.contract(f"a{down}", f"a{up}", kind, offset=offset)
        numbers = list(range(1, steps + 1))
        if shuffled:
            dice.shuffle(numbers)
        self.order: list[int] = []
        self.newest: list[dict[Span, int]] = [{} for _ in self.grain]
        self.of: dict[int, list[tuple[int, Edge, int]]] = {}
        self.near = near = dice.randrange(HORIZON)
        for number in numbers:
            self._make(dice, number, near)

    def _make(self, dice: random.Random, number: int, near: int) -> None:
        asset = dice.randrange(len(self.grain))
        spans = GRAINS[self.grain[asset]]
        close = [span for span in spans if span[0] < near + 8 * DAY and span[1] > near - 8 * DAY]
        span = dice.choice(close)
        inputs = [
            (version, kind, offset)
            for (up, down), (kind, offset) in self.edges.items()
            if down == asset
            for version in self._read(dice, up, kind, offset, span)
        ]
        state = VersionState.FAILED if dice.random() < 0.1 else VersionState.PUBLISHED
        self.world.make(f"a{asset}", span, number=number, state=state)
        for version, kind, _ in inputs:
            use = Use(version, kind, self.world.made[number])
            self.world.uses.setdefault(version, []).append(use)
        self.of[number] = inputs
        self.order.append(number)
        if state is VersionState.PUBLISHED:
            before = self.newest[asset].pop(span, None)
            if before is not None:
                old = self.world.made[before]
                self.world.made[before] = replace(old, state=VersionState.SUPERSEDED)
            self.newest[asset][span] = number

    def _read(self, dice: random.Random, up: int, kind: Edge, offset: int, span: Span) -> list[int]:
        there = self.newest[up]
        if kind is not Edge.INTERVAL_MATCH:
            return [dice.choice(list(there.values()))] if there else []
        low, high = span[0] + offset, span[1] + offset
        return [version for (start, end), version in there.items() if start < high and end > low]

    def taint(self, root: str, said: Span) -> dict[int, set[int]]:
        """version -> the hours of it that hold what is wrong."""
        found: dict[int, set[int]] = {}
        for number in self.order:
            made = self.world.made[number]
            own = set(range(made.start_us, made.end_us))
            bad: set[int] = set()
            if made.asset == root:
                bad |= own & set(range(*said))
            elif made.state is not VersionState.FAILED:
                for version, kind, offset in self.of[number]:
                    bad |= self._brought(found.get(version, set()), version, kind, offset, own)
            if bad:
                found[number] = bad
        return found

    def _brought(self, bad: set[int], version: int, kind: Edge, offset: int, own: set[int]) -> set[int]:
        up = self.world.made[version]
        held = set(range(up.start_us, up.end_us))
        move = offset if kind is Edge.INTERVAL_MATCH else 0
        asked = {hour + move for hour in own}
        if not bad or kind is Edge.FRESHNESS:
            return set()
        if kind is Edge.REFERENCE_DATA or not held & asked:
            return own
        if len(held) < len(own):
            return own if bad & asked else set()
        return {hour for hour in own if hour + move in bad}


@settings(max_examples=200, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    steps=st.integers(1, 60),
    shuffled=st.booleans(),
    frontier=st.sampled_from((1, 2, 7, 1000)),
    away=st.integers(-8 * DAY, 8 * DAY),
    length=st.sampled_from((1, 2, DAY, 7 * DAY, 31 * DAY, HORIZON)),
)
def test_s1_20_b43_d8_what_is_unaffected_is_never_in_a_blast_radius_and_what_is_affected_always_is(
    seed: int, steps: int, shuffled: bool, frontier: int, away: int, length: int
) -> None:
    history = History(seed, steps, shuffled)
    said = (history.near + away, history.near + away + length)
    with patch.object(spreading, "FRONTIER", frontier):
        radius = history.world.blast(wrong("a0", said))
    found = {
        node.version_id: {hour for part in node.corrected for hour in range(*part)} for node in radius.nodes
    }
    assert found == history.taint("a0", said)
    assert [node.version_id for node in radius.nodes] == sorted(found)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), shuffled=st.booleans())
def test_s1_20_the_size_of_a_frontier_and_the_order_of_reaching_change_nothing(
    seed: int, shuffled: bool
) -> None:
    radii = []
    for frontier in (1, 3, 1000):
        with patch.object(spreading, "FRONTIER", frontier):
            history = History(seed, 60, shuffled)
            radii.append(history.world.blast(wrong("a0", (history.near, history.near + 9 * DAY))))
    assert radii[0] == radii[1] == radii[2]


def test_s1_20_the_store_is_asked_frontier_by_frontier_and_for_no_version_that_is_not_affected() -> None:
    world = Versions()
    for n in range(1, 101):
        world.make("a0", (n, n + 1), number=n)
        world.make("a1", (n, n + 1), n, number=1000 + n)
    with patch.object(spreading, "FRONTIER", 4):
        world.blast(wrong("a0", (10, 16)))
    assert world.hops == [[10, 11, 12, 13], [14, 15, 1010, 1011], [1012, 1013, 1014, 1015]]
