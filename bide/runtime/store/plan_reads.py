"""What a rerun plan reads of the database: what is affected, as it is now, and who makes it; and plans, as kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.assets.asset import AssetSpec
from bide.runtime.assets.blast import BlastRadius
from bide.runtime.assets.catalog import Catalog, Held
from bide.runtime.assets.contract import ContractSpec
from bide.runtime.assets.plan import Known
from bide.runtime.assets.producing import Producer
from bide.runtime.assets.rerun import WHOLE
from bide.runtime.assets.words import VersionState
from bide.runtime.graph.facts import RERUN
from bide.runtime.graph.spec import DagSpec
from bide.runtime.graph.works import producer_of
from bide.runtime.store import spreading
from bide.runtime.store.asset_reads import producers as makers
from bide.runtime.store.rows import in_one

RUNS: Final = 20
"""Of a DAG so many of its last runs that succeeded say how long its tasks take."""
_VISIBLE: Final = "('published', 'stale', 'degraded')"
_IDS: Final = "SELECT value FROM json_each(?)"


_OF_ITS_INTERVAL: Final = (
    "INDEXED BY asset_version_span ON {0}.asset_id = {1}.asset_id AND {0}.start_us = {1}.start_us"
    " AND {0}.end_us = {1}.end_us"
)


class _Read(msgspec.Struct, frozen=True, array_like=True):
    pass


class PlanRead(_Read, frozen=True):
    """A plan; `spec` is JSON."""

    plan_id: int
    invalidation_id: int | None
    asset: str | None
    hash: str
    spec: str
    risk: str
    requires_approval: int
    state: str
    created_us: int
    started_us: int | None
    ended_us: int | None
    reason: str
    approval_id: int | None
    """Of the one that is open."""


class StepRead(_Read, frozen=True):
    step: int
    state: str
    run_id: int | None
    reason: str
    run_state: str | None
    run_reason: str | None


_PLANS: Final = (
    "SELECT p.plan_id, p.invalidation_id, a.name, p.hash, p.spec, p.risk, p.requires_approval, p.state, p.created_us,"
    " p.started_us, p.ended_us, p.reason, (SELECT approval_id FROM approval WHERE kind = 'plan'"
    " AND subject_id = p.plan_id AND state = 'open') FROM rerun_plan p LEFT JOIN invalidation USING (invalidation_id)"
    " LEFT JOIN asset a USING (asset_id)"
)


def plans(conn: sqlite3.Connection, limit: int, before: int = 2**63 - 1) -> list[PlanRead]:
    """The newest first."""
    return in_one(
        conn, PlanRead, f"{_PLANS} WHERE p.plan_id < ? ORDER BY p.plan_id DESC LIMIT ?", (before, limit)
    )


def plan(conn: sqlite3.Connection, plan_id: int) -> PlanRead | None:
    row = conn.execute(f"{_PLANS} WHERE p.plan_id = ?", (plan_id,)).fetchone()
    return typed.convert(row, PlanRead) if row else None


def steps(conn: sqlite3.Connection, plan_id: int) -> list[StepRead]:
    """In their order; none of a plan that has not been run."""
    return in_one(
        conn,
        StepRead,
        "SELECT s.step, s.state, s.run_id, s.reason, r.state, r.reason FROM rerun_step s LEFT JOIN run r USING (run_id)"
        " WHERE s.plan_id = ? ORDER BY s.step",
        (plan_id,),
    )


def step_of_run(conn: sqlite3.Connection, run_id: int) -> tuple[int, int, str] | None:
    """(plan, place of the step, its state) of a run that is a step of a plan."""
    found = conn.execute("SELECT plan_id, step, state FROM rerun_step WHERE run_id = ?", (run_id,)).fetchone()
    return None if found is None else (found[0], found[1], found[2])


def counts(conn: sqlite3.Connection, plan_id: int) -> dict[str, int]:
    """State -> how many steps."""
    sql = "SELECT state, count(*) FROM rerun_step WHERE plan_id = ? GROUP BY state"
    return dict(conn.execute(sql, (plan_id,)).fetchall())


# --- what a plan is made of ----------------------------------------------------------------------


def catalog_of(conn: sqlite3.Connection, assets: Iterable[str]) -> Catalog:
    """What is declared of these assets, and the contracts among them."""
    catalog = Catalog()
    names = _json(sorted(set(assets)))
    for name, spec in conn.execute(
        f"SELECT name, spec FROM asset WHERE spec <> '{{}}' AND name IN ({_IDS})", (names,)
    ):
        catalog.assets[name] = typed.decode(spec, AssetSpec)
    for contract_id, spec, source in conn.execute(
        "SELECT contract_id, spec, source FROM contract WHERE ended_us IS NULL AND downstream_id IN"
        f" (SELECT asset_id FROM asset WHERE name IN ({_IDS}))",
        (names,),
    ):
        catalog.put(Held(contract_id, typed.decode(spec, ContractSpec), source))
    return catalog


def with_wrong_inputs(conn: sqlite3.Connection, radius: BlastRadius) -> BlastRadius:
    """The radius, and what else is wrong of what its versions read, by other invalidations, and was not replaced.

    What is made anew reads what there is now for the intervals that its inputs were of: their contracts would not let
    it be seen.
    """
    seen = {node.version_id for node in radius.nodes}
    edge = sorted(node.version_id for node in radius.nodes if node.state is not VersionState.SUPERSEDED)
    more: list[int] = []
    while edge:
        found = {
            version
            for (version,) in conn.execute(
                "SELECT DISTINCT v.asset_version_id FROM json_each(?) f"
                " CROSS JOIN asset_input i ON i.asset_version_id = f.value"
                " CROSS JOIN asset_version r ON r.asset_version_id = i.input_id"
                f" CROSS JOIN asset_version v {_OF_ITS_INTERVAL.format('v', 'r')} AND v.state = 'invalidated'"
                " WHERE NOT EXISTS (SELECT 1 FROM asset_version n"
                f" {_OF_ITS_INTERVAL.format('n', 'v').replace(' ON ', ' WHERE ')}"
                f" AND n.asset_version_id > v.asset_version_id AND n.state IN {_VISIBLE})",
                (_json(edge),),
            )
        }
        edge = sorted(found - seen)
        seen.update(edge)
        more += edge
    if not more:
        return radius
    nodes = (*radius.nodes, *spreading.newest_hits(conn, sorted(more)))
    return msgspec.structs.replace(radius, nodes=tuple(sorted(nodes, key=lambda node: node.version_id)))


def known(conn: sqlite3.Connection, radius: BlastRadius, catalog: Catalog) -> Known:
    """What is affected, as it is now: its states, what was made of what, who makes it."""
    ids = [node.version_id for node in radius.nodes]
    numbers = _json(ids)
    affected = set(ids)
    states = {
        version: VersionState(state)
        for version, state in conn.execute(
            f"SELECT asset_version_id, state FROM asset_version WHERE asset_version_id IN ({_IDS})",
            (numbers,),
        )
    }
    edges = tuple(
        (version, read)
        for version, read in conn.execute(
            "SELECT i.asset_version_id, i.input_id FROM json_each(?) f"
            " CROSS JOIN asset_input i ON i.asset_version_id = f.value",
            (numbers,),
        )
        if read in affected
    )
    reads = tuple(
        (version, read)
        for version, read in conn.execute(
            "SELECT DISTINCT i.asset_version_id, v.asset_version_id FROM json_each(?) f"
            " CROSS JOIN asset_input i ON i.asset_version_id = f.value"
            " CROSS JOIN asset_version r ON r.asset_version_id = i.input_id"
            f" CROSS JOIN asset_version v {_OF_ITS_INTERVAL.format('v', 'r')}"
            " WHERE v.asset_version_id <> r.asset_version_id",
            (numbers,),
        )
        if read in affected
    )
    assets = frozenset(radius.assets)
    made_by: dict[str, tuple[str, ...]] = {}
    for asset, place in makers(conn):
        dag = place.rsplit(".", 1)[0]
        if asset in assets and dag not in made_by.get(asset, ()):
            made_by[asset] = (*made_by.get(asset, ()), dag)
    dags = {dag for found in made_by.values() for dag in found}
    producers, defaults = _producers(conn, dags)
    return Known(
        states=states,
        edges=edges,
        reads=reads,
        instead=_instead(conn, radius, catalog, numbers),
        history=_history(conn, assets),
        producers=producers,
        made_by=made_by,
        params=_params(conn, radius, defaults),
    )


def _instead(conn: sqlite3.Connection, radius: BlastRadius, catalog: Catalog, numbers: str) -> dict[int, int]:
    """Version -> the newest that consumers see in its place: of its interval, or of what has no intervals."""
    found: dict[int, int] = dict(
        conn.execute(
            "SELECT v.asset_version_id, max(n.asset_version_id) FROM json_each(?) f"
            " CROSS JOIN asset_version v ON v.asset_version_id = f.value"
            " CROSS JOIN asset_version n INDEXED BY asset_version_span ON n.asset_id = v.asset_id"
            " AND n.start_us = v.start_us AND n.end_us = v.end_us"
            f" WHERE n.asset_version_id > v.asset_version_id AND n.state IN {_VISIBLE} GROUP BY 1",
            (numbers,),
        ).fetchall()
    )
    whole = {node.asset for node in radius.nodes if catalog.asset(node.asset).output in WHOLE}
    for asset in whole:
        (newest,) = conn.execute(
            "SELECT max(asset_version_id) FROM asset_version WHERE asset_id ="
            f" (SELECT asset_id FROM asset WHERE name = ?) AND state IN {_VISIBLE}",
            (asset,),
        ).fetchone()
        found |= {
            node.version_id: newest
            for node in radius.nodes
            if node.asset == asset and newest is not None and newest > node.version_id
        }
    return found


def _history(conn: sqlite3.Connection, assets: Iterable[str]) -> dict[str, int]:
    """Asset -> how many intervals of it there are, wrong ones included."""
    return dict(
        conn.execute(
            "SELECT a.name, (SELECT count(DISTINCT v.start_us) FROM asset_version v WHERE v.asset_id = a.asset_id"
            f" AND v.state IN ('invalidated', {_VISIBLE[1:]}) FROM asset a WHERE a.name IN ({_IDS})",
            (_json(sorted(assets)),),
        ).fetchall()
    )


def _producers(
    conn: sqlite3.Connection, dags: Iterable[str]
) -> tuple[dict[str, Producer], dict[str, dict[str, Any]]]:
    """The DAGs as they are now, and the parameters that each has by itself."""
    producers: dict[str, Producer] = {}
    defaults: dict[str, dict[str, Any]] = {}
    for dag_id, digest, spec in conn.execute(
        "SELECT d.dag_id, v.hash, v.spec FROM dag d JOIN dag_version v ON v.version_id = d.version_id"
        f" WHERE d.name IN ({_IDS})",
        (_json(sorted(dags)),),
    ).fetchall():
        graph = typed.decode(spec, DagSpec)
        producers[graph.name] = producer_of(graph, digest, _took(conn, dag_id))
        defaults[graph.name] = graph.params
    return producers, defaults


def _took(conn: sqlite3.Connection, dag_id: int) -> dict[str, float]:
    """Task -> seconds, the mean of its last runs."""
    return {
        task: took / 1_000_000
        for task, took in conn.execute(
            "SELECT i.task, total(a.ended_us - a.started_us) / count(DISTINCT i.run_id) FROM (SELECT run_id FROM run"
            " INDEXED BY run_of_dag WHERE dag_id = ? AND state = 'success' ORDER BY run_id DESC LIMIT ?) r"
            " JOIN task_instance i USING (run_id) JOIN attempt a ON a.attempt_id = i.attempt_id"
            " WHERE a.state = 'success' GROUP BY i.task",
            (dag_id, RUNS),
        )
    }


def _params(
    conn: sqlite3.Connection, radius: BlastRadius, defaults: dict[str, dict[str, Any]]
) -> dict[int, dict[str, Any]]:
    """Version -> the parameters of the run that made it, where they were not the DAG's own."""
    runs = sorted({node.run_id for node in radius.nodes if node.run_id is not None})
    said = {
        run: {key: value for key, value in msgspec.json.decode(params).items() if key != RERUN}
        for run, params in conn.execute(
            f"SELECT run_id, params FROM run WHERE run_id IN ({_IDS}) AND params <> '{{}}'", (_json(runs),)
        )
    }
    return {
        node.version_id: said[node.run_id]
        for node in radius.nodes
        if node.run_id in said and said[node.run_id] != defaults.get(node.dag, {})
    }


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
