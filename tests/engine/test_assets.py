"""Assets in the engine: a success records versions, and consumers make runs of them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from bide import Asset, OnAssets
from tests.engine.declare import HOUR_US, job
from tests.engine.scene import T0, Scene

A, B, C = Asset("a"), Asset("b"), Asset("c")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db", slots=50)
    yield made
    made.close()


def producer(scene: Scene, *names: str) -> None:
    """A DAG a name that makes the asset of that name, started by hand."""
    for name in names:
        scene.dag(f"make_{name}", job(f"make_{name}", outlets=(name,)))


def makes(scene: Scene, name: str, hour: int, hours: int = 1) -> None:
    """A run of the producer succeeds, for an interval of so many hours."""
    from bide.runtime.engine.messages import Command  # noqa: F401

    scene.trigger(f"make_{name}", logical_us=T0 + hour * HOUR_US, new=True)
    scene.end(f"make_{name}")


def made_of(scene: Scene, dag: str) -> list[list[int]]:
    """The versions each run of a DAG is made of, in the order of its runs."""
    rows = scene._rows(
        "SELECT r.run_id, group_concat(t.asset_version_id) FROM run r JOIN dag d USING (dag_id)"
        " LEFT JOIN run_trigger t ON t.run_id = r.run_id AND used = 1"
        " WHERE d.name = ? GROUP BY r.run_id ORDER BY r.run_id",
        dag,
    )
    return [[int(each) for each in (versions or "").split(",") if each] for _, versions in rows]


def test_s3_25_b31_a_success_records_a_version_and_its_consumer_runs_in_the_same_turn(scene: Scene) -> None:
    producer(scene, "a")
    scene.dag("mart", job("t"), schedule=OnAssets(A, consume="each"))
    scene.trigger("make_a", logical_us=T0)
    turns = scene.turns
    scene.end("make_a")
    assert scene.going == ["t"]
    assert scene.turns == turns + 1
    [(version, start, end, run)] = scene._rows(
        "SELECT asset_version_id, start_us, end_us, run_id FROM asset_version"
    )
    assert (version, start, end, run) == (1, T0, T0, 1)
    assert made_of(scene, "mart") == [[1]]
    scene.end("t")
