"""`ctx.watermark`: moved by successes alone, and never back by a run of an earlier interval (S3-51)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Context, dag, task
from bide.runtime.clock import HOUR
from bide.runtime.engine.messages import AttemptEnded, Failure
from bide.runtime.engine.states import AttemptState
from bide.runtime.schedules import Every
from bide.testing import sim_runtime
from tests.engine.declare import job
from tests.engine.scene import T0, Scene


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path / "bide.db")
    made.dag("pull", job("read", retries=2), schedule=Every(hours=1))
    made.advance(0)
    yield made
    made.close()


def mark(scene: Scene) -> str | None:
    found = scene._rows("SELECT value FROM watermark WHERE task = 'read'")
    return str(found[0][0]) if found else None


def succeed(scene: Scene, value: str, run: int | None = None) -> None:
    scene.end("read", run=run, watermark=value.encode())


def test_s3_51_a_watermark_moves_with_a_success_and_with_nothing_else(scene: Scene) -> None:
    scene.trigger("pull", logical_us=T0)
    scene.feed(scene.ended(scene.attempt("read"), "failed", failure=Failure("half read"), watermark=b"7"))
    assert mark(scene) is None
    scene.feed(scene.ended(scene.attempt("read"), "timed_out", failure=Failure("late"), watermark=b"8"))
    assert mark(scene) is None
    succeed(scene, "9")
    assert mark(scene) == "9"


def test_s3_51_what_a_dead_process_had_read_moves_nothing(scene: Scene) -> None:
    scene.trigger("pull", logical_us=T0)
    succeed(scene, "9")
    scene.trigger("pull", logical_us=T0 + HOUR)
    late = AttemptEnded(scene.attempt("read"), AttemptState.SUCCESS, watermark=b"12")
    scene.crash()
    scene.feed(late)  # an end of an attempt that is lost
    assert mark(scene) == "9"
    succeed(scene, "13")
    assert mark(scene) == "13"


def test_s3_51_a_run_of_an_earlier_interval_never_moves_it_back(scene: Scene) -> None:
    run = scene.trigger("pull", logical_us=T0 + 5 * HOUR)
    succeed(scene, "50")
    old = scene.trigger("pull", logical_us=T0 + 2 * HOUR)  # as a backfill does
    succeed(scene, "20")
    assert mark(scene) == "50"
    [(now, reason)] = scene.said("watermark")
    assert (now, "ends at 2026-01-01T06:00:00+00:00" in reason) == ("kept", True)
    scene.command("rerun", run_id=run, whole=True)  # of the interval it is of: it is set anew
    succeed(scene, "51")
    assert mark(scene) == "51"
    scene.crash()
    scene.command("rerun", run_id=old, whole=True)
    succeed(scene, "21")
    assert mark(scene) == "51"
    scene.trigger("pull", logical_us=T0 + 6 * HOUR)
    succeed(scene, "60")
    assert mark(scene) == "60"


def test_s3_51_a_slower_run_of_an_earlier_interval_ends_after_its_successor(scene: Scene) -> None:
    first, second = scene.trigger("pull", logical_us=T0), scene.trigger("pull", logical_us=T0 + HOUR)
    succeed(scene, "2", second)
    succeed(scene, "1", first)
    assert mark(scene) == "2"


def test_a_mark_by_hand_moves_no_watermark(scene: Scene) -> None:
    run = scene.trigger("pull", logical_us=T0)
    scene.command("mark", run_id=run, task="read", state="success")
    succeed(scene, "3")
    assert mark(scene) is None


TOPIC = [f"event-{n}" for n in range(1000)]


async def test_s3_50_a_kafka_batch_restarts_at_the_same_offset_until_it_is_committed() -> None:
    """At least once, into a table keyed by offset: each event stands there once."""
    table: dict[int, str] = {}
    began: list[int] = []

    @task(retries=3, retry_delay=timedelta(seconds=10))
    async def batch(ctx: Context) -> int:
        offset = ctx.watermark or 0
        began.append(offset)
        for at in range(offset, offset + 100):
            table[at] = TOPIC[at]
            if at == offset + 60 and len(began) in (2, 3):
                ctx.watermark = at  # thrown away with the attempt
                raise ConnectionError("the broker went away")
        ctx.watermark = offset + 100
        return offset + 100

    @dag(schedule=Every(minutes=5))
    def five_minutes() -> None:
        batch()

    async with sim_runtime([five_minutes]) as rt:
        await rt.clock.advance(timedelta(minutes=16))
    assert began == [0, 100, 100, 100, 200, 300]
    assert table == dict(enumerate(TOPIC[:400]))


async def test_s3_51_a_mapped_instance_has_no_watermark_of_its_own() -> None:
    class Mapped:
        id, order, job = 1, type("Order", (), {"map_index": 3, "task": job("read")})(), None

    context: Any = Context(Mapped())  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"read\[3\].*downstream of all"):
        context.watermark = 4
