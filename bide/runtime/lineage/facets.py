"""bide's own facets: what the standard ones have no word for. `schemas/facets.json` is their JSON schema.

An interval is not a name, a gate's severity and its expected value are no assertion, and a version has
eleven states. Keys begin with `bide_`, as the standard asks of facets of others.
"""

from __future__ import annotations

from typing import Any, Final

import attr
from openlineage.client.facet_v2 import DatasetFacet, RunFacet

SCHEMA: Final = "urn:bide:openlineage:facets:1"
"""The `$id` of the schema that ships with bide."""


def _of(name: str) -> str:
    return f"{SCHEMA}#/$defs/{name}"


@attr.define
class IntervalFacet(DatasetFacet):
    """The data interval [start, end) of a version, and how it was read: the kind of the edge."""

    start: str
    end: str
    edge: str | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return _of("IntervalFacet")


@attr.define
class GatesFacet(DatasetFacet):
    """What the quality gates of a version found, with how bad it is."""

    gates: list[dict[str, Any]]

    @staticmethod
    def _get_schema() -> str:
        return _of("GatesFacet")


@attr.define
class StateFacet(DatasetFacet):
    """A version has moved from one state to another, and why."""

    was: str
    now: str
    reason: str

    @staticmethod
    def _get_schema() -> str:
        return _of("StateFacet")


@attr.define
class BideRunFacet(RunFacet):
    """Where bide's own record of it is: the numbers of its run and attempt, the code it ran."""

    run_id: str
    kind: str
    code: str
    attempt_id: str | None = attr.field(default=None)
    attempt: int | None = attr.field(default=None)
    map_index: int | None = attr.field(default=None)
    state: str | None = attr.field(default=None)

    @staticmethod
    def _get_schema() -> str:
        return _of("BideRunFacet")
