"""Which tasks of a run a name means: one, or by `*` and `?` all that match it, such as those of a group."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.spec import Role
from bide.runtime.graph.validate import suggestion

if TYPE_CHECKING:
    from bide.runtime.engine.world import Instance, Run

LONGEST: Final = 1_000


def is_pattern(name: str) -> bool:
    """Whether it may mean several: no task has such a name.

    >>> is_pattern("extract.*"), is_pattern("extract.orders")
    (True, False)
    """
    return "*" in name or "?" in name


def named(run: Run, name: str, map_index: int | None = None) -> list[Instance]:
    """The instances that are meant, in the order of the graph, never none. Handlers are meant by their names alone."""
    if not is_pattern(name):
        return [one(run, name)]
    if len(name) > LONGEST:
        raise UsageError(
            f"a pattern of tasks has {len(name):,} characters, and may have {LONGEST:,}: name the tasks"
        )
    if map_index is not None:
        raise UsageError(f"{name}[{map_index}] is an instance of which task? an index is of one: name it")
    tasks = [inst for inst in run.instances if inst.task.role is Role.TASK]
    found = [inst for inst in tasks if fnmatchcase(inst.task.name, name)]
    if not found:
        names = _folded([inst.task.name for inst in tasks])
        raise NotFoundError(f"run {run.run_id} has no task that matches {name!r}; it has: {names}")
    return found


def one(run: Run, name: str) -> Instance:
    """The instance of a task; of a mapped one its summary."""
    ix = run.compiled.index.get(name)
    if ix is None or ix >= len(run.instances):
        instead = instead_of(name, list(run.compiled.index))
        raise NotFoundError(f"run {run.run_id} has no task {name!r}{instead}")
    return run.instances[ix]


def instead_of(name: str, known: list[str]) -> str:
    """`: did you mean 'load'?`, else the names there are."""
    return suggestion(name, known) or f"; it has: {_some(known)}"


def _folded(names: list[str]) -> str:
    """Tasks, and each outermost group as one: `extract.*`."""
    return _some(
        list(dict.fromkeys(f"{name.partition('.')[0]}.*" if "." in name else name for name in names))
    )


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:8]) or 'none'}{', ...' if len(names) > 8 else ''}"
