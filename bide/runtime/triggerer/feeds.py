"""How a source is fed with waits; here the kind that is told by the outside and reports by itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Protocol

from bide.runtime.clock import SECOND
from bide.triggers.base import LookFailed, PushSource

if TYPE_CHECKING:
    from bide.runtime.triggerer.host import Host
    from bide.runtime.triggerer.registration import Waiting

LOOK_LIMIT_US: Final = 30 * SECOND


class Feed(Protocol):
    """How one kind of source is fed with waits."""

    @property
    def busy(self) -> bool:
        """A look at a wait that is not armed is under way."""
        ...

    @property
    def pace(self) -> tuple[int | None, int | None]:
        """How many looks see all waits (None: it is told), and before which instant there is none."""
        ...

    def add(self, wait: Waiting) -> None: ...

    def remove(self, wait: Waiting, reason: str) -> None: ...

    async def look(self, wait: Waiting, *, armed: bool) -> None: ...

    def next_look_us(self, wait: Waiting) -> int | None: ...

    def clock_stepped(self, step_us: int) -> None: ...

    async def close(self) -> None: ...


class PushFeed:
    """Feeds a source that is told by the outside: it is handed the waits, and reports by itself."""

    def __init__(self, host: Host, source: PushSource) -> None:
        self._host = host
        self._source = source
        self._looking = 0

    @property
    def busy(self) -> bool:
        return self._looking > 0

    @property
    def pace(self) -> tuple[int | None, int | None]:
        return None, None

    def add(self, wait: Waiting) -> None:
        self._source.add(wait)

    def remove(self, wait: Waiting, reason: str) -> None:
        self._source.remove(wait, reason)

    def next_look_us(self, wait: Waiting) -> int | None:
        return self._source.next_look_us(wait) or wait.next_us

    def clock_stepped(self, step_us: int) -> None:
        self._source.clock_stepped(step_us)

    async def look(self, wait: Waiting, *, armed: bool) -> None:
        self._looking += 1
        try:
            async with asyncio.timeout(LOOK_LIMIT_US / SECOND):
                seen = await self._source.look_now(wait)
        except Exception as error:  # noqa: BLE001 - a look that failed is an answer
            self._host.failed(wait, look_error(error))
        else:
            self._host.observed(wait, seen)
        finally:
            self._looking -= 1

    async def close(self) -> None:
        await self._source.close()


def look_error(error: BaseException) -> str:
    """A failed look in words: `LookFailed` speaks for itself, others with their class."""
    if isinstance(error, LookFailed):
        return str(error) or "the look failed"
    if isinstance(error, TimeoutError) and not str(error):
        return "the look took too long and was cut"
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
