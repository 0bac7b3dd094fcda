"""Looks at everything a database rests on: SQLite, schema, invariants, disk, inotify, lock, clock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from bide.runtime.clock import DAY, SECOND
from bide.runtime.engine.explain import span_words
from bide.runtime.service.doctor_life import around, in_force
from bide.runtime.service.doctor_place import place
from bide.runtime.service.doors import Live
from bide.runtime.service.holds import ADVICE
from bide.runtime.service.places import log_of, socket_of
from bide.runtime.service.shapes import Check, Health, iso
from bide.runtime.service.unread import told
from bide.runtime.store.apart import LARGE, check_apart
from bide.runtime.store.invariants import check
from bide.runtime.store.invariants import live as against
from bide.runtime.store.lock import Lock, network_file_system
from bide.runtime.store.migrate import newest_number, version_of
from bide.runtime.store.reader import Reader

_WAL_RESET_FIXED: Final = (3, 51, 3)
_LOW_DISK: Final = 512 * 1024 * 1024
_FULL_DISK: Final = 64 * 1024 * 1024
_FEW_WATCHES: Final = 8192
_BUILT_US: Final = 1_767_225_600 * SECOND  # 2026-01-01: no clock that is right shows less


def examine(reader: Reader, db: Path, now_us: int, live: Live | None) -> Health:
    """All checks, whatever the first ones found. Reads only."""
    holder = Lock(reader.path).holder()
    current = reader.read(version_of) == newest_number()
    checks = (
        _sqlite(reader.sqlite_version()),
        _schema(reader),
        *(_invariants(reader, db, live) if current else _unchecked()),
        *place(reader, holder, now_us),
        _disk(db),
        _filesystem(db),
        *_inotify(),
        _lock(db, now_us),
        *_silent(db, live),
        *_full(live),
        _clock(reader, now_us),
        *(around(reader, holder, now_us, live) if current else in_force(reader.path, live, holder)),
        *_slots(live),
        *_dag_files(live),
        *_unread(live),
        *_lineage(live),
        *_notices(live),
    )
    return Health(ok=all(check.ok for check in checks), checks=checks)


def _sqlite(version: tuple[int, ...]) -> Check:
    advice = ""
    if version < _WAL_RESET_FIXED:
        advice = (
            "before 3.51.3 two processes that write at once can damage a log (the WAL-reset bug): bide "
            "writes from one only; write to the database with no other program while bide runs"
        )
    return Check(name="SQLite", ok=True, found=".".join(map(str, version)), advice=advice)


def _schema(reader: Reader) -> Check:
    version, newest = reader.read(version_of), newest_number()
    advice = "" if version == newest else "`bide serve` or `bide run` brings it up to date, after a copy"
    return Check(name="schema", ok=True, found=f"{version}, newest {newest}", advice=advice)


def _invariants(reader: Reader, db: Path, live: Live | None) -> Iterator[Check]:
    logs = log_of(db, 0).parent
    if live is not None and db.stat().st_size >= LARGE:
        found = check_apart(db, logs)
    else:
        found = reader.read(lambda conn: check(conn, logs))
    broken = [f"{v.id}: {v.sentence}" for v in found]
    if not broken:
        yield Check(name="invariants", ok=True, found="all hold", advice="")
    for violation in broken[:50]:
        advice = "keep a copy of the database and report it; put a backup back if you have one"
        yield Check(name="invariant", ok=False, found=violation, advice=advice)


def _unchecked() -> Iterator[Check]:
    """Of an older schema: what is asked here is not all there yet."""
    advice = "`bide serve` or `bide run` brings the schema up to date, after a copy; then ask again"
    yield Check(name="invariants", ok=True, found="not checked, the schema is older", advice=advice)


def _disk(db: Path) -> Check:
    free = shutil.disk_usage(db.parent).free
    logs = log_of(db, 0).parent
    size = sum(path.stat().st_size for path in db.parent.glob(db.name + "*") if path.is_file())
    found = f"{_bytes(free)} free, database {_bytes(size)}" + (", logs beside it" if logs.is_dir() else "")
    advice = "free some: a full disk makes bide refuse new work" if free < _LOW_DISK else ""
    return Check(name="disk", ok=free >= _FULL_DISK, found=found, advice=advice)


def _filesystem(db: Path) -> Check:
    network = network_file_system(db.parent)
    advice = "move the database to a local disk: SQLite's log and locks do not hold there" if network else ""
    return Check(name="file system", ok=network is None, found=network or "local", advice=advice)


def _inotify() -> Iterator[Check]:
    for name, few in (("max_user_watches", _FEW_WATCHES), ("max_user_instances", 64)):
        try:
            limit = int(Path("/proc/sys/fs/inotify", name).read_text())
        except (OSError, ValueError):
            continue
        advice = f"file waits fall back to sweeps when it is used up: sysctl fs.inotify.{name}=65536"
        yield Check(name=f"inotify {name}", ok=True, found=str(limit), advice=advice if limit < few else "")


def _lock(db: Path, now_us: int) -> Check:
    holder = Lock(db).holder()
    if holder is None:
        return Check(name="lock", ok=True, found="free: no runtime is running", advice="")
    me = " (this service)" if holder.pid == os.getpid() else ""
    since = f", for {span_words(now_us - holder.started)}" if holder.started else ""
    return Check(
        name="lock", ok=True, found=f"held by the {holder.kind} of process {holder.pid}{me}{since}", advice=""
    )


def _silent(db: Path, live: Live | None) -> Iterator[Check]:
    """A service that holds the database and was asked in vain: what stands here was read without it."""
    holder = Lock(db).holder()
    if live is not None or holder is None or holder.kind != "runtime" or not socket_of(db).exists():
        return
    yield Check(
        name="service",
        ok=False,
        found=f"process {holder.pid} does not answer at its socket: it is stopped, or something holds its loop",
        advice=f"let it go on (`kill -CONT {holder.pid}`), or end and start it again; its log tells more",
    )


def _full(live: Live | None) -> Iterator[Check]:
    if live is not None and live.full:
        advice = "free some room on the disk of the database: it goes on by itself, and has lost nothing"
        yield Check(
            name="commits", ok=False, found=f"nothing can be committed now: {live.full}", advice=advice
        )


def _clock(reader: Reader, now_us: int) -> Check:
    last = newest_event_us(reader)
    found = iso(now_us)
    if now_us < _BUILT_US:
        return Check(
            name="clock", ok=False, found=found, advice="the clock is years behind: set it, then start bide"
        )
    if last > now_us + 60 * SECOND:
        advice = (
            f"the journal's last entry is of {iso(last)}: the clock stood further ahead before; "
            "check that time synchronisation works"
        )
        return Check(name="clock", ok=last < now_us + DAY, found=found, advice=advice)
    return Check(name="clock", ok=True, found=found, advice="")


def newest_event_us(reader: Reader) -> int:
    """When the newest entry of the journal was written, 0 on an empty one."""
    last = reader.last_event()
    found = reader.events(after=last - 1, limit=1) if last else []
    return found[0].at_us if found else 0


def _slots(live: Live | None) -> Iterator[Check]:
    if live is None:
        return
    yield Check(name="slots", ok=True, found=f"{live.slots_in_use} of {live.slots} in use", advice="")
    held = live.held
    if held:
        last = held[-1]
        found = f"held {len(held)} times, last by {last.name} at {iso(last.at_us)}: {last.where}"
        yield Check(name="event loop", ok=True, found=found, advice=ADVICE)
    else:
        yield Check(name="event loop", ok=True, found="nothing has held it", advice="")


def _dag_files(live: Live | None) -> Iterator[Check]:
    """What could not be loaded: the service runs on without it, and nobody reads its first lines."""
    left_out = live.left_out if live is not None else {}
    for what, why in list(left_out.items())[:50]:
        found = f"left out {told(what, why)}"
        advice = "correct it, then let the service read its files again (SIGHUP)"
        yield Check(name="DAG file", ok=False, found=found, advice=advice)


def _unread(live: Live | None) -> Iterator[Check]:
    """What is due and waits until the database can be read."""
    for _, what, why in (live.unread if live is not None else ())[:50]:
        advice = "it is asked again, at least once a minute; see to the disk that the database is on"
        yield Check(
            name="read", ok=False, found=f"{what} waits until the database can be read: {why}", advice=advice
        )


def _lineage(live: Live | None) -> Iterator[Check]:
    """Whether lineage gets out: nobody waits for it, so nobody would notice."""
    sent = live.exported if live is not None else None
    if sent is None:
        return
    found = f"{sent.where}: sent up to line {sent.seq} of {sent.newest}"
    if sent.refused:
        found += f", {sent.refused} events refused for good"
    if not sent.failing:
        yield Check(name="OpenLineage", ok=True, found=found, advice="")
        return
    found += f"; it takes no events ({sent.tries} tries): {sent.failing}"
    advice = "start the collector or correct [tool.bide.openlineage]; nothing is lost, work goes on meanwhile"
    yield Check(name="OpenLineage", ok=False, found=found, advice=advice)


def _notices(live: Live | None) -> Iterator[Check]:
    """Whether those who are to be told hear anything: whoever hears nothing does not know that."""
    for each in live.notifier.status if live is not None and live.notifier is not None else ():
        wrong, name = each.off or each.failing, each.route.name
        found = f"{name} ({each.route.where}): " + (
            f"{'off: ' if each.off else ''}{wrong}" if wrong else "well"
        )
        advice = f"correct the route, then `bide notify test {name}`, and `bide notify retry --route {name}`"
        yield Check(name="notices", ok=not wrong, found=found, advice=advice if wrong else "")


def step(out_of_step: Sequence[str], bodies: int, watched: int) -> Check:
    """Whether what a running service holds is what its database says (I3, I4, I10)."""
    found = f"{bodies} attempts held, {watched} waits watched"
    if not out_of_step:
        return Check(name="live", ok=True, found=f"{found}, as the database has them", advice="")
    told = "; ".join(out_of_step[:10])
    advice = "restart the service: a start takes up what the database says; and report it"
    return Check(name="live", ok=False, found=f"{found}: {told}", advice=advice)


def never_quiet(full: bool) -> Check:
    """What is asked of a service that is never at rest, or commits nothing, is not compared: nobody waits for it."""
    found = "not compared with the database: " + ("nothing is committed" if full else "it was never at rest")
    return Check(name="live", ok=True, found=found, advice="" if full else "ask again when less is going on")


def out_of_step(
    reader: Reader, bodies: frozenset[int], watched: frozenset[int], unwatched: frozenset[int], live: Live
) -> set[str]:
    """What the database and the living do not agree on, now: a moment's difference is none."""
    slots, used = live.slots, live.slots_in_use
    found = {v.sentence for v in reader.read(lambda conn: against(conn, bodies, watched, slots, used))}
    return found | {f"wait {wait} is open and nothing watches it" for wait in unwatched}


def _bytes(count: int) -> str:
    size = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
