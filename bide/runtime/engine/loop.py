"""The loop: drains the mailbox, decides, commits, acts; one batch at a time, in that order.

While one batch is being synced, inputs pile up and form the next: group commit. `decide` N+1 never
starts before commit N. A commit that fails for want of room is retried with back-off; one that is
refused has its world restored and its inputs decided one by one, without the culprit; one whose
outcome is unknown ends the engine. A question to the database that cannot be answered costs the
input that asked it, and no other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from bide.runtime.clock import SECOND, Clock
from bide.runtime.engine import auditing
from bide.runtime.engine.aftermath import aftermath
from bide.runtime.engine.changes import Changes
from bide.runtime.engine.decide import NO_FACTS, Decision, slices
from bide.runtime.engine.lag import Lag
from bide.runtime.engine.messages import (
    AttemptEnded,
    ClockStepped,
    CodeMissing,
    Command,
    Effect,
    Found,
    Input,
    Recover,
    Reply,
    RunAsked,
    Unanswered,
    WaitFailed,
)
from bide.runtime.engine.restore import adopt
from bide.runtime.engine.turn import FactKey
from bide.runtime.engine.unread import is_put_off
from bide.runtime.engine.world import World
from bide.runtime.errors import BideError, NotNowError, StoreFullError, StoreLostError
from bide.runtime.failpoints import point
from bide.runtime.store.writer import StorePort
from bide.runtime.values import storable

log = logging.getLogger("bide.engine")

DRAIN = 256
"""Inputs a batch: with what follows from them about 10 ms of deciding."""
ACTS = 500
"""Effects that are carried out in one go."""
STEP_US = SECOND // 2
"""A wall clock that moved by more than this against elapsed time was stepped."""
STOP_S = 10.0
RETRY_FIRST_S, RETRY_MOST_S = 0.05, 5.0


class Shell(Protocol):
    """What acts. `act` is called after the commit of the batch that holds the effects, and never raises."""

    def act(self, effects: Sequence[Effect], *, committed: Changes) -> None: ...

    def clock_stepped(self, e: ClockStepped) -> None: ...

    async def facts(self, keys: Sequence[FactKey]) -> Mapping[FactKey, Any]: ...

    async def restored(self) -> tuple[World, Sequence[Input]]: ...


class Engine:
    """The mailbox and the loop over it. `post` from the loop's thread only."""

    def __init__(self, store: StorePort, clock: Clock, world: World, shell: Shell, *, batch: int) -> None:
        self.store = store
        self.clock = clock
        self.world = world
        self.shell = shell
        self.batch = batch
        self.failure: BaseException | None = None
        self.full: str = ""
        """Why nothing can be committed at the moment; commands are refused meanwhile."""
        self.lag = Lag()
        """How late the loop was in the last seconds, as the watch of the clocks finds it."""
        self.turns = 0
        """Turns and slices of turns so far: an engine with work before it that counts no further hangs."""
        self.on_stop: Callable[[BaseException], None] = lambda _: None
        self._inbox: list[Input] = []
        self._facts: Mapping[FactKey, Any] = NO_FACTS
        self._more = False
        self._busy = False
        self._wake: asyncio.Future[None] | None = None
        self._alarm: asyncio.Task[None] | None = None
        self._alarm_at: int | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._idle: list[asyncio.Future[None]] = []
        self._drift = 0
        self._watches = False

    # --- the mailbox ---------------------------------------------------------------------------

    def post(self, each: Input) -> None:
        """Put an input into the mailbox. Never blocks; order is kept."""
        self._inbox.append(each)
        self._nudge()

    def _nudge(self) -> None:
        wake = self._wake
        if wake is not None and not wake.done():
            wake.set_result(None)

    @property
    def waiting(self) -> int:
        """Inputs in the mailbox."""
        return len(self._inbox)

    @property
    def quiet(self) -> bool:
        """Nothing to decide, nothing being committed."""
        return not (self._busy or self._inbox or self._more)

    async def settled(self) -> None:
        """Return once the mailbox is empty and everything in it is committed and carried out."""
        while not self.quiet and self.failure is None:
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._idle.append(waiter)
            await waiter

    async def ended(self) -> None:
        """Return when the loop has ended, of itself or by `stop`."""
        if self._tasks:
            await asyncio.wait([self._tasks[0]])

    # --- life ----------------------------------------------------------------------------------

    def start(self, *, watch_clock: bool = True) -> None:
        """Begin. `watch_clock=False` for a clock whose steps are told by whoever moves it."""
        self._drift = self.clock.now() - self.clock.elapsed()
        self._watches = watch_clock
        self._tasks = [asyncio.create_task(self._run(), name="bide:engine")]
        if watch_clock:
            self._tasks.append(asyncio.create_task(self._watch_clock(), name="bide:clock"))

    async def stop(self) -> None:
        """Commit what is in the mailbox, then end; what cannot be committed in time is left."""
        if self._tasks and self.failure is None:
            settling = asyncio.ensure_future(self.settled())
            await asyncio.wait([settling], timeout=STOP_S)
            settling.cancel()
        for task in [*self._tasks, *([self._alarm] if self._alarm else [])]:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()

    async def _run(self) -> None:
        try:
            while True:
                await self._next()
                self._busy = True
                await self._turn()
                self._busy = False
                self.turns += 1
                if self._idle and self.quiet:
                    self._tell_idle()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.critical("the engine stopped: %s", error, exc_info=not isinstance(error, BideError))
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        self.failure = error
        self._tasks[0].cancel()
        self._tell_idle()
        self.on_stop(error)

    def _tell_idle(self) -> None:
        waiting, self._idle = self._idle, []
        for waiter in waiting:
            if not waiter.done():
                waiter.set_result(None)

    async def _next(self) -> None:
        """Wait until there is something to decide: an input, work left over, or a timer."""
        if self._inbox or self._more:
            await asyncio.sleep(0)  # bodies and sources have their turn between batches
            return
        due = self.world.next_timer
        if due is not None and due <= self.clock.now():
            await asyncio.sleep(0)
            return
        self._wake = asyncio.get_running_loop().create_future()
        self._set_alarm(due)
        await self._wake
        self._wake = None

    def _set_alarm(self, due: int | None) -> None:
        """Have the loop woken at `due`; an alarm that rings too early costs one empty turn."""
        if due is None or (self._alarm_at is not None and self._alarm_at <= due):
            return
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = due
        self._alarm = asyncio.create_task(self._ring(due), name="bide:alarm")

    async def _ring(self, due: int) -> None:
        await self.clock.sleep_until(due)
        self._alarm_at = None
        self._nudge()

    async def _watch_clock(self) -> None:
        """Compare wall and elapsed time once a second; a step is an input like any other."""
        loop = asyncio.get_running_loop()
        while True:
            self.lag.due(loop.time() + 1)
            await asyncio.sleep(1)
            self.lag.came(loop.time())
            self._compare_clocks()
            if not self.store.same_file():
                self._fail(
                    StoreLostError("the database file was replaced or removed while it was open: stopped")
                )
                return

    def _compare_clocks(self) -> None:
        """A step of the wall clock is decided before anything else is: deadlines move with it."""
        drift = self.clock.now() - self.clock.elapsed()
        step, self._drift = drift - self._drift, drift
        if abs(step) > STEP_US:
            self._alarm_at = None
            others, self._inbox = self._inbox, []
            self.shell.clock_stepped(ClockStepped(step))
            self._inbox += others

    # --- one turn ------------------------------------------------------------------------------

    async def _turn(self) -> None:
        if self._watches:
            self._compare_clocks()
        inbox = self._inbox
        if len(inbox) > DRAIN:
            inputs, self._inbox = inbox[:DRAIN], inbox[DRAIN:]
        else:
            inputs, self._inbox = inbox, []
        facts, self._facts = self._facts, NO_FACTS
        try:
            decision = await self._decided(inputs, facts)
            point("decided")
            self._more = decision.more
            if decision.changes:
                point("before-commit")
                await self._write(decision.changes)
        except (StoreLostError, asyncio.CancelledError):
            raise
        except Exception as error:  # noqa: BLE001 - rows nobody can store, or a bug in `decide`
            return await self._without_culprit(inputs, error)
        # What is committed is never decided again: from here on an error ends the engine.
        point("after-commit")
        await self._carry_out(decision)
        point("after-act")
        if decision.questions or decision.unmet:
            await self._ask(decision, facts)
        return None

    async def _decided(self, inputs: Sequence[Input], facts: Mapping[FactKey, Any]) -> Decision:
        """Decide one turn. Bodies and sources have their turn between the slices of a long one."""
        turn = slices(self.world, inputs, self.clock.now(), facts)
        while (decision := next(turn)) is None:
            point("between-slices")
            self.turns += 1
            await asyncio.sleep(0)
        return decision

    async def _carry_out(self, decision: Decision) -> None:
        """Act on what is committed; of very many effects some at a time, in their order."""
        effects, changes = decision.effects, decision.changes
        while len(effects) > ACTS:
            self.shell.act(effects[:ACTS], committed=changes)
            await asyncio.sleep(0)
            effects, changes = effects[ACTS:], Changes()
        self.shell.act(effects, committed=changes)

    async def _write(self, changes: Changes) -> None:
        """Commit a batch; while there is no room, the same batch again and again."""
        delay = RETRY_FIRST_S
        while True:
            try:
                await self.store.commit(changes, self.batch + 1)
                break
            except StoreFullError as error:
                if not self.full:
                    log.error(  # noqa: TRY400 - what it says is all there is to know
                        "nothing can be committed, and nothing acts meanwhile: %s", error
                    )
                self.full = str(error)
                self._refuse_commands()
                await asyncio.sleep(delay)
                delay = min(delay * 2, RETRY_MOST_S)
        if self.full:
            log.warning("commits go on: there is room again")
            self.full = ""
        self.batch += 1

    def _refuse_commands(self) -> None:
        """New commands are refused clearly while nothing can be committed."""
        kept: list[Input] = []
        replies: list[Effect] = []
        for each in self._inbox:
            if isinstance(each, Command):
                replies.append(Reply(each.token, None, NotNowError.__name__, f"not done: {self.full}"))
            else:
                kept.append(each)
        self._inbox = kept
        if replies:
            self.shell.act(replies, committed=Changes())

    async def _ask(self, decision: Decision, known: Mapping[FactKey, Any]) -> None:
        """Load the facts that inputs need and offer them again, in front of all others."""
        try:
            again, self._facts = await self._answered(decision, known)
        except (StoreLostError, asyncio.CancelledError):
            raise
        except Exception as error:
            trace = None if isinstance(error, StoreFullError) else error
            log.error(  # noqa: TRY400 - what it says is all there is to know of what passes
                "a question to the database failed: it is asked again input by input: %s",
                error,
                exc_info=trace,
            )
            again, self._facts = await self._answered_alone(decision, known)
        self._inbox = [*again, *self._inbox]

    async def _answered_alone(
        self, decision: Decision, known: Mapping[FactKey, Any]
    ) -> tuple[list[Input], Mapping[FactKey, Any]]:
        """As `_answered`, one question after the other: whose question fails is rejected alone."""
        again: list[Input] = []
        facts: dict[FactKey, Any] = {}
        for watched in decision.questions:
            try:
                seen, _ = await self._answered(
                    msgspec.structs.replace(decision, questions=[watched], unmet=[]), {}
                )
                again += seen
            except (StoreLostError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 - the waits that asked it fail, or wait for the answer
                asked = RunAsked(*watched)
                if is_put_off(asked, passes=isinstance(error, StoreFullError)):
                    again.append(Unanswered(asked, _said(error), again=True))
                    continue
                reason = f"rejected as a bug of bide: {_said(error)}"
                again += [WaitFailed(wait_id, reason) for wait_id in self.world.watched.get(watched, ())]
        for each, needed in decision.unmet:
            try:
                facts |= await self.shell.facts([*known, *needed])
                again.append(each)
            except (StoreLostError, asyncio.CancelledError):
                raise
            except Exception as error:  # noqa: BLE001 - recorded in the journal, and answered or put off
                if is_put_off(each, passes=isinstance(error, StoreFullError)):
                    again.append(Unanswered(each, _said(error), again=True))  # type: ignore[arg-type]
                    continue
                instead, told = aftermath(each, _said(error))
                if instead is not None:
                    again.append(instead)
                await self._reject(each, _said(error), told)
        return again, facts

    async def _answered(
        self, decision: Decision, known: Mapping[FactKey, Any]
    ) -> tuple[list[Input], Mapping[FactKey, Any]]:
        """What is to be decided next, and the facts for it.

        What was known before is asked again with the rest: a fact is as old as one batch.
        """
        if not decision.questions and not decision.unmet:
            return [], NO_FACTS
        keys: list[FactKey] = [("run_at", *key) for key in decision.questions]
        if decision.unmet:
            keys.extend(known)
        for _, needed in decision.unmet:
            keys.extend(needed)
        facts = await self.shell.facts(keys)
        point("facts-read")
        found: list[Input] = [Found(*key, facts["run_at", *key]) for key in decision.questions]
        return [*found, *(each for each, _ in decision.unmet)], facts

    async def _without_culprit(self, inputs: Sequence[Input], error: BaseException) -> None:
        """Restore the world and decide the inputs of a batch that was refused one by one."""
        log.error("a batch of %d inputs was refused: %s", len(inputs), error, exc_info=error)
        left: list[Input] = [
            each for each in inputs if not isinstance(each, Recover)
        ]  # the restored world is settled
        await self._restore(left)
        await self._decide_alone([])  # what is due by itself: no input is to blame if this cannot be
        instead: Input | None = None
        while left:
            each = left.pop(0)
            try:
                await self._decide_alone([each])
            except (StoreLostError, asyncio.CancelledError):
                raise
            except Exception as culprit:  # noqa: BLE001 - recorded in the journal, and answered
                why = _said(culprit)
                stands_in = each is instead
                instead, told = aftermath(each, why)
                if instead is not None and not stands_in:
                    left.insert(0, instead)
                await self._restore(left)
                await self._reject(each, why, told)

    async def _decide_alone(self, inputs: Sequence[Input]) -> None:
        """Decide, commit and carry out, with all the facts that are asked for on the way."""
        facts: Mapping[FactKey, Any] = NO_FACTS
        while True:
            decision = await self._decided(inputs, facts)
            if decision.changes:
                await self._write(decision.changes)
            self.shell.act(decision.effects, committed=decision.changes)
            self._more = self._more or decision.more
            inputs, facts = await self._answered(decision, facts)
            if not inputs:
                return

    async def _restore(self, left: Sequence[Input]) -> None:
        """The world as the database has it. An attempt whose end is still to be decided is not lost."""
        former = self.world
        self.world, settling = await self.shell.restored()
        ended = {each.attempt_id for each in (*left, *self._inbox) if isinstance(each, AttemptEnded)}
        missing = {each.instance_id for each in (*left, *self._inbox) if isinstance(each, CodeMissing)}
        for inst in self.world.instances.values():
            if inst.instance_id in missing and inst.attempt_id is not None:
                ended.add(inst.attempt_id)
        adopt(self.world, former, frozenset(ended), frozenset(), self.clock.now())
        for each in settling:
            if isinstance(each, Recover):
                await self._decide_alone([Recover(tuple(one for one in each.running if one not in ended))])
            else:
                await self._decide_alone([each])

    async def _reject(self, culprit: Input, why: str, told: Effect | None) -> None:
        changes = Changes()
        seq = self.world.take_id("event")
        reason = f"{type(culprit).__name__} rejected: {why}"
        changes.events.append(
            (seq, self.clock.now(), self.world.epoch, "input", 0, None, "", "rejected", reason)
        )
        if isinstance(culprit, Command) and culprit.asked is not None:
            changes.audit.append(auditing.row(culprit, culprit.asked, self.clock.now(), "refused", reason))
        await self._write(changes)
        if told is not None:
            self.shell.act([told], committed=changes)


def _said(error: Exception) -> str:
    """The error as the journal and whoever asked are told it."""
    return storable(f"{type(error).__name__}: {error}")
