"""`bide token`: who may ask over TCP."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked, done
from bide.runtime.cli.output import note, print_json, print_table, stamp, write

app = App(name="token", help="Who may ask over TCP: create, list (bare), revoke.")

Name = Annotated[str, Parameter(help="Whose it is, or what for: letters, digits, '_', '-', '.', '@'.")]


@app.command(name="create")
def create(
    name: Name,
    /,
    *,
    scope: Annotated[str, Parameter(help="read, run (and read), or admin (and all else).")] = "read",
    expires: Annotated[
        str | None, Parameter(help="When it ends: a span such as 30d, or a date; without it never.")
    ] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Make a token and print it, this once: it is kept nowhere."""
    made = asked(db, lambda ops: ops.tokens.create(name, scope, expires))
    if json:
        print_json(made)
        return 0
    write(made.token)
    until = f"until {stamp(made.expires_at)}" if made.expires_at else "until it is revoked"
    note(f"bide: {name} may {scope}, {until}; it is not shown again")
    return 0


@app.default
@app.command(name="list")
def listed(*, limit: Most = 100_000, db: Db = None, json: Json = False) -> int:
    """List the tokens there are and were."""
    found = asked(db, lambda ops: ops.tokens.listed(limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            one.name,
            one.scope,
            one.state,
            f"bide_{one.public}_...",
            stamp(one.created_at),
            stamp(one.expires_at),
        )
        for one in found
    ]
    print_table(("token", "scope", "state", "begins", "made", "ends"), rows, "there is no token")
    return 0


@app.command(name="revoke")
def revoke(name: Name, /, *, db: Db = None, json: Json = False) -> int:
    """Revoke a token: it opens nothing from now on."""
    return done(db, json, lambda ops: ops.tokens.revoke(name))
