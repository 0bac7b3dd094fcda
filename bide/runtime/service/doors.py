"""What every door offers: the operations on a database, whoever holds it.

`Operations` (here and in the service) and `ServiceClient` (over the socket) both are a `Doors`:
the terminal does not care which one it talks to. All of it is async, none of it keeps state
between calls, and everything raises the classes of `bide.runtime.errors`.

Each operation says its route (`route.py`): the REST handlers, the client and the OpenAPI document
are made of these protocols, by `table.py`. The first sentence of a docstring is the summary there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Annotated, Any, Final, Protocol

from msgspec import Meta

from bide.runtime.engine.explain import Look, Progress, Refusal
from bide.runtime.service.event_shapes import EventLine, Top
from bide.runtime.service.route import Limit, Number, Text, get, post
from bide.runtime.service.shapes import (
    AlertLine,
    DagLine,
    DagShown,
    Done,
    Health,
    LogPart,
    RunLine,
    RunShown,
    Timetable,
    Triggered,
    WaitLine,
    WhyShown,
)
from bide.runtime.service.token_shapes import AuditLine, AuditShown
from bide.runtime.service.watching import Watching

if TYPE_CHECKING:
    from bide.runtime.config import Config
    from bide.runtime.engine.changes import Changes
    from bide.runtime.graph.dag import Dag
    from bide.runtime.lineage.exporter import Sent
    from bide.runtime.notify.notifier import Notifier
    from bide.runtime.notify.routes import Notify
    from bide.runtime.service.action_doors import ActionDoors
    from bide.runtime.service.approval_doors import ApprovalDoors
    from bide.runtime.service.asset_doors import AssetDoors
    from bide.runtime.service.asset_graph_doors import AssetGraphDoors
    from bide.runtime.service.backfill_doors import BackfillDoors
    from bide.runtime.service.dag_view_doors import DagViewDoors
    from bide.runtime.service.door_counts import DoorCounts
    from bide.runtime.service.effect_doors import EffectDoors
    from bide.runtime.service.evidence_doors import EvidenceDoors
    from bide.runtime.service.health import Alive
    from bide.runtime.service.holds import Held
    from bide.runtime.service.hook_desk import HookDesk
    from bide.runtime.service.hook_doors import HookDoors
    from bide.runtime.service.later_app import LaterApp
    from bide.runtime.service.live import Counts
    from bide.runtime.service.notice_doors import NoticeDoors
    from bide.runtime.service.once import Kept
    from bide.runtime.service.operations import Operations
    from bide.runtime.service.overview_doors import OverviewDoors
    from bide.runtime.service.plan_doors import PlanDoors
    from bide.runtime.service.pool_doors import PoolDoors
    from bide.runtime.service.pulse import Pulse
    from bide.runtime.service.retaining_doors import RetainingDoors
    from bide.runtime.service.stat_doors import StatDoors
    from bide.runtime.service.system_doors import SystemDoors
    from bide.runtime.service.task_doors import TaskDoors
    from bide.runtime.service.token_doors import TokenDoors
    from bide.runtime.service.waiting_doors import WaitingDoors
    from bide.runtime.store.names import Named


ROOMS: Final = MappingProxyType(
    {
        "backfills": "backfill_doors:BackfillDoors",
        "assets": "asset_doors:AssetDoors",
        "asset_graph": "asset_graph_doors:AssetGraphDoors",
        "plans": "plan_doors:PlanDoors",
        "actions": "action_doors:ActionDoors",
        "approvals": "approval_doors:ApprovalDoors",
        "dag_views": "dag_view_doors:DagViewDoors",
        "evidence": "evidence_doors:EvidenceDoors",
        "effects": "effect_doors:EffectDoors",
        "hooks": "hook_doors:HookDoors",
        "notices": "notice_doors:NoticeDoors",
        "retaining": "retaining_doors:RetainingDoors",
        "stats": "stat_doors:StatDoors",
        "tasks": "task_doors:TaskDoors",
        "tokens": "token_doors:TokenDoors",
        "overview": "overview_doors:OverviewDoors",
        "system": "system_doors:SystemDoors",
        "pools": "pool_doors:PoolDoors",
        "waiting": "waiting_doors:WaitingDoors",
    }
)
"""The properties of `Doors` that lead to further operations, and where their protocols stand."""

Piece = Annotated[int, Meta(ge=1, le=4_194_304)]


class Door(Protocol):
    """Carries a command to whoever may write: a runtime's mailbox, or a command session."""

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        """What the verb answers; raises a `BideError`, and then nothing has changed."""
        ...


