"""The world in memory: DAGs, and all unfinished work. Plain state; `decide` alone reads and moves it.

It can be dropped at any moment and built again from the database (`restore.py`). Finished runs are
not in it. Times are epoch microseconds, UTC.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from enum import IntEnum
from heapq import heapify, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from bide.runtime.engine.approval_state import Approvals
from bide.runtime.engine.assets.delivery_state import Ledger
from bide.runtime.engine.assets.state import Assets
from bide.runtime.engine.backfill_state import Backfill
from bide.runtime.engine.covering import Covered
from bide.runtime.engine.fairness import SHARE
from bide.runtime.engine.fan import Fan
from bide.runtime.engine.messages import RunMeta, TriggerBuilt
from bide.runtime.engine.states import OVER, AttemptState, RunState, State
from bide.runtime.graph.compile import Compiled
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.schedules import Schedule

if TYPE_CHECKING:
    from bide.runtime.engine.budgets import Budget
    from bide.runtime.engine.messages import Input
    from bide.runtime.engine.plan_state import RunningPlan


class Due(IntEnum):
    """Kinds of timers. An entry counts only if its subject still says the same instant."""

    SCHEDULE = 0  # a DAG's next firing
    WAIT = 1  # a wait's deadline
    RETRY = 2  # an instance's next start: a retry, or a rescheduled look
    DEADLINE = 3  # an instance's total time
    TIMEOUT = 4  # an attempt's active time
    RUN = 5  # a run's deadline
    BUDGET = 10  # a budget's window is over, and somebody waits for the next
    RUN_ALERT = 6  # a run is late by then, and goes on
    TASK_ALERT = 7  # an instance is
    ASSET_ALERT = 8  # a DAG's assets are looked at
    CATCHUP = 20  # a DAG has missed firings, and may have room for their runs
    STANDING = 21  # a schedule's trigger that broke is armed again
    APPROVAL = 22  # nobody has decided: denied
    ACCEPTED = 25  # the limitations of a version were accepted until then
    UNREAD = 23  # what the database could not answer is asked again


class Resource:
    """Something that is taken while an instance runs, or from its first start to its end.

    `capacity` None is without limit. Instances that were refused park here, best first, and are
    woken by a release: (key, instance).
    """

    __slots__ = (
        "balance",
        "by_backfills",
        "capacity",
        "closed",
        "contended_at",
        "holders",
        "name",
        "parked",
        "parked_too",
        "used",
        "weighted",
        "whole_life",
    )

    def __init__(
        self, name: str, capacity: int | None, *, whole_life: bool = False, weighted: bool = False
    ) -> None:
        self.name = name
        self.capacity = capacity
        self.weighted = weighted
        self.closed = False  # nothing more is let in: the runtime is draining
        self.used = 0
        self.whole_life = whole_life
        self.holders: dict[int, Instance] = {} if whole_life else _NOBODY
        """Of what is taken for a whole life: by whom, by id. What else is held, bodies say (`Attempt.holds`)"""
        self.parked: list[tuple[tuple[int, int, int], Instance]] = []
        self.parked_too: list[tuple[tuple[int, int, int], Instance]] = []  # of backfills: see fairness.py
        self.by_backfills = 0  # of what is used
        self.contended_at: int | None = (
            None  # the last instant that live runs and backfills both waited for it
        )
        self.balance = (
            0.0  # what backfills have had of it since then beyond their share, less what they have not
        )

    def has_room(self, need: int) -> bool:
        """An empty resource lets anything in: a task larger than the capacity runs alone."""
        if self.closed:
            return False
        return self.capacity is None or self.used == 0 or self.used + need <= self.capacity


_NOBODY: dict[int, Instance] = {}  # shared by all that keep no list of holders


class DagState:
    """One DAG as the engine knows it. `code` names the tasks whose functions are loaded."""

    __slots__ = (
        "active_runs",
        "anchor",
        "asked",
        "backfilled",
        "backlog",
        "code",
        "code_error",
        "coded",
        "compiled",
        "dag_id",
        "file",
        "hash",
        "in_order",
        "name",
        "next_fires",
        "options",
        "owned",
        "paused",
        "queued",
        "removed",
        "resources",
        "runs",
        "schedule",
        "schedule_json",
        "standing",
        "stuck",
        "tz",
        "version_id",
        "walked",
        "watermark",
    )

    def __init__(self, dag_id: int, name: str) -> None:
        self.dag_id = dag_id
        self.name = name
        self.file = ""
        self.version_id: int | None = None
        self.hash = ""
        self.compiled: Compiled | None = None
        self.schedule: Schedule | None = None
        self.schedule_json = "{}"
        self.options: dict[str, Any] = {}
        self.tz = "UTC"
        self.paused = 0  # the instant it was paused, or from which it is frozen; else 0
        self.removed = False
        self.anchor: int | None = None
        self.watermark: int | None = None
        self.next_fires: int | None = None
        self.backlog: list[tuple[int, int, int]] = []
        """Missed firings to be run, oldest first: (after, until], and how many of them at most (0: all, or counted)"""
        self.walked: tuple[int, int] | None = None  # where counting them stands
        self.asked = False  # a timer is set that looks for room for them
        self.standing: dict[int, Standing] = {}  # the triggers of its schedule
        self.code: frozenset[str] = frozenset()
        self.code_error = "this runtime was started without it"
        self.coded: tuple[int, str, str] | None = None  # by its last load: (version, text's hash, file)
        self.runs: set[int] = set()  # unfinished
        self.active_runs = 0
        self.queued: list[tuple[int, int]] = []  # a heap: (what it goes by, run id); see `runs.queue`
        self.in_order = False  # what they go by is their date
        self.owned: set[int] = set()  # of these runs, those of backfills and of rerun plans
        self.backfilled: dict[int, Run] = {}  # of these, the queued ones
        self.stuck: dict[int, Instance] = {}  # ready, but its code is not loaded or the DAG is paused
        self.resources: dict[int, tuple[Resource, ...]] = {}  # by id of a task's spec, which the world keeps

    @property
    def live(self) -> set[int]:
        """Its unfinished runs but for those of backfills."""
        return self.runs - self.owned if self.owned else self.runs

    @property
    def frozen(self) -> bool:
        return bool(self.paused) and self.options.get("on_pause", "freeze") == "freeze"


class Run:
    """An unfinished run and its instances, by their place in the graph."""

    __slots__ = (
        "backfill",
        "bad",
        "choices",
        "closing",
        "compiled",
        "created",
        "dag",
        "deadline",
        "instances",
        "kind",
        "meta",
        "open",
        "reason",
        "run_id",
        "started",
        "state",
        "version_id",
    )

    def __init__(
        self, run_id: int, dag: DagState, version_id: int, compiled: Compiled, meta: RunMeta
    ) -> None:
        self.run_id = run_id
        self.dag = dag
        self.version_id = version_id
        self.compiled = compiled
        self.meta = meta
        self.kind = "manual"
        self.backfill: Backfill | None = None  # whose interval it runs; it counts for that, not for its DAG
        self.state = RunState.QUEUED
        self.instances: list[Instance] = []
        self.open = 0  # instances that have not ended
        self.bad = 0  # of the ended: failed or upstream_failed
        self.choices: dict[int, frozenset[int] | None] = {}  # see control.py
        self.closing = ""  # why it was cancelled, while its tear-downs go on
        self.created = 0
        self.started: int | None = None
        self.deadline: int | None = None
        self.reason = ""

    @property
    def apart(self) -> bool:
        """Whether it is a step of a rerun plan: it has a place of its own, beside the live runs."""
        return self.kind == "plan"

    @property
    def unseen(self) -> bool:
        """Whether it is no run of its date for anybody else: it publishes nothing, or with its plan."""
        return self.kind in ("plan", "shadow")

    def everyone(self) -> Iterator[Instance]:
        """Its instances, and those of its mapped tasks that are not over."""
        for inst in self.instances:
            yield inst
            if inst.fan is not None:
                yield from inst.fan.children.values()


class Instance:
    """A task instance of an unfinished run."""

    __slots__ = (
        "attempt",
        "attempt_id",
        "body",
        "built",
        "by_backfill",
        "deadline",
        "due",
        "failures",
        "fan",
        "going",
        "held",
        "inherits",
        "instance_id",
        "ix",
        "lost",
        "map_index",
        "n_failed",
        "n_skipped",
        "n_success",
        "queued",
        "reason",
        "resumed",
        "run",
        "since",
        "state",
        "task",
        "wait",
        "waits",
    )

    def __init__(self, instance_id: int, run: Run, ix: int, since: int) -> None:
        self.instance_id = instance_id
        self.run = run
        self.ix = ix
        self.task: TaskSpec = run.compiled.tasks[ix]
        self.map_index = -1
        self.fan: Fan | None = None  # of a mapped task: of the summary and of each of its children
        self.state = State.PENDING
        self.attempt = 0  # starts
        self.failures = 0
        self.lost = 0
        self.attempt_id: int | None = None
        self.going = False  # that attempt has not ended
        self.since = since
        self.due: int | None = None
        self.deadline: int | None = None
        self.reason = ""
        self.n_success = 0  # of the direct upstreams
        self.n_failed = 0
        self.n_skipped = 0
        self.queued = 0  # the ticket it holds in the ready queue; an older ticket is void
        self.resumed = False
        self.inherits = False  # the next attempt takes over what a lost one had recorded
        self.held: tuple[Resource, ...] = ()  # what it took for its whole life
        self.by_backfill = False  # it took that for a backfill
        self.body: Attempt | None = None  # an attempt whose body may still be going
        self.built: TriggerBuilt | None = None  # a sensor's trigger, until its wait begins
        self.wait: Wait | None = None  # a sensor's
        self.waits: dict[str, Wait] | None = None  # a body's, by key, until it has the answer


class Attempt:
    """An attempt whose body is going, or may be. It keeps its slot until `AttemptEnded`."""

    __slots__ = (
        "active", "active_from", "answers", "attempt_id", "by_backfill", "holds", "inst", "limit", "number",
        "started", "state", "stopping", "told",
    )  # fmt: skip

    def __init__(self, attempt_id: int, inst: Instance, number: int, started: int) -> None:
        self.attempt_id = attempt_id
        self.inst = inst
        self.number = number
        self.started = started
        self.state = AttemptState.RUNNING
        self.active = 0  # microseconds with a slot, before the current stretch
        self.active_from: int | None = None
        self.limit: int | None = None  # when its active time is over
        self.holds: tuple[Resource, ...] = ()  # what it took beside its global slot
        self.by_backfill = False  # it took that for a backfill
        self.stopping = ""  # why it was told to stop
        self.told = 0  # answers handed to the body
        self.answers: list[Wait] | None = None  # ended while the body had no slot


class Wait:
    """A wait of an unfinished instance. `event` and `error` are set when it has ended."""

    __slots__ = (
        "armed", "attempt_id", "created", "deadline", "ended", "error", "event", "failures", "held", "inst",
        "key", "kind", "last_look", "misses", "poll", "timed_out", "trigger", "wait_id",
    )  # fmt: skip

    def __init__(
        self,
        wait_id: int,
        inst: Instance,
        attempt_id: int,
        key: str,
        trigger: bytes,
        kind: str,
        created: int,
        deadline: int,
        poll: int,
    ) -> None:
        self.wait_id = wait_id
        self.inst = inst
        self.attempt_id = attempt_id
        self.key = key
        self.trigger = trigger
        self.kind = kind
        self.created = created
        self.deadline = deadline
        self.poll = poll
        self.armed = False
        self.last_look = False
        self.held = 0  # microseconds with a slot, of rescheduled looks that are over
        self.misses = 0  # rescheduled looks that did not end it
        self.failures = 0  # of them in a row, those that saw nothing
        self.ended = False
        self.timed_out = False
        self.event: bytes | None = None
        self.error = ""


class Alarm(NamedTuple):
    """A promise that is not broken yet: `span` is what was promised, 0 for a time on the wall."""

    due: int
    span: int
    said: str


class Standing:
    """A trigger of a schedule: waited for without a run, as long as its DAG is there."""

    __slots__ = (
        "armed",
        "dag",
        "due",
        "fired",
        "firings",
        "had",
        "kind",
        "poll",
        "since",
        "standing_id",
        "trigger",
    )

    def __init__(
        self, standing_id: int, dag: DagState, kind: str, trigger: bytes, poll: int, since: int
    ) -> None:
        self.standing_id = standing_id
        self.dag = dag
        self.kind = kind
        self.trigger = trigger
        self.poll = poll
        self.since = since
        self.firings = 0
        self.fired: int | None = None
        self.had: dict[str, str] = {}
        """What is no news: the key of the last event under "", and of what events consist of, each mark by name"""
        self.armed = False
        self.due: int | None = None  # it broke, and is armed again then


class Expected(NamedTuple):
    """An asset is to have versions for `[start, end)`, of the firing at `fires`, by `due`."""

    start: int
    end: int
    fires: int
    due: int
    said: str


KINDS = (
    "dag", "version", "run", "instance", "attempt", "wait", "event", "asset", "asset_version", "backfill", "contract",
    "gate", "schema", "decision", "approval", "delivery", "invalidation", "plan", "incident",
    "notice", "bulk",
)  # fmt: skip
"""What has numbers of its own, given by the engine."""


class Unread:
    """Questions that the database did not answer, and are asked again: see unread.py."""

    __slots__ = ("asked", "due", "rung", "since", "told")

    def __init__(self) -> None:
        self.asked: dict[Input, str] = {}  # and why it was not answered
        self.due: int | None = None
        self.rung: int | None = None  # when they were last asked again
        self.since = 0  # when the trouble began
        self.told: set[Input] = set()  # of it, what stands in the journal


FEW_TIMERS, SWEPT = 512, 4_000
"""Void timers that are not worth a sweep; timers that a sweep looks at in one go."""

Watched = tuple[str, str | None, int]
"""(dag, task or None for the whole run, logical date): what an external wait looks at."""


class World:
    def __init__(self, *, epoch: int, slots: int, pools: dict[str, tuple[int | None, int | None]]) -> None:
        self.epoch = epoch
        self.slots = Resource("slots", slots)
        self.pools = {
            name: (
                Resource(f"pool {name}", executing, weighted=True),
                Resource(f"pool {name} in flight", in_flight, whole_life=True),
            )
            for name, (executing, in_flight) in pools.items()
        }
        self.resources: dict[str, Resource] = {}
        self.dags: dict[str, DagState] = {}
        self.dag_of: dict[int, DagState] = {}  # the same, by id
        self.standing: dict[int, Standing] = {}
        self.runs: dict[int, Run] = {}
        self.plans: dict[int, RunningPlan] = {}  # those that run
        self.plan_runs: dict[int, int] = {}  # run that goes -> the plan it is a step of
        self.run_at: dict[tuple[int, int], int] = {}  # (dag_id, logical date) -> its newest unfinished run
        self.instances: dict[int, Instance] = {}
        self.attempts: dict[int, Attempt] = {}  # bodies that may be going
        self.waits: dict[int, Wait] = {}  # open
        self.watched: dict[Watched, dict[int, Wait]] = {}
        self.covering: dict[str, dict[Covered, dict[int, Wait]]] = {}  # by the DAG that is waited for
        self.past: dict[tuple[int, str], dict[int, Instance]] = {}  # (run, task) -> who waits for its end
        self.behind: dict[int, tuple[int, str]] = {}  # instance -> what it waits for there
        self.compiled: dict[int, Compiled] = {}  # by version id
        self.timers: list[tuple[int, int, int]] = []  # (instant, Due, id)
        self.ready: list[tuple[tuple[int, int, int], Instance]] = []
        self.slotless: list[tuple[tuple[int, int, int], Instance]] = []  # woken, and in need of no slot
        self.alarms: dict[tuple[Due, int], Alarm] = {}  # armed: of runs and instances that are not over
        self.expected: dict[int, dict[str, Expected]] = {}  # dag_id -> asset -> what is judged next
        self.marks: dict[
            tuple[int, str], int
        ] = {}  # (dag_id, task) -> the interval's end its watermark is of
        self.bulks: dict[int, None] = {}  # actions on many that go on
        self.agenda: deque[Any] = deque()  # work that a later turn goes on with: see turn.py
        self.assets = Assets()
        self.approvals = Approvals()
        self.ledger = Ledger()
        self.next_id: dict[str, int] = dict.fromkeys(KINDS, 1)
        self.unread = Unread()
        self.backfills: dict[int, Backfill] = {}  # unfinished
        self.ready_too: list[tuple[tuple[int, int, int], Instance]] = []  # of backfills
        self.backfill_share = SHARE
        self.budgets: dict[str, Budget] = {}
        self.backfill_tag = 0  # of the last task of a backfill that was called
        self.hungry: dict[int, None] = {}  # of these, those that may have room for another run
        self.asset_caps: dict[str, int] = {}  # runs of backfills that may write an asset at once
        self.ticket = 0
        self.window = 1_000  # instances of one mapped task that want a slot: more are made as these begin
        self.dormant = False  # a command session: states move, nothing starts
        self.opening = False  # missed firings are left until the runtime is open
        self.scheduling = True  # False: firings stay due, for the next runtime that takes them

    def add_dag(self, dag: DagState) -> None:
        self.dags[dag.name] = dag
        self.dag_of[dag.dag_id] = dag

    def take_id(self, kind: str) -> int:
        taken = self.next_id[kind]
        self.next_id[kind] = taken + 1
        return taken

    def named(self, name: str, capacity: int) -> Resource:
        """The resource of that name, made at first need; the newest capacity counts."""
        resource = self.resources.setdefault(name, Resource(name, capacity))
        resource.capacity = capacity
        return resource

    def timer(self, at: int, kind: Due, subject_id: int) -> None:
        heappush(self.timers, (at, int(kind), subject_id))

    def sweep_timers(self) -> Iterator[None]:
        """Drop the void entries, once the living ones cannot be half of all.

        An instance can have two entries, all else one. At least half of what is looked at goes:
        an entry costs the same however many there are. Nothing else may happen between its parts.
        """
        subjects = (
            len(self.waits)
            + 2 * len(self.instances)
            + len(self.attempts)
            + len(self.runs)
            + 2 * len(self.dags)
            + len(self.standing)
            + len(self.alarms)
            + len(self.expected)
            + len(self.assets.expiring)
            + len(self.approvals.open)
        )
        if len(self.timers) <= FEW_TIMERS + 2 * subjects:
            return
        living: set[tuple[int, int, int]] = set()
        for at in range(0, len(self.timers), SWEPT):
            living.update(e for e in self.timers[at : at + SWEPT] if self._says(e[1], e[2]) == e[0])
            yield
        self.timers = list(living)
        heapify(self.timers)

    def _says(self, kind: int, subject_id: int) -> int | None:
        """The instant that the subject of a timer still says; None when there is none."""
        match kind:
            case Due.SCHEDULE:
                dag = self.dag_of.get(subject_id)
                return dag.next_fires if dag is not None else None
            case Due.CATCHUP:
                dag = self.dag_of.get(subject_id)
                return 0 if dag is not None and dag.asked else None
            case Due.STANDING:
                held = self.standing.get(subject_id)
                return held.due if held is not None else None
            case Due.WAIT:
                wait = self.waits.get(subject_id)
                return wait.deadline if wait is not None else None
            case Due.TIMEOUT:
                body = self.attempts.get(subject_id)
                return body.limit if body is not None else None
            case Due.RUN:
                run = self.runs.get(subject_id)
                return run.deadline if run is not None else None
            case Due.APPROVAL:
                approval = self.approvals.open.get(subject_id)
                return approval.expires if approval is not None else None
            case Due.ACCEPTED:
                return self.assets.expiring.get(subject_id)
            case Due.UNREAD:
                return self.unread.due
            case Due.BUDGET:
                return next((b.wakes for b in self.budgets.values() if b.number == subject_id), None)
            case Due.ASSET_ALERT:
                return min((each.due for each in self.expected.get(subject_id, {}).values()), default=None)
            case Due.RUN_ALERT | Due.TASK_ALERT:
                alarm = self.alarms.get((Due(kind), subject_id))
                return alarm.due if alarm is not None else None
        inst = self.instances.get(subject_id)
        if inst is None or inst.state in OVER:
            return None
        return inst.due if kind == Due.RETRY else inst.deadline

    @property
    def next_timer(self) -> int | None:
        """The earliest entry, which may be void: waking for it then costs a turn that does nothing."""
        return self.timers[0][0] if self.timers else None
