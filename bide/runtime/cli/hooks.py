"""`bide hooks`: what may start runs from outside, and what was delivered."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked
from bide.runtime.cli.output import clean, note, print_json, print_table, stamp

app = App(name="hooks", help="Webhooks and CloudEvents: list (bare), deliveries.")
Outcome = Annotated[str | None, Parameter(help="Only those accepted, ignored or refused.")]
Limit = Annotated[int, Parameter(help="At most so many, the newest.")]


@app.default
@app.command(name="list")
def listed(*, limit: Most = 100_000, db: Db = None, json: Json = False) -> int:
    """List the hooks, with what was delivered to them and what was turned away."""
    from bide.runtime.service.hook_secrets import sentence

    found = asked(db, lambda ops: ops.hooks.listed(limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            e.hook,
            e.path if e.loaded else "(no longer declared)",
            e.scheme if e.kind == "webhook" else e.type,
            ", ".join(e.dags),
            str(e.accepted),
            str(e.ignored),
            str(e.refused),
            f"{e.rejected} ({e.last_rejected_for})" if e.rejected else "0",
            stamp(e.last_delivery_at),
        )
        for e in found
    ]
    heads = (
        "hook",
        "at",
        "signed / type",
        "starts",
        "accepted",
        "ignored",
        "refused",
        "rejected",
        "last delivery",
    )
    print_table(heads, rows, "no hook is declared: bide.hooks.Webhook(...) beside a DAG declares one")
    for e in found:
        if e.unchecked:
            note(clean(f"warning: {sentence(e.hook, e.unchecked)}"))
    return 0


@app.command(name="deliveries")
def deliveries(
    hook: Annotated[str, Parameter(help="The hook: its name.")],
    /,
    *,
    outcome: Outcome = None,
    limit: Limit = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the deliveries of a hook, the newest first."""
    found = asked(db, lambda ops: ops.hooks.deliveries(hook, outcome, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (e.delivery or e.id, e.outcome, e.dag, e.run_id, str(e.times), stamp(e.last_at), e.reason)
        for e in found
    ]
    print_table(
        ("delivery", "outcome", "dag", "run", "times", "last", "why not"), rows, "nothing was delivered yet"
    )
    return 0
