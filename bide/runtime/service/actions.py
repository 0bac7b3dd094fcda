"""Actions on many runs, DAGs or waits: counted by a dry run, then done if the count still holds; one layer for every door."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.engine.bulk import OF_DAGS, OF_WAITS
from bide.runtime.engine.matching import LONGEST
from bide.runtime.engine.states import MARKS, RunState, State
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.validate import suggestion
from bide.runtime.service import wait_actions
from bide.runtime.service.action_shapes import ActionAsked, ActionShown, LeftOut
from bide.runtime.service.addresses import action_number, read_date, wait_number
from bide.runtime.service.once import again
from bide.runtime.service.shapes import iso, iso_or_none
from bide.runtime.service.waiting import wanted
from bide.runtime.store import bulk_reads as reads
from bide.runtime.store.bulk_reads import MOST, Filter
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.clock import Clock
    from bide.runtime.service.doors import Door, Live
    from bide.runtime.service.operations import Asks

_FIRST: Final = 10
_KINDS: Final = ("scheduled", "manual", "backfill", "asset", "plan", "shadow")


class Actions:
    """The operations on many. It keeps no state."""

    def __init__(self, reader: Asks, door: Door, clock: Clock, live: Live | None) -> None:
        self._reader, self._door, self._clock, self._live = reader, door, clock, live

    async def runs(
        self,
        action: str,
        dag: str | None = None,
        state: str | None = None,
        kind: str | None = None,
        since: str | None = None,
        until: str | None = None,
        expect: int | None = None,
        dry_run: bool = False,
        whole: bool = False,
        reason: str = "",
        task: str | None = None,
        to: str | None = None,
        downstream: bool = False,
        task_state: str | None = None,
    ) -> ActionAsked:
        known_action(action, ("cancel", "rerun", "mark"))
        mark = _mark(action, dag, task, to, downstream)
        of_task = _task_states(action, task_state)
        states = tuple(dict.fromkeys(state.split(","))) if state is not None else ()
        for each in states:
            if each not in set(RunState):
                raise UsageError(
                    f"{each!r} is no state of a run{suggestion(each, RunState)}: use one of {', '.join(RunState)}"
                )
        if kind is not None:
            known_kind(kind)
        if whole and action != "rerun":
            raise UsageError("`whole` goes with rerun: a cancel is of all of a run")
        of = Filter(
            dag=dag or "",
            states=states,
            kind=kind or "",
            since_us=None if since is None else read_date(since),
            until_us=None if until is None else read_date(until),
            task=task or "",
            to=to or "",
            task_states=of_task,
        )
        said = (
            ("task", task),
            ("task_state", task_state),
            ("to", to),
            ("dag", dag),
            ("state", state),
            ("kind", kind),
            ("since", since),
            ("until", until),
        )
        return await self._act(action, of, _words(said), expect, dry_run, whole, reason, mark)

    async def dags(
        self, action: str, dag: str, expect: int | None = None, dry_run: bool = False, reason: str = ""
    ) -> ActionAsked:
        known_action(action, ("pause", "unpause"))
        return await self._act(
            action, Filter(dag=dag), _words((("dag", dag),)), expect, dry_run, False, reason
        )

    async def waits(
        self,
        action: str,
        dag: str | None = None,
        task: str | None = None,
        kind: str | None = None,
        source: str | None = None,
        what: str | None = None,
        text: str | None = None,
        troubled: bool = False,
        expect: int | None = None,
        dry_run: bool = False,
        deadline: str | None = None,
        event: Any = None,
        reason: str = "",
        after: str | None = None,
    ) -> ActionAsked:
        known_action(action, OF_WAITS)
        behind = 0 if after is None else wait_number(after)
        more = wait_actions.given(action, deadline, event, reason, self._clock.now())
        said = (
            ("dag", dag),
            ("task", task),
            ("kind", kind),
            ("source", source),
            ("what", what),
            ("text", text),
            ("troubled", "true" if troubled else None),
        )
        words = _words(said)
        if (begun := await self._begun_before(action, words, expect, dry_run)) is not None:
            return begun
        of = wanted(None, dag, task, kind, source, what, text, troubled)
        found, rest = await self._reader.ask(wait_actions.numbers, self._live, of, action == "look", behind)
        first = tuple(map(str, found[:_FIRST]))
        last = str(found[-1]) if found else None
        if dry_run:
            return ActionAsked(
                id=None, action=action, count=len(found), first=first, where=words, rest=rest, last=last
            )
        args = {
            "action": action, "filter": msgspec.json.encode(Filter(words=words)).decode(), "words": words,
            "expect": expect, "wait": more, "reason": reason, "waits": found,
        }  # fmt: skip
        begun = _begun(action, await self._door.command("bulk", args), first, words)
        return msgspec.structs.replace(begun, rest=rest, last=last)

    async def show(self, action: str) -> ActionShown:
        number = action_number(action)
        row = await self._reader.ask(Reader.read, lambda conn: reads.bulk(conn, number))
        if row is None:
            raise NotFoundError(
                f"there is no action {action}: what begins one on many runs or DAGs says its number"
            )
        of = typed.decode(row.filter, Filter)
        left = typed.decode(row.told, list[tuple[int, str]])
        return ActionShown(
            id=str(row.bulk_id),
            action=row.verb,
            state="going" if row.ended_us is None else "done",
            where=_where(of),
            total=row.total,
            done=row.done,
            refused=row.refused,
            left=tuple(LeftOut(str(target), why) for target, why in left),
            begun_at=iso(row.begun_us),
            ended_at=iso_or_none(row.ended_us),
        )

    async def _act(
        self,
        action: str,
        of: Filter,
        words: str,
        expect: int | None,
        dry_run: bool,
        whole: bool,
        reason: str,
        mark: dict[str, Any] | None = None,
    ) -> ActionAsked:
        if len(of.dag) > LONGEST:
            raise UsageError(
                f"the DAG's name or pattern has {len(of.dag):,} characters, and may have {LONGEST:,}"
            )
        text = msgspec.json.encode(of).decode()
        if (begun := await self._begun_before(action, words, expect, dry_run)) is not None:
            return begun
        found = await self._reader.ask(Reader.read, lambda conn: _named(conn, action, text, whole))
        if dry_run:
            return ActionAsked(id=None, action=action, count=found[0], first=found[1], where=words)
        args: dict[str, Any] = {"action": action, "filter": text, "words": words, "expect": expect}
        args |= {"mark": mark} if mark is not None else {}
        answer = await self._door.command("bulk", {**args, "whole": whole, "reason": reason})
        return _begun(action, answer, found[1], words)

    async def _begun_before(
        self, action: str, words: str, expect: int | None, dry_run: bool
    ) -> ActionAsked | None:
        """What was begun under the key of this request, if it was. Raises `UsageError` where nobody has said how many."""
        if dry_run:
            return None
        if expect is None:
            raise UsageError(
                f"say how many you expect to {action} (`expect`): a dry run (`dry_run`) counts them"
            )
        answer = await again(self._reader, self._door, "bulk")
        if answer is None:
            return None
        first = await self._reader.ask(Reader.read, lambda conn: _first(conn, action, answer["bulk_id"]))
        return _begun(action, answer, first, words)


def known_kind(kind: str) -> None:
    """Raises `UsageError` for what no run is made by."""
    if kind not in _KINDS:
        raise UsageError(
            f"{kind!r} is no kind of a run{suggestion(kind, _KINDS)}: use one of {', '.join(_KINDS)}"
        )


def _begun(action: str, answer: Any, first: tuple[str, ...], words: str) -> ActionAsked:
    number, count = answer["bulk_id"], answer["count"]
    return ActionAsked(id=str(number), action=action, count=count, first=first, where=words)


def _named(conn: Any, action: str, of: str, whole: bool) -> tuple[int, tuple[str, ...]]:
    """How many, and the first of them: runs by their numbers, DAGs by their names."""
    found = reads.targets(conn, action, of, whole, MOST + 1)
    if len(found) > MOST:
        raise UsageError(f"more than {MOST} match: narrow the filter, and take the rest after that")
    return len(found), _said(conn, action, found[:_FIRST])


def _first(conn: Any, action: str, number: int) -> tuple[str, ...]:
    """The first of those that an action was begun for."""
    return _said(conn, action, reads.first_of(conn, number, _FIRST))


def _said(conn: Any, action: str, ids: list[int]) -> tuple[str, ...]:
    if action not in OF_DAGS:
        return tuple(map(str, ids))
    return tuple(reads.dag_names(conn, ids))


def known_action(action: str, actions: tuple[str, ...]) -> None:
    if action not in actions:
        raise UsageError(
            f"{action!r} is no such action{suggestion(action, actions)}: use {' or '.join(actions)}"
        )


def _mark(
    action: str, dag: str | None, task: str | None, to: str | None, downstream: bool
) -> dict[str, Any] | None:
    """What a mark is given beside its run; None: it is no mark."""
    if action != "mark":
        if task is not None or to is not None or downstream:
            raise UsageError(f"`task`, `to` and `downstream` go with mark: a {action} is of whole runs")
        return None
    if task is None or to not in set(MARKS) or dag is None:
        raise UsageError(
            f"mark what? say the `task`, what it becomes (`to`: {', '.join(MARKS)}), and of which `dag`: a mark of many is "
            "of the runs of one DAG, or of those that its name with * matches"
        )
    if "[" in task:
        raise UsageError(f"a mark of many is of whole tasks: leave the index of {task} out")
    return {"task": task, "state": to, "downstream": downstream}


def _task_states(action: str, said: str | None) -> tuple[str, ...]:
    """The states in which a mark finds the task."""
    if said is None:
        return ()
    if action != "mark":
        raise UsageError(f"`task_state` goes with mark: a {action} is of whole runs")
    states = tuple(dict.fromkeys(said.split(",")))
    for each in states:
        if each not in set(State):
            raise UsageError(
                f"{each!r} is no state of a task{suggestion(each, State)}: use one of {', '.join(State)}"
            )
    return states


def _words(said: tuple[tuple[str, str | None], ...]) -> str:
    return " ".join(f"{name}={value}" for name, value in said if value is not None) or "all"


def _where(of: Filter) -> str:
    return of.words or _words(
        (
            ("task", of.task or None),
            ("task_state", ",".join(of.task_states) or None),
            ("to", of.to or None),
            ("dag", of.dag or None),
            ("state", ",".join(of.states) or None),
            ("kind", of.kind or None),
            ("since", iso_or_none(of.since_us)),
            ("until", iso_or_none(of.until_us)),
        )
    )
