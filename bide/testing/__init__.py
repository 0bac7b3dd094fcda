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
from bide.testing.simulation import Begun as Begun
from bide.testing.simulation import Down as Down
from bide.testing.simulation import Events as Events
from bide.testing.simulation import Order as Order
from bide.testing.simulation import Report as Report
from bide.testing.simulation import Rule as Rule
from bide.testing.simulation import Script as Script
from bide.testing.simulation import Simulation as Simulation
from bide.testing.simulation import Spread as Spread
from bide.testing.simulation import When as When
from bide.testing.simulation import read_script as read_script
from bide.testing.simulation import simulated as simulated

__all__ = [
    "Begun",
    "Down",
    "Events",
    "FakeHttp",
    "FakeKafka",
    "FakeSource",
    "Order",
    "Report",
    "Rule",
    "Script",
    "SimClock",
    "SimRuntime",
    "Simulation",
    "Spread",
    "When",
    "assert_order",
    "read_script",
    "sim_runtime",
    "simulated",
    "starts_of",
]
