"""One turn of the engine: the world, the instant, and what the turn has decided so far.

Every state of the world moves through `move`, `move_run`, `end_attempt` and `end_wait`: they check
the tables of `states.py`, write the journal, and mark the row to be written. Large pieces of work
(a wide fan, a run of 100,000 instances) put the rest of themselves on the world's agenda, so that
no turn takes long. What must be committed whole cannot go there: its handler is an iterator, which
stops when the budget is spent (`Slices`), and is gone on with before anything else is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime.engine.assets.state import Consumer
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import Effect, Input
from bide.runtime.engine.states import (
    LEGAL,
    LEGAL_RUN,
    RUN_OVER,
    AttemptState,
    IllegalMove,
    RunState,
    State,
    WaitState,
)
from bide.runtime.engine.world import DagState, Due, Instance, Resource, Run, Wait, Watched, World

if TYPE_CHECKING:
    from bide.runtime.assets.gate import CheckResult

FactKey = tuple[Any, ...]
Slices = Iterator[None]
"""Work of one transaction that stops between two slices of deciding, with a new budget for each."""
ALARMS: Final = {Due.RUN_ALERT: "run", Due.TASK_ALERT: "task"}
"""How kinds of alarms are stored."""


Whole = Generator[None, None, Any]
"""The same, and an answer in the end."""
BUDGET: Final = 300
"""Steps a turn: about 10 ms of deciding on a small machine."""
LOOKS: Final = 16
"""Things that are merely looked at, for the price of one step."""
SETTLED: Final = 2_000
"""Rows of instances that one slice writes down."""


def at_once(work: Slices) -> None:
    """Do it to its end in this slice."""
    for _ in work:
        pass


class NeedFacts(Exception):  # noqa: N818 - a signal to the loop: load these and offer the input again
    """Raised by a handler before it has changed anything."""

    def __init__(self, *keys: FactKey) -> None:
        super().__init__(*keys)
        self.keys = keys


class Turn:
    __slots__ = (
        "again",
        "alarms",
        "announced",
        "asks",
        "budget",
        "changes",
        "checked",
        "dirty",
        "dirty_dags",
        "dirty_runs",
        "due_consumers",
        "effects",
        "ended_runs",
        "expected",
        "facts",
        "freed",
        "late",
        "now",
        "published",
        "questions",
        "touched",
        "world",
    )

    def __init__(self, world: World, now: int, facts: Mapping[FactKey, Any], budget: int) -> None:
        self.world = world
        self.now = now
        self.facts = facts
        self.budget = budget
        self.again = False  # a timer was set that is due at once
        self.changes = Changes()
        self.effects: list[Effect] = []
        self.dirty: dict[int, Instance] = {}
        self.dirty_runs: dict[int, Run] = {}
        self.dirty_dags: dict[int, DagState] = {}
        self.alarms: dict[tuple[Due, int], None] = {}  # armed, moved or gone in this turn
        self.expected: dict[tuple[int, str], None] = {}  # (dag_id, asset): other than before this turn
        self.freed: list[Resource] = []
        self.questions: dict[Watched, None] = {}
        self.announced: list[tuple[Watched, str]] = []
        self.ended_runs: list[Run] = []
        self.published: list[Instance] = []
        """Successes of tasks with outlets, whose versions are to be recorded in this very turn."""
        self.checked: dict[int, dict[str, tuple[CheckResult, ...]]] = {}
        """instance -> outlet -> what its gates found, of successes of this turn."""
        self.late: dict[str, None] = {}
        """Assets of which an earlier version was let out after later ones, in this turn."""
        self.touched: dict[str, None] = {}
        """Assets of which a version has changed in this turn: what the database said of them is older."""
        self.due_consumers: list[Consumer] = []
        """Those that may be able to make a run now."""
        self.asks: dict[Input, tuple[FactKey, ...]] = {}
        """What goes on as an input once the database has been asked."""

    # --- facts ---------------------------------------------------------------------------------

    def fact(self, *key: Any) -> Any:
        """What the database says of `key`; stops the input until the loop has asked it."""
        try:
            return self.facts[key]
        except KeyError:
            raise NeedFacts(key) from None

    def ask(self, then: Input, *keys: FactKey) -> None:
        """Have `then` decided in the next turn, with what the database says of `keys`."""
        self.asks[then] = (*self.asks.get(then, ()), *keys)

    # --- journal -------------------------------------------------------------------------------

    def journal(
        self, subject: str, subject_id: int, run_id: int | None, was: str, now: str, reason: str
    ) -> None:
        world = self.world
        seq = world.next_id["event"]
        world.next_id["event"] = seq + 1
        self.changes.events.append(
            (seq, self.now, world.epoch, subject, subject_id, run_id, was, now, reason)
        )

    # --- moves ---------------------------------------------------------------------------------

    def move(self, inst: Instance, to: State, reason: str) -> None:
        """Move an instance. The caller settles what follows for slots, waits and downstreams."""
        was = inst.state
        if to not in LEGAL[was]:
            raise IllegalMove(
                f"task instance {inst.instance_id} ({inst.task.name}): {was.value} -> {to.value}"
            )
        inst.state = to
        inst.since = self.now
        inst.reason = reason
        inst.queued = 0
        if inst.map_index >= 0:
            self._stepped(inst, was, to)
        self.dirty[inst.instance_id] = inst
        self.journal("instance", inst.instance_id, inst.run.run_id, was.value, to.value, reason)

    def _stepped(self, child: Instance, was: State, to: State) -> None:
        """An instance of a mapped task begins to want a slot, or has got it: then others may be made."""
        fan = child.fan
        if fan is None:
            return
        if to is State.READY:
            fan.ready += 1
        elif was is State.READY:
            fan.ready -= 1
            if fan.hungry(self.world.window):
                fan.busy = True
                self.later(fan.work)

    def touch(self, inst: Instance, reason: str) -> None:
        """Say a new reason within the same state."""
        if inst.reason != reason:
            inst.reason = reason
            self.dirty[inst.instance_id] = inst

    def move_run(self, run: Run, to: RunState, reason: str) -> None:
        was = run.state
        if to not in LEGAL_RUN[was]:
            raise IllegalMove(f"run {run.run_id} of {run.dag.name}: {was.value} -> {to.value}")
        run.state = to
        run.reason = reason
        self.dirty_runs[run.run_id] = run
        self.journal("run", run.run_id, run.run_id, was.value, to.value, reason)

    def move_on(self, run: Run, reason: str) -> None:
        """Say a new reason of a run within the same state, in the journal as well."""
        run.reason = reason
        self.dirty_runs[run.run_id] = run
        self.journal("run", run.run_id, run.run_id, run.state.value, run.state.value, reason)

    def new_attempt(self, inst: Instance) -> int:
        """The next start of an instance, as a row; the number counts every start."""
        world = self.world
        attempt_id = world.take_id("attempt")
        inst.attempt += 1
        inst.attempt_id = attempt_id
        inst.going = True
        self.changes.attempts_new.append(
            (
                attempt_id,
                inst.instance_id,
                inst.attempt,
                AttemptState.RUNNING.value,
                world.epoch,
                self.now,
                max(0, self.now - inst.since),
            )
        )
        self.journal("attempt", attempt_id, inst.run.run_id, "", AttemptState.RUNNING.value, "")
        return attempt_id

    def end_attempt(
        self, inst: Instance, attempt_id: int, state: AttemptState, *, active: int = 0, error: str | None = None,
        metrics: bytes | None = None,
    ) -> None:  # fmt: skip
        if inst.attempt_id == attempt_id:
            inst.going = False
        self.changes.attempts_set[attempt_id] = (
            state.value, self.now, active, error, metrics.decode() if metrics else None, attempt_id,
        )  # fmt: skip
        self.journal(
            "attempt", attempt_id, inst.run.run_id, AttemptState.RUNNING.value, state.value, error or ""
        )

    def new_wait(self, wait: Wait) -> None:
        inst = wait.inst
        self.world.waits[wait.wait_id] = wait
        self.changes.waits_new.append(
            (
                wait.wait_id, inst.instance_id, wait.attempt_id, wait.key, wait.kind, wait.trigger.decode(),
                WaitState.OPEN.value, self.now, wait.deadline, wait.poll,
            )
        )  # fmt: skip
        self.journal("wait", wait.wait_id, inst.run.run_id, "", WaitState.OPEN.value, "")

    def end_wait(self, wait: Wait, state: WaitState, reason: str) -> None:
        """Close a wait: from here on a second firing of it is a no-op."""
        wait.ended = True
        del self.world.waits[wait.wait_id]
        self.write_wait(wait, state, reason)
        self.journal("wait", wait.wait_id, wait.inst.run.run_id, WaitState.OPEN.value, state.value, reason)

    def write_wait(self, wait: Wait, state: WaitState = WaitState.OPEN, reason: str = "") -> None:
        self.changes.waits_set[wait.wait_id] = (
            wait.attempt_id, state.value, wait.deadline, None if state is WaitState.OPEN else self.now,
            wait.event.decode() if wait.event is not None else None, reason, wait.wait_id,
        )  # fmt: skip

    def later(self, work: Callable[[Turn], bool]) -> None:
        """Put work on the agenda: it is called in this turn or a later one until it returns True."""
        self.world.agenda.append(work)

    def catch_up(self, dag: DagState) -> None:
        """Have it looked, in a turn to come, whether there is room for runs of missed firings."""
        if dag.backlog and not dag.asked:
            dag.asked = self.again = True
            self.world.timer(0, Due.CATCHUP, dag.dag_id)

    # --- the end of the turn -------------------------------------------------------------------

    def settle(self) -> Slices:
        """Write the rows of everything that moved, as it now stands."""
        changes = self.changes
        for at, inst in enumerate(self.dirty.values(), 1):
            changes.instances_set[inst.instance_id] = (
                inst.state.value, inst.attempt, inst.failures, inst.lost, inst.attempt_id, inst.since, inst.due,
                inst.deadline, inst.reason, inst.instance_id,
            )  # fmt: skip
            if not at % SETTLED:
                yield
        for run in self.dirty_runs.values():
            ended = self.now if run.state in RUN_OVER else None
            changes.runs_set[run.run_id] = (
                run.state.value, run.started, ended, run.deadline, run.reason, run.run_id,
            )  # fmt: skip
        for key in self.alarms:
            alarm = self.world.alarms.get(key)
            kind = ALARMS[key[0]]
            if alarm is None:
                changes.alarms_gone.append((kind, key[1]))
            else:
                changes.alarms_set.append((kind, key[1], alarm.due, alarm.span, alarm.said))
        for dag_id, name in self.expected:
            asset_id = self.world.assets.named[name].asset_id
            of_dag = self.world.expected.get(dag_id, {})
            if name in of_dag:
                changes.expected_set.append((dag_id, asset_id, *of_dag[name]))
            else:
                changes.expected_gone.append((dag_id, asset_id))
        for dag in self.dirty_dags.values():
            changes.dags_set.append(
                (
                    dag.dag_id, dag.name, dag.version_id, dag.schedule_json, dag_options(dag), dag.paused,
                    int(dag.removed), dag.anchor, dag.watermark, dag.next_fires, dag.file,
                )
            )  # fmt: skip


def dag_options(dag: DagState) -> str:
    return msgspec.json.encode(dag.options).decode()
