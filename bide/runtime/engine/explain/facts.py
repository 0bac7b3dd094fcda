"""What `explain` wants to know of a run and of a task instance, and the answer it gives: plain data."""

from __future__ import annotations

import msgspec

from bide.runtime.engine.states import RunState, State
from bide.runtime.graph.spec import Role, TriggerRule


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """`sentence` says why; `details` are the facts behind it; `next` is what happens or what to do."""

    state: str
    sentence: str
    since_us: int | None = None
    details: tuple[tuple[str, str], ...] = ()
    next: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The last look of a wait, known to the process that holds it."""

    at_us: int | None = None
    answer: str = ""
    next_us: int | None = None


class WaitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An open wait. `what` is the trigger in words: `file drops/2026-11-20.csv`."""

    wait_id: int
    what: str
    since_us: int
    deadline_us: int
    look: Look | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The resource that had no room: `pool warehouse`, `slots`, `task load`, and who holds it."""

    resource: str
    used: int
    limit: int
    holders: tuple[str, ...] = ()


class Asked(msgspec.Struct, frozen=True):
    """What a person is asked for before it goes on. `who` may decide; empty: anybody."""

    approval_id: int
    prompt: str
    who: tuple[str, ...] = ()
    expires_us: int | None = None


class Progress(msgspec.Struct, frozen=True):
    """How far a body says it is, in its own unit."""

    done: float
    total: float | None = None


class Upstream(msgspec.Struct, frozen=True):
    """A direct upstream: its state, and its error or reason when it has one."""

    task: str
    state: str
    reason: str = ""


class Late(msgspec.Struct, frozen=True):
    """A promise that was not kept: an alert has said so."""

    promise: str
    due_us: int


class Behind(msgspec.Struct, frozen=True):
    """The same task of the run before, which has to end well first (`depends_on_past`)."""

    run: str
    logical_date: str
    state: str
    over: bool  # the run: nothing moves it but a person


class InstanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one task instance. Instants are epoch microseconds, UTC."""

    run: str
    task: str
    state: State
    run_state: RunState = RunState.RUNNING
    rule: TriggerRule = TriggerRule.ALL_SUCCESS
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    retries: int = 0
    idempotent: bool = True
    since_us: int | None = None
    due_us: int | None = None
    deadline_us: int | None = None
    reason: str = ""
    error: str = ""
    upstreams: tuple[Upstream, ...] = ()
    behind: Behind | None = None
    waits: tuple[WaitFacts, ...] = ()
    refusal: Refusal | None = None
    asked: Asked | None = None
    code_error: str = ""
    backfill: str = ""  # whose interval its run is
    backfill_paused: bool = False
    dag: str = ""
    paused: bool = False
    frozen: bool = False  # paused, and waits with their deadlines stand still (`on_pause="freeze"`)
    live: bool = False  # a runtime holds the database
    within: bool = True  # and what it has in memory is known here: looks, refusals
    stopping: bool = False  # it starts nothing new
    progress: Progress | None = None  # of the attempt that runs
    late: tuple[Late, ...] = ()  # its own alerts, the newest first
    instances: dict[str, int] = {}  # of a mapped task: state -> how many of its own
    items: int = 0  # so many it has when all are made
    bad: tuple[Upstream, ...] = ()  # of them, those that failed or are lost
    role: Role = Role.TASK  # of a handler or callback, `upstreams` are those whose ends it hears of
    starts_when: str = ""  # of a handler or callback
    handlers: tuple[Upstream, ...] = ()  # of a task: those of its failure


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one run. `open` and `ended` count its task instances by state."""

    run: str
    dag: str
    state: RunState
    created_us: int
    started_us: int | None = None
    ended_us: int | None = None
    deadline_us: int | None = None
    reason: str = ""
    counts: dict[str, int] = {}
    failed: tuple[Upstream, ...] = ()
    waits: tuple[tuple[str, WaitFacts], ...] = ()
    max_active_runs: int = 1
    backfill: str = ""  # whose interval it runs
    backfill_paused: bool = False
    retry_us: int | None = None  # when the first of those that failed is tried again
    active: tuple[str, ...] = ()  # the runs of this DAG that are running
    code_error: str = ""  # why its code is not loaded
    paused: bool = False
    frozen: bool = False  # paused, and waits with their deadlines stand still
    live: bool = False
    stopping: bool = False  # the runtime that holds the database starts nothing new
    late: tuple[tuple[str, Late], ...] = ()  # alerts of it ("") and of its tasks, the newest first
