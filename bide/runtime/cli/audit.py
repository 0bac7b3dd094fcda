"""`bide audit`: who asked for what, from where, and what came of it."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, Json, asked
from bide.runtime.cli.output import print_json, print_table, stamp


def audit(
    *,
    since: Annotated[str | None, Parameter(help="Only those since then: a date, or so long ago, 2h.")] = None,
    who: Annotated[str | None, Parameter(help="Only what this user, token or hook asked for.")] = None,
    verb: Annotated[str | None, Parameter(help="Only these commands: trigger, cancel, pause, ...")] = None,
    outcome: Annotated[str | None, Parameter(help="Only these: ok, or refused.")] = None,
    via: Annotated[
        str | None, Parameter(help="Only by this door: terminal, socket, http, hook, python or host.")
    ] = None,
    target: Annotated[
        str | None, Parameter(help="Only what was about this, 'run 12', or a part of it.")
    ] = None,
    before: Annotated[int | None, Parameter(help="Only lines before this one, by its `id`.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 100,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the commands there were, with who asked and from where; the newest first."""
    found = asked(
        db,
        lambda ops: ops.audit(
            since, who, verb, outcome, None if before is None else str(before), limit, via, target
        ),
    )
    if json:
        print_json(found)
        return 0
    rows = [
        (
            stamp(line.at),
            line.who,
            f"{line.via} {line.address}".strip(),
            line.verb,
            line.target or None,
            line.outcome if not line.message else f"{line.outcome}: {line.message}",
        )
        for line in found
    ]
    narrowed = any(each is not None for each in (since, who, verb, outcome, via, target, before))
    none = "no command is of that kind" if narrowed else "nobody has commanded anything"
    print_table(("at", "who", "from", "command", "of", "outcome"), rows, none)
    return 0
