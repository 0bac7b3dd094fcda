"""What is sent beside the engine of a runtime, where that is asked for: lineage and notices. Loaded at need."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bide.runtime.clock import Clock
from bide.runtime.engine.loop import Engine
from bide.runtime.engine.shell import EngineShell
from bide.runtime.lineage.settings import OpenLineage
from bide.runtime.notify.routes import Route

if TYPE_CHECKING:
    from bide.runtime.lineage.exporter import Exporter
    from bide.runtime.notify.notifier import Notifier


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
