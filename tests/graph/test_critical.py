"""The critical path against brute force: random graphs, random times, every path tried."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.engine.states import State
from bide.runtime.graph.critical import Life, Move, critical_path, last_life, spent

_PHASES = {State.READY: "queued", State.RUNNING: "running", State.DEFERRED: "deferred"}


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[tuple[int, ...]], list[tuple[int, int, int]], list[bool]]:
    """Upstreams of each task, its times (queued, deferred, running), and whether one upstream is enough."""
    size = draw(st.integers(1, 8))
    ups = [
        tuple(sorted(draw(st.sets(st.integers(0, ix - 1), max_size=3)))) if ix else () for ix in range(size)
    ]
    times = [draw(st.tuples(*[st.integers(0, 50)] * 3)) for _ in range(size)]
    return ups, times, [draw(st.booleans()) for _ in range(size)]


def lived(
    ups: list[tuple[int, ...]], times: list[tuple[int, int, int]], first: list[bool]
) -> tuple[dict[int, Life[int]], list[int], list[int]]:
    """Play the graph: the journal's lines in the order of time, each end directly followed by what it lets go."""
    starts, ends = [0] * len(ups), [0] * len(ups)
    for ix, above in enumerate(ups):
        pick = min if first[ix] else max
        starts[ix] = pick((ends[up] for up in above), default=0)
        ends[ix] = starts[ix] + sum(times[ix])
    lines: list[tuple[int, int, int, State, State]] = []
    for ix, (queued, deferred, _) in enumerate(times):
        at = starts[ix]
        for rank, (was, now, when) in enumerate((
            (State.PENDING, State.READY, at),
            (State.READY, State.DEFERRED, at + queued),
            (State.DEFERRED, State.RUNNING, at + queued + deferred),
            (State.RUNNING, State.SUCCESS, ends[ix]),
        )):  # fmt: skip
            lines.append((when, ix, rank, was, now))
    moves: dict[int, list[Move]] = {ix: [] for ix in range(len(ups))}
    for seq, (when, ix, _, was, now) in enumerate(sorted(lines), 1):
        moves[ix].append(Move(seq, when, was, now))
    return {ix: Life(tuple(moves[ix]), ups[ix]) for ix in moves}, starts, ends


def paths(ups: list[tuple[int, ...]], last: int) -> Iterator[tuple[int, ...]]:
    if not ups[last]:
        yield (last,)
    for up in ups[last]:
        for path in paths(ups, up):
            yield (*path, last)


@given(graphs())
def test_s0_31_b64_the_critical_path_is_the_longest_of_all_paths(
    graph: tuple[list[tuple[int, ...]], list[tuple[int, int, int]], list[bool]],
) -> None:
    """Where a task waits for all above it, no path through the graph takes longer than the one that is found."""
    ups, times, _ = graph
    lives, _, ends = lived(ups, times, [False] * len(ups))
    links = critical_path(lives, 0, 10**9)
    longest = max(sum(sum(times[ix]) for ix in path) for last in range(len(ups)) for path in paths(ups, last))
    assert sum(link.until_us - link.from_us for link in links) == longest == max(ends)
    assert tuple(link.key for link in links) in set(paths(ups, links[-1].key))


@given(graphs())
def test_s0_31_the_links_leave_no_gap_whatever_lets_a_task_go(
    graph: tuple[list[tuple[int, ...]], list[tuple[int, int, int]], list[bool]],
) -> None:
    """Where the first end above is enough as well: each link begins when it was let go, and does what it did."""
    ups, times, first = graph
    lives, starts, ends = lived(ups, times, first)
    links = critical_path(lives, 0, 10**9)
    at = 0
    for link in links:
        queued, deferred, running = times[link.key]
        want = {"queued": queued, "deferred": deferred, "running": running}
        assert (link.from_us, link.until_us) == (at, ends[link.key])
        assert link.from_us == starts[link.key]
        assert link.spent_us == {phase: us for phase, us in want.items() if us}
        at = link.until_us
    assert at == max(ends)


@given(
    st.lists(st.tuples(st.integers(0, 40), st.sampled_from(sorted(State))), max_size=8), st.integers(0, 100)
)
def test_times_add_up_whatever_happened(steps: list[tuple[int, State]], until: int) -> None:
    """Also when the clock was stepped back, or the moves go beyond what is asked."""
    moves, was = [], State.PENDING
    for seq, (at, now) in enumerate(steps):
        moves.append(Move(seq, at, was, now))
        was = now
    assert sum(spent(moves, 0, until).values()) == until


def test_an_unfinished_run_is_held_up_by_its_oldest_open_instance() -> None:
    young = Life((Move(5, 50, State.PENDING, State.READY),), ("done",))
    old: Life[str] = Life((Move(2, 0, State.PENDING, State.DEFERRED),))
    done: Life[str] = Life(
        (Move(3, 10, State.READY, State.RUNNING), Move(4, 50, State.RUNNING, State.SUCCESS))
    )
    (link,) = critical_path({"young": young, "old": old, "done": done}, 0, 70)
    assert (link.key, link.spent_us) == ("old", {"deferred": 70})


def test_what_was_rerun_counts_from_its_last_opening() -> None:
    moves = [
        Move(1, 0, State.READY, State.RUNNING),
        Move(2, 9, State.RUNNING, State.FAILED),
        Move(3, 20, State.FAILED, State.READY),
        Move(4, 21, State.READY, State.RUNNING),
        Move(5, 25, State.RUNNING, State.FAILED),
        Move(6, 30, State.FAILED, State.SUCCESS),  # marked: an end into another, no new life
    ]
    assert [move.seq for move in last_life(moves)] == [3, 4, 5, 6]


def test_nothing_has_begun() -> None:
    assert critical_path({}, 0, 5) == []
    assert critical_path({"a": Life((), ())}, 0, 5) == []
