"""`Runtime`: the whole house behind one `async with`, standing alone or as a guest on a host's loop.

It installs no signal handlers, touches no global logging, and leaves nothing behind. No cancel
scope spans its entry and exit: the engine is an asyncio task of its own.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from bide.runtime.clock import SECOND, Clock, SystemClock
from bide.runtime.engine.loop import Engine
from bide.runtime.engine.messages import (
    AssetsDeclared,
    Command,
    DagRemoved,
    Input,
    Opened,
    OrphansKilled,
    Recover,
)
from bide.runtime.engine.restore import adopt, refill, restore, undelivered
from bide.runtime.engine.shell import EngineShell, dag_loaded
from bide.runtime.engine.states import AttemptState
from bide.runtime.engine.world import World
from bide.runtime.errors import (
    BideError,
    GaveUpError,
    GraphError,
    NotNowError,
    RefusedError,
    StoreError,
    StoreLostError,
    UsageError,
)
from bide.runtime.executor.executor import HURRY_S, Executor
from bide.runtime.executor.logs import LogBook
from bide.runtime.executor.orphans import kill_orphans
from bide.runtime.failpoints import armed, point
from bide.runtime.graph.dag import Dag
from bide.runtime.lineage.settings import OpenLineage, openlineage_of
from bide.runtime.notify.routes import Notify, routes_of
from bide.runtime.service.beside import exporting, notifying, tracing
from bide.runtime.service.caller import asked
from bide.runtime.service.declaring import Contracts, declared_for, given_contracts, loaded_gates
from bide.runtime.service.handles import RunHandle, RunResult
from bide.runtime.service.holds import Holds
from bide.runtime.service.hook_desk import HookDesk
from bide.runtime.service.limits import Budget, Pool, limits, sizes
from bide.runtime.service.live import CLOSED
from bide.runtime.service.mounting import Mounted
from bide.runtime.service.once import keyed
from bide.runtime.service.rerouting import rerouted
from bide.runtime.service.rooms import Rooms
from bide.runtime.service.tags import taken
from bide.runtime.service.unread import hiding, unread
from bide.runtime.service.views import owner_of
from bide.runtime.store.facts import ended_waits, run_result, watermarks
from bide.runtime.store.load import load_world
from bide.runtime.store.lock import Lock
from bide.runtime.store.world_rows import WorldRows
from bide.runtime.store.writer import StorePort, Writer, uncut
from bide.runtime.triggerer.triggerer import Log, Triggerer
from bide.runtime.values import COMMAND_LIMIT, encode

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from bide.runtime.config import RetentionSetting
    from bide.runtime.executor.echo import Echo
    from bide.runtime.hooks.hook import CloudEvents, Webhook
    from bide.runtime.service.operations import Operations
    from bide.runtime.store.open import Synchronous
    from bide.runtime.store.reader import AsyncReader


class Runtime(Mounted, Rooms):
    """A runtime on one database.

    `dags` are `Dag` objects. `slots` bounds the attempts that run at once; `pools` are named
    limits, a bare number being `Pool(slots=number)`; `budgets` are units that tasks may spend (by their
    `cost`), a bare number being so many an hour. Backfills are sure of `backfill_share` of slots and
    pools (0.25) beside live runs; `asset_caps` bounds their runs that write an asset. `synchronous="NORMAL"` gives up the last
    commits at a power cut, never at a crash. One runtime per database: a second one is refused
    with `StoreHeldError`, which names the process.
    """

    _waiting_log: Log

    def __init__(
        self,
        db: str | os.PathLike[str] = "bide.db",
        dags: Sequence[Dag] = (),
        *,
        slots: int = 32,
        pools: Mapping[str, Pool | int] | None = None,
        budgets: Mapping[str, Budget | float] | None = None,
        backfill_share: float | None = None,
        asset_caps: Mapping[str, int] | None = None,
        synchronous: Synchronous = "FULL",
        clock: Clock | None = None,
        store: StorePort | None = None,
        watchdog: bool = True,
        grace: float = 5.0,
        errors: Mapping[str, str] | None = None,
        schedules: bool = True,
        refused: Callable[[Dag, str], None] | None = None,
        capture_output: bool = False,
        echo: Echo | None = None,
        whole: bool = False,
        openlineage: OpenLineage | Mapping[str, Any] | None = None,
        retention: RetentionSetting | None = None,
        contracts: Contracts = (),
        notify: Notify = (),
        hooks: Sequence[Webhook | CloudEvents] | None = None,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        """`store` replaces the database thread by a writer of the caller's; `errors`: file -> sentence.

        `schedules=False`: only what is triggered runs; firings stay due for the next runtime.
        `refused` is told of each DAG that waits in vain for another one: it is not loaded, the
        others are. Without it such a DAG is a `GraphError` at entry. `capture_output=True` replaces
        `sys.stdout` and `sys.stderr` while this is open: what tasks print goes to their logs, all
        else where it went. `echo` is told of each line that a task writes. `whole=True`: `dags` are all
        there are; any other that the database knows is gone, unless one of `errors` may hide it.
        `retention`: how long runs are kept; with `every` it is seen to so often.
        `openlineage` says where lineage is sent: `{"transport": {"type": "http", "url": ...}}`; it needs the extra.
        `contracts`: `Contract`s, and TOML files and folders of them, beside what the DAGs' own files declare;
        a broken file, or two contracts of an edge, is a `GraphError` here, and leaves all as it was in `load`.
        `notify`: `Route`s, who is told of failures, late runs, stale assets and the like.
        `hooks`: these and no others; None: those declared in and beside the DAGs' files, or for one of the DAGs.
        `tracer_provider` is OpenTelemetry's, for traces of runs; without it the process's, where one is set.
        """
        if slots < 1:
            raise UsageError(f"slots={slots} runs nothing: give 1 or more")
        self.db = Path(db)
        self._dags = list(dags)
        self._slots = slots
        self._pools = sizes(pools or {})
        self._tracer_provider = tracer_provider
        self._limits = limits(backfill_share, budgets, asset_caps)
        self._synchronous: Synchronous = synchronous
        self.clock: Clock = clock if clock is not None else SystemClock()
        self._own_time = clock is None
        self._store = store
        self._watchdog = watchdog
        self._grace = grace
        self._load_errors = dict(errors or {})
        self._contracts = contracts
        self._given = given_contracts(contracts)
        self.desk = HookDesk(hooks)
        self._schedules = schedules
        self._refused = refused
        self._vain: dict[str, str] = {}
        self._absent: list[DagRemoved] = []
        self._capture_output = capture_output
        self._echo = echo
        self._whole = whole
        self._openlineage = openlineage_of(openlineage)
        self._retention = retention
        self._routes = routes_of(notify)
        self._captured = ExitStack()
        self._draining = False
        self._entered = False
        self._assembled = False
        self._reader: AsyncReader | None = None
        self._operations: Operations | None = None

    # --- in and out ----------------------------------------------------------------------------

    async def __aenter__(self) -> Self:
        if self._entered:
            raise UsageError("this Runtime was entered before: make a new one")
        self._entered = True
        try:
            self.db.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise StoreError(
                f"the folder of the database {self.db} cannot be made ({error.strerror}): use another path"
            ) from None
        self._lock = Lock(self.db)
        await self._lock.acquire("runtime", self.clock)
        try:
            point("locked")
            await self._open()
        except BaseException:
            self._captured.close()
            self._lock.release()
            raise
        return self

    async def _open(self) -> None:
        self.phase = "it is starting: the database is opened, and what was under way is recovered"
        store = self._store
        if store is None:
            store = writer = await Writer.open(self.db, synchronous=self._synchronous, create=True)
            writer.hook = (lambda step: point(f"writing-{step}")) if armed() else None
        self.store = store
        try:
            point("opened")
            in_vain = await self._admissible()
            epoch = await store.begin_epoch()
            point("epoch-begun")
            rows = await store.read(load_world)
            point("loaded")
            await self._kill_orphans(rows)
            point("orphans-killed")
            await self._assemble(epoch, rows, in_vain)
        except BaseException:
            await self._leave()
            raise

    async def _admissible(self) -> list[DagRemoved]:
        """Leave out the DAGs that wait in vain, and say so; `GraphError` when nobody is to be told."""
        gone = await self._gone(self._dags, self._load_errors)
        wrong = self._vain = await self._in_vain(self._dags, gone=gone)
        for dag in [dag for dag in self._dags if dag.name in wrong]:
            if self._refused is None:
                raise GraphError(wrong[dag.name])
            self._dags.remove(dag)
            self._refused(dag, wrong[dag.name])
        hidden = await unread(
            self.store, {dag.name for dag in self._dags} | wrong.keys(), hiding(self._load_errors)
        )
        self._absent = [DagRemoved(name, why, gone=False) for name, why in {**wrong, **hidden}.items()]
        return [*(DagRemoved(name, _GONE, gone=True) for name in gone), *self._absent]

    async def _gone(self, dags: Iterable[Dag], errors: Mapping[str, str]) -> list[str]:
        """What the database knows and nobody declares any more; a broken file may be where it is."""
        if not self._whole or hiding(errors):
            return []
        from bide.runtime.service.crossing import undeclared

        return await undeclared(self.store, dags)

    async def _in_vain(
        self, dags: Sequence[Dag], loaded: Iterable[Dag] = (), gone: Iterable[str] = ()
    ) -> dict[str, str]:
        """DAG -> why it must not be loaded, of those that wait for another DAG."""
        from bide.runtime.service.crossing import in_vain

        return await in_vain(self.store, dags, loaded, self.clock.now(), gone)

    async def _kill_orphans(self, rows: WorldRows) -> None:
        """End what lost attempts have left behind, before any of them is started again."""
        left = [(row.attempt_id, row.pid, row.started, row.boot_id) for row in rows.processes]
        if left:  # in the database's thread: it may take a while, and the loop is a host's
            await self.store.read(lambda _: kill_orphans(left))

    async def _assemble(self, epoch: int, rows: WorldRows, in_vain: Sequence[DagRemoved]) -> None:
        self.epoch = epoch
        self._shell = shell = EngineShell(self.store, self.clock)
        self.logs = self._log_book()
        await self.store.read(lambda _: self.logs.forget_after(rows.last.attempt))
        self._holds = Holds(
            self.clock, self.logs, lambda kind, number: owner_of(self._engine.world, kind, number)
        )
        world = self._world(epoch, rows)
        point("world-restored")
        self._engine = Engine(self.store, self.clock, world, shell, batch=rows.batch)
        self._engine.on_stop = shell.fail_all
        shell.post = self._engine.post
        shell.restore = self._restored
        shell.watermarks = await self.store.read(watermarks)
        await self.desk.open(self.clock, self.store, self.command, self._engine.post, shell.dags)
        shell.triggerer = Triggerer(
            self.clock, self._engine.post, predicates=shell.predicate, log=self._waiting_log
        )
        shell.executor = self._executor(epoch)
        if not self._watchdog:
            shell.executor.watchdog.close()
        shell.triggerer.watch = shell.executor.watchdog
        shell.runs = {run.run_id: run.meta for run in world.runs.values()}
        shell.dag_ids = {row.name: row.dag_id for row in rows.dags}
        self._assembled = True
        self._traces = await tracing(self._tracer_provider, self.db, self.store, shell)
        await shell.triggerer.start()
        point("triggerer-started")
        for each in (*self._loads(self._dags), *in_vain):
            self._engine.post(each)
        if rows.processes:
            self._engine.post(OrphansKilled(tuple(row.attempt_id for row in rows.processes)))
        self._engine.post(Recover(_running(rows)))
        self._notifier = notifying(self._routes, self.db, self.clock, shell, rows.last.event)
        self._engine.start(watch_clock=self._own_time)
        await self._engine.settled()
        self._raise_failure()
        self._engine.post(Opened())
        if self._retention is not None and self._retention.every:
            from bide.runtime.service.retaining import keep_pruning

            shell.spawn(
                keep_pruning(self._retention, self.clock, self.operations.retaining.prune), "bide:prune"
            )
        self._exporter = exporting(self._openlineage, self.db, self._engine, shell)
        self.phase = ""
        self.begin_counting()
        point("recovered")

    def _executor(self, epoch: int) -> Executor:
        """What carries out attempts; a simulation puts its own in this place."""
        return Executor(
            self.clock,
            self._engine.post,
            logs=self.logs,
            epoch=epoch,
            fence=self._may_begin,
            resolve=self._shell.resolve,
            threads=self._slots,
            on_blocked=self._holds.blocked,
            gates=self._shell.gates_of,
        )

    def _log_book(self) -> LogBook:
        folder = f"{self.db}.logs"
        if self._capture_output:
            from bide.runtime.executor.printed import routed

            self._captured.enter_context(routed())
        if self._echo is None:
            book = LogBook(folder, self.clock)
            self._waiting_log = book.write
            return book
        from bide.runtime.executor.echo import EchoingLog

        echoing = EchoingLog(folder, self.clock, self._echo)
        self._waiting_log = echoing.write_waiting
        return echoing

    def _world(self, epoch: int, rows: WorldRows) -> World:
        world = World(epoch=epoch, slots=self._slots, pools=self._pools)
        world.scheduling = self._schedules
        world.opening = not self._assembled
        self._limits.lay_on(world)
        world.slots.closed = self._draining
        restore(world, rows, {dag.hash: dag.spec for dag in self._dags})
        return world

    def _may_begin(self, attempt_id: int) -> bool:
        """Say, right before a body begins, whether its attempt still is the current one: the fence.

        One that is to be stopped still is: its `Stop` follows the commit, and its end frees its slot.
        """
        return attempt_id in self._engine.world.attempts and self._engine.failure is None

    async def _restored(self) -> tuple[World, Sequence[Input]]:
        """After a refused batch: the world from the database, with the bodies that still go."""
        rows = await self.store.read(load_world)
        world = self._world(self.epoch, rows)
        bodies = self._shell.executor.ids
        adopt(world, self._engine.world, bodies, self._shell.triggerer.ids, self.clock.now())
        if asked := undelivered(world, self._shell.executor.awaited):
            refill(world, await self.store.read(lambda conn: ended_waits(conn, asked)))
        for dag in self._dags:
            state = world.dags.get(dag.name)
            if state is not None and state.hash == dag.hash:
                state.code, state.code_error = frozenset(task.name for task in dag.spec.tasks), ""
        absent = [each for each in self._absent if each.dag not in self._shell.dags]
        return world, [*absent, Recover(tuple(each for each in _running(rows) if each not in bodies))]

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()

    async def _leave(self) -> None:
        await uncut(self._close())

    async def _close(self) -> None:
        """Shielded and bounded: bodies are stopped, waits let go of, the database checkpointed."""
        self.phase = CLOSED
        try:
            if self._assembled:
                await self._stop()
        finally:
            if self._reader is not None:
                self._reader.close()
                await self._reader.ended()
            await self.store.close()
            point("store-closed")
            self._captured.close()
            self._lock.release()

    async def _stop(self) -> None:
        shell = self._shell
        point("closing")
        self.end_streams()
        await shell.executor.close(int(self._grace * SECOND))
        point("executor-closed")
        await shell.triggerer.close()
        point("triggerer-closed")
        await shell.close()
        self.desk.write()
        if self._exporter is not None or self._notifier is not None:
            await self._engine.settled()
        if self._exporter is not None:
            await self._exporter.close()
        if self._notifier is not None:
            await self._notifier.close()
        await self._engine.stop()
        if self._traces is not None:
            await self._traces.close()
        point("engine-stopped")
        shell.fail_all(StoreLostError("the runtime was closed while this was waited for"))

    # --- DAGs ----------------------------------------------------------------------------------

    def _loads(self, dags: Sequence[Dag]) -> list[Input]:
        for dag in dags:
            self._shell.dags[dag.name] = dag
        catalog = self._engine.world.assets.catalog
        said = declared_for(self._shell.dags.values(), self._given, catalog)
        self._shell.gates = loaded_gates()
        return [AssetsDeclared(said), *(dag_loaded(dag) for dag in dags), *self.desk.loads()]

    async def load(self, dags: Sequence[Dag], errors: Mapping[str, str]) -> None:
        """Take the DAGs as they now stand; `errors` (by file) leave theirs as they were.

        So is one that now waits in vain for another DAG: `refused` of this runtime is told.
        """
        self._given = given_contracts(self._contracts)
        now = {dag.name for dag in dags}
        gone = [name for name in self._shell.dags if name not in now and not self._broken(name, errors)]
        gone += [name for name in await self._gone(dags, errors) if name not in gone]
        for name in gone:
            self._shell.dags.pop(name, None)
            self._engine.post(DagRemoved(name, _GONE, gone=True))
        wrong = self._vain = await self._in_vain(dags, list(self._shell.dags.values()), gone)
        for dag in [dag for dag in dags if dag.name in wrong]:
            if self._refused is not None:
                self._refused(dag, wrong[dag.name])
        for each in self._loads([dag for dag in dags if dag.name not in wrong]):
            self._engine.post(each)
        self._dags = list(self._shell.dags.values())
        self._load_errors = dict(errors)
        absent = {**wrong, **await unread(self.store, self._shell.dags.keys() | wrong.keys(), hiding(errors))}
        self._absent = [
            DagRemoved(name, why, gone=False) for name, why in absent.items() if name not in self._shell.dags
        ]
        for each in self._absent:
            self._engine.post(each)
        await self._engine.settled()

    def reroute(self, notify: Notify) -> str:
        """Tell these from now on; what has changed by that, "" when nothing has. `UsageError` leaves all as it was."""
        before, self._routes = self._routes, routes_of(notify)
        if self._notifier is not None:
            self._notifier.take(self._routes)
        else:
            begins = self._engine.world.next_id["event"] - 1
            self._notifier = notifying(self._routes, self.db, self.clock, self._shell, begins)
        return rerouted(before, self._routes)

    def _broken(self, dag: str, errors: Mapping[str, str]) -> bool:
        """Whether the file of a loaded DAG is one of those that could not be read."""
        file = self._shell.dags[dag].file
        return file is not None and str(file) in errors

    # --- what users do ---------------------------------------------------------------------------

    async def trigger(
        self,
        dag: str | Dag,
        *,
        logical_date: str | datetime | None = None,
        params: Mapping[str, Any] | None = None,
        new: bool = False,
        key: str | None = None,
        shadow: bool = False,
    ) -> RunHandle:
        """Start a run; returned once it is durable. `RefusedError` when the date has one already.

        `logical_date` is a date or datetime (a naive one is read in the DAG's zone), its interval
        that of the schedule's grid. `key`: the same key again gives the same run. `shadow`: it computes, stages and
        checks, and publishes nothing.
        """
        self._raise_unopened()
        if isinstance(dag, Dag) and self._shell.dags.get(dag.name) is not dag:
            if wrong := await self._in_vain([dag], list(self._shell.dags.values())):
                raise GraphError(wrong[dag.name])
            for each in self._loads([dag]):
                self._engine.post(each)
            self._dags = list(self._shell.dags.values())
        name = dag.name if isinstance(dag, Dag) else dag
        loaded = self._shell.dags.get(name)
        logical_us = None
        if logical_date is not None:
            from bide.runtime.service.addresses import read_date

            text = logical_date.isoformat() if isinstance(logical_date, datetime) else logical_date
            logical_us = read_date(text, loaded.tz if loaded is not None else "UTC")
        args = {"dag": name, "logical_us": logical_us, "params": dict(params or {}), "new": new, "key": key}
        if shadow:
            args["shadow"] = True
        done = await self.command("trigger", args)
        return RunHandle(self, done["run_id"])

    async def wait(self, run: RunHandle | str, timeout: float | None = None) -> RunResult:
        """Return when the run is over. `GaveUpError` after `timeout` seconds; the run goes on."""
        self._raise_unopened()
        run_id = int(run.run_id if isinstance(run, RunHandle) else run)
        if run_id in self._shell.runs:
            try:
                await asyncio.wait_for(self._shell.expect_end(run_id), timeout)
            except TimeoutError:
                raise GaveUpError(f"run {run_id} is not over after {timeout:g} s; it goes on") from None
        return await self._result(run_id)

    async def _result(self, run_id: int) -> RunResult:
        state, tasks, outputs = await self.store.read(lambda conn: run_result(conn, run_id))
        return RunResult(str(run_id), state, tasks, outputs)

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        """Put a command into the mailbox; its answer, once it is committed."""
        self._raise_failure()
        if self._draining and verb in ("trigger", "rerun", "hook_deliver"):
            raise NotNowError("the runtime is stopping and starts nothing new: ask again when it is back")
        if self._engine.full:
            raise NotNowError(f"not done: {self._engine.full}")
        args, digest = keyed(verb, args)
        encode(args, f"what {verb!r} was given", COMMAND_LIMIT)  # refused here, it concerns nobody else
        token, reply = self._shell.expect_reply()
        self._engine.post(Command(token, verb, args, asked(verb, args), digest, taken()))
        return await reply

    @property
    def operations(self) -> Operations:
        """All that can be asked and done, in the shapes of the terminal and the REST API."""
        if self._operations is None:
            from bide.runtime.service.operations import Operations
            from bide.runtime.store.reader import AsyncReader

            self._reader = AsyncReader(self.db)
            self._operations = Operations(self.db, self._reader, self, self.clock, self)
        return self._operations

    # --- stopping ----------------------------------------------------------------------------------

    async def drain(self, limit_s: float) -> None:
        """Start nothing more; return when nothing runs, or after `limit_s` seconds."""
        self._draining = self._engine.world.slots.closed = True
        idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def look(_: object = None) -> None:
            if not self.slots_in_use and not idle.done():
                idle.set_result(None)

        self._shell.listeners.append(look)
        try:
            look()
            await asyncio.wait([idle], timeout=limit_s)
        finally:
            self._shell.listeners.remove(look)

    def hurry(self) -> None:
        """Bodies that do not end when the runtime is left are given no time for it: what is left is cut."""
        self._grace = min(self._grace, HURRY_S)

    async def stopped(self) -> None:
        """Returns when the engine has ended; raises what ended it."""
        await self._engine.ended()
        self._raise_failure()

    async def settled(self) -> None:
        """Return once everything that was asked so far is committed and carried out."""
        self._raise_unopened()
        await self._engine.settled()
        self._raise_failure()

    def _raise_unopened(self) -> None:
        if not hasattr(self, "_engine"):
            raise RefusedError(
                f"the runtime on {self.db} is not open: use it inside `async with Runtime(...) as rt:`"
            )

    def _raise_failure(self) -> None:
        self._raise_unopened()
        failure = self._engine.failure
        if failure is not None:
            if isinstance(failure, BideError):
                raise failure
            raise StoreLostError(f"the engine has stopped: {failure}") from failure


_GONE = "its file is gone, or no longer declares it"


def _running(rows: WorldRows) -> tuple[int, ...]:
    return tuple(row.attempt_id for row in rows.attempts if row.state is AttemptState.RUNNING)
