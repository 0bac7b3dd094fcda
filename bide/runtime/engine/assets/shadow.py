"""Shadow runs: everything is computed, staged and checked, and nothing of it is ever seen (S1-17)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bide.runtime.engine.world import Run

KIND: Final = "shadow"
"""The kind of a run that somebody asked to be one."""


def is_shadow(run: Run) -> bool:
    """Whether nothing of what it makes may be published, and no effect of it may run."""
    return run.kind == KIND or run.compiled.spec.shadow
