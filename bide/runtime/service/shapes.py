"""The JSON that every door gives: terminal (`--json`), REST, socket. Keys are stable.

Instants are ISO 8601 in UTC, ids are strings, absent is null. One struct a shape; the field order
is the key order.
"""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime.clock import from_us
from bide.runtime.service.said_words import AlertWord, Id, Instant, RunWord, TaskWord


class _Shape(msgspec.Struct, frozen=True, kw_only=True):
    pass


class Interval(_Shape, frozen=True):
    """A data interval, `[start, end)`."""

    start: Instant
    end: Instant


class DagLine(_Shape, frozen=True):
    """`code_error`: why its code is not loaded, null when it is or no runtime says; what fires then waits for it."""

    dag: str
    schedule: str
    paused: bool
    next_fires_at: Instant | None
    last_state: RunWord | None
    code_error: str | None = None


class Finding(_Shape, frozen=True):
    """What `check` says of DAG files: `level` is error or warning, `code` stays the same."""

    level: str
    code: str
    dag: str | None
    task: str | None
    file: str | None
    message: str


class DueLine(_Shape, frozen=True):
    """One firing to come: when, and for which interval."""

    fires_at: Instant
    interval: Interval


class SkipLine(_Shape, frozen=True):
    """The firings from `fires_at` to `until`, both included, were not run."""

    fires_at: Instant
    until: Instant
    reason: str
    decided_at: Instant


class HeldLine(_Shape, frozen=True):
    """What a schedule waits for, without a run."""

    trigger: str
    since: Instant
    firings: int
    fired_at: Instant | None


class Timetable(_Shape, frozen=True):
    """A DAG's schedule in words, its next firings, missed ones that are still to be run, and those not run."""

    dag: str
    schedule: str
    tz: str
    paused: bool
    catchup: str
    overlap: str
    firings: tuple[DueLine, ...]
    catching_up: tuple[Interval, ...]
    waits_for: tuple[HeldLine, ...]
    skipped: tuple[SkipLine, ...]
    code_error: str | None = None


class DagTask(_Shape, frozen=True):
    """A task of a DAG: `group` is empty outside of one, `does` is sensor, command, branch, set-up, handler, ...

    `handles` are the tasks whose failure starts it, of a handler; `promise` is by when it is to have ended, where that is said.
    """

    task: str
    group: str
    does: str
    upstream: tuple[str, ...]
    handles: tuple[str, ...] = ()
    promise: str | None = None


class DagShown(_Shape, frozen=True):
    """A DAG as it was last loaded. `params` is the JSON Schema of what a run of it takes; `promise` is by when a run is to have
    ended, in words, null where nothing is promised.
    """

    dag: str
    schedule: str
    paused: bool
    next_fires_at: Instant | None
    last_state: RunWord | None
    tz: str
    owner: str
    tags: tuple[str, ...]
    doc: str
    params: dict[str, Any]
    tasks: tuple[DagTask, ...]
    promise: str | None = None
    code_error: str | None = None


class RunLine(_Shape, frozen=True):
    run_id: Id
    dag: str
    state: RunWord
    kind: str
    logical_date: Instant
    created_at: Instant
    started_at: Instant | None
    ended_at: Instant | None
    reason: str


class TaskLine(_Shape, frozen=True):
    """`map_index` is -1 for a task that is not mapped; `attempts` counts starts, of any outcome.

    `role` is `task`, `handler`, `on_all_failed` or `on_success`.

    `slot_seconds` is how long attempts that are over have held a slot, all of them together.
    """

    task: str
    map_index: int
    state: TaskWord
    attempts: int
    reason: str
    slot_seconds: float = 0.0
    role: str = "task"

    @property
    def place(self) -> str:
        """By which a run's tasks are read page by page."""
        return self.task if self.map_index < 0 else f"{self.task}[{self.map_index}]"


