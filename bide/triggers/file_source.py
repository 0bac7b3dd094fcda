"""The one hub for all file waits: a shared inotify instance, looks in threads, a slow sweep.

Watching begins before looking, so nothing falls between. Places are looked at in batches, one
thread call for many. A place whose look does not come back is set apart and the others go on.
Sweeps see what inotify cannot: network file systems, lost events, no instance left.
"""

from __future__ import annotations

import asyncio
import os
from collections import deque
from typing import Any, Final

import msgspec

from bide.runtime.clock import MINUTE, SECOND
from bide.triggers.base import LookFailed, PushSource, Registration, SourceWorld
from bide.triggers.file import FileFacts, FileTrigger, Seen, Signature
from bide.triggers.file_look import Stat, content_is, network_mounts
from bide.triggers.file_place import AddWatch, Found, Key, Place, Work, look_at, place_key
from bide.triggers.file_watch import Happened, Watch, open_watch

BATCH: Final = 256
BATCHES_AT_ONCE: Final = 4
SET_APART_AFTER_S: Final = 0.3
LOOK_LIMIT_US: Final = 20 * SECOND
READ_LIMIT_US: Final = 10 * MINUTE
_JUDGED_AT_ONCE: Final = 500
_UNCLAIMED_LIMIT: Final = 10_000


class Batch:
    """Looks of one thread call, as far as they have come. The thread writes, the loop reads."""

    def __init__(self, works: list[Work]) -> None:
        self.works = works
        self.found: list[Found] = []
        self.stop_at = len(works)
        self.returned = False

    def run(self, add_watch: AddWatch | None, look: Stat) -> None:
        try:
            mounts = network_mounts()
            while len(self.found) < self.stop_at:
                self.found.append(look_at(self.works[len(self.found)], mounts, add_watch, look))
        finally:
            self.returned = True


class Unjudged:
    """What looks brought for a wait while its files were being read: how many, and what was closed."""

    def __init__(self) -> None:
        self.looks = 0
        self.closed: dict[str, Signature] = {}

    def note(self, seen: Seen, trigger: FileTrigger) -> None:
        self.looks += 1
        if trigger.settle_us == 0:  # else it does not matter what is closed
            self.closed.update((file.path, file.signature) for file in seen.files if file.closed)


