"""Where files are waited for: a folder with names in it, or a tree with a pattern.

A place knows its waits and what is to be looked at next; the hub (`file_source.py`) decides when.
Waits for names in one folder cost one look together, and so do waits for one pattern.
"""

# ruff: noqa: PTH100, PTH118, PTH120
# Paths are text here: a Path costs microseconds, and there are 100,000 of them.

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from heapq import heappop, heappush
from typing import Final, NamedTuple, Protocol

import msgspec

from bide.runtime.clock import MINUTE
from bide.triggers.base import Registration, TimerHandle
from bide.triggers.file import FileFacts, FileTrigger, Seen, Signature, split_glob
from bide.triggers.file_look import (
    FOLDERS_LIMIT,
    Stat,
    facts,
    nearest_folder,
    on_network,
    scan,
    with_marker,
)

SWEEP_US: Final = MINUTE
"""A watched place is swept no more often than this."""

Key = tuple[str, ...]
Closed = Mapping[str, Signature | None]
"""Paths that their writers have closed: for good (None), or as long as they are as they were."""

AddWatch = Callable[[str, bool], int | None]
"""`add_watch(folder, appearing)`: a descriptor; `appearing`: also tell what appears unfinished."""


class Work(NamedTuple):
    """What one look at a place is for. `whole`: make sure of its watches as well."""

    place: Place
    waits: list[tuple[Registration, str]]
    closed: Closed
    first: set[str]
    whole: bool


class Hung(Protocol):
    """A thread call; `returned` once it has."""

    returned: bool


class Found(NamedTuple):
    """What one look at a place brought. `watched` are the folders that now are."""

    seen: list[tuple[Registration, str, Seen]]
    watched: dict[int, str]  # descriptor -> folder
    sighted: bool  # the folder itself is there and watched


class Place:
    """A folder or a tree. `names` are paths in a folder; of a tree the one name "": any event in it means a scan."""

    def __init__(self, key: Key) -> None:
        self.key = key
        self.base = key[0]
        self.parts = key[2:]
        self.recursive = len(key) > 1 and key[1] == "recursive"
        self.names: dict[str, Registration | dict[int, Registration]] = {}  # mostly one wait a name
        self.marked: dict[int, str] = {}  # wait -> name, of those that have a marker
        self.poll_us = 0
        self.dirty: set[str] = set()  # names to look at
        self.closed: dict[str, Signature | None] = {}  # of these, those whose writer has closed them
        self.first: set[str] = set()  # names whose waits have not been looked at yet
        self.all_dirty = False
        self.looking = False
        self.queued = False
        self.watched: dict[int, str] = {}
        self.sighted = False
        self.hung: Hung | None = None  # a look that did not come back
        self.sweep: TimerHandle | None = None
        self.sweep_us = 0
        self.again: list[tuple[int, str]] = []  # heap of (instant, name)
        self.again_timer: TimerHandle | None = None
        self.again_us = 0

    @property
    def is_tree(self) -> bool:
        return len(self.key) > 1

    def add(self, wait: Registration) -> None:
        self.poll_us = min(self.poll_us or wait.poll_us, wait.poll_us)
        name = self._name(wait)
        there = self.names.get(name)
        if there is None:
            self.names[name] = wait
        elif isinstance(there, dict):
            there[wait.wait_id] = wait
        else:
            self.names[name] = {there.wait_id: there, wait.wait_id: wait}
        if wait.trigger.marker is not None:
            self.marked[wait.wait_id] = name
        self.dirty.add(name)
        self.first.add(name)

    def remove(self, wait: Registration) -> None:
        self.marked.pop(wait.wait_id, None)
        name = self._name(wait)
        there = self.names.get(name)
        if isinstance(there, dict):
            there.pop(wait.wait_id, None)
        if not there or (not isinstance(there, dict) and there.wait_id == wait.wait_id):
            self.names.pop(name, None)

    def _name(self, wait: Registration) -> str:
        return "" if self.is_tree else _whole(wait.trigger.path)

    def holds(self, wait: Registration, name: str) -> bool:
        """Whether this wait for `name` is still one of its waits."""
        there = self.names.get(name)
        if isinstance(there, dict):
            return wait.wait_id in there
        return there is not None and there.wait_id == wait.wait_id

    def of(self, name: str) -> list[Registration]:
        """The waits for one name."""
        there = self.names[name]
        return list(there.values()) if isinstance(there, dict) else [there]

    def touch(self, folder: str, name: str, closed: bool) -> bool:
        """Something happened to `name` in `folder`: note what must be looked at; False: nothing."""
        if self.is_tree:
            self.dirty.add("")
            if closed:
                self.closed[f"{folder}/{name}"] = None
            return True
        if not closed:
            return False
        path = os.path.join(folder, name)
        if path in self.names:
            self.dirty.add(path)
            self.closed[path] = None
            return True
        self.dirty.update(self.marked.values())  # it may be the marker of any of them
        return bool(self.marked)

    def take_work(self) -> Work:
        """What is to be looked at now; nothing is left to do."""
        names = list(self.names) if self.all_dirty else [name for name in self.dirty if name in self.names]
        waits = [(wait, name) for name in names for wait in self.of(name)]
        work = Work(self, waits, self.closed, self.first, self.all_dirty or not self.sighted)
        self.dirty, self.closed, self.first, self.all_dirty = set(), {}, set(), False
        return work

    def give_back(self, work: Work) -> None:
        """The look at this work did not happen: it is to be done again."""
        self.dirty.update(name for _, name in work.waits)
        self.closed = {**work.closed, **self.closed}
        self.first |= work.first
        self.all_dirty = self.all_dirty or work.whole

    def look_again(self, name: str, closed: Mapping[str, Signature]) -> None:
        """A look at `name` was not judged: have another, which knows what that one saw closed."""
        self.dirty.add(name)
        self.closed = {**closed, **self.closed}

    def has_work(self) -> bool:
        return self.all_dirty or bool(self.dirty)

    def next_look_us(self) -> int | None:
        """The next look by the clock; an event may bring it forward."""
        again_us = self.again[0][0] if self.again else None
        sweep_us = self.sweep_us if self.sweep is not None else None
        return min((at for at in (again_us, sweep_us) if at is not None), default=None)

    def recheck(self, name: str, at_us: int) -> None:
        heappush(self.again, (at_us, name))

    def due_again(self, now: int) -> bool:
        """Move the names that are due for another look into `dirty`."""
        while self.again and self.again[0][0] <= now:
            self.dirty.add(heappop(self.again)[1])
        return bool(self.dirty)

    def sweep_every_us(self) -> int:
        return max(self.poll_us, SWEEP_US) if self.sighted else self.poll_us


