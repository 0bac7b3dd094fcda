"""`bide assets graph | contracts | promises`: what depends on what, by which word, and whether it can be in time."""

from __future__ import annotations

from typing import Annotated

from cyclopts import App, Parameter

from bide.runtime.cli.asking import Db, Json, Most, asked
from bide.runtime.cli.output import print_json, print_table, write
from bide.runtime.errors import UsageError
from bide.runtime.service.asset_graph_shapes import ContractLine, GraphShown

_SHAPES = {
    "source": ("[(", ")]"), "reference": ("[/", "/]"), "quality_gate": ("{", "}"), "control_event": ("([", "])"),
    "external_effect": (">", "]"), "human_decision": ("{{", "}}"), "product": ("[[", "]]"),
}  # fmt: skip


def graph(
    *,
    mermaid: Annotated[bool, Parameter(negative="", help="As a picture in Mermaid's words.")] = False,
    db: Db = None,
    json: Json = False,
) -> int:
    """Show the asset graph: what each asset is, what drives it, and how versions relate over each edge."""
    if mermaid and json:
        raise UsageError("--mermaid and --json are two answers: ask for one")
    found = asked(db, lambda ops: ops.asset_graph.graph())
    if json:
        print_json(found)
        return 0
    if mermaid:
        write(picture(found))
        return 0
    nodes = [
        (
            each.asset, each.node, each.owner, each.criticality, each.grain, each.driven, ", ".join(each.made_by),
            ", ".join(f"{gate.name} ({gate.severity})" for gate in each.gates),
        )
        for each in found.assets
    ]  # fmt: skip
    heads = ("asset", "is", "owner", "criticality", "grain", "driven", "made by", "gates")
    print_table(heads, nodes, "no asset is known yet: a task makes one with outlets=[Asset(...)]")
    edges = [
        (
            each.downstream, each.upstream, each.kind, each.version, each.interval,
            "contract" if each.contract else f"read by {each.via}",
        )
        for each in found.edges
    ]  # fmt: skip
    if edges:
        write("")
        print_table(("asset", "depends on", "kind", "version", "interval", "said by"), edges, "")
    for cycle in found.cycles:
        write(f"cycle, {'of names alone' if cycle.ordered else 'of versions'}: {cycle.sentence}")
    for unit in found.too_large:
        write(f"too large: {unit.dag} makes {unit.assets} of {unit.of} assets")
    return 0


def picture(shown: GraphShown) -> str:
    """The graph as Mermaid: data flows from left to right, what only a task says is dotted."""
    numbers = {each.asset: f"a{n}" for n, each in enumerate(shown.assets)}
    lines = ["flowchart LR"]
    for each in shown.assets:
        left, right = _SHAPES.get(each.node, ("[", "]"))
        label = each.asset.replace('"', "'")
        lines.append(f'    {numbers[each.asset]}{left}"{label}"{right}')
    for edge in shown.edges:
        arrow = f"-- {edge.kind} -->" if edge.contract else "-.->"
        lines.append(f"    {numbers[edge.upstream]} {arrow} {numbers[edge.downstream]}")
    return "\n".join(lines)


def contracts(
    asset: Annotated[str | None, Parameter(help="Only of this asset, at either end.")] = None,
    /,
    *,
    limit: Most = 100_000,
    db: Db = None,
    json: Json = False,
) -> int:
    """List the contracts in force; of one asset, with the rules that follow from each result."""
    found = asked(db, lambda ops: ops.asset_graph.contracts(asset, limit))
    if json:
        print_json(found)
    elif asset is None:
        rows = [
            (each.downstream, each.upstream, each.kind, "; ".join(each.require), _said(each), each.source)
            for each in found
        ]
        heads = ("asset", "depends on", "kind", "requires", "on failure", "source")
        print_table(heads, rows, "no contract is in force: write Contract(...), or contracts/*.toml")
    else:
        for each in found:
            write(
                f"{each.downstream} on {each.upstream}: {each.kind}, {'; '.join(each.require) or 'nothing required'}"
            )
            write(
                f"  since {each.since}, {each.source or 'a program'}{f', owner {each.owner}' if each.owner else ''}"
            )
            if each.during != "always":
                write("  only in runs of backfills")
            if each.rationale:
                write(f"  {each.rationale}")
            rules = [
                (rule.result, rule.severity, rule.action, rule.level, "contract" if rule.said else "policy", rule.rationale)
                for rule in each.rules
            ]  # fmt: skip
            print_table(("result", "severity", "action", "level", "said by", "because"), rows=rules, empty="")
    return 0


def _said(each: ContractLine) -> str:
    return ", ".join(f"{rule.result}: {rule.action}" for rule in each.rules if rule.said) or "the policy"


def promises(*, limit: Most = 100_000, db: Db = None, json: Json = False) -> int:
    """Compare what producers promise with what consumers need, as schedules stand now: the slack in minutes."""
    found = asked(db, lambda ops: ops.asset_graph.promises(limit))
    if json:
        print_json(found)
        return 0
    rows = [
        (
            each.standing, each.downstream, each.upstream, each.need, each.promise,
            None if each.slack_minutes is None else f"{each.slack_minutes} min", each.at,
        )
        for each in found
    ]  # fmt: skip
    heads = ("standing", "asset", "depends on", "needs", "is promised", "slack", "least for")
    print_table(heads, rows, "no contract asks for an interval or for freshness")
    return 0


def add_to(app: App) -> None:
    """Hang the commands into `bide assets`."""
    for command in (graph, contracts, promises):
        app.command(command)
