"""What a task sees of time and of events: its run's logical date, whenever it runs."""

from __future__ import annotations

from datetime import timedelta

from bide import Context, Cron, On, dag, shell, task
from bide.testing import FakeKafka, sim_runtime
from bide.triggers import KafkaOffsetTrigger

seen: list[str] = []


@task
async def look(ctx: Context) -> None:
    seen.append(f"{ctx.logical_date:%Y-%m-%d} {ctx.interval.start:%H:%M} to {ctx.interval.end:%m-%d %H:%M}")


@dag(schedule=Cron("0 2 * * *", interval="day"))
def daily() -> None:
    look() >> shell("say", "test {logical_date:%Y-%m-%d} = 2026-06-15")


async def test_s3_21_a_task_sees_the_logical_date_and_not_the_day_it_runs() -> None:
    seen.clear()
    async with sim_runtime([daily], start="2026-08-01") as rt:
        run = await rt.trigger(daily, logical_date="2026-06-15")
        assert (await run.wait()).state == "success"
    assert seen == ["2026-06-15 00:00 to 06-16 00:00"]


async def test_s3_4b_messages_in_a_queue_make_a_run() -> None:
    @dag(schedule=On(KafkaOffsetTrigger(bootstrap="kafka:9092", topic="orders", offset=10)))
    def batch() -> None:
        look()

    kafka = FakeKafka()
    async with sim_runtime([batch], fakes={"kafka": kafka}) as rt:
        kafka.produce("orders", 9)
        await rt.clock.advance(timedelta(minutes=10))
        assert await rt.operations.runs() == []
        kafka.produce("orders", 1)
        await rt.clock.advance(timedelta(minutes=10))
        runs = await rt.operations.runs()
        assert [(run.kind, run.state) for run in runs] == [("event", "success")]
