"""What `doctor` sees around a database: who serves it where, settings, orphans, hooks, notices, steps of the clock."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bide.runtime import typed
from bide.runtime.clock import DAY
from bide.runtime.config import Config
from bide.runtime.errors import BideError
from bide.runtime.executor.orphans import living
from bide.runtime.hooks.hook import HookSpec
from bide.runtime.hooks.signing import UNSIGNED
from bide.runtime.service.config_shown import settings_shown, value_words
from bide.runtime.service.doors import Live
from bide.runtime.service.hook_secrets import unchecked
from bide.runtime.service.listening import At, answers, listening
from bide.runtime.service.places import database, settings, socket_of
from bide.runtime.service.shapes import Check, iso
from bide.runtime.service.tokens import state_of
from bide.runtime.store import doctor_reads as reads
from bide.runtime.store import hook_rows, notice_rows, who_reads
from bide.runtime.store.lock import Holder
from bide.runtime.store.reader import Reader

_STEPS_US: Final = 7 * DAY
_MANY_STEPS: Final = 20  # in a day: the clock is not kept, it is fought over


def around(reader: Reader, holder: Holder | None, now_us: int, live: Live | None) -> Iterator[Check]:
    """Everything about who lives on the database, and what came of it."""
    yield from in_force(reader.path, live, holder)
    yield from served(reader, holder, now_us)
    yield from orphans(reader, holder, live)
    yield from hooks(reader, holder, live)
    if live is None:
        yield from notices_at_rest(reader)
    yield from clock_steps(reader, now_us)


# --- settings ----------------------------------------------------------------------------------------


def in_force(db: Path, live: Live | None, holder: Holder | None) -> Iterator[Check]:
    """The settings that are not the defaults, and where each comes from."""
    if live is not None:
        config = live.config
        if config is None:
            found = f"those of the program that runs it: {live.slots} slots"
            yield Check(name="settings", ok=True, found=found, advice="")
            return
    elif holder is not None and holder.kind == "runtime":
        found = f"those of process {holder.pid}, which cannot be asked"
        yield Check(name="settings", ok=True, found=found, advice="")
        return
    else:
        try:
            config = _of_here(db)
        except BideError as error:
            yield Check(
                name="settings", ok=False, found=str(error), advice="correct it: `bide config show --origin`"
            )
            return
    said = [each for each in settings_shown(config) if each.origin != "default"]
    if not said:
        yield Check(name="settings", ok=True, found="all are the defaults", advice="")
    for each in said:
        found = f"{each.key} = {value_words(each.value)} ({each.origin})"
        yield Check(name="setting", ok=True, found=found, advice="")


def _of_here(db: Path) -> Config:
    """What a service that is started here would have."""
    config = settings()
    if Path(os.path.realpath(database(config))) == db:
        return config
    return msgspec.structs.replace(config, db=str(db), origins={**config.origins, "db": "flag"})


# --- who serves ----------------------------------------------------------------------------------------


def served(reader: Reader, holder: Holder | None, now_us: int) -> Iterator[Check]:
    """Each socket and port of whoever holds the database; a socket that nobody answers at."""
    path = socket_of(reader.path)
    runs = holder is not None and holder.kind == "runtime"
    if path.exists() and not answers(path):
        if runs:
            advice = "restart the service: nothing can be asked of it meanwhile"
            yield Check(name="served", ok=False, found=f"nobody answers at {path}", advice=advice)
        else:
            found = f"{path} was left by a service that is gone"
            yield Check(
                name="served", ok=True, found=found, advice=f"the next `bide serve` takes it; or `rm {path}`"
            )
    if holder is None or not runs:
        if not path.exists():
            yield Check(
                name="served", ok=True, found="at no socket and no port: no runtime is running", advice=""
            )
        return
    places = listening(holder.pid)
    if places is None:
        found = f"by process {holder.pid}, whose sockets this user cannot see"
        yield Check(name="served", ok=True, found=found, advice="")
        return
    for at in places:
        yield _served_at(reader, at, holder, now_us)
    if not places:
        found = f"at no socket and no port: process {holder.pid} is a guest in another program, or `bide run`"
        yield Check(name="served", ok=True, found=found, advice="")


def _served_at(reader: Reader, at: At, holder: Holder, now_us: int) -> Check:
    name = at.address.removesuffix(f".{holder.pid}")  # a socket is bound beside its name, then renamed
    found = f"{at.kind} {name} by process {holder.pid}"
    if not at.public or any(state_of(row, now_us) == "live" for row in reader.read(who_reads.tokens)):
        return Check(name="served", ok=True, found=found, advice="")
    advice = f"`bide token create NAME --scope run --db {reader.path}`: without one nobody may ask there"
    return Check(name="served", ok=True, found=f"{found}, and no token lives", advice=advice)


def orphans(reader: Reader, holder: Holder | None, live: Live | None) -> Iterator[Check]:
    """Processes of attempts that nobody holds any more."""
    held = holder is not None and holder.kind == "runtime"
    rows = [
        row
        for row in reader.read(reads.processes)
        if (row.attempt_id not in live.bodies if live is not None else not held or row.ended)
    ]
    found = living((row.attempt_id, row.pid, row.started, row.boot_id) for row in rows)
    if not found:
        yield Check(name="orphans", ok=True, found="none: every process of an attempt is held", advice="")
    for attempt_id, pid in found[:50]:
        said = f"process {pid} ({_name(pid)}) of attempt {attempt_id} lives, and nobody holds it"
        ends = (
            f"`kill -KILL {pid}`" if held else f"the next start ends it: `bide serve`; or `kill -KILL {pid}`"
        )
        yield Check(name="orphan", ok=False, found=said, advice=ends)


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(errors="replace").strip()
    except OSError:
        return "?"


# --- what comes in and what goes out ---------------------------------------------------------------------


def hooks(reader: Reader, holder: Holder | None, live: Live | None) -> Iterator[Check]:
    """Whether each hook that checks signatures has a secret to check them with."""
    if live is None and holder is not None and holder.kind == "runtime":
        return  # its environment is its own
    for name, text in reader.read(hook_rows.hooks):
        spec = typed.decode(text, HookSpec)
        if spec.kind != "webhook" or spec.scheme == UNSIGNED:
            continue
        wrong = unchecked(spec)
        if not wrong:
            found, advice = f"{name} ({spec.scheme}) has its secret", ""
        elif live is not None:
            found = f"{name} ({spec.scheme}) cannot check who sends: {wrong}"
            advice = "give the service the secret and restart it: until then every delivery is refused"
        else:
            found = f"{name} ({spec.scheme}) would have no secret in a service that is started here: {wrong}"
            advice = "`bide serve` needs it in its environment, or as a file or credential"
        yield Check(name="hook", ok=not wrong or live is None, found=found, advice=advice)


def notices_at_rest(reader: Reader) -> Iterator[Check]:
    """What was not taken by its receiver while somebody still sent: without a runtime nobody tries again."""
    for each in reader.read(notice_rows.off):
        yield Check(
            name="notices", ok=False, found=f"{each.route}: off since {iso(each.off_us)}: {each.reason}",
            advice=f"correct the route, then `bide notify test {each.route}`",
        )  # fmt: skip
    for stuck in reader.read(reads.stuck_notices):
        yield Check(
            name="notices", ok=False,
            found=f"{stuck.route}: {stuck.count} not taken after {stuck.attempts} tries: {stuck.error}",
            advice=f"`bide notify test {stuck.route}`, then `bide notify retry --route {stuck.route}`",
        )  # fmt: skip


# --- the clock -------------------------------------------------------------------------------------------


def clock_steps(reader: Reader, now_us: int) -> Iterator[Check]:
    """Steps of the wall clock that a runtime has seen. A suspended machine is none."""
    steps = reader.read(lambda conn: reads.clock_steps(conn, now_us - _STEPS_US))
    if not steps:
        yield Check(name="clock steps", ok=True, found="none in 7 days", advice="")
        return
    at_us, said = steps[0]
    today = sum(at_us > now_us - DAY for at_us, _ in steps)
    found = f"{len(steps)} in 7 days, {today} in the last one; the last at {iso(at_us)}: {said}"
    advice = (
        "what was due was judged again, by catchup; see that one program keeps the time: `timedatectl status`"
    )
    yield Check(name="clock steps", ok=today < _MANY_STEPS, found=found, advice=advice)
