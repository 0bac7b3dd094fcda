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

_CHATTY: Final = ("httpx", "httpx2")
"""They log each request with its whole address: a line a look of every sensor, and what stands in its query."""


def speaks(level: str, journal: logging.Handler | None) -> None:
    """Say what is logged from `level` on: to the journal, or to stderr."""
    if journal is not None:
        logging.basicConfig(level=level.upper(), format="%(message)s", handlers=[journal])
    else:
        logging.basicConfig(level=level.upper(), format=_LINE)
    if level != "debug":
        for name in _CHATTY:
            logging.getLogger(name).setLevel(logging.WARNING)


def serve_paths(config: Config, changes: Changes | None = None, window: str | None = None) -> int:
    """Serve until told to stop; the exit code. `changes` tells when the files are to be read again.

    `window`: the page of the UI to open, at a port of this machine if settings have none.
    """
    faulthandler.enable(2)  # a watchdog's SIGABRT leaves every thread's stack in the journal
    journal = journal_handler(os.environ)
    speaks(config.log_level, journal)
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

    async def shows(runtime: Served, url: str) -> None:
        from bide.runtime.cli.ui import open_browser
        from bide.runtime.service.caller import acting, terminal
        from bide.runtime.service.window_at import EXPIRES, address, token_name

        with acting(terminal()):
            made = await runtime.operations.tokens.create(token_name(), "admin", EXPIRES)
        at = address(url, made.token, window or "/")
        note(f"bide: the window, for {EXPIRES}: {at}")  # never in the journal: it has a token
        await asyncio.to_thread(open_browser, at, db)

    if window is None:
        port = tcp.asked(config.host, config.port, config.hosts)
    else:
        from bide.runtime.service.window_at import usual_port

        port = usual_port(config)
    return asyncio.run(
        serve(
            db,
            config.paths,
            opens,
            say,
            config.stop_timeout,
            changes,
            port,
            config.hosts,
            routes,
            None if window is None else shows,
        )
    )
