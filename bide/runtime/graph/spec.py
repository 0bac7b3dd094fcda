"""What was declared, as plain data: the form in which a DAG is hashed, stored, compiled and run.

A spec holds no code. `args` holds literals and references (see `values.py`); the function of a
task is found, when an attempt starts, in the newest loaded DAG of that name. There may be 100,000 of
them, and plain data has no cycles: the collector does not look at them (`gc=False`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from bide.runtime.assets.words import Semantics
from bide.runtime.schedules.promise import Promise


class TriggerRule(StrEnum):
    """When a task may start, judged on the end states of its direct upstreams."""

    ALL_SUCCESS = "all_success"  # every upstream succeeded
    ALL_DONE = "all_done"  # every upstream has ended, however
    ALL_FAILED = "all_failed"  # every upstream failed (or is upstream_failed)
    ONE_SUCCESS = "one_success"  # at least one succeeded; does not wait for the others
    ONE_FAILED = "one_failed"  # at least one failed; does not wait for the others
    NONE_FAILED = "none_failed"  # all ended, none failed: success or skipped
    NONE_FAILED_MIN_ONE_SUCCESS = "none_failed_min_one_success"  # the same, and one succeeded
    NONE_SKIPPED = "none_skipped"  # all ended, none skipped
    ALWAYS = "always"  # at once, whatever the upstreams do


class Lane(StrEnum):
    """Where the body of an attempt runs."""

    ASYNC = "async"  # a coroutine in the runtime's loop
    THREAD = "thread"  # a plain function in the runtime's own pool of threads
    PROCESS = "process"  # a plain function in a killable process of its own
    SHELL = "shell"  # a command, in a process group of its own
    WAIT = "wait"  # a sensor: no body
    PERSON = "person"  # an approval: no body, a person decides


class Mode(StrEnum):
    """How a sensor waits; what it waits for, and how it ends, is the same in all three."""

    DEFERRED = "deferred"  # a row and a registration: no slot, no coroutine
    RESCHEDULE = "reschedule"  # a slot for each look, none between looks
    POKE = "poke"  # a slot from the first look to the last


class OnTimeout(StrEnum):
    """What a sensor that ran out of time becomes."""

    FAIL = "fail"
    SKIP = "skip"
    SUCCEED = "succeed"  # goes on without: its output is null


class Role(StrEnum):
    """What a node is in its graph: handlers and callbacks stand beside the main graph (S2-21, S2-25)."""

    TASK = "task"
    HANDLER = "handler"  # starts only if one of the tasks that it handles fails
    ON_ALL_FAILED = "on_all_failed"  # starts once all else has ended, if something of it failed
    ON_SUCCESS = "on_success"  # starts once all else has ended, if nothing of it failed


class SensorSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a sensor waits for and how. `params` are the sensor's own, templates not yet rendered."""

    trigger: str
    params: dict[str, Any]
    timeout_us: int
    poll_us: int
    mode: Mode = Mode.DEFERRED
    soft_fail: bool = False
    backoff: float = 1.0
    on_timeout: OnTimeout = OnTimeout.FAIL
    timeout_given: bool = True  # by its author; the default one counts from when it can come true


class ShellSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A command, its environment and its folder: templates not yet rendered."""

    command: str
    env: dict[str, Any] = {}
    cwd: str | None = None


class ApprovalSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What a person is asked for. `prompt` is a template not yet rendered; "": the task's name is asked for."""

    prompt: str = ""
    who: tuple[str, ...] = ()  # who may decide, by name; empty: anybody
    expires_us: int | None = None  # from when it is asked; then it is denied; None: a day
    on_reject: str = "fail"  # or "skip": what becomes of the task when it is denied


class EffectSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Output that leaves the platform. `asset` names it among the assets: each delivery is a version of it."""

    asset: str
    target: str
    semantics: Semantics
    reversible: bool = False
    requires_approval: bool = False
    prompt: str = ""
    who: tuple[str, ...] = ()
    expires_us: int | None = None

    @property
    def name(self) -> str:
        """By what it is known: its name among the assets."""
        return self.asset


class MapSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A task that runs once for each item of a list: how the list becomes instances."""

    over: tuple[str, ...]  # the keyword arguments that are mapped; several go side by side
    shard: int | None = None  # the body gets lists of up to so many items; None: one item
    limit: int = 10_000  # the most instances that it may become


class TaskSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One node. Spans are microseconds; None means no limit."""

    name: str
    lane: Lane
    upstream: tuple[str, ...] = ()
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    rule: TriggerRule = TriggerRule.ALL_SUCCESS
    retries: int = 0
    retry_delay_us: int = 0
    backoff: float = 1.0
    max_retry_delay_us: int | None = None
    jitter: float = 0.0  # share of the delay, 0..1, added at random
    retry_on: tuple[str, ...] = ()  # class paths, "builtins.OSError"; empty: every Exception
    timeout_us: int | None = None  # active time of one attempt
    deadline_us: int | None = None  # from first ready to the end, waiting included
    idempotent: bool = True
    max_lost: int = 5  # starts lost in a row before the instance waits as `lost`
    pool: str | None = None
    slots: int = 1
    priority: int = 0  # higher first
    cost: dict[str, float] | None = None  # units of a budget that each start spends, by the budget's name
    max_active: int | None = None  # instances of this task at once, over all runs
    memory_limit: int | None = None  # bytes, process and shell lanes
    inlets: tuple[str, ...] = ()
    outlets: tuple[str, ...] = ()
    owner: str = ""
    doc: str = ""
    sensor: SensorSpec | None = None
    shell: ShellSpec | None = None
    group: str = ""  # the group it stands in, with those around it: "extract.daily"
    branch: bool = False  # its output names those right downstream that run
    setup: bool = False  # makes what others need, and a tear-down takes away
    teardown: bool = False  # takes away; starts when all upstreams have ended, however
    setups: tuple[str, ...] = ()  # of a tear-down: it runs when one of them succeeded
    fails_run: bool = True  # its failure fails the run
    depends_on_past: bool = False  # not before this task of the run before ended well
    alert: Promise | None = None  # when it is late; it goes on
    promises: dict[str, Promise] | None = (
        None  # of its outlets: by when a version of an interval is to be there
    )
    role: Role = Role.TASK
    handles: tuple[str, ...] = ()  # of a handler: the tasks whose failure starts it
    map: MapSpec | None = None
    approval: ApprovalSpec | None = None
    effect: EffectSpec | None = None


class DagSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A whole DAG but for its schedule: tasks stand in declaration order, upstreams by name."""

    name: str
    tasks: tuple[TaskSpec, ...]
    tz: str = "UTC"
    params: dict[str, Any] = {}
    param_schemas: dict[str, dict[str, Any]] = {}  # of those declared as a `Param`: JSON Schema
    max_active_runs: int = 1
    max_active_tasks: int | None = None
    deadline_us: int | None = None  # of a run, from its creation
    on_pause: str = "freeze"  # or "run"
    owner: str = ""
    tags: tuple[str, ...] = ()
    doc: str = ""
    shadow: bool = False  # its runs compute, stage and check, and publish nothing
