"""The operations on one database: asked of a reader, commanded through a door, answered in shapes.

One layer for every way in: the terminal straight on the database, the REST routes, the `Runtime`
of a guest. It holds no state and writes nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND, Clock
from bide.runtime.engine.explain import explain_instance, explain_run
from bide.runtime.engine.matching import is_pattern
from bide.runtime.engine.standing import of_no_run
from bide.runtime.engine.states import MARKS, OVER, RunState, State
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.params import schema_of
from bide.runtime.graph.spec import DagSpec
from bide.runtime.service import facts
from bide.runtime.service.addresses import (
    alert_number,
    before_number,
    bounded,
    read_date,
    read_deadline,
    read_span,
    run_number,
    task_address,
    wait_number,
)
from bide.runtime.service.describe import (
    does,
    nodes_beside,
    promise_in,
    promised,
    schedule_words,
    standing_by,
)
from bide.runtime.service.doors import Door, Live
from bide.runtime.service.logs import read_log
from bide.runtime.service.once import again
from bide.runtime.service.operated import Operated
from bide.runtime.service.paging import behind
from bide.runtime.service.run_views import shown_params
from bide.runtime.service.shapes import (
    AlertLine,
    DagLine,
    DagShown,
    DagTask,
    Detail,
    Done,
    Health,
    Interval,
    LogPart,
    RunLine,
    RunShown,
    TaskLine,
    Timetable,
    Triggered,
    WaitLine,
    WhyShown,
    iso,
    iso_or_none,
)
from bide.runtime.service.who import Who
from bide.runtime.store import reader as store
from bide.runtime.store.reader import Reader
from bide.runtime.store.run_reads import made
from bide.runtime.store.schedules import standing

if TYPE_CHECKING:
    from bide.runtime.service.event_shapes import EventLine, Top

T = TypeVar("T")
_QUIET_S = 5.0  # so long is waited for the engine to be at rest: under load it may never be
_LOOKS = 3  # of a difference between the living and the database that is more than a moment's
ALERT_STATES = ("new", "taken", "acked")


class Asks(Protocol):
    """`await ask(Reader.runs, dag="etl")`: `AsyncReader`, or a `Reader` that answers at once."""

    def ask(self, question: Callable[..., T], *args: Any, **options: Any) -> Awaitable[T]: ...


class AtOnce:
    """A `Reader` asked in the calling thread: for the terminal, which has nothing else to do."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def ask(self, question: Callable[..., T], *args: Any, **options: Any) -> T:
        return question(self._reader, *args, **options)


