"""The shell around `decide`: carries out effects, finds code, builds triggers, answers for facts.

It knows the executor, the triggerer, the loaded DAGs and the store; it never reads the world but
to restore it. What it needs of a run it is told by effects.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime import errors, failpoints, typed
from bide.runtime.assets.gate import Gate
from bide.runtime.clock import Clock
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.manifests import NO_LISTS, Lists, Manifests
from bide.runtime.engine.messages import (
    Acknowledge,
    Answer,
    Arm,
    AssetAnswered,
    AttemptEnded,
    Build,
    BuildFailed,
    ClockStepped,
    DagLoaded,
    Disarm,
    Effect,
    Expand,
    ExpandFailed,
    Input,
    LookOnce,
    ManifestKnown,
    OutputChanged,
    OutputKnown,
    Reply,
    RunEnded,
    RunMeta,
    RunOpened,
    Start,
    Stop,
    TriggerBuilt,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.outputs import OutputCache
from bide.runtime.engine.states import AttemptState, WaitState
from bide.runtime.engine.turn import FactKey
from bide.runtime.engine.waiting import SEEN_HERE
from bide.runtime.engine.world import World
from bide.runtime.errors import BideError, PayloadError
from bide.runtime.executor.ending import failure_of
from bide.runtime.executor.job import CodeNotLoaded, Job
from bide.runtime.executor.watchdog import doing
from bide.runtime.graph.binding import bind, bind_command, bind_params, references
from bide.runtime.graph.code import Code
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.failure import Failure
from bide.runtime.graph.signature import Parameters
from bide.runtime.graph.spec import Lane, Role, ShellSpec
from bide.runtime.store import delivery_rows, safe_use
from bide.runtime.store import facts as stored
from bide.runtime.store import failures as failed
from bide.runtime.store.answers import answer_to
from bide.runtime.store.writer import StorePort
from bide.runtime.triggerer.triggerer import Triggerer
from bide.triggers import decode_trigger, encode_trigger, kind_of
from bide.triggers.asset import AssetTrigger
from bide.triggers.base import Fail, Fire, NotYet
from bide.triggers.external_task import ExternalTaskTrigger

if TYPE_CHECKING:
    from bide.runtime.executor.context import Context
    from bide.runtime.executor.executor import Executor

log = logging.getLogger("bide.engine")

Restored = Callable[[], Coroutine[Any, Any, tuple[World, Sequence[Input]]]]


_TOLD_ELSEWHERE = frozenset({"failure", "approval"})
"""Kinds of alerts that whoever looks at the run sees anyway."""


class CommandError(BideError):
    """A command whose error class is not known here."""


class EngineShell:
    """Made before the engine; `post`, `executor` and `restore` are set before it starts."""

    def __init__(self, store: StorePort, clock: Clock) -> None:
        self.store = store
        self.clock = clock
        self.post: Callable[[Input], None]
        self.executor: Executor
        self.triggerer: Triggerer
        self.restore: Restored
        self.dags: dict[str, Dag] = {}
        self.runs: dict[int, RunMeta] = {}
        self.watermarks: dict[tuple[int, str], bytes] = {}
        self.dag_ids: dict[str, int] = {}
        self.gates: dict[str, tuple[Gate, ...]] = {}
        """Those that are loaded, by asset."""
        self.listeners: list[Callable[[Changes], None]] = []
        self.heard: dict[type, Callable[[Any], None]] = {}
        """Who is told of a run's opening and end, when these are carried out."""
        self._params: dict[int, dict[str, Any]] = {}
        self._outputs = OutputCache()
        self.manifests = Manifests(self)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._ends: dict[int, list[asyncio.Future[str]]] = {}
        self._over: BaseException | None = None
        self._token = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._acts: dict[type, Callable[[Any], None]] = {
            Start: self._start,
            Stop: lambda e: self.executor.stop(e),  # noqa: PLW0108 - set after this is made
            Build: self._build,
            Expand: self.manifests.expand,
            Arm: lambda e: self.triggerer.arm(e),  # noqa: PLW0108 - as above
            Disarm: lambda e: self.triggerer.disarm(e.wait_id, e.reason),
            LookOnce: self._look_once,
            Answer: lambda e: self.executor.answer(e),  # noqa: PLW0108 - as above
            AssetAnswered: lambda e: self.executor.asset_answered(e),  # noqa: PLW0108 - as above
            Acknowledge: lambda e: self.executor.acknowledge(e),  # noqa: PLW0108 - as above
            Reply: self._reply,
            RunOpened: self._run_opened,
            OutputKnown: lambda e: self._outputs.keep(e.run_id, e.task, e.value),
            ManifestKnown: lambda e: self.manifests.keep(e.run_id, e.task, e.manifest),
            OutputChanged: lambda e: self._outputs.drop(e.run_id, e.task),
            RunEnded: self._run_ended,
        }
        if failpoints.armed():
            self._acts = {kind: failpoints.around(kind.__name__, act) for kind, act in self._acts.items()}

    # --- acting --------------------------------------------------------------------------------

    def act(self, effects: Sequence[Effect], *, committed: Changes) -> None:
        """Carry out the effects of a batch that is committed, in order; one that fails takes no other with it."""
        for row in committed.watermarks:
            self.watermarks[row[0], row[1]] = row[2].encode()
        for alert in committed.alerts_new:
            log.log(logging.INFO if alert[2] in _TOLD_ELSEWHERE else logging.WARNING, "%s", alert[8])
        for dag_row in committed.dags_set:
            self.dag_ids[dag_row[1]] = dag_row[0]
        acts = self._acts
        for effect in effects:
            try:
                acts[type(effect)](effect)
            except Exception as error:  # noqa: BLE001 - recorded, and what it was for ends with it
                self._not_acted(effect, error)
        for listener in self.listeners:
            try:
                listener(committed)
            except Exception:
                log.exception("a listener to commits failed")

    def _not_acted(self, effect: Effect, error: Exception) -> None:
        """An effect could not be carried out: its attempt, sensor or wait fails, the rest goes on."""
        log.error("%r was not carried out: %s", effect, error, exc_info=error)
        match effect:
            case Start(attempt_id=attempt_id):
                self.post(AttemptEnded(attempt_id, AttemptState.FAILED, failure=failure_of(error)))
            case Build(instance_id=instance_id):
                self.post(BuildFailed(instance_id, failure_of(error)))
            case Expand():
                self.post(ExpandFailed(effect.instance_id, failure_of(error), effect.ticket))
            case Arm(wait_id=wait_id) | LookOnce(wait_id=wait_id):
                self.post(WaitFailed(wait_id, f"could not be watched: {failure_of(error).message}"))
            case _:
                pass

    def clock_stepped(self, e: ClockStepped) -> None:
        self.triggerer.clock_stepped(e.step_us)
        self.post(e)

    def _start(self, e: Start) -> None:
        self.executor.start(e)

    def _run_opened(self, e: RunOpened) -> None:
        self.runs[e.run.run_id] = e.run
        if self.heard:
            self._tell(e)

    def _run_ended(self, e: RunEnded) -> None:
        self.runs.pop(e.run_id, None)
        self._params.pop(e.run_id, None)
        self._outputs.forget(e.run_id)
        self.manifests.forget(e.run_id)
        for waiter in self._ends.pop(e.run_id, []):
            if not waiter.done():
                waiter.set_result(e.state)
        if self.heard:
            self._tell(e)

    def _tell(self, e: RunOpened | RunEnded) -> None:
        listener = self.heard.get(type(e))
        if listener is not None:
            listener(e)

    def _reply(self, e: Reply) -> None:
        waiter = self._replies.pop(e.token, None)
        if waiter is None or waiter.done():
            return
        if e.error:
            kind = getattr(errors, e.error, CommandError)
            waiter.set_exception(kind(e.message))
        else:
            waiter.set_result(e.result)

    # --- commands and ends, as futures -----------------------------------------------------------

    def expect_reply(self) -> tuple[int, asyncio.Future[Any]]:
        """A token for a command, and the future that its `Reply` ends."""
        if self._over is not None:
            raise self._over
        self._token += 1
        waiter: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._replies[self._token] = waiter
        return self._token, waiter

    def expect_end(self, run_id: int) -> asyncio.Future[str]:
        """Ends with the state of the run, once that is committed."""
        if self._over is not None:
            raise self._over
        waiter: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._ends.setdefault(run_id, []).append(waiter)
        return waiter

    def fail_all(self, error: BaseException) -> None:
        """The engine has ended: nobody is left waiting for it, and nobody begins to."""
        self._over = self._over or error
        waiters = [*self._replies.values(), *(w for ends in self._ends.values() for w in ends)]
        self._replies.clear()
        self._ends.clear()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(error)
                waiter.exception()  # not everybody still listens

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def spawn(self, work: Coroutine[Any, Any, Any], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # --- code and arguments ----------------------------------------------------------------------

    def code(self, dag: str, task: str) -> Code:
        """The newest loaded code of a task."""
        loaded = self.dags.get(dag)
        if loaded is None:
            raise CodeNotLoaded(f"the DAG {dag!r} is not loaded")
        try:
            return loaded.code[task]
        except KeyError:
            raise CodeNotLoaded(f"the DAG {dag!r} as it is now has no task {task!r}") from None

    def gates_of(self, asset: str) -> tuple[Gate, ...]:
        """The gates of an asset, with the newest loaded functions."""
        return self.gates.get(asset, ())

    def predicate(self, dag: str, task: str) -> Callable[..., Any]:
        """The function of a `PythonSensor`."""
        try:
            found = self.code(dag, task).predicate
        except CodeNotLoaded as error:
            raise LookupError(str(error)) from None
        if found is None:
            raise LookupError(f"{dag}.{task} has no predicate in the code as it is now")
        return found

    def facts_of(self, run_id: int, task: str, map_index: int, attempt: int) -> Facts:
        run = self.runs[run_id]
        params = self._params.get(run_id)
        if params is None:
            params = self._params[run_id] = msgspec.json.decode(run.params)
        loaded = self.dags.get(run.dag)
        folder = str(loaded.folder) if loaded is not None and loaded.folder is not None else "."
        return Facts(
            dag=run.dag,
            task=task,
            run_id=run_id,
            map_index=map_index,
            attempt=attempt,
            logical_us=run.logical_us,
            start_us=run.start_us,
            end_us=run.end_us,
            scheduled_us=run.scheduled_us,
            params=params,
            tz=run.tz,
            folder=folder,
        )

    def resolve(self, order: Start, context: Context) -> Job | Coroutine[Any, Any, Job]:
        """What an attempt runs. At once, unless something has to be read from the database."""
        code = self.code(order.dag, order.task.name)
        lists = self.manifests.get(order) if order.map_index >= 0 else NO_LISTS
        if lists is None:
            return self._resolve_later(order, context, [])
        needed = _needed(order, lists)
        missing = self.missing(order.run_id, needed)
        if missing or order.recorded or order.reads or order.delivery or _is_told(order, code):
            return self._resolve_later(order, context, missing)
        return self._job(order, code, context, self.values(order.run_id, needed), lists)

    def values(self, run_id: int, tasks: Sequence[str]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for up in tasks:
            value = self._outputs.get(run_id, up)
            if value is not None:
                found[up] = msgspec.json.decode(value)
        return found

    async def _resolve_later(self, order: Start, context: Context, missing: list[str]) -> Job:
        lists = NO_LISTS if order.map_index < 0 else await self.manifests.load(order)
        needed = _needed(order, lists)
        missing = missing or self.missing(order.run_id, needed)
        await self.fetch_outputs(order.run_id, missing)
        recorded = None
        if order.recorded:
            recorded = await self.store.read(lambda conn: stored.recorded(conn, order.instance_id))
        code = self.code(order.dag, order.task.name)
        told: list[Failure] = []
        if _is_told(order, code):
            told = await self.store.read(lambda conn: failed.failures_of(conn, order.run_id, order.task))
        job = self._job(order, code, context, self.values(order.run_id, needed), lists, told)
        if order.delivery:
            given = await self.store.read(lambda conn: delivery_rows.given(conn, order.delivery))
            job = msgspec.structs.replace(job, delivery=given)
        if order.reads:
            run_id, name = order.run_id, order.task.name
            read = await self.store.read(lambda conn: safe_use.read_by(conn, run_id, name))
            job = msgspec.structs.replace(job, inputs=tuple(read))
        if recorded is None:
            return job
        return msgspec.structs.replace(
            job,
            recorded_waits={row.key: _answer(order.attempt_id, row) for row in recorded.answers},
            recorded_steps={name: value.encode() for name, value in recorded.steps.items()},
        )

    async def fetch_outputs(self, run_id: int, tasks: list[str]) -> None:
        """Read outputs that are not at hand; a task without one (skipped, null) is kept as null."""
        if not tasks:
            return
        found = await self.store.read(lambda conn: stored.outputs_of(conn, run_id, tasks))
        for task in tasks:
            self._outputs.keep(run_id, task, found[task].encode() if task in found else b"null")

    def missing(self, run_id: int, tasks: Sequence[str]) -> list[str]:
        """Those whose outputs are not at hand."""
        return [up for up in tasks if self._outputs.get(run_id, up) is None]

    def _job(
        self, order: Start, code: Code, context: Context, values: dict[str, Any], lists: Lists,
        told: Sequence[Failure] = (),
    ) -> Job:  # fmt: skip
        task = order.task
        facts = self.facts_of(order.run_id, task.name, order.map_index, order.number)
        watermark = self.watermarks.get((self.dag_ids.get(order.dag, 0), task.name))
        own = lists.part(task, order.map_index) if order.map_index >= 0 else None
        if task.lane is Lane.SHELL:
            command = bind_command(task, code, values, facts, lists.lists, own)
            shell = ShellSpec(command=command.command, env=command.env, cwd=command.cwd)
            return Job(None, (), {}, facts, watermark=watermark, shell=shell, cwd=command.cwd)
        args, kwargs = bind(task, code, values, facts, context, told, lists.lists, own)
        return Job(code.fn, args, kwargs, facts, watermark=watermark)

    # --- sensors ---------------------------------------------------------------------------------

    def _build(self, e: Build) -> None:
        lists = self.manifests.get(e) if e.map_index >= 0 else NO_LISTS
        needed = _needed(e, lists) if lists is not None else ()
        missing = self.missing(e.run_id, needed)
        if missing or lists is None:
            self.spawn(self._build_later(e), f"bide:build:{e.instance_id}")
        else:
            self._build_now(e, lists, needed)

    async def _build_later(self, e: Build) -> None:
        try:
            lists = NO_LISTS if e.map_index < 0 else await self.manifests.load(e)
            needed = _needed(e, lists)
            await self.fetch_outputs(e.run_id, self.missing(e.run_id, needed))
        except PayloadError as error:
            self.post(BuildFailed(e.instance_id, failure_of(error, final=True)))
            return
        self._build_now(e, lists, needed)

    def _build_now(self, e: Build, lists: Lists, needed: Sequence[str]) -> None:
        try:
            code = self.code(e.dag, e.task.name)
            if code.build is None:
                raise CodeNotLoaded(f"{e.dag}.{e.task.name} is no sensor in the code as it is now")
            facts = self.facts_of(e.run_id, e.task.name, e.map_index, 1)
            values = self.values(e.run_id, needed)
            own = lists.part(e.task, e.map_index) if e.map_index >= 0 else None
            params = bind_params(e.task, code, values, lists.lists, own)
            before = doing.set(f"bide:build:{e.instance_id}")
            self.executor.watchdog.touch()
            try:
                trigger = code.build(params, facts)
            finally:
                doing.reset(before)
            built = TriggerBuilt(
                e.instance_id, encode_trigger(trigger), kind_of(trigger), trigger.not_before()
            )
        except Exception as error:  # noqa: BLE001 - a sensor's own code may raise anything: it is recorded
            self.post(BuildFailed(e.instance_id, failure_of(error, final=isinstance(error, BideError))))
            return
        self.post(built)

    def _look_once(self, e: LookOnce) -> None:
        work: Coroutine[Any, Any, Any]
        if _kind_of(e.trigger) in SEEN_HERE:
            work = self._look_here(e)
        elif self.triggerer.status(e.wait_id) is not None:
            work = self.triggerer.look_now(e.wait_id)  # by hand, at a wait that is armed
        else:
            work = self.triggerer.look(e)
        self.spawn(work, f"bide:look:{e.wait_id}")

    async def _look_here(self, e: LookOnce) -> None:
        """At what the engine sees itself: in the database."""
        trigger = decode_trigger(e.trigger)
        key: FactKey
        if isinstance(trigger, ExternalTaskTrigger) and trigger.until_us is not None:
            key = ("runs_over", trigger.dag, trigger.task, trigger.logical_us, trigger.until_us)
        elif isinstance(trigger, ExternalTaskTrigger):
            key = ("run_at", trigger.dag, trigger.task, trigger.logical_us)
        else:
            assert isinstance(trigger, AssetTrigger)
            key = ("asset_over", trigger.asset, trigger.start_us, trigger.end_us)
        seen = (await self.facts([key]))[key]
        match trigger.judge(seen, None, self.clock.now()):
            case Fire(event=event):
                self.post(WaitFired(e.wait_id, msgspec.json.encode(event)))
            case Fail(reason=reason):
                self.post(WaitFailed(e.wait_id, reason))
            case NotYet(reason=reason, again_us=again):
                self.post(WaitLooked(e.wait_id, reason, again))

    # --- facts -----------------------------------------------------------------------------------

    async def facts(self, keys: Sequence[FactKey]) -> Mapping[FactKey, Any]:
        """Answers from the database to the questions of `decide`, read between two batches."""
        return await self.store.read(lambda conn: {key: answer_to(conn, key) for key in keys})

    async def restored(self) -> tuple[World, Sequence[Input]]:
        """The world as the database has it, and the inputs that settle what is gone."""
        return await self.restore()


def _answer(attempt_id: int, row: stored.AnswerRow) -> Answer:
    """How a wait of a lost body ended, as its successor is told when it asks for it again."""
    event = None if row.event is None else row.event.encode()
    error = row.reason if event is None else ""
    return Answer(attempt_id, row.key, event, error, row.state is WaitState.TIMED_OUT)


def _needed(order: Start | Build, lists: Lists) -> tuple[str, ...]:
    """The upstreams whose outputs an instance needs, beside its part of the lists."""
    return references(order.task) if lists is NO_LISTS else lists.shared


def _is_told(order: Start, code: Code) -> bool:
    """Whether a handler or callback wants to know what failed: that is read from the database."""
    return order.task.role is not Role.TASK and code.fn is not None and bool(Parameters.of(code.fn).failure)


def _kind_of(trigger: bytes) -> str:
    with contextlib.suppress(msgspec.MsgspecError):
        return typed.decode(trigger, _Kind).kind
    return ""


class _Kind(msgspec.Struct):
    kind: str


def dag_loaded(dag: Dag) -> DagLoaded:
    """The input that tells `decide` of a loaded DAG."""
    file = "" if dag.file is None else str(dag.file)
    return DagLoaded(
        dag.name, dag.encoded, dag.hash, dag.schedule.to_json(), dict(dag.options), dag.spec, file, dag.source
    )
