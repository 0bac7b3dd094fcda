"""`bide incident`: open one, walk the runbook, close it with evidence; export the evidence and decide by it again."""

from __future__ import annotations

import json as json_text
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, asked, done
from bide.runtime.cli.output import print_json, print_table, stamp, write
from bide.runtime.errors import RefusedError, UsageError

app = App(
    name="incident",
    help="Incidents: list (bare), open, show, note, plan, close, export, replay.",
)

Incident = Annotated[str, Parameter(help="The incident: its number; `bide incident list` lists them.")]
By = Annotated[str, Parameter(help="Who does it; it stands in the record.")]
Text = Annotated[str, Parameter(name="--text", help="What is to be recorded.")]


def _list(state: str | None, limit: int, db: Db, json: bool) -> int:
    found = asked(db, lambda ops: ops.evidence.incidents(state, limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            line.incident_id,
            line.state,
            line.severity,
            line.title,
            line.asset,
            line.invalidation_id,
            line.plan_id,
            stamp(line.opened_at),
            stamp(line.closed_at),
        )
        for line in found
    ]
    heads = ("incident", "state", "severity", "title", "asset", "invalidation", "plan", "opened", "closed")
    print_table(heads, rows, "no incident was opened")
    return 0


@app.default
def bare(*, db: Db = None, json: Json = False) -> int:
    """List the incidents, the newest first."""
    return _list(None, 50, db, json)


@app.command(name="list")
def listed(
    *,
    state: Annotated[str | None, Parameter(help="Only those that are open, or closed.")] = None,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the incidents, the newest first."""
    return _list(state, limit, db, json)


@app.command(name="open")
def open_(
    title: Annotated[str, Parameter(help="What has happened, in a few words.")],
    /,
    *,
    asset: Annotated[str | None, Parameter(help="The asset that is wrong.")] = None,
    invalidation: Annotated[str | None, Parameter(help="The invalidation that it is about.")] = None,
    severity: Annotated[str | None, Parameter(help="info, warning, minor, major or critical.")] = None,
    dimension: Annotated[
        list[str] | None,
        Parameter(
            help="What is the matter, once for each: visible_wrong, visible_stale, blocked, effect_done, "
            "sensitive_exposed, regulatory_deadline, needs_a_person. The severity follows from them."
        ),
    ] = None,
    by: By = "",
    text: Text = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Open an incident, of an asset or of an invalidation."""
    what = tuple(dimension or ())
    return done(db, json, lambda ops: ops.evidence.open(title, asset, invalidation, severity, by, text, what))


@app.command(name="show")
def show(incident: Incident, /, *, db: Db = None, json: Json = False) -> int:
    """Show an incident: the twelve steps of the runbook, what is known of each, what was noted."""
    found = asked(db, lambda ops: ops.evidence.incident(incident))
    if json:
        print_json(found)
        return 0
    write(f"incident {found.incident_id}: {found.title}")
    write(f"{found.state}, {found.severity}, opened {stamp(found.opened_at)} by {found.opened_by}")
    if found.closed_at is not None:
        write(f"closed {stamp(found.closed_at)} by {found.closed_by}")
    for step in found.steps:
        write(f"{step.number:>3} {'x' if step.done else ' '} {step.title}")
        for line in (*((step.known,) if step.known else ()), *step.notes):
            write(f"      {line}")
    if found.missing and found.state == "open":
        write(f"open: {', '.join(found.missing)}")
    return 0


@app.command(name="note")
def note(
    incident: Incident,
    step: Annotated[str, Parameter(help="The step of the runbook, such as notify or blast_radius.")],
    text: Annotated[str, Parameter(help="What was done or found.")],
    /,
    *,
    by: By = "",
    data: Annotated[str | None, Parameter(help="JSON that goes with it.")] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Note what was done at a step of the runbook."""
    try:
        said = {} if data is None else json_text.loads(data)
    except json_text.JSONDecodeError as error:
        raise UsageError(f"--data is {data!r}, and must be JSON: {error}") from None
    return done(db, json, lambda ops: ops.evidence.note(incident, step, text, by, said))


@app.command(name="plan")
def plan(
    incident: Incident,
    /,
    *,
    plan: Annotated[str | None, Parameter(help="The rerun plan; the newest of its invalidation.")] = None,
    invalidation: Annotated[
        str | None, Parameter(help="The invalidation, where it was opened without one.")
    ] = None,
    by: By = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Link the rerun plan that mends it; `bide assets plan INVALIDATION` makes one."""
    return done(db, json, lambda ops: ops.evidence.plan(incident, plan, invalidation, by))


@app.command(name="close")
def close(
    incident: Incident,
    /,
    *,
    text: Text = "",
    by: By = "",
    anyway: Annotated[bool, Parameter(negative="", help="Although a step is open; it is recorded.")] = False,
    output: Annotated[
        str | None, Parameter(name=("--output", "-o"), help="Write the bundle to this file as well.")
    ] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Close an incident whose runbook was walked, and write its evidence."""
    if output is not None:
        _free(output)
    code = done(db, json, lambda ops: ops.evidence.close(incident, text, by, anyway))
    if output is not None:
        _write_bundle(incident, output, db, quiet=json)
    return code


@app.command(name="export")
def export(
    incident: Incident,
    /,
    *,
    output: Annotated[
        str | None, Parameter(name=("--output", "-o"), help="The file; incident-N.zip by default.")
    ] = None,
    db: Db = None,
    json: Json = False,
) -> int:
    """Write the evidence of an incident into one file, from which its decisions can be made again."""
    if output is not None:
        _free(output)
    name = _write_bundle(incident, output, db, quiet=json)
    if json:
        print_json({"incident_id": incident, "file": name})
    return 0


def _write_bundle(incident: str, output: str | None, db: Db, quiet: bool) -> str:
    found = asked(db, lambda ops: ops.evidence.export(incident))
    name = output or found.name
    _free(name)
    with Path(name).open("xb") as file:
        file.write(found.data)
    if not quiet:
        write(f"the evidence of incident {incident} is in {name} ({len(found.data)} bytes)")
    return name


def _free(name: str) -> None:
    if Path(name).exists():
        raise RefusedError(f"{name} is there already: name another file, evidence is never overwritten")
    if not Path(name).absolute().parent.is_dir():
        raise UsageError(f"the folder of {name} does not exist: make it, or name another file")


@app.command(name="replay")
def replay(
    bundle: Annotated[str, Parameter(help="The file that `bide incident export` wrote.")],
    /,
    *,
    json: Json = False,
) -> int:
    """Make every decision of a bundle again, from the bundle alone; exit code 1 when something differs."""
    from bide.runtime.service.bundle import replay as made_again

    found = made_again(Path(bundle))
    if json:
        print_json(found)
    else:
        for check in found.checks:
            write(f"{'identical' if check.identical else 'DIFFERS  '}  {check.what}: {check.found}")
        write(f"incident {found.incident_id}: {'identical' if found.identical else 'something differs'}")
    return 0 if found.identical else 1
