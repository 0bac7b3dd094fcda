"""`python -m benchmarks`: measure the rows, print one table, write one JSON file.

Each measurement is a fresh process, bide and its limit by turns; figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

import bide
from benchmarks.catalogue import ROWS, Figure

RESULTS = Path(__file__).parent / "results"
LIMIT_S = 300


def measure(name: str, side: str) -> dict[str, float]:
    """One measurement; a row that fails says why and has no figures."""
    child = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.row", name, side],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        start_new_session=True,
    )
    try:
        out, said = child.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)  # with whatever it has started
        out, said = "", f"no end within {LIMIT_S} s"
        child.wait()
    if child.returncode:
        print(f"{name} ({side}) failed:\n{said}", file=sys.stderr)
        return {}
    figures: dict[str, float] = json.loads(out.splitlines()[-1])
    return figures


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(r[key] for r in runs if key in r) for run in runs[:1] for key in run}


def record(key: str, figure: Figure, got: dict[str, float], limit: dict[str, float]) -> dict[str, Any]:
    value = got.get(key)
    bound = limit.get(key if figure.limit is None else figure.limit)
    return {
        "figure": figure.label,
        "bide": value,
        "limit": bound,
        "ratio": value / bound if value is not None and bound else None,
        "target": figure.target(),
        "reached": None if value is None else figure.reached(value, bound),
        "peer": figure.peer,
    }


def plain(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def table(rows: dict[str, list[dict[str, Any]]]) -> Table:
    shown = Table(title=f"bide {bide.__version__}, medians", title_justify="left")
    for name in ("row", "figure"):
        shown.add_column(name)
    for name in ("bide", "limit", "ratio", "to reach"):
        shown.add_column(name, justify="right")
    shown.add_column("")
    shown.add_column("peers")
    for name, figures in rows.items():
        for first, f in zip([ROWS[name].title, *[""] * len(figures)], figures, strict=False):
            mark = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[f["reached"]]
            ratio = "-" if f["ratio"] is None else f"{f['ratio']:.2f}x"
            shown.add_row(
                first, f["figure"], plain(f["bide"]), plain(f["limit"]), ratio, f["target"], mark, f["peer"]
            )
        shown.add_section()
    return shown


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", nargs="+", choices=[*ROWS, "all"], default=["all"], metavar="ROW")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path, help="where to write (default: benchmarks/results/)")
    parser.add_argument("--list", action="store_true", help="name the rows and stop")
    asked = parser.parse_args()
    if asked.list:
        for name, row in ROWS.items():
            print(f"{name:<16}{row.title}")
        return 0
    names = list(ROWS) if "all" in asked.rows else asked.rows
    turns = {name: min(asked.repeat, ROWS[name].repeat or asked.repeat) for name in names}
    shown = Console(stderr=True)
    rows: dict[str, list[dict[str, Any]]] = {}
    raw: dict[str, dict[str, list[dict[str, float]]]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=shown, transient=True) as progress:
        bar = progress.add_task("", total=sum(turns.values()))
        for name in names:
            raw[name] = {"bide": [], "limit": []}
            for _ in range(turns[name]):
                progress.update(bar, description=ROWS[name].title)
                for side in ("limit", "bide"):
                    if got := measure(name, side):
                        raw[name][side].append(got)
                progress.advance(bar)
            sides = {side: medians(runs) for side, runs in raw[name].items()}
            rows[name] = [
                record(key, figure, sides["bide"], sides["limit"])
                for key, figure in ROWS[name].figures.items()
            ]
    Console(width=None if sys.stdout.isatty() else 150).print(table(rows))
    path = asked.json or RESULTS / f"{time.strftime('%Y%m%dT%H%M%S')}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    machine = {
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
    }
    path.write_text(
        json.dumps({"bide": bide.__version__, "machine": machine, "rows": rows, "runs": raw}, indent=1)
    )
    print(f"written to {os.path.relpath(path)}")
    return 0 if all(f["bide"] is not None for figures in rows.values() for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
