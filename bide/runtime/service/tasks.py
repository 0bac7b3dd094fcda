"""Task instances: one with all that stands around it, and those of all runs by filter; one layer for every door."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import SECOND
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.executor.log_files import size
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import render
from bide.runtime.graph.spec import DagSpec, TaskSpec
from bide.runtime.graph.validate import suggestion
from bide.runtime.service.addresses import before_number, bounded, read_date, run_number, task_address
from bide.runtime.service.codes import line
from bide.runtime.service.describe import does, error_words, trigger_words
from bide.runtime.service.masking import without_secrets
from bide.runtime.service.places import log_of
from bide.runtime.service.shapes import Interval, iso, iso_or_none
from bide.runtime.service.task_shapes import AttemptLine, Beside, TaskFound, TaskInput, TaskShown, TaskWait
from bide.runtime.store import code_reads
from bide.runtime.store import reader as store
from bide.runtime.store import task_reads as reads
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.doors import Live
    from bide.runtime.service.operations import Asks

MOST_RESULT: Final = 65_536
_MOST: Final = 100
_BESIDE: Final = 1_000


class Tasks:
    """The operations on task instances. It keeps no state."""

    def __init__(self, reader: Asks, db: Path, live: Live | None) -> None:
        self._reader, self._db, self._live = reader, db, live

    async def listed(
        self,
        run: str | None = None,
        dag: str | None = None,
        task: str | None = None,
        state: str | None = None,
        since: str | None = None,
        until: str | None = None,
        limit: int = 100,
        before: str | None = None,
    ) -> list[TaskFound]:
        states = tuple(dict.fromkeys(state.split(","))) if state is not None else ()
        for each in states:
            if each not in set(State):
                raise UsageError(
                    f"{each!r} is no state of a task{suggestion(each, State)}: use one of {', '.join(State)}"
                )
        of = reads.TaskFilter(
            run_id=None if run is None else run_number(run),
            dag=dag or "",
            task=task or "",
            states=states,
            since_us=None if since is None else read_date(since),
            until_us=None if until is None else read_date(until),
        )
        after = None if before is None else before_number(before)
        bounded(limit)
        return await self._reader.ask(
            Reader.read, lambda conn: [_found(x) for x in reads.found(conn, of, limit, after)]
        )

    async def show(self, run: str, task: str) -> TaskShown:
        return await self._reader.ask(self._shown, run_number(run), task)

    def _shown(self, reader: Reader, run_id: int, address: str) -> TaskShown:
        run = reader.run(run_id)
        meant = task_address(address)
        found = reader.instance(run_id, meant.task, meant.map_index)
        spec = typed.decode(run.spec, DagSpec)
        task = next((each for each in spec.tasks if each.name == meant.task), None)
        if found is None or task is None:
            names = [each.name for each in spec.tasks]
            if task is not None and meant.map_index >= 0:
                raise NotFoundError(
                    f"{meant.task} of run {run_id} has no instance {meant.map_index}, or it is not made yet"
                )
            raise NotFoundError(
                f"run {run_id} has no task {address!r}{suggestion(meant.task, names)}: `bide show {run_id}` lists them"
            )
        return reader.read(lambda conn: self._around(conn, run, spec, task, found))

    def _around(
        self, conn: Any, run: store.RunDetail, spec: DagSpec, task: TaskSpec, one: store.TaskShown
    ) -> TaskShown:
        down = [each.name for each in spec.tasks if task.name in each.upstream]
        beside = reads.next_to(conn, run.run_id, [*task.upstream, *down][:_BESIDE], MOST_RESULT)
        text, length = reads.result(conn, one.instance_id, MOST_RESULT)
        mapped = task.map is not None and one.map_index < 0
        attempts = reads.attempts(conn, one.instance_id, _MOST)
        dag_id = code_reads.dag_of_run(conn, run.run_id)
        begun = (
            {} if dag_id is None else code_reads.of_attempts(conn, dag_id, [a.attempt_id for a in attempts])
        )
        return TaskShown(
            run_id=str(run.run_id),
            dag=run.dag,
            task=task.name,
            map_index=one.map_index,
            state=one.state.value,
            since=iso(one.since_us),
            reason=one.reason,
            run_state=run.state.value,
            logical_date=iso(run.logical_us),
            interval=Interval(start=iso(run.start_us), end=iso(run.end_us)),
            does=does(task),
            lane=task.lane.value,
            group=task.group,
            owner=task.owner or spec.owner,
            doc=task.doc,
            rule=task.rule.value,
            pool=task.pool,
            slots=task.slots,
            priority=task.priority,
            retries=task.retries,
            failures=one.failures,
            timeout_s=None if task.timeout_us is None else task.timeout_us / SECOND,
            deadline=iso_or_none(one.deadline_us),
            due=iso_or_none(one.due_us),
            idempotent=task.idempotent,
            idempotency_key=f"{run.dag}/{run.run_id}/{task.name}/{one.map_index}",
            inlets=task.inlets,
            outlets=task.outlets,
            inputs=tuple(_inputs(task, _facts(run, spec, one), beside)),
            result=None if text is None else msgspec.json.decode(text),
            result_bytes=length,
            upstream=tuple(_beside(name, beside) for name in task.upstream[:_BESIDE]),
            downstream=tuple(_beside(name, beside) for name in down[:_BESIDE]),
            instances=reads.instances(conn, run.run_id, task.name) if mapped else {},
            attempts=tuple(self._attempt(each, begun.get(each.attempt_id)) for each in attempts),
            waits=tuple(self._wait(each) for each in reads.waits(conn, one.instance_id, _MOST)),
        )

    def _attempt(self, one: reads.AttemptRead, code: code_reads.CodeRow | None) -> AttemptLine:
        took = 0 if one.ended_us is None else max(0, one.ended_us - one.started_us)
        return AttemptLine(
            attempt=one.number,
            state=one.state.value,
            started_at=iso(one.started_us),
            ended_at=iso_or_none(one.ended_us),
            queued_s=one.queued_us / SECOND,
            slot_s=one.active_us / SECOND,
            waited_s=max(0, took - one.active_us) / SECOND,
            error=error_words(one.error) or None,
            metrics=msgspec.json.decode(one.metrics) if one.metrics else {},
            log_bytes=size(log_of(self._db, one.attempt_id).parent, one.attempt_id),
            code=None if code is None else line(code),
        )

    def _wait(self, one: reads.WaitRead) -> TaskWait:
        what, source = trigger_words(one.kind, one.trigger)
        look = self._live.look(one.wait_id) if self._live and one.ended_us is None else None
        return TaskWait(
            id=str(one.wait_id),
            name=one.key,
            trigger=what,
            source=source,
            state=one.state.value,
            since=iso(one.since_us),
            deadline=iso(one.deadline_us),
            ended_at=iso_or_none(one.ended_us),
            last_look=iso_or_none(look.at_us) if look else None,
            next_look=iso_or_none(look.next_us) if look else None,
            answer=look.answer if look else "",
            event=msgspec.json.decode(one.event) if one.event else None,
            reason=one.reason,
        )


def _found(each: reads.FoundRead) -> TaskFound:
    return TaskFound(
        id=str(each.instance_id),
        run_id=str(each.run_id),
        dag=each.dag,
        task=each.task,
        map_index=each.map_index,
        state=each.state.value,
        since=iso(each.since_us),
        attempts=each.attempts,
        logical_date=iso(each.logical_us),
        run_state=each.run_state.value,
        reason=each.reason,
    )


def _facts(run: store.RunDetail, spec: DagSpec, one: store.TaskShown) -> Facts:
    params: dict[str, Any] = without_secrets(msgspec.json.decode(run.params))
    return Facts(
        dag=run.dag, task=one.task, run_id=run.run_id, map_index=one.map_index, attempt=max(1, one.attempts),
        logical_us=run.logical_us, start_us=run.start_us, end_us=run.end_us, scheduled_us=run.scheduled_us,
        params={**without_secrets(spec.params), **params}, tz=spec.tz,
    )  # fmt: skip


def _beside(name: str, known: Mapping[str, reads.NextTo]) -> Beside:
    one = known.get(name)
    if one is None:
        return Beside(task=name, state=None, since=None, reason="")
    return Beside(task=name, state=one.state.value, since=iso(one.since_us), reason=one.reason)


def _inputs(task: TaskSpec, facts: Facts, known: Mapping[str, reads.NextTo]) -> Iterator[TaskInput]:
    """Arguments, parameters of a sensor, the command: in the order they were written."""
    given: list[tuple[str, Any, bool]] = [
        (f"#{place}", value, False) for place, value in enumerate(task.args, 1)
    ]
    given += [(name, value, False) for name, value in task.kwargs.items()]
    if task.sensor is not None:
        given += [(name, value, True) for name, value in task.sensor.params.items() if value is not None]
    if task.shell is not None:
        given.append(("command", task.shell.command, True))
        given += [(f"env {name}", value, True) for name, value in task.shell.env.items()]
        given += [("cwd", task.shell.cwd, True)] if task.shell.cwd else []
    for name, value, template in given:
        one = _input(name, value, template, facts, known)
        if task.map is not None and facts.map_index >= 0 and name in task.map.over:
            one = msgspec.structs.replace(one, value=_item(one.value, facts.map_index, task.map.shard))
        yield one


def _item(values: Any, index: int, shard: int | None) -> Any:
    """What an instance has of a list: its item, or its lot of them; None where the list is not there."""
    if not isinstance(values, list):
        return None
    if shard is not None:
        return values[index * shard : (index + 1) * shard]
    return values[index] if index < len(values) else None


def _input(
    name: str, value: Any, template: bool, facts: Facts, known: Mapping[str, reads.NextTo]
) -> TaskInput:
    if isinstance(value, dict) and "$out" in value:
        upstream = str(value["$out"])
        one = known.get(upstream)
        found: Any = msgspec.json.decode(one.output) if one is not None and one.output else None
        for key in value.get("at", ()):
            try:
                found = found[key]
            except (KeyError, IndexError, TypeError):
                found = None
                break
        return TaskInput(name=name, value=found, upstream=upstream)
    if isinstance(value, dict) and "$secret" in value:
        return TaskInput(name=name, value=str(value["$secret"]), secret=True)
    if isinstance(value, dict) and "$code" in value:
        return TaskInput(name=name, value=None, code=True)
    if isinstance(value, dict) and "$lit" in value:
        value = value["$lit"]
    if template and isinstance(value, str):
        try:
            value = render(value, facts)
        except UsageError:  # it needs what only an attempt has: as it was written
            pass
    return TaskInput(name=name, value=without_secrets(value, name.removeprefix("env ")))