class FileSource(PushSource):
    """The hub. `look` is how a path is looked at, `os.stat` but in tests."""

    def __init__(self, world: SourceWorld, look: Stat = os.stat, watch: bool = True) -> None:
        self._world = world
        self._look = look
        self._places: dict[Key, Place] = {}
        self._watching: dict[int, set[Place]] = {}
        self._queue: deque[Place] = deque()
        self._batches = 0
        self._apart = 0
        self._unclaimed: list[Happened] = []
        self._reading: dict[int, Unjudged] = {}
        self._watch: Watch | None = open_watch() if watch else None
        if self._watch is not None:
            world.spawn(self._follow(self._watch), "inotify")

    # --- waits come and go ------------------------------------------------------------------

    def add(self, registration: Registration) -> None:
        key = place_key(registration.trigger)
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = Place(key)
        place.add(registration)
        self._enqueue(place)

    def remove(self, registration: Registration, reason: str) -> None:
        place = self._places.get(place_key(registration.trigger))
        if place is None:
            return
        place.remove(registration)
        if place.names:
            return
        del self._places[place.key]
        for timer in (place.sweep, place.again_timer):
            if timer is not None:
                timer.cancel()
        self._rewatch(place, {})

    def next_look_us(self, registration: Registration) -> int | None:
        place = self._places.get(place_key(registration.trigger))
        return None if place is None else place.next_look_us()

    async def look_now(self, registration: Registration) -> Any:
        place = Place(place_key(registration.trigger))
        place.add(registration)
        batch = Batch([place.take_work()])
        await self._world.in_thread(batch.run, None, self._look, limit_us=LOOK_LIMIT_US)
        seen = batch.found[0].seen[0][2]
        ripe = self._ripe(registration, seen)
        return await self._read(registration, seen, ripe) if ripe else seen

    async def close(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()
        for place in self._places.values():
            for timer in (place.sweep, place.again_timer):
                if timer is not None:
                    timer.cancel()
        self._places.clear()
        self._queue.clear()

    # --- what inotify tells -------------------------------------------------------------------

    async def _follow(self, watch: Watch) -> None:
        number = 0
        async for happened in watch.events():
            self._happened(happened)
            number += 1
            if number % 100 == 0:
                await asyncio.sleep(0)

    def _happened(self, happened: Happened) -> None:
        if happened.overflow or len(self._unclaimed) > _UNCLAIMED_LIMIT:
            self._unclaimed.clear()
            for place in self._places.values():
                place.all_dirty = True
                self._enqueue(place)
            return
        places = self._watching.get(happened.descriptor)
        if places is None:
            if self._batches or self._apart:
                self._unclaimed.append(happened)  # of a watch whose look has not come back yet
            return
        for place in tuple(places):
            self._tell(place, happened)

    def _tell(self, place: Place, happened: Happened) -> None:
        if happened.gone:
            place.sighted = False
            place.watched.pop(happened.descriptor, None)
            self._leave(place, happened.descriptor)
            place.all_dirty = True
        elif not place.sighted:
            place.all_dirty = place.all_dirty or happened.folder or happened.closed
            if not place.all_dirty:
                return
        else:
            folder = place.watched.get(happened.descriptor, place.base)
            if happened.folder and not place.is_tree:
                return
            if not happened.folder and not happened.closed:
                return
            if not place.touch(folder, happened.name, happened.closed):
                return
        self._enqueue(place)

    def _rewatch(self, place: Place, watched: dict[int, str]) -> None:
        """Let the place hear of these folders, and of no others any more."""
        for descriptor in place.watched.keys() - watched.keys():
            self._leave(place, descriptor)
        place.watched = watched
        for descriptor in watched:
            self._watching.setdefault(descriptor, set()).add(place)

    def _leave(self, place: Place, descriptor: int) -> None:
        places = self._watching.get(descriptor)
        if places is None:
            return
        places.discard(place)
        if not places:
            del self._watching[descriptor]
            if self._watch is not None:
                self._watch.remove(descriptor)

    # --- looking -------------------------------------------------------------------------------

    def _enqueue(self, place: Place) -> None:
        if place.looking or place.queued:
            return
        place.queued = True
        if not self._queue:
            asyncio.get_running_loop().call_soon(self._pump)
        self._queue.append(place)

    def _pump(self) -> None:
        while self._queue and self._batches < BATCHES_AT_ONCE:
            works: list[Work] = []
            while self._queue and len(works) < BATCH:
                place = self._queue.popleft()
                place.queued = False
                if self._places.get(place.key) is not place:
                    continue
                if place.hung is not None and not place.hung.returned:
                    self._hangs(place)
                    continue
                place.hung = None
                place.looking = True
                works.append(place.take_work())
            if works:
                self._batches += 1
                self._world.spawn(self._run(Batch(works)), "look")

    async def _run(self, batch: Batch) -> None:
        """One batch to its end. When one look stands still the rest goes into another batch."""
        add_watch = self._watch.add if self._watch is not None else None
        call = asyncio.ensure_future(
            self._world.in_thread(batch.run, add_watch, self._look, limit_us=LOOK_LIMIT_US)
        )
        apart, told = False, 0
        try:
            while not call.done():
                before = len(batch.found)
                await asyncio.wait((call,), timeout=SET_APART_AFTER_S)
                if not call.done() and not apart and len(batch.found) == before:
                    apart = True
                    batch.stop_at = before + 1
                    self._batches -= 1
                    self._apart += 1
                    self._give_back(batch.works[before + 1 :])
                    if self._apart > BATCHES_AT_ONCE:
                        call.cancel()
                told = await self._deliver(batch, told)
        finally:
            call.cancel()
            if apart:
                self._apart -= 1
            else:
                self._batches -= 1
        told = await self._deliver(batch, told)
        for work in batch.works[told : batch.stop_at]:
            self._did_not_return(work, batch)
        if self._batches == 0 and self._apart == 0:
            self._unclaimed.clear()
        self._pump()
        error = None if call.cancelled() else call.exception()
        if error is not None and not isinstance(error, LookFailed):
            raise error

    def _give_back(self, works: list[Work]) -> None:
        for work in works:
            work.place.give_back(work)
            work.place.looking = False
            self._enqueue(work.place)

    async def _deliver(self, batch: Batch, told: int) -> int:
        """Have judged what has been found since the first `told` looks; how many there are now."""
        while told < min(len(batch.found), batch.stop_at):
            place, found = batch.works[told].place, batch.found[told]
            told += 1
            place.looking = False
            if self._places.get(place.key) is not place:
                # its last wait went while we looked: so do its new watches
                self._rewatch(place, found.watched)
                self._rewatch(place, {})
                continue
            place.sighted = found.sighted
            self._rewatch(place, found.watched)
            await self._judge(place, found)
            self._claim(place)
            self._plan(place)
            if place.has_work():
                self._enqueue(place)
        return told

    def _did_not_return(self, work: Work, batch: Batch) -> None:
        place = work.place
        place.looking = False
        if self._places.get(place.key) is place:
            place.hung = batch
            place.give_back(work)
            self._hangs(place)

    def _claim(self, place: Place) -> None:
        """Hear of what happened in a folder between the beginning of its watch and now."""
        if self._unclaimed:
            for happened in [event for event in self._unclaimed if event.descriptor in place.watched]:
                self._tell(place, happened)

    def _hangs(self, place: Place) -> None:
        for wait in [wait for name in place.names for wait in place.of(name)]:
            self._world.failed(wait, f"{place.base} does not answer: a look at it hangs (a dead mount?)")
        self._plan(place)

    async def _judge(self, place: Place, found: Found) -> None:
        for number, (wait, name, seen) in enumerate(found.seen, 1):
            if number % _JUDGED_AT_ONCE == 0:
                await asyncio.sleep(0)
            if not place.holds(wait, name):
                continue
            if seen.trouble and not seen.files:
                self._world.failed(wait, seen.trouble)
                continue
            if (unjudged := self._reading.get(wait.wait_id)) is not None:
                unjudged.note(seen, wait.trigger)
                continue
            ripe = self._ripe(wait, seen)
            if ripe:
                self._reading[wait.wait_id] = Unjudged()
                self._world.spawn(self._judge_content(place, name, wait, seen, ripe), "read")
                continue
            self._observe(place, name, wait, seen)

    def _observe(self, place: Place, name: str, wait: Registration, seen: Seen) -> None:
        verdict = self._world.observed(wait, seen)
        if verdict is not None and verdict.again_us is not None:
            place.recheck(name, verdict.again_us)

    # --- reading ---------------------------------------------------------------------------------

    def _ripe(self, wait: Registration, seen: Seen) -> list[FileFacts]:
        trigger: FileTrigger = wait.trigger
        return list(trigger.ripe(seen, wait.memo, self._world.now())) if trigger.reads else []

    async def _judge_content(
        self, place: Place, name: str, wait: Registration, seen: Seen, ripe: list[FileFacts]
    ) -> None:
        try:
            seen = await self._read(wait, seen, ripe)
        except (OSError, LookFailed) as error:
            self._world.failed(wait, f"{place.base}: cannot be read ({error})")
            return
        finally:
            self._look_again(place.key, name, self._reading.pop(wait.wait_id))
        if not place.holds(wait, name):
            return
        self._observe(place, name, wait, seen)
        if any(file.good is None and file in ripe for file in seen.files):
            place.recheck(name, self._world.now() + SECOND)  # it changed under our hands
        self._plan(place)

    def _look_again(self, key: Key, name: str, unjudged: Unjudged) -> None:
        """What came while we read is looked at now; the place may be another one by now, or gone."""
        place = self._places.get(key)
        if unjudged.looks and place is not None:
            place.look_again(name, unjudged.closed)
            self._enqueue(place)

    async def _read(self, wait: Registration, seen: Seen, ripe: list[FileFacts]) -> Seen:
        trigger: FileTrigger = wait.trigger
        good: dict[str, bool | None] = {}
        for file in ripe:
            good[file.path] = await self._world.in_thread(
                content_is, file, trigger.sha256, trigger.contains, limit_us=READ_LIMIT_US
            )
        files = [
            msgspec.structs.replace(file, good=good[file.path]) if file.path in good else file
            for file in seen.files
        ]
        return msgspec.structs.replace(seen, files=tuple(files))

    # --- when ------------------------------------------------------------------------------------

    def _plan(self, place: Place) -> None:
        """Set the timers of a place: its next sweep, and files that must be seen again."""
        if self._places.get(place.key) is not place:
            return
        now = self._world.now()
        if place.sweep is None:
            period_us = place.sweep_every_us()
            place.sweep_us = now + period_us
            place.sweep = self._world.timer(place.sweep_us, lambda: self._swept(place))
        if place.again and (place.again_timer is None or place.again[0][0] < place.again_us):
            if place.again_timer is not None:
                place.again_timer.cancel()
            place.again_us = place.again[0][0]
            place.again_timer = self._world.timer(place.again_us, lambda: self._seen_again(place))

    def _swept(self, place: Place) -> None:
        place.sweep = None
        place.all_dirty = True
        self._enqueue(place)

    def _seen_again(self, place: Place) -> None:
        place.again_timer = None
        if place.due_again(self._world.now()):
            self._enqueue(place)
        self._plan(place)
