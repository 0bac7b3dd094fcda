"""What every test stands on: seeded Hypothesis profiles, and skips that cannot hide."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import hypothesis
import pytest
from _pytest.doctest import DoctestModule
from hypothesis.internal.conjecture import engine

from tests import places, schema

places.settle()
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as a shell begins what runs in its background
    signal.signal(signal.SIGINT, signal.default_int_handler)  # of this, and of what it starts
gc.disable()  # until all is collected

TESTS = Path(__file__).parent

# In CI each example is the same on every run; a soak looks further and prints what reproduces a failure.
hypothesis.settings.register_profile("dev", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.register_profile("soak", deadline=None, max_examples=2000, print_blob=True)
hypothesis.settings.load_profile(
    "soak" if os.environ.get("BIDE_SOAK") else "ci" if os.environ.get("CI") else "dev"
)

if os.environ.get(
    "CI"
):  # a long story may take five minutes to become a short one: the blob tells it as well
    assert engine.MAX_SHRINKING_SECONDS == 300
    engine.MAX_SHRINKING_SECONDS = 60


@pytest.fixture(autouse=True, scope="module")
def _own_declarations(request: pytest.FixtureRequest) -> Iterator[None]:
    """What other modules of tests have declared of assets is not there: one process runs many, in any order."""
    from bide.runtime.assets.declarations import declared

    sources = declared()
    module = getattr(request.node, "obj", None)
    own = {getattr(value, "__module__", None) for value in getattr(module, "__dict__", {}).values()}
    hidden = {
        file: sources.pop(file)
        for file in list(sources)
        if (place := Path(file)).is_relative_to(TESTS)
        and place.name.startswith("test_")
        and place != request.path
        and ".".join(place.relative_to(TESTS.parent).with_suffix("").parts) not in own
    }
    yield
    sources.update(hidden)


@pytest.fixture(autouse=True, scope="session")
def _schema_made_once() -> Iterator[None]:
    with schema.made_once():
        yield


_skipped: list[str] = []
_cannot: list[str] = []
CANNOT = "this machine cannot: "
"""Begins the reason of a test that needs what no program may take for itself, such as the right to mount."""


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
        can = os.environ.get("BIDE_MACHINE_CAN", "").split()
        excused = CANNOT in reason and not any(word in reason for word in can)
        (_cannot if excused else _skipped).append(f"{report.nodeid}: {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """With BIDE_MAX_SKIPS set (as .ci/run does), more skips than that fail the run.

    What a machine cannot do is said, and not counted; what BIDE_MACHINE_CAN names (set by .ci/run: "systemd power")
    it can do, and then it is.
    """
    allowed = os.environ.get("BIDE_MAX_SKIPS")
    if allowed is not None and len(_skipped) > int(allowed) and exitstatus == 0:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _cannot:
        terminalreporter.section(f"{len(_cannot)} tests NOT RUN: this machine cannot", yellow=True)
        for line in _cannot:
            terminalreporter.line(line)
    allowed = os.environ.get("BIDE_MAX_SKIPS")
    if allowed is not None and len(_skipped) > int(allowed):
        terminalreporter.section(f"{len(_skipped)} tests skipped, {allowed} allowed", red=True)
        for line in _skipped:
            terminalreporter.line(line)


class Doctested:
    """Modules without an example are not looked through for one: it was half of the time that collecting takes."""

    @pytest.hookimpl(wrapper=True)
    def pytest_collect_file(
        self, file_path: Path
    ) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
        found = yield
        if file_path.suffix != ".py" or ">>> " in file_path.read_text(encoding="utf-8"):
            return found
        return [each for each in found if not isinstance(each, DoctestModule)]


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Doctested())


LONGEST: Final = (
    "tests/sim/test_simulation",
    "tests/recovery/",
    "tests/systemd/",
    "tests/power/",
    "tests/window/",
    "tests/docs/",
)
"""Modules that take minutes: begun first, so that no core waits for one of them at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(LONGEST))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: no collection of garbage looks through it again."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()
