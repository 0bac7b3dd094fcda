"""What goes into the mailbox and what comes out of `decide`: plain immutable structs.

Inputs are facts that have happened. Effects are orders, carried out only after the commit of the
batch that holds them. Payloads are JSON bytes, encoded and size-checked before they get here.
Reasons may quote the world, a file name that is not UTF-8 say: they are made storable here.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from bide.runtime.assets.declarations import Declared
from bide.runtime.engine.auditing import Asked
from bide.runtime.engine.bulk_state import BulkOn
from bide.runtime.engine.notices import NoticesMoved
from bide.runtime.engine.precondition import Match
from bide.runtime.engine.states import AttemptState
from bide.runtime.graph.source import Source
from bide.runtime.graph.spec import DagSpec, TaskSpec
from bide.runtime.values import storable


class Failure(msgspec.Struct, frozen=True):
    """Why an attempt did not succeed. `mro` are class paths, most derived first."""

    message: str
    mro: tuple[str, ...] = ()
    final: bool = False  # never retried: `FailTask`, a result that is not JSON
    retry_after_us: int | None = None  # the least delay the failing side asked for

    def __post_init__(self) -> None:
        force_setattr(self, "message", storable(self.message))


# --- inputs ------------------------------------------------------------------------------------


class AttemptEnded(msgspec.Struct, frozen=True):
    """A body has returned, raised, or was stopped. `state` is never LOST or RUNNING."""

    attempt_id: int
    state: AttemptState
    output: bytes | None = None
    failure: Failure | None = None
    watermark: bytes | None = None
    metrics: bytes | None = None
    cuts: bool = False  # skipped, and all that stands below with it
    checks: bytes | None = None  # what the gates of its outlets found, JSON: asset -> results


class WaitAsked(msgspec.Struct, frozen=True):
    """`await ctx.wait(trigger)` in a running body. `key` names the wait within its instance.

    `not_before_us`: the time-out counts from then, if that is still to come; None: from now.
    """

    attempt_id: int
    key: str
    trigger: bytes
    kind: str
    timeout_us: int
    poll_us: int
    not_before_us: int | None = None


class Parked(msgspec.Struct, frozen=True):
    """Every part of the body that came back from a wait has ended or waits again.

    `answers` is how many answers the body had been handed by then: stale when more were sent.
    """

    attempt_id: int
    answers: int = 0


class WaitDropped(msgspec.Struct, frozen=True):
    """The body gave up on a wait it had asked for."""

    attempt_id: int
    key: str


class StepDone(msgspec.Struct, frozen=True):
    """`ctx.once(name, fn)` has its result; the body goes on when it is committed."""

    attempt_id: int
    name: str
    value: bytes


class ProcessStarted(msgspec.Struct, frozen=True):
    """A process or shell attempt has its process, which begins when this is acknowledged.

    `started` is its start time in clock ticks since boot: with the boot id it names one process.
    """

    attempt_id: int
    pid: int
    started: int
    boot_id: str


class TriggerBuilt(msgspec.Struct, frozen=True):
    """A sensor's trigger, built from the run's interval and parameters.

    `not_before_us`: the instant before which it cannot come true, None where there is none.
    """

    instance_id: int
    trigger: bytes
    kind: str
    not_before_us: int | None = None


class BuildFailed(msgspec.Struct, frozen=True):
    """A sensor's trigger or a body's arguments could not be built."""

    instance_id: int
    failure: Failure


class Expanded(msgspec.Struct, frozen=True):
    """What a mapped task is mapped over is known: it becomes so many instances.

    `manifest` is JSON: argument -> the list that another task returned, as it was.
    """

    instance_id: int
    items: int
    manifest: bytes
    ticket: int


class ExpandFailed(msgspec.Struct, frozen=True):
    """What a mapped task is mapped over is no list, or too long."""

    instance_id: int
    failure: Failure
    ticket: int


class LateAsked(msgspec.Struct, frozen=True):
    """A version is seen from now on: it is asked whether one of its inputs was found wrong while it was made."""

    version_id: int


class SpreadOn(msgspec.Struct, frozen=True):
    """An invalidation goes on spreading, a slice at a time."""

    invalidation_id: int


class CodeMissing(msgspec.Struct, frozen=True):
    """The code of this instance is not loaded, or broken; the instance stays ready."""

    instance_id: int
    reason: str

    def __post_init__(self) -> None:
        force_setattr(self, "reason", storable(self.reason))


class WaitFired(msgspec.Struct, frozen=True):
    """It came true. `marks` name the single things in the event, where a schedule waits."""

    wait_id: int
    event: bytes
    marks: dict[str, str] = {}


class WaitFailed(msgspec.Struct, frozen=True):
    wait_id: int
    reason: str

    def __post_init__(self) -> None:
        force_setattr(self, "reason", storable(self.reason))


class WaitLooked(msgspec.Struct, frozen=True):
    """A look that did not end the wait, where the answer matters: the last one, a rescheduled one."""

    wait_id: int
    reason: str
    again_us: int | None = None
    failed: bool = False  # it saw nothing: unreachable, cut, refused

    def __post_init__(self) -> None:
        force_setattr(self, "reason", storable(self.reason))


class Found(msgspec.Struct, frozen=True):
    """What the database says of a run or task that waits look at: its end state, or None."""

    dag: str
    task: str | None
    logical_us: int
    state: str | None


class PastAsked(msgspec.Struct, frozen=True):
    """An instance may start but for its past: offered with the fact of its run before (`past.py`)."""

    instance_id: int


class ClockStepped(msgspec.Struct, frozen=True):
    """The wall clock moved by `step_us` against elapsed time. Schedules move; deadlines shift."""

    step_us: int


class Recover(msgspec.Struct, frozen=True):
    """The world was restored: settle what died; `running` are attempts that the database calls running."""

    running: tuple[int, ...]


class Opened(msgspec.Struct, frozen=True):
    """The runtime is open, and answers: what may take its time begins."""


class OrphansKilled(msgspec.Struct, frozen=True):
    """What earlier runtimes had started as processes is gone: their attempts, over or not."""

    attempts: tuple[int, ...]


class DagLoaded(msgspec.Struct, frozen=True):
    """A DAG's declaration as it now stands: its graph, its schedule, both as plain data.

    `graph` is what `spec` encodes, if at hand; `file` where it is declared, "" for nowhere; `source` its text.
    """

    dag: str
    spec: bytes
    hash: str
    schedule: bytes
    options: dict[str, Any]
    graph: DagSpec | None = None
    file: str = ""
    source: Source | None = None


class AssetsDeclared(msgspec.Struct, frozen=True):
    """What the files that are loaded say of assets: their facts, contracts and gates."""

    said: Declared


class LineageSent(msgspec.Struct, frozen=True):
    """Lineage was sent up to this line of the journal."""

    seq: int


class DagRemoved(msgspec.Struct, frozen=True):
    """Its code is not to be had: the file is broken, or `gone` for good."""

    dag: str
    reason: str
    gone: bool

    def __post_init__(self) -> None:
        force_setattr(self, "reason", storable(self.reason))


class ConsumerAsked(msgspec.Struct, frozen=True):
    """A DAG that looks at assets goes on with what the database has said of them."""

    dag_id: int


class RunsAsked(msgspec.Struct, frozen=True):
    """Those who wait for all runs of an interval are told how the database has them."""

    dag: str
    task: str | None
    start_us: int
    end_us: int


class AssetAsked(msgspec.Struct, frozen=True):
    """Those who wait for this interval of an asset are told what versions the database has of it."""

    asset: str
    start_us: int
    end_us: int
    cover: bool


class GuardAsked(msgspec.Struct, frozen=True):
    """An instance that is to start asks the contracts of what it makes and reads (`assets/guarding.py`)."""

    instance_id: int


class PublicationAsked(msgspec.Struct, frozen=True):
    """A version that is made asks whether it may be seen (`assets/publishing.py`)."""

    version_id: int


class AssetCalled(msgspec.Struct, frozen=True):
    """A body says something of an asset it makes: `verb` is begin, stage, check or publish.

    All but `begin` are answered by `AssetAnswered` with the same `call`.
    """

    attempt_id: int
    call: int
    verb: str
    asset: str
    data: bytes = b"{}"


class PlanDue(msgspec.Struct, frozen=True):
    """A rerun plan that may go on."""

    plan_id: int


class BackfillDue(msgspec.Struct, frozen=True):
    """A backfill that may have room for another run."""

    backfill_id: int


class RunAsked(msgspec.Struct, frozen=True):
    """Those who wait for one run of another DAG, or a task of it, are told how the database has it."""

    dag: str
    task: str | None
    logical_us: int


class DueTimer(msgspec.Struct, frozen=True):
    """A timer that could not be decided without facts, on its way back as an input."""

    due: int
    kind: int
    subject_id: int


class Unanswered(msgspec.Struct, frozen=True):
    """A question of the engine's own that was not answered; `again`: it is asked once more (`unread.py`)."""

    asked: (
        PastAsked
        | RunAsked
        | RunsAsked
        | AssetAsked
        | BackfillDue
        | ConsumerAsked
        | DueTimer
        | GuardAsked
        | PublicationAsked
        | LateAsked
        | SpreadOn
        | BulkOn
        | PlanDue
    )
    reason: str
    again: bool = False


