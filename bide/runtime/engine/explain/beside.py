"""What stands beside a graph, in words: when a handler or a callback starts, and what for."""

from __future__ import annotations

from typing import Final

from bide.runtime.engine.explain.facts import InstanceFacts, Upstream
from bide.runtime.engine.explain.words import because
from bide.runtime.engine.handling import named
from bide.runtime.engine.states import OVER, State
from bide.runtime.graph.handlers import CALLBACKS
from bide.runtime.graph.spec import Role, TaskSpec

_OVER: Final = frozenset(state.value for state in OVER)
_BAD: Final = (State.FAILED.value, State.UPSTREAM_FAILED.value)


def starts_when(task: TaskSpec) -> str:
    """When it starts, of a handler or a callback.

    >>> from bide.runtime.graph.spec import Lane
    >>> starts_when(TaskSpec(name="alert", lane=Lane.ASYNC, role=Role.HANDLER, handles=("load",)))
    'starts only if load fails'
    """
    match task.role:
        case Role.HANDLER if len(task.handles) == 1:
            return f"starts only if {task.handles[0]} fails"
        case Role.HANDLER:
            return f"starts only if one of {named(task.handles)} fails"
        case Role.ON_ALL_FAILED:
            return "starts once, when all else has ended, if something of it failed"
        case _:
            return "starts once, when all else has ended, if nothing of it failed"


def explain_pending(f: InstanceFacts) -> tuple[str, tuple[tuple[str, str], ...], str | None]:
    """Of a handler or callback that has not started: what it waits for."""
    still = [up for up in f.upstreams if up.state not in _OVER]
    told = ", ".join(f"{up.task} ({up.state})" for up in still[:5])
    more = f" and {len(still) - 5} more" if len(still) > 5 else ""
    sentence = f.starts_when
    if still and f.role in CALLBACKS:
        sentence += f": {len(still)} of {len(f.upstreams)} have not ended: {told}{more}"
    elif still:
        sentence += f": {told}{more}"
    details = tuple((up.task, up.state + because(up.reason)) for up in f.upstreams[:20])
    return sentence, details, f"see `bide why {f.run} {still[0].task}`" if still else None


def what_for(f: InstanceFacts) -> tuple[tuple[str, str], ...]:
    """Of a handler or callback that has started: the failures that it is for. Of a task: its handlers."""
    if f.role is Role.TASK:
        return tuple(("failure handler", f"{each.task} ({each.state})") for each in f.handlers)
    if f.role is Role.ON_SUCCESS or f.state in (State.PENDING, State.SKIPPED, State.CANCELLED):
        return ()
    bad: list[Upstream] = [up for up in f.upstreams if up.state in _BAD[: 1 if f.role is Role.HANDLER else 2]]
    return tuple(("is for", f"{up.task}: {up.state}{because(up.reason)}") for up in bad[:20])