class Live(Watching, Protocol):
    """What only a process that holds the database knows. All answers are at once, from memory."""

    @property
    def slots(self) -> int: ...

    @property
    def slots_in_use(self) -> int: ...

    def look(self, wait_id: int) -> Look | None:
        """The last look of an armed wait; None when it is not armed."""
        ...

    def refusal(self, instance_id: int) -> Refusal | None:
        """The resource that a ready instance is parked on."""
        ...

    @property
    def stopping(self) -> bool:
        """Whether it starts nothing new."""
        ...

    def progress(self, attempt_id: int) -> Progress | None:
        """How far the body of an attempt says it is; None when it says nothing."""
        ...

    def code_error(self, dag: str) -> str:
        """Why the code of this DAG is not loaded; "" when it is."""
        ...

    def backfill_hold(self, backfill_id: int) -> str:
        """Why a backfill makes no run now; "" when it has room or is not unfinished."""
        ...

    def budget(self, instance_id: int) -> str:
        """Which budget a ready instance waits for, how much is spent, until when; "" when it waits for none."""
        ...

    def backfill_budget(self, backfill_id: int) -> str:
        """Which budgets tasks of its runs wait for, how much is spent, until when; "" when none does."""
        ...

    @property
    def exported(self) -> Sent | None:
        """How far lineage has been sent; None when nothing is to be."""
        ...

    @property
    def notifier(self) -> Notifier | None:
        """Who sends notices; None when nobody is to be told."""
        ...

    @property
    def held(self) -> tuple[Held, ...]:
        """What has held the loop of late, oldest first."""
        ...

    @property
    def bodies(self) -> frozenset[int]:
        """The attempts whose bodies run or are parked, by id."""
        ...

    @property
    def full(self) -> str:
        """Why nothing can be committed now; "" while there is room."""
        ...

    @property
    def left_out(self) -> Mapping[str, str]:
        """What was not loaded: file or DAG -> why, one sentence each."""
        ...

    @property
    def unread(self) -> tuple[tuple[str, str, str], ...]:
        """What could not be read of the database and is asked again: (DAG, what, why not)."""
        ...

    @property
    def config(self) -> Config | None:
        """The settings that it was opened with; None where a program gave it what it has."""
        ...

    @property
    def pulse(self) -> Pulse:
        """What changes all the time: asked in the loop."""
        ...

    async def settled(self) -> None:
        """Returns once everything that was asked so far is committed and carried out."""
        ...