def _whole(path: str) -> str:
    """The path made absolute: the very same string where it is so already, for there may be many."""
    whole = os.path.abspath(path)
    return path if path == whole else whole


def place_key(trigger: FileTrigger) -> Key:
    """Waits with the same key share one look; the path is made absolute, links left alone."""
    if trigger.glob is None:
        return (os.path.dirname(os.path.abspath(trigger.path or "")),)
    base, parts = split_glob(trigger.glob)
    return (os.path.abspath(base), "recursive" if trigger.recursive else "flat", *parts)


def look_at(
    work: Work, mounts: tuple[tuple[str, bool], ...], add_watch: AddWatch | None, look: Stat
) -> Found:
    """One look at a place, watch first; runs in a thread, and changes nothing of the place."""
    place, base = work.place, work.place.base
    network = on_network(base, mounts)
    watched, sighted = dict(place.watched), place.sighted
    if add_watch is not None and not network and work.whole:
        watched, sighted = _watch_nearest(base, add_watch, place.is_tree)
    elif add_watch is None or network:
        watched, sighted = {}, False
    if not place.is_tree:
        names = {name for _, name in work.waits}
        files = {name: facts(name, look) for name in names}
        return Found(_seen(work, files, "", not network, look), watched, sighted)
    tree = scan(base, place.parts, place.recursive, look)
    if add_watch is not None and sighted and len(tree.folders) > 1:
        for folder in tree.folders[1:FOLDERS_LIMIT]:
            if folder not in watched.values() and (descriptor := add_watch(folder, True)) is not None:
                watched[descriptor] = folder
        # what came into a folder before its watch is seen by a second look
        tree = scan(base, place.parts, place.recursive, look)
    sighted = sighted and len(tree.folders) <= FOLDERS_LIMIT
    files = {file.path: file for file in tree.files}
    return Found(_seen(work, files, tree.trouble, not network, look), watched, sighted)


def _watch_nearest(base: str, add_watch: AddWatch, tree: bool) -> tuple[dict[int, str], bool]:
    """Watch `base`, or the nearest folder above that is there; (what is watched, is it `base`)."""
    folder = nearest_folder(base)
    while True:
        descriptor = add_watch(folder, tree or folder != base)
        nearer = nearest_folder(base)
        if descriptor is None:
            return {}, False
        if nearer == folder:
            return {descriptor: folder}, folder == base
        folder = nearer  # it was made while we began to watch: go down


def _seen(
    work: Work, files: Mapping[str, FileFacts | None], trouble: str, steady: bool, look: Stat
) -> list[tuple[Registration, str, Seen]]:
    """What each wait is to judge."""
    seen: list[tuple[Registration, str, Seen]] = []
    whole = [file for file in files.values() if file is not None] if work.place.is_tree else []
    for wait, name in work.waits:
        trigger: FileTrigger = wait.trigger
        chosen = whole
        if not work.place.is_tree:
            file = files.get(name)
            chosen = [] if file is None else [file]
        if trigger.marker is not None:
            chosen = [with_marker(file, trigger, look) for file in chosen]
        elif trigger.settle_us == 0 and name not in work.first:
            chosen = [file if _closed(file, work.closed) else _maybe_open(file) for file in chosen]
        seen.append((wait, name, Seen(tuple(chosen), steady, trouble)))
    return seen


def _closed(file: FileFacts, closed: Closed) -> bool:
    return file.path in closed and closed[file.path] in (None, file.signature)


def _maybe_open(file: FileFacts) -> FileFacts:
    """Nothing vouches that its writer has closed it."""
    return msgspec.structs.replace(file, closed=False)
