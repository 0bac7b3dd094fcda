"""Why a run is in its state: one sentence for each, and what happens next."""

from __future__ import annotations

from bide.runtime.engine.control import CLOSING
from bide.runtime.engine.explain.facts import RunFacts, Why
from bide.runtime.engine.explain.words import ASLEEP, STOPPING, because, instant_words, late_words
from bide.runtime.engine.states import RunState, State


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
        case RunState.QUEUED if f.stopping:
            sentence, after = STOPPING, "it starts with the next runtime on this database"
        case RunState.QUEUED if f.backfill_paused:
            sentence = f"backfill {f.backfill} is paused: no run of it starts"
            after = f"`bide backfill resume {f.backfill}`"
        case RunState.QUEUED if not f.backfill and len(f.active) >= f.max_active_runs:
            sentence = (
                f"{len(f.active)} of the {f.max_active_runs} runs that {f.dag} may have at once (max_active_runs) "
                f"are running: {', '.join(f.active[:5])}"
            )
            after = f"it starts when one of them ends; see `bide why {f.active[0]}`" if f.active else None
        case RunState.QUEUED:
            sentence, after = f"it is next in line{because(f.reason)}", "it starts at the next turn"
        case RunState.RUNNING:
            since = f.started_us or f.created_us
            sentence, after = _run_running(f, now)
            details += [(f"task {task}", wait.what) for task, wait in f.waits[:10]]
        case RunState.SUCCESS:
            since, sentence = f.ended_us, f"every task that decides it has succeeded{because(f.reason)}"
        case RunState.FAILED:
            since = f.ended_us
            told = "; ".join(f"{u.task} {u.state}{because(u.reason)}" for u in f.failed[:3])
            more = f" and {len(f.failed) - 3} more" if len(f.failed) > 3 else ""
            sentence = f"it failed: {told or f.reason or 'a task that decides it did not succeed'}{more}"
            after = f"`bide rerun {f.run}` runs what failed again"
        case RunState.CANCELLED:
            since, sentence = f.ended_us, f"it was cancelled{because(f.reason)}"
            after = f"`bide rerun {f.run}` takes it up again"
    of_run = [late for task, late in f.late if not task]
    details += [(f"task {task}", late_words(late, now)) for task, late in f.late[:10] if task]
    over = f.state in (RunState.SUCCESS, RunState.FAILED, RunState.CANCELLED)
    if f.backfill:
        details.append(("backfill", f"{f.backfill}: see `bide backfill why {f.backfill}`"))
    if f.deadline_us is not None and not over:
        details.append(("run deadline", instant_words(f.deadline_us, now)))
    if not f.live and not over:
        after = f"{after}; {ASLEEP}" if after else ASLEEP
    if of_run and over:
        details.append(("was", late_words(of_run[0], now)))
    elif of_run:
        sentence += f"; {late_words(of_run[0], now)}"
    return Why(state=f.state.value, sentence=sentence, since_us=since, details=tuple(details), next=after)


def _run_running(f: RunFacts, now: int) -> tuple[str, str | None]:
    paused = "; the DAG is paused, so nothing new starts" if f.paused else ""
    if f.backfill_paused:
        paused += f"; backfill {f.backfill} is paused, so nothing new of it starts"
    if f.reason.startswith(CLOSING):
        paused = f"; it is {f.reason}{paused}"
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
        if f.code_error and not f.paused:
            they = "it starts" if n == 1 else "they start"
            want = "is ready, and its" if n == 1 else "are ready, and their"
            after = f"{they} when the DAG file loads again"
            return f"{n} of its tasks {want} code is not loaded: {f.code_error}", after
        if f.stopping and not f.paused:
            they = "it starts" if n == 1 else "they start"
            return f"{n} of its tasks {want} a slot; {STOPPING}", f"{they} with the next runtime"
        return f"{n} of its tasks {want} a slot{paused}", f"see `bide show {f.run}`"
    return f"its tasks are not over{paused}", f"see `bide show {f.run}`"
