"""A notebook: cells with `await` at their top, in a real kernel with a loop of its own, over its own protocol."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.cli.conftest import environment

DECLARED = """
@task
async def double(n: int) -> int:
    return n * 2

@task(lane="thread")
def word(n: int) -> str:
    return str(n)

@dag
def doubling():
    word(double(double(3)))
"""
OPENED = """
async with Runtime(db="cells.db", dags=[doubling]) as rt:
    result = await (await rt.trigger(doubling)).wait()
"""
CELLS = (
    "from bide import Runtime, dag, task",
    DECLARED,
    OPENED,
    "rt = await Runtime(db='cells.db', dags=[doubling]).__aenter__()",  # open over several cells, as people do
    "run = await rt.trigger(doubling, new=True)",
    "again = await run.wait()",
    "await rt.__aexit__(None, None, None)",
    "print(result.state, result.outputs['word'], again.state, rt.slots_in_use)",
)


@pytest.fixture
def kernel(tmp_path: Path) -> Iterator[BlockingKernelClient]:
    manager = KernelManager()  # of this Python
    manager.start_kernel(cwd=str(tmp_path), env=environment())
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=30)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def test_p16_cells_with_await_at_their_top_run_dags_and_leave_the_kernel_well(
    kernel: BlockingKernelClient,
) -> None:
    said = ""

    def hear(message: dict[str, dict[str, str]]) -> None:
        nonlocal said
        said += message["content"].get("text", "") + "\n".join(message["content"].get("traceback", ""))

    for cell in CELLS:
        reply = kernel.execute_interactive(cell, timeout=30, output_hook=hear)
        assert reply["content"]["status"] == "ok", said
    assert said == "success 12 success 0\n"
