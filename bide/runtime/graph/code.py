"""The code of one node: its function and the arguments as they were written.

Code is never stored. It is found in the newest loaded DAG when an attempt starts, or when a
sensor's trigger is built.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bide.runtime.graph.facts import Facts
    from bide.triggers.base import Trigger

BuildTrigger = Callable[[Mapping[str, Any], "Facts"], "Trigger"]


@dataclass(frozen=True, slots=True)
class Code:
    """What a node runs. `args` and `kwargs` are raw: outputs of others and any Python value."""

    fn: Callable[..., Any] | None = None
    """The body of a task; of a command, what makes its text from the facts; None for a sensor."""

    args: tuple[Any, ...] = ()

    kwargs: Mapping[str, Any] = field(default_factory=dict)
    """Of a task, its keyword arguments; of a sensor or a command, its parameters."""

    mapped: Mapping[str, Any] = field(default_factory=dict)
    """Of a mapped sensor or command: what it is mapped over, by the key of its `Item`s."""

    build: BuildTrigger | None = None
    """Of a sensor: makes its trigger from its parameters, references resolved, and the facts."""

    predicate: Callable[..., Any] | None = None
    """Of a sensor that asks a Python function: that function."""
