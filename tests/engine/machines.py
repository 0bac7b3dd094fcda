"""What state machines over a scene have in common: how many stories they tell, and how one of them ends.

BIDE_MACHINE_EXAMPLES: so many stories of each. BIDE_MACHINE_QUICK: one that fails is told as it was found.
"""

from __future__ import annotations

import os
import tempfile
from abc import abstractmethod

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine

from tests.engine.scene import Scene


def phases() -> tuple[Phase, ...]:
    """Those of a search over stories: why one fails is not asked again and again, that takes minutes."""
    if os.environ.get("BIDE_MACHINE_QUICK"):
        return (Phase.generate,)
    return tuple(phase for phase in Phase if phase is not Phase.explain)


def stories(examples: int, *, steps: int = 50) -> settings:
    """The settings of a machine: so many stories unless told otherwise, each of so many steps at most."""
    return settings(
        max_examples=int(os.environ.get("BIDE_MACHINE_EXAMPLES", examples)), stateful_step_count=steps,
        phases=phases(), deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
    )  # fmt: skip


class SceneMachine(RuleBasedStateMachine):
    """Stories of a scene in a folder of its own. Whatever has happened in one, it must come to an end."""

    folder: tempfile.TemporaryDirectory[str]
    scene: Scene

    @abstractmethod
    def _to_the_end(self) -> None:
        """Let go of all that holds anything, and see that everything ends as it should."""

    def teardown(self) -> None:
        try:
            if self.scene.dags:
                self._to_the_end()
                self.scene.close()
        finally:
            self.scene.store.close_here()
            self.folder.cleanup()
