"""What a runtime knows from memory and the database does not: asked at once, by whoever shows it.

`Runtime` is one; `Live` of `doors.py` is how the operations see it.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import msgspec

from bide.runtime.engine import budgets
from bide.runtime.engine.backfills import hold_words
from bide.runtime.engine.unread import dag_of, words
from bide.runtime.engine.waiting import SEEN_HERE
from bide.runtime.errors import UnreachableError
from bide.runtime.service.health import Alive
from bide.runtime.service.views import refusal_of
from bide.runtime.store.names import Named, names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bide.runtime.clock import Clock
    from bide.runtime.config import Config
    from bide.runtime.engine.changes import Changes
    from bide.runtime.engine.explain import Look, Progress, Refusal
    from bide.runtime.engine.loop import Engine
    from bide.runtime.engine.shell import EngineShell
    from bide.runtime.engine.world import World
    from bide.runtime.lineage.exporter import Exporter, Sent
    from bide.runtime.notify.notifier import Notifier
    from bide.runtime.service.feed import Feed
    from bide.runtime.service.holds import Held, Holds
    from bide.runtime.service.pulse import Pulse
    from bide.runtime.service.tally import Tally
    from bide.runtime.service.traces import Traces
    from bide.runtime.triggerer.registration import Looked, SourceSeen

T = TypeVar("T")


class Counts(msgspec.Struct, frozen=True):
    """How much there is now, of what is counted without looking at it."""

    dags: int
    runs: int
    """that are not over"""
    slots_in_use: int
    slots: int
    waits: int
    """that are open"""
    full: str = ""
    """why nothing can be committed; "" when it can"""

    def __str__(self) -> str:
        """One line for people.

        >>> str(Counts(4, 12, 3, 64, 10_000))
        '4 DAGs, 12 runs, 3 of 64 slots, 10,000 waits'
        """
        said = ", ".join(
            (
                _counted(self.dags, "DAG"),
                _counted(self.runs, "run"),
                f"{self.slots_in_use} of {_counted(self.slots, 'slot')}",
                _counted(self.waits, "wait"),
            )
        )
        return f"nothing can be committed: {self.full}; {said}" if self.full else said


def _counted(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


CLOSED = "it is closed"


class LiveHouse:
    """The views of an open runtime. Whoever opens it sets what stands here."""

    clock: Clock
    db: Path
    _engine: Engine
    _shell: EngineShell
    _holds: Holds
    _slots: int
    _load_errors: dict[str, str]  # file -> sentence
    _vain: dict[str, str]  # DAG -> why it waits in vain
    _draining: bool
    _exporter: Exporter | None = None  # of lineage
    _feed: Feed | None = None
    _alive_proof: Alive | None = None
    _traces: Traces | None = None
    _counting: Tally | None = None
    config: Config | None = None
    """The settings that it was opened with; None: a program gave it what it has."""
    phase: str = "it is not open yet"
    """Why it is not at work: not opened, opening, closed; "" when it is open."""
    _notifier: Notifier | None = None

    @property
    def dags(self) -> tuple[str, ...]:
        """The names of the DAGs that are loaded."""
        return tuple(self._shell.dags)

    @property
    def slots(self) -> int:
        return self._slots

    @property
    def slots_in_use(self) -> int:
        """Slots taken by attempts that run now; waits take none."""
        return self._engine.world.slots.used

    @property
    def counts(self) -> Counts:
        """How much there is now: DAGs, runs, slots, waits."""
        world, engine = self._engine.world, self._engine
        return Counts(
            len(self._shell.dags),
            len(world.runs),
            world.slots.used,
            self._slots,
            len(world.waits),
            engine.full,
        )

    def count(self) -> Tally:
        """What is committed is counted from the first call on."""
        if self._counting is None:
            from bide.runtime.service.tally import Tally

            self._counting = Tally()
            if not self.phase:
                self.begin_counting()
        return self._counting

    def begin_counting(self) -> None:
        """It is open: what there is is known, and what comes is told."""
        if self._counting is not None:
            world = self._engine.world
            self._counting.begin(
                ((run.run_id, run.dag.name) for run in world.runs.values()),
                ((dag.dag_id, dag.name) for dag in world.dags.values()),
            )
            self._shell.listeners.append(self._counting.committed)

    @property
    def over(self) -> bool:
        """Whether it was open, and is closed."""
        return self.phase == CLOSED

    @property
    def loop_lag_s(self) -> float:
        """How late the loop was at worst in the last ten seconds."""
        return self._engine.lag.worst(asyncio.get_running_loop().time())

    @property
    def failed(self) -> str:
        """What ended the engine; "" while it goes."""
        return "" if self._engine.failure is None else str(self._engine.failure)

    @property
    def full(self) -> str:
        """Why nothing can be committed now; "" when it can."""
        return self._engine.full

    @property
    def alive(self) -> Alive:
        """Proves that the loop turns and the writer commits."""
        if self._alive_proof is None:
            self._alive_proof = Alive(self._engine)
        return self._alive_proof

    def hear(self, told: Callable[[Changes], None]) -> None:
        """Have `told` called after each commit, when it is carried out, for as long as this is open."""
        self._shell.listeners.append(told)

    async def named(self, runs: Sequence[int], instances: Sequence[int]) -> Named:
        """The names that ids of runs and task instances stand for."""
        return await self._engine.store.read(lambda conn: names(conn, runs, instances))

    @property
    def armed(self) -> int:
        """Waits that a source is watching."""
        return self._shell.triggerer.armed

    @property
    def bodies(self) -> frozenset[int]:
        """The attempts whose bodies run or are parked, by id."""
        return self._shell.executor.ids

    @property
    def watched(self) -> frozenset[int]:
        """The waits that sources watch, by id."""
        return self._shell.triggerer.ids

    @property
    def left_out(self) -> dict[str, str]:
        """What was not loaded when the DAGs were last read: file or DAG -> why, one sentence each."""
        return {**self._load_errors, **{f"the DAG {name}": why for name, why in self._vain.items()}}

    @property
    def unread(self) -> tuple[tuple[str, str, str], ...]:
        """What could not be read of the database and is asked again: (DAG, what, why not)."""
        world = self._engine.world
        return tuple(
            (dag_of(world, each), words(world, each), why) for each, why in world.unread.asked.items()
        )

    @property
    def unwatched(self) -> frozenset[int]:
        """The waits that a source should watch and none does, by id; a moment's difference is none."""
        waits = self._engine.world.waits.values()
        held = {held.standing_id for held in self._engine.world.standing.values() if held.armed}
        return (
            frozenset(w.wait_id for w in waits if w.armed and w.kind not in SEEN_HERE) | held
        ) - self.watched

    def look(self, wait_id: int) -> Look | None:
        """The last look of an armed wait; None when it is not armed."""
        from bide.runtime.engine.explain import Look

        seen = self._shell.triggerer.status(wait_id)
        return (
            None
            if seen is None
            else Look(at_us=seen.last_look_us, answer=seen.last_answer, next_us=seen.next_look_us)
        )

    def seen(self, wait_id: int) -> Looked | None:
        """All that is known of the looks at an armed wait; None when it is not armed."""
        return self._shell.triggerer.status(wait_id)

    def source_of(self, wait_id: int) -> SourceSeen | None:
        """How the source of an armed wait stands; None when it is not armed."""
        return self._shell.triggerer.source_of(wait_id)

    def refusal(self, instance_id: int) -> Refusal | None:
        """The resource that a ready instance waits for, and who holds it."""
        return refusal_of(self._engine.world, instance_id)

    @property
    def stopping(self) -> bool:
        """Whether it drains: nothing new starts."""
        return self._draining

    def progress(self, attempt_id: int) -> Progress | None:
        """How far the body of an attempt says it is; None when it says nothing that can be shown."""
        from bide.runtime.engine.explain import Progress

        said = self._shell.executor.progress(attempt_id)
        if said is None or not all(number is None or _is_shown(number) for number in said):
            return None
        return Progress(*said)

    def code_error(self, dag: str) -> str:
        """Why the code of this DAG is not loaded; "" when it is."""
        state = self._engine.world.dags.get(dag)
        return "" if state is None else state.code_error

    def backfill_hold(self, backfill_id: int) -> str:
        """Why a backfill makes no run now; "" when it has room or is not unfinished."""
        world = self._engine.world
        found = world.backfills.get(backfill_id)
        return "" if found is None else hold_words(world, found)

    def budget(self, instance_id: int) -> str:
        """Which budget a ready instance waits for; "" when it waits for none."""
        return budgets.wait_words(self._engine.world, instance_id, self.clock.now())

    def backfill_budget(self, backfill_id: int) -> str:
        """Which budgets tasks of a backfill's runs wait for; "" when none does."""
        world = self._engine.world
        found = world.backfills.get(backfill_id)
        return "" if found is None else budgets.hold_words(world, found, self.clock.now())

    @property
    def exported(self) -> Sent | None:
        """How far lineage has been sent; None when nothing is to be."""
        return None if self._exporter is None else self._exporter.sent

    @property
    def notifier(self) -> Notifier | None:
        """Who sends notices; None when nobody is to be told."""
        return self._notifier

    @property
    def held(self) -> tuple[Held, ...]:
        """What has held the loop of late, oldest first."""
        return self._holds.recent

    @property
    def pulse(self) -> Pulse:
        """What changes all the time: asked in the loop."""
        from bide.runtime.service.pulse import pulse_of

        return pulse_of(self)

    def between_turns(self, question: Callable[[World, int], T]) -> T:
        """What a question finds in memory, now: it changes nothing. Asked in the loop."""
        return question(self._engine.world, self.clock.now())

    def feed(self) -> Feed:
        """The live feed: who listens is told of every line of the journal, right after its commit."""
        if self._feed is None:
            if self.phase:
                raise UnreachableError(f"there is no live feed: {self.phase}")
            from bide.runtime.service.feed import Feed
            from bide.runtime.store.reader import AsyncReader

            self._feed = Feed(AsyncReader(self.db, width=2), self._shell.listeners, self.clock)
        return self._feed

    def end_streams(self) -> None:
        """End what follows the live feed; nobody begins to any more."""
        if self._feed is not None:
            self._feed.close()

    def _alive(self) -> str:
        """Why the runtime is not well; "" when it is."""
        return (
            self.phase
            or self._engine.full
            or ("" if self._engine.failure is None else str(self._engine.failure))
        )

    def _ready(self) -> str:
        """Why the runtime takes no new work; "" when it does."""
        return self._alive() or ("it is stopping, and starts nothing new" if self._draining else "")


def _is_shown(number: object) -> bool:
    """Whether it is a number: what a body gives is checked nowhere else."""
    return isinstance(number, int | float) and abs(number) < 1e300