class Command(msgspec.Struct, frozen=True):
    """What a person or a program asked for; answered by `Reply` with the same token."""

    token: int
    verb: str
    args: dict[str, Any]
    asked: Asked | None = Asked()  # None: nobody did, it is bide's own, and no line of the audit log
    digest: str = ""  # of the request that bore the key, where there is one
    match: Match | None = None  # how its entity must still stand


Input = (
    AttemptEnded
    | WaitAsked
    | Parked
    | WaitDropped
    | StepDone
    | ProcessStarted
    | TriggerBuilt
    | BuildFailed
    | Expanded
    | ExpandFailed
    | CodeMissing
    | WaitFired
    | WaitFailed
    | WaitLooked
    | Found
    | PastAsked
    | LateAsked
    | SpreadOn
    | BulkOn
    | ClockStepped
    | OrphansKilled
    | Opened
    | Recover
    | DagLoaded
    | AssetsDeclared
    | LineageSent
    | NoticesMoved
    | DagRemoved
    | ConsumerAsked
    | BackfillDue
    | DueTimer
    | RunAsked
    | PlanDue
    | Unanswered
    | AssetAsked
    | RunsAsked
    | GuardAsked
    | PublicationAsked
    | AssetCalled
    | Command
)


# --- effects -----------------------------------------------------------------------------------


