"""Which of the declared hooks concern a runtime: those it is given, or those of and beside its DAGs' files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from bide.runtime.assets.declarations import Sources
from bide.runtime.errors import GraphError
from bide.runtime.graph.dag import Dag
from bide.runtime.hooks.hook import CloudEvents, HookSpec, Webhook


def given_hooks(hooks: Iterable[Webhook | CloudEvents]) -> dict[str, HookSpec]:
    """By name; two of one name are a `GraphError`."""
    found: dict[str, HookSpec] = {}
    for hook in hooks:
        if found.setdefault(hook.spec.name, hook.spec) != hook.spec:
            raise GraphError(f"there are two hooks named {hook.spec.name!r}: rename one")
    return found


def hooks_for(dags: Iterable[Dag], sources: Sources) -> dict[str, HookSpec]:
    """The hooks that start one of these DAGs, or stand in or beside one of their files; the first of a name.

    Of a file that is gone nothing counts.
    """
    dags = list(dags)
    names = {dag.name for dag in dags}
    near = {dag.folder for dag in dags if dag.folder is not None}
    found: dict[str, HookSpec] = {}
    for source, said in sources.items():
        for hook in said.hooks.values():
            place = Path(source)
            if source and place.is_absolute() and not place.exists():
                continue
            starts = any(route.dag in names for route in hook.routes)
            if starts or (source and place.parent in near):
                found.setdefault(hook.name, hook)
    return found
