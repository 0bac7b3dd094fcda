"""Whether a runtime lives: its loop answers, its engine moves, its writer commits.

What feeds systemd's watchdog and what `/livez` says are this one proof. A full disk is not death:
batches are tried again, and a restart would not make room.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bide.runtime.clock import SECOND, Clock, SystemClock
from bide.runtime.errors import StoreFullError, StoreLostError
from bide.runtime.store.proof import empty_commit

if TYPE_CHECKING:
    from bide.runtime.engine.loop import Engine


class Alive:
    """Proves it when asked; costs nothing until then."""

    def __init__(self, engine: Engine, clock: Clock | None = None) -> None:
        self._engine = engine
        self._clock: Clock = clock if clock is not None else SystemClock()
        self._asked: asyncio.Task[None] | None = None
        self._asked_at = 0
        self._stood: tuple[int, int] | None = None  # (turns, since when), of an engine that has work
        self.lag_s = 0.0
        """How long the loop took to come round when it was last asked, seconds."""

    async def proof(self, within_s: float) -> str:
        """Why it is not alive; "" when it is. Takes `within_s` at most, in a loop that turns.

        Alive: the loop comes round, the engine has moved or has nothing to do, and the writer has
        committed an empty transaction behind all that was asked of it before, each in `within_s`.
        """
        if why := await self._loop_turns(within_s) or self._engine_moves(within_s):
            return why
        return await self._writer_commits(within_s)

    async def vitals(self, within_s: float) -> dict[str, str]:
        """What the proof consists of, each by itself: loop, engine, writer; "" for what is well."""
        return {
            "loop": await self._loop_turns(within_s),
            "engine": self._engine_moves(within_s),
            "writer": await self._writer_commits(within_s),
        }

    async def _loop_turns(self, within_s: float) -> str:
        began = self._clock.elapsed()
        await asyncio.sleep(0)
        self.lag_s = (self._clock.elapsed() - began) / SECOND
        return f"the loop took {self.lag_s:.1f} s to come round" if self.lag_s > within_s else ""

    def _engine_moves(self, within_s: float) -> str:
        engine, now = self._engine, self._clock.elapsed()
        if engine.failure is not None:
            return str(engine.failure)
        if engine.quiet or engine.full:
            self._stood = None
        elif self._stood is None or self._stood[0] != engine.turns:
            self._stood = (engine.turns, now)
        elif now - self._stood[1] > within_s * SECOND:
            return (
                f"the engine has stood still for {(now - self._stood[1]) / SECOND:.1f} s, with work before it"
            )
        return ""

    async def _writer_commits(self, within_s: float) -> str:
        if self._asked is None:
            self._asked_at = self._clock.elapsed()
            self._asked = asyncio.create_task(self._commit(), name="bide proof of life")
        asked = self._asked
        waited_s = (self._clock.elapsed() - self._asked_at) / SECOND
        await asyncio.wait([asked], timeout=max(0.01, within_s - waited_s))
        if not asked.done():
            return (
                f"no commit has come to its end for {(self._clock.elapsed() - self._asked_at) / SECOND:.1f} s"
            )
        if self._asked is asked:  # several may have waited for it
            self._asked = None
        if asked.cancelled():
            return "the proof of life was given up: the runtime is stopping"
        try:
            asked.result()
        except StoreLostError as error:
            return str(error)
        return ""

    async def _commit(self) -> None:
        try:
            await self._engine.store.read(empty_commit)
        except StoreFullError:  # it answered, and there is no room: batches wait, and nothing is dead
            pass

    async def close(self) -> None:
        """Let go of a question that nobody answered."""
        if self._asked is not None:
            self._asked.cancel()
            await asyncio.wait([self._asked])
            self._asked = None
