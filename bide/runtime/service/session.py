"""Which door leads to a database: the service at its socket, or the database itself.

When no runtime holds the lock, reads open the database read-only and a write is a command session:
take the lock, decide, commit, release. A service binds its socket before it takes the lock, so a
lock without a socket is a guest's or `bide run`'s: reads still work, writes are refused.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final, cast

from bide.runtime.clock import SECOND, Clock
from bide.runtime.errors import UnreachableError
from bide.runtime.service.client import Client, ServiceClient
from bide.runtime.service.doors import Doors
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.service.places import socket_of
from bide.runtime.service.wire import UrlWire
from bide.runtime.store.lock import Holder, Lock
from bide.runtime.store.reader import Reader

_STARTING_US: Final = 5 * SECOND
_LOOK_AGAIN_S: Final = 0.05


class DatabaseDoor:
    """Commands straight on the database, one command session each."""

    def __init__(self, db: Path) -> None:
        self._db = db

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        from bide.runtime.engine.session import command_session
        from bide.runtime.service.caller import asked, terminal

        return await command_session(self._db, verb, args, asked=asked(verb, args, terminal()))

    async def commands(
        self, verb: str, args: dict[str, Any], again: Callable[[Any], dict[str, Any] | None]
    ) -> None:
        """Several, one after the other, in one session: work in slices, of a second at most."""
        from bide.runtime.engine.session import command_session
        from bide.runtime.service.caller import asked, terminal

        await command_session(self._db, verb, args, asked=asked(verb, args, terminal()), again=again)


class NoDoor:
    """A runtime that has no socket, or does not answer there, holds the database: it may be read, not commanded."""

    def __init__(self, db: Path, holder: Holder) -> None:
        self._db, self._holder = db, holder

    async def command(self, verb: str, args: dict[str, Any]) -> Any:
        if socket_of(self._db).exists():
            raise UnreachableError(
                f"the service of process {self._holder.pid} holds the database {self._db} and does not answer: "
                "it is stopped, or something holds its loop; let it go on "
                f"(`kill -CONT {self._holder.pid}`), or end and start it "
                "again, then ask again; nothing was changed"
            )
        raise UnreachableError(
            f"the database {self._db} is held by process {self._holder.pid}, which offers no socket "
            f"(a guest in another program, or `bide run`): let it end, then ask again"
        )


async def service_of(db: Path, clock: Clock) -> ServiceClient | None:
    """The service that holds `db`; None when none does, or none that answers."""
    holder = Lock(db).holder()
    return await _service(db, holder, clock) if holder is not None and holder.kind == "runtime" else None


@asynccontextmanager
async def doors(db: Path, clock: Clock) -> AsyncIterator[Doors]:
    """The operations on `db`, over the door that is open now. `NotFoundError` without a database."""
    holder = Lock(db).holder()
    if holder is not None and holder.kind == "runtime":
        client = await _service(db, holder, clock)
        if client is not None:
            yield cast("Doors", client)
            return
    from bide.runtime.service.caller import acting, terminal

    with Reader(db) as reader, acting(terminal()):
        if holder is not None and holder.kind == "runtime":
            yield Operations(db, AtOnce(reader), NoDoor(db, holder), clock, held=True)
        else:
            yield Operations(db, AtOnce(reader), DatabaseDoor(db), clock)


def elsewhere(url: str, token: str | None) -> Client:
    """The service at an address."""
    return Client(UrlWire(url, token))


async def _service(db: Path, holder: Holder, clock: Clock) -> ServiceClient | None:
    """The service of a runtime that holds `db`; one that is just starting is waited for."""
    socket = socket_of(db)
    client = ServiceClient(socket, db)
    while socket.exists():
        if client.alive():
            return client
        if clock.now() - holder.started > _STARTING_US:
            return None
        await asyncio.sleep(_LOOK_AGAIN_S)
    return None
