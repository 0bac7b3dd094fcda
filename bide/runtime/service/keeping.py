"""Backup, restore and check of a database: operations on files, done where the files are.

Backup and check read beside a living service; a restore takes the database's lock, as a command does.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from bide.runtime.clock import Clock
from bide.runtime.errors import StoreError, StoreHeldError
from bide.runtime.service.places import log_of
from bide.runtime.service.shapes import iso
from bide.runtime.store import invariants
from bide.runtime.store.backup import Progress, back_up, dated
from bide.runtime.store.file_traps import file_traps
from bide.runtime.store.lock import Lock
from bide.runtime.store.migrate import version_of
from bide.runtime.store.putting_back import Since, put_back
from bide.runtime.store.reader import Reader


class BackupMade(msgspec.Struct, frozen=True, kw_only=True):
    """`bide db backup`."""

    file: str
    bytes: int
    taken_at: str
    schema: int
    runs: int
    last_event: int
    proved: str
    """full: every invariant; fast: all but the journal's and the indexes'"""
    wrong: list[str]
    """invariants that the database does not keep, and so not its copy"""


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """Something that does not hold: an invariant's id, or `file`."""

    what: str
    found: str
    advice: str


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """`bide db check`."""

    ok: bool
    db: str
    how: str
    schema: int
    runs: int
    bytes: int
    wrong: list[Wrong]


class PutBack(msgspec.Struct, frozen=True, kw_only=True):
    """`bide db restore`."""

    db: str
    taken_at: str
    lost_s: float
    """how long before now the backup was taken: what happened since is gone"""
    epoch: int
    runs: int
    unfinished: int
    """runs that the next start takes up again"""
    kept: str | None
    """where the database that stood there is now"""
    since: Since | None
    """what that one had and the backup has not; null when it cannot be read"""


def backup(
    db: Path, target: Path | None, clock: Clock, *, fast: bool = False, progress: Progress | None = None
) -> BackupMade:
    """Copy the database to a file, or under a dated name into a folder; in use or not."""
    now = clock.now()
    place = Path(os.path.realpath(db))
    if target is None:
        target = place.parent / "backups" / dated(Path(), place, now).name
    elif target.is_dir() or str(target).endswith(os.sep):
        target = dated(target, place, now)
    made = back_up(place, target, now, full=not fast, progress=progress)
    return BackupMade(
        file=str(made.path),
        bytes=made.bytes,
        taken_at=iso(made.taken_us),
        schema=made.schema,
        runs=made.runs,
        last_event=made.last_event,
        proved="fast" if fast else "full",
        wrong=[f"{one.id}: {one.sentence}" for one in made.wrong],
    )


def check(db: Path, *, full: bool = False) -> Checked:
    """Everything that can be wrong with a database and its files. Reads only; a service may run."""
    place = Path(os.path.realpath(db))
    with Reader(place) as reader:  # `NotFoundError` where there is none
        logs = log_of(place, 0).parent if full else None
        found = reader.read(lambda conn: invariants.check(conn, logs) if full else invariants.quick(conn))
        traps = file_traps(place, Lock(place).holder())
        schema = reader.read(version_of)
        runs = sum(reader.counts().runs.values())
    advice = "put a backup back (`bide db restore`), and report it with a copy of the database"
    wrong = [Wrong(what="file", found=f"{trap.file} {trap.found}", advice=trap.advice) for trap in traps]
    wrong += [Wrong(what=one.id, found=one.sentence, advice=advice) for one in found]
    return Checked(
        ok=not wrong,
        db=str(place),
        how="full" if full else "fast",
        schema=schema,
        runs=runs,
        bytes=place.stat().st_size,
        wrong=wrong,
    )


def restore(
    db: Path, backup: Path, clock: Clock, *, anyway: bool = False, progress: Progress | None = None
) -> PutBack:
    """Put a backup in the place of the database, when nobody holds that; the old one stays beside it."""
    place = Path(os.path.realpath(db))
    place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = Lock(place)
    holder = lock.take("command", clock.now())
    if holder is not None:
        who = "the service" if holder.kind == "runtime" else "a command"
        raise StoreHeldError(
            f"{who} of process {holder.pid} holds the database {place}: end it, then put the backup back; "
            "nothing was changed"
        )
    try:
        done = put_back(backup, place, clock.now(), anyway=anyway, progress=progress)
    except OSError as error:
        raise StoreError(f"the backup could not be put back ({error.strerror}: {error.filename})") from None
    finally:
        lock.release()
    return PutBack(
        db=str(place),
        taken_at=iso(done.taken_us),
        lost_s=round((clock.now() - done.taken_us) / 1e6, 3),
        epoch=done.epoch,
        runs=done.runs,
        unfinished=done.unfinished,
        kept=str(done.kept) if done.kept is not None else None,
        since=done.since,
    )
