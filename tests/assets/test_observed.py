"""What the store says there is of an asset is enough to read what a model of the whole world reads."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from bide.runtime.assets import Asked, Version, evaluate, wanted
from bide.runtime.assets.contract import Requirement
from bide.runtime.assets.wish import Wish
from bide.runtime.store.inline import InlineWriter
from bide.runtime.store.safe_use import observed
from tests.assets.judging import GOLD, SILVER
from tests.assets.test_reading import asks, contract_of, observe, requirements, worlds


@pytest.fixture(scope="module")
def conn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    db = Path(tmp_path_factory.mktemp("observed")) / "bide.db"
    InlineWriter.open_here(db, create=True).close_here()
    with closing(sqlite3.connect(db, isolation_level=None)) as found:
        found.execute("INSERT INTO asset (asset_id, name, created_us) VALUES (1, ?, 0)", (SILVER,))
        yield found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(worlds, requirements, asks)
def test_s1_42_what_is_loaded_of_an_asset_reads_as_the_whole_world_does(
    conn: sqlite3.Connection, world: list[Version], which: Requirement, asked: Asked
) -> None:
    kept = [each for each in world if each.expires_us is None]
    conn.execute("DELETE FROM asset_version")
    conn.executemany(
        "INSERT INTO asset_version (asset_version_id, asset_id, start_us, end_us, state, created_us, label, plan_id)"
        " VALUES (?, 1, ?, ?, ?, ?, ?, ?)",
        [(v.version_id, v.start_us, v.end_us, v.state.value, v.created_us, v.label, v.plan_id) for v in kept],
    )
    spec = contract_of(which)
    want = wanted(spec, asked)
    wish = Wish(want.upstream, want.start_us, want.end_us, want.exact, asked.plan_id, downstream=GOLD)
    stored = evaluate(spec, observed(conn, wish), asked)
    whole = evaluate(spec, observe(kept, spec, asked), asked)
    assert [each.version.version_id for each in stored.use] == [each.version.version_id for each in whole.use]
    assert [issue.result for issue in stored.issues] == [issue.result for issue in whole.issues]
