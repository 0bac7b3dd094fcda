"""`python -m examples.waiting_room`: wait on everything with no slot, then let the world come true."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table

from bide import Runtime
from bide.runtime.service.runtime import RunHandle
from examples.waiting_room.pipeline import CROWD, ledger, waiting_room
from examples.waiting_room.world import a_world

DATE = datetime(2026, 6, 15, tzinfo=UTC)
SHOWN = ("the_file", "the_page", "the_records", "the_hour", "count_orders", "open_doors")
LOOK_S = 4
WAITING = "all of them wait, and none holds a slot"


async def picture(rt: Runtime, run: RunHandle, said: str) -> Table:
    """The run as the database has it now."""
    waits = await rt.waits()
    states = {t.task: t.state for t in (await run.show()).tasks}
    table = Table(title=said, title_justify="left", caption_justify="left")
    table.add_column("task")
    table.add_column("state")
    table.add_column("waits for", overflow="fold")
    trigger = {w.task: w.trigger for w in waits}
    for name in SHOWN:
        table.add_row(name, states.get(name, "-"), trigger.get(name, ""))
    crowd = Counter(state for name, state in states.items() if name.startswith("guest_"))
    table.add_row(
        f"{CROWD:,} guests", ", ".join(f"{n:,} {state}" for state, n in sorted(crowd.items())), "time, ledger"
    )
    table.caption = f"{len(waits):,} waits, {rt.slots_in_use} of {rt.slots} slots in use"
    return table


async def main() -> int:
    console = Console()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="waiting-room-") as name:
        folder = Path(name)
        async with a_world(folder) as world:
            due = datetime.now(UTC) + timedelta(seconds=LOOK_S + 3)
            room = waiting_room(world.drops, world.api, world.kafka, due)
            async with Runtime(db=folder / "bide.db", dags=[room, ledger], slots=16) as rt:
                run = await rt.trigger(room, logical_date=DATE)
                with (
                    Live(console=console, auto_refresh=False)
                    if console.is_terminal
                    else nullcontext() as live
                ):

                    async def show(said: str, *, also_plain: bool = False) -> None:
                        if live is not None:
                            live.update(await picture(rt, run, said), refresh=True)
                        elif also_plain:
                            console.print(await picture(rt, run, said))

                    while len(await rt.waits()) < CROWD + 4:
                        await show("they arrive")
                        await asyncio.sleep(0.1)
                    await show(WAITING, also_plain=True)
                    until = time.monotonic() + LOOK_S
                    while time.monotonic() < until:
                        assert rt.slots_in_use == 0, "a wait holds a slot"
                        await asyncio.sleep(0.25)
                        await show(WAITING)
                    await world.come_true()
                    await rt.trigger(ledger, logical_date=DATE)
                    end = asyncio.create_task(run.wait(timeout=20))
                    while not end.done():
                        await show("the world has come true")
                        await asyncio.wait([end], timeout=0.1)
                    result = end.result()
                    await show(str(result.state), also_plain=True)
    console.print(
        f"{result.state} in {time.monotonic() - began:.1f} s: {CROWD + 4:,} waits, 0 slots while they waited"
    )
    return 0 if result.state == "success" else 1


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
