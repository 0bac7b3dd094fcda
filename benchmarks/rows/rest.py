"""Every list endpoint on a database of a million task instances, while a service carries out a thousand tasks a second.

The service is `bide serve` in a process of its own, asked over its socket by this one: listings of the table of
doors by turns, on time whether or not what was asked before is answered. Hand-offs and the lag of the loop are
measured within the service (`rest_dags`), first without readers, then with them, then beside `doctor`. A page
of a thousand is asked for as well as the default of each listing.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, get_origin

from msgspec import NODEFAULT

from benchmarks.measure import quantile, scratch
from benchmarks.rows.rest_db import FIRST
from bide.runtime.service.places import socket_of
from bide.runtime.service.table import operations

STREAMS_PER_S, TIMED_PER_S, ASKED_PER_S = 16, 2, 20
"""16 runs of 50 tasks and 2 chains of 101 a second: 1,002 tasks."""
WARM_S, QUIET_S, READ_S, CHECKED_S = 2.0, 6.0, 20.0, 6.0
TOTAL_S = WARM_S + QUIET_S + READ_S + CHECKED_S
_RUN = str(FIRST + 51_007)
_NAMED = {"{dag}": "history_07", "{run}": _RUN}
_ASKED = {"asset": "asset_7", "since": "2026-01-01", "until": "2026-02-01"}
"""What listings cannot do without, by its name in the query."""
_MORE = (
    "/runs?limit=1000",
    "/runs?dag=history_07&limit=1000",
    "/runs?state=failed",
    "/runs?state=cancelled&limit=1000",
    "/runs?dag=history_07&state=queued",
    f"/runs/{_RUN}",
    f"/runs/{_RUN}/why",
    f"/journal?run={_RUN}",
    "/journal?dag=history_07",
    "/journal?kind=run&limit=1000",
    "/alerts?state=new&limit=1000",
    f"/alerts?run={FIRST + 7}",
    "/audit?who=user3&limit=1000",
    "/audit?who=nobody",
    "/asset-decisions?asset=asset_7",
    "/stats/dags/history_07",
    f"/stats/runs/{_RUN}",
    "/top",
    "/asset-graph",
)


def questions() -> list[str]:
    """All listings of the table that need no hook, and the other reads of `_MORE`."""
    found = []
    for one in operations():
        if one.route.method == "GET" and get_origin(one.result) is list:
            path = one.route.path.replace("{dag}/asset-events", "follows/asset-events")
            for name, value in _NAMED.items():
                path = path.replace(name, value)
            asked = [
                each.name for each in one.parameters if each.where == "query" and each.default is NODEFAULT
            ]
            if "{" not in path:
                query = "&".join(f"{name}={_ASKED[name]}" for name in asked)
                found.append(f"{path}?{query}" if query else path)
    return [*(f"/api/v1{path}" for path in (*found, *_MORE)), "/metrics"]


class Asker:
    """Connections to the socket that are kept; one carries one question at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._free: list[tuple[float, asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, target: str, body: dict[str, Any] | None = None) -> bytes:
        while self._free:
            since, reader, writer = self._free.pop()
            if time.perf_counter() - since < 2.0:  # the service closes what is idle for five
                break
            writer.close()
        else:
            reader, writer = await asyncio.open_unix_connection(str(self._path), limit=1 << 24)
        sent = b"" if body is None else json.dumps(body).encode()
        verb = "GET" if body is None else "POST"
        writer.write(
            f"{verb} {target} HTTP/1.1\r\nHost: bide\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(sent)}\r\n\r\n".encode()
            + sent
        )
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = next(line for line in head.split(b"\r\n") if line.startswith(b"content-length:"))
        answer = await reader.readexactly(int(length.partition(b":")[2]))
        self._free.append((time.perf_counter(), reader, writer))
        assert head.split(b" ", 2)[1] in (b"200", b"201"), (target, answer[:500])
        return answer


async def _paced(per_s: float, until: float, do: Any) -> None:
    """`do(n, due)` so often a second, each a task, on time."""
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        n = 0
        while (due := began + n / per_s) < until:
            await asyncio.sleep(due - time.perf_counter())
            group.create_task(do(n, due))
            n += 1


@asynccontextmanager
async def service(db: Path, out: Path) -> AsyncIterator[Asker]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bide", "serve", str(Path(__file__).with_name("rest_dags.py")), "--db", str(db),
        "--slots", "256", "--drain", "1s",
        env={**os.environ, "BIDE_BENCH_OUT": str(out), "BIDE_BENCH_S": str(TOTAL_S)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    assert child.stdout is not None
    said = b""
    while b"serving" not in said:
        line = await child.stdout.readline()
        assert line, said.decode()
        said += line
    drained = asyncio.create_task(child.stdout.read())
    try:
        yield Asker(socket_of(db))
    finally:
        child.terminate()
        with suppress(TimeoutError):
            await asyncio.wait_for(drained, 5)
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _copied(instances: int, folder: Path) -> tuple[Path, float]:
    """The database made apart, and a copy of it that may be written."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rows.rest_db", str(instances), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await child.communicate()
    path, took = out.decode().split("\n")[:2]
    await asyncio.to_thread(shutil.copyfile, path, folder / "bide.db")
    return folder / "bide.db", float(took)


def _within(found: list[list[float]], since: float, until: float) -> list[float]:
    return [ms for at, ms in found if since <= at < until]


async def listings(instances: int) -> dict[str, float]:
    took: dict[str, list[float]] = defaultdict(list)
    with scratch() as folder:
        db, making = await _copied(instances, folder)
        out = folder / "measured.json"
        async with service(db, out) as asker:
            asked = questions()
            for each in asked:
                await asker.ask(each)
            began = time.perf_counter()

            async def start(dag: str) -> None:
                await asker.ask(f"/api/v1/dags/{dag}/runs", {})

            async def question(n: int, due: float) -> None:
                await asker.ask(asked[n % len(asked)])
                took[asked[n % len(asked)]].append((time.perf_counter() - due) * 1e3)

            async def readers() -> tuple[float, float, float]:
                await asyncio.sleep(WARM_S + QUIET_S)
                since = time.perf_counter()
                await _paced(ASKED_PER_S, since + READ_S, question)
                until = time.perf_counter()
                with suppress(TimeoutError):
                    async with asyncio.timeout(CHECKED_S):
                        await asker.ask("/api/v1/doctor")
                return since, until, time.perf_counter()

            await start("lag")
            async with asyncio.TaskGroup() as group:
                group.create_task(_paced(STREAMS_PER_S, began + TOTAL_S, lambda *_: start("stream")))
                group.create_task(_paced(TIMED_PER_S, began + TOTAL_S, lambda *_: start("timed")))
                reading = group.create_task(readers())
            async with asyncio.timeout(30):
                while not out.exists():
                    await asyncio.sleep(0.05)
            top = json.loads(await asker.ask("/api/v1/top"))
        measured = json.loads(out.read_text())
    read_since, read_until, checked = reading.result()
    quiet = (began + WARM_S, read_since)
    worst = {each: quantile(ms, 0.99) for each, ms in took.items()}
    slowest = sorted(worst.items(), key=lambda one: -one[1])[:6]
    print("slowest:", *(f"{each} {ms:.0f}" for each, ms in slowest), file=sys.stderr)
    print(f"load average {os.getloadavg()[0]:.1f}, runs left {sum(top['runs'].values())}", file=sys.stderr)
    every = [ms for each in took.values() for ms in each]
    gaps = [
        _within(measured["gaps"], *span) for span in (quiet, (read_since, read_until), (read_until, checked))
    ]
    lags = [
        _within(measured["lags"], *span) for span in (quiet, (read_since, read_until), (read_until, checked))
    ]
    return {
        "p50_ms": quantile(every, 0.5),
        "p99_ms": quantile(every, 0.99),
        "slowest_ms": slowest[0][1],
        "alone_p50_ms": quantile(gaps[0], 0.5),
        "alone_p99_ms": quantile(gaps[0], 0.99),
        "handoff_p50_ms": quantile(gaps[1], 0.5),
        "handoff_p99_ms": quantile(gaps[1], 0.99),
        "checked_p99_ms": quantile(gaps[2], 0.99) if gaps[2] else float("nan"),
        "lag_alone_p99_ms": quantile(lags[0], 0.99),
        "lag_p99_ms": quantile(lags[1], 0.99),
        "runs_left": sum(top["runs"].values()),
        "load": os.getloadavg()[0],
        "making_s": making,
    }
