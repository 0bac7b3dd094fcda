"""Why a DAG makes no run now whose schedule is the clock's, an event's, or a person's."""

from __future__ import annotations

import msgspec

from bide.runtime.engine.explain.facts import Why
from bide.runtime.engine.explain.words import ASLEEP, instant_words


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A trigger that its schedule waits for."""

    trigger: str
    since_us: int
    firings: int = 0
    fired_us: int | None = None


class TimedFacts(msgspec.Struct, frozen=True, kw_only=True):
    dag: str
    schedule: str
    """In words."""
    fires_us: int | None = None
    """The first firing by the clock that is not decided."""
    ends_us: int | None = None
    """Its `end`, where that is why the clock fires no more."""
    held: tuple[Held, ...] = ()
    catching_up: bool = False
    """Missed firings are still to be run."""
    open_runs: int = 0
    paused: bool = False
    removed: bool = False
    code_error: str = ""
    live: bool = False


def explain_timed(f: TimedFacts, now: int) -> Why:
    """Why this DAG makes no run now, and what makes the next one."""
    table = [("schedule", f.schedule)]
    table += [("waits for", _held(each, now)) for each in f.held]
    if f.open_runs:
        table.append(("runs", f"{f.open_runs} not over: see `bide runs {f.dag}`"))
    after: str | None = None
    if f.removed:
        state, sentence = "removed", "its DAG was removed, and its firings with it"
        after = f"load its file again: {_missed(f)}"
    elif f.paused:
        state, sentence = "paused", "it is paused"
        after = f"`bide unpause {f.dag}` lets it go on: {_missed(f)}"
    elif f.code_error:
        state, sentence = "waiting", f"its code is not loaded: {f.code_error}"
        after = f"it goes on when its file loads: {_missed(f)}"
    else:
        state, sentence, after = _next(f, now)
    if not f.live and not f.removed:
        after = f"{after}; {ASLEEP}" if after else ASLEEP
    return Why(state=state, sentence=sentence, details=tuple(table), next=after)


def _next(f: TimedFacts, now: int) -> tuple[str, str, str | None]:
    if f.catching_up:
        after = "a missed firing is run as one of its runs ends" if f.open_runs else None
        return "catching up", "firings that it has missed are still to be run, as there is room", after
    if f.fires_us is not None and f.fires_us <= now:
        return "due", f"a firing is due: {instant_words(f.fires_us, now)}", None
    if f.fires_us is not None:
        either = "the event that it waits for has not come, and " if f.held else ""
        after = "the event makes a run, or the clock then, whichever is first" if f.held else None
        return "waiting", f"{either}its next firing is at {instant_words(f.fires_us, now)}", after
    if f.held:
        return "waiting", "the event that it waits for has not come", "the event makes a run"
    person = f"`bide trigger {f.dag}` makes a run"
    if f.ends_us is not None and f.ends_us <= now:
        return "ended", f"its schedule ended at {instant_words(f.ends_us, now)}", person
    if f.ends_us is not None:
        return "ended", f"it fires no more before its end, {instant_words(f.ends_us, now)}", person
    return "waiting", "no firing lies before it: a run is made when somebody asks", person


def _missed(f: TimedFacts) -> str:
    """What becomes of what comes meanwhile."""
    event = "what has come by then makes a run" if f.held else ""
    clock = "what it has missed by then is judged by its catchup" if f.fires_us is not None else ""
    return " and ".join(filter(None, (event, clock))) or "nothing is missed until then"


def _held(each: Held, now: int) -> str:
    fired = "" if each.fired_us is None else f", the last at {instant_words(each.fired_us, now)}"
    times = f"fired {each.firings} time{'' if each.firings == 1 else 's'}"
    return f"{each.trigger}, since {instant_words(each.since_us, now)}: {times}{fired}"
