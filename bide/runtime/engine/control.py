"""Dynamic control within a run: what a branch chose, what was skipped with all below it, tear-downs.

`Run.choices` says of an instance that is over what it lets go on right downstream: for a branch
the tasks that its choice spares, None for one that cut off all that stands below it. To whom it
did not choose a branch counts as skipped. Each entry is a row (`choice`), so a crash between the
end of a branch and what follows from it changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from bide.runtime.engine import handling
from bide.runtime.engine.messages import AttemptEnded, Failure
from bide.runtime.engine.states import OVER, AttemptState, State
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import Instance, Run
from bide.runtime.errors import GraphError
from bide.runtime.graph.branching import chosen, spared
from bide.runtime.graph.rules import Verdict
from bide.runtime.graph.spec import Role, TriggerRule

EARLY = frozenset({TriggerRule.ONE_SUCCESS, TriggerRule.ONE_FAILED, TriggerRule.ALWAYS})
"""Rules that do not wait for all upstreams: a branch that did not choose them is skipped to them, no more."""


# --- choices ---------------------------------------------------------------------------------------


def decided(t: Turn, inst: Instance, e: AttemptEnded) -> AttemptEnded:
    """The end of a branch with its choice noted and as its output; failed when it cannot be meant."""
    if e.state is AttemptState.SKIPPED and e.cuts:
        _note(t, inst, None)
        return e
    if not inst.task.branch or e.state is not AttemptState.SUCCESS:
        return e
    run = inst.run
    below = [run.compiled.tasks[place] for place in run.compiled.downstream[inst.ix]]
    names = [task.name for task in below if task.role is Role.TASK]
    returned = msgspec.json.decode(e.output) if e.output is not None else []
    try:
        taken = chosen(inst.task.name, inst.task.group, returned, names)
    except GraphError as error:
        failure = Failure(str(error), final=True)
        return msgspec.structs.replace(e, state=AttemptState.FAILED, output=None, failure=failure)
    _note(t, inst, taken)
    return msgspec.structs.replace(e, output=msgspec.json.encode(taken))


def _note(t: Turn, inst: Instance, taken: list[str] | None) -> None:
    text = msgspec.json.encode(taken).decode()
    remember(inst.run, inst.task.name, text)
    t.changes.choices[inst.instance_id] = (inst.instance_id, text)


def remember(run: Run, task: str, text: str) -> None:
    """Take a row up into the world."""
    compiled = run.compiled
    ix = compiled.index[task]
    names: list[str] | None = msgspec.json.decode(text)
    if names is None:
        run.choices[ix] = None
        return
    places = [compiled.index[name] for name in names]
    run.choices[ix] = spared(places, compiled.beyond.get(ix, {}))


def forget(t: Turn, inst: Instance) -> None:
    """It runs again, or was ended by hand: what it had chosen counts no more."""
    if inst.ix in inst.run.choices:
        del inst.run.choices[inst.ix]
        t.changes.choices.pop(inst.instance_id, None)
        t.changes.choices_gone.append((inst.instance_id,))


def as_seen(run: Run, up: int, below: int, state: State) -> State:
    """How the end of an upstream counts for one right below it."""
    if run.compiled.handled and (role := run.compiled.tasks[below].role) is not Role.TASK:
        return handling.as_heard(run.compiled.tasks[up], role, state)
    if run.choices and state is State.SUCCESS and not _lets(run, up, below):
        return State.SKIPPED
    return state


def _lets(run: Run, up: int, below: int) -> bool:
    if up not in run.choices:
        return True
    kept = run.choices[up]
    return kept is not None and below in kept


# --- verdicts --------------------------------------------------------------------------------------


def overruled(t: Turn, inst: Instance, answer: Verdict) -> tuple[Verdict, str]:
    """What becomes of a pending instance, and why, where its rule is not all there is to say.

    Called at each end above it; its upstreams are looked through once, when its rule has decided.
    """
    if answer is Verdict.WAIT or answer is Verdict.UPSTREAM_FAILED:
        return answer, ""
    if inst.task.teardown:
        return _torn(inst) if inst.task.setups else (answer, "")
    if answer is Verdict.RUN and inst.task.rule in EARLY:
        return answer, ""
    run = inst.run
    held_up = [up for up in run.compiled.upstream[inst.ix] if not _lets(run, up, inst.ix)]
    for up in held_up:
        if run.choices[up] is None:
            _note(t, inst, None)
            by = run.instances[up]
            said = by.reason if by.reason.startswith(_CUT) else f"{_CUT}{by.task.name}: {by.reason}"
            return Verdict.SKIP, said
    if not held_up:
        return answer, ""
    names = " and ".join(sorted(run.instances[up].task.name for up in held_up))
    return Verdict.SKIP, f"not chosen by {names}"


_CUT = "skipped with all that stands below "


def _torn(inst: Instance) -> tuple[Verdict, str]:
    """A tear-down whose upstreams have all ended: it has something to do if a set-up succeeded."""
    run = inst.run
    ups = [run.instances[run.compiled.index[name]] for name in inst.task.setups]
    if any(up.state is State.SUCCESS for up in ups):
        return Verdict.RUN, ""
    told = ", ".join(f"{up.task.name} ({up.state.value})" for up in ups)
    said = f"there is nothing to tear down: {told}"
    if all(up.state is State.SKIPPED for up in ups):
        return Verdict.SKIP, said
    return Verdict.UPSTREAM_FAILED, said


CLOSING = "being cancelled, its tear-downs first"


def owed(run: Run) -> list[Instance]:
    """The tear-downs that have something to take away, and have not ended."""
    return [
        inst
        for inst in run.instances
        if inst.task.setups
        and inst.state not in OVER
        and inst.state is not State.LOST
        and any(run.instances[run.compiled.index[up]].state is State.SUCCESS for up in inst.task.setups)
    ]


def made_again(run: Run, chosen: set[int]) -> set[int]:
    """What has to run again beside `chosen` because it was torn down: set-ups, and what hangs on them.

    Of a tear-down that has run: itself and its set-ups, and of its scope what stands above and
    below what is chosen. It was made with what is no more, and the tear-down waits for the last of it.
    """
    found: set[int] = set()
    for inst in run.instances:
        task = inst.task
        if not task.setups or inst.state not in OVER or inst.attempt == 0:
            continue
        setups = {run.compiled.index[name] for name in task.setups}
        scope = _reach(run.compiled.downstream, setups) & _reach(run.compiled.upstream, {inst.ix})
        inner = (chosen - {inst.ix}) & scope - setups
        if chosen & setups:
            found.add(inst.ix)
        if inner:
            beside = _reach(run.compiled.upstream, inner) | _reach(run.compiled.downstream, inner)
            found |= setups | {inst.ix} | (beside & scope)
    return found - chosen


def _reach(edges: Sequence[Sequence[int]], start: set[int]) -> set[int]:
    """What the edges lead to from `start`, itself left out where they do not lead back."""
    seen: set[int] = set()
    edge = [to for ix in start for to in edges[ix]]
    while edge:
        at = edge.pop()
        if at not in seen:
            seen.add(at)
            edge.extend(edges[at])
    return seen
