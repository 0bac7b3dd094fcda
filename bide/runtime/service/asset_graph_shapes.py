"""The JSON of the asset graph, of contracts and of promises: keys are stable, instants ISO 8601 in UTC."""

from __future__ import annotations

from bide.runtime.service.said_words import Instant
from bide.runtime.service.shapes import _Shape


class GateLine(_Shape, frozen=True):
    """A quality gate of an asset."""

    name: str
    severity: str
    owner: str


class NodeLine(_Shape, frozen=True):
    """An asset. `made_by` are `dag.task`, `read_by` those and DAGs; `driven` is how it comes to be made."""

    asset: str
    node: str
    owner: str
    criticality: str
    grain: str | None
    output: str
    driven: str
    made_by: tuple[str, ...]
    read_by: tuple[str, ...]
    gates: tuple[GateLine, ...]


class LinkLine(_Shape, frozen=True):
    """An edge: how the version that is made relates to the one that is read; `via` a file, or `dag.task`."""

    downstream: str
    upstream: str
    kind: str
    contract: bool
    version: str
    interval: str
    publication: str
    via: str


class CycleLine(_Shape, frozen=True):
    """A cycle of names; `ordered`: going round it leads to an older version, so nothing waits for itself."""

    assets: tuple[str, ...]
    ordered: bool
    sentence: str


class UnitLine(_Shape, frozen=True):
    """A DAG that makes too much of the whole graph."""

    dag: str
    assets: int
    of: int


class GraphShown(_Shape, frozen=True):
    assets: tuple[NodeLine, ...]
    edges: tuple[LinkLine, ...]
    cycles: tuple[CycleLine, ...]
    too_large: tuple[UnitLine, ...]


class RuleLine(_Shape, frozen=True):
    """What follows from a result: `said` by the contract, else by the default policy."""

    result: str
    severity: str
    action: str
    level: str
    said: bool
    rationale: str


class ContractLine(_Shape, frozen=True):
    """A contract that is in force."""

    contract: str
    downstream: str
    upstream: str
    kind: str
    require: tuple[str, ...]
    rules: tuple[RuleLine, ...]
    rationale: str
    during: str
    owner: str
    source: str
    since: Instant

    @property
    def place(self) -> str:
        """By which they are read page by page."""
        return f"{self.downstream}\n{self.upstream}"


class PromiseLine(_Shape, frozen=True):
    """A producer's promise against a consumer's need. `slack_minutes` is null where it cannot be told."""

    downstream: str
    upstream: str
    what: str
    standing: str
    promise: str
    need: str
    slack_minutes: int | None
    at: str
    producer: str
    consumer: str
    sentence: str

    @property
    def place(self) -> str:
        """By which they are read page by page."""
        return f"{self.downstream}\n{self.upstream}\n{self.what}"
