"""What state machines over a scene have in common: how one of their stories ends."""

from __future__ import annotations

import tempfile
from abc import abstractmethod

from hypothesis.stateful import RuleBasedStateMachine

from tests.engine.scene import Scene


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
