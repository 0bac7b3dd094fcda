"""Random graphs with handlers, random outcomes, and a process that dies at any commit.

Which handlers and callbacks start is told by a model that knows nothing of counters, rows or turns; and
whatever dies when, each of them starts once (S2-26, S2-33).
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bide.runtime.graph.handlers import waits_on
from bide.runtime.graph.spec import Role, TaskSpec
from tests.engine.declare import job
from tests.engine.scene import Scene

Outcomes = dict[str, str]


def model(tasks: list[TaskSpec], outcomes: Outcomes) -> dict[str, str]:
    """task -> its end: of a graph of `all_success` tasks with handlers, each ending as `outcomes` says."""
    hears = waits_on(tasks)
    ends: dict[str, str] = {}
    left = list(tasks)
    while left:
        for task in list(left):
            above = hears.get(task.name, task.upstream)
            if not all(name in ends for name in above):
                continue
            states = {ends[name] for name in above}
            bad = bool(states & {"failed", "upstream_failed"})
            match task.role:
                case Role.TASK if bad:
                    ends[task.name] = "upstream_failed"
                case Role.TASK if "skipped" in states:
                    ends[task.name] = "skipped"
                case Role.HANDLER if "failed" not in states:
                    ends[task.name] = "skipped"
                case Role.ON_ALL_FAILED if not bad:
                    ends[task.name] = "skipped"
                case Role.ON_SUCCESS if bad:
                    ends[task.name] = "skipped"
                case _:
                    ends[task.name] = outcomes[task.name]
            left.remove(task)
    return ends


@st.composite
def graphs(draw: st.DrawFn) -> tuple[list[TaskSpec], Outcomes]:
    tasks: list[TaskSpec] = []
    for n in range(draw(st.integers(1, 5))):
        names = [task.name for task in tasks]
        ups = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else []
        tasks.append(job(f"t{n}", *ups))
    early, last = [task.name for task in tasks], []
    for role in (Role.ON_ALL_FAILED, Role.ON_SUCCESS):
        if draw(st.booleans()):
            tasks.append(job(str(role), role=role))
            last.append(str(role))
    for n in range(draw(st.integers(0, 5))):
        among = (last if draw(st.booleans()) else early) or early
        handles = draw(st.lists(st.sampled_from(among), unique=True, min_size=1, max_size=3))
        tasks.append(job(f"h{n}", role=Role.HANDLER, handles=tuple(handles)))
        among.append(f"h{n}")
    ways = st.sampled_from(["success", "failed", "failed", "skipped"])
    return tasks, {task.name: draw(ways) for task in tasks}


class Dead(Exception):  # noqa: N818 - what happened
    """The process died at this commit."""


class Life:
    """Plays one graph to its end, over as many deaths as `dies` asks for."""

    def __init__(self, folder: str, tasks: list[TaskSpec], outcomes: Outcomes) -> None:
        self.scene = Scene(Path(folder) / "bide.db", slots=32, pools={}, budget=300)
        self.tasks, self.outcomes = tasks, outcomes
        self.commits = 0
        self.dies: Callable[[int], bool] = lambda _: False
        self.before = False
        self.scene.store.before = lambda _changes, _batch: self._commit(True)
        self.scene.store.after = lambda _changes, _batch: self._commit(False)

    def _commit(self, before: bool) -> None:
        if before:
            self.commits += 1
        if before is self.before and self.dies(self.commits):
            raise Dead

    def play(self, pick: Callable[[list[int]], int] = min) -> dict[str, str]:
        scene = self.scene
        self._survive(lambda: scene.dag("d", *self.tasks))
        self._survive(lambda: scene.trigger("d"))
        if not scene.runs():  # it died before the run was there
            self._survive(lambda: scene.trigger("d"))
        while scene.bodies:
            attempt = pick(sorted(scene.bodies))
            start = scene.bodies[attempt]
            how = self.outcomes[start.task.name]
            self._survive(lambda attempt=attempt, how=how: scene.feed(scene.ended(attempt, how)))  # type: ignore[misc]
        return scene.states()

    def _survive(self, step: Callable[[], Any]) -> None:
        try:
            step()
        except Dead:
            self._reopen()

    def _reopen(self) -> None:
        """The world as it was is gone, and may have been one commit ahead: only rows are left."""
        self.dies = lambda _: False
        compare = self.scene.compare
        self.scene.compare = lambda: None  # type: ignore[method-assign]
        self.scene.batch = self.scene.store.read_here(
            lambda conn: conn.execute("SELECT value FROM meta WHERE key = 'batch'").fetchone()[0]
        )
        self.scene.journal = type(self.scene.journal)()
        self.scene.journal.seq = self.scene._rows("SELECT coalesce(max(seq), 0) FROM event")[0][0]
        self.scene.crash()
        self.scene.compare = compare  # type: ignore[method-assign]

    def check(self) -> None:
        """Everything ended as the model says, and what started for good ended once."""
        ends = model(self.tasks, self.outcomes)
        assert self.scene.states() == ends
        ran = {task.name for task in self.tasks if ends[task.name] == self.outcomes[task.name]}
        for task in self.tasks:
            to_its_end = [state for state in self.scene.attempts(task.name) if state != "lost"]
            assert len(to_its_end) <= 1, f"{task.name} ran {len(to_its_end)} times"
            assert task.name in ran or not self.scene.attempts(task.name)
        self._in_order()
        assert self.scene.run_state() == ("failed" if "failed" in ends.values() else "success")

    def _in_order(self) -> None:
        """Callbacks begin after the last end of what they wait for."""
        seqs = (
            "SELECT task, {0}(seq) FROM event JOIN task_instance ON instance_id = subject_id"
            " WHERE subject = 'instance' AND now IN ({1}) GROUP BY task"
        )
        begun = dict(self.scene._rows(seqs.format("min", "'running'")))
        over = dict(self.scene._rows(seqs.format("max", _ENDS)))
        for name, above in waits_on(self.tasks).items():
            if name in begun and next(t for t in self.tasks if t.name == name).role is not Role.HANDLER:
                assert begun[name] > max(over[each] for each in above)


_ENDS = "'success', 'failed', 'skipped', 'upstream_failed'"
FAST = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@FAST
@given(graphs(), st.randoms(use_true_random=False))
def test_b51_s2_26_which_handlers_start_is_as_a_model_says_in_any_order(graph: Any, random: Any) -> None:
    with tempfile.TemporaryDirectory(prefix="bide-handling-") as folder:
        life = Life(folder, *graph)
        life.play(random.choice)
        life.check()
        life.scene.close()


@FAST
@given(graphs(), st.integers(1, 25), st.booleans(), st.randoms(use_true_random=False))
def test_s2_33_whatever_dies_when_each_handler_runs_once(
    graph: Any, commit: int, before: bool, random: Any
) -> None:
    with tempfile.TemporaryDirectory(prefix="bide-handling-") as folder:
        life = Life(folder, *graph)
        life.before = before
        life.dies = lambda count: count == commit
        life.play(random.choice)
        life.check()
        life.scene.close()


EVERYTHING = [
    job("a"), job("b", "a"), job("c"), job("ha", role=Role.HANDLER, handles=("a", "b")),
    job("hc", role=Role.HANDLER, handles=("c",)), job("hh", role=Role.HANDLER, handles=("ha",)),
    job("all", role=Role.ON_ALL_FAILED), job("page", role=Role.HANDLER, handles=("all",)),
    job("done", role=Role.ON_SUCCESS),
]  # fmt: skip
FAIL_ALL = dict.fromkeys([task.name for task in EVERYTHING], "failed")


@pytest.mark.parametrize("outcomes", [FAIL_ALL, {**FAIL_ALL, "a": "success", "b": "success", "c": "success"}])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_s2_33_a_crash_at_every_commit_boundary(tmp_path: Path, outcomes: Outcomes, before: bool) -> None:
    """Boilermaker publishes, then writes: a crash in between is mended by redelivery alone."""
    whole = Life(str(tmp_path), EVERYTHING, outcomes)
    whole.play()
    whole.check()
    whole.scene.close()
    assert whole.commits >= 5
    for commit in range(1, whole.commits + 1):
        folder = tmp_path / str(commit)
        folder.mkdir()
        life = Life(str(folder), EVERYTHING, outcomes)
        life.before = before
        life.dies = lambda count, commit=commit: count == commit  # type: ignore[misc]
        life.play()
        life.check()
        life.scene.close()
