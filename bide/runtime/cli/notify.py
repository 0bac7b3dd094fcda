"""`bide notify`: who is told of what, what went out, and what did not arrive."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp, write

app = App(
    name="notify",
    help="Who is told of failures, late runs, stale assets and the like: routes, list, test, retry, secret.",
)
OfRoute = Annotated[str | None, Parameter(name="--route", help="Only those over this route.")]
OfState = Annotated[
    str | None, Parameter(name="--state", help="Only these: pending, sending, sent, failed, gone or moot.")
]
Limit = Annotated[int, Parameter(help="At most so many, the newest.")]


@app.command(name="routes")
def routes(*, db: Db = None, json: Json = False) -> int:
    """List the routes: where each leads, what it takes, and how it is."""
    found = asked(db, lambda ops: ops.notices.routes())
    if json:
        print_json(found)
        return 0
    rows = [
        (
            r.name,
            r.to,
            ", ".join(r.kinds) or "any",
            ", ".join(r.owner) or "any",
            ", ".join(r.tags) or "any",
            r.at_least,
            str(r.pending),
            f"off: {r.off}" if r.off else f"failing: {r.failing}" if r.failing else "well",
        )
        for r in found
    ]
    heads = ("route", "to", "kinds", "owner", "tags", "at least", "to send", "is")
    print_table(heads, rows, "nobody is told of anything: [[notify]] in bide.toml names who is")
    return 0


@app.command(name="list")
def listed(
    *, route: OfRoute = None, state: OfState = None, limit: Limit = 100, db: Db = None, json: Json = False
) -> int:
    """List notices, the newest first."""
    found = asked(db, lambda ops: ops.notices.listed(route, state, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            n.id,
            n.route,
            n.state,
            n.severity,
            n.title,
            stamp(n.made_at),
            str(n.attempts),
            stamp(n.next_at),
            n.error,
        )
        for n in found
    ]
    heads = ("notice", "route", "state", "severity", "says", "made at", "tries", "next try", "last error")
    print_table(heads, rows, "nobody was told of anything yet")
    return 0


@app.command(name="test")
def tried(
    route: Annotated[str, Parameter(help="The route: its name; `bide notify routes` lists them.")],
    /,
    *,
    db: Db = None,
    json: Json = False,
) -> int:
    """Send a test over a route, and say whether it was taken; without a service it is sent from here."""
    return done(db, json, lambda ops: ops.notices.test(route))


@app.command(name="retry")
def retry(
    notice: Annotated[
        str | None, Parameter(help="The notice: its number; without it all that failed.")
    ] = None,
    /,
    *,
    route: OfRoute = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Try again at once what did not arrive."""
    return done(db, json, lambda ops: ops.notices.retry(notice, route), starts=True)


@app.command(name="secret")
def secret() -> int:
    """Print a new signing secret for a webhook: give it to its receiver, and name it in the route."""
    from base64 import b64encode
    from secrets import token_bytes

    write(f"whsec_{b64encode(token_bytes(32)).decode()}")
    return 0
