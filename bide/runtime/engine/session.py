"""A command session: one command decided and committed straight on a database that nobody runs.

It takes the lock, decides, commits, releases. It bumps no epoch, recovers nothing, admits nothing,
arms nothing and judges no timer: all that is the next runtime's.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bide.runtime import errors
from bide.runtime.clock import Clock, SystemClock
from bide.runtime.engine.auditing import Asked
from bide.runtime.engine.decide import NO_FACTS, decide
from bide.runtime.engine.messages import Command, DagLoaded, Input, Reply
from bide.runtime.engine.restore import restore
from bide.runtime.engine.shell import EngineShell
from bide.runtime.engine.turn import FactKey
from bide.runtime.engine.world import World
from bide.runtime.errors import BideError, UnreachableError
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.load import load_world
from bide.runtime.store.lock import Lock
from bide.runtime.values import COMMAND_LIMIT, encode

_NEEDS_A_RUNTIME = frozenset({"wait_look"})
_ENDLESS = 1_000_000_000
_SOMEBODY = Asked("", "terminal")


async def command_session(
    db: str | os.PathLike[str],
    verb: str,
    args: dict[str, Any],
    *,
    loads: tuple[DagLoaded, ...] = (),
    clock: Clock | None = None,
    asked: Asked = _SOMEBODY,
    again: Callable[[Any], dict[str, Any] | None] = lambda _: None,
) -> Any:
    """The answer of one command, durable; raises its `BideError`, and then nothing has changed.

    `loads` are DAGs to take in first; `asked` is its line of the audit log. `again` is told the answer and may
    have the same asked once more with other arguments, while the lock is held: for work in slices, of a second
    at most. `StoreHeldError` when a runtime holds the database.
    """
    if verb in _NEEDS_A_RUNTIME or (verb == "bulk" and args.get("action") == "look"):
        raise UnreachableError(
            f"nobody runs the database {os.fspath(db)}, so nothing can look: start `bide serve`"
        )
    encode(args, f"what {verb!r} was given", COMMAND_LIMIT)
    clock = clock if clock is not None else SystemClock()
    lock = await Lock(db).acquire("command", clock)
    try:
        store = await InlineWriter.open(db)
        try:
            answer = await _decide(store, clock, [*loads, Command(1, verb, args, asked)])
            while (following := again(answer)) is not None:
                answer = await _decide(store, clock, [Command(1, verb, following, asked)])
            return answer
        finally:
            await store.close()
    finally:
        lock.release()


async def _decide(store: InlineWriter, clock: Clock, inputs: list[Input]) -> Any:
    rows = await store.read(load_world)
    world = World(epoch=rows.epoch, slots=1, pools={})
    world.dormant = True
    restore(world, rows)
    world.timers.clear()
    shell = EngineShell(store, clock)
    batch, facts, reply = rows.batch, NO_FACTS, None
    while inputs or world.agenda:
        decision = decide(world, inputs, clock.now(), facts, _ENDLESS)
        world.timers.clear()
        if decision.changes:
            batch += 1
            await store.commit(decision.changes, batch)
        reply = next((each for each in decision.effects if isinstance(each, Reply)), reply)
        inputs = [each for each, _ in decision.unmet]
        keys: list[FactKey] = [key for _, needed in decision.unmet for key in needed]
        facts = await shell.facts([*facts, *keys]) if keys else NO_FACTS
    assert reply is not None
    if reply.error:
        kind: type[BideError] = getattr(errors, reply.error, BideError)
        raise kind(reply.message)
    return reply.result
