"""A TCP port for the service: opened when it is asked for, beyond this machine only with a token that lives.

The addresses that a name leads to are looked up once; what was judged is what is bound.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime.clock import Clock, SystemClock
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service.hosts import LOCAL, Hosts, is_loopback, name_of
from bide.runtime.service.tokens import state_of
from bide.runtime.store import who_reads
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.lock import Lock

_BACKLOG: Final = 128
LOOPBACK: Final = "127.0.0.1"


class Asked(msgspec.Struct, frozen=True):
    """Where to listen: an address or a name, and by which names to be asked besides."""

    host: str
    port: int
    names: tuple[str, ...] = ()


class Place(msgspec.Struct, frozen=True):
    """An address to listen at, looked up and judged."""

    family: int
    address: tuple[str, int]
    public: bool
    hosts: Hosts


Ports = list[tuple[Place, socket.socket]]


def asked(host: str | None, port: int | None, names: Sequence[str]) -> Asked | None:
    """Where settings say to listen; None: nowhere but at the unix socket."""
    if port is None:
        if host is not None:
            raise UsageError(f"at which port of {host}? say it: --port 8321")
        return None
    return Asked(host or LOOPBACK, port, tuple(names))


def looked_up(ask: Asked) -> list[Place]:
    """The addresses that are meant. `UsageError` for a name that leads nowhere."""
    host = ask.host.strip("[]")
    try:
        found = socket.getaddrinfo(host, ask.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError, OverflowError) as error:
        raise UsageError(
            f"--host {ask.host!r} leads to no address ({error}): give one, such as 127.0.0.1"
        ) from None
    places: dict[tuple[str, int], Place] = {}
    names = LOCAL | {name_of(each) for each in ask.names}
    for family, *_, there in found:
        address = (str(there[0]), int(there[1]))
        places[address] = _place(family, address, names, host)
    return list(places.values())


def _place(family: int, address: tuple[str, int], names: frozenset[str], host: str) -> Place:
    public = not is_loopback(ip_address(address[0].partition("%")[0]))
    known = names | {host.lower(), socket.gethostname().lower()} if public else names
    return Place(family, address, public, Hosts(frozenset(known), any_address=public))


async def passed(db: Path, sockets: Sequence[socket.socket], names: Sequence[str]) -> Ports:
    """Ports that somebody else has bound: judged as those that are asked for, by the address they have."""
    own = LOCAL | {name_of(each) for each in names}
    ports = []
    for at in sockets:
        host, port = at.getsockname()[:2]
        ports.append((_place(at.family, (str(host), int(port)), own, str(host)), at))
    await need_token(db, [place for place, _ in ports], SystemClock())
    return ports


async def opened(db: Path, ask: Asked | None) -> Ports:
    """The ports that are asked for, bound; connections queue there until they are served."""
    if ask is None:
        return []
    places = await asyncio.to_thread(looked_up, ask)
    await need_token(db, places, SystemClock())
    return bound(places)


async def need_token(db: Path, places: Sequence[Place], clock: Clock) -> None:
    """`RefusedError` where others reach it, and there is no token by which anything could be done."""
    public = next((place for place in places if place.public), None)
    if public is None or await _may_be_asked(db, clock):
        return
    raise RefusedError(
        f"{public.address[0]} is reached from other machines, and no token of scope run or admin lives: "
        f"`bide token create NAME --scope run --db {db}` first, or listen at {LOOPBACK}"
    )


async def _may_be_asked(db: Path, clock: Clock) -> bool:
    """Whether a token of scope run or admin lives. Makes the database where there is none: it is about to be served."""
    lock = await Lock(db).acquire("command", clock)
    try:
        store = InlineWriter.open_here(db, create=True)
        try:
            rows = store.read_here(who_reads.tokens)
        finally:
            store.close_here()
    finally:
        lock.release()
    return any(row.scope in ("run", "admin") and state_of(row, clock.now()) == "live" for row in rows)


def bound(places: Sequence[Place]) -> Ports:
    """A socket that listens at each. `RefusedError` when one is taken."""
    made: Ports = []
    try:
        for place in places:
            at = _bound(place)
            made.append((place, at))
    except RefusedError:
        for _, each in made:
            each.close()
        raise
    return made


def _bound(place: Place) -> socket.socket:
    made = socket.socket(place.family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(place.address)
        made.listen(_BACKLOG)
    except OSError as error:
        made.close()
        host, port = place.address
        raise RefusedError(
            f"cannot listen at {host} port {port} ({error.strerror or error}): end what does, or use another --port"
        ) from None
    made.setblocking(False)
    return made


def url_of(listening: socket.socket) -> str:
    """Where it listens, as an address to ask."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"
