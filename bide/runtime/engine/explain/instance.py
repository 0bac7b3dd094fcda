"""Why a task instance is in its state: one sentence for each, and what happens next."""

from __future__ import annotations

from typing import Final

from bide.runtime.engine.assets.delivery_state import STOPPING as HELD_UP
from bide.runtime.engine.assets.delivery_state import UNDER_WAY
from bide.runtime.engine.budgets import WAITS
from bide.runtime.engine.explain.beside import explain_pending, what_for
from bide.runtime.engine.explain.facts import Behind, InstanceFacts, Look, Upstream, WaitFacts, Why
from bide.runtime.engine.explain.words import (
    ASLEEP,
    STOPPING,
    because,
    instant_words,
    late_words,
    progress_words,
    span_words,
)
from bide.runtime.engine.states import RunState, State
from bide.runtime.graph.spec import Role


def explain_instance(f: InstanceFacts, now: int) -> Why:
    """Why this task instance is in the state it is in, and what happens next."""
    sentence, details, after = _instance(f, now)
    told = any(wait.deadline_us == f.deadline_us for wait in f.waits)  # a sensor's is its wait's
    if f.deadline_us is not None and f.state not in _ENDED and not told:
        details = (*details, ("task deadline", instant_words(f.deadline_us, now)))
    details = (*details, *what_for(f))
    if f.paused and f.state not in _ENDED:
        details = (*details, ("DAG", "paused"))
    if f.late and f.state in _ENDED:
        details = (*details, ("was", late_words(f.late[0], now)))
    elif f.late:
        sentence += f"; {late_words(f.late[0], now)}"
    if not f.live and f.state not in _ENDED and f.state is not State.LOST:
        after = f"{after}; {ASLEEP}" if after else ASLEEP
    return Why(state=f.state.value, sentence=sentence, since_us=f.since_us, details=details, next=after)


_Answer = tuple[str, tuple[tuple[str, str], ...], str | None]
_ENDED: Final = frozenset(
    {State.SUCCESS, State.FAILED, State.SKIPPED, State.UPSTREAM_FAILED, State.CANCELLED}
)
_OVER: Final = frozenset(state.value for state in _ENDED)


def _instance(f: InstanceFacts, now: int) -> _Answer:
    again = f"`bide rerun {f.run} {f.task}` runs it again"
    match f.state:
        case State.PENDING:
            return _pending(f)
        case State.READY:
            return _ready(f, now)
        case State.RUNNING:
            return _running(f, now)
        case State.DEFERRED:
            return _deferred(f, now)
        case State.MAPPED:
            return _mapped(f)
        case State.UP_FOR_RETRY:
            due = instant_words(f.due_us, now) if f.due_us is not None else "as soon as it is looked at"
            after = f"attempt {f.attempt + 1} starts {due}"
            if f.paused:
                after = f"its DAG is paused: attempt {f.attempt + 1} starts after `bide unpause {f.dag}`"
            elif f.stopping:
                after = f"{STOPPING}: attempt {f.attempt + 1} starts with the next one, {due} at the earliest"
            sentence = (
                f"attempt {f.attempt} failed{because(f.error or f.reason)}; "
                f"failure {f.failures} of the {f.retries + 1} it may have"
            )
            return sentence, (("next attempt", due),), after
        case State.AWAITING_APPROVAL:
            return _awaiting(f, now)
        case State.BLOCKED if f.reason.startswith((UNDER_WAY, HELD_UP)):
            return f.reason, (), "it goes on with the commit that ends that; `bide effects` is the ledger"
        case State.BLOCKED:
            after = (
                "it is asked again by the commit that changes one of those assets; "
                f"`bide assets decisions --run {f.run}` has what was seen"
            )
            return f"a contract forbids it{because(f.reason)}", (), after
        case State.LOST:
            sentence = f"attempt {f.attempt} was lost{because(f.reason or 'its process died while it ran')}"
            after = (
                f"look at what it did outside, then `bide rerun {f.run} {f.task}`, "
                f"`bide mark {f.run} {f.task} success` or `bide cancel {f.run}`"
            )
            return sentence, (("lost in a row", str(f.lost)),) if f.lost else (), after
        case State.SUCCESS:
            tail = f": {f.reason}" if f.reason else f" on attempt {f.attempt}" if f.attempt else ""
            return f"it succeeded{tail}", (), None
        case State.FAILED if f.bad and not f.attempt:
            return f"it failed{because(f.reason)}", _instances(f), again
        case State.FAILED:
            sentence = (
                f"it failed{f' on attempt {f.attempt}' if f.attempt else ''}{because(f.error or f.reason)}"
            )
            return sentence, (("failures", f"{f.failures} of {f.retries + 1}"),), again
        case State.SKIPPED:
            ups = [u for u in f.upstreams if u.state == State.SKIPPED]
            skipped = f.reason or (
                f"{_names(ups)} was skipped" if ups else f"its rule {f.rule.value} does not hold"
            )
            return f"it was skipped: {skipped}", _states(f.upstreams), None
        case State.UPSTREAM_FAILED:
            bad = [
                u for u in f.upstreams if u.state in (State.FAILED, State.UPSTREAM_FAILED, State.CANCELLED)
            ]
            if bad:
                told = "; ".join(f"{u.task} is {u.state}{because(u.reason)}" for u in bad[:3])
                more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
                sentence = f"its rule {f.rule.value} cannot hold any more: {told}{more}"
            else:
                sentence = f.reason or f"its rule {f.rule.value} cannot hold any more"
            first = bad[0].task if bad else f.task
            return (
                sentence,
                _states(f.upstreams),
                f"`bide rerun {f.run} {first} --downstream` runs both again",
            )
        case State.CANCELLED:
            return f"it was cancelled{because(f.reason)}", (), again


