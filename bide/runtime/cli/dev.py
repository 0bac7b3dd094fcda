"""`bide dev`: the service of a laptop, which reads its files again at each change."""

from __future__ import annotations

import logging
from typing import Annotated

from cyclopts import Parameter

from bide.runtime.cli.asking import Database, Slots
from bide.runtime.service.places import settings


def dev(
    *paths: Annotated[
        str,
        Parameter(help="DAG files, and folders of them; without any, the `paths` of the configuration."),
    ],
    slots: Slots = None,
    port: Annotated[
        int | None, Parameter(help="Where the window is given; 8321 by default, any where that is taken.")
    ] = None,
    db: Database = None,
) -> int:
    """Serve DAGs, read them again at each change of their files, and open the window. Runs and waits go on."""
    from bide.runtime.cli.serve import serve_paths
    from bide.runtime.service.changing import changes, need_watchfiles

    need_watchfiles()
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # what it sees is said in bide's words
    return serve_paths(settings(db=db, slots=slots, paths=list(paths) or None, port=port), changes, "/")
