"""`bide assets plan`, `run-plan`, `plans`: what an invalidation makes necessary, as a file; approved, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, Parameter

from bide.runtime.cli.asking import ASLEEP, Db, Json, asked, done
from bide.runtime.cli.output import note, print_json, print_table, stamp, write
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service.doors import Doors
from bide.runtime.service.plan_shapes import PlanRun, PlanShown

_ENOUGH: Final = 12
"""Characters of a hash that name a plan among those with its number."""

By = Annotated[str, Parameter(help="Who approves it; kept with the plan.")]
Why = Annotated[str, Parameter(help="Why; kept with the plan.")]


def add_to(app: App) -> None:
    """Make them commands of `bide assets`."""
    app.command(make, name="plan")
    app.command(run_plan, name="run-plan")
    app.command(plans, name="plans")
    app.command(cancel, name="cancel-plan")


def make(
    invalidation: Annotated[str, Parameter(help="The invalidation: its number.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(name=["--output", "-o"], help="Write the plan into this file, as JSON.")
    ] = None,
    dry_run: Annotated[bool, Parameter(negative="", help="Only look at it: nothing is kept.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Plan what mends an invalidation: the least that has to be made anew, in order, with risk and cost."""
    from bide.runtime.assets.rerun import to_file

    found = asked(db, lambda ops: ops.plans.make(invalidation, not dry_run))
    if output is not None:
        output.write_text(to_file(found))
    if json:
        print_json(found)
        return 0
    write(f"plan {found.id or '(not kept)'} {found.hash[:12]}")
    for line in found.summary:
        write(f"  {line}")
    if output is not None:
        approve = " --approve --by NAME --why TEXT" if found.requires_approval else ""
        write(f"run it exactly so: bide assets run-plan {output}{approve}")
    return 0


def run_plan(
    plan: Annotated[
        str,
        Parameter(help="The file of the plan, as `bide assets plan -o` wrote it; or its number, with HASH."),
    ],
    hash: Annotated[  # noqa: A002 - the word of the plan
        str, Parameter(help="The hash of the plan that was read, or how it begins; its file says it.")
    ] = "",
    /,
    *,
    approve: Annotated[
        bool, Parameter(negative="", help="Approve it as well: --by and --why say who.")
    ] = False,
    by: By = "",
    why: Why = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Run a plan exactly as it was made: staged first, then published together. Twice is once."""
    file, named = Path(plan), plan.isdecimal() and not Path(plan).exists()
    number, whole = (plan, "") if named else _read(file)

    async def carry_out(ops: Doors) -> tuple[PlanRun, bool]:
        meant = await _meant(ops, number, whole, hash)
        if approve:
            await ops.plans.approve(number, meant, by, why)
        return await ops.plans.run(number, meant), ops.held

    found, held = asked(db, carry_out)
    if json:
        print_json(found)
        return 0
    write(found.done)
    if found.state == "running" and not held:
        note(ASLEEP)
    return 0


def _read(file: Path) -> tuple[str, str]:
    """The number and the hash of the plan in a file."""
    from bide.runtime.assets.rerun import from_file

    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    plan = from_file(text, str(file))
    if not plan.id:
        raise UsageError(f"{file} is of a dry run, which was not kept: plan without --dry-run")
    return plan.id, plan.hash


async def _meant(ops: Doors, number: str, whole: str, begins: str) -> str:
    """The hash of the plan that is meant: that of its file, or the one that begins as was typed."""
    if whole and not begins:
        return whole
    whole = whole or (await ops.plans.show(number)).hash
    if len(begins) < _ENOUGH:
        raise UsageError(
            f"which plan {number} is meant? say the hash of the one that was read: `bide assets plans {number}` "
            f"shows it, and its first {_ENOUGH} characters are enough"
        )
    if not whole.startswith(begins):
        raise RefusedError(f"plan {number} is another one: its hash is {whole[:_ENOUGH]}, and not {begins}")
    return whole


def plans(
    plan: Annotated[str | None, Parameter(help="One of them, with its steps: its number.")] = None,
    /,
    *,
    limit: Annotated[int, Parameter(help="At most so many, the newest.")] = 50,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the rerun plans, or show one with its steps and why it stands where it does."""
    if plan is not None:
        shown = asked(db, lambda ops: ops.plans.show(plan))
        if json:
            print_json(shown)
        else:
            _show(shown)
        return 0
    found = asked(db, lambda ops: ops.plans.listed(limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            line.plan_id,
            line.invalidation,
            line.asset,
            line.state,
            line.risk,
            f"{sum(line.steps.get(each, 0) for each in ('staged', 'published'))} of {line.total}",
            stamp(line.created_at),
            line.reason,
        )
        for line in found
    ]
    heads = ("plan", "invalidation", "asset", "state", "risk", "steps made", "made at", "reason")
    print_table(heads, rows, "no plan is kept: `bide assets plan INVALIDATION` makes one")
    return 0


def cancel(
    plan: Annotated[str, Parameter(help="The plan: its number; `bide assets plans` lists them.")],
    /,
    *,
    reason: Annotated[str, Parameter(help="Why; it stands in the journal.")] = "",
    db: Db = None,
    json: Json = False,
) -> int:
    """Cancel a plan and its runs; what it had made and nobody has seen is not used."""
    return done(db, json, lambda ops: ops.plans.cancel(plan, reason))


def _show(shown: PlanShown) -> None:
    write(f"plan {shown.plan_id} of invalidation {shown.invalidation} is {shown.state}: {shown.why}")
    write(f"  hash {shown.hash}")
    rows = [
        (
            line.step,
            ", ".join(line.tasks),
            line.scope,
            line.mode,
            line.state,
            line.run_id,
            line.reason,
        )
        for line in shown.lines
    ]
    print_table(
        ("step", "tasks", "scope", "mode", "state", "run", "reason"), rows, "nothing has to be made anew"
    )
