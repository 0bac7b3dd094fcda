"""Set-ups and tear-downs: what makes something others need, and what takes it away again.

A tear-down starts when every task of its scope has ended, however, and one of its set-ups had
succeeded. The scope is what stands below a set-up and above the tear-down.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import Body, Node
from bide.runtime.graph.spec import TriggerRule

_EARLY = frozenset({TriggerRule.ONE_SUCCESS, TriggerRule.ONE_FAILED, TriggerRule.ALWAYS})


def mark_setup(node: Node) -> None:
    if node.fields.get("teardown"):
        raise GraphError(f"the task {node.name!r} is a tear-down, and cannot be a set-up as well")
    node.fields = {**node.fields, "setup": True}


def mark_teardown(node: Node, setups: Iterable[Node], fails_run: bool | None) -> None:
    """Make `node` the tear-down of `setups`, which it stands after."""
    given = list(setups)
    for setup in given:
        mark_setup(setup)
        node.after(setup)
    fields: dict[str, Any] = {**node.fields, "teardown": True}
    if given:
        fields["setups"] = (*fields.get("setups", ()), *(setup.name for setup in given))
    if fails_run is not None:
        fields["fails_run"] = fails_run
    node.fields = fields


def settle(body: Body) -> None:
    """Give each tear-down of a body its rule, its set-ups and the edges that hold it back."""
    teardowns = [node for node in body.nodes.values() if node.fields.get("teardown")]
    if not teardowns:
        return
    below: dict[str, list[Node]] = {}
    for node in body.nodes.values():
        for up in node.upstream:
            below.setdefault(up, []).append(node)
    for node in teardowns:
        _settle(body, node, below)


def _settle(body: Body, node: Node, below: dict[str, list[Node]]) -> None:
    fields: dict[str, Any] = dict(node.fields)
    if fields.get("setup"):
        raise GraphError(f"the task {node.name!r} is a set-up, and cannot be a tear-down as well")
    if fields.get("rule", TriggerRule.ALL_DONE) is not TriggerRule.ALL_DONE:
        raise GraphError(
            f"the tear-down {node.name!r} has the trigger rule {fields['rule'].value}: leave it out, "
            "a tear-down starts when all its upstreams have ended"
        )
    fields["rule"] = TriggerRule.ALL_DONE
    if not fields.get("setups"):
        fields["setups"] = tuple([up for up in node.upstream if body.nodes[up].fields.get("setup")])
    node.fields = fields
    for each in _scope(body, node, fields["setups"], below):
        # its rule does not wait for all above it: so the tear-down does
        if each.fields.get("rule") in _EARLY:
            for up in each.upstream:
                node.after(body.nodes[up])


def _scope(body: Body, node: Node, setups: tuple[str, ...], below: dict[str, list[Node]]) -> list[Node]:
    """What stands below a set-up and above the tear-down."""
    lower: set[str] = set()
    edge = [each for setup in setups for each in below.get(setup, ())]
    while edge:
        each = edge.pop()
        if each.name not in lower:
            lower.add(each.name)
            edge += below.get(each.name, ())
    upper: set[str] = set()
    names = list(node.upstream)
    while names:
        name = names.pop()
        if name not in upper:
            upper.add(name)
            names += body.nodes[name].upstream
    return [body.nodes[name] for name in body.nodes if name in lower and name in upper]
