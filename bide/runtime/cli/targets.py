"""A TARGET, `file.py[:dag]` or `module[:dag]`, as the one DAG it means."""

from __future__ import annotations

from pathlib import Path

from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.load import load_target


def one_dag(target: str) -> Dag:
    """The DAG of a target; `UsageError` when it holds several and names none."""
    if not target.partition(":")[0]:
        raise UsageError("which DAG? name its file, as pipeline.py, or its module")
    if Path(target.partition(":")[0]).is_dir():
        raise UsageError(f"{target!r} is a folder: name a file in it, as {Path(target) / 'pipeline.py'}")
    found = load_target(target)
    if not found:
        raise NotFoundError(
            f"{target!r} declares no DAG: decorate a function with @dag, and call it or name it"
        )
    if len(found) > 1:
        names = ", ".join(dag.name for dag in found)
        raise UsageError(
            f"{target!r} declares {len(found)} DAGs ({names}): say which, as {target}:{found[0].name}"
        )
    return found[0]
