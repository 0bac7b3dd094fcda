"""What makes a graph legal: names, ranges of options, known upstreams, no cycle."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from typing import Any

from bide.runtime.errors import GraphError
from bide.runtime.graph.handlers import check_handlers
from bide.runtime.graph.spec import DagSpec, Role, TaskSpec

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,200}")


def check_name(name: object, what: str) -> str:
    """`name`, or `GraphError`: 1 to 200 letters, digits, `_`, `.`, `-`.

    >>> check_name("load_2", "task")
    'load_2'
    """
    if not isinstance(name, str):
        raise GraphError(f"the name of a {what} is a string, not {name!r}")
    if _NAME.fullmatch(name) is None:
        raise GraphError(
            f"{name[:80]!r} cannot be the name of a {what}: use 1 to 200 letters, digits, `_`, `.` and `-`"
        )
    return name


def check_ranges(owner: str, options: Mapping[str, Any]) -> None:
    """Refuse options of a task that cannot be meant. `owner` begins the sentence: "task 'load'"."""
    for key, least in (
        ("retries", 0),
        ("max_lost", 0),
        ("slots", 1),
        ("max_active", 1),
        ("memory_limit", 1),
        ("max_map", 1),
    ):
        value = options.get(key)
        if value is not None and (type(value) is not int or value < least):
            raise GraphError(f"{owner}: {key} is {value!r}, and must be a whole number, {least} or more")
    for key in ("timeout_us", "deadline_us", "max_retry_delay_us"):
        value = options.get(key)
        if value is not None and value <= 0:
            raise GraphError(f"{owner}: {key.removesuffix('_us')} must be longer than nothing")
    if options.get("retry_delay_us", 0) < 0:
        raise GraphError(f"{owner}: retry_delay must not be negative")
    jitter = options.get("jitter", 0.0)
    if not 0 <= jitter <= 1:
        raise GraphError(f"{owner}: jitter is {jitter!r}, and must be between 0 and 1 (a share of the delay)")
    backoff = options.get("backoff", 1.0)
    if not 1 <= backoff <= 1000:
        raise GraphError(f"{owner}: backoff is {backoff!r}, and must be 1 (the same delay) or more")
    if type(options.get("priority", 0)) is not int:
        raise GraphError(f"{owner}: priority is {options['priority']!r}, and must be a whole number")


def check_graph(spec: DagSpec) -> None:
    """Refuse a graph that cannot be run; a cycle is named with its path."""
    check_name(spec.name, "DAG")
    names = set()
    for task in spec.tasks:
        check_name(task.name, "task")
        if task.name in names:
            raise GraphError(f"the DAG {spec.name!r} has two tasks named {task.name!r}")
        names.add(task.name)
    for task in spec.tasks:
        for up in task.upstream:
            if up not in names:
                raise GraphError(
                    f"the task {task.name!r} of the DAG {spec.name!r} stands after {up!r}, "
                    f"which is no task of it{suggestion(up, names)}"
                )
            if up == task.name:
                raise GraphError(f"the task {up!r} cannot stand after itself")
        for up in task.setups:
            if up not in task.upstream:
                raise GraphError(
                    f"the tear-down {task.name!r} of the DAG {spec.name!r} has the set-up {up!r}, "
                    "and does not stand after it"
                )
    if any(task.role is not Role.TASK or task.handles for task in spec.tasks):
        check_handlers(spec)
    if not _in_order(spec.tasks):
        _refuse_cycles(spec)


def _in_order(tasks: Iterable[TaskSpec]) -> bool:
    """Whether each task is declared after its upstreams: then there is no cycle."""
    seen: set[str] = set()
    for task in tasks:
        if not seen.issuperset(task.upstream) or not seen.issuperset(task.handles):
            return False
        seen.add(task.name)
    return True


def _refuse_cycles(spec: DagSpec) -> None:
    sorter = TopologicalSorter({task.name: (*task.upstream, *task.handles) for task in spec.tasks})
    try:
        sorter.prepare()
    except CycleError as error:
        path = " -> ".join(error.args[1])
        raise GraphError(f"the DAG {spec.name!r} has a cycle: {path}: take one of these edges away") from None


def suggestion(name: str, known: Iterable[str]) -> str:
    """`: did you mean 'load'?`, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, [str(each) for each in known], n=1)
    return f": did you mean {close[0]!r}?" if close else ""
