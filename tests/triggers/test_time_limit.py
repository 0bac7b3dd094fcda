"""The longest time limit of the waits that share a source rules when its looks are cut."""

from __future__ import annotations

from bide.runtime.clock import SECOND
from bide.triggers import HttpTrigger
from bide.triggers._time_limit import TimeLimited
from bide.triggers.base import PollSource
from tests.servers.worlds import Wait


def test_the_cut_follows_the_waits_as_they_come_and_go() -> None:
    source = TimeLimited()
    waits = [Wait(HttpTrigger(url="http://h/", timeout=limit)) for limit in (1.5, 40, 40)]
    for wait in waits:
        source.add(wait)
    limits = [source.limit_us]
    for wait in reversed(waits):
        source.remove(wait, "fired")
        limits.append(source.limit_us)
    assert limits == [45 * SECOND, 45 * SECOND, 6_500_000, PollSource.limit_us]
