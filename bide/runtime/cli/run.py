"""`bide run`: one DAG to its end in this process, taking up an unfinished run where there is one.

Interrupted, it leaves the run resumable and says how to go on.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from bide.runtime.cli.heard import Heard
from bide.runtime.cli.output import coloured, note, print_json, said_state, write
from bide.runtime.cli.picture import Follower, Graph, Lines, Picture, Silent
from bide.runtime.cli.targets import one_dag
from bide.runtime.clock import Clock, SystemClock, from_us
from bide.runtime.config import Config
from bide.runtime.engine.states import RUN_OVER, RunState
from bide.runtime.errors import INTERRUPTED, RefusedError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.params import checked, schema_of
from bide.runtime.loading import loaded
from bide.runtime.service.addresses import read_date, read_params
from bide.runtime.service.caller import acting, terminal
from bide.runtime.service.doors import Served
from bide.runtime.service.opens import open_runtime
from bide.runtime.service.places import database, socket_of
from bide.runtime.store.lock import Lock
from bide.runtime.store.reader import Reader, RunDetail

_REDRAW_S: Final = 0.1
_OPERATIONS: Final = "bide.runtime.service.operations"


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for: `target` and `db` as they were typed, to say how to go on."""

    target: str
    logical_us: int | None
    params: dict[str, Any]
    new: bool
    shadow: bool
    json: bool


def run_target(
    target: str, config: Config, date: str | None, param: list[str], new: bool, shadow: bool, json: bool
) -> int:
    """Runs it; 0 when it succeeded, 1 when not, 130 when interrupted."""
    dag, db = one_dag(target), database(config)
    logical_us = None if date is None else read_date(date, dag.spec.tz)
    params = read_params(param, schema_of(dag.spec))
    checked(dag.spec, params)
    _refuse_service(db, dag.name, date, params, new, shadow)
    asked = Asked(target=target, logical_us=logical_us, params=params, new=new, shadow=shadow, json=json)
    with acting(terminal()):
        return asyncio.run(_run(dag, db, config, asked))


def _refuse_service(
    db: Path, dag: str, date: str | None, params: dict[str, Any], new: bool, shadow: bool
) -> None:
    """A service has its own doors; a runtime without a socket is named by the lock itself."""
    holder = Lock(db).holder() if db.parent.is_dir() else None
    if holder is None or holder.kind != "runtime" or not socket_of(db).exists():
        return
    words = [f"bide trigger {dag}"]
    words += [f"--date {date}"] if date else []
    words += [f"--param {key}={_typed(value)}" for key, value in params.items()]
    words += ["--new"] if new else []
    words += ["--shadow"] if shadow else []
    raise RefusedError(
        f"a service (process {holder.pid}) holds the database {db}: use `{' '.join(words)} --db {db}`"
    )


