"""Handlers and callbacks beside a graph: what each of them waits on, and which of them cannot be.

A handler starts only if a task that it handles fails. A callback of the graph starts once, when
everything else has ended: all tasks, and all handlers but those of callbacks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from bide.runtime.errors import GraphError
from bide.runtime.graph.spec import DagSpec, Role, TaskSpec, TriggerRule

CALLBACKS = frozenset({Role.ON_ALL_FAILED, Role.ON_SUCCESS})


def waits_on(tasks: Collection[TaskSpec]) -> dict[str, tuple[str, ...]]:
    """Handler or callback -> the nodes whose ends it is told of.

    >>> from bide.runtime.graph.spec import Lane
    >>> def node(name, **fields): return TaskSpec(name=name, lane=Lane.ASYNC, **fields)
    >>> waits_on([
    ...     node("a"), node("alert", role=Role.HANDLER, handles=("a",)),
    ...     node("cleanup", role=Role.ON_ALL_FAILED), node("page", role=Role.HANDLER, handles=("cleanup",)),
    ... ])
    {'alert': ('a',), 'cleanup': ('a', 'alert'), 'page': ('cleanup',)}
    """
    last = behind(tasks)
    everything = tuple([task.name for task in tasks if task.name not in last])
    return {
        task.name: everything if task.role in CALLBACKS else task.handles
        for task in tasks
        if task.role is not Role.TASK
    }


def behind(tasks: Iterable[TaskSpec]) -> set[str]:
    """The callbacks of a graph and the handlers of these: nothing waits for them but each other."""
    found: set[str] = set()
    below: dict[str, list[str]] = {}
    for task in tasks:
        if task.role in CALLBACKS:
            found.add(task.name)
        for name in task.handles:
            below.setdefault(name, []).append(task.name)
    left = list(found)
    while left:
        for name in below.get(left.pop(), ()):
            if name not in found:
                found.add(name)
                left.append(name)
    return found


def check_handlers(spec: DagSpec) -> None:
    """Refuse handlers and callbacks that cannot be meant. Names are known to be unique."""
    by_name = {task.name: task for task in spec.tasks}
    last = behind(spec.tasks)
    callbacks: dict[Role, str] = {}
    for task in spec.tasks:
        _check_edges(spec, task, by_name)
        if task.role in CALLBACKS:
            if task.role in callbacks:
                raise GraphError(
                    f"the DAG {spec.name!r} has two callbacks {task.role.value}, {callbacks[task.role]!r} and "
                    f"{task.name!r}: one a graph; call the second from the first"
                )
            callbacks[task.role] = task.name
        if task.name in last and (early := [name for name in task.handles if name not in last]):
            raise GraphError(
                f"{task.name!r} handles failures of {early[0]!r} and of a callback of the graph, which waits for "
                "it: give the callback a handler of its own"
            )


def _check_edges(spec: DagSpec, task: TaskSpec, by_name: dict[str, TaskSpec]) -> None:
    if (task.role is Role.HANDLER) is not bool(task.handles):
        raise GraphError(
            f"{task.name!r} is a {task.role.value} of the DAG {spec.name!r} and handles {task.handles}"
        )
    if task.role is not Role.TASK and (wrong := _unfit(task)):
        raise GraphError(
            f"{task.name!r} is a {task.role.value} of the DAG {spec.name!r}, and has {wrong}: a handler or callback "
            "stands beside the graph and starts by how that ended; leave it out"
        )
    for name in task.handles:
        if name not in by_name:
            raise GraphError(
                f"{task.name!r} handles failures of {name!r}, which is no task of the DAG {spec.name!r}"
            )
        if name == task.name:
            raise GraphError(f"the DAG {spec.name!r} has a cycle: {name!r} handles its own failure")
    for name in task.upstream:
        beside = next((each for each in (task, by_name[name]) if each.role is not Role.TASK), None)
        if beside is not None:
            raise GraphError(
                f"{beside.name!r} is a {beside.role.value} of the DAG {spec.name!r}, beside its main graph: "
                f"the edge {name!r} -> {task.name!r} cannot be"
            )


def _unfit(task: TaskSpec) -> str:
    """An option that means something within a graph only."""
    options = {
        f"trigger_rule={task.rule.value!r}": task.rule is not TriggerRule.ALL_SUCCESS,
        "branch=True": task.branch,
        "setup=True": task.setup,
        "teardown=True": task.teardown,
        "depends_on_past=True": task.depends_on_past,
        "a list that it is mapped over": task.map is not None,
    }
    return next((option for option, given in options.items() if given), "")
