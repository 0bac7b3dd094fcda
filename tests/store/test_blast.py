"""The store's frontiers: the same blast radius as from memory, and never more of the graph than it is about."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.rows.blast import generated
from bide.runtime.assets import AssetSpec, BlastRadius, SchemaCompat
from bide.runtime.assets.words import Edge, Node, Severity
from bide.runtime.store.blast import Versions as Stored
from bide.runtime.store.open import open_database
from tests.assets.test_spreading import DAY as SHORT
from tests.assets.test_spreading import History
from tests.assets.world_of_versions import DAY, Versions, wrong
from tests.engine.versions_stored import store


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with nothing in it."""
    path = tmp_path_factory.mktemp("store") / "bide.db"
    open_database(path, create=True).close()
    return path


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    conn = open_database(tmp_path / "bide.db", create=True)
    yield conn
    conn.close()


def in_memory(empty: Path) -> sqlite3.Connection:
    conn = sqlite3.connect(":memory:", isolation_level=None)
    with closing(sqlite3.connect(empty)) as there:
        there.backup(conn)
    return conn


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    shuffled=st.booleans(),
    away=st.integers(-8 * SHORT, 8 * SHORT),
    length=st.sampled_from((1, SHORT, 31 * SHORT)),
)
def test_b43_d8_the_radius_from_the_database_is_the_one_from_memory(
    empty: Path, seed: int, shuffled: bool, away: int, length: int
) -> None:
    history = History(seed, 60, shuffled)
    root = wrong("a0", (history.near + away, history.near + away + length))
    expected = history.world.blast(root)
    conn = in_memory(empty)
    store(conn, history.world)
    assert Stored(conn).blast(root) == expected
    conn.close()


def chain(n: int) -> Versions:
    """`n` days of a, b made of a and c of b, day by day."""
    world = Versions(AssetSpec("b", owner="bob"), AssetSpec("c", node=Node.PRODUCT))
    world.contract("c", "b", severity={})
    for day in range(n):
        a = world.make("a", (day * DAY, day * DAY + DAY))
        b = world.make("b", (day * DAY, day * DAY + DAY), a)
        world.make("c", (day * DAY, day * DAY + DAY), b, kind=Edge.INTERVAL_MATCH)
    return world


def blast(conn: sqlite3.Connection, day: int) -> BlastRadius:
    return Stored(conn).blast(wrong("a", (day * DAY, day * DAY + DAY)))


def test_b43_only_frontiers_are_read_never_the_whole_graph(conn: sqlite3.Connection) -> None:
    store(conn, chain(2000))
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    assert [node.asset for node in blast(conn, 1000).nodes] == ["a", "b", "c"]
    conn.set_progress_handler(step, 100)
    blast(conn, 1000)
    conn.set_progress_handler(None, 0)
    assert steps < 60  # of 100 steps of the virtual machine each: 6,000 versions are not looked at


def test_s1_19_a_schema_that_broke_since_is_found_from_the_stored_schemas(conn: sqlite3.Connection) -> None:
    world = chain(2)
    world.contract("b", "a", Edge.INTERVAL_MATCH, SchemaCompat("backward"))
    store(conn, world)
    asset = conn.execute("SELECT asset_id FROM asset WHERE name = 'a'").fetchone()[0]
    for number, said in enumerate(('{"id": "int64"}', '{"id": "string"}'), 1):
        conn.execute("INSERT INTO asset_schema VALUES (?, ?, ?, ?, 0)", (number, asset, str(number), said))
    conn.execute("UPDATE asset_version SET schema_id = 1 WHERE asset_version_id = 1")
    conn.execute("UPDATE asset_version SET schema_id = 2 WHERE asset_version_id = 4")
    old, new = (blast(conn, day).nodes[1].decision for day in (0, 1))
    assert (old.severity, new.severity) == (Severity.CRITICAL, Severity.MAJOR)
    assert "schema has changed since and is not compatible" in old.reason


def test_s1_21_a_source_that_nothing_makes_is_followed_by_contracts_and_inlets(
    conn: sqlite3.Connection,
) -> None:
    world = chain(3)
    world.contract("a", "source.case_db", offset=-DAY)
    store(conn, world)
    radius = Stored(conn).blast(wrong("source.case_db", (0, DAY)))
    assert [(node.asset, node.start_us // DAY, node.via) for node in radius.nodes] == [
        ("a", 1, 0),
        ("b", 1, 4),
        ("c", 1, 5),
    ]
    conn.execute(
        "INSERT INTO dag (dag_id, name, version_id, schedule, options) VALUES (1, 'd', NULL, '{}', '{}')"
    )
    spec = '{"name":"d","tasks":[{"name":"t","inlets":["lake"],"outlets":["c"]}]}'
    conn.execute(
        "INSERT INTO dag_version (version_id, dag_id, hash, spec, created_us) VALUES (1, 1, 'h', ?, 0)",
        (spec,),
    )
    conn.execute("UPDATE dag SET version_id = 1")
    conn.execute("INSERT INTO asset (name, created_us) VALUES ('lake', 0)")
    radius = Stored(conn).blast(wrong("lake", (0, DAY)))
    assert [(node.asset, node.version_id) for node in radius.nodes] == [("c", 3)]


def test_b43_a_generated_graph_of_ten_layers_agrees_with_a_plain_walk_over_its_inputs(tmp_path: Path) -> None:
    path, _ = generated(100, tmp_path, days=30)
    conn = sqlite3.connect(path)
    root = wrong("layer0.asset1", (10 * DAY, 13 * DAY))
    walked = {
        number
        for (number,) in conn.execute(
            "WITH RECURSIVE hit (id) AS (SELECT asset_version_id FROM asset_version WHERE asset_id = 2 AND start_us >= ?"
            " AND end_us <= ? UNION SELECT i.asset_version_id FROM hit JOIN asset_input i ON i.input_id = hit.id)"
            " SELECT id FROM hit",
            (root.start_us, root.end_us),
        )
    }
    nodes = Stored(conn).blast(root).nodes
    assert {node.version_id for node in nodes} == walked
    assert len(nodes) > 100
    conn.close()
