"""bide as a guest: an asyncio application with a loop of its own, in which DAGs run and wait.

python examples/guest_app.py
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bide import Context, Runtime, dag, task
from bide.sensors import FileSensor


@task
async def thank(path: str, ctx: Context) -> str:
    return f"thanks, {ctx.params['customer']}, for {Path(path).name}"


@dag(max_active_runs=100, params={"customer": "", "inbox": ""})
def welcome() -> None:
    upload = FileSensor("upload", path="{params.inbox}/{params.customer}.pdf")
    thank(upload.output["path"])


async def main() -> list[str]:
    """Three customers are awaited at once, in no slot, while the application does its own work."""
    customers = ("ada", "emmy", "grace")
    with tempfile.TemporaryDirectory() as folder:
        inbox = Path(folder)
        async with Runtime(inbox / "app.db", [welcome], slots=4) as runtime:
            runs = [
                await runtime.trigger(welcome, params={"customer": name, "inbox": folder}, new=True)
                for name in customers
            ]
            await runtime.settled()  # what was asked is committed: the waits are in the list
            print(
                f"{len(await runtime.waits())} waits, {runtime.slots_in_use} of {runtime.slots} slots in use"
            )
            for name in customers:
                (inbox / f"{name}.pdf").write_text("signed")
            results = await asyncio.gather(*(run.wait(timeout=30) for run in runs))
    return [result.outputs["thank"] for result in results]


if __name__ == "__main__":
    for line in asyncio.run(main()):
        print(line)
