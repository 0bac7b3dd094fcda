"""A DAG as a rerun plan looks at it: who makes what, who reads whose output, who waits, who asks."""

from __future__ import annotations

from collections.abc import Mapping

from bide.runtime.assets.producing import Producer, Work
from bide.runtime.graph.binding import references
from bide.runtime.graph.spec import DagSpec, Lane, TaskSpec

SHOWN = 12
"""Letters of the hash of a version that name it."""


def producer_of(spec: DagSpec, digest: str, took: Mapping[str, float] | None = None) -> Producer:
    """`digest` is the hash of this version of it; `took` says how long tasks take, in seconds."""
    took = took or {}
    return Producer(
        dag=spec.name,
        version=digest[:SHOWN],
        tasks=tuple(_work(task, took.get(task.name)) for task in spec.tasks),
    )


def _work(task: TaskSpec, seconds: float | None) -> Work:
    effect = getattr(task, "effect", None)
    return Work(
        name=task.name,
        upstream=task.upstream,
        reads=references(task),
        outlets=task.outlets if effect is None else tuple(dict.fromkeys((*task.outlets, effect.asset))),
        cost=dict(task.cost or {}),
        waits=task.lane is Lane.WAIT,
        asks=getattr(task, "approval", None) is not None,
        setup=task.setup,
        setups=task.setups,
        target="" if effect is None else effect.target,
        semantics="" if effect is None else str(effect.semantics),
        reversible=effect is None or effect.reversible,
        seconds=seconds,
    )
