"""What mapped tasks are mapped over, found and kept at hand: one decoded list for all instances of a task.

The record is in the database, written when a task becomes its instances; an instance takes its part.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from bide.runtime.engine.messages import Build, Expand, Expanded, ExpandFailed, Start
from bide.runtime.errors import BideError
from bide.runtime.executor.ending import failure_of
from bide.runtime.graph.mapping import measure, part, shared, sources
from bide.runtime.graph.spec import TaskSpec
from bide.runtime.store import mapped

if TYPE_CHECKING:
    from bide.runtime.engine.shell import EngineShell


class Lists(NamedTuple):
    """The mapped arguments that other tasks returned, and the upstreams that each instance needs whole."""

    lists: dict[str, list[Any]]
    shared: tuple[str, ...]

    def part(self, task: TaskSpec, index: int) -> Callable[[Any], Any]:
        """What takes from a whole list what is this instance's."""
        assert task.map is not None
        return partial(part, task.map, index=index)


NO_LISTS: Final = Lists({}, ())


class Manifests:
    """(run, task) -> its lists, for as long as the run goes on."""

    def __init__(self, shell: EngineShell) -> None:
        self._shell = shell
        self._known: dict[int, dict[str, bytes | Lists]] = {}
        self._reading = asyncio.Lock()

    # --- finding what a task is mapped over ------------------------------------------------------

    def expand(self, e: Expand) -> None:
        needed = sources(e.task)
        missing = self._shell.missing(e.run_id, needed)
        if missing:
            self._shell.spawn(self._expand_later(e, missing), f"bide:expand:{e.instance_id}")
        else:
            self._expand_now(e)

    async def _expand_later(self, e: Expand, missing: list[str]) -> None:
        try:
            await self._shell.fetch_outputs(e.run_id, missing)
        except BideError as error:
            self._shell.post(ExpandFailed(e.instance_id, failure_of(error, final=True), e.ticket))
            return
        self._expand_now(e)

    def _expand_now(self, e: Expand) -> None:
        try:
            measured = measure(e.task, self._shell.values(e.run_id, sources(e.task)))
        except BideError as error:
            self._shell.post(ExpandFailed(e.instance_id, failure_of(error, final=True), e.ticket))
            return
        self._shell.post(Expanded(e.instance_id, measured.items, measured.manifest, e.ticket))

    # --- the parts of the instances --------------------------------------------------------------

    def keep(self, run_id: int, task: str, manifest: bytes) -> None:
        self._known.setdefault(run_id, {})[task] = manifest

    def forget(self, run_id: int) -> None:
        self._known.pop(run_id, None)

    def get(self, order: Start | Build) -> Lists | None:
        """The lists of the task of an instance; None when they are not at hand."""
        known = self._known.get(order.run_id, {})
        found = known.get(order.task.name)
        if isinstance(found, bytes):
            found = known[order.task.name] = Lists(msgspec.json.decode(found), shared(order.task))
        return found

    async def load(self, order: Start | Build) -> Lists:
        """The same, from the database if need be: read once, however many instances ask."""
        async with self._reading:
            if self.get(order) is None:
                run_id, task = order.run_id, order.task.name
                manifest = await self._shell.store.read(lambda conn: mapped.manifest(conn, run_id, task))
                self.keep(run_id, task, manifest)
            lists = self.get(order)
        assert lists is not None
        return lists
