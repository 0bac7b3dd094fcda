"""Replays the journal, line by line, and says where it could not have happened.

One pass in the order of `seq`: every move must begin where the last one ended and be in the tables
of `states.py`; a body may only start when its upstreams are over and its run is not cancelled.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.engine.states import (
    LEGAL,
    LEGAL_APPROVAL,
    LEGAL_ATTEMPT,
    LEGAL_DELIVERY,
    LEGAL_PLAN,
    LEGAL_RUN,
    LEGAL_WAIT,
    OVER,
    ApprovalState,
    AttemptState,
    BackfillState,
    DeliveryState,
    PlanState,
    RunState,
    State,
    WaitState,
)
from bide.runtime.graph.handlers import CALLBACKS, waits_on
from bide.runtime.graph.spec import DagSpec, TaskSpec, TriggerRule

_TABLES: Final[dict[str, Mapping[str, frozenset[str]]]] = {
    "run": {str(was): frozenset(map(str, now)) for was, now in LEGAL_RUN.items()},
    "instance": {str(was): frozenset(map(str, now)) for was, now in LEGAL.items()},
    "attempt": {str(was): frozenset(map(str, now)) for was, now in LEGAL_ATTEMPT.items()},
    "wait": {str(was): frozenset(map(str, now)) for was, now in LEGAL_WAIT.items()},
    "delivery": {str(was): frozenset(map(str, now)) for was, now in LEGAL_DELIVERY.items()},
    "plan": {str(was): frozenset(map(str, now)) for was, now in LEGAL_PLAN.items()},
    "approval": {str(was): frozenset(map(str, now)) for was, now in LEGAL_APPROVAL.items()},
}
BORN: Final[dict[str, frozenset[str]]] = {
    "run": frozenset({RunState.EXPANDING, RunState.QUEUED, RunState.RUNNING}),
    "instance": frozenset({State.PENDING, State.READY}),
    "attempt": frozenset({AttemptState.RUNNING}),
    "wait": frozenset({WaitState.OPEN}),
    "plan": frozenset({PlanState.PROPOSED}),
    "approval": frozenset({ApprovalState.OPEN}),
    "delivery": frozenset({DeliveryState.PENDING}),
}
"""The states a row may begin in, whether or not the journal has a line for it."""
_EARLY: Final = frozenset({TriggerRule.ONE_SUCCESS, TriggerRule.ONE_FAILED, TriggerRule.ALWAYS})
"""Rules under which a task does not wait for all of its upstreams."""
_GOING: Final = "SELECT run_id FROM pruning"
"""Runs that retention removes in slices: of these neither all rows nor all lines are there."""
_OF_GOING: Final = f"SELECT instance_id FROM task_instance WHERE run_id IN ({_GOING})"
_ROWS: Final = {
    "run": f"SELECT run_id, state FROM run WHERE run_id NOT IN ({_GOING})",
    "instance": f"SELECT instance_id, state FROM task_instance WHERE run_id NOT IN ({_GOING})",
    "attempt": f"SELECT attempt_id, state FROM attempt WHERE instance_id NOT IN ({_OF_GOING})",
    "wait": f"SELECT wait_id, state FROM wait WHERE instance_id NOT IN ({_OF_GOING})",
    "plan": "SELECT plan_id, state FROM rerun_plan",
    "approval": "SELECT approval_id, state FROM approval",
    "delivery": "SELECT delivery_id, state FROM delivery",
}


STATES: Final[dict[str, type[StrEnum]]] = {
    "run": RunState,
    "task_instance": State,
    "attempt": AttemptState,
    "backfill": BackfillState,
    "wait": WaitState,
    "rerun_plan": PlanState,
    "approval": ApprovalState,
    "delivery": DeliveryState,
}


class Violation(msgspec.Struct, frozen=True):
    """An invariant that does not hold: its id, one sentence, and the ids of the rows at fault."""

    id: str
    sentence: str
    rows: tuple[int, ...] = ()


def ask(conn: sqlite3.Connection, which: str, words: str, sql: str) -> list[Violation]:
    """A violation for each row of a query: its columns fill in the words, its numbers are the ids."""
    return [
        Violation(which, words.format(*row), tuple(value for value in row if isinstance(value, int)))
        for row in conn.execute(sql)
    ]


def specs(conn: sqlite3.Connection) -> dict[int, dict[str, TaskSpec]]:
    """version_id -> task name -> its spec. `msgspec.DecodeError` when one is damaged."""
    return {
        version: {task.name: task for task in typed.decode(spec, DagSpec).tasks}
        for version, spec in conn.execute("SELECT version_id, spec FROM dag_version")
    }


class _Instances:
    """What the replay must know of task instances: their run, their upstreams, their attempts."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        graphs = specs(conn)
        self.hears = {
            version: waits_on(tasks.values())
            for version, tasks in graphs.items()
            if any(task.role in CALLBACKS for task in tasks.values())
        }
        self.version: dict[int, int] = {}
        self.run: dict[int, int] = {}
        self.task: dict[int, TaskSpec | None] = {}
        self.of_task: dict[tuple[int, str], list[int]] = {}
        for instance, run, task, version, index in conn.execute(
            "SELECT instance_id, i.run_id, task, version_id, map_index FROM task_instance i JOIN run USING (run_id)"
        ):
            self.run[instance] = run
            self.version[run] = version
            self.task[instance] = graphs.get(version, {}).get(task)
            if index < 0:  # of a mapped task the whole: it is over when its instances are
                self.of_task.setdefault((run, task), []).append(instance)
        self.of_attempt: dict[int, int] = dict(conn.execute("SELECT attempt_id, instance_id FROM attempt"))
        self.of_wait: dict[int, int] = dict(conn.execute("SELECT wait_id, instance_id FROM wait"))

    def upstream(self, instance: int) -> list[int]:
        """The instances that must be over before this one starts."""
        task = self.task.get(instance)
        if task is None or task.rule in _EARLY:
            return []
        run = self.run[instance]
        above: Iterable[str] = task.upstream
        if task.role in CALLBACKS:
            above = self.hears[self.version[run]][task.name]
        return [one for name in above for one in self.of_task.get((run, name), [])]


