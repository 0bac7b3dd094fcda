"""What every door offers: the operations on a database, whoever holds it.

`Operations` (here and in the service) and `ServiceClient` (over the socket) both are a `Doors`:
the terminal does not care which one it talks to. All of it is async, none of it keeps state
between calls, and everything raises the classes of `bide.runtime.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from bide.runtime.engine.explain import Look, Progress, Refusal
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

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from bide.runtime.graph.dag import Dag
    from bide.runtime.lineage.exporter import Sent
    from bide.runtime.service.approvals import ApprovalDoors
    from bide.runtime.service.asset_doors import AssetDoors
    from bide.runtime.service.asset_graph_shapes import AssetGraphDoors
    from bide.runtime.service.backfill_doors import BackfillDoors
    from bide.runtime.service.effects import EffectDoors
    from bide.runtime.service.evidence_doors import EvidenceDoors
    from bide.runtime.service.health import Alive
    from bide.runtime.service.holds import Held
    from bide.runtime.service.live import Counts
    from bide.runtime.service.operations import Operations
    from bide.runtime.service.plan_doors import PlanDoors


class Door(Protocol):
    """Carries a command to whoever may write: a runtime's mailbox, or a command session."""

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        """What the verb answers; raises a `BideError`, and then nothing has changed."""
        ...


class Live(Protocol):
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
    def held(self) -> tuple[Held, ...]:
        """What has held the loop of late, oldest first."""
        ...

    @property
    def bodies(self) -> frozenset[int]:
        """The attempts whose bodies run or are parked, by id."""
        ...

    @property
    def watched(self) -> frozenset[int]:
        """The waits that sources watch, by id."""
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
    def unwatched(self) -> frozenset[int]:
        """The waits that a source should watch and none does, by id."""
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
    def approvals(self) -> ApprovalDoors:
        """The operations on approvals."""
        ...

    @property
    def effects(self) -> EffectDoors:
        """The ledger of external effects."""
        ...

    async def dags(self) -> list[DagLine]: ...

    async def dag(self, dag: str) -> DagShown: ...

    async def schedule(
        self, dag: str, n: int | None = None, since: str | None = None, until: str | None = None
    ) -> Timetable:
        """`n` firings (5) at or after `since` (now) and before `until`: dates, or instants in ISO 8601."""
        ...

    async def runs(self, dag: str | None = None, state: str | None = None, limit: int = 50) -> list[RunLine]:
        """The newest first."""
        ...

    async def show(self, run: str) -> RunShown: ...

    async def why(self, run: str, task: str | None = None) -> WhyShown: ...

    async def logs(
        self, run: str, task: str, attempt: int | None = None, offset: int = 0, limit: int = 262_144
    ) -> LogPart:
        """A piece of the log of an attempt, the last one by default, from a byte offset."""
        ...

    async def waits(self) -> list[WaitLine]:
        """Open ones, the nearest deadline first."""
        ...

    async def alerts(
        self, run: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[AlertLine]:
        """Who was late, the newest first."""
        ...

    async def alert_ack(self, alert: str) -> Done: ...

    async def trigger(
        self,
        dag: str,
        logical_date: str | None = None,
        params: dict[str, Any] | None = None,
        new: bool = False,
        key: str | None = None,
        shadow: bool = False,
    ) -> Triggered: ...

    async def cancel(self, run: str) -> Done: ...

    async def rerun(
        self, run: str, task: str | None = None, downstream: bool = False, whole: bool = False
    ) -> Done: ...

    async def mark(self, run: str, task: str, state: str, downstream: bool = False) -> Done: ...

    async def skip(self, run: str, task: str, downstream: bool = False) -> Done: ...

    async def pause(self, dag: str) -> Done: ...

    async def unpause(self, dag: str) -> Done: ...

    async def wait_look(self, wait: str) -> Done: ...

    async def wait_extend(self, wait: str, deadline: str) -> Done:
        """`deadline`: an instant (ISO 8601), or `+2h` from the one it has."""
        ...

    async def wait_satisfy(self, wait: str, event: Any = None) -> Done: ...

    async def wait_fail(self, wait: str, reason: str = "") -> Done: ...

    async def doctor(self) -> Health: ...


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

    def hear(self, told: Callable[[], None]) -> None:
        """Have `told` called after each commit, when it is carried out."""
        ...

    @property
    def operations(self) -> Operations: ...

    @property
    def asgi(self) -> ASGIApp: ...

    @property
    def dags(self) -> tuple[str, ...]:
        """The names of the DAGs that are loaded."""
        ...

    async def load(self, dags: Sequence[Dag], errors: Mapping[str, str]) -> None:
        """Take the DAGs as they now stand; `errors` (by file) leave theirs as they were."""
        ...

    async def drain(self, limit_s: float) -> None:
        """Start nothing more; return when nothing runs, or after `limit_s`."""
        ...

    async def wait(self, run: str, timeout: float | None = None) -> object:
        """Returns when the run is over; at once when it is already."""
        ...

    async def stopped(self) -> None:
        """Returns when the engine has ended; raises what ended it when it had to."""
        ...
