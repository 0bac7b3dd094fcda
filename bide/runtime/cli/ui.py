"""`bide ui`: the window of the service that runs, in a browser, for whoever may command the service."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter

from bide.runtime.cli.asking import Db, asked, place
from bide.runtime.cli.output import note, write
from bide.runtime.service.places import database

_PAGE: Final = (
    '<!doctype html><meta charset="utf-8"><title>bide</title><meta http-equiv="refresh" content="0;url={}">'
)


def ui(
    path: Annotated[str, Parameter(help="The page, such as /waits or /runs/17.")] = "/",
    /,
    *,
    scope: Annotated[str, Parameter(help="What may be done there: read, run or admin.")] = "admin",
    no_open: Annotated[bool, Parameter(negative="", help="Print the address, open no browser.")] = False,
    db: Db = None,
) -> int:
    """Open the window of the running service, with a token that ends after 12 hours."""
    from bide.runtime.service.window_at import EXPIRES, address, token_name, url_of_service

    config = place(db)
    url = config.url.rstrip("/") if config.url is not None else url_of_service(database(config), config)
    made = asked(db, lambda ops: ops.tokens.create(token_name(), scope, EXPIRES))
    at = address(url, made.token, path if path.startswith("/") else f"/{path}")
    write(at)
    note(f"bide: {made.name} may {scope} for {EXPIRES}; `bide token revoke {made.name}` ends it before")
    if not no_open:
        open_browser(at, None if config.url is not None else database(config))
    return 0


def open_browser(at: str, db: Path | None) -> bool:
    """Open it where there are a person and a screen; whether it was opened.

    The address has a token, and every user of a machine may read the words by which a program was started. So the
    browser is given a file beside the database, which is its owner's alone and leads on.
    """
    if db is None or not _watched():
        return False
    import webbrowser
    from html import escape

    page = db.with_name(f"{db.name}.window.html")
    try:
        page.unlink(missing_ok=True)
        with os.fdopen(os.open(page, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(_PAGE.format(escape(at, quote=True)))
    except OSError:  # another's folder: the address is printed all the same
        return False
    return webbrowser.open(page.absolute().as_uri())


def _watched() -> bool:
    screen = sys.platform == "darwin" or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))
    return screen and sys.stdout is not None and sys.stdout.isatty()
