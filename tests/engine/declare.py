"""Graphs for the tests of `decide`: specs in one line each."""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime.clock import SECOND
from bide.runtime.engine.messages import DagLoaded
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.source import source_of
from bide.runtime.graph.spec import (
    ApprovalSpec,
    DagSpec,
    Lane,
    MapSpec,
    Mode,
    OnTimeout,
    SensorSpec,
    TaskSpec,
    TriggerRule,
)
from bide.runtime.schedules import Manual, Schedule
from bide.triggers import kind_of
from bide.triggers.asset import AssetTrigger
from bide.triggers.external_task import ExternalTaskTrigger

HOUR_US = 3600 * SECOND


def seconds(of: float) -> int:
    return round(of * SECOND)


def job(
    name: str, *upstream: str, rule: str = "all_success", lane: Lane = Lane.ASYNC, **fields: Any
) -> TaskSpec:
    """A task; spans in seconds: `timeout`, `deadline`, `delay`, `max_delay`."""
    for given, field in (
        ("timeout", "timeout_us"), ("deadline", "deadline_us"), ("delay", "retry_delay_us"),
        ("max_delay", "max_retry_delay_us"),
    ):  # fmt: skip
        if given in fields:
            fields[field] = seconds(fields.pop(given))
    return TaskSpec(name=name, lane=lane, upstream=upstream, rule=TriggerRule(rule), **fields)


def sensor(
    name: str,
    *upstream: str,
    mode: str = "deferred",
    timeout: float = 3600,
    poll: float = 30,
    soft_fail: bool = False,
    on_timeout: str = "fail",
    waits_for: ExternalTaskTrigger | AssetTrigger | None = None,
    not_before: int | None = None,
    timeout_given: bool = True,
    **fields: Any,
) -> TaskSpec:
    """A sensor; `waits_for` makes it one of another DAG, else of a world that the test is.

    `not_before` is the instant (microseconds) before which its trigger cannot come true.
    """
    params = {} if waits_for is None else {"external": msgspec.to_builtins(waits_for)}
    if not_before is not None:
        params["not_before_us"] = not_before
    spec = SensorSpec(
        trigger="fake" if waits_for is None else kind_of(waits_for),
        params=params,
        timeout_us=seconds(timeout),
        poll_us=seconds(poll),
        mode=Mode(mode),
        soft_fail=soft_fail,
        on_timeout=OnTimeout(on_timeout),
        timeout_given=timeout_given,
    )
    return job(name, *upstream, lane=Lane.WAIT, sensor=spec, **fields)


def approval(
    name: str,
    *upstream: str,
    prompt: str = "",
    who: tuple[str, ...] = (),
    expires: float = 3600,
    on_reject: str = "fail",
    **fields: Any,
) -> TaskSpec:
    """A person is asked; `expires` in seconds."""
    spec = ApprovalSpec(prompt=prompt, who=who, expires_us=seconds(expires), on_reject=on_reject)
    return job(name, *upstream, lane=Lane.PERSON, approval=spec, **fields)


def mapped(
    name: str,
    *upstream: str,
    over: str | list[Any],
    shard: int | None = None,
    limit: int = 10_000,
    **fields: Any,
) -> TaskSpec:
    """A mapped task: over a list, or over the output of the task that `over` names."""
    ups = upstream if isinstance(over, list) else tuple(dict.fromkeys((over, *upstream)))
    item: Any = over if isinstance(over, list) else {"$out": over}
    spec = MapSpec(over=("item",), shard=shard, limit=limit)
    return job(name, *ups, map=spec, kwargs={"item": item}, **fields)


def loaded(name: str, *tasks: TaskSpec, schedule: Schedule | None = None, **options: Any) -> DagLoaded:
    """The input that loads a DAG of these tasks; options as the policy of a DAG has them, `text` that of its file."""
    text = options.pop("text", None)
    spec = DagSpec(
        name=name, tasks=tasks, params=options.pop("params", {}), tz=options.pop("tz", "UTC"),
        shadow=options.pop("shadow", False),
    )  # fmt: skip
    dag = Dag(spec, code={}, schedule=schedule or Manual())
    policy = {"max_active_runs": 100, "on_pause": "freeze", "catchup": "latest", **options}
    source = None if text is None else source_of(f"dags/{name}.py", text)
    return DagLoaded(
        name, dag.encoded, dag.hash, dag.schedule.to_json(), policy, file=f"dags/{name}.py", source=source
    )
