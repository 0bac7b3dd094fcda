"""Why a backfill stands where it does: one sentence for each state, and what happens next."""

from __future__ import annotations

import msgspec

from bide.runtime.engine.explain.facts import Why
from bide.runtime.engine.explain.words import ASLEEP, STOPPING, because, instant_words
from bide.runtime.engine.states import BackfillState, IntervalState


class BackfillFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a backfill. A living runtime knows `hold`, why it makes no run now, and `budget`:
    what tasks of its runs wait for.
    """

    backfill: str
    dag: str
    state: BackfillState
    counts: dict[str, int]
    max_active: int
    running: tuple[str, ...] = ()
    created_us: int
    ended_us: int | None = None
    ends_us: int | None = None
    reason: str = ""
    hold: str = ""
    budget: str = ""
    dag_paused: bool = False
    live: bool = False
    stopping: bool = False


def explain_backfill(f: BackfillFacts, now: int) -> Why:
    """Why this backfill is in the state it is in, and what happens next."""
    left, going = f.counts.get(IntervalState.PENDING, 0), len(f.running)
    bad = f.counts.get(IntervalState.FAILED, 0) + f.counts.get(IntervalState.CANCELLED, 0)
    total = sum(f.counts.values())
    over = f.state not in (BackfillState.RUNNING, BackfillState.PAUSED)
    after: str | None = None
    match f.state:
        case BackfillState.RUNNING:
            sentence, after = _running(f, left, going, now)
            if f.budget and not f.dag_paused and not f.stopping:
                sentence = f"{sentence}; {f.budget}"
                after = "they start in the next window of the budget, as far as that goes round"
        case BackfillState.PAUSED:
            sentence = f"it is paused{because(f.reason)}: nothing of it starts, {_runs(going)} begun"
            after = f"`bide backfill resume {f.backfill}` lets it go on, with {left} intervals left"
        case BackfillState.SUCCESS:
            kept = f.counts.get(IntervalState.SKIPPED, 0)
            had = f", {kept} of them had a run that was kept" if kept else ""
            sentence = f"all of its {total} intervals have ended well{had}"
        case BackfillState.FAILED:
            sentence = f"{bad} of its {total} intervals did not succeed"
            after = (
                f"`bide backfill resume {f.backfill} --failed` takes them up again, and keeps what succeeded"
            )
        case BackfillState.CANCELLED:
            free = f.counts.get(IntervalState.CANCELLED, 0)
            sentence = f"it was cancelled{because(f.reason)}; {free} of its {total} intervals are free again"
            after = "start another backfill for them, or trigger them one by one"
    details = [("intervals", ", ".join(f"{n} {state}" for state, n in f.counts.items() if n))]
    if f.running:
        more = f" and {going - 10} more" if going > 10 else ""
        details.append(("runs", ", ".join(f.running[:10]) + more))
    if bad and not over:
        details.append(
            ("not succeeded", f"{bad}: `bide backfill resume {f.backfill} --failed` takes them up again")
        )
    if not f.live and not over:
        after = f"{after}; {ASLEEP}" if after else ASLEEP
    since = f.ended_us if over else f.created_us
    return Why(state=f.state.value, sentence=sentence, since_us=since, details=tuple(details), next=after)


def _running(f: BackfillFacts, left: int, going: int, now: int) -> tuple[str, str | None]:
    if not left:
        return f"its last {_runs(going)} under way", _ends(f, now)
    tail = f"; {left} intervals are left"
    if not f.live:
        return f"{_runs(going)} begun{tail}", None
    if f.stopping:
        return f"{STOPPING}{tail}", "it goes on with the next runtime"
    if f.dag_paused:
        return f"the DAG {f.dag} is paused: no run of it starts{tail}", f"`bide unpause {f.dag}`"
    if going >= f.max_active:
        return f"{going} of the {f.max_active} runs it may have at once are under way{tail}", _ends(f, now)
    if f.hold:
        return f"it makes no other run now: {f.hold}{tail}", _ends(f, now)
    return f"{_runs(going)} under way, and it is about to make the next{tail}", _ends(f, now)


def _runs(n: int) -> str:
    return "1 run is" if n == 1 else f"{n} runs are"


def _ends(f: BackfillFacts, now: int) -> str | None:
    return None if f.ends_us is None else f"at this pace it ends {instant_words(f.ends_us, now)}"