class _Journal:
    def __init__(self, instances: _Instances) -> None:
        self.instances = instances
        self.state: dict[str, dict[int, str]] = {subject: {} for subject in _TABLES}
        self.found: list[Violation] = []
        self.asleep: dict[int, int] = {}
        """instance -> a wait that fired while it was deferred, and did not move it yet"""
        self.lost_attempt: dict[int, int] = {}
        """instance -> its attempt that was lost, until it stands as `lost` for a person to see"""

    def line(self, seq: int, subject: str, subject_id: int, was: str, now: str) -> None:
        states = self.state[subject]
        last = states.get(subject_id)
        table = _TABLES[subject]
        if last is None:
            if was not in BORN[subject] and not (was == "" and now in BORN[subject]):
                self.say(
                    "I2", f"the first line of {subject} {subject_id} (event {seq}) begins in {was!r}", seq
                )
        elif was != last:
            self.say("I2", f"event {seq} moves {subject} {subject_id} from {was!r}, and it was {last!r}", seq)
        if was and was != now and now not in table.get(was, ()):
            self.say(
                "I2", f"event {seq} moves {subject} {subject_id} from {was!r} to {now!r}: no legal move", seq
            )
        states[subject_id] = now
        match subject:
            case "instance":
                self.asleep.pop(subject_id, None)
                if now == State.LOST:
                    self.lost_attempt.pop(subject_id, None)
                if now == State.RUNNING:
                    self.not_cancelled(seq, subject_id)
            case "attempt":
                self.attempt(subject_id, was, now)
            case "wait" if now == WaitState.FIRED and was == WaitState.OPEN:
                instance = self.instances.of_wait.get(subject_id, 0)
                if self.state["instance"].get(instance) == State.DEFERRED:
                    self.asleep[instance] = subject_id
            case _:
                pass

    def attempt(self, attempt: int, was: str, now: str) -> None:
        instance = self.instances.of_attempt.get(attempt, 0)
        if now == AttemptState.LOST:
            self.lost_attempt[instance] = attempt
        if was:
            return
        task = self.instances.task.get(instance)
        before = self.lost_attempt.pop(instance, None)
        if before is not None and task is not None and not task.idempotent:
            self.say(
                "I6",
                f"attempt {attempt} was started after the lost attempt {before} of the task {task.name!r}, which is "
                "not idempotent, and nobody decided so",
                before,
                attempt,
            )
        states = self.state["instance"]
        early = [one for one in self.instances.upstream(instance) if states.get(one) not in OVER]
        if early:
            self.say(
                "I7", f"attempt {attempt} was started before its upstreams {early} were over", attempt, *early
            )

    def not_cancelled(self, seq: int, instance: int) -> None:
        run = self.instances.run.get(instance, 0)
        if self.state["run"].get(run) == RunState.CANCELLED:
            self.say(
                "I9",
                f"event {seq} starts instance {instance} after its run {run} was cancelled",
                instance,
                run,
            )

    def say(self, which: str, sentence: str, *rows: int) -> None:
        self.found.append(Violation(which, sentence, rows))


def replay(conn: sqlite3.Connection) -> list[Violation]:
    """I2, I5, I6, I7 and I9 as far as the journal tells. Memory and time grow with its length."""
    instances = _Instances(conn)
    journal = _Journal(instances)
    for line in conn.execute(
        "SELECT seq, subject, subject_id, was, now FROM event"
        " WHERE subject IN ('run', 'instance', 'attempt', 'wait', 'plan', 'approval', 'delivery')"
        f" AND (run_id IS NULL OR run_id NOT IN ({_GOING}) OR subject IN ('plan', 'approval', 'delivery')) ORDER BY seq"
    ):
        journal.line(*line)
    for instance, wait in journal.asleep.items():
        journal.say(
            "I5", f"wait {wait} fired and its instance {instance} has not moved since", wait, instance
        )
    for subject, sql in _ROWS.items():
        states = journal.state[subject]
        for row, state in conn.execute(sql):
            last = states.pop(row, None)
            if last is None and state not in BORN[subject]:
                journal.say("I2", f"{subject} {row} is {state!r} and the journal has no line of it", row)
            elif last is not None and last != state:
                journal.say("I2", f"{subject} {row} is {state!r} and by the journal it is {last!r}", row)
        for row in states:
            journal.say("I12", f"the journal speaks of {subject} {row}, and there is none", row)
    return journal.found
