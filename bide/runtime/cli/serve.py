"""`bide serve`: settings and paths to a running service."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final

from bide.runtime.cli.output import note
from bide.runtime.config import Config
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.load import Loaded
from bide.runtime.notify.routes import RouteSetting
from bide.runtime.service import tcp
from bide.runtime.service.doors import Served
from bide.runtime.service.journald import journal_handler
from bide.runtime.service.opens import open_runtime
from bide.runtime.service.places import database, settings
from bide.runtime.service.serve import Changes, serve

_NOTICE: Final = logging.INFO + 5  # said whatever `log_level` leaves out, unless that is all but errors
_LINE: Final = "%(levelname)s %(name)s: %(message)s"  # the journal and any supervisor add the time


def serve_paths(config: Config, changes: Changes | None = None) -> int:
    """Serve until told to stop; the exit code. `changes` tells when the files are to be read again."""
    faulthandler.enable(2)  # a watchdog's SIGABRT leaves every thread's stack in the journal
    journal = journal_handler(os.environ)
    if journal is not None:
        logging.basicConfig(level=config.log_level.upper(), format="%(message)s", handlers=[journal])
    else:
        logging.basicConfig(level=config.log_level.upper(), format=_LINE)
    db = database(config)

    def say(text: str) -> None:
        if journal is not None:
            logging.getLogger("bide.serve").log(_NOTICE, text)
        else:
            note(f"bide: {text}")

    def refused(dag: Dag, why: str) -> None:
        say(f"left out the DAG {dag.name!r}{f' of {dag.file}' if dag.file else ''}: {why}")

    def opens(found: Loaded) -> AbstractAsyncContextManager[Served]:
        return open_runtime(config, db, found.dags, found.errors, refused=refused, whole=True)

    def routes() -> Sequence[RouteSetting]:
        return settings().notify

    port = tcp.asked(config.host, config.port, config.hosts)
    return asyncio.run(
        serve(db, config.paths, opens, say, config.stop_timeout, changes, port, config.hosts, routes)
    )
