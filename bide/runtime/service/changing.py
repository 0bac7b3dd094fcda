"""Tells when files of a service's DAGs have changed, for `bide dev`: each burst of changes once."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import aclosing
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from bide.runtime.errors import UsageError

_SUFFIXES: Final = (".py", ".toml")
SETTINGS: Final = ("bide.toml", "pyproject.toml")
_LOOK_EVERY_S: Final = 0.3
_QUIET_MS: Final = 300
"""An editor writes a file in several steps: a burst is over when nothing has come for so long."""


def need_watchfiles() -> None:
    """Found missing before anything is opened."""
    if find_spec("watchfiles") is None:
        raise UsageError(
            "`bide dev` needs the extra `server` (watchfiles is missing): pip install 'bide[server]'"
        )


async def changes(paths: Sequence[str]) -> AsyncGenerator[list[str], None]:
    """The files that have changed, came or went, sorted. Ends when it is cancelled.

    Folders are watched with all below them, files by their folder: an editor may put another one in their place. A
    folder that goes takes its watch with it: what stands there when it is back is another one, and read as a change.
    """
    beside, folders = _places(paths)
    roots = {str(each) for each in beside | folders}
    back: set[str] = set()
    while True:
        async with aclosing(_seen(beside, folders)) as bursts:
            async for found in bursts:
                if found or back:
                    yield sorted(found or back)
                if not roots.isdisjoint(found) or not all(map(os.path.isdir, roots)):
                    break
        while not all(map(os.path.isdir, roots)):
            await asyncio.sleep(_LOOK_EVERY_S)
        back = roots


async def settings_changes(folder: Path) -> AsyncGenerator[list[str], None]:
    """The files of settings in a project's folder that have changed: no service takes them as it runs."""
    from watchfiles import awatch

    named = {str(folder / name) for name in SETTINGS}
    while True:
        try:
            async for burst in awatch(
                folder, watch_filter=lambda _, path: path in named, step=_QUIET_MS, recursive=False
            ):
                yield sorted({path for _, path in burst})
        except FileNotFoundError:
            await asyncio.sleep(_LOOK_EVERY_S)


async def _seen(
    beside: AbstractSet[Path], folders: AbstractSet[Path]
) -> AsyncGenerator[AbstractSet[str], None]:
    """Bursts of changes of one watch. The first is empty, when it watches: what changes after it is seen."""
    from watchfiles import Change, awatch

    roots = beside | folders

    def concerns(change: Change, path: str) -> bool:
        gone = change is Change.deleted and Path(path) in roots
        return gone or concerned(Path(path), beside, folders)

    watch = awatch(*roots, watch_filter=concerns, step=_QUIET_MS, recursive=bool(folders))
    burst = asyncio.ensure_future(anext(watch))
    try:
        await asyncio.sleep(0)
        yield frozenset()
        while True:
            yield {path for _, path in await burst}
            burst = asyncio.ensure_future(anext(watch))
    except FileNotFoundError:  # gone again before it was watched
        return
    finally:
        burst.cancel()


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