class Operations(Who, Operated):
    """What can be asked and done.

    `live` is the process that holds the database, if it is this one; `held` says that one does,
    this one or another.
    """

    def __init__(
        self, db: Path, reader: Asks, door: Door, clock: Clock, live: Live | None = None, held: bool = False
    ) -> None:
        self.db, self._reader, self._door, self._clock, self._live = db, reader, door, clock, live
        self._held = held or live is not None

    @property
    def held(self) -> bool:
        """Whether a runtime holds the database: without one nothing of it moves."""
        return self._held

    # --- reading ---------------------------------------------------------------------------------

    async def dags(self, limit: int = 100_000, before: str | None = None) -> list[DagLine]:
        bounded(limit)
        known = await self._reader.ask(Reader.dags)
        return [
            DagLine(
                dag=dag.name,
                schedule=schedule_words(dag.schedule),
                paused=bool(dag.paused),
                next_fires_at=iso_or_none(dag.next_fires_us),
                last_state=dag.last_state.value if dag.last_state else None,
                code_error=self._code_error(dag.name),
            )
            for dag in behind(known, lambda dag: dag.name, before, limit)
        ]

    async def schedule(
        self, dag: str, n: int | None = None, since: str | None = None, until: str | None = None
    ) -> Timetable:
        from bide.runtime.service.timetable import Asked, of_database

        asked = Asked(n, since, until)
        found = await self._reader.ask(of_database, self.db, dag, asked, self._clock.now())
        return msgspec.structs.replace(found, code_error=self._code_error(dag))

    async def dag(self, dag: str) -> DagShown:
        line = await self._dag(dag)
        found = await self._reader.ask(Reader.dag_spec, dag)
        if found is None:
            raise NotFoundError(f"the DAG {dag!r} has no graph yet: load its file")
        spec = typed.decode(found[0], DagSpec)
        options = await self._reader.ask(Reader.dag_options, dag)
        return DagShown(
            dag=dag,
            schedule=schedule_words(line.schedule),
            paused=bool(line.paused),
            next_fires_at=iso_or_none(line.next_fires_us),
            last_state=line.last_state.value if line.last_state else None,
            tz=spec.tz,
            owner=spec.owner,
            tags=spec.tags,
            doc=spec.doc,
            params=schema_of(spec),
            tasks=tuple(
                DagTask(
                    task=task.name,
                    group=task.group,
                    does=does(task),
                    upstream=task.upstream,
                    handles=task.handles,
                    promise=promised(task.alert, spec.tz),
                )
                for task in spec.tasks
            ),
            promise=promised(promise_in(options), spec.tz),
            code_error=self._code_error(dag),
        )

    async def runs(
        self,
        dag: str | None = None,
        state: str | None = None,
        limit: int = 50,
        before: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        until: str | None = None,
    ) -> list[RunLine]:
        if state is not None and state not in set(RunState):
            raise UsageError(f"{state!r} is no state of a run: use one of {', '.join(RunState)}")
        if kind is not None:
            from bide.runtime.service.actions import known_kind

            known_kind(kind)
        bounded(limit)
        pattern = dag is not None and is_pattern(dag)
        if dag is not None and not pattern:
            await self._dag(dag)
        asked: dict[str, Any] = {"dag": dag, "state": state, "limit": limit, "before": before_number(before)}
        asked |= {"kind": kind, "pattern": pattern}
        asked |= {"since_us": None if since is None else read_date(since)}
        asked |= {"until_us": None if until is None else read_date(until)}
        return await self._reader.ask(Reader.run_lines, RunLine, **asked)

    async def show(self, run: str, limit: int = 100_000, before: str | None = None) -> RunShown:
        bounded(limit)
        return await self._reader.ask(_show, run_number(run), limit, before)

    async def why(self, run: str, task: str | None = None) -> WhyShown:
        run_id = run_number(run)
        scene = await self._reader.ask(facts.scene, run_id)
        now = self._clock.now()
        held: tuple[tuple[str, str], ...] = ()
        if task is None:
            why = explain_run(facts.of_run(scene, self._live, self._held), now)
            held = (
                *facts.made_for(scene),
                *await self.assets.made(scene.run.kind, run_id),
                *await self.plans.step_of(scene.run.kind, run_id),
            )
        else:
            instance = _instance(scene.tasks, task, run_id)
            why = explain_instance(facts.of_instance(scene, instance, self._live, self._held), now)
            made = await self.assets.made_by(instance.instance_id)
            held = (*facts.held_words(instance.instance_id, self._live), *made)
        return WhyShown(
            run_id=str(run_id),
            task=task,
            state=why.state,
            why=why.sentence,
            since=iso_or_none(why.since_us),
            details=tuple(Detail(what=what, value=value) for what, value in (*why.details, *held)),
            next=why.next,
        )

    async def logs(
        self, run: str, task: str, attempt: int | None = None, offset: int = 0, limit: int = 262_144
    ) -> LogPart:
        if offset < 0 or not 1 <= limit <= 4_194_304:
            raise UsageError("a piece of a log starts at 0 or later and has 1 to 4194304 bytes")
        run_id = run_number(run)
        meant = task_address(task)
        instance = await self._reader.ask(Reader.instance, run_id, meant.task, meant.map_index)
        if instance is None:
            instance = _instance(await self._reader.ask(Reader.tasks, run_id), task, run_id, self.db)
        found = await self._reader.ask(Reader.attempts_of, instance.instance_id)
        attempts = [one for one in found if attempt in (None, one.number)]
        if not attempts and (items := await self._reader.ask(Reader.mapped, run_id)).get(task):
            raise UsageError(
                f"{task} of run {run} is mapped: name one of its instances, {task}[0] to {task}[{items[task] - 1}]"
            )
        if not attempts and attempt is None:
            await self._reader.ask(Reader.run, run_id)
            return LogPart(attempt=0, text="", next_offset=0, over=instance.state in OVER)
        if not attempts:
            raise NotFoundError(
                f"{task} of run {run} has no attempt {attempt}: it has {instance.attempts}, counted from 1"
            )
        last = attempts[-1]
        text, end, more = read_log(self.db, last.attempt_id, offset, limit)
        over = last.ended_us is not None and not more
        return LogPart(attempt=last.number, text=text, next_offset=end, over=over)

    async def waits(
        self,
        limit: int = 100_000,
        before: str | None = None,
        ids: str | None = None,
        dag: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        what: str | None = None,
        text: str | None = None,
        troubled: bool = False,
    ) -> list[WaitLine]:
        from bide.runtime.service.waiting import lines, wanted

        bounded(limit)
        of = wanted(ids, dag, task, kind, source, what, text, troubled)
        return await self._reader.ask(lines, self._live, of, limit, before_number(before))

    async def nearest_waits(self) -> list[WaitLine]:
        """All open waits, the nearest deadline first."""
        found = await self.waits()
        return sorted(found, key=lambda each: (each.deadline is None, each.deadline or "", int(each.id)))

    async def wait_shown(self, wait: str) -> WaitLine:
        found = await self.waits(1, ids=str(wait_number(wait)))
        if not found:
            raise NotFoundError(f"there is no open wait {wait}: `bide waits` lists them")
        return found[0]

    async def alerts(
        self,
        run: str | None = None,
        state: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[AlertLine]:
        if state is not None and state not in ALERT_STATES:
            raise UsageError(f"{state!r} is no state of an alert: use one of {', '.join(ALERT_STATES)}")
        bounded(limit)
        run_id = None if run is None else run_number(run)
        if run_id is not None:
            await self._reader.ask(Reader.run, run_id)
        last = before_number(before)
        return await self._reader.ask(Reader.alert_lines, AlertLine, run_id, state, limit, last)

    async def events(
        self,
        since: str | None = None,
        run: str | None = None,
        dag: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[EventLine]:
        from bide.runtime.service.events import events

        return await events(self._reader, self._clock, since, run, dag, kind, limit, before)

    async def top(self) -> Top:
        from bide.runtime.service.top import top

        return await top(self._reader, self._clock, self._live, self._held)

    async def doctor(self) -> Health:
        from bide.runtime.service.doctor import examine, never_quiet, out_of_step, step

        health = await self._reader.ask(examine, self.db, self._clock.now(), self._live)
        live = self._live
        if live is None:
            return health
        wrong: set[str] | None = None
        bodies, watched = live.bodies, live.watched
        for _ in range(_LOOKS):
            try:
                async with asyncio.timeout(0 if live.full else _QUIET_S):
                    await live.settled()
            except TimeoutError:
                check = never_quiet(bool(live.full))
                return Health(ok=health.ok, checks=(*health.checks, check))
            bodies, watched, unwatched = live.bodies, live.watched, live.unwatched
            seen = await self._reader.ask(out_of_step, bodies, watched, unwatched, live)
            wrong = seen if wrong is None else wrong & seen
            if not wrong:
                break
        check = step(sorted(wrong or ()), len(bodies), len(watched))
        return Health(ok=health.ok and check.ok, checks=(*health.checks, check))

    # --- doing -----------------------------------------------------------------------------------

    async def trigger(
        self,
        dag: str,
        logical_date: str | None = None,
        params: dict[str, Any] | None = None,
        new: bool = False,
        key: str | None = None,
        shadow: bool = False,
    ) -> Triggered:
        logical_us = None
        if logical_date is not None:
            logical_us = read_date(logical_date, await self._zone(dag))
        args = {"dag": dag, "logical_us": logical_us, "params": params or {}, "new": new, "key": key}
        if shadow:
            args["shadow"] = True
        answer = await self._door.command("trigger", args)
        return Triggered(run_id=str(answer["run_id"]))

    async def cancel(self, run: str) -> Done:
        done = await self._do("cancel", f"run {run} is cancelled", {"run_id": run_number(run)})
        if done.result["state"] == RunState.CANCELLED:
            return done
        said = f"run {run} is cancelled, its tear-downs first; cancel it once more to end them as well"
        return Done(done=said, result=done.result)

    async def rerun(
        self, run: str, task: str | None = None, downstream: bool = False, whole: bool = False
    ) -> Done:
        if task is None and downstream:
            raise UsageError("downstream of which task? name the `task` beside `downstream`")
        if task is not None and whole:
            raise UsageError(f"either the task {task} or the whole run: leave one of them out")
        args = {"run_id": run_number(run), "downstream": downstream, "whole": whole, **_of(task)}
        what = f"{task} of run {run}" if task else f"run {run}"
        done = await self._do("rerun", f"{what} runs again", args)
        return _with_names(done) if task is not None and is_pattern(task) else done

    async def mark(self, run: str, task: str, state: str, downstream: bool = False) -> Done:
        if state not in set(MARKS):
            raise UsageError(f"a task cannot be marked {state!r}: use {', '.join(MARKS)}")
        args = {"run_id": run_number(run), "state": state, "downstream": downstream, **_of(task)}
        below = " and what is below it" if downstream else ""
        done = await self._do("mark", f"{task} of run {run}{below} is marked {state}", args)
        return _with_names(done) if is_pattern(task) else done

    async def skip(self, run: str, task: str, downstream: bool = False) -> Done:
        args = {"run_id": run_number(run), "downstream": downstream, **_of(task)}
        below = " and what is below it" if downstream else ""
        done = await self._do("skip", f"{task} of run {run}{below} is skipped", args)
        return _with_names(done) if is_pattern(task) else done

    async def pause(self, dag: str) -> Done:
        return await self._do("pause", f"{dag} is paused: it starts nothing", {"dag": dag})

    async def unpause(self, dag: str) -> Done:
        return await self._do("unpause", f"{dag} is no longer paused", {"dag": dag})

    async def wait_look(self, wait: str) -> Done:
        return await self._do("wait_look", f"wait {wait} is looked at now", {"wait_id": wait_number(wait)})

    async def wait_extend(self, wait: str, deadline: str) -> Done:
        wait_id = wait_number(wait)
        answer = await again(self._reader, self._door, "wait_extend")
        if answer is None:
            until = await self._until(wait_id, deadline)
            answer = await self._door.command("wait_extend", {"wait_id": wait_id, "deadline_us": until})
        return Done(done=f"wait {wait} gives up at {iso(answer['deadline_us'])}", result=answer)

    async def _until(self, wait: int, deadline: str) -> int:
        """The instant that is meant; `+2h` is from the one that the wait has."""
        if deadline.startswith("+"):
            one = await self._reader.ask(Reader.waits, after=wait - 1, limit=1)
            if not one or one[0].wait_id != wait:
                for held in await self._reader.ask(Reader.read, standing):
                    if held.standing_id == wait:
                        raise of_no_run(wait, held.dag)
                raise NotFoundError(f"there is no open wait {wait}: `bide waits` lists them")
            until = one[0].deadline_us + read_span(deadline[1:])
        else:
            until = read_deadline(deadline)
        if until <= self._clock.now():
            raise UsageError(
                f"{iso(until)} is over: give a deadline that lies ahead, or `bide waits fail {wait}`"
            )
        return until

    async def wait_satisfy(self, wait: str, event: Any = None) -> Done:
        args = {"wait_id": wait_number(wait), "event": event}
        return await self._do("wait_satisfy", f"wait {wait} is satisfied", args)

    async def wait_fail(self, wait: str, reason: str = "") -> Done:
        args = {"wait_id": wait_number(wait), "reason": reason or "failed by hand"}
        return await self._do("wait_fail", f"wait {wait} has failed", args)

    async def alert_ack(self, alert: str) -> Done:
        args = {"alert_id": alert_number(alert)}
        return await self._do("alert_ack", f"alert {alert} is acknowledged", args)

    async def _do(self, verb: str, said: str, args: dict[str, Any]) -> Done:
        return Done(done=said, result=await self._door.command(verb, args))

    def _code_error(self, dag: str) -> str | None:
        """Why its code is not loaded, as the runtime that holds the database says."""
        return (self._live.code_error(dag) or None) if self._live is not None else None

    async def _zone(self, dag: str) -> str:
        found = await self._reader.ask(Reader.dag_spec, dag)
        return str(msgspec.json.decode(found[0]).get("tz", "UTC")) if found else "UTC"

    async def _dag(self, name: str) -> store.DagShown:
        known = await self._reader.ask(Reader.dags)
        for dag in known:
            if dag.name == name:
                return dag
        raise NotFoundError(f"there is no DAG {name!r} in {self.db}{_nearest(name, [d.name for d in known])}")


def _show(reader: Reader, run_id: int, limit: int, before: str | None) -> RunShown:
    run = reader.run(run_id)
    last = 0
    if before is not None:
        meant = task_address(before)
        instance = reader.instance(run_id, meant.task, meant.map_index)
        if instance is None:
            raise NotFoundError(f"run {run_id} has no task {before!r}: a page begins behind one that it has")
        last = instance.instance_id
    beside = nodes_beside(run.spec)
    params, hidden = shown_params(run.params)
    why, who = reader.read(lambda conn: made(conn, run_id, run.created_us, run.dag))
    return RunShown(
        run_id=str(run_id),
        dag=run.dag,
        state=run.state.value,
        logical_date=iso(run.logical_us),
        interval=Interval(start=iso(run.start_us), end=iso(run.end_us)),
        tasks=tuple(
            TaskLine(
                task=task.task,
                map_index=task.map_index,
                state=task.state.value,
                attempts=task.attempts,
                reason=standing_by(task.reason, task.state, beside.get(task.task)),
                slot_seconds=task.slot_us / SECOND,
                role=beside[task.task].role.value if task.task in beside else "task",
            )
            for task in reader.tasks_after(run_id, last, limit)
        ),
        alerts=tuple(reader.alert_lines(AlertLine, run_id)),
        kind=run.kind,
        version=run.version,
        reason=run.reason,
        made=why,
        who=who,
        params=params,
        params_bytes=len(run.params.encode()),
        hidden=hidden,
    )


def _instance(
    tasks: list[store.TaskShown], address: str, run_id: int, db: Path | None = None
) -> store.TaskShown:
    """The instance that is meant; the first of a mapped task when no index was given."""
    meant = task_address(address)
    for task in tasks:
        if task.task == meant.task and meant.map_index in (-1, task.map_index):
            return task
    if not tasks and db is not None:
        raise NotFoundError(
            f"there is no run {run_id} in {db}, or it has no task yet: `bide runs` lists them"
        )
    if of_task := [task for task in tasks if task.task == meant.task]:
        if all(task.map_index < 0 and task.state is not State.MAPPED for task in of_task):
            raise NotFoundError(
                f"the task {meant.task!r} of run {run_id} has no instances: leave the index {meant.map_index} out"
            )
        raise NotFoundError(
            f"{address} of run {run_id} is beyond the list, or not made yet: `bide why {run_id} {meant.task}` "
            "says how many instances there are"
        )
    raise NotFoundError(
        f"run {run_id} has no task {address!r}{_nearest(meant.task, list({t.task: 0 for t in tasks}))}"
    )


def _of(task: str | None) -> dict[str, Any]:
    """A task as commands take it, with its map index where one was given."""
    meant = task_address(task) if task is not None else None
    if meant is None or meant.map_index < 0:
        return {"task": task}
    return {"task": meant.task, "map_index": meant.map_index}


def _with_names(done: Done) -> Done:
    """What was done, with the tasks that were meant by a name with * or ?."""
    names = done.result["tasks"]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return Done(done=f"{done.done}: {', '.join(names[:5])}{more}", result=done.result)


def _nearest(name: str, known: list[str]) -> str:
    """`: did you mean ...?` or a list of what there is."""
    from difflib import get_close_matches

    if near := get_close_matches(name, known, 1):
        return f": did you mean {near[0]!r}?"
    if not known:
        return ": there are none yet"
    more = ", ..." if len(known) > 8 else ""
    return f": there are {', '.join(known[:8])}{more}"
