"""Why is it not running? One true sentence for every state of a run and of a task instance (D5, C77).

Pure: what is known comes in as plain facts, `now` included; a `Why` comes out. Facts that only a
living runtime has (the last look of a wait, the resource that refused a task) may be absent, and
the sentence then says what the database alone can tell.
"""

from __future__ import annotations

from typing import Final

import msgspec

from bide.runtime.clock import DAY, HOUR, MINUTE, SECOND, from_us
from bide.runtime.engine.states import RunState, State
from bide.runtime.graph.spec import TriggerRule


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """`sentence` says why; `details` are the facts behind it; `next` is what happens or what to do."""

    state: str
    sentence: str
    since_us: int | None = None
    details: tuple[tuple[str, str], ...] = ()
    next: str | None = None


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """The last look of a wait, known to the process that holds it."""

    at_us: int | None = None
    answer: str = ""
    next_us: int | None = None


class WaitFacts(msgspec.Struct, frozen=True, kw_only=True):
    """An open wait. `what` is the trigger in words: `file drops/2026-11-20.csv`."""

    wait_id: int
    what: str
    since_us: int
    deadline_us: int
    look: Look | None = None


class Refusal(msgspec.Struct, frozen=True):
    """The resource that had no room: `pool warehouse`, `slots`, `task load`, and who holds it."""

    resource: str
    used: int
    limit: int
    holders: tuple[str, ...] = ()


class Upstream(msgspec.Struct, frozen=True):
    """A direct upstream: its state, and its error or reason when it has one."""

    task: str
    state: str
    reason: str = ""


class InstanceFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one task instance. Instants are epoch microseconds, UTC."""

    run: str
    task: str
    state: State
    run_state: RunState = RunState.RUNNING
    rule: TriggerRule = TriggerRule.ALL_SUCCESS
    attempt: int = 0
    failures: int = 0
    lost: int = 0
    retries: int = 0
    idempotent: bool = True
    since_us: int | None = None
    due_us: int | None = None
    deadline_us: int | None = None
    reason: str = ""
    error: str = ""
    upstreams: tuple[Upstream, ...] = ()
    waits: tuple[WaitFacts, ...] = ()
    refusal: Refusal | None = None
    code_error: str = ""
    dag: str = ""
    paused: bool = False
    frozen: bool = False  # paused, and waits with their deadlines stand still (`on_pause="freeze"`)
    live: bool = False  # a runtime holds the database
    within: bool = True  # and what it has in memory is known here: looks, refusals


class RunFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one run. `open` and `ended` count its task instances by state."""

    run: str
    dag: str
    state: RunState
    created_us: int
    started_us: int | None = None
    ended_us: int | None = None
    deadline_us: int | None = None
    reason: str = ""
    counts: dict[str, int] = {}
    failed: tuple[Upstream, ...] = ()
    waits: tuple[tuple[str, WaitFacts], ...] = ()
    max_active_runs: int = 1
    retry_us: int | None = None  # when the first of those that failed is tried again
    active: tuple[str, ...] = ()  # the runs of this DAG that are running
    paused: bool = False
    frozen: bool = False  # paused, and waits with their deadlines stand still
    live: bool = False


_ASLEEP: Final = (
    "nothing moves until a runtime opens this database: start `bide serve`, or `bide run` the DAG"
)


def span_words(us: int) -> str:
    """A span for people, its two largest units.

    >>> span_words(93_784_000_000), span_words(1_500_000), span_words(4_000)
    ('1d 2h', '1.5s', '4ms')
    """
    us = abs(us)
    if us < SECOND:
        return f"{us // 1000}ms"
    if us < MINUTE:
        return f"{us / SECOND:.1f}s".replace(".0s", "s")
    parts: list[str] = []
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        count, us = divmod(us, unit)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
        if len(parts) == 2:
            break
    return " ".join(filter(None, parts))


def instant_words(at_us: int, now: int) -> str:
    """An instant in UTC, and how far it is from `now`.

    >>> instant_words(1781481600000000, 1781481600000000 - 90_000_000)
    '2026-06-15 00:00:00Z (in 1m 30s)'
    """
    stamp = f"{from_us(at_us):%Y-%m-%d %H:%M:%S}Z"
    if at_us == now:
        return f"{stamp} (now)"
    return (
        f"{stamp} (in {span_words(at_us - now)})"
        if at_us > now
        else f"{stamp} ({span_words(now - at_us)} ago)"
    )


