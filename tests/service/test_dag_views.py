"""Pictures of DAGs: at a glance, and their runs task by task."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path

import pytest

from bide import Cron, dag
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.dag_views import DagViews
from bide.runtime.service.operations import AtOnce
from bide.runtime.store.reader import Reader
from bide.sensors import TimeSensor
from bide.testing import SimRuntime
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


@dag(schedule=Cron("0 6 * * *"), catchup="all", catchup_cap=2, max_active_runs=1)
def daily() -> None:
    """Fires at six."""
    TimeSensor("later", delta=timedelta(hours=30))


@dag(schedule=Cron("0 6 * * *"), catchup="all", catchup_cap=2, max_active_runs=1, name="daily")
def more() -> None:
    """Fires at six."""
    TimeSensor("later", delta=timedelta(hours=31)) >> TimeSensor("last", delta=timedelta(hours=32))


async def test_the_calendar_says_what_became_of_each_firing(
    sim_runtime: Callable[..., AbstractAsyncContextManager[SimRuntime]],
) -> None:
    """It was away from the 2nd to the 5th: of what was missed two are run later, one by one, the others are not."""
    async with sim_runtime(dags=[daily], start="2026-03-01T05:00") as rt:
        await rt.clock.advance(timedelta(hours=2))
    async with sim_runtime(dags=[daily], start="2026-03-05T09:00") as rt:
        await rt.clock.advance(timedelta(minutes=1))
        views = rt.operations.dag_views
        found = await views.firings("daily", "2026-03-01", "2026-03-08")
        told = [(line.fires_at[8:10], line.what, line.run_id) for line in found]
        assert told == [
            ("01", "fired", "1"),
            ("02", "missed", None),
            ("03", "missed", None),
            ("04", "caught_up", "2"),
            ("05", "catching_up", None),
            ("06", "due", None),
            ("07", "due", None),
        ]
        assert found[1].reason == "missed, and more than its catchup_cap of 2"
        assert found[3].delay_s == timedelta(days=1, hours=3).total_seconds()
        days = (await views.calendar("daily", "2026-03-01", "2026-03-08")).days
        assert [(day.day[8:], day.counts) for day in days] == [(day, {what: 1}) for day, what, _ in told]
        with pytest.raises(UsageError, match="choose another span"):
            await views.calendar("daily", "2026-03-08", "2026-03-01")


async def test_versions_are_kept_with_their_graphs(
    sim_runtime: Callable[..., AbstractAsyncContextManager[SimRuntime]],
) -> None:
    async with sim_runtime(dags=[daily], start="2026-03-01T05:00"):
        pass
    async with sim_runtime(dags=[more], start="2026-03-01T05:10") as rt:
        views = rt.operations.dag_views
        newest, oldest = await views.versions("daily")
        assert (newest.current, newest.tasks, oldest.current, oldest.tasks) == (True, 2, False, 1)
        graph = (await views.version("daily", oldest.version)).graph
        assert [task["name"] for task in graph["tasks"]] == ["later"]
        with pytest.raises(NotFoundError, match="no version 99"):
            await views.version("daily", "99")
