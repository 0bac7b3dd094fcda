"""Failure handlers and the callbacks of a graph: whether one starts, told from how others have ended.

They hear of ends by the same counters as any task of its upstreams, so nothing of it is lost with the
process, and nothing is scanned. Pure judgement: `life.py` acts on it.
"""

from __future__ import annotations

from bide.runtime.engine.messages import Failure
from bide.runtime.engine.states import OVER, State
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance, Run
from bide.runtime.graph.rules import Verdict
from bide.runtime.graph.spec import Role, TaskSpec


def as_heard(task: TaskSpec, role: Role, state: State) -> State:
    """How the end of a task counts for a handler or a callback that hears of it.

    A handler is for a task that failed itself; a callback for a run that fails. What was cancelled,
    or may fail without harm to its run, has not failed for that.
    """
    if state is State.SUCCESS or state not in OVER:
        return state
    if role is Role.HANDLER:
        return state if state is State.FAILED else State.SKIPPED
    return State.FAILED if task.fails_run and state in _BAD else State.SKIPPED


_BAD = frozenset({State.FAILED, State.UPSTREAM_FAILED})


def verdict_of(inst: Instance) -> tuple[Verdict, str]:
    """What becomes of a handler or callback by now, and why. Final when it is not `WAIT`."""
    task = inst.task
    done = inst.n_success + inst.n_failed + inst.n_skipped == inst.run.compiled.waiting[inst.ix]
    match task.role:
        case Role.HANDLER if inst.n_failed:
            return Verdict.RUN, ""
        case Role.HANDLER if done:
            themselves = "themselves" if len(task.handles) > 1 else "itself"
            return (
                Verdict.SKIP,
                f"{named(task.handles)} did not fail{f' {themselves}' if inst.n_skipped else ''}",
            )
        case Role.ON_ALL_FAILED if done:
            return (Verdict.RUN, "") if inst.n_failed else (Verdict.SKIP, "nothing failed")
        case Role.ON_SUCCESS if done:
            if inst.n_failed:
                return Verdict.SKIP, "not everything succeeded"
            if inst.n_success or not all_cancelled(inst.run):
                return Verdict.RUN, ""
            return Verdict.SKIP, "every task was cancelled"
    return Verdict.WAIT, ""


def named(names: tuple[str, ...], most: int = 3) -> str:
    """`a`, `a and b`, `a, b, c and 2 more`.

    >>> named(("a", "b", "c", "d", "e"))
    'a, b, c and 2 more'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([*filter(None, [", ".join(names[:-1])]), names[-1]])


def all_cancelled(run: Run) -> bool:
    """Whether no task of the main graph ended in another way. Stops at the first that did."""
    return all(inst.state is State.CANCELLED for inst in run.instances if inst.task.role is Role.TASK)


def note(t: Turn, inst: Instance, failure: Failure) -> None:
    """Keep what kind of error ended a task, for those who are told of it; its message is its reason."""
    if inst.run.compiled.handled and failure.mro:
        t.changes.failures.append((inst.instance_id, failure.mro[0], t.now))


def ended_words(run: Run) -> str:
    """Why a run has failed: its tasks, then the handlers and callbacks that failed on their part."""
    failed = [inst for inst in run.instances if inst.state is State.FAILED and inst.task.fails_run]
    tasks = [inst.task.name for inst in failed if inst.task.role is Role.TASK]
    beside = [
        f"{_WHAT[inst.task.role]} {inst.task.name}" for inst in failed if inst.task.role is not Role.TASK
    ]
    if not tasks and not beside:
        return "failed: an upstream"
    said = ", ".join(tasks[:3]) + (", ..." if len(tasks) > 3 else "")
    return f"failed: {'; '.join(filter(None, [said, *beside[:3]]))}"


_WHAT = {
    Role.HANDLER: "the failure handler",
    Role.ON_ALL_FAILED: "the callback on_all_failed",
    Role.ON_SUCCESS: "the callback on_success",
}
