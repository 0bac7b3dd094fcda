"""Simulation: a month of DAGs in seconds, with scripted bodies and a scripted outside (D4)."""

from __future__ import annotations

from bide.testing.simulation.reading import read_script as read_script
from bide.testing.simulation.report import Report as Report
from bide.testing.simulation.script import Begun as Begun
from bide.testing.simulation.script import Down as Down
from bide.testing.simulation.script import Events as Events
from bide.testing.simulation.script import Order as Order
from bide.testing.simulation.script import Rule as Rule
from bide.testing.simulation.script import Script as Script
from bide.testing.simulation.script import Spread as Spread
from bide.testing.simulation.script import When as When
from bide.testing.simulation.simulation import Simulation as Simulation
from bide.testing.simulation.simulation import simulated as simulated
