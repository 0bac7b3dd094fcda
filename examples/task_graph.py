"""A graph in one sentence, with what happens when a part of it fails.

bide run examples/task_graph.py                                   all goes well
bide run examples/task_graph.py --param broken=\\"parse\\"           one handler, then the clean-up, once
"""

from __future__ import annotations

from typing import Any

from bide import Context, Failure, TaskChain, TaskGraphBuilder, call


async def step(name: str, ctx: Context) -> str:
    """Any step of this graph. It fails when the run's parameters say so."""
    if name == ctx.params["broken"]:
        raise ValueError(f"{name} cannot go on")
    return name


async def alert(failure: Failure) -> str:
    """Is told which task failed, with what, and at which attempt."""
    return f"{failure.task} failed at attempt {failure.attempt}: {failure.error}"


async def clean_up(staged: str | None, failures: list[Failure]) -> list[str]:
    """Once for the whole graph, when all else has ended; `staged` is None if that step never ran."""
    return [f"{each.task} broke, staged: {staged}" for each in failures]


async def announce(saved: str) -> str:
    return f"{saved} and done"


def named(name: str) -> Any:
    return call(step, name).options(name=name)


fetch, stage, save = named("fetch"), named("stage"), named("save")
page = call(alert).options(name="page")

etl = (
    TaskGraphBuilder("task_graph", params={"broken": ""}, on_success=call(announce, save))
    .add(fetch, on_failure=call(alert))
    # the two chains begin on their own: the cursor keeps both ends, and `then` waits for both
    .add_chain(TaskChain(named("parse"), stage, on_any_failure=page), depends_on=[fetch])
    .add_chain(TaskChain(named("rates"), named("convert"), on_any_failure=page), depends_on=None)
    .then(save)
    .build(on_all_failed=call(clean_up, stage))
)
