"""Random assets: whatever happens, every version is accounted for exactly once by every consumer.

Producers succeed, are rerun and marked; consumers are paused, loaded anew, removed, and told to drop
and to replay; the process dies between any two turns. The runs of `each` are compared with a model
that knows nothing of cursors.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict, deque
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from bide import Asset, Every, OnAssets
from bide.runtime.clock import from_us
from bide.runtime.engine.assets.consuming import has_room, is_behind, may_run
from bide.runtime.engine.assets.waits import decode_asset
from bide.runtime.engine.messages import DagRemoved
from bide.runtime.errors import NotFoundError, RefusedError
from bide.runtime.store.facts import versions_over
from bide.triggers.asset import AssetTrigger
from bide.triggers.base import Fire
from tests.engine.declare import HOUR_US, job, seconds, sensor
from tests.engine.machines import SceneMachine, stories
from tests.engine.pruning import STAGES, prune, slices_of_prune
from tests.engine.scene import T0, Scene

A, B, C = Asset("a"), Asset("b"), Asset("c")
FAR = T0 + 1_000_000 * HOUR_US
HOURS = 6
SCHEDULES = {
    "each_a": OnAssets(A, consume="each"),
    "or_ab": OnAssets(A | B, consume="each"),
    "and_ab": OnAssets(A & B, consume="each"),
    "latest": OnAssets(A & (B | C), consume="latest"),
    "batch": OnAssets((A & C) | B, consume="batch"),
    "hourly": OnAssets(C & A, consume="each", interval="hour", tz="UTC"),
    "daily": OnAssets(A, consume="latest", interval="day", tz="UTC"),
}
SENSORS = (
    sensor("hour", waits_for=AssetTrigger(asset="a", start_us=T0, end_us=T0 + HOUR_US)),
    sensor("three", waits_for=AssetTrigger(asset="b", start_us=T0, end_us=T0 + 3 * HOUR_US, cover=True), mode="poke"),
    sensor("part", waits_for=AssetTrigger(asset="c", start_us=T0, end_us=T0 + HOUR_US, cover=True)),
)  # fmt: skip
MODELLED = ("each_a", "or_ab", "and_ab")


class Machine(SceneMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-assets-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=100)
        self.replays: Counter[tuple[str, int]] = Counter()  # (dag, version) -> how often it was had again
        self.runs: dict[str, int] = {}
        self.versions: dict[int, tuple[str, int]] = {}  # all there ever were: (asset, start)
        self.taken: defaultdict[str, defaultdict[int, set[int]]] = defaultdict(lambda: defaultdict(set))
        """dag -> run -> the versions that it took"""

    @initialize(budget=st.sampled_from([2, 9, 300]), cap=st.integers(1, 2))
    def declare(self, budget: int, cap: int) -> None:
        self.scene.budget = budget
        self.cap = cap
        for name in "ab":
            self.scene.dag(
                f"make_{name}", job(f"make_{name}", outlets=(name,), max_lost=1000), start_us=FAR,
                schedule=Every(hours=1, anchor=from_us(T0)),
            )  # fmt: skip
        self.scene.dag(
            "make_c",
            job("make_c", outlets=("c",), max_lost=1000),
            start_us=FAR,
            schedule=Every(hours=3, anchor=from_us(T0)),
        )
        self.scene.dag("waits", *SENSORS)
        for name in SCHEDULES:
            self._load(name)

    def _load(self, name: str) -> None:
        self.scene.dag(name, job("t", max_lost=1000), schedule=SCHEDULES[name], max_active_runs=self.cap)

    # --- producers --------------------------------------------------------------------------------

    @rule(name=st.sampled_from("aabbc"), hour=st.integers(0, HOURS - 1))
    def succeeds(self, name: str, hour: int) -> None:
        self.runs[name] = self._begin(name, hour)
        self.scene.end(f"make_{name}", run=self.runs[name])

    def _begin(self, name: str, hour: int) -> int:
        return self.scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)

    @rule(
        names=st.lists(st.sampled_from("abc"), min_size=2, max_size=5), hour=st.integers(0, HOURS - 1), stages=STAGES,
    )  # fmt: skip
    def many_succeed_in_one_batch(self, names: list[str], hour: int, stages: list[int]) -> None:
        started = [(name, self._begin(name, hour)) for name in names]
        ends = [self.scene.ended(self.scene.attempt(f"make_{name}", run)) for name, run in started]
        self.scene.feed(*slices_of_prune(self.scene, stages), *ends)

    @rule(keep=st.sampled_from([0, 0, 4]), dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, keep: float, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, seconds(keep), 1, dies)

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), marked=st.booleans())
    def is_corrected(self, data: st.DataObject, marked: bool) -> None:
        name = data.draw(st.sampled_from(sorted(self.runs)))
        run = self.runs[name]
        if run not in dict(self.scene.runs()):  # it was pruned
            return
        self.scene.command("rerun", run_id=run, whole=True)
        if marked:
            self.scene.command("mark", run_id=run, task=f"make_{name}", state="success")
            self.scene.stopped(f"make_{name}", run)
        else:
            self.scene.end(f"make_{name}", run=run)

    @rule(name=st.sampled_from("abc"), hour=st.integers(0, HOURS - 1))
    def it_dies_in_the_middle_of_a_success(self, name: str, hour: int) -> None:
        run = self._begin(name, hour)
        self.scene.turn(self.scene.ended(self.scene.attempt(f"make_{name}", run)))
        self.scene.crash()

    # --- consumers --------------------------------------------------------------------------------

    @rule(dag=st.sampled_from(sorted(SCHEDULES)), verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause(self, dag: str, verb: str) -> None:
        self.scene.command(verb, dag=dag)

    @rule(dag=st.sampled_from(sorted(SCHEDULES)), gone=st.booleans())
    def file_goes(self, dag: str, gone: bool) -> None:
        self.scene.feed(DagRemoved(dag, "gone", gone=gone))
        self.scene.dags.pop(dag, None)

    @rule(dag=st.sampled_from(sorted(SCHEDULES)))
    def file_comes(self, dag: str) -> None:
        self._load(dag)

    @precondition(lambda self: any(start.task.name == "t" for start in self.scene.bodies.values()))
    @rule(data=st.data())
    def consumer_ends(self, data: st.DataObject) -> None:
        ours = sorted(n for n, start in self.scene.bodies.items() if start.task.name == "t")
        self.scene.feed(self.scene.ended(data.draw(st.sampled_from(ours))))

    @rule(dag=st.sampled_from(sorted(set(SCHEDULES) - set(MODELLED))))
    def drop(self, dag: str) -> None:
        if not self.scene.world.dags[dag].removed:
            self.scene.command("asset_drop", dag=dag, all=True)

    @rule(dag=st.sampled_from(sorted(set(SCHEDULES) - set(MODELLED))), version=st.integers(1, 20))
    def replay(self, dag: str, version: int) -> None:
        if self.scene.world.dags[dag].removed:
            return
        try:
            done = self.scene.command("asset_replay", dag=dag, version=version)
        except (RefusedError, NotFoundError):
            return
        self.replays.update((dag, each) for each in done["replayed"])

    @precondition(lambda self: len(self.scene.world.waits) < 9)
    @rule()
    def somebody_waits(self) -> None:
        self.scene.trigger("waits")

    @rule(verb=st.sampled_from(["pause", "unpause"]))
    def waits_rest(self, verb: str) -> None:
        self.scene.command(verb, dag="waits")

    @rule(down=st.sampled_from([0, 5]))
    def crash(self, down: float) -> None:
        self.scene.crash(down)

    # --- what holds -------------------------------------------------------------------------------

    @invariant()
    def every_version_is_accounted_for_once_by_every_consumer(self) -> None:
        cursors = {
            (dag, asset): (version, split)
            for dag, asset, version, split in self.scene._rows(
                "SELECT d.name, a.name, asset_version_id, split_us FROM asset_cursor"
                " JOIN dag d USING (dag_id) JOIN asset a USING (asset_id)"
            )
        }
        held: Counter[tuple[str, int, int]] = Counter()
        for source in (
            "asset_pending JOIN dag USING (dag_id)",
            "asset_drop JOIN dag USING (dag_id)",
            "run_trigger JOIN run USING (run_id) JOIN dag USING (dag_id)",
        ):
            rows = self.scene._rows(f"SELECT name, asset_version_id, part_us FROM {source}")
            held.update((dag, version, part) for dag, version, part in rows)
        versions = self.scene._rows(
            "SELECT asset_version_id, name, start_us, end_us FROM asset_version JOIN asset USING (asset_id)"
        )
        for dag, schedule in SCHEDULES.items():
            for version, asset, start, end in versions:
                if (dag, asset) not in cursors:
                    continue
                cursor, split = cursors[dag, asset]
                times = 1 + self.replays[dag, version] if version <= cursor else 0
                parts = [start]
                if schedule.interval is not None:
                    parts = [schedule.period(start)[0]]
                    while (following := schedule.period(parts[-1])[1]) < end:
                        parts.append(following)
                for part in parts:
                    given = times if version != cursor or split is None or part < split else 0
                    assert held.pop((dag, version, part), 0) == given, f"{dag}: version {version} of {asset}"
        assert not held

    def _remember(self) -> None:
        """What a prune may take away."""
        self.versions |= {
            version: (name, start)
            for version, name, start in self.scene._rows(
                "SELECT asset_version_id, name, start_us FROM asset_version JOIN asset USING (asset_id)"
            )
        }
        for dag, run, version in self.scene._rows(
            "SELECT name, run_id, asset_version_id FROM run_trigger JOIN run USING (run_id) JOIN dag USING (dag_id)"
        ):
            self.taken[dag][run].add(version)

    @invariant()
    def runs_of_each_are_those_of_the_model(self) -> None:
        self._remember()
        if not self.scene.world.assets.consumers:
            return
        for dag in MODELLED:
            made = self._made(dag)
            assert sum(made.values()) == len(made), f"{dag}: twice"
            consumer = self.scene.world.assets.consumers[self.scene.world.dags[dag].dag_id]
            model = self._model(dag)
            if may_run(self.scene.world, consumer) and not is_behind(self.scene.world, consumer):
                assert set(made) == model, dag
            else:
                assert set(made) <= model, dag

    def _made(self, dag: str) -> Counter[frozenset[int]]:
        return Counter(frozenset(versions) for versions in self.taken[dag].values())

    def _model(self, dag: str) -> set[frozenset[int]]:
        versions = [(version, name, start) for version, (name, start) in sorted(self.versions.items())]
        if dag == "each_a":
            return {frozenset((version,)) for version, name, _ in versions if name == "a"}
        if dag == "or_ab":
            return {frozenset((version,)) for version, name, _ in versions if name in "ab"}
        waiting: dict[Any, dict[str, deque[int]]] = defaultdict(lambda: {"a": deque(), "b": deque()})
        pairs = set()
        for version, name, start in versions:
            if name not in "ab":
                continue
            both = waiting[start]
            both[name].append(version)
            if both["a"] and both["b"]:
                pairs.add(frozenset((both["a"].popleft(), both["b"].popleft())))
        return pairs

    @invariant()
    def nobody_waits_for_what_is_there(self) -> None:
        for wait in self.scene.world.waits.values():
            trigger = decode_asset(wait.trigger)
            seen = versions_over(self.scene.store._raw, trigger.asset, trigger.start_us, trigger.end_us)
            assert not wait.armed or not isinstance(trigger.judge(seen, None, 0), Fire), trigger.describe()

    @invariant()
    def nothing_that_could_run_is_left(self) -> None:
        for consumer in self.scene.world.assets.consumers.values():
            if not may_run(self.scene.world, consumer):
                continue
            assert not is_behind(self.scene.world, consumer), f"{consumer.dag.name} is behind"
            gathers = consumer.schedule.consume != "each" and not has_room(consumer)
            assert gathers or not consumer.pending.touched, f"{consumer.dag.name} was not looked at"

    def _to_the_end(self) -> None:
        """With everything loaded and unpaused every run ends, and what gathered has been taken."""
        for name in SCHEDULES:
            self._load(name)
            self.scene.command("unpause", dag=name)
        for run, state in self.scene.runs("waits"):
            if state in ("queued", "running"):
                self.scene.command("cancel", run_id=run)
        while self.scene.bodies:
            self.scene.feed(self.scene.ended(min(self.scene.bodies)))
        left = self.scene.world.runs.values()
        assert not left, [
            (r.run_id, r.dag.name, r.state, [(i.state, i.reason) for i in r.instances]) for r in left
        ]
        self.every_version_is_accounted_for_once_by_every_consumer()
        self.runs_of_each_are_those_of_the_model()
        for consumer in self.scene.world.assets.consumers.values():
            assert not consumer.pending.touched
            for key in consumer.pending.groups:
                if consumer.schedule.interval is None:
                    assert consumer.pending.take(key) is None


Machine.TestCase.settings = stories(20, steps=30)
TestRandomAssets = Machine.TestCase
