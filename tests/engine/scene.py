"""`Scene`: `decide` without a loop. The test is the world: it ends bodies, fires waits, moves time.

Every turn is written into a database, and after every turn the invariants of `holding.py` hold. A
scene can be killed and opened again at any time; before that, the world that is restored is
compared with the one that is lost.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from bide.runtime import errors
from bide.runtime.assets import AssetSpec, ContractSpec, GateSpec
from bide.runtime.assets.declarations import Declared
from bide.runtime.clock import SECOND
from bide.runtime.engine.budgets import BudgetLimits, made
from bide.runtime.engine.control import EARLY
from bide.runtime.engine.decide import NO_FACTS, slices
from bide.runtime.engine.messages import (
    Answer,
    Arm,
    AssetsDeclared,
    AttemptEnded,
    Build,
    ClockStepped,
    Command,
    DagLoaded,
    Disarm,
    Effect,
    Expand,
    Expanded,
    ExpandFailed,
    Failure,
    Found,
    Input,
    LookOnce,
    OrphansKilled,
    Recover,
    Reply,
    RunEnded,
    Start,
    Stop,
    TriggerBuilt,
    WaitAsked,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.restore import restore
from bide.runtime.engine.states import OVER, AttemptState
from bide.runtime.engine.turn import FactKey
from bide.runtime.engine.world import World
from bide.runtime.errors import BideError
from bide.runtime.graph import mapping
from bide.runtime.graph.spec import Role, TaskSpec
from bide.runtime.schedules import Schedule
from bide.runtime.store import facts as stored
from bide.runtime.store import invariants
from bide.runtime.store.answers import answer_to
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.load import load_world
from tests.engine import holding
from tests.engine.declare import HOUR_US, loaded, seconds

T0 = 1_767_225_600 * SECOND
"""2026-01-01 00:00 UTC."""
Pools = dict[str, tuple[int | None, int | None]]


class Killed(Exception):  # noqa: N818 - no error: the test asked for it
    """The process died between two slices of a turn."""


class Scene:
    """A world, its database, and the outside that the test plays."""

    def __init__(
        self, db: Path, *, slots: int = 4, pools: Pools | None = None, budget: int = 300, now: int = T0,
        budgets: dict[str, BudgetLimits] | None = None,
        asset_caps: dict[str, int] | None = None,
        window: int = 1000,
    ) -> None:  # fmt: skip
        self.db = db
        self.now = now
        self.budget = budget
        self._size = slots, pools or {}
        self._budgets = budgets or {}
        self.asset_caps = asset_caps or {}
        self.window = window
        self.store = InlineWriter.open_here(db, synchronous="NORMAL", create=True)
        self.dags: dict[str, DagLoaded] = {}
        self.declared: AssetsDeclared | None = None
        """What its files say of assets."""
        self.world: World
        self.batch = 0
        self.token = 0
        self.turns = 0
        self.slices = self.most_slices = 0
        """Of the last turn; of the turn that had most."""
        self.dies_after: int | None = None
        """The slice of a turn after which it is killed."""
        self.checking = True
        self.effects: list[Effect] = []
        """What the last call brought about."""
        self.bodies: dict[int, Start] = {}
        """Attempts whose body goes, by id."""
        self.stops: dict[int, Stop] = {}
        self.armed: dict[int, Arm] = {}
        self.looks: dict[int, LookOnce] = {}
        self.builds: dict[int, Build] = {}
        self.building = True
        """Whether triggers are built at once."""
        self.expands: dict[int, Expand] = {}
        self.expanding = True
        """Whether what a task is mapped over is found at once."""
        self.answers: list[Answer] = []
        self.journal = holding.Journal()
        self.promised = holding.Promised()
        self.asking = False
        """Whether an input waits for facts."""
        self._late_runs: set[int] = set()
        self._late_assets: set[tuple[int, int, int, int]] = set()
        self._begin()

    def _begin(self) -> None:
        epoch = _run(self.store.begin_epoch())
        slots, pools = self._size
        self.world = World(epoch=epoch, slots=slots, pools=pools)
        self.world.budgets = made(self._budgets)
        self.world.asset_caps = dict(self.asset_caps)
        self.world.window = self.window

    # --- turns ----------------------------------------------------------------------------------

    def feed(self, *inputs: Input) -> list[Effect]:
        """Decide these inputs and what follows, to its end. The effects, in order."""
        self.effects = []
        self._turns(list(inputs))
        return self.effects

    def turn(self, *inputs: Input) -> bool:
        """One turn; whether there is more to do. What follows is left for the next call."""
        self.effects = []
        left, more = self._turn(list(inputs), NO_FACTS)
        self._follow = left
        return more or bool(left)

    def _turns(self, inputs: list[Input]) -> None:
        facts: Mapping[FactKey, Any] = NO_FACTS
        for _ in range(10_000):
            again, more = self._turn(inputs, facts)
            inputs, facts = again
            if not inputs and not more:
                return
        raise AssertionError("the turns do not come to an end")

    def _turn(self, inputs: list[Input], facts: Any) -> tuple[Any, bool]:
        turn = slices(self.world, inputs, self.now, facts, self.budget)
        self.slices = 1
        while (decision := next(turn)) is None:
            if self.slices == self.dies_after:
                raise Killed
            self.slices += 1
        self.turns += 1
        self.most_slices = max(self.most_slices, self.slices)
        self.journal.take(decision.changes)
        self.promised.take(self, decision.changes)
        if decision.changes:
            self.batch += 1
            self.store.commit_here(decision.changes, self.batch)
        follow = [each for effect in decision.effects for each in self._act(effect)]
        self.effects += decision.effects
        self.asking = bool(decision.unmet)
        if self.checking:
            holding.hold(self)
        keys: list[FactKey] = [("run_at", *key) for key in decision.questions]
        keys += [*facts] if decision.unmet else []
        keys += [key for _, needed in decision.unmet for key in needed]
        found = {key: answer_to(self.store._raw, key) for key in keys}
        asked = [Found(*key, found["run_at", *key]) for key in decision.questions]
        again = [each for each, _ in decision.unmet]
        return ([*asked, *again, *follow], found), decision.more

    def _act(self, effect: Effect) -> list[Input]:
        match effect:
            case Start():
                assert effect.attempt_id not in self.bodies, "a body was started twice"
                beside = [s for s in self.bodies.values() if s.instance_id == effect.instance_id]
                assert not beside, f"two bodies of {effect.task.name}"
                self._in_order(effect)
                self.bodies[effect.attempt_id] = effect
            case Stop():
                self.stops[effect.attempt_id] = effect
            case Build() if self.building:
                return [self.build_of(effect)]
            case Build():
                self.builds[effect.instance_id] = effect
            case Expand() if self.expanding:
                return [self.expansion_of(effect)]
            case Expand():
                self.expands[effect.instance_id] = effect
            case Arm():
                assert effect.wait_id not in self.armed, "a wait was armed twice"
                self.armed[effect.wait_id] = effect
            case Disarm():
                assert effect.wait_id in self.armed, "a wait was disarmed that is not armed"
                del self.armed[effect.wait_id]
            case LookOnce():
                self.looks[effect.wait_id] = effect
            case Answer():
                self.answers.append(effect)
            case _:
                pass
        return []

    def _in_order(self, effect: Start) -> None:
        """A body starts when its upstreams are over, unless its rule does not wait for them."""
        inst = self.world.instances.get(effect.instance_id)
        if inst is None or inst.task.rule in EARLY or inst.task.role is not Role.TASK:
            return
        ups = [inst.run.instances[up] for up in inst.run.compiled.upstream[inst.ix]]
        open_ = [up.task.name for up in ups if up.state not in OVER]
        assert not open_, f"{said(effect)} was started before {open_} ended"

    def build_of(self, effect: Build) -> TriggerBuilt:
        spec = effect.task.sensor
        assert spec is not None
        trigger: Any = {"kind": "fake", "of": effect.task.name}
        if spec.trigger in ("external_task", "asset"):
            trigger = {"kind": spec.trigger, **spec.params["external"]}
        not_before = spec.params.get("not_before_us")
        return TriggerBuilt(effect.instance_id, msgspec.json.encode(trigger), spec.trigger, not_before)

    def expansion_of(self, effect: Expand) -> Input:
        """What the shell says to a mapped task that wants its list."""
        conn = self.store._raw
        found = stored.outputs_of(conn, effect.run_id, mapping.sources(effect.task))
        outputs = {task: msgspec.json.decode(value) for task, value in found.items()}
        try:
            measured = mapping.measure(effect.task, outputs)
        except BideError as error:
            return ExpandFailed(effect.instance_id, Failure(str(error), final=True), effect.ticket)
        return Expanded(effect.instance_id, measured.items, measured.manifest, effect.ticket)

    # --- time -----------------------------------------------------------------------------------

    def advance(self, by: float) -> list[Effect]:
        """Move time by so many seconds, timer by timer."""
        effects: list[Effect] = []
        until = self.now + seconds(by)
        while (due := self.world.next_timer) is not None and due <= until:
            self.now = max(self.now, due)
            effects += self.feed()
        self.now = until
        effects += self.feed()
        self.effects = effects
        return effects

    def sleep(self, by: float) -> None:
        """Time goes by and nobody looks: a suspended machine, a stalled loop."""
        self.now += seconds(by)

    def step_clock(self, by: float) -> None:
        """The wall clock is stepped, and the engine is told."""
        self.now += seconds(by)
        self.feed(ClockStepped(seconds(by)))

    # --- what people do -------------------------------------------------------------------------

    def dag(self, name: str, *tasks: TaskSpec, schedule: Schedule | None = None, **options: Any) -> None:
        """Load a DAG, or load it anew."""
        self.dags[name] = loaded(name, *tasks, schedule=schedule, **options)
        self.feed(self.dags[name])

    def declare(
        self,
        *said: AssetSpec | ContractSpec | GateSpec,
        source: str = "/dags/cases.py",
    ) -> list[Effect]:
        """Have a file say this of assets, and nothing else any more."""
        self.declared = AssetsDeclared(
            Declared(
                assets=tuple(each for each in said if isinstance(each, AssetSpec)),
                contracts=tuple((each, source) for each in said if isinstance(each, ContractSpec)),
                gates=tuple((each, source) for each in said if isinstance(each, GateSpec)),
                sources=(source,),
            )
        )
        return self.feed(self.declared)

    def command(self, verb: str, /, **args: Any) -> Any:
        """The answer of a command; its error is raised."""
        self.token += 1
        self.feed(Command(self.token, verb, args))
        return self.reply(self.token)

    def reply(self, token: int) -> Any:
        [reply] = [each for each in self.effects if isinstance(each, Reply) and each.token == token]
        if reply.error:
            kind: type[BideError] = getattr(errors, reply.error)
            raise kind(reply.message)
        return reply.result

    def trigger(self, dag: str, **args: Any) -> int:
        run_id: int = self.command("trigger", dag=dag, **args)["run_id"]
        return run_id

    def backfill(self, dag: str, n: int, *, first: int = 0, **options: Any) -> int:
        """Start a backfill of `n` hours from `first` on, counted from T0; its id."""
        hours = [T0 + (first + place) * HOUR_US for place in range(n)]
        spans = [[at + HOUR_US, at, at + HOUR_US] for at in hours]
        return self.command("backfill_start", dag=dag, options=options, intervals=spans)["backfill_id"]  # type: ignore[no-any-return]

    def intervals(self, backfill: int = 1) -> list[str]:
        """The states of a backfill's intervals, in order, as the database has them."""
        sql = "SELECT state FROM backfill_interval WHERE backfill_id = ? ORDER BY place"
        return [state for (state,) in self._rows(sql, backfill)]

    def backfill_state(self, backfill: int = 1) -> str:
        [(state,)] = self._rows("SELECT state FROM backfill WHERE backfill_id = ?", backfill)
        return str(state)

    # --- what the outside does ------------------------------------------------------------------

    def attempt(self, task: str, run: int | None = None) -> int:
        """The id of the attempt of `task` whose body goes (of the newest run, or of `run`)."""
        found = [s for s in self.bodies.values() if said(s) == task and run in (None, s.run_id)]
        assert found, f"no body of {task} goes; these do: {self.going}"
        return max(found, key=lambda start: (start.run_id, start.attempt_id)).attempt_id

    @property
    def going(self) -> list[str]:
        """The tasks whose bodies go, in the order of their starts."""
        return [said(start) for start in self.bodies.values()]

    def ended(self, attempt_id: int, state: str = "success", **fields: Any) -> AttemptEnded:
        """The input that ends a body, which is gone."""
        self.bodies.pop(attempt_id)
        self.stops.pop(attempt_id, None)
        return AttemptEnded(attempt_id, AttemptState(state), **fields)

    def end(self, *tasks: str, run: int | None = None, output: Any = None, **fields: Any) -> list[Effect]:
        """The bodies of these tasks succeed, one after the other."""
        for task in tasks:
            data = None if output is None else msgspec.json.encode(output)
            self.feed(self.ended(self.attempt(task, run), output=data, **fields))
        return self.effects

    def fails(
        self,
        task: str,
        message: str = "broken",
        *,
        run: int | None = None,
        state: str = "failed",
        **fields: Any,
    ) -> list[Effect]:
        """The body of a task fails; `fields` are those of `Failure`."""
        return self.feed(self.ended(self.attempt(task, run), state, failure=Failure(message, **fields)))

    def stopped(self, task: str, run: int | None = None) -> list[Effect]:
        """A body that was told to stop has stopped, as it was told."""
        attempt = self.attempt(task, run)
        stop = self.stops[attempt]
        return self.feed(self.ended(attempt, stop.state.value, failure=Failure(stop.reason)))

    def wait_of(self, task: str, run: int | None = None, key: str | None = None) -> int:
        """The id of the open wait of a task."""
        found = [
            wait.wait_id
            for wait in self.world.waits.values()
            if wait.inst.task.name == task and run in (None, wait.inst.run.run_id) and key in (None, wait.key)
        ]
        assert found, f"{task} waits for nothing"
        return max(found)

    def fire(
        self, task: str, event: Any = True, run: int | None = None, key: str | None = None
    ) -> list[Effect]:
        """What a task waits for comes true."""
        return self.feed(WaitFired(self.wait_of(task, run, key), msgspec.json.encode(event)))

    def breaks(self, task: str, reason: str = "gone", run: int | None = None) -> list[Effect]:
        """What a task waits for can never come true."""
        return self.feed(WaitFailed(self.wait_of(task, run), reason))

    def looked(self, task: str, reason: str = "not yet", again: float | None = None) -> list[Effect]:
        """The single look that was ordered says: not yet."""
        wait = self.wait_of(task)
        assert self.looks.pop(wait, None) is not None, f"no look at {task} was ordered"
        return self.feed(WaitLooked(wait, reason, None if again is None else self.now + seconds(again)))

    def asks(
        self, task: str, key: str, *, timeout: float = 3600, run: int | None = None, trigger: Any = None,
        not_before: int | None = None,
    ) -> list[Effect]:  # fmt: skip
        """The body of a task asks for a wait."""
        data = msgspec.json.encode(trigger if trigger is not None else {"kind": "fake", "of": key})
        kind = "fake" if trigger is None else "external_task"
        attempt = self.attempt(task, run)
        return self.feed(WaitAsked(attempt, key, data, kind, seconds(timeout), seconds(30), not_before))

    # --- what there is --------------------------------------------------------------------------

    def states(self, run: int | None = None) -> dict[str, str]:
        """task -> state, of the newest run or of `run`, as the database has them."""
        return dict(
            self._rows(
                "SELECT iif(map_index < 0, task, task || '[' || map_index || ']'), state FROM task_instance"
                " WHERE run_id = coalesce(?, (SELECT max(run_id) FROM run)) ORDER BY instance_id",
                run,
            )
        )

    def state(self, task: str, run: int | None = None) -> str:
        return self.states(run)[task]

    def states_of_all(self) -> list[tuple[int, str]]:
        """(instance id, state) of every instance there ever was."""
        return self._rows("SELECT instance_id, state FROM task_instance ORDER BY 1")

    def run_state(self, run: int | None = None) -> str:
        [(state,)] = self._rows(
            "SELECT state FROM run WHERE run_id = coalesce(?, (SELECT max(run_id) FROM run))", run
        )
        return str(state)

    def instance(self, task: str, run: int | None = None) -> dict[str, Any]:
        """The row of an instance."""
        columns = "state, attempt, failures, lost, attempt_id, since_us, due_us, deadline_us, reason"
        [row] = self._rows(
            f"SELECT {columns} FROM task_instance"
            " WHERE iif(map_index < 0, task, task || '[' || map_index || ']') = ?2 AND run_id = coalesce(?1, (SELECT max(run_id) FROM run))",
            run,
            task,
        )
        return dict(zip(columns.split(", "), row, strict=True))

    def attempts(self, task: str, run: int | None = None) -> list[str]:
        """The states of the attempts of a task, oldest first."""
        return [
            state
            for (state,) in self._rows(
                "SELECT a.state FROM attempt a JOIN task_instance i USING (instance_id)"
                " WHERE iif(map_index < 0, task, task || '[' || map_index || ']') = ?2 AND run_id = coalesce(?1, (SELECT max(run_id) FROM run)) ORDER BY a.attempt_id",
                run,
                task,
            )
        ]

    def reason(self, task: str, run: int | None = None) -> str:
        return str(self.instance(task, run)["reason"])

    def runs(self, dag: str | None = None) -> list[tuple[int, str]]:
        """(run id, state) of every run there ever was."""
        return [
            (run, state)
            for run, state in self._rows(
                "SELECT run_id, r.state FROM run r JOIN dag USING (dag_id) WHERE name = coalesce(?, name) ORDER BY 1",
                dag,
            )
        ]

    def said(self, subject: str) -> list[tuple[str, str]]:
        """(now, reason) of the journal's lines on a kind of subject."""
        return self._rows("SELECT now, reason FROM event WHERE subject = ? ORDER BY seq", subject)

    def _rows(self, sql: str, *values: Any) -> list[Any]:
        return self.store._raw.execute(sql, values).fetchall()

    def run_ended(self) -> list[int]:
        return [each.run_id for each in self.effects if isinstance(each, RunEnded)]

    # --- the process dies -----------------------------------------------------------------------

    def crash(self, down: float = 0) -> list[Effect]:
        """Kill it and open it again `down` seconds later. Bodies and sources die with it."""
        self.compare()
        return self._open_anew(down)

    def _open_anew(self, down: float = 0) -> list[Effect]:
        self.bodies.clear()
        self.stops.clear()
        self.armed.clear()
        self.looks.clear()
        self.builds.clear()
        self.expands.clear()
        self.now += seconds(down)
        self._begin()
        rows = self.store.read_here(load_world)
        restore(self.world, rows)
        running = tuple(row.attempt_id for row in rows.attempts if row.state is AttemptState.RUNNING)
        orphans = OrphansKilled(tuple(row.attempt_id for row in rows.processes))
        said = [self.declared] if self.declared is not None else []
        return self.feed(*said, *self.dags.values(), orphans, Recover(running))

    def crash_after(self, turns: int, *inputs: Input) -> None:
        """Kill it in the middle: so many turns after these inputs, or when there is no more to do."""
        left: Any = (list(inputs), NO_FACTS)
        for _ in range(turns):
            left, more = self._turn(*left)
            if not left[0] and not more:
                break
        self.crash()

    def crash_between_slices(self, after: int, *inputs: Input) -> bool:
        """Kill it after so many slices of a turn, of those that follow from these inputs.

        False when no turn had so many: then all is done.
        """
        self.dies_after = after
        try:
            self.feed(*inputs)
        except Killed:
            self.dies_after = None
            self._open_anew()
            return True
        self.dies_after = None
        return False

    def compare(self) -> None:
        """Assert that the world as the database has it is the one in memory."""
        slots, pools = self._size
        restored = World(epoch=self.world.epoch, slots=slots, pools=pools)
        restored.budgets = made(self._budgets)
        restore(restored, self.store.read_here(load_world))
        holding.same(self.world, restored)

    def close(self) -> None:
        """The end of a test: everything must hold, in memory and in the database."""
        try:
            holding.hold(self)
            self.compare()
            found = invariants.check(self.store._raw)
            assert found == [], found
            self._alerts_are_as_promised()
        finally:
            self.store.close_here()

    def _alerts_are_as_promised(self) -> None:
        """Each promise on the wall was found broken once, exactly where its run was still open (C79)."""
        runs, late = self._alerts()
        late_runs = sorted([*runs, *self._late_runs.difference(runs)])
        assert sorted(self.promised.late) == late_runs, (
            f"late are {sorted(self.promised.late)}, alerts are of {late_runs}"
        )
        assert len(set(late)) == len(late)
        for judged, was_late in self.promised.judged.items():
            assert (judged in self._late_assets.union(late)) == was_late

    def remember_alerts(self) -> None:
        """Before a prune, which takes them away."""
        runs, assets = self._alerts()
        self._late_runs.update(runs)
        self._late_assets.update(assets)

    def _alerts(self) -> tuple[list[int], list[tuple[int, int, int, int]]]:
        """(runs that broke a promise on the wall; late assets: DAG, asset, interval, instant), as the database has them."""
        runs = self._rows(
            "SELECT run_id FROM alert WHERE kind = 'run' AND promise LIKE 'by %' ORDER BY run_id"
        )
        late = [
            (dag_id, asset_id, start, due)
            for key, due in self._rows("SELECT key, due_us FROM alert WHERE kind = 'asset'")
            for asset_id, dag_id, start in [[int(part) for part in key.split(":")[1:4]]]
        ]
        return [run_id for (run_id,) in runs], late


def _run(work: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")


def said(start: Start) -> str:
    """`load`, `load[3]`: whose body it is."""
    return start.task.name if start.map_index < 0 else f"{start.task.name}[{start.map_index}]"


def failed_with(sequence: Sequence[Effect]) -> list[str]:
    return [each.message for each in sequence if isinstance(each, Reply) and each.error]
