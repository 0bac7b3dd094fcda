"""`bide waits`: what is waited for now, and what may be done about it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked, done
from bide.runtime.cli.many_waits import OfWaits, WaitOrNone, on_waits, one_wait
from bide.runtime.cli.output import print_json, print_table
from bide.runtime.clock import SystemClock, to_us
from bide.runtime.engine.explain import span_words
from bide.runtime.errors import UsageError
from bide.runtime.service.addresses import bounded, read_json

app = App(name="waits", help="What is waited for now: list (bare), groups, look, extend, satisfy, fail.")


def away(instant: str | None, now_us: int) -> str | None:
    """How far an instant is, `in 2h 5m` or `3s ago`: `--json` and `bide why` have it in full."""
    if instant is None:
        return None
    far = to_us(datetime.fromisoformat(instant)) - now_us
    return f"in {span_words(far)}" if far > 0 else f"{span_words(far)} ago"


@app.default
@app.command(name="list")
def listed(*, limit: Most = 100_000, db: Db = None, json: Json = False) -> int:
    """List what is waited for now, the nearest deadline first."""
    found = sorted(
        asked(db, lambda ops: ops.waits()),
        key=lambda each: (each.deadline is None, each.deadline or "", int(each.id)),
    )[: bounded(limit)]
    if json:
        print_json(found)
    else:
        now = SystemClock().now()
        rows = [
            (
                w.id,
                f"schedule of {w.dag}" if w.run_id is None else f"{w.run_id}/{w.task}",
                w.trigger,
                away(w.since, now),
                away(w.deadline, now),
                away(w.last_look, now),
                away(w.next_look, now),
            )
            for w in found
        ]
        heads = ("wait", "task", "for", "since", "deadline", "last look", "next look")
        print_table(heads, rows, "nothing is waited for")
    return 0


@app.command(name="groups")
def groups(
    *,
    by: Annotated[str, Parameter(help="source (what sees them), what, dag, task.")] = "source",
    dag: Annotated[str | None, Parameter(help="Only of this DAG.")] = None,
    kind: Annotated[str | None, Parameter(help="Only of this kind: file, http, ...")] = None,
    text: Annotated[str | None, Parameter(help="Only those with this in their words.")] = None,
    troubled: Annotated[bool, Parameter(negative="", help="Only those whose last look saw nothing.")] = False,
    limit: Most = 100_000,
    db: Db = None,
    json: Json = False,
) -> int:
    """What is waited for, with how many wait for it and how it is looked at; the most waits first."""
    found = asked(
        db,
        lambda ops: ops.waiting.groups(
            by, dag, kind=kind, text=text, troubled=troubled, limit=bounded(limit)
        ),
    )
    if json:
        print_json(found)
        return 0
    now = SystemClock().now()
    rows = [
        (
            each.says,
            away(each.since, now),
            away(each.deadline, now),
            away(each.last_look, now),
            each.trouble if each.failing else each.saw,
            away(each.next_look, now),
        )
        for each in found
    ]
    print_table(
        ("what", "oldest", "deadline", "last look", "saw", "next look"), rows, "nothing is waited for"
    )
    return 0


@app.command(name="look")
def look(wait: WaitOrNone = None, /, *, many: OfWaits = None, db: Db = None, json: Json = False) -> int:
    """Look now, without waiting for the next look: at one wait, or at all that --where finds."""
    if many is not None and many.where:
        return on_waits("look", wait, many, db, json)
    number = one_wait("look", wait, many)
    return done(db, json, lambda ops: ops.wait_look(number))


@app.command(name="extend")
def extend(
    wait: WaitOrNone = None,
    to: Annotated[str | None, Parameter(help="The new deadline: 2026-06-15T12:00Z, or +2h.")] = None,
    /,
    *,
    by: Annotated[str | None, Parameter(help="So much later than now planned: 2h.")] = None,
    until: Annotated[str | None, Parameter(help="The new deadline.")] = None,
    many: OfWaits = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Give a wait a later deadline: `+2h` (or --by 2h) from the one it has, or an instant (--until)."""
    all_found = many is not None and bool(many.where)
    number = "" if all_found else one_wait("extend", wait, many)
    said = [word for word in (to, by and f"+{by}", until) if word]
    if len(said) != 1:
        which = f"wait {wait}" if wait is not None else "the waits"
        raise UsageError(f"extend {which} until when? give one of +2h, --by 2h, --until 2026-06-15T12:00Z")
    if many is not None and all_found:
        return on_waits("extend", wait, many, db, json, deadline=said[0])
    return done(db, json, lambda ops: ops.wait_extend(number, said[0]))


@app.command(name="satisfy")
def satisfy(
    wait: WaitOrNone = None,
    /,
    *,
    event: Annotated[str | None, Parameter(help="What the task gets, JSON.")] = None,
    many: OfWaits = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """End a wait as if what it waits for had come true; or all that --where finds."""
    value = None if event is None else read_json(event, "--event")
    if many is not None and many.where:
        return on_waits("satisfy", wait, many, db, json, event=value)
    number = one_wait("satisfy", wait, many)
    return done(db, json, lambda ops: ops.wait_satisfy(number, value))


@app.command(name="fail")
def fail(
    wait: WaitOrNone = None,
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in the log and in `why`.")] = "",
    many: OfWaits = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """End a wait as failed; or all that --where finds."""
    if many is not None and many.where:
        return on_waits("fail", wait, many, db, json, reason=reason)
    number = one_wait("fail", wait, many)
    return done(db, json, lambda ops: ops.wait_fail(number, reason))