class Doors(Protocol):
    """The operations. Runs, tasks and waits are named as people name them: "12", "load[3]"."""

    @property
    def held(self) -> bool:
        """Whether a runtime holds the database: without one nothing of it moves."""
        ...

    @property
    def backfills(self) -> BackfillDoors:
        """The operations on backfills."""
        ...

    @property
    def dag_views(self) -> DagViewDoors:
        """DAGs at a glance, and how the runs of one went."""
        ...

    @property
    def evidence(self) -> EvidenceDoors:
        """The operations on evidence: checklists, incidents, bundles."""
        ...

    @property
    def plans(self) -> PlanDoors:
        """The operations on rerun plans."""
        ...

    @property
    def assets(self) -> AssetDoors:
        """The operations on assets."""
        ...

    @property
    def asset_graph(self) -> AssetGraphDoors:
        """The operations on the asset graph, on contracts and promises."""
        ...

    @property
    def actions(self) -> ActionDoors:
        """One thing done to all runs or DAGs that a filter finds."""
        ...

    @property
    def approvals(self) -> ApprovalDoors:
        """The operations on approvals."""
        ...

    @property
    def stats(self) -> StatDoors:
        """What runs did with their time."""
        ...

    @property
    def notices(self) -> NoticeDoors:
        """Routes of notices, and what went over them."""
        ...

    @property
    def retaining(self) -> RetainingDoors:
        """How long what is over is kept."""
        ...

    @property
    def effects(self) -> EffectDoors:
        """The ledger of external effects."""
        ...

    @property
    def hooks(self) -> HookDoors:
        """The webhooks and CloudEvents, and what was delivered."""
        ...

    @property
    def tasks(self) -> TaskDoors:
        """The operations on task instances."""
        ...

    @property
    def tokens(self) -> TokenDoors:
        """The operations on tokens."""
        ...

    @property
    def overview(self) -> OverviewDoors:
        """How all of it stands."""
        ...

    @property
    def system(self) -> SystemDoors:
        """The process that holds the database, and the database."""
        ...

    @property
    def pools(self) -> PoolDoors:
        """Slots, pools and budgets, who holds them and who waits."""
        ...

    @property
    def waiting(self) -> WaitingDoors:
        """What is waited for, in groups."""
        ...

    async def answered(self) -> Kept | None:
        """The whole answer of the first time, where this request bears a key and it is kept."""
        ...

    async def has_commanded(self) -> bool:
        """Whether something was carried out under the key of this request."""
        ...

    async def keep_answer(self, status: int, body: bytes) -> None:
        """Keep the whole answer under the key of this request."""
        ...

    async def revision(self, kind: str, name: str) -> int | None:
        """The number that an entity has as it stands; None when it is not there, or has none."""
        ...

    @get("/audit", scope="admin", pages="id")
    async def audit(
        self, since: str | None = None, who: str | None = None, verb: str | None = None,
        outcome: str | None = None, before: str | None = None, limit: Limit = 100, via: str | None = None,
        target: str | None = None,
    ) -> list[AuditLine]:  # fmt: skip
        """List the commands there were, with who asked and from where; the newest first.

        `since`: an instant, or a span before now such as 2h; `outcome`: ok, refused; `via`: terminal, socket, http, hook, python, host;
        `target`: what it was about, as a line says it, or how that begins: `run 12`.
        """
        ...

    @get("/audit/{line}", scope="admin")
    async def audit_shown(self, line: str) -> AuditShown:
        """Show a command with what it moved: the lines of the journal that were committed with it."""
        ...

    @get("/dags", pages="dag")
    async def dags(self, limit: Limit = 100_000, before: str | None = None) -> list[DagLine]:
        """List the DAGs, by name."""
        ...

    @get("/dags/{dag}", tagged="dag")
    async def dag(self, dag: str) -> DagShown:
        """Show a DAG: its tasks, and what a run of it takes."""
        ...

    @get("/dags/{dag}/schedule")
    async def schedule(
        self, dag: str, n: Number | None = None, since: str | None = None, until: str | None = None
    ) -> Timetable:
        """Show the next firings of a DAG, with what is held, kept and skipped.

        `n` firings (5) at or after `since` (now) and before `until`: dates, or instants in ISO 8601.
        """
        ...

    @get("/runs", pages="run_id")
    async def runs(
        self,
        dag: str | None = None,
        state: str | None = None,
        limit: Limit = 50,
        before: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[RunLine]:
        """List runs, the newest first.

        `dag` may have * and ?; `kind` is what made them; `since` and `until` are logical dates, the second one not included.
        """
        ...

    @get("/runs/{run}", tagged="run", pages="place", parts={"tasks": "place"})
    async def show(self, run: str, limit: Limit = 100_000, before: str | None = None) -> RunShown:
        """Show a run and its tasks, in the order in which they were made."""
        ...

    @get("/runs/{run}/why")
    async def why(self, run: str, task: str | None = None) -> WhyShown:
        """Say why a run, or a task of it, is in the state it is in."""
        ...

    @get("/runs/{run}/tasks/{task}/logs")
    async def logs(
        self, run: str, task: str, attempt: Number | None = None, offset: Number = 0, limit: Piece = 262_144
    ) -> LogPart:
        """Read a piece of the log of an attempt, the last one by default, from a byte offset."""
        ...

    @get("/waits", pages="id")
    async def waits(self, limit: Limit = 100_000, before: str | None = None, ids: str | None = None,
                    dag: str | None = None, task: str | None = None, kind: str | None = None,
                    source: str | None = None, what: str | None = None, text: str | None = None,
                    troubled: bool = False) -> list[WaitLine]:  # fmt: skip
        """List the open waits, the newest first.

        `ids`: numbers with commas; `task` as dag.task; `kind`, `source` and `what` as a wait says them (`what` is its
        `trigger`); `text` stands in any of its words; `troubled`: those whose last look brought nothing.
        """
        ...

    @get("/waits/{wait}", tagged="wait")
    async def wait_shown(self, wait: str) -> WaitLine:
        """Show an open wait."""
        ...

    @get("/alerts", pages="id")
    async def alerts(self, run: str | None = None, state: str | None = None,
                     limit: Limit = 100, before: str | None = None,) -> list[AlertLine]:  # fmt: skip
        """List alerts, the newest first."""
        ...

    @get("/journal", pages="id", onward="since")
    async def events(
        self,
        since: str | None = None,
        run: str | None = None,
        dag: str | None = None,
        kind: str | None = None,
        limit: Limit = 100,
        before: str | None = None,
    ) -> list[EventLine]:
        """List events in the order they happened: the last ones, or the first after `since`.

        `since` is an event's id, an instant, or a span before now such as 10m; `kind` one or more, with commas. The next page
        after the last ones has those before them.
        """
        ...

    @get("/top")
    async def top(self) -> Top:
        """Show how things stand: slots, what runs and waits by state and kind, the newest events."""
        ...

    @post("/alerts/{alert}/ack")
    async def alert_ack(self, alert: str) -> Done:
        """Acknowledge an alert."""
        ...

    @post("/dags/{dag}/runs", status=201)
    async def trigger(
        self,
        dag: str,
        logical_date: str | None = None,
        params: dict[str, Any] | None = None,
        new: bool = False,
        key: str | None = None,
        shadow: bool = False,
    ) -> Triggered:
        """Start a run of a DAG.

        A date without a zone is read in the DAG's. `new`: although there is a run for that date.
        The same key makes one run. `shadow`: a run that publishes nothing.
        """
        ...

    @post("/runs/{run}/cancel", tagged="run")
    async def cancel(self, run: str) -> Done:
        """Cancel a run: what waits and what runs of it."""
        ...

    @post("/runs/{run}/rerun", tagged="run")
    async def rerun(
        self, run: str, task: str | None = None, downstream: bool = False, whole: bool = False
    ) -> Done:
        """Run again what did not succeed.

        `task`: that one; `downstream`: and all below it; `whole`: every task of the run.
        """
        ...

    @post("/runs/{run}/tasks/{task}/mark", tagged="run")
    async def mark(self, run: str, task: str, state: str, downstream: bool = False) -> Done:
        """Mark a task success, failed or skipped.

        `downstream`: every task below becomes the same.
        """
        ...

    @post("/runs/{run}/tasks/{task}/skip", tagged="run")
    async def skip(self, run: str, task: str, downstream: bool = False) -> Done:
        """Let a task not run, and let that be well."""
        ...

    @post("/dags/{dag}/pause", tagged="dag")
    async def pause(self, dag: str) -> Done:
        """Let a DAG start nothing; its waits and their deadlines stand still."""
        ...

    @post("/dags/{dag}/unpause", tagged="dag")
    async def unpause(self, dag: str) -> Done:
        """Let a paused DAG go on."""
        ...

    @post("/waits/{wait}/look", tagged="wait")
    async def wait_look(self, wait: str) -> Done:
        """Look now at what a wait waits for."""
        ...

    @post("/waits/{wait}/extend", tagged="wait")
    async def wait_extend(self, wait: str, deadline: str) -> Done:
        """Give a wait more time.

        `deadline`: an instant (ISO 8601), or `+2h` from the one it has.
        """
        ...

    @post("/waits/{wait}/satisfy", tagged="wait")
    async def wait_satisfy(self, wait: str, event: Any = None) -> Done:
        """End a wait well, as if what it waits for had come."""
        ...

    @post("/waits/{wait}/fail", tagged="wait")
    async def wait_fail(self, wait: str, reason: Text = "") -> Done:
        """End a wait as failed."""
        ...

    @get("/doctor")
    async def doctor(self) -> Health:
        """Check the database and what it rests on."""
        ...


class Served(Door, Live, Protocol):
    """What `run` and `serve` need of a runtime."""

    @property
    def counts(self) -> Counts:
        """How much there is now."""
        ...

    @property
    def alive(self) -> Alive:
        """Proves that the loop turns and the writer commits."""
        ...

    def hear(self, told: Callable[[Changes], None]) -> None:
        """Have `told` called after each commit, when it is carried out."""
        ...

    async def named(self, runs: Sequence[int], instances: Sequence[int]) -> Named:
        """The names that ids of runs and task instances stand for."""
        ...

    @property
    def operations(self) -> Operations: ...

    @property
    def asgi(self) -> LaterApp: ...

    @property
    def at_the_doors(self) -> DoorCounts:
        """What came to its HTTP doors, and what was refused there."""
        ...

    @property
    def dags(self) -> tuple[str, ...]:
        """The names of the DAGs that are loaded."""
        ...

    async def load(self, dags: Sequence[Dag], errors: Mapping[str, str]) -> None:
        """Take the DAGs as they now stand; `errors` (by file) leave theirs as they were."""
        ...

    @property
    def desk(self) -> HookDesk:
        """Where deliveries come in."""
        ...

    def reroute(self, notify: Notify) -> str:
        """Tell these routes from now on; what has changed by that."""
        ...

    def hurry(self) -> None:
        """Leave without the time that bodies have to end."""
        ...

    async def drain(self, limit_s: float) -> None:
        """Start nothing more; return when nothing runs, or after `limit_s`."""
        ...

    def end_streams(self) -> None:
        """End what follows the live feed; nobody begins to any more."""
        ...

    async def wait(self, run: str, timeout: float | None = None) -> object:
        """Returns when the run is over; at once when it is already."""
        ...

    async def stopped(self) -> None:
        """Returns when the engine has ended; raises what ended it when it had to."""
        ...
