"""Hooks that could never make a run as they stand: said before the first delivery is refused for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bide.runtime.graph.dag import Dag
from bide.runtime.graph.lint import Warn
from bide.runtime.graph.params import required, schema_of
from bide.runtime.graph.validate import suggestion
from bide.runtime.hooks.hook import HookSpec, RouteSpec


def hook_findings(hooks: Mapping[str, HookSpec], dags: Sequence[Dag]) -> list[Warn]:
    """Routes to DAGs that are none of these, or with parameters that do not fit theirs."""
    named = {dag.name: dag for dag in dags}
    found: list[Warn] = []
    for name in sorted(hooks):
        for route in hooks[name].routes:
            dag = named.get(route.dag)
            if dag is None:
                near = suggestion(route.dag, named)
                said = f"the hook {name!r} starts the DAG {route.dag!r}, which is none of these{near}: its deliveries are refused"
                found.append(Warn("hook-dag", "", "", said))
            else:
                found += [
                    Warn("hook-params", dag.name, "", f"the hook {name!r} {said}")
                    for said in _params(route, dag)
                ]
    return found


def _params(route: RouteSpec, dag: Dag) -> Iterator[str]:
    known = schema_of(dag.spec)["properties"]
    for name in sorted(route.params):
        if known and name not in known:
            near = suggestion(name, known)
            yield f"gives {dag.name!r} the parameter {name!r}, which it does not have{near}: its deliveries are refused"
    for name in required(dag.spec):
        if name not in route.params:
            yield f"gives {dag.name!r} no parameter {name!r}, which it needs: its deliveries are refused"
