"""`bide assets plan`, `run-plan`, `plans`: what an invalidation makes necessary, as a file; approved, and run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import ASLEEP, Db, Json, asked, done
from bide.runtime.cli.output import note, print_json, print_table, stamp, write
from bide.runtime.errors import UsageError
from bide.runtime.service.doors import Doors
from bide.runtime.service.plan_shapes import PlanRun, PlanShown

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
    file: Annotated[Path, Parameter(help="The file of the plan, as `bide assets plan -o` wrote it.")],
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
    from bide.runtime.assets.rerun import from_file

    try:
        text = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    plan = from_file(text, str(file))
    if not plan.id:
        raise UsageError(f"{file} is of a dry run, which was not kept: plan without --dry-run")

    async def carry_out(ops: Doors) -> tuple[PlanRun, bool]:
        if approve:
            await ops.plans.approve(plan.id, plan.hash, by, why)
        return await ops.plans.run(plan.id, plan.hash), ops.held

    found, held = asked(db, carry_out)
    if json:
        print_json(found)
        return 0
    write(found.done)
    if found.state == "running" and not held:
        note(ASLEEP)
    return 0


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