def _awaiting(f: InstanceFacts, now: int) -> _Answer:
    """A person has to decide: who may, and until when."""
    a = f.asked
    if a is None:
        return (
            f"waits for a person to approve it{because(f.reason)}",
            (),
            "`bide approvals` lists what is asked",
        )
    who = " or ".join(a.who) or "anybody"
    sentence = f"waits for {who} to approve it (approval {a.approval_id}): {a.prompt}"
    details: tuple[tuple[str, str], ...] = (("who", ", ".join(a.who) or "anybody"),)
    if a.expires_us is not None and f.frozen:
        sentence += "; its DAG is paused, so the time that is left stands still"
    elif a.expires_us is not None:
        details = (*details, ("denied", instant_words(a.expires_us, now)))
    after = f"`bide approvals approve {a.approval_id} --by NAME --why TEXT` lets it go on, `reject` ends it"
    return sentence, details, after


def _pending(f: InstanceFacts) -> _Answer:
    if f.run_state in (RunState.QUEUED, RunState.EXPANDING):
        return f"its run is {f.run_state.value}: no task of it may start yet", (), f"see `bide why {f.run}`"
    if f.behind is not None:
        return _behind(f, f.behind)
    if f.role is not Role.TASK:
        return explain_pending(f)
    open_ = [u for u in f.upstreams if u.state not in _OVER]
    if open_:
        told = ", ".join(f"{u.task} ({u.state})" for u in open_[:5])
        more = f" and {len(open_) - 5} more" if len(open_) > 5 else ""
        sentence = (
            f"waits for {len(open_)} of {len(f.upstreams)} upstreams by its rule {f.rule.value}: {told}{more}"
        )
        return sentence, _states(f.upstreams), f"see `bide why {f.run} {open_[0].task}`"
    if f.upstreams:
        return "all its upstreams have ended, and it is about to be judged", _states(f.upstreams), None
    return f"it has not been opened yet{because(f.reason)}", (), None


def _mapped(f: InstanceFacts) -> _Answer:
    """A mapped task stands for its instances: how many of them have ended, and which are in trouble."""
    made = sum(f.instances.values())
    ended = sum(n for state, n in f.instances.items() if state in _OVER)
    sentence = f"{ended:,} of its {f.items:,} instances have ended"
    if made < f.items:
        sentence += f", and {f.items - made:,} are still to be made"
    if lost := f.instances.get(State.LOST, 0):
        are = "is lost and waits" if lost == 1 else "are lost and wait"
        first = next((one.task for one in f.bad if one.state == State.LOST), f.task)
        return f"{sentence}; {lost:,} {are} for a person", _instances(f), f"see `bide why {f.run} {first}`"
    if f.paused:
        return f"{sentence}; its DAG is paused", _instances(f), f"`bide unpause {f.dag}` lets it go on"
    return sentence, _instances(f), "it ends with the last of them"


def _instances(f: InstanceFacts) -> tuple[tuple[str, str], ...]:
    counts = ", ".join(f"{n:,} {state}" for state, n in f.instances.items())
    told = (("instances", counts),) if counts else ()
    return (*told, *((one.task, one.state + because(one.reason)) for one in f.bad[:20]))


def _behind(f: InstanceFacts, b: Behind) -> _Answer:
    other = f"{f.task} of run {b.run}"
    sentence = f"waits for the run before (depends_on_past): {other} ({b.logical_date}) is {b.state}"
    details = ((other, b.state), *_states(f.upstreams))
    if b.over or b.state in _OVER:
        after = f"`bide rerun {b.run} {f.task}` or `bide mark {b.run} {f.task} success` lets it start"
        return sentence, details, after
    return sentence, details, f"it starts on the commit that ends that well; see `bide why {b.run} {f.task}`"


