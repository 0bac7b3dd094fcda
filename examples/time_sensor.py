"""Wait for an instant: here two seconds after the run was triggered.

bide run examples/time_sensor.py
bide run examples/time_sensor.py --param seconds=10
"""

from __future__ import annotations

from datetime import datetime, timedelta

from bide import Context, dag, task
from bide.sensors import TimeSensor


def after_a_while(ctx: Context) -> datetime:
    return ctx.scheduled_for + timedelta(seconds=ctx.params["seconds"])


@task
async def good_morning(at: str) -> str:
    return f"it is past {at}"


@dag(params={"seconds": 2.0})
def time_sensor() -> None:
    alarm = TimeSensor("alarm", at=after_a_while)
    good_morning(alarm.output["at"])
