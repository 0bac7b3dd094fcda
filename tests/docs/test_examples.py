"""The small examples load, and the ones that need nobody run."""

from __future__ import annotations

from pathlib import Path

import pytest

from bide import Dag, Runtime
from examples import sensors

DAGS = [found for found in vars(sensors).values() if isinstance(found, Dag)]


def test_there_is_one_for_each_sensor() -> None:
    kinds = {t.sensor.trigger for d in DAGS for t in d.spec.tasks if t.sensor is not None}
    assert kinds == {"time", "file", "http", "kafka", "external_task", "object", "python"}


async def test_all_of_them_load_together(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=DAGS) as rt:
        assert await rt.waits() == []


async def test_the_one_for_files_runs(tmp_path: Path) -> None:
    drop = Path(sensors.__file__).with_name("drop.txt")
    async with Runtime(db=tmp_path / "bide.db", dags=[sensors.wait_for_file]) as rt:
        run = await rt.trigger("wait_for_file")
        drop.write_text("there")
        try:
            assert (await run.wait(timeout=20)).state == "success"
        finally:
            drop.unlink()


@pytest.mark.slow
async def test_the_one_for_time_runs(tmp_path: Path) -> None:
    async with Runtime(db=tmp_path / "bide.db", dags=[sensors.wait_for_time]) as rt:
        run = await rt.trigger("wait_for_time")
        assert (await run.wait(timeout=20)).state == "success"
