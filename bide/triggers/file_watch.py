"""One inotify instance for all folders that are watched; told apart by watch descriptor.

Adding a watch may block on a dead mount: `add` is called in a thread. Where there is no inotify
(another system, no instance left) `open_watch` says so with None, and the sweep sees alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncinotify
    from asyncinotify import Inotify


class Happened(NamedTuple):
    """What inotify told: in the folder watched as `descriptor`, something called `name`."""

    descriptor: int
    name: str
    closed: bool = False  # written and closed, or moved here: whole
    folder: bool = False  # a folder appeared
    gone: bool = False  # the watched folder itself is no more
    overflow: bool = False  # events were lost: look at everything


class Watch:
    """The shared instance."""

    def __init__(self, inotify: Inotify) -> None:
        from asyncinotify import Mask

        self._inotify = inotify
        self._watches: dict[int, asyncinotify.Watch] = {}
        self._closed = Mask.CLOSE_WRITE | Mask.MOVED_TO
        self._whole = self._closed | Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.ONLYDIR | Mask.MASK_ADD
        self._appearing = self._whole | Mask.CREATE
        self._gone = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.IGNORED | Mask.UNMOUNT

    def add(self, folder: str, appearing: bool) -> int | None:
        """Watch `folder`; its descriptor, the same for the same folder. None when it cannot be.

        Whole files are told of; with `appearing` folders and unfinished files as well, from then on.
        """
        try:
            watch = self._inotify.add_watch(folder, self._appearing if appearing else self._whole)
        except (OSError, ValueError):  # not there, no permission, no watch left, closed meanwhile
            return None
        self._watches[watch.wd] = watch
        return watch.wd

    def remove(self, descriptor: int) -> None:
        """Watch that folder no more."""
        watch = self._watches.pop(descriptor, None)
        if watch is None:
            return
        try:
            self._inotify.rm_watch(watch)
        except OSError:
            return  # it is gone already, and so is its watch

    async def events(self) -> AsyncIterator[Happened]:
        """What happens, until closed. The raw bits are compared: enum flags cost ten times as much."""
        from asyncinotify import Mask

        closed, gone = int(self._closed), int(self._gone)
        isdir, overflow = int(Mask.ISDIR), int(Mask.Q_OVERFLOW)
        async for event in self._inotify:
            bits = int(event.mask)
            if bits & overflow:
                yield Happened(-1, "", overflow=True)
                continue
            watch = event.watch
            if watch is None:
                continue
            name = "" if event.name is None else str(event.name)
            folder = bool(bits & isdir) and bool(name)
            yield Happened(watch.wd, name, bool(bits & closed) and not folder, folder, bool(bits & gone))

    def close(self) -> None:
        self._inotify.close()


def open_watch() -> Watch | None:
    """The instance, or None where there can be none."""
    try:
        from asyncinotify import Inotify

        return Watch(Inotify(cache_size=200))
    except (ImportError, OSError, RuntimeError, AttributeError):
        return None