def explain_instance(f: InstanceFacts, now: int) -> Why:
    """Why this task instance is in the state it is in, and what happens next."""
    sentence, details, after = _instance(f, now)
    told = any(wait.deadline_us == f.deadline_us for wait in f.waits)  # a sensor's is its wait's
    if f.deadline_us is not None and f.state not in _ENDED and not told:
        details = (*details, ("task deadline", instant_words(f.deadline_us, now)))
    if f.paused and f.state not in _ENDED:
        details = (*details, ("DAG", "paused"))
    if not f.live and f.state not in _ENDED and f.state is not State.LOST:
        after = f"{after}; {_ASLEEP}" if after else _ASLEEP
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
        case State.UP_FOR_RETRY:
            due = instant_words(f.due_us, now) if f.due_us is not None else "as soon as it is looked at"
            after = f"attempt {f.attempt + 1} starts {due}"
            if f.paused:
                after = f"its DAG is paused: attempt {f.attempt + 1} starts after `bide unpause {f.dag}`"
            sentence = (
                f"attempt {f.attempt} failed{_because(f.error or f.reason)}; "
                f"failure {f.failures} of the {f.retries + 1} it may have"
            )
            return sentence, (("next attempt", due),), after
        case State.AWAITING_APPROVAL:
            return f"waits for a person to approve it{_because(f.reason)}", (), "approve or reject it"
        case State.BLOCKED:
            return f"a contract forbids it{_because(f.reason)}", (), "it goes on when the contract holds"
        case State.LOST:
            sentence = f"attempt {f.attempt} was lost{_because(f.reason or 'its process died while it ran')}"
            after = (
                f"look at what it did outside, then `bide rerun {f.run} {f.task}`, "
                f"`bide mark {f.run} {f.task} success` or `bide cancel {f.run}`"
            )
            return sentence, (("lost in a row", str(f.lost)),) if f.lost else (), after
        case State.SUCCESS:
            tail = f": {f.reason}" if f.reason else f" on attempt {f.attempt}" if f.attempt else ""
            return f"it succeeded{tail}", (), None
        case State.FAILED:
            sentence = (
                f"it failed{f' on attempt {f.attempt}' if f.attempt else ''}{_because(f.error or f.reason)}"
            )
            return sentence, (("failures", f"{f.failures} of {f.retries + 1}"),), again
        case State.SKIPPED:
            ups = [u for u in f.upstreams if u.state == State.SKIPPED]
            because = f.reason or (
                f"{_names(ups)} was skipped" if ups else f"its rule {f.rule.value} does not hold"
            )
            return f"it was skipped: {because}", _states(f.upstreams), None
        case State.UPSTREAM_FAILED:
            bad = [
                u for u in f.upstreams if u.state in (State.FAILED, State.UPSTREAM_FAILED, State.CANCELLED)
            ]
            if bad:
                told = "; ".join(f"{u.task} is {u.state}{_because(u.reason)}" for u in bad[:3])
                more = f" and {len(bad) - 3} more" if len(bad) > 3 else ""
                sentence = f"its rule {f.rule.value} cannot hold any more: {told}{more}"
            else:
                sentence = f"its rule {f.rule.value} cannot hold any more{_because(f.reason)}"
            first = bad[0].task if bad else f.task
            return (
                sentence,
                _states(f.upstreams),
                f"`bide rerun {f.run} {first} --downstream` runs both again",
            )
        case State.CANCELLED:
            return f"it was cancelled{_because(f.reason)}", (), again


def _pending(f: InstanceFacts) -> _Answer:
    if f.run_state in (RunState.QUEUED, RunState.EXPANDING):
        return f"its run is {f.run_state.value}: no task of it may start yet", (), f"see `bide why {f.run}`"
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
    return f"it has not been opened yet{_because(f.reason)}", (), None


def _ready(f: InstanceFacts, now: int) -> _Answer:
    if f.code_error:
        return f"code not loaded: {f.code_error}", (), "it starts when its DAG file loads again"
    if f.paused:
        return "its DAG is paused: nothing of it starts", (), f"`bide unpause {f.dag}` lets it start"
    if f.refusal is not None:
        r = f.refusal
        holders = ", ".join(r.holders[:5]) + (f" and {len(r.holders) - 5} more" if len(r.holders) > 5 else "")
        place = "a slot" if r.resource == "slots" else f"a place in {r.resource}"
        sentence = f"wants {place}, and {r.used} of {r.limit} are taken"
        details = (("held by", holders),) if holders else ()
        return sentence, details, "it starts when one is given back"
    if f.due_us is not None and f.due_us > now:
        due = instant_words(f.due_us, now)
        return f"its next look is not due yet{_because(f.reason)}", (("due", due),), f"it takes a slot {due}"
    if not f.live:
        return f"ready to start, and no runtime is running{_because(f.reason)}", (), None
    if not f.within:
        after = "it starts when the process that holds the database, and offers no socket, has room for it"
        return f"ready to start{_because(f.reason)}", (), after
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
    waits = tuple(pair for w in f.waits for pair in _wait(w, now, f))
    return (
        f"{number} holds a slot{took}{_because(f.reason)}",
        waits,
        f"follow it: `bide logs {f.run}/{f.task} -f`",
    )