class Start(msgspec.Struct, frozen=True):
    """Start the body of an attempt. Arguments are resolved by the shell, from the spec."""

    attempt_id: int
    instance_id: int
    run_id: int
    number: int
    dag: str
    task: TaskSpec
    map_index: int
    recorded: bool  # answers and steps of a lost predecessor are to be loaded
    reads: bool = False  # versions that it may read are on record
    shadow: bool = False  # nothing of it is published, and it must change nothing outside
    delivery: int = 0  # of an effect: its number in the ledger


class Stop(msgspec.Struct, frozen=True):
    """Stop the body: `state` is how the attempt must end, CANCELLED or TIMED_OUT."""

    attempt_id: int
    state: AttemptState
    reason: str


class Build(msgspec.Struct, frozen=True):
    """Build a sensor's trigger and post `TriggerBuilt`."""

    instance_id: int
    run_id: int
    dag: str
    task: TaskSpec
    map_index: int


class Expand(msgspec.Struct, frozen=True):
    """Find what a mapped task is mapped over and post `Expanded`, with the same ticket."""

    instance_id: int
    run_id: int
    task: TaskSpec
    ticket: int


class Arm(msgspec.Struct, frozen=True):
    """Register a wait with its source."""

    wait_id: int
    attempt_id: int
    dag: str
    task: str
    trigger: bytes
    poll_us: int
    backoff: float
    deadline_us: int
    had: dict[str, str] | None = None  # of a schedule's trigger: see `Standing.had`


class Disarm(msgspec.Struct, frozen=True):
    """Take a wait from its source: `reason` is fired, timed_out, cancelled, failed or paused."""

    wait_id: int
    reason: str


class LookOnce(msgspec.Struct, frozen=True):
    """One bounded look at a wait that is not armed; post WaitFired, WaitFailed or WaitLooked."""

    wait_id: int
    attempt_id: int
    dag: str
    task: str
    trigger: bytes


class Answer(msgspec.Struct, frozen=True):
    """Hand a wait's end to the body that awaits it. `event` is None when it timed out or failed."""

    attempt_id: int
    key: str
    event: bytes | None
    error: str = ""
    timed_out: bool = False


class AssetAnswered(msgspec.Struct, frozen=True):
    """The answer to what a body said of an asset; `error` is a sentence, "" when it was done."""

    attempt_id: int
    call: int
    value: bytes = b"null"
    error: str = ""


class Acknowledge(msgspec.Struct, frozen=True):
    """A `ctx.once` step is committed; or, with the name "", the attempt's process is recorded."""

    attempt_id: int
    name: str


class Reply(msgspec.Struct, frozen=True):
    """The answer to a command. `error` is a class name of `errors.py`, "" when it was done."""

    token: int
    result: Any = None
    error: str = ""
    message: str = ""


class RunMeta(msgspec.Struct, frozen=True):
    """What the shell needs to know of a run to build arguments: published when the run opens."""

    run_id: int
    dag: str
    logical_us: int
    start_us: int
    end_us: int
    scheduled_us: int
    params: bytes
    tz: str


class RunOpened(msgspec.Struct, frozen=True):
    run: RunMeta


class OutputKnown(msgspec.Struct, frozen=True):
    """The output of a task that others read: kept at hand for their arguments."""

    run_id: int
    task: str
    map_index: int
    value: bytes


class ManifestKnown(msgspec.Struct, frozen=True):
    """A mapped task has become its instances: their parts are kept at hand."""

    run_id: int
    task: str
    manifest: bytes


class OutputChanged(msgspec.Struct, frozen=True):
    """A mapped task has ended: what its instances returned is read anew when it is needed."""

    run_id: int
    task: str


class RunEnded(msgspec.Struct, frozen=True):
    run_id: int
    state: str


Effect = (
    Start
    | Stop
    | Build
    | Expand
    | Arm
    | Disarm
    | LookOnce
    | Answer
    | AssetAnswered
    | Acknowledge
    | Reply
    | RunOpened
    | OutputKnown
    | ManifestKnown
    | OutputChanged
    | RunEnded
)
