"""Sends lineage beside the engine: in order, at least once, and never in its way.

It reads the journal on a connection of its own, sends in a thread of its own, and tells the engine how far
it has come; a start goes on from there. A collector out of reach is tried again, ever more rarely, and
`bide doctor` says so; what the collector refuses for good is logged, counted and passed over.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from bide.runtime.engine.changes import Changes
from bide.runtime.engine.messages import Input, LineageSent
from bide.runtime.errors import UsageError
from bide.runtime.lineage.settings import OpenLineage
from bide.runtime.store import lineage_reads as reads
from bide.runtime.store.reader import Reader
from bide.runtime.values import Secret, redactor

log = logging.getLogger("bide.lineage")
AT_ONCE: Final = 50
"""Events that are sent before it is recorded that they were."""
GATHER_S: Final = 0.2
FIRST_S, MOST_S = 1.0, 60.0
_TIMEOUT_S: Final = 5.0
_REFUSED: Final = frozenset({400, 405, 406, 409, 410, 411, 413, 414, 415, 422})


class Sent(msgspec.Struct, frozen=True):
    """How far it is: lines of the journal. `failing`: why nothing can be sent now, "" when it can."""

    where: str
    seq: int
    newest: int
    failing: str
    tries: int
    refused: int


class Transport(Protocol):
    """The official client's."""

    def emit(self, event: Any) -> Any: ...


class Exporter:
    """`start()` once a runtime is open, `close()` before it is gone."""

    def __init__(
        self,
        settings: OpenLineage,
        db: Path,
        post: Callable[[Input], None],
        begins: int = 0,
    ) -> None:
        """`begins`: after which line of the journal, where nothing was ever sent."""
        _need()
        self._settings, self._db, self._post = settings, db, post
        self._begins = 0 if settings.backlog else begins
        self._transport: Transport | None = None
        self._known = reads.Known()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="bide-lineage")
        self._reader: Reader | None = None
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._seq: int | None = None
        self._newest = 0
        self._failing, self._tries, self._refused = "", 0, 0

    @property
    def sent(self) -> Sent:
        """How far it has come."""
        said = self._settings.transport
        where = str(said.get("url") or said.get("log_file_path") or said["type"])
        return Sent(where, self._seq or 0, self._newest, self._failing, self._tries, self._refused)

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="bide:lineage")

    def committed(self, changes: Changes) -> None:
        """A batch has landed: there may be something to send."""
        if changes.events:
            self._wake.set()

    async def close(self, within_s: float = 10.0) -> None:
        """Send what there is, if the collector takes it in time; the next start sends the rest.

        The first event of a process waits for the client's modules, which may take seconds.
        """
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=0 if self._failing else within_s)
            self._task.cancel()
            await asyncio.wait([self._task])
        self._thread.submit(self._forget)
        self._thread.shutdown(wait=False)

    def _forget(self) -> None:
        if self._reader is not None:
            self._reader.close()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            before, last = self._seq, self._closing
            try:
                self._wake.clear()
                seq, complete = await loop.run_in_executor(self._thread, self._step)
            except Exception as error:  # noqa: BLE001 - told by `bide doctor`; it is tried again
                seq, complete = before, False
                self._fail(error)
            if seq is not None and seq != before:
                self._seq = seq
                self._post(LineageSent(seq))
            if self._failing:
                if self._closing:
                    return
                await asyncio.sleep(min(FIRST_S * 2 ** (self._tries - 1), MOST_S))
            elif complete:
                if last:  # what was committed before the end was asked for has been looked at
                    return
                await self._wake.wait()
                if not self._closing:
                    await asyncio.sleep(GATHER_S)  # what follows at once goes with it

    # --- in its thread -------------------------------------------------------------------------------

    def _step(self) -> tuple[int | None, bool]:
        """Send some; up to which line that was, and whether there is nothing more."""
        if self._reader is None:
            self._reader = Reader(self._db)
        if self._seq is None:
            stored = self._reader.read(reads.sent)
            self._seq = self._begins if stored is None else stored
        begun = self._seq
        told, until = self._reader.read(lambda conn: reads.after(conn, begun, AT_ONCE, self._known))
        self._newest = self._reader.read(reads.last)
        for each in told:
            if not self._send(each):
                return self._before(told, each, begun), False
        return until, until >= self._newest

    @staticmethod
    def _before(told: list[reads.Told], failed: reads.Told, begun: int) -> int:
        done = [each.line.seq for each in told if each.line.seq < failed.line.seq]
        return done[-1] if done else begun

    def _send(self, told: reads.Told) -> bool:
        event = self._event(told)
        if event is None:
            return True
        try:
            if self._transport is None:
                self._transport = transport_of(self._settings)
            self._transport.emit(event)
        except Exception as error:  # noqa: BLE001 - whatever a client or a collector does, the engine goes on
            if _status(error) in _REFUSED:
                self._refused += 1
                log.warning(
                    "OpenLineage: the collector refuses line %d for good: %s", told.line.seq, _said(error)
                )
                return True
            self._fail(error)
            return False
        if self._failing:
            log.info("OpenLineage: %s takes events again", self.sent.where)
        self._failing, self._tries = "", 0
        return True

    def _event(self, told: reads.Told) -> Any:
        """None: the line says nothing to the outside, or cannot be told, which is logged and counted."""
        from bide.runtime.lineage.events import event_of

        try:
            return event_of(told, self._settings.namespace)
        except Exception:
            self._refused += 1
            log.exception("OpenLineage: line %d cannot be told, and is passed over", told.line.seq)
            return None

    def _fail(self, error: Exception) -> None:
        self._failing, self._tries = _said(error), self._tries + 1
        if self._tries == 1:
            log.warning(
                "OpenLineage: %s takes no events, it is tried again: %s", self.sent.where, self._failing
            )


def transport_of(settings: OpenLineage) -> Transport:
    """The official client's transport. It tries once: when to try again is decided here."""
    from openlineage.client.transport import get_default_factory

    said = _revealed(settings.transport)
    if said["type"] == "http":
        said = {"timeout": _TIMEOUT_S, "retry": {"total": 0, "read": 0, "connect": 0}, **said}
    if said["type"] == "file":
        said = {"append": True, **said}
    made: Transport = get_default_factory().create(said)
    return made


def _revealed(config: dict[str, Any]) -> dict[str, Any]:
    auth = config.get("auth")
    if not isinstance(auth, dict):
        return dict(config)
    named = ("env:", "file:", "credential:", "cred:")
    return {
        **config,
        "auth": {
            name: Secret(value).resolve() if isinstance(value, str) and value.startswith(named) else value
            for name, value in auth.items()
        },
    }


def _need() -> None:
    from importlib.util import find_spec

    if find_spec("openlineage") is None:
        raise UsageError(
            "openlineage is configured, and its client is missing: pip install 'bide[openlineage]'"
        )


def _status(error: Exception) -> int | None:
    found = getattr(getattr(error, "response", None), "status_code", None)
    return found if isinstance(found, int) else None


def _said(error: Exception) -> str:
    return redactor(" ".join(f"{type(error).__name__}: {error}".split()))[:300]