def _deferred(f: InstanceFacts, now: int) -> _Answer:
    if not f.waits:
        return f"it waits, and its wait is being written{_because(f.reason)}", (), None
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


def explain_run(f: RunFacts, now: int) -> Why:
    """Why this run is in the state it is in, and what happens next."""
    counts = ", ".join(f"{n} {state}" for state, n in f.counts.items() if n)
    details: list[tuple[str, str]] = [("tasks", counts)] if counts else []
    after: str | None = None
    since: int | None = f.created_us
    match f.state:
        case RunState.EXPANDING:
            sentence, after = "its tasks are still being written", "it is queued when the last one is there"
        case RunState.QUEUED if f.paused:
            sentence, after = f"the DAG {f.dag} is paused: no run of it starts", f"`bide unpause {f.dag}`"
        case RunState.QUEUED if len(f.active) >= f.max_active_runs:
            sentence = (
                f"{len(f.active)} of the {f.max_active_runs} runs that {f.dag} may have at once (max_active_runs) "
                f"are running: {', '.join(f.active[:5])}"
            )
            after = f"it starts when one of them ends; see `bide why {f.active[0]}`" if f.active else None
        case RunState.QUEUED:
            sentence, after = f"it is next in line{_because(f.reason)}", "it starts at the next turn"
        case RunState.RUNNING:
            since = f.started_us or f.created_us
            sentence, after = _run_running(f, now)
            details += [(f"task {task}", wait.what) for task, wait in f.waits[:10]]
        case RunState.SUCCESS:
            since, sentence = f.ended_us, f"every task that decides it has succeeded{_because(f.reason)}"
        case RunState.FAILED:
            since = f.ended_us
            told = "; ".join(f"{u.task} {u.state}{_because(u.reason)}" for u in f.failed[:3])
            more = f" and {len(f.failed) - 3} more" if len(f.failed) > 3 else ""
            sentence = f"it failed: {told or f.reason or 'a task that decides it did not succeed'}{more}"
            after = f"`bide rerun {f.run}` runs what failed again"
        case RunState.CANCELLED:
            since, sentence = f.ended_us, f"it was cancelled{_because(f.reason)}"
            after = f"`bide rerun {f.run}` takes it up again"
    over = f.state in (RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED)
    if f.deadline_us is not None and not over:
        details.append(("run deadline", instant_words(f.deadline_us, now)))
    if not f.live and not over:
        after = f"{after}; {_ASLEEP}" if after else _ASLEEP
    return Why(state=f.state.value, sentence=sentence, since_us=since, details=tuple(details), next=after)


def _run_running(f: RunFacts, now: int) -> tuple[str, str | None]:
    paused = "; the DAG is paused, so nothing new starts" if f.paused else ""
    if (n := f.counts.get(State.RUNNING, 0)) and not f.live:
        was = "was" if n == 1 else "were"
        return f"{n} of its tasks {was} running when the last runtime stopped{paused}", None
    if n := f.counts.get(State.RUNNING, 0):
        return f"{n} of its tasks hold{'s' if n == 1 else ''} a slot{paused}", f"see `bide show {f.run}`"
    if n := f.counts.get(State.LOST, 0):
        are = "is lost and waits" if n == 1 else "are lost and wait"
        return f"{n} of its tasks {are} for a person{paused}", f"see `bide show {f.run}`"
    if f.waits:
        task, wait = min(f.waits, key=lambda pair: pair[1].deadline_us)
        more = f" and {len(f.waits) - 1} more" if len(f.waits) > 1 else ""
        gives_up = f"the first gives up {instant_words(wait.deadline_us, now)}"
        if f.frozen:
            gives_up = f"its waits and their deadlines stand still; `bide unpause {f.dag}` lets them go on"
        return f"it waits for the world: {task} waits for {wait.what}{more}{paused}", gives_up
    if n := f.counts.get(State.UP_FOR_RETRY, 0):
        again = None if f.retry_us is None else f"the next attempt starts {instant_words(f.retry_us, now)}"
        if f.paused:
            again = f"`bide unpause {f.dag}` lets them go on"
        return f"{n} of its tasks failed and will be tried again{paused}", again
    if n := f.counts.get(State.READY, 0):
        want = "is ready and wants" if n == 1 else "are ready and want"
        return f"{n} of its tasks {want} a slot{paused}", f"see `bide show {f.run}`"
    return f"its tasks are not over{paused}", f"see `bide show {f.run}`"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def _names(upstreams: list[Upstream]) -> str:
    return ", ".join(u.task for u in upstreams[:3]) + (" and others" if len(upstreams) > 3 else "")


def _states(upstreams: tuple[Upstream, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((f"upstream {u.task}", u.state + _because(u.reason)) for u in upstreams[:20])
