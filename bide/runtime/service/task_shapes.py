"""The JSON of task instances: one with all that stands around it, and those of all runs by filter."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.code_shapes import CodeLine
from bide.runtime.service.said_words import AttemptWord, Id, Instant, RunWord, TaskWord
from bide.runtime.service.shapes import Interval, _Shape


class AttemptLine(_Shape, frozen=True):
    """One try. `queued_s`: it wanted a slot for so long; `slot_s`: it held one; `waited_s`: it went on without one.

    `metrics` are the numbers that the body gave, `log_bytes` how long its log is now. `code` is the text of the DAG that it was
    begun with; null where none is known any more.
    """

    attempt: int
    state: AttemptWord
    started_at: Instant
    ended_at: Instant | None
    queued_s: float
    slot_s: float
    waited_s: float
    error: str | None
    metrics: dict[str, Any]
    log_bytes: int
    code: CodeLine | None = None


class TaskWait(_Shape, frozen=True):
    """A wait of the task, open or over. `trigger` is what is waited for in words; `name` is empty for a sensor's."""

    id: Id
    name: str
    trigger: str
    source: str
    state: str
    since: Instant
    deadline: Instant
    ended_at: Instant | None
    last_look: Instant | None
    next_look: Instant | None
    answer: str
    event: Any
    reason: str


class TaskInput(_Shape, frozen=True):
    """What the body, the command or the sensor is given, templates filled in. `upstream`: whose result it is.

    `value` is null where only the code knows it, or the result is not there; `secret`: its name alone is known.
    """

    name: str
    value: Any
    upstream: str | None = None
    secret: bool = False
    code: bool = False


class Beside(_Shape, frozen=True):
    """A task next to another one in the graph; `state` is null where it is not made yet."""

    task: str
    state: TaskWord | None
    since: Instant | None
    reason: str


class TaskShown(_Shape, frozen=True):
    """A task instance and what stands around it.

    `map_index` is -1 for one that is not mapped, and for the task that stands for its instances: `instances` counts those
    by state. `inputs` are as the run of now would be given them; `result` is null where it has more than 64 KiB, which
    `result_bytes` tells. `attempts` are the newest 100, oldest first; so are `waits`.
    """

    run_id: Id
    dag: str
    task: str
    map_index: int
    state: TaskWord
    since: Instant
    reason: str
    run_state: RunWord
    logical_date: Instant
    interval: Interval
    does: str
    lane: str
    group: str
    owner: str
    doc: str
    rule: str
    pool: str | None
    slots: int
    priority: int
    retries: int
    failures: int
    timeout_s: float | None
    deadline: Instant | None
    due: Instant | None
    idempotent: bool
    idempotency_key: str
    inlets: tuple[str, ...]
    outlets: tuple[str, ...]
    inputs: tuple[TaskInput, ...]
    result: Any
    result_bytes: int | None
    upstream: tuple[Beside, ...]
    downstream: tuple[Beside, ...]
    instances: dict[str, int]
    attempts: tuple[AttemptLine, ...]
    waits: tuple[TaskWait, ...]


class TaskFound(_Shape, frozen=True):
    """A task instance of any run. `id` is its number, by which the listing is read page by page."""

    id: Id
    run_id: Id
    dag: str
    task: str
    map_index: int
    state: TaskWord
    since: Instant
    attempts: int
    logical_date: Instant
    run_state: RunWord
    reason: str
