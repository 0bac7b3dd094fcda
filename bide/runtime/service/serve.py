"""`bide serve`: a runtime with its doors open, from the lock to the last drained attempt.

SIGTERM and SIGINT take no new work and let what runs end within a limit; a second one ends at once
(what ran is lost, and known to be). SIGHUP reads the DAG files again; a broken one leaves its DAGs
as they were.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Final

from bide.runtime.clock import SystemClock
from bide.runtime.errors import BideError, NotFoundError, UsageError
from bide.runtime.graph.lint import as_words
from bide.runtime.graph.load import Loaded, forget_beside, load_paths
from bide.runtime.notify.routes import Notify
from bide.runtime.project import project_folder
from bide.runtime.service import activation, tcp
from bide.runtime.service.checking import all_warnings
from bide.runtime.service.chronicle import Chronicle
from bide.runtime.service.doors import Served
from bide.runtime.service.listen import Listener
from bide.runtime.service.places import socket_of
from bide.runtime.service.private import private
from bide.runtime.service.rerouting import changed
from bide.runtime.service.systemd import Notifier
from bide.runtime.service.telling import Telling
from bide.runtime.service.unread import told
from bide.runtime.store.lock import Lock

DRAIN_S: Final = 60.0
SWITCH_S: Final = 0.0005
"""How long a thread may hold the interpreter's lock while another waits for it: a reader's thread costs the loop so much,
not the 5 ms of the default. It is the whole process's, so a host's stays as it is."""
_START_PATIENCE_S: Final = 5.0
Say = Callable[[str], None]


Changes = Callable[[Sequence[str]], AsyncIterator[list[str]]]
"""The files of these paths that have changed, a burst at a time."""
Shows = Callable[[Served, str], Awaitable[None]]
"""Told of a runtime that is served, and the address of its first port."""
Opens = Callable[[Loaded], AbstractAsyncContextManager[Served]]


def counted(count: int, what: str) -> str:
    """`1 DAG`, `2 DAGs`."""
    return f"{count} {what}{'' if count == 1 else 's'}"


def loaded(paths: Sequence[str], say: Say, again: bool = False) -> Loaded:
    """The DAGs of the paths. `NotFoundError` for a path that is not there; broken files are told.

    `again`: modules that lie beside the files are read anew as well.
    """
    if not paths:
        raise UsageError("serve what? name DAG files or folders: `bide serve dags/`")
    for path in paths:
        if not Path(path).exists():
            raise NotFoundError(f"there is no file or folder {path!r}: name DAG files or folders")
    if again:
        forget_beside(paths)
    found = load_paths(paths)
    for file, error in found.errors.items():
        say(f"left out {told(file, error)}")
    return found


class _Warned:
    """Says each warning about the DAGs once, however often they are read."""

    def __init__(self, say: Say) -> None:
        self._say, self._clock = say, SystemClock()
        self._said: set[str] = set()

    def of(self, found: Loaded) -> None:
        for warn in all_warnings(found, self._clock.now()):
            words = f"{warn.level}: {as_words(warn)}"
            if words not in self._said:
                self._said.add(words)
                self._say(words)


async def serve(
    db: Path,
    paths: Sequence[str],
    opens: Opens,
    say: Say,
    drain_s: float = DRAIN_S,
    changes: Changes | None = None,
    port: tcp.Asked | None = None,
    names: Sequence[str] = (),
    notify: Callable[[], Notify] | None = None,
    shows: Shows | None = None,
) -> int:
    """Runs until it is told to stop; the exit code. `changes` tells when the files are to be read again, as SIGHUP does.

    `port`: where it listens over TCP, beside its socket; `names`: by which a port that systemd passes is asked.
    `notify` reads the routes of notices again; `shows` is told when it may be looked at.
    """
    _need_framework()
    switched = sys.getswitchinterval()
    systemd = Telling(Notifier.taken())
    chronicle = Chronicle()
    signals = _Signals()
    extras: list[Listener] = []
    ports: tcp.Ports = []
    listener: Listener | None = None
    given = activation.taken()
    try:
        sys.setswitchinterval(SWITCH_S)
        systemd.starting()
        private(db)
        ports = [*await tcp.opened(db, port), *await tcp.passed(db, given.tcp, names)]
        listener = _listen(db)
        dags = loaded(paths, say)
        async with opens(dags) as runtime:
            signals.started()
            if listener is None or not listener.still_there():
                listener = _rebound(listener, db)
            extras = _at_runtime_directory()
            here = (listener.socket, *(extra.socket for extra in extras), *given.unix)
            async with _doors(runtime, here, ports, say):
                say(f"serving {counted(len(runtime.dags), 'DAG')} on {db} (socket {listener.path})")
                for also in (*(str(extra.path) for extra in extras), *map(activation.said, given.unix)):
                    say(f"answering at {also} too")
                systemd.ready(runtime)
                chronicle.follow(runtime)
                warned = _Warned(say)
                await asyncio.to_thread(warned.of, dags)
                if shows is not None and ports:
                    await shows(runtime, tcp.url_of(ports[0][1]))
                async with _told_of(changes, paths, signals.reload, say):
                    again = _Again(runtime, paths, systemd, say, warned, notify)
                    await _until_told(runtime, signals, again)
                systemd.stopping(drain_s)
                say(f"stopping: what runs has {drain_s:g} s to end; a second signal ends it at once")
                await _drain(runtime, signals, drain_s)
                left = len(runtime.bodies)
                systemd.closing()
                await chronicle.close()
        cut = f", {counted(left, 'attempt')} cut short: the next start takes up what was under way"
        say(f"stopped{cut if left else ''}")
        return 0
    except asyncio.CancelledError:
        if not signals.cut_start():
            raise
        say("stopped before it was ready")
        return 0
    except BideError as error:
        systemd.failed(error)
        raise
    finally:
        sys.setswitchinterval(switched)
        systemd.end()
        signals.forget()
        for _, at in ports:
            at.close()
        given.close()
        for extra in extras:
            extra.close()
        if listener is not None:
            listener.close()


@asynccontextmanager
async def _doors(
    runtime: Served, here: Sequence[socket.socket], ports: tcp.Ports, say: Say
) -> AsyncIterator[None]:
    """Inside it the runtime is asked over sockets of this machine, and over ports with a token."""
    http = await asyncio.to_thread(_import_http)
    async with AsyncExitStack() as doors:
        app = await asyncio.to_thread(runtime.asgi.now)
        gc.freeze()  # what they are made of stays to the end: walking it held the loop for 25 ms every few seconds
        told_of = runtime.at_the_doors.refuse
        for each in here:
            await doors.enter_async_context(http.serving(each, app, runtime.end_streams, told=told_of))
        for place, at in ports:
            await doors.enter_async_context(
                http.serving(at, app, runtime.end_streams, hosts=place.hosts, told=told_of)
            )
            say(f"listening at {tcp.url_of(at)}: asked with a token (`bide token create`)")
        yield


def _at_runtime_directory() -> list[Listener]:
    """Under systemd the service also answers at a place that can be named without its database: /run/bide/bide.sock."""
    folder = os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]
    return [Listener(Path(folder) / "bide.sock")] if folder else []


def _need_framework() -> None:
    """Found missing before anything is opened, not after work has begun."""
    for name in ("fastapi", "uvicorn"):
        if find_spec(name) is None:
            raise UsageError(
                f"`bide serve` needs the extra `server` ({name} is missing): pip install 'bide[server]'"
            )


def _import_http() -> ModuleType:
    """The web framework, in a thread while work goes on: it takes longer than a recovery."""
    import_module("anyio._backends._asyncio")  # else imported at the first use, in the loop
    import_module("bide.runtime.service.api")
    return import_module("bide.runtime.service.http_server")


def _listen(db: Path) -> Listener | None:
    """Bind early, unless somebody holds the database: then the lock will say so."""
    if not db.parent.is_dir() or Lock(db).holder() is not None:
        return None
    return Listener(socket_of(db))


def _rebound(listener: Listener | None, db: Path) -> Listener:
    if listener is None:
        return Listener(socket_of(db))
    listener.again()
    return listener


class _Signals:
    """Signals as events of the loop. `stop` is set by the first, `now` by the second.

    A start that is told to stop may come to its end, so that what it has taken up is drained; one that takes
    longer than a few seconds, or is told twice, is cut, which harms no more than a kill.
    """

    def __init__(self) -> None:
        self.stop, self.now, self.reload = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._starting = asyncio.current_task()
        self._cut: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._told)
        self._loop.add_signal_handler(signal.SIGHUP, self.reload.set)

    def _told(self) -> None:
        again = self.stop.is_set()
        (self.now if again else self.stop).set()
        if self._starting is not None:
            if self._cut is not None:
                self._cut.cancel()
            self._cut = self._loop.call_later(0 if again else _START_PATIENCE_S, self._starting.cancel)

    def started(self) -> None:
        """The runtime is open: from here on a signal is only an event."""
        self._starting = None
        if self._cut is not None:
            self._cut.cancel()

    def cut_start(self) -> bool:
        """Whether the cancellation that was just caught was a signal's, which has then been dealt with."""
        return self._starting is not None and self._cut is not None and not self._starting.uncancel()

    def forget(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._loop.remove_signal_handler(number)


@asynccontextmanager
async def _told_of(
    changes: Changes | None, paths: Sequence[str], reload: asyncio.Event, say: Say
) -> AsyncIterator[None]:
    """Inside it `reload` is set at each change of the files."""

    async def watch() -> None:
        if changes is not None:
            async for files in changes(paths):
                say(f"changed: {', '.join(map(os.path.relpath, files))}")
                reload.set()

    async def watch_settings() -> None:
        folder = project_folder(Path.cwd())
        if changes is not None and folder is not None:
            from bide.runtime.service.changing import settings_changes

            async for files in settings_changes(folder):
                say(
                    f"changed: {', '.join(map(os.path.relpath, files))}: settings count from the next start on"
                )

    watching = {asyncio.create_task(one(), name="bide dev changes") for one in (watch, watch_settings)}
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
        await asyncio.wait(watching)
        for task in watching:
            if not task.cancelled():
                task.result()  # what has ended the watching is no secret


async def _until_told(runtime: Served, signals: _Signals, again: _Again) -> None:
    """Returns when a signal says stop; raises what ended the engine."""
    ended = asyncio.create_task(runtime.stopped(), name="bide engine end")
    stop = asyncio.create_task(signals.stop.wait(), name="bide stop signal")
    reload = asyncio.create_task(signals.reload.wait(), name="bide reload signal")
    reading: asyncio.Task[None] | None = None  # a slow one keeps no stop waiting
    try:
        while True:
            waited = {ended, stop, reload} if reading is None else {ended, stop, reading}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if ended.done():
                ended.result()
                return
            if stop.done():
                return
            if reading is None:
                signals.reload.clear()
                reading = asyncio.create_task(again.read(), name="bide reload")
            else:
                reading.result()
                reading = None
                reload = asyncio.create_task(signals.reload.wait(), name="bide reload signal")
    finally:
        for task in (ended, stop, reload, *([reading] if reading is not None else [])):
            task.cancel()


class _Again:
    """Reads again what a service was started with: its DAGs with their hooks, and who is told. Each by itself."""

    def __init__(
        self,
        runtime: Served,
        paths: Sequence[str],
        systemd: Telling,
        say: Say,
        warned: _Warned,
        notify: Callable[[], Notify] | None,
    ) -> None:
        self._runtime, self._paths, self._systemd = runtime, paths, systemd
        self._say, self._warned, self._notify = say, warned, notify

    async def read(self) -> None:
        self._systemd.reloading()
        await self._dags()
        await self._routes()
        self._systemd.reloaded()

    async def _dags(self) -> None:
        runtime, hooks = self._runtime, dict(self._runtime.desk.hooks)
        try:
            found = await asyncio.to_thread(loaded, self._paths, self._say, True)
            await runtime.load(found.dags, found.errors)
        except BideError as error:
            self._say(f"not read again, everything stays as it was: {error}")
            return
        broken = counted(len(found.errors), "broken file")
        self._say(f"read again: {counted(len(runtime.dags), 'DAG')} loaded, {broken}")
        self._told(changed("hooks", hooks, runtime.desk.hooks))
        await asyncio.to_thread(self._warned.of, found)

    async def _routes(self) -> None:
        if self._notify is None:
            return
        try:
            self._told(self._runtime.reroute(await asyncio.to_thread(self._notify)))
        except BideError as error:
            self._say(f"the routes of notices stay as they were: {error}")

    def _told(self, what: str) -> None:
        if what:
            self._say(what)


async def _drain(runtime: Served, signals: _Signals, limit_s: float) -> None:
    drained = asyncio.create_task(runtime.drain(limit_s), name="bide drain")
    now = asyncio.create_task(signals.now.wait(), name="bide second signal")
    try:
        await asyncio.wait({drained, now}, return_when=asyncio.FIRST_COMPLETED)
        if drained.done():
            drained.result()
        if now.done():
            runtime.hurry()
    finally:
        for task in (drained, now):
            task.cancel()
