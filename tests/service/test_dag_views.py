"""Pictures of DAGs: at a glance, and their runs task by task."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide.runtime.errors import NotFoundError
from bide.runtime.service.dag_views import DagViews
from bide.runtime.service.operations import AtOnce
from bide.runtime.store.reader import Reader
from tests.service.test_operations import FixedClock


async def test_the_grid_has_the_newest_runs_first_and_a_word_for_each_task(db: Path) -> None:
    with Reader(db) as reader:
        grid = await DagViews(AtOnce(reader), FixedClock(), None).grid("etl")
    names = [each.task for each in grid.tasks]
    of = [dict(zip(names, (grid.words[each] for each in run.states), strict=True)) for run in grid.runs]
    assert [(run.run_id, run.state) for run in grid.runs] == [
        ("3", "failed"),
        ("2", "running"),
        ("1", "success"),
    ]
    assert of[0] == dict(zip(names, ("success", "failed", "upstream_failed"), strict=True))
    assert set(of[2].values()) == {"success"}
    assert grid.runs[0].attempts == (0, 1, 0)


async def test_the_grid_is_read_page_by_page(db: Path) -> None:
    with Reader(db) as reader:
        views = DagViews(AtOnce(reader), FixedClock(), None)
        assert [run.run_id for run in (await views.grid("etl", 1)).runs] == ["3"]
        assert [run.run_id for run in (await views.grid("etl", 5, "3")).runs] == ["2", "1"]


async def test_a_dag_that_is_not_there_is_named_with_one_that_is(db: Path) -> None:
    with Reader(db) as reader, pytest.raises(NotFoundError, match="etl"):
        await DagViews(AtOnce(reader), FixedClock(), None).grid("etll")


async def test_cards_have_the_last_runs_and_follow_by_name(db: Path) -> None:
    with Reader(db) as reader:
        views = DagViews(AtOnce(reader), FixedClock(), None)
        cards = await views.cards()
        assert [(card.dag, [run.run_id for run in card.recent]) for card in cards] == [
            ("etl", ["3", "2", "1"])
        ]
        assert cards[0].open_runs == 1
        assert await views.cards(10, "etl") == []
        assert await views.not_loaded() == []
