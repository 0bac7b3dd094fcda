"""Random contracts, gates, people and crashes: what is seen, held and blocked is always what a model says.

Silver makes gold, gold makes a report; gates fail, contracts change, people approve, reject, let out; runs
are rerun, marked, cancelled and paused; the process dies between any two turns. A consumer of gold has every
version of it that was ever seen exactly once.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from bide import Asset, OnAssets
from bide.runtime.assets import ContractSpec, GateSpec
from bide.runtime.assets.evaluate import replay
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.judged import Evidence
from bide.runtime.assets.words import Severity
from bide.runtime.engine.messages import Command, Input
from bide.runtime.engine.states import State
from bide.runtime.errors import BideError
from tests.engine.declare import HOUR_US, job, mapped, seconds
from tests.engine.machines import stories
from tests.engine.pruning import STAGES, prune, slices_of_prune
from tests.engine.scene import T0, Scene
from tests.engine.test_publishing import FAR, HOURLY, edge

HOURS = 3
ACTIONS = (
    "block_execution", "block_publication", "block_consumer_notification", "warn", "require_approval",
    "use_previous_version", "quarantine_output",
)  # fmt: skip
MAKERS = ("silver", "gold", "report")
SEEN = ("published", "stale", "degraded", "superseded", "invalidated")


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-publish-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=100)
        self.runs: list[tuple[int, str]] = []
        self.said: tuple[ContractSpec | GateSpec, ...] = ()

    @initialize(
        budget=st.sampled_from([1, 5, 300]), of_parts=st.booleans(), missing=st.sampled_from(ACTIONS),
        below=st.sampled_from(("block_execution", "block_publication", "require_approval")),
        severity=st.sampled_from((None, Severity.MAJOR, Severity.CRITICAL)),
    )  # fmt: skip
    def begin(self, budget: int, of_parts: bool, missing: str, below: str, severity: Severity | None) -> None:
        self.scene.budget = budget
        for name in MAKERS:
            task = job(name, outlets=(name,), max_lost=1000, retries=1)
            if of_parts and name == "report":
                task = mapped(name, over=[1, 2], outlets=(name,), max_lost=1000)
            self.scene.dag(f"make_{name}", task, schedule=HOURLY, start_us=FAR, max_active_backfill_runs=2)
        self.scene.dag("mart", job("t", max_lost=1000), schedule=OnAssets(Asset("gold"), consume="each"))
        self.declare(missing, "block_execution", below, severity)

    # --- what is declared ---------------------------------------------------------------------------

    @rule(
        missing=st.sampled_from(ACTIONS), invalid=st.sampled_from(ACTIONS), below=st.sampled_from((*ACTIONS, None)),
        severity=st.sampled_from((None, *Severity)),
    )  # fmt: skip
    def declares(self, missing: str, invalid: str, below: str | None, severity: Severity | None) -> None:
        self.declare(missing, invalid, below, severity)

    def declare(self, missing: str, invalid: str, below: str | None, severity: Severity | None) -> None:
        said: list[ContractSpec | GateSpec] = [edge(missing=missing, invalid=invalid, degraded="warn")]
        if below is not None:
            said.append(edge("gold", "report", missing=below))
        if severity is not None:
            said.append(GateSpec("gold", "rows", severity=severity))
        self.said = tuple(said)
        self.scene.declare(*said)

    # --- runs ---------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.scene.world.runs) < 9)
    @rule(
        name=st.sampled_from(MAKERS),
        hour=st.integers(0, HOURS - 1),
        shadow=st.sampled_from([False, False, True]),
    )
    def starts(self, name: str, hour: int, shadow: bool) -> None:
        at = T0 + hour * HOUR_US
        self.runs.append((self.scene.trigger(f"make_{name}", logical_us=at, new=True, shadow=shadow), name))

    @precondition(lambda self: len(self.scene.world.runs) < 12)
    @rule(
        name=st.sampled_from(("silver", "gold", "gold", "report")),
        hour=st.integers(0, HOURS - 1),
        passed=st.booleans(),
    )
    def makes(self, name: str, hour: int, passed: bool) -> None:
        """A run that ends at once, if it may begin."""
        run = self.scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)
        self.runs.append((run, name))
        for attempt, start in list(self.scene.bodies.items()):
            if start.run_id == run:
                self.scene.feed(self.scene.ended(attempt, checks=self._checks(name, passed)))

    @precondition(lambda self: len(self.scene.world.runs) < 12)
    @rule(name=st.sampled_from(("silver", "gold", "report")), hours=st.permutations(range(HOURS)))
    def makes_all(self, name: str, hours: list[int]) -> None:
        for hour in hours:
            self.makes(name, hour, True)

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data(), passed=st.sampled_from([True, True, False, None]), dies=st.booleans())
    def ends(self, data: st.DataObject, passed: bool | None, dies: bool) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        name = self.scene.bodies[attempt].task.name
        checks = None if passed is None else self._checks(name, passed)
        ended = self.scene.ended(attempt, checks=checks)
        if dies:
            self.scene.crash_after(data.draw(st.integers(0, 4)), ended)
        else:
            self.scene.feed(ended)

    @rule(data=st.data(), stages=STAGES, passed=st.sampled_from([None, True, False]))
    def several_things_happen_while_it_is_pruned(
        self, data: st.DataObject, stages: list[int], passed: bool | None
    ) -> None:
        self.scene.advance(1)
        bodies = [attempt for attempt in sorted(self.scene.bodies) if data.draw(st.booleans())]
        approvals = [one for one in sorted(self.scene.world.approvals.open) if data.draw(st.booleans())]
        held = [v for v, state, *_ in self._versions() if state == "quarantined" and data.draw(st.booleans())]
        loads = list(self.scene.dags.values()) if data.draw(st.booleans()) else []
        places = data.draw(st.permutations(range(len(bodies) + len(approvals) + len(held) + len(stages))))
        inputs: list[Input] = []
        for attempt in bodies:
            name = self.scene.bodies[attempt].task.name
            checks = None if passed is None else self._checks(name, passed)
            inputs.append(self.scene.ended(attempt, checks=checks))
        said = {"by": "ann", "why": "so"}
        inputs += [self._order("approve", approval_id=one, **said) for one in approvals]
        inputs += [self._order("asset_publish", version_id=version, **said) for version in held]
        inputs += slices_of_prune(self.scene, stages)
        self.scene.feed(*(inputs[place] for place in places), *loads)

    def _order(self, verb: str, **args: Any) -> Command:
        self.scene.token += 1
        return Command(self.scene.token, verb, args)

    def _checks(self, name: str, passed: bool) -> bytes | None:
        gates = [spec for spec in self.said if isinstance(spec, GateSpec) and spec.asset == name]
        found = [CheckResult(spec.name, spec.severity, passed) for spec in gates]
        return msgspec.json.encode({name: found}) if found else None

    @precondition(lambda self: self.scene.bodies)
    @rule(data=st.data())
    def fails(self, data: st.DataObject) -> None:
        attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
        self.scene.feed(self.scene.ended(attempt, "failed"))

    @precondition(lambda self: self.runs)
    @rule(data=st.data(), verb=st.sampled_from(["cancel", "rerun", "mark", "skip"]))
    def a_person_moves_a_run(self, data: st.DataObject, verb: str) -> None:
        run, name = data.draw(st.sampled_from(self.runs))
        args: dict[str, dict[str, Any]] = {
            "rerun": {"whole": True},
            "mark": {"task": name, "state": "success"},
            "skip": {"task": name},
        }
        self._try(verb, run_id=run, **args.get(verb, {}))
        for attempt in list(self.scene.stops):
            stop = self.scene.stops[attempt]
            self.scene.feed(self.scene.ended(attempt, stop.state.value))

    @rule(name=st.sampled_from(MAKERS), verb=st.sampled_from(["pause", "unpause", "unpause"]))
    def pause(self, name: str, verb: str) -> None:
        self.scene.command(verb, dag=f"make_{name}")

    # --- people -------------------------------------------------------------------------------------

    @precondition(lambda self: self.scene.world.approvals.open)
    @rule(data=st.data(), verb=st.sampled_from(["approve", "approve", "reject"]))
    def decides(self, data: st.DataObject, verb: str) -> None:
        approval = data.draw(st.sampled_from(sorted(self.scene.world.approvals.open)))
        self._try(verb, approval_id=approval, by="ann", why="so")

    @rule(
        data=st.data(),
        verb=st.sampled_from(["asset_publish", "asset_degrade"]),
        expires=st.sampled_from([None, 7200]),
    )
    def lets_out(self, data: st.DataObject, verb: str, expires: int | None) -> None:
        states = ("published",) if verb == "asset_degrade" else ("validated", "quarantined")
        found = [v for v, state, *_ in self._versions() if state in states]
        if not found:
            return
        args: dict[str, Any] = {"version_id": data.draw(st.sampled_from(found)), "by": "ann", "why": "so"}
        if verb == "asset_degrade":
            until = None if expires is None else self.scene.now + expires * 1_000_000
            args |= {"limitations": ["half"], "expires_us": until}
        self._try(verb, **args)

    @rule(by=st.sampled_from([60, 3600, 90_000]))
    def time_goes_by(self, by: float) -> None:
        self.scene.advance(by)

    @rule(down=st.sampled_from([0, 5, 9000]))
    def crash(self, down: float) -> None:
        self.scene.crash(down)

    @rule(keep=st.sampled_from([0, 0, 4000]), dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, keep: float, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, seconds(keep), 1, dies)

    def _try(self, verb: str, **args: Any) -> None:
        try:
            self.scene.command(verb, **args)
        except BideError:
            return

    # --- what holds ---------------------------------------------------------------------------------

    def _versions(self) -> list[tuple[Any, ...]]:
        return self.scene._rows(
            "SELECT asset_version_id, v.state, name, start_us, end_us, held, shadow, quiet FROM asset_version v"
            " JOIN asset USING (asset_id) ORDER BY 1"
        )

    @invariant()
    def of_an_interval_one_version_is_seen_at_most(self) -> None:
        seen = Counter(
            (name, start)
            for _, state, name, start, *_ in self._versions()
            if state in ("published", "stale", "degraded")
        )
        assert not seen or max(seen.values()) == 1, seen

    @invariant()
    def what_a_shadow_run_made_is_never_seen(self) -> None:
        assert not [v for v, state, *_, shadow, _ in self._versions() if shadow and state in SEEN]

    @invariant()
    def a_consumer_has_each_version_that_was_seen_once(self) -> None:
        seen = {
            v
            for v, state, name, *_, quiet in self._versions()
            if name == "gold" and state in SEEN and not quiet
        }
        had = Counter(
            v
            for (v,) in self.scene._rows(
                "SELECT asset_version_id FROM asset_pending UNION ALL SELECT asset_version_id FROM run_trigger"
                " UNION ALL SELECT asset_version_id FROM asset_drop"
            )
        )
        assert set(had) <= seen
        assert set(had.values()) <= {1}
        if not self.scene.world.agenda:
            assert set(had) == seen

    @invariant()
    def what_is_held_is_known_and_looks_at_its_upstreams(self) -> None:
        assets = self.scene.world.assets
        rows = {v: held for v, *_, held, _, _ in self._versions() if held}
        assert rows == {one.version_id: 1 if one.made else 2 for one in assets.open.values()}
        for inst in self.scene.world.instances.values():
            if inst.state is State.BLOCKED:
                assert any(getattr(who, "instance_id", 0) == inst.instance_id for who in assets.looks), (
                    "forgotten"
                )

    @invariant()
    def what_is_blocked_or_held_is_so_by_what_is_there_now(self) -> None:
        """Asking once more changes nothing: whoever was to be woken has been."""
        before = self._versions(), self.scene.states_of_all()
        for who in list(self.scene.world.assets.looks):
            self.scene.feed(who)
        assert (self._versions(), self.scene.states_of_all()) == before

    @invariant()
    def decisions_are_made_again_of_their_evidence(self) -> None:
        for level, reason, observed in self.scene._rows(
            "SELECT level, reason, observed FROM decision ORDER BY decision_id DESC LIMIT 3"
        ):
            again = replay(msgspec.json.decode(observed, type=Evidence))
            assert (again.level, again.reason) == (level, reason)

    def teardown(self) -> None:
        try:
            if self.scene.dags:
                self.scene.close()
        finally:
            self.scene.store.close_here()
            self.folder.cleanup()


Machine.TestCase.settings = stories(20, steps=25)
TestRandomPublishing = Machine.TestCase
