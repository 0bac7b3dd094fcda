"""Processes that outlived their runtime: known again by boot id and start time, and killed."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterable
from pathlib import Path
from typing import Final

MARK: Final = "BIDE_ATTEMPT"
"""Set in the environment of every process that an attempt starts: its attempt id."""

_PROC: Final = Path("/proc")
_PATIENCE_MS: Final = 2_000


def boot_id() -> str:
    """Which boot of the machine this is; "" where the system does not say."""
    try:
        return (_PROC / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def started_ticks(pid: int) -> int:
    """When a process started, in clock ticks since boot; 0 when there is none, or no /proc."""
    fields = _stat(pid)
    return int(fields[19]) if fields is not None else 0


def kill_orphans(rows: Iterable[tuple[int, int, int, str]]) -> list[int]:
    """Kill the recorded process groups that still live; the ids of the attempts they belonged to.

    Rows are (attempt_id, pid, started, boot_id) of attempts whose runtime is gone. A process is
    only touched when it is the recorded one (same boot, same start), or when it stands in its
    session and bears the attempt's mark. Blocks until the leaders are gone, 2 s at most each.
    """
    here = boot_id()
    known = {pid: (attempt_id, started) for attempt_id, pid, started, boot in rows if here and boot == here}
    if not known:
        return []
    killed: dict[int, None] = {}
    for pid, session in _sessions():
        if session not in known:
            continue
        attempt_id, started = known[session]
        theirs = (pid == session and started_ticks(pid) == started) or _bears(pid, attempt_id)
        if theirs and _kill(pid):
            killed[attempt_id] = None
    return list(killed)


def living(rows: Iterable[tuple[int, int, int, str]]) -> list[tuple[int, int]]:
    """(attempt, pid) of the processes among those of `kill_orphans` that live; nothing is touched."""
    here = boot_id()
    known = {pid: (attempt_id, started) for attempt_id, pid, started, boot in rows if here and boot == here}
    if not known:
        return []
    found = []
    for pid, session in _sessions():
        attempt_id, started = known.get(session, (0, 0))
        theirs = session in known and not _over(pid)
        if theirs and ((pid == session and started_ticks(pid) == started) or _bears(pid, attempt_id)):
            found.append((attempt_id, pid))
    return found


def _over(pid: int) -> bool:
    """Whether it has ended, and only nobody has asked how."""
    fields = _stat(pid)
    return fields is None or fields[0] in ("Z", "X")


def _kill(pid: int) -> bool:
    """Kill one process, held by a pidfd where there is one, so that no other can be hit.

    False when it is another user's by now (`sudo`): it is left, and the start goes on.
    """
    if not hasattr(os, "pidfd_open"):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        except PermissionError:
            return False
        return True
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        signal.pidfd_send_signal(fd, signal.SIGKILL)
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        poll.poll(_PATIENCE_MS)
    except ProcessLookupError:
        pass
    except PermissionError:
        return False
    finally:
        os.close(fd)
    return True


def _sessions() -> list[tuple[int, int]]:
    """(pid, session) of every process of this machine that can be seen."""
    return [
        (int(entry.name), int(fields[3]))
        for entry in _PROC.iterdir()
        if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None
    ]


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the name: state, ppid, pgrp, session, ...; None when gone."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(errors="replace")
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _bears(pid: int, attempt_id: int) -> bool:
    try:
        environment = (_PROC / str(pid) / "environ").read_bytes()
    except OSError:
        return False
    return f"{MARK}={attempt_id}".encode() in environment.split(b"\0")
