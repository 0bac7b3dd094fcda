"""What the engine resolves for an attempt before its body begins: the code, its arguments, its facts."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime.assets.delivery import Delivery
from bide.runtime.assets.judged import Version
from bide.runtime.engine.messages import Answer, Start
from bide.runtime.errors import BideError, UsageError
from bide.runtime.graph.binding import Command
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.spec import ShellSpec

if TYPE_CHECKING:
    from bide.runtime.executor.context import Context


class CodeNotLoaded(BideError):  # noqa: N818 - a finding about the DAG files, not a failure of the attempt
    """The function of a task is not loaded, or its file is broken: the instance stays ready."""


class CannotIsolate(UsageError):  # noqa: N818 - what `retry_on` names reads as what happened
    """A function or its arguments cannot go to another process; trying again would not help."""


class Job(msgspec.Struct, frozen=True):
    """A body ready to begin.

    `recorded_waits` and `recorded_steps` are what a lost predecessor left: wait key -> how it
    ended, step name -> value JSON. `watermark` is the task's committed one, JSON. `inputs` are the versions
    that it may read, as decided. `shell` is rendered
    (secrets resolved, templates filled); `fn` is None exactly when `shell` is given.
    """

    fn: Callable[..., Any] | None
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    facts: Facts
    recorded_waits: dict[str, Answer] = {}
    recorded_steps: dict[str, bytes] = {}
    watermark: bytes | None = None
    shell: Command | ShellSpec | None = None
    cwd: str | None = None
    inputs: tuple[Version, ...] = ()
    delivery: Delivery | None = None


Resolve = Callable[[Start, "Context"], "Job | Awaitable[Job]"]
"""Given by the engine. Raises `BideError` when it can never work (the attempt fails for good),
`CodeNotLoaded` when the code is missing (the instance stays ready)."""
