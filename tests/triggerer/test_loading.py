"""What a source needs of other libraries is loaded in a thread: the first wait of a kind holds no loop."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

HOST = """
import asyncio, sys, threading

asked = {}
class Spy:
    def find_spec(self, name, path=None, target=None):
        asked.setdefault(name, threading.current_thread() is threading.main_thread())
sys.meta_path.insert(0, Spy())

from bide import Runtime, dag
from bide.sensors import FileSensor, HttpSensor, KafkaOffsetSensor

@dag
def waits():
    HttpSensor("page", url="http://127.0.0.1:9/x")
    FileSensor("file", path="none.csv")
    FileSensor("other", path="none.json")
    KafkaOffsetSensor("offset", bootstrap="127.0.0.1:9", topic="t", offset=5)

async def main():
    async with Runtime(sys.argv[1], [waits]) as rt:
        await rt.trigger("waits")
        while rt.armed < 4 or not all(wait.last_look for wait in await rt.waits()):
            await asyncio.sleep(0.01)
        await rt.operations.runs()
    return {thread.name for thread in threading.enumerate()} - {"MainThread"}

left = asyncio.run(asyncio.wait_for(main(), 60))
assert not left, left
web = "httpx2" if asked.get("httpcore2") is not None else "httpx"
names = (web, web.replace("x", "core"), "anyio._backends._asyncio", "asyncinotify", "aiokafka", "bide.runtime.service.operations")
found = {name: asked.get(name, "never loaded") for name in names}
assert not any(found.values()), found
"""


def test_p16_what_a_source_needs_is_loaded_where_it_holds_up_no_loop(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", HOST, str(tmp_path / "b.db")],
        capture_output=True, text=True, cwd=Path(__file__).parents[2], check=False, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
