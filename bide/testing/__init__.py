"""What users' tests need: a clock that is moved by hand, a whole runtime on it, and fakes of the world.

The fixture `sim_runtime` comes with the package (`bide.testing.plugin`); the same is at hand for
other frameworks as `sim_runtime(...)`, an async context manager.
"""

from __future__ import annotations

from bide.testing.asserting import assert_order as assert_order
from bide.testing.asserting import starts_of as starts_of
from bide.testing.clock import SimClock as SimClock
from bide.testing.fakes import FakeHttp as FakeHttp
from bide.testing.fakes import FakeKafka as FakeKafka
from bide.testing.fakes import FakeSource as FakeSource
from bide.testing.runtime import SimRuntime as SimRuntime
from bide.testing.runtime import sim_runtime as sim_runtime

__all__ = [
    "FakeHttp",
    "FakeKafka",
    "FakeSource",
    "SimClock",
    "SimRuntime",
    "assert_order",
    "sim_runtime",
    "starts_of",
]
