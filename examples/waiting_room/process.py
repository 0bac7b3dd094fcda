"""The runtime's process as the demo sees it: started, asked, killed, started again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from examples.waiting_room.keeper import Asked, Told
from examples.waiting_room.room import now_us

START_S, ANSWER_S = 30.0, 30.0


class DemoError(Exception):
    """The demo did not do what it says, in one sentence."""


class Keeper:
    """One process after another on one database; `last` is what the living one told last."""

    def __init__(self, db: Path, on_told: Callable[[Told], None]) -> None:
        self.db = db
        self.last: Told | None = None
        self._on_told = on_told
        self._errors = db.with_suffix(".stderr")
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._said: asyncio.Queue[Told] = asyncio.Queue()

    @property
    def pid(self) -> int | None:
        """Of the living process; None when there is none."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> tuple[float, Told]:
        """Seconds from its start to a runtime that watches, and what it said then."""
        since = now_us()
        with self._errors.open("wb") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "examples.waiting_room.keeper",
                str(self.db),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=errors,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
                cwd=Path(__file__).parents[2],
                start_new_session=True,  # Ctrl-C is the demo's to answer
            )
        self._reading = asyncio.create_task(self._read(self._process), name="the keeper's words")
        ready = await self._next("ready", START_S)
        return (ready.at_us - since) / 1e6, ready

    async def ask(self, **asked: Any) -> Told:
        """What it answers; `DemoError` when it cannot."""
        if self._process is None or self._process.stdin is None:
            raise DemoError("the runtime was asked before it was started")
        self._process.stdin.write(msgspec.json.encode(Asked(**asked)) + b"\n")
        return await self._next("reply", ANSWER_S)

    async def kill(self) -> int:
        """kill -9; its exit status."""
        process = self._process
        if process is None:
            raise DemoError("there is no process to kill")
        process.send_signal(signal.SIGKILL)
        status = await process.wait()
        if self._reading is not None:
            await self._reading
        return status

    async def stop(self) -> None:
        """Asks it to end, and ends it when it does not."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        if process.stdout is None:
            return
        while (line := await process.stdout.readline()).endswith(b"\n"):
            told = msgspec.json.decode(line, type=Told)
            self.last = told
            self._on_told(told)
            if told.said:
                self._said.put_nowait(told)

    async def _next(self, said: str, limit_s: float) -> Told:
        if self._reading is None:
            raise DemoError("the runtime was asked before it was started")
        answer = asyncio.create_task(self._said.get(), name=f"waiting for {said}")
        try:
            await asyncio.wait({answer, self._reading}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)
            if answer.done():
                return answer.result()
        finally:
            answer.cancel()
        if self._reading.done():
            raise DemoError(f"the runtime's process ended by itself: {self._last_words()}")
        raise DemoError(f"the runtime has not said {said!r} for {limit_s:g} s: the machine may be too busy")

    def _last_words(self) -> str:
        lines = self._errors.read_text(errors="replace").strip().splitlines() if self._errors.exists() else []
        return lines[-1] if lines else "it said nothing"
