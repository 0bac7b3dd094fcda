"""Random invalidations among tasks that run: nothing that was made of a wrong version is ever left to be seen.

Producers and consumers begin, end, fail and are corrected; versions are invalidated one by one, several at
once, and while others are being made of them; the process dies between any two turns.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from bide.runtime.assets import AssetSpec, ContractSpec
from bide.runtime.assets.contract import Rule
from bide.runtime.assets.words import Action, Result
from bide.runtime.engine.messages import Command
from bide.runtime.store import spreading
from tests.engine.declare import HOUR_US, job
from tests.engine.machines import stories
from tests.engine.pruning import prune
from tests.engine.scene import T0, Scene

MADE_OF = {"a": (), "b": ("a",), "c": ("a", "b"), "d": ("c",)}
NAMES = st.sampled_from(sorted(MADE_OF))


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory(prefix="bide-invalid-")
        self.scene = Scene(Path(self.folder.name) / "bide.db", slots=100)
        self.slices = patch.multiple(spreading, AT_ONCE=1, FRONTIER=2, USES=2)
        self.slices.start()

    @initialize(budget=st.sampled_from([2, 9, 300]), warns=st.booleans())
    def declare(self, budget: int, warns: bool) -> None:
        """`warns`: c may be used with what is said of it, when b is wrong."""
        self.scene.budget = budget
        contract = ContractSpec(downstream="c", upstream="b", on_failure={Result.INVALID: Rule(Action.WARN)})
        self.scene.declare(*(AssetSpec(name) for name in MADE_OF), *([contract] if warns else []))
        for name, inlets in MADE_OF.items():
            self.scene.dag(f"make_{name}", job(name, inlets=inlets, outlets=(name,)), max_active_runs=100)
            self.make([name], 0)

    @rule(names=st.lists(NAMES, min_size=1, max_size=4), hour=st.integers(0, 2))
    def make(self, names: list[str], hour: int) -> None:
        for name in names:
            self.begin(name, hour)
            self.all_end()

    @rule(names=st.lists(NAMES, min_size=1, max_size=4), hour=st.integers(0, 2))
    def several_begin(self, names: list[str], hour: int) -> None:
        for name in names:
            self.begin(name, hour)

    def begin(self, name: str, hour: int) -> None:
        self.scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)

    @rule(data=st.data(), fails=st.sampled_from([False, False, False, True]))
    def end(self, data: st.DataObject, fails: bool) -> None:
        if self.scene.bodies:
            attempt = data.draw(st.sampled_from(sorted(self.scene.bodies)))
            self.scene.feed(self.scene.ended(attempt, "failed" if fails else "success"))

    @rule()
    def all_end(self) -> None:
        self.scene.feed(*(self.scene.ended(attempt) for attempt in sorted(self.scene.bodies)))

    def _versions(self) -> list[int]:
        return [
            number for (number,) in self.scene._rows("SELECT asset_version_id FROM asset_version ORDER BY 1")
        ]

    @rule(data=st.data())
    def invalidate(self, data: st.DataObject) -> None:
        if versions := self._versions():
            self.scene.command("asset_invalidate", version=data.draw(st.sampled_from(versions)))

    @rule(name=NAMES, hours=st.integers(1, 3), ends=st.booleans())
    def invalidate_an_interval_while_others_end(self, name: str, hours: int, ends: bool) -> None:
        said = {"asset": name, "start_us": T0, "end_us": T0 + hours * HOUR_US}
        ended = [self.scene.ended(attempt) for attempt in sorted(self.scene.bodies)] if ends else []
        self.scene.feed(Command(97, "asset_invalidate", said), *ended, Command(98, "asset_invalidate", said))

    @rule(data=st.data(), turns=st.integers(1, 9))
    def it_dies_while_it_spreads(self, data: st.DataObject, turns: int) -> None:
        if versions := self._versions():
            version = data.draw(st.sampled_from(versions))
            self.scene.crash_after(turns, Command(99, "asset_invalidate", {"version": version}))

    @rule(by=st.sampled_from([1, 60]))
    def time_goes_by(self, by: int) -> None:
        self.scene.advance(by)

    @rule()
    def crash(self) -> None:
        self.scene.crash()

    @rule(dies=st.sampled_from([None, None, 2, 6]))
    def what_is_old_is_pruned(self, dies: int | None) -> None:
        self.scene.advance(1)
        prune(self.scene, 0, 1, dies)

    @invariant()
    def what_was_made_of_what_is_wrong_is_reached_and_nobody_sees_it(self) -> None:
        left = self.scene._rows(
            "SELECT i.asset_version_id, i.input_id, v.state FROM invalidation_hit h JOIN asset_input i"
            " ON i.input_id = h.asset_version_id JOIN asset_version v ON v.asset_version_id = i.asset_version_id"
            " WHERE v.state IN ('published', 'stale', 'validated', 'staged') AND NOT EXISTS (SELECT 1"
            " FROM invalidation_hit g WHERE g.invalidation_id = h.invalidation_id"
            " AND g.asset_version_id = i.asset_version_id)"
        )
        assert left == [], f"made of what is wrong, and not reached, nor said to be: {left}"
        seen = self.scene._rows(
            "SELECT asset_version_id, h.action, v.state FROM invalidation_hit h JOIN asset_version v USING (asset_version_id)"
            " WHERE v.state IN ('published', 'stale')"
        )
        assert seen == [], "found to be wrong, and seen with nothing said"
        assert self.scene._rows("SELECT * FROM invalidation WHERE state <> 'spread'") == []

    def teardown(self) -> None:
        try:
            if self.scene.dags:
                self.all_end()
                self.what_was_made_of_what_is_wrong_is_reached_and_nobody_sees_it()
                self.scene.close()
        finally:
            self.slices.stop()
            self.scene.store.close_here()
            self.folder.cleanup()


Machine.TestCase.settings = stories(20, steps=25)
TestRandomInvalidations = Machine.TestCase
