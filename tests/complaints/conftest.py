"""What the complaints are tried on: a whole runtime in simulated time, real servers, a third party's trigger."""

from __future__ import annotations

import pytest

from bide import triggers
from bide.testing.plugin import sim_runtime
from tests.complaints.play import Third
from tests.servers.fixtures import broker, http_server


@pytest.fixture(autouse=True)
def third(monkeypatch: pytest.MonkeyPatch) -> type[Third]:
    """The third party's trigger, known as an installed one would be."""
    monkeypatch.setitem(triggers._loaded, "third", Third)
    Third.sees = None
    return Third


__all__ = ["broker", "http_server", "sim_runtime", "third"]
