"""Random days of one scheduled DAG against a simple model: every firing up to now is a run, or is still
to be caught up, or is recorded as skipped; and none is twice.

Time goes by, nobody looks, the clock is stepped, the process dies, people pause and trigger, events
come. Every turn is checked by `holding.py` as well, a restored world against the living one.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bide.runtime.clock import MINUTE, SECOND
from bide.runtime.engine.messages import ClockStepped, DagRemoved, WaitFailed, WaitFired
from bide.runtime.engine.states import AttemptState
from bide.runtime.errors import RefusedError
from bide.runtime.schedules import AnyOf, Cron, Every, On, Schedule
from bide.runtime.schedules.catchup import MISSED_US
from bide.triggers import FileTrigger
from tests.engine.declare import job, seconds
from tests.engine.machines import stories
from tests.engine.scene import T0, Scene

DROPS = On(FileTrigger(glob="/drops/*"))
SCHEDULES: list[Schedule] = [
    Cron("*/10 * * * *"),
    Cron("*/10 * * * *", interval="hour"),
    Every(minutes=7),
    AnyOf(Cron("*/20 * * * *"), Every(minutes=15)),
    AnyOf(DROPS, Cron("*/10 * * * *")),
]


class Days(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-schedules-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=8, now=T0 + SECOND)
        self.events = 0

    @initialize(
        schedule=st.sampled_from(SCHEDULES), catchup=st.sampled_from(["all", "all", "within", "latest", "none"]),
        cap=st.sampled_from([None, None, 1, 4, 150]), window=st.sampled_from([None, None, 3600]),
        overlap=st.sampled_from(["queue_all", "queue_one", "skip", "cancel_running"]), runs=st.integers(1, 3),
        early=st.sampled_from([None, 7200]), late=st.sampled_from([None, 14400]), budget=st.sampled_from([3, 300]),
    )  # fmt: skip
    def declare(
        self, schedule: Schedule, catchup: str, cap: int | None, window: int | None, overlap: str, runs: int,
        early: int | None, late: int | None, budget: int,
    ) -> None:  # fmt: skip
        self.schedule, self.catchup, self.runs = schedule, catchup, runs
        scene = self.scene
        scene.budget = budget
        options: dict[str, Any] = {"catchup": catchup, "overlap": overlap, "max_active_runs": runs}
        if catchup == "within":
            options["catchup_within_us"] = seconds(5400)
        if cap is not None and catchup in ("all", "within"):
            options["catchup_cap"] = cap
        if window is not None:
            options["backfill_window_us"] = seconds(window)
        if early is not None:
            options["start_us"] = scene.now - seconds(early)
        if late is not None:
            options["end_us"] = scene.now + seconds(late)
        self.first = options.get("start_us", scene.now) - 1
        self.closes = options.get("end_us")
        scene.dag("d", job("a", max_lost=1000), schedule=schedule, **options)

    # --- what happens -----------------------------------------------------------------------------

    @rule(by=st.sampled_from([1, 60, 600, 1800]))
    def time_goes_by(self, by: float) -> None:
        self.scene.advance(by)

    @rule(by=st.sampled_from([61, 1200, 9000, 20000]))
    def nobody_looks(self, by: float) -> None:
        self.scene.sleep(by)
        self.scene.feed()

    @rule(by=st.sampled_from([-7200, -600, 600, 7200]))
    def the_clock_is_set(self, by: float) -> None:
        self.scene.now += seconds(by)
        self.scene.feed(ClockStepped(seconds(by)))

    @rule(down=st.sampled_from([0, 5, 4000]))
    def the_process_dies(self, down: float) -> None:
        self.scene.crash(down)

    @rule(verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def people_pause(self, verb: str) -> None:
        self.scene.command(verb, dag="d")

    @rule(back=st.integers(0, 3))
    def people_trigger(self, back: int) -> None:
        try:
            self.scene.trigger("d", logical_us=self.scene.now - back * 10 * MINUTE)
        except RefusedError:
            pass

    @rule()
    def the_file_breaks_and_is_mended(self) -> None:
        self.scene.feed(DagRemoved("d", "its file is broken", gone=False))
        self.scene.sleep(900)
        self.scene.feed(self.scene.dags["d"])

    @precondition(lambda self: self.scene.bodies)
    @rule(all_of=st.booleans())
    def bodies_end(self, all_of: bool) -> None:
        for attempt in sorted(self.scene.bodies)[: None if all_of else 1]:
            self.end(attempt)

    def end(self, attempt: int) -> None:
        stop = self.scene.stops.get(attempt)
        state = stop.state if stop is not None else AttemptState.SUCCESS
        self.scene.feed(self.scene.ended(attempt, state.value))

    @precondition(lambda self: self.scene.world.standing)
    @rule(what=st.sampled_from(["new", "new", "old", "breaks", "twice"]))
    def an_event_comes(self, what: str) -> None:
        [held] = self.scene.world.standing
        if what == "breaks":
            self.scene.feed(WaitFailed(held, "gone"))
            return
        self.events += what != "old"
        fired = WaitFired(held, msgspec.json.encode({"n": self.events}), {f"f{self.events}": "1"})
        self.scene.feed(*[fired] * (2 if what == "twice" else 1))

    # --- the model --------------------------------------------------------------------------------

    @invariant()
    def every_firing_is_decided_once(self) -> None:
        dag = self.scene.world.dags.get("d")
        if dag is None:
            return
        made = [us for (us,) in self.scene._rows("SELECT scheduled_us FROM run WHERE kind = 'scheduled'")]
        assert len(set(made)) == len(made), "a firing was run twice"
        skips = self.scene._rows("SELECT from_us, until_us FROM skipped_firing")
        at, several = self.first, isinstance(self.schedule, AnyOf)
        assert dag.watermark is not None
        while (
            firing := self.schedule.next_after(at, dag.anchor)
        ) is not None and firing.fires_us <= dag.watermark:
            at = firing.fires_us
            told = sum(low <= at <= high for low, high in skips)
            kept = sum(after < at <= until for after, until, _ in dag.backlog)
            run = made.count(at)
            assert run + kept + bool(told) >= 1, f"the firing at {at} is lost"
            assert run + kept <= 1, f"the firing at {at} is run and is to be run"
            if not several:
                assert run + kept + told == 1, f"the firing at {at}: {run} runs, {kept} kept, {told} skips"
        assert all(us <= dag.watermark for us in made)
        assert self.closes is None or all(us < self.closes for us in made)

    @invariant()
    def nothing_is_due_and_forgotten(self) -> None:
        """With its code and not paused, what is due is decided, and there is no room left for the rest."""
        scene = self.scene
        dag = scene.world.dags.get("d")
        if dag is None or dag.paused or dag.code_error or dag.watermark is None or scene.world.agenda:
            return
        following = self.schedule.next_after(dag.watermark, dag.anchor)
        assert following is None or following.fires_us > scene.now or (
            self.closes is not None and following.fires_us >= self.closes
        ), "a firing is due and nobody looks"  # fmt: skip
        if dag.backlog and dag.options["overlap"] not in ("skip", "cancel_running"):
            assert len(dag.runs) >= self.runs, "there is room, and missed firings wait"
        elif dag.backlog:
            assert dag.runs, "there is room, and missed firings wait"

    @invariant()
    def missed_firings_fill_no_queue(self) -> None:
        late = self.scene._rows(
            "SELECT count(*) FROM run WHERE kind = 'scheduled' AND ended_us IS NULL AND created_us - scheduled_us > ?",
            MISSED_US,
        )
        if self.scene.dags and self.catchup in ("all", "within"):
            assert late[0][0] <= self.runs

    @invariant()
    def an_event_makes_one_run(self) -> None:
        keys = [key for (key,) in self.scene._rows("SELECT run_key FROM run WHERE kind = 'event'")]
        assert len(set(keys)) == len(keys)
        assert len(keys) <= self.events + 1

    def teardown(self) -> None:
        try:
            if self.scene.dags:
                self.scene.command("unpause", dag="d")
                for _ in range(3000):
                    if self.scene.bodies:
                        self.end(min(self.scene.bodies))
                    elif self.scene.world.dags["d"].backlog or self.scene.world.runs:
                        self.scene.feed()
                    else:
                        break
                left = self.scene.world
                assert not left.dags["d"].backlog, (
                    f"it is never caught up: {left.dags['d'].backlog}, {len(left.runs)} runs, paused {left.dags['d'].paused}"
                )
                self.every_firing_is_decided_once()
                self.scene.close()
        finally:
            self.scene.store.close_here()
            self.folder.cleanup()


TestDays = Days.TestCase
TestDays.settings = stories(25, steps=30)

__all__ = ["TestDays"]
