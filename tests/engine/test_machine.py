"""Random worlds: whatever happens, in whatever order, the invariants hold and every run can end.

One scene, random DAGs of all rules, lanes and modes; bodies end and waits fire at random, people
cancel, mark and rerun, the clock is stepped, the process dies. Every turn is checked by
`holding.py`, every end of a story by the store's own invariants.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from bide import Asset
from bide.runtime.engine.budgets import BudgetLimits
from bide.runtime.engine.messages import (
    AttemptEnded,
    ClockStepped,
    Command,
    DagRemoved,
    Failure,
    Input,
    Parked,
    WaitDropped,
    WaitFailed,
    WaitFired,
    WaitLooked,
)
from bide.runtime.engine.states import State
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.graph.spec import Role, TaskSpec, TriggerRule
from bide.runtime.schedules import Every, OnAssets
from bide.runtime.schedules.promise import Promise, by
from bide.triggers.asset import AssetTrigger
from bide.triggers.external_task import ExternalTaskTrigger
from tests.engine.declare import approval, job, mapped, seconds, sensor
from tests.engine.machines import SceneMachine, stories
from tests.engine.pruning import STAGES, prune, slices_of_prune
from tests.engine.scene import T0, Scene, said

RULES = [str(each) for each in TriggerRule]


PROMISES = [Promise(after_us=seconds(30)), Promise(after_us=seconds(500)), by("00:20", tz="UTC")]


@st.composite
def tasks(draw: st.DrawFn, others: tuple[str, ...] = ()) -> list[TaskSpec]:
    made: list[TaskSpec] = []
    for n in range(draw(st.integers(1, 6))):
        names = [task.name for task in made]
        ups = draw(st.lists(st.sampled_from(names), unique=True, max_size=3)) if names else []
        common: dict[str, Any] = {
            "rule": draw(st.sampled_from(RULES)) if ups else "all_success",
            "pool": draw(st.sampled_from([None, None, "db", "api"])),
            "priority": draw(st.integers(0, 2)),
            "retries": draw(st.integers(0, 2)),
            "delay": draw(st.sampled_from([0, 0, 20])),
            "max_active": draw(st.sampled_from([None, None, 1])),
            "slots": draw(st.sampled_from([1, 1, 2])),
            "cost": {"warehouse": 1.0} if draw(st.integers(0, 5)) == 5 else {},
            "depends_on_past": draw(st.sampled_from([False, False, False, True])),
            "outlets": ("made",) if (made_here := draw(st.booleans())) else (),
            "promises": {"made": draw(st.sampled_from(PROMISES))} if made_here else {},
            "alert": draw(
                st.sampled_from([None, None, Promise(after_us=seconds(70)), by("00:10", tz="UTC")])
            ),
        }
        kind = draw(
            st.sampled_from(
                [
                    "job",
                    "job",
                    "mapped",
                    "sensor",
                    "external",
                    "asset",
                    "branch",
                    "teardown",
                    "mapped teardown",
                    "approval",
                ]
            )
        )
        if kind == "branch":
            common["branch"] = True
        elif kind.endswith("teardown") and ups:
            common |= {"rule": "all_done", "teardown": True, "setups": (ups[0],)}
            common["fails_run"] = draw(st.booleans())
        if kind == "approval":
            made.append(
                approval(
                    f"t{n}", *ups, rule=common["rule"], expires=draw(st.sampled_from([50, 5000])),
                    on_reject=draw(st.sampled_from(["fail", "skip"])), outlets=common["outlets"],
                    promises=common["promises"], depends_on_past=common["depends_on_past"], alert=common["alert"],
                )
            )  # fmt: skip
            continue
        if kind.startswith("mapped"):
            over: Any = draw(st.sampled_from([*ups, [0] * draw(st.integers(0, 4))]))
            deadline = draw(st.sampled_from([None, 200])) or 1e6
            made.append(
                mapped(
                    f"t{n}", *ups, over=over, shard=draw(st.sampled_from([None, None, 2])), deadline=deadline,
                    idempotent=draw(st.sampled_from([True, True, False])), max_lost=draw(st.sampled_from([1, 5])),
                    timeout=draw(st.sampled_from([None, 30])) or 1e6, **common,
                )
            )  # fmt: skip
        elif kind in ("job", "branch", "teardown"):
            made.append(
                job(
                    f"t{n}", *ups, idempotent=draw(st.sampled_from([True, True, False])),
                    timeout=draw(st.sampled_from([None, 30])) or 1e6, max_lost=draw(st.sampled_from([1, 5])),
                    deadline=draw(st.sampled_from([None, 200])) or 1e6, **common,
                )
            )  # fmt: skip
        else:
            waits_for: Any = None
            if kind == "asset":
                cover = draw(st.booleans())
                waits_for = AssetTrigger(asset="made", start_us=T0, end_us=T0 + seconds(400), cover=cover)
            if kind == "external" and others:
                waits_for = ExternalTaskTrigger(
                    dag=draw(st.sampled_from(others)),
                    task=draw(st.sampled_from([None, "t0"])),
                    logical_us=T0,
                    until_us=draw(st.sampled_from([None, None, T0 + seconds(400)])),
                )
            made.append(
                sensor(
                    f"t{n}", *ups, mode=draw(st.sampled_from(["deferred", "poke", "reschedule"])),
                    timeout=draw(st.sampled_from([50, 5000])), poll=draw(st.sampled_from([5, 30])),
                    soft_fail=draw(st.booleans()), on_timeout=draw(st.sampled_from(["fail", "skip", "succeed"])),
                    waits_for=waits_for, not_before=draw(st.sampled_from([None, T0, T0 + seconds(600)])),
                    timeout_given=draw(st.booleans()), **common,
                )
            )  # fmt: skip
    return made + draw(beside([task.name for task in made]))


@st.composite
def beside(draw: st.DrawFn, names: list[str]) -> list[TaskSpec]:
    """Failure handlers and callbacks of a graph, mostly none."""
    if draw(st.integers(0, 2)):
        return []
    made: list[TaskSpec] = []
    early: list[str] = list(names)
    last: list[str] = []
    for role in (Role.ON_ALL_FAILED, Role.ON_SUCCESS):
        if draw(st.booleans()):
            made.append(job(str(role), role=role, idempotent=draw(st.booleans())))
            last.append(str(role))
    for n in range(draw(st.integers(0, 4))):
        among = draw(st.sampled_from([early, early, last])) or early
        handles = tuple(draw(st.lists(st.sampled_from(among), unique=True, min_size=1, max_size=3)))
        fields: dict[str, Any] = {"retries": draw(st.integers(0, 1)), "idempotent": draw(st.booleans())}
        if draw(st.booleans()):
            made.append(job(f"h{n}", role=Role.HANDLER, handles=handles, **fields))
        else:
            made.append(sensor(f"h{n}", role=Role.HANDLER, handles=handles, timeout=50))
        among.append(f"h{n}")
    return made


def silent(made: list[TaskSpec]) -> list[TaskSpec]:
    """Of a consumer: what publishes nothing. Runs that make the version for the next would go on for ever."""
    return [msgspec.structs.replace(task, outlets=(), promises={}) for task in made]


class Machine(SceneMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-machine-")
        self.scene = Scene(
            Path(self.folder.name) / "bide.db", slots=3, pools={"db": (2, None), "api": (2, 3)}, budget=300,
            budgets={"warehouse": BudgetLimits(4, window_us=seconds(300), backfill_units=2)}, asset_caps={"made": 2},
        )  # fmt: skip
        self.late: list[Input] = []
        self.schedules: dict[str, Any] = {}
        self.gone: dict[str, Any] = {}
        self.asked: set[tuple[int, str]] = set()  # keys are asked for once by a body

    @initialize(
        first=tasks(), second=tasks(("d0",)), third=tasks(("d0",)), budget=st.sampled_from([3, 300]), window=st.sampled_from([1, 2, 1000]), runs=st.integers(1, 3),
        on_pause=st.sampled_from(["freeze", "run"]), cap=st.sampled_from([None, 2]),
        overlap=st.sampled_from(["queue_all", "queue_one", "skip", "cancel_running"]),
        catchup=st.sampled_from(["all", "latest", "none"]),
        consume=st.sampled_from(["each", "latest", "batch"]), of_backfills=st.sampled_from([None, 1]),
        alert=st.sampled_from([{"after_us": seconds(90)}, {"at": "00:05", "tz": "UTC"}, {"at": "00:00:40"}]),
    )  # fmt: skip
    def declare(
        self, first: list[TaskSpec], second: list[TaskSpec], third: list[TaskSpec], budget: int, window: int, runs: int, on_pause: str,
        cap: int | None, overlap: str, catchup: str, consume: Any, of_backfills: int | None,
        alert: dict[str, Any],
    ) -> None:  # fmt: skip
        self.scene.budget = budget
        self.scene.window = self.scene.world.window = window
        self.scene.dag(
            "d0", *first, max_active_runs=runs, on_pause=on_pause, max_active_tasks=cap, deadline_alert=alert,
            max_active_backfill_runs=of_backfills,
        )  # fmt: skip
        self.schedules = {"d1": Every(seconds=400), "d2": OnAssets(Asset("made"), consume=consume)}
        self.scene.dag(
            "d1", *second, max_active_runs=runs, schedule=Every(seconds=400), overlap=overlap, catchup=catchup,
            deadline_us=seconds(900), on_pause=on_pause, deadline_alert=alert,
        )  # fmt: skip
        self.scene.dag(
            "d2", *silent(third), max_active_runs=runs, schedule=self.schedules["d2"], on_pause=on_pause, deadline_alert=alert
        )  # fmt: skip
        self.scene.trigger("d0", logical_us=T0)

    # --- people ---------------------------------------------------------------------------------

    @rule(dag=st.sampled_from(["d0", "d1", "d2"]))
    def trigger(self, dag: str) -> None:
        if len(self.scene.world.runs) < 4 and dag in self.scene.dags:
            self.scene.trigger(dag, logical_us=T0, new=True)

    @rule(
        data=st.data(),
        verb=st.sampled_from(["cancel", "rerun", "whole", "task", "downstream", "mark", "below", "skip"]),
    )
    def order(self, data: st.DataObject, verb: str) -> None:
        order = self._order(data, verb)
        if order is not None:
            self.scene.feed(order)
            try:
                self.scene.reply(order.token)
            except (RefusedError, NotFoundError):
                pass

    @rule(
        data=st.data(), turns=st.integers(1, 5),
        verb=st.sampled_from(["cancel", "rerun", "whole", "task", "downstream", "mark", "below", "skip"]),
    )  # fmt: skip
    def crash_in_the_middle_of_an_order(self, data: st.DataObject, turns: int, verb: str) -> None:
        order = self._order(data, verb)
        if order is not None:
            self.scene.crash_after(turns, order)

    def _order(self, data: st.DataObject, verb: str) -> Command | None:
        run, _ = data.draw(st.sampled_from(self.scene.runs()))
        task = data.draw(st.sampled_from(sorted(self.scene.states(run)) or [""]))
        if not task:
            return None
        args: dict[str, Any] = {"run_id": run}
        task, _, index = task.removesuffix("]").partition("[")
        if index and verb in ("task", "downstream", "mark"):
            args["map_index"] = int(index)
        elif not index:
            task = data.draw(st.sampled_from([task, task, "*", f"*{task[-1]}"]))  # several, at once
        match verb:
            case "whole":
                verb, args["whole"] = "rerun", True
            case "task" | "downstream":
                args |= {"task": task, "downstream": verb == "downstream"}
                verb = "rerun"
            case "mark":
                args |= {"task": task, "state": data.draw(st.sampled_from(["success", "failed", "skipped"]))}
            case "below" | "skip":
                args |= {"task": task, "downstream": verb == "below" or data.draw(st.booleans())}
                args["state"] = data.draw(st.sampled_from(["success", "failed", "skipped"]))
                verb = "mark" if verb == "below" else "skip"
            case _:
                pass
        self.scene.token += 1
        return Command(self.scene.token, verb, args)

    @rule(
        dag=st.sampled_from(["d0", "d1", "d2"]), n=st.integers(1, 3), first=st.integers(-3, 0), cap=st.integers(1, 2),
        overwrite=st.sampled_from(["skip", "overwrite"]), weight=st.sampled_from([1, 3]),
    )  # fmt: skip
    def backfill(self, dag: str, n: int, first: int, cap: int, overwrite: str, weight: int) -> None:
        if len(self.scene.world.backfills) < 2 and dag in self.scene.dags:
            try:
                self.scene.backfill(dag, n, first=first, max_active=cap, overwrite=overwrite, weight=weight)
            except RefusedError:
                pass

    @rule(
        data=st.data(),
        verb=st.sampled_from(["backfill_pause", "backfill_resume", "failed", "backfill_cancel"]),
    )
    def order_backfill(self, data: st.DataObject, verb: str) -> None:
        found = self.scene._rows("SELECT backfill_id FROM backfill ORDER BY 1")
        if found:
            args: dict[str, Any] = {"backfill_id": data.draw(st.sampled_from(found))[0]}
            if verb == "failed":
                verb, args["failed"] = "backfill_resume", True
            try:
                self.scene.command(verb, **args)
            except RefusedError:
                pass

    @rule(dag=st.sampled_from(["d0", "d1", "d2"]), verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause(self, dag: str, verb: str) -> None:
        self.scene.command(verb, dag=dag)

    @rule(dag=st.sampled_from(["d0", "d1", "d2"]), changed=tasks(), text=st.sampled_from(["", "x = 1", None]))
    def load_anew(self, dag: str, changed: list[TaskSpec], text: str | None) -> None:
        options = (self.gone | self.scene.dags)[dag].options
        schedule = self.schedules.get(dag)
        changed = silent(changed) if dag == "d2" else changed
        policy = {key: value for key, value in options.items() if key != "max_active_runs"}
        self.scene.dag(
            dag, *changed, schedule=schedule, max_active_runs=options["max_active_runs"], text=text, **policy
        )

    @rule(dag=st.sampled_from(["d1", "d2"]), gone=st.booleans())
    def remove(self, dag: str, gone: bool) -> None:
        if dag in self.scene.dags:
            self.gone[dag] = self.scene.dags.pop(dag)
            self.scene.feed(DagRemoved(dag, "its file", gone))

    # --- bodies ---------------------------------------------------------------------------------

    @precondition(lambda self: self.scene.bodies)
    @rule(
        data=st.data(), how=st.sampled_from(["success", "success", "success", "failed", "skipped", "final"])
    )
    def body_ends(self, data: st.DataObject, how: str) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.feed(self._end(attempt, how))

    def _end(self, attempt: int, how: str = "success") -> AttemptEnded:
        stop = self.scene.stops.get(attempt)
        failure = None if how == "success" else Failure(how, final=how == "final")
        state = "failed" if how == "final" else how
        if stop is not None and how != "success":
            state, failure = stop.state.value, Failure(stop.reason)
        output = self._output(attempt) if state == "success" else None
        cuts = state == "skipped" and attempt % 3 == 0
        ended = self.scene.ended(attempt, state, failure=failure, output=output, cuts=cuts)
        self.late.append(ended)
        return ended

    def _output(self, attempt: int) -> bytes:
        """What a body returns: a branch some of those below it, sometimes a name that is none of them."""
        body = self.scene.world.attempts[attempt]
        if not body.inst.task.branch:
            return msgspec.json.encode(list(range(attempt % 5)))
        compiled = body.inst.run.compiled
        below = [compiled.tasks[ix].name for ix in compiled.downstream[body.inst.ix]]
        return msgspec.json.encode(["nobody"] if attempt % 7 == 6 else below[attempt % (len(below) + 1) :])

    @precondition(lambda self: self.scene.bodies)
    @rule(
        data=st.data(), key=st.sampled_from("xy"), timeout=st.sampled_from([40, 4000]),
        not_before=st.sampled_from([None, T0 + seconds(600)]),
    )  # fmt: skip
    def body_asks(self, data: st.DataObject, key: str, timeout: float, not_before: int | None) -> None:
        start = self.scene.bodies[data.draw(st.sampled_from(sorted(self.scene.bodies)))]
        if start.attempt_id in self.scene.stops or (start.attempt_id, key) in self.asked:
            return
        self.asked.add((start.attempt_id, key))
        self.scene.asks(said(start), key, timeout=timeout, run=start.run_id, not_before=not_before)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), key=st.sampled_from("xy"), parks=st.booleans())
    def body_parks_or_gives_up(self, data: st.DataObject, key: str, parks: bool) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        answered = sum(answer.attempt_id == attempt for answer in self.scene.answers)
        self.scene.feed(Parked(attempt, answered) if parks else WaitDropped(attempt, key))

    # --- the outside ----------------------------------------------------------------------------

    @precondition(lambda self: self.scene.world.waits)
    @rule(data=st.data(), how=st.sampled_from(["fire", "fire", "fail", "look", "twice"]))
    def wait_ends(self, data: st.DataObject, how: str) -> None:
        wait = data.draw(st.sampled_from(sorted(self.scene.world.waits)))
        match how:
            case "fail":
                ends: list[Input] = [WaitFailed(wait, "gone")]
            case "look":
                self.scene.looks.pop(wait, None)
                ends = [WaitLooked(wait, "not yet")]
            case "twice":
                ends = [WaitFired(wait, b"1"), WaitFailed(wait, "gone")]
            case _:
                ends = [WaitFired(wait, b"1")]
        self.late += ends
        self.scene.feed(*ends)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def something_comes_late_or_twice(self, data: st.DataObject) -> None:
        self.scene.feed(data.draw(st.sampled_from(self.late)))

    @rule(data=st.data(), stages=STAGES)
    def many_things_in_one_batch(self, data: st.DataObject, stages: list[int]) -> None:
        scene = self.scene
        waits = [wait for wait in sorted(scene.world.waits) if data.draw(st.booleans())]
        bodies = [attempt for attempt in sorted(scene.bodies) if data.draw(st.booleans())]
        verbs = st.sampled_from(["", "cancel", "rerun", "whole", "task", "mark", "below"])
        orders = [self._order(data, verb) for verb in data.draw(st.lists(verbs, max_size=2)) if verb]
        told = [*(order for order in orders if order is not None), *slices_of_prune(scene, stages)]
        places = data.draw(st.permutations(range(len(waits) + len(bodies) + len(told))))
        # nothing is drawn from here on: a draw may end the example, and a body that was ended is to be told of
        inputs: list[Input] = [WaitFired(wait, b"1") for wait in waits]
        inputs += [self._end(attempt) for attempt in bodies]
        inputs += told
        scene.feed(*[inputs[place] for place in places])

    # --- people who are asked

    @precondition(lambda self: self.scene.world.approvals)
    @rule(data=st.data(), verb=st.sampled_from(["approve", "reject"]), turns=st.sampled_from([0, 0, 1, 2]))
    def somebody_decides(self, data: st.DataObject, verb: str, turns: int) -> None:
        asked = data.draw(st.sampled_from(sorted(self.scene.world.approvals.open)))
        self.scene.token += 1
        order = Command(self.scene.token, verb, {"approval_id": asked, "by": "ann", "why": "she says so"})
        if turns:
            self.scene.crash_after(turns, order)
        else:
            self.scene.feed(order)

    # --- time and death -------------------------------------------------------------------------

    @rule(by=st.sampled_from([1, 10, 60, 450]))
    def time_goes_by(self, by: float) -> None:
        self.scene.advance(by)

    @rule(by=st.sampled_from([60, 2000]))
    def nobody_looks(self, by: float) -> None:
        self.scene.sleep(by)
        self.scene.feed()

    @rule(by=st.sampled_from([-3600, 3600, 100]))
    def clock_steps(self, by: float) -> None:
        self.scene.advance(0)  # what is due by now is seen before the clock moves
        self.scene.now += seconds(by)
        self.scene.feed(ClockStepped(seconds(by)))

    @rule(down=st.sampled_from([0, 5, 1000]))
    def crash(self, down: float) -> None:
        self.scene.crash(down)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), turns=st.integers(1, 5))
    def crash_in_the_middle(self, data: st.DataObject, turns: int) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.crash_after(turns, self._end(attempt))

    @rule(
        keep=st.sampled_from([0, 0, 60, 1000]), last=st.integers(1, 2), dies=st.sampled_from([None, None, 1, 3]),
    )  # fmt: skip
    def what_is_old_is_pruned(self, keep: float, last: int, dies: int | None) -> None:
        prune(self.scene, seconds(keep), last, dies)

    # --- the end --------------------------------------------------------------------------------

    def _to_the_end(self) -> None:
        """With every wait fired and every body succeeding, every run comes to an end."""
        scene = self.scene
        for dag in ("d1", "d2"):
            scene.dag(dag, job("t0"))  # without its schedule, which would go on for ever
        for dag in ("d0", "d1", "d2"):
            scene.command("unpause", dag=dag)
        for backfill in list(scene.world.backfills.values()):
            if backfill.paused:
                scene.command("backfill_resume", backfill_id=backfill.backfill_id)
        for _ in range(900):
            stuck = [
                inst
                for inst in scene.world.instances.values()
                if inst.state is State.LOST
                or (inst.state is State.READY and "code not loaded" in inst.reason)
            ]
            for inst in stuck:
                of = {"map_index": inst.map_index} if inst.map_index >= 0 else {}
                scene.command("mark", run_id=inst.run.run_id, task=inst.task.name, state="success", **of)
            if stuck:
                continue
            if scene.bodies:
                scene.feed(self._end(min(scene.bodies)))
            elif scene.world.approvals:
                asked = min(scene.world.approvals.open)
                scene.command("approve", approval_id=asked, by="ann", why="to the end")
            elif scene.world.waits:
                scene.feed(WaitFired(min(scene.world.waits), b"1"))
            elif roots := self._roots():  # the run before went wrong: somebody says that it is well
                run, task = min(roots)
                scene.command("mark", run_id=run, task=task, state="success")
            elif scene.world.runs:
                due = scene.world.next_timer
                assert due is not None, f"nothing will happen any more: {self._open()}"
                scene.advance(max((due - scene.now) / 1_000_000, 0))
            else:
                break
        else:
            raise AssertionError(f"these runs do not end: {self._open()}")
        assert scene.world.slots.used == 0

    def _roots(self) -> list[tuple[int, str]]:
        """What others wait for by `depends_on_past`, and is over; what is not may still be held by time alone."""
        return [
            (run, task)
            for run, task in self.scene.world.behind.values()
            if self.scene.states(run).get(task) not in (None, "pending")
        ]

    def _open(self) -> list[Any]:
        return [
            (
                run.run_id,
                str(run.state),
                {inst.task.name: (str(inst.state), inst.reason) for inst in run.instances},
            )
            for run in self.scene.world.runs.values()
        ]


Machine.TestCase.settings = stories(40, steps=40)
TestRandomWorlds = Machine.TestCase