class AlertLine(_Shape, frozen=True):
    """What somebody should know. `kind`: run, task or asset (it is late), failure, quality, approval, ...

    `state` is new, taken or acked. `promise` and `due` say what was not kept, where something was promised.
    """

    id: Id
    kind: str
    subject: str
    run_id: Id | None
    promise: str
    due: Instant
    fired: Instant
    state: AlertWord
    text: str
    severity: str = "major"
    owners: tuple[str, ...] = ()


class RunShown(_Shape, frozen=True):
    """`alerts` are those of the run and of its tasks, the newest first; `kind` is what made it, as in `runs`.

    `made` says why it was made, `who` asked for it where somebody did, `reason` why it is as it is; `version` is the hash of the graph that it runs. `params` are what
    it was made with, defaults included and secrets masked: `hidden` are the parameters in which something is. They are null
    where they have more than 64 KiB, which `params_bytes` tells.
    """

    run_id: Id
    dag: str
    state: RunWord
    logical_date: Instant
    interval: Interval
    tasks: tuple[TaskLine, ...]
    alerts: tuple[AlertLine, ...] = ()
    kind: str = ""
    version: str = ""
    reason: str = ""
    made: str = ""
    who: str | None = None
    params: dict[str, Any] | None = None
    params_bytes: int = 0
    hidden: tuple[str, ...] = ()


class WaitLine(_Shape, frozen=True):
    """An open wait. `trigger` is what is waited for in words, `source` what sees it.

    `run_id`, `task` and `deadline` are null where the schedule of `dag` waits. `last_look` and
    `next_look` are null when no runtime holds it.
    `saw` is what the last look saw, or why it saw nothing; `failures`: looks in a row that saw nothing; `sharers`: waits that
    one look serves, 0 where none is needed; `every_seconds`: how far apart looks are while nothing fails. `key` names a wait
    within a body.
    """

    id: Id
    run_id: Id | None
    task: str | None
    trigger: str
    source: str
    since: Instant
    deadline: Instant | None
    next_look: Instant | None
    last_look: Instant | None
    dag: str = ""
    kind: str = ""
    saw: str = ""
    every_seconds: float | None = None
    looks: int | None = None
    failures: int = 0
    sharers: int = 0
    key: str = ""


class Detail(_Shape, frozen=True):
    what: str
    value: str


class WhyShown(_Shape, frozen=True):
    """Why a run (`task` null) or a task instance is in its state; `next` is what comes or what to do."""

    run_id: Id
    task: str | None
    state: str
    why: str
    since: Instant | None
    details: tuple[Detail, ...]
    next: str | None


class LogPart(_Shape, frozen=True):
    """A piece of an attempt's log. Ask again from `next_offset`; `over`: nothing more will come."""

    attempt: int
    text: str
    next_offset: int
    over: bool


class Triggered(_Shape, frozen=True):
    run_id: Id


class Done(_Shape, frozen=True):
    """A command was carried out. `result` is what the verb has to say, if anything."""

    done: str
    result: Any = None


class Check(_Shape, frozen=True):
    """One thing `doctor` looked at. `advice` is empty when it is well; a note may be well and advise."""

    name: str
    ok: bool
    found: str
    advice: str


class Setting(_Shape, frozen=True):
    """A setting in force. `origin`: default, a file's path, a variable's name, or flag."""

    key: str
    value: Any
    origin: str


class Health(_Shape, frozen=True):
    ok: bool
    checks: tuple[Check, ...]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """An error over HTTP (RFC 9457). `code` is the class's name in `bide.runtime.errors`."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


def iso(at_us: int) -> str:
    """An instant as ISO 8601 in UTC, microseconds only where there are any.

    >>> iso(1781481600000000), iso(1781481600000001)
    ('2026-06-15T00:00:00Z', '2026-06-15T00:00:00.000001Z')
    """
    return from_us(at_us).isoformat().replace("+00:00", "Z")


def iso_or_none(at_us: int | None) -> str | None:
    return None if at_us is None else iso(at_us)