def _typed(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


async def _run(dag: Dag, db: Path, config: Config, asked: Asked) -> int:
    clock = SystemClock()
    since_us = clock.now()
    with _interrupts() as interrupted:
        open_run = None if asked.new or asked.shadow else _unfinished(dag, db, clock, asked)
        heard = None if asked.json else Heard()
        picture: Picture = Silent() if asked.json else Graph() if _is_terminal() else Lines()
        with closing(picture):  # begun before the runtime, which then stands before it at `sys.stdout`
            async with open_runtime(config, db, [dag], schedules=False, echo=heard) as runtime:
                run_id = await _begin(dag, runtime, open_run, asked)
                with Reader(db) as reader:
                    follower = Follower(reader, run_id, since_us, heard, runtime.progress)
                    await _follow(runtime, follower, run_id, picture, interrupted, clock)
                    run = reader.run(run_id)
                if run.state not in RUN_OVER:
                    note("bide: stopping what runs; ^C again ends it at once")
                else:
                    await _tell(runtime, run, asked)
    if run.state in RUN_OVER:
        return 0 if run.state is RunState.SUCCESS else 1
    return _interrupted(run, asked, db)


def _is_terminal() -> bool:
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


async def _begin(dag: Dag, runtime: Served, open_run: RunDetail | None, asked: Asked) -> int:
    """The run to follow: the unfinished one, or a new one."""
    if open_run is not None:
        note(f"taking up run {open_run.run_id} of {dag.name} ({open_run.state}); --new makes another")
        return open_run.run_id
    args = {
        "dag": dag.name,
        "logical_us": asked.logical_us,
        "params": asked.params,
        "new": asked.new,
        "shadow": asked.shadow,
        "key": None,
        "reason": "bide run",
    }
    answer = await runtime.command("trigger", args)
    return int(answer["run_id"])


def _unfinished(dag: Dag, db: Path, clock: Clock, asked: Asked) -> RunDetail | None:
    """An unfinished run of the same DAG, date and parameters; of a dateless one the latest.

    Looked for before the runtime opens: a quick run is over as soon as it is recovered.
    """
    if not db.exists() or db.stat().st_size == 0:
        return None
    with Reader(db) as reader:
        found = reader.dag_spec(dag.name)
        start, end = dag.schedule.interval_for(asked.logical_us, clock.now(), found[1] if found else None)
        dated = asked.logical_us is not None or end > start
        params = {**dag.spec.params, **asked.params}
        for state in (RunState.RUNNING, RunState.QUEUED, RunState.EXPANDING):
            for line in reader.runs(dag.name, state, limit=1000):
                if dated and line.logical_us != start:
                    continue
                run = reader.run(line.run_id)
                if run.kind != "shadow" and msgspec.json.decode(run.params) == params:
                    return run
    return None


async def _follow(
    runtime: Served,
    follower: Follower,
    run_id: int,
    picture: Picture,
    interrupted: asyncio.Event,
    clock: Clock,
) -> None:
    """Show the run until it is over, the engine is, or it is interrupted."""
    ends = {
        asyncio.create_task(runtime.wait(str(run_id)), name="bide run end"),
        asyncio.create_task(runtime.stopped(), name="bide engine end"),
        asyncio.create_task(interrupted.wait(), name="bide interrupt"),
    }
    try:
        done: set[asyncio.Task[Any]] = set()
        while not done:
            began = clock.elapsed()
            picture.show(follower, runtime.slots_in_use, runtime.slots, clock.now())
            cost_s = (clock.elapsed() - began) / 1e6  # a large graph is drawn less often
            done, _ = await asyncio.wait(
                ends, timeout=max(_REDRAW_S, 10 * cost_s), return_when=asyncio.FIRST_COMPLETED
            )
        picture.show(follower, runtime.slots_in_use, runtime.slots, clock.now())
        for task in done:
            task.result()
    finally:
        for task in ends:
            task.cancel()
        picture.close()


async def _tell(runtime: Served, run: RunDetail, asked: Asked) -> None:
    """How it ended: the whole of it as JSON, or the reason when it did not succeed."""
    if asked.json:
        await loaded(_OPERATIONS)
        print_json(await runtime.operations.show(str(run.run_id)))
        return
    write(f"run {run.run_id} of {run.dag}: {said_state(run.state, coloured())}")
    if run.state is not RunState.SUCCESS:
        await loaded(_OPERATIONS)
        why = await runtime.operations.why(str(run.run_id))
        note(f"bide: {why.why}; {why.next}")


def _interrupted(run: RunDetail, asked: Asked, db: Path) -> int:
    words = f"bide run {asked.target}"
    if asked.logical_us is not None or run.start_us != run.end_us:
        words += f" --date {from_us(run.logical_us).isoformat()}"
    words += "".join(f" --param {key}={_typed(value)}" for key, value in asked.params.items())
    note(f"bide: interrupted; run {run.run_id} can be taken up again: `{words} --db {db}`")
    return INTERRUPTED


@contextmanager
def _interrupts() -> Iterator[asyncio.Event]:
    """Set by the first SIGINT or SIGTERM; a second one ends the process at once."""
    told = asyncio.Event()
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        if told.is_set():
            os.write(2, b"bide: ended at once: the same command takes up what was under way\n")
            os._exit(INTERRUPTED)
        told.set()

    numbers = (signal.SIGINT, signal.SIGTERM)
    for number in numbers:
        loop.add_signal_handler(number, interrupt)
    try:
        yield told
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)
