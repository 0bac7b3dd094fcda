"""Reads a piece of an attempt's log file; a missing file is an empty log."""

from __future__ import annotations

from pathlib import Path

from bide.runtime.executor.log_files import reading
from bide.runtime.service.places import log_of


def read_log(db: Path, attempt_id: int, offset: int, limit: int) -> tuple[str, int, bool]:
    """(text, the offset after it, whether there is more by now). Cut at a line's end where one is.

    Bytes that are not UTF-8 are replaced. An offset past the end gives nothing and stays.
    """
    try:
        with reading(log_of(db, attempt_id).parent, attempt_id) as file:
            file.seek(offset)
            data = file.read(limit + 1)
    except FileNotFoundError:
        return "", offset, False
    more = len(data) > limit
    if more:
        data = data[:limit]
        line = data.rfind(b"\n") + 1
        data = data[: line or limit]
    return data.decode("utf-8", "replace"), offset + len(data), more
