"""What is sent beside the engine of a runtime, where that is asked for: lineage and notices. Loaded at need."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bide.runtime.clock import Clock
from bide.runtime.engine.loop import Engine
from bide.runtime.engine.shell import EngineShell
from bide.runtime.lineage.settings import OpenLineage
from bide.runtime.notify.routes import Route
from bide.runtime.store.writer import StorePort

if TYPE_CHECKING:
    from opentelemetry.trace import TracerProvider

    from bide.runtime.lineage.exporter import Exporter
    from bide.runtime.notify.notifier import Notifier
    from bide.runtime.service.traces import Traces


def exporting(said: OpenLineage | None, db: Path, engine: Engine, shell: EngineShell) -> Exporter | None:
    """Begin to send lineage; None: nobody asked for it."""
    if said is None:
        return None
    from bide.runtime.lineage.exporter import Exporter

    exporter = Exporter(said, db, engine.post, engine.world.next_id["event"] - 1)
    shell.listeners.append(exporter.committed)
    exporter.start()
    return exporter


def notifying(
    routes: Sequence[Route], db: Path, clock: Clock, shell: EngineShell, begins: int
) -> Notifier | None:
    """Begin to send notices, also of what recovery finds; None: nobody is to be told."""
    if not routes:
        return None
    from bide.runtime.notify.notifier import Notifier

    notifier = Notifier(routes, db, clock, shell, begins)
    shell.listeners.append(notifier.committed)
    notifier.start()
    return notifier


async def tracing(
    provider: TracerProvider | None, db: Path, store: StorePort, shell: EngineShell
) -> Traces | None:
    """Begin to make traces, where a tracer provider is given or the process has one; None: there is none."""
    if provider is None and "opentelemetry.trace" not in sys.modules:
        return None
    from bide.runtime.service.traces import Traces, configured
    from bide.runtime.store.trace_reads import database

    if (provider := provider or configured()) is None:
        return None
    traces = Traces(provider, db, await store.read(database))
    shell.executor.enter_trace = traces.enter
    shell.listeners.append(traces.committed)
    return traces
