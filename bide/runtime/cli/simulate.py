"""`bide simulate`: what DAGs would do over a stretch of time, lived through in seconds; then the report."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from pathlib import Path

import msgspec
from rich.console import Console

from bide.runtime.cli.output import note, print_json, print_table, stamp, write
from bide.runtime.clock import DAY, SystemClock
from bide.runtime.config import Config
from bide.runtime.errors import GraphError, NotFoundError, UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.load import load_paths, load_target
from bide.runtime.service.addresses import read_date
from bide.runtime.service.opens import pools_of
from bide.testing.simulation import Report, Script, Simulation, read_script, simulated
from bide.testing.simulation.timeline import legend, timeline

_STEP_US = DAY
_SHOWN = 5
_WIDEST = 44


def simulate_dags(
    targets: Sequence[str], config: Config, since: str, until: str, seed: int | None, json: bool,
    out: str | None, script: str | None,
) -> int:  # fmt: skip
    """Simulate, print. Runs that fail in it are an outcome, not an error: the exit code is 0."""
    dags = _dags(targets)
    start_us, end_us = read_date(since), read_date(until)
    if end_us <= start_us:
        raise UsageError(f"--to {until} is not after --from {since}: nothing lies between")
    plan = read_script(script) if script is not None else Script()
    logging.getLogger("bide").addHandler(logging.NullHandler())  # alerts are in the report
    clock = SystemClock()
    began = clock.elapsed()
    report = asyncio.run(_live(dags, config, start_us, end_us, seed, plan, out))
    took = (clock.elapsed() - began) / 1e6
    if json:
        print_json(msgspec.Raw(report.to_json()))
    else:
        _show(report, [dag.name for dag in dags], start_us, end_us)
    for dag in dags:
        if dag.name not in plan.events and any(part.standing() is not None for part in dag.schedule.parts()):
            note(f"no event came to {dag.name}: a script says when they do, in [events.{dag.name}]")
    note(f"simulated in {took:.1f} s: {report.runs:,} runs, {report.tasks:,} task attempts")
    return 0


async def _live(
    dags: Sequence[Dag], config: Config, start_us: int, end_us: int, seed: int | None, script: Script,
    out: str | None,
) -> Report:  # fmt: skip
    async with simulated(
        dags, start=start_us, script=script, seed=seed, slots=config.slots, pools=pools_of(config)
    ) as sim:
        await _with_progress(sim, start_us, end_us)
        if out is not None:
            sim.save_journal(out)
        return sim.report()


async def _with_progress(sim: Simulation, start_us: int, end_us: int) -> None:
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("simulating", total=end_us - start_us)
        at_us = start_us
        while at_us < end_us:
            at_us = min(at_us + _STEP_US, end_us)
            await sim.run_until(at_us)
            progress.update(bar, completed=at_us - start_us)


def _dags(targets: Sequence[str]) -> list[Dag]:
    """The DAGs of targets and paths; one broken file is an error here: it would be missing."""
    if not targets:
        raise UsageError("simulate what? give a TARGET (file.py[:dag], module[:dag]), files or folders")
    found: dict[str, Dag] = {}
    for target in targets:
        if Path(target).is_dir():
            loaded = load_paths([target])
            if loaded.errors:
                raise GraphError(next(iter(loaded.errors.values())))
            dags = loaded.dags
        else:
            dags = load_target(target)
        for dag in dags:
            found.setdefault(dag.name, dag)
    if not found:
        raise NotFoundError(f"{', '.join(targets)} declares no DAG")
    return list(found.values())


def _show(report: Report, names: Sequence[str], start_us: int, end_us: int) -> None:
    rows = [
        (
            name, _short(each.schedule), f"{each.runs:,}", _outcomes(each.outcomes, each.open), f"{each.tasks:,}",
            f"{each.late:,}" + (f" (up to {_span(each.latest_s)})" if each.late else ""), f"{len(each.skipped):,}",
        )
        for name, each in report.dags.items()
    ]  # fmt: skip
    print_table(("dag", "schedule", "runs", "ended", "attempts", "late", "skipped"), rows, "no DAGs")
    write("")
    console = Console(highlight=False)
    console.print(timeline(report.spans, names, start_us, end_us, console.width))
    console.print(legend())
    write("")
    write(f"slots in use   at most {report.slots_most}, on average {report.slots_mean:.2f}")
    wait = report.longest_queue_wait
    if wait is not None:
        who = f"{wait.dag}.{wait.task}" if wait.task else f"a run of {wait.dag}"
        write(
            f"longest queue  {_span(wait.seconds)}: {who} of {stamp(wait.logical_date)}, until {stamp(wait.at)}"
        )
    else:
        write("longest queue  nothing ever waited for a slot or a turn")
    write(f"alerts         {len(report.deadline_alerts):,}")
    for alert in report.deadline_alerts[:_SHOWN]:
        write(f"  {stamp(alert.at)}  {alert.reason}")
    for name, each in report.dags.items():
        if each.skipped:
            last = each.skipped[-1]
            write(
                f"skipped        {len(each.skipped):,} of {name}, the last at {stamp(last.at)}: {last.reason}"
            )
    for refusal in report.refused:
        write(f"  {stamp(refusal.at)}  refused: {refusal.reason}")


def _outcomes(outcomes: dict[str, int], going: int) -> str:
    said = [f"{count:,} {state}" for state, count in outcomes.items()]
    return ", ".join([*said, f"{going:,} open"] if going else said) or "none"


def _short(text: str) -> str:
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def _span(seconds: float) -> str:
    minutes, left = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return (
        f"{hours} h {minutes:02} min" if hours else f"{minutes} min {left:02} s" if minutes else f"{left} s"
    )
