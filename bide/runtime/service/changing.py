"""Tells when files of a service's DAGs have changed, for `bide dev`: each burst of changes once."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bide.runtime.errors import UsageError

_SUFFIXES: Final = (".py", ".toml")
_QUIET_MS: Final = 300
"""An editor writes a file in several steps: a burst is over when nothing has come for so long."""


def need_watchfiles() -> None:
    """Found missing before anything is opened."""
    if find_spec("watchfiles") is None:
        raise UsageError(
            "`bide dev` needs the extra `server` (watchfiles is missing): pip install 'bide[server]'"
        )


async def changes(paths: Sequence[str]) -> AsyncIterator[list[str]]:
    """The files that have changed, came or went, sorted. Ends when it is cancelled.

    Folders are watched with all below them, files by their folder: an editor may put another one in their place.
    """
    from watchfiles import Change, awatch

    beside, folders = _places(paths)

    def concerns(_: Change, path: str) -> bool:
        return concerned(Path(path), beside, folders)

    async for found in awatch(
        *beside.union(folders), watch_filter=concerns, step=_QUIET_MS, recursive=bool(folders)
    ):
        yield sorted({path for _, path in found})


def _places(paths: Sequence[str]) -> tuple[set[Path], set[Path]]:
    """The folders of the files, and the folders."""
    places = [Path(path).resolve() for path in paths]
    return {each.parent for each in places if each.is_file()}, {each for each in places if each.is_dir()}


def concerned(path: Path, beside: Iterable[Path], folders: Iterable[Path]) -> bool:
    """Whether a change of this file may change DAGs: code and contracts, in a folder or beside a file; nothing hidden.

    >>> concerned(Path("/home/me/.jobs/dags/a.py"), [], [Path("/home/me/.jobs/dags")])
    True
    >>> concerned(Path("/dags/.venv/a.py"), [], [Path("/dags")]), concerned(Path("/d/a.csv"), [Path("/d")], [])
    (False, False)
    """
    if path.suffix not in _SUFFIXES:
        return False
    if path.parent in beside and not path.name.startswith("."):
        return True
    below = (path.relative_to(folder) for folder in folders if path.is_relative_to(folder))
    return any(not any(part.startswith(".") for part in each.parts) for each in below)
