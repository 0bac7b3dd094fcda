"""`bide show RUN --chain`: what made a run, what made that, and so on; what it read and made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.cli.output import note, print_json, stamp, write

if TYPE_CHECKING:
    from bide.runtime.service.run_shapes import ChainRun, ChainVersion, RunChain

_BY = {"scheduled": "its schedule", "manual": "hand", "shadow": "a shadow of its DAG"}


def shown_chain(found: RunChain, json: bool) -> int:
    if json:
        print_json(found)
        return 0
    for run in found.causes:
        margin = "  " * run.depth
        write(
            f"{margin}run {run.run_id} of {run.dag} ({run.state}) was made by {_maker(run)}, {stamp(run.created_at)}"
        )
        for version in run.versions:
            write(f"{margin}  for {_said(version)}")
    for word, versions in (("read", found.read), ("made", found.made)):
        for version in versions:
            write(f"{word} {_said(version)}")
    for run in found.sets_going:
        write(f"set going run {run.run_id} of {run.dag} ({run.state})")
    if found.more:
        note("there is more than is listed here: `bide assets lineage VERSION` goes on from one version")
    return 0


def _maker(run: ChainRun) -> str:
    if run.backfill_id is not None:
        return f"backfill {run.backfill_id}"
    if run.plan_id is not None:
        return f"rerun plan {run.plan_id}"
    if run.versions:
        return "new data"
    return run.who or _BY.get(run.kind, run.kind)


def _said(version: ChainVersion) -> str:
    of = f"{stamp(version.interval.start)} to {stamp(version.interval.end)}"
    return f"{version.asset} version {version.version} ({version.state}), {of}"
