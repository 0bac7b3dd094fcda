"""Retention, as it is asked for: a policy in words, carried out slice by slice by whoever holds the database.

A call goes on for a second at most and answers where the next one begins, so that neither a service nor
another command waits for it. When all is done the logs of attempts that are gone are removed.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

import msgspec

from bide.runtime import typed
from bide.runtime.aside import aside
from bide.runtime.clock import SECOND, Clock
from bide.runtime.config import RetentionOf, RetentionSetting
from bide.runtime.engine.retention import BEGINNING
from bide.runtime.errors import BideError, NotFoundError, UsageError
from bide.runtime.service.addresses import read_span
from bide.runtime.service.doors import Door
from bide.runtime.service.places import log_of
from bide.runtime.service.retaining_doors import Pruned
from bide.runtime.store.backup import Progress, copy_snapshot
from bide.runtime.store.reader import Reader
from bide.runtime.store.retention import Of, Policy, policy_json, without_row

if TYPE_CHECKING:
    from bide.runtime.service.operations import Asks

log = logging.getLogger("bide.retention")

_GOES_ON_US: Final = SECOND
_REST_S: Final = 0.005
"""Between two slices of a living runtime: what else it has to do goes first."""
_SEAL: Final = secrets.token_bytes(32)
"""Of this process: a cursor is taken back by whoever gave it."""
_FILES: Final = 2_000
"""Logs that are looked at in one go."""


@runtime_checkable
class Several(Protocol):
    """A door that carries out several commands while it holds the database."""

    async def commands(
        self, verb: str, args: dict[str, Any], again: Callable[[Any], dict[str, Any] | None]
    ) -> None:
        """`again` is told each answer, and says what is asked next; None: no more."""
        ...


class Retaining:
    """The operations on what is kept. It keeps no state."""

    def __init__(self, db: Path, reader: Asks, door: Door, clock: Clock) -> None:
        self._db, self._reader, self._door, self._clock = db, reader, door, clock

    async def prune(
        self,
        keep: str = "90d",
        last: int = 1,
        dags: dict[str, Any] | None = None,
        cursor: str = "",
        audit: str = "400d",
    ) -> Pruned:
        policy, at = await self._begun(keep, last, dags, audit) if not cursor else _read(cursor)
        until = self._clock.elapsed() + _GOES_ON_US
        runs, removed, done = 0, dict[str, int](), False

        def again(answer: Any) -> dict[str, Any] | None:
            nonlocal runs, at, done
            runs += answer["marked"]
            for table, count in answer["removed"].items():
                removed[table] = removed.get(table, 0) + count
            at, done = _text(answer["cursor"]), answer["done"]
            return None if done or self._clock.elapsed() >= until else {"policy": policy, "cursor": at}

        await self._asked({"policy": policy, "cursor": at}, again)
        logs = await self._sweep() if done else 0
        return Pruned(
            cursor="" if done else _sealed(policy, at), done=done, runs=runs, removed=removed, logs=logs
        )

    async def _asked(self, args: dict[str, Any], again: Callable[[Any], dict[str, Any] | None]) -> None:
        if isinstance(self._door, Several):
            await self._door.commands("prune", args, again)
            return
        following: dict[str, Any] | None = args
        while following is not None:
            following = again(await self._door.command("prune", following))
            await asyncio.sleep(_REST_S)

    async def _begun(self, keep: str, last: int, dags: dict[str, Any] | None, audit: str) -> tuple[str, str]:
        try:
            of = {name: typed.convert(one, RetentionOf) for name, one in (dags or {}).items()}
        except msgspec.ValidationError as error:
            raise UsageError(f'dags is {{"etl": {{"keep": "30d", "last": 10}}}}: {error}') from None
        known = {dag.name for dag in await self._reader.ask(Reader.dags)}
        if unknown := of.keys() - known:
            raise NotFoundError(f"there is no DAG {min(unknown)!r} to keep runs of: `bide dags` lists them")
        return policy_json(
            policy_of(RetentionSetting(keep=keep, last=last, audit=audit, dags=of), self._clock.now())
        ), BEGINNING

    async def _sweep(self) -> int:
        """Remove the logs of attempts that have no row; how many."""
        folder, gone = log_of(self._db, 0).parent, 0
        for ids in await aside(lambda: list(_logged(folder))):
            lone = await self._reader.ask(Reader.read, lambda conn, ids=ids: without_row(conn, ids))
            await aside(_unlink, folder, lone)
            gone += len(lone)
        return gone


def policy_of(setting: RetentionSetting, now_us: int) -> Policy:
    """The instants that a setting means now."""
    if setting.last < 1 or any(one.last < 1 for one in setting.dags.values()):
        raise UsageError("the newest run of each DAG always stays: last is 1 or more")
    return Policy(
        Of(now_us - _kept(setting.keep), setting.last),
        {name: Of(now_us - _kept(one.keep or setting.keep), one.last) for name, one in setting.dags.items()},
        now_us - _kept(setting.audit),
    )


def _kept(text: str) -> int:
    """A span with its unit: a bare `5` would be seconds, and take nearly all there is."""
    us = read_span(text)
    if text.strip()[-1].isdigit():
        raise UsageError(f"{text!r} is no span that is kept: say of what, such as {text.strip()}d")
    return us


def _logged(folder: Path) -> Iterator[list[int]]:
    """Attempts that have a log file, so many at a time."""
    names = (
        int(file.stem)
        for file in (folder.iterdir() if folder.is_dir() else ())
        if file.suffix == ".log" and file.stem.isascii() and file.stem.isdigit() and len(file.stem) < 19
    )
    ids = sorted(one for one in names if one)
    yield from (ids[at : at + _FILES] for at in range(0, len(ids), _FILES))


def _unlink(folder: Path, ids: list[int]) -> None:
    for one in ids:
        (folder / f"{one}.log").unlink(missing_ok=True)


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _sealed(policy: str, at: str) -> str:
    """What goes on from `at`: a further slice of what was checked, and is in the audit log, so nobody else can make one."""
    return _text([policy, at, _seal(policy, at)])


def _seal(policy: str, at: str) -> str:
    return hmac.digest(_SEAL, _text([policy, at]).encode(), "sha256").hex()


def _read(cursor: str) -> tuple[str, str]:
    try:
        policy, at, seal = typed.decode(cursor, tuple[str, str, str])
    except msgspec.MsgspecError:
        policy = at = seal = ""
    if not hmac.compare_digest(seal.encode(), _seal(policy, at).encode()):
        raise UsageError("this cursor is none that a prune of this process has answered: begin without one")
    return policy, at


async def to_the_end(
    ask: Callable[[str], Awaitable[Pruned]], told: Callable[[Pruned], None] = lambda _: None
) -> Pruned:
    """Call `ask` with each cursor until all is done; the sum of what went."""
    runs, removed, cursor = 0, dict[str, int](), ""
    while True:
        came = await ask(cursor)
        runs += came.runs
        for table, count in came.removed.items():
            removed[table] = removed.get(table, 0) + count
        sum_of = msgspec.structs.replace(came, runs=runs, removed=removed)
        told(sum_of)
        if came.done:
            return sum_of
        cursor = came.cursor


@asynccontextmanager
async def on_a_copy(db: Path, progress: Progress | None) -> AsyncIterator[Path]:
    """A copy of a database in a folder of its own, gone afterwards: to see what would happen."""
    with tempfile.TemporaryDirectory(prefix=".bide-dry-run-", dir=db.parent) as folder:
        copy = Path(folder) / db.name
        copy.touch(0o600)
        copy_snapshot(db, copy, progress)
        yield copy


async def keep_pruning(
    setting: RetentionSetting, clock: Clock, prune: Callable[..., Awaitable[Pruned]]
) -> None:
    """Prune as often as the setting says, for as long as the runtime lives; what fails is tried the next time."""
    every, dags = read_span(setting.every), msgspec.to_builtins(setting.dags)

    def ask(cursor: str) -> Awaitable[Pruned]:
        return (
            prune(cursor=cursor) if cursor else prune(setting.keep, setting.last, dags, audit=setting.audit)
        )

    while True:
        await clock.sleep_until(clock.now() + every)
        try:
            came = await to_the_end(ask)
        except Exception as error:  # of its logs' folder, say: nobody else would prune
            log.warning("not pruned: %s", error, exc_info=None if isinstance(error, BideError) else error)
        else:
            if came.removed:
                log.info("pruned %d runs, %d rows", came.runs, sum(came.removed.values()))