def _ready(f: InstanceFacts, now: int) -> _Answer:
    if f.code_error:
        return f"code not loaded: {f.code_error}", (), "it starts when its DAG file loads again"
    if f.paused:
        return "its DAG is paused: nothing of it starts", (), f"`bide unpause {f.dag}` lets it start"
    if f.stopping:
        return f"{STOPPING}{because(f.reason)}", (), "it starts with the next runtime on this database"
    if f.backfill_paused:
        after = f"`bide backfill resume {f.backfill}` lets it start"
        return f"backfill {f.backfill}, whose run this is, is paused: nothing of it starts", (), after
    if f.reason.startswith(WAITS):
        return f.reason, (), "it starts in the next window of the budget, as far as that goes round"
    if f.refusal is not None:
        r = f.refusal
        holders = ", ".join(r.holders[:5]) + (f" and {len(r.holders) - 5} more" if len(r.holders) > 5 else "")
        place = "a slot" if r.resource == "slots" else f"a place in {r.resource}"
        sentence = f"wants {place}, and {r.used} of {r.limit} are taken"
        details = (("held by", holders),) if holders else ()
        return sentence, details, "it starts when one is given back"
    if f.due_us is not None and f.due_us > now:
        due = instant_words(f.due_us, now)
        return f"its next look is not due yet{because(f.reason)}", (("due", due),), f"it takes a slot {due}"
    if not f.live:
        return f"ready to start, and no runtime is running{because(f.reason)}", (), None
    if not f.within:
        after = "it starts when the process that holds the database, and offers no socket, has room for it"
        return f"ready to start{because(f.reason)}", (), after
    if f.reason:
        return f"ready to start: {f.reason}", (), "it starts when there is a free slot"
    return "all it needs is a free slot", (), "it starts when there is a free slot"


def _running(f: InstanceFacts, now: int) -> _Answer:
    number = f"attempt {f.attempt}"
    if f.failures:
        number += f" (after {f.failures} of {f.retries + 1} failures)"
    if not f.live:
        sentence = f"{number} was running when the last runtime stopped"
        after = "the next start takes it as lost and starts it again"
        if not f.idempotent:
            after = "the next start leaves it `lost` for a person, as it is not idempotent"
        return sentence, (), after
    took = f" for {span_words(now - f.since_us)}" if f.since_us is not None and now >= f.since_us else ""
    details = tuple(pair for w in f.waits for pair in _wait(w, now, f))
    if f.progress is not None:
        details = (("progress", progress_words(f.progress)), *details)
    return (
        f"{number} holds a slot{took}{because(f.reason)}",
        details,
        f"follow it: `bide logs {f.run}/{f.task} -f`",
    )


def _deferred(f: InstanceFacts, now: int) -> _Answer:
    if not f.waits:
        return f"it waits, and its wait is being written{because(f.reason)}", (), None
    first = min(f.waits, key=lambda w: w.deadline_us)
    others = f" and {len(f.waits) - 1} more" if len(f.waits) > 1 else ""
    sentence = f"waits for {first.what}{others}, for {span_words(now - first.since_us)} now, holding no slot"
    if f.frozen:
        sentence += "; its DAG is paused, so the wait and its deadline stand still"
    elif first.look is not None and first.look.answer:
        sentence += f"; the last look said: {first.look.answer}"
    details = tuple(pair for wait in f.waits for pair in _wait(wait, now, f))
    if f.frozen:
        return sentence, details, f"`bide unpause {f.dag}` lets it go on, its deadline moved by the pause"
    after = f"it gives up {instant_words(first.deadline_us, now)}"
    if f.live and f.within:
        after += f"; `bide waits look {first.wait_id}` looks now"
    return sentence, details, after


def _wait(wait: WaitFacts, now: int, f: InstanceFacts) -> tuple[tuple[str, str], ...]:
    rows = [(f"wait {wait.wait_id}", wait.what), ("since", instant_words(wait.since_us, now))]
    look = wait.look
    if f.state is State.DEFERRED and f.due_us is not None and not f.frozen:  # mode="reschedule"
        look = Look(at_us=f.since_us, answer=f.reason, next_us=f.due_us)
    if look is not None and look.at_us is not None:
        answer = f": {look.answer}" if look.answer else ""
        rows.append(("last look", f"{instant_words(look.at_us, now)}{answer}"))
    elif f.live and not f.within:
        rows.append(("looks", "known only to the process that holds the database, which offers no socket"))
    elif f.frozen:
        rows.append(("last look", "none while the DAG is paused"))
    else:
        rows.append(("last look", "none yet" if f.live else "not known: no runtime holds it"))
    if f.live and not f.within and look is None:
        pass
    elif look is not None and look.next_us is not None:
        rows.append(("next look", instant_words(look.next_us, now)))
    elif f.frozen:
        rows.append(("next look", "when the DAG is unpaused"))
    else:
        rows.append(
            ("next look", "when it comes true: nothing is polled" if f.live else "when a runtime starts")
        )
    rows.append(("deadline", instant_words(wait.deadline_us, now)))
    return tuple(rows)


def _names(upstreams: list[Upstream]) -> str:
    return ", ".join(u.task for u in upstreams[:3]) + (" and others" if len(upstreams) > 3 else "")


def _states(upstreams: tuple[Upstream, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((f"upstream {u.task}", u.state + because(u.reason)) for u in upstreams[:20])
