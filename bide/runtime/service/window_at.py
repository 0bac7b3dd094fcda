"""Where a browser finds the window of a database: the TCP ports of its service, and an address that lets somebody in.

Only the service itself knows at which port it listens when it was asked for any (`--port 0`); the kernel knows too.
"""

from __future__ import annotations

import getpass
import http.client
import re
import secrets
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bide.runtime.config import Config
from bide.runtime.errors import RefusedError, UnreachableError
from bide.runtime.service.listening import At, listening
from bide.runtime.service.tcp import LOOPBACK, Asked
from bide.runtime.store.lock import Lock

EXPIRES: Final = "12h"
USUAL: Final = 8321
"""The port of `bide dev`, so that a browser keeps who is signed in and its theme from one day to the next."""
_PATIENCE_S: Final = 2.0
_TITLE: Final = b"<title>bide</title>"
_EVERYWHERE: Final = {"0.0.0.0": LOOPBACK, "[::]": "[::1]"}  # noqa: S104 - read, not bound


def address(url: str, token: str, path: str = "/") -> str:
    """What a browser opens. What stands behind `#` stays in the browser: no server and no log of one sees it."""
    return f"{url}{path}#token={token}"


def token_name() -> str:
    """A new name for a token of the window: whose it is, and which."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = "somebody"
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '-', user)[:60]}-window-{secrets.token_hex(4)}"


def url_of_service(db: Path, config: Config) -> str:
    """The address of the service that holds `db`; a sentence with what to do where there is none."""
    holder = Lock(db).holder()
    if holder is None or holder.kind != "runtime":
        raise UnreachableError(
            f"no service holds the database {db}, so there is nothing to open: start one with a port, "
            f"`bide serve PATHS --port {USUAL}`, or `bide dev PATHS`, and ask again"
        )
    for url in _candidates(listening(holder.pid), config):
        if _is_window(url):
            return url
    raise RefusedError(
        f"the service of process {holder.pid} listens at no TCP port, and a browser needs one: start it again with "
        f"`--port {USUAL}`, or with BIDE_PORT={USUAL}, and ask again"
    )


def _candidates(places: Sequence[At] | None, config: Config) -> list[str]:
    """Where it may be asked: at the loopback first. Where the kernel does not tell, where settings have it listen."""
    if places is None:
        return [f"http://{config.host or LOOPBACK}:{config.port}"] if config.port else []
    found = [each for each in places if each.kind == "tcp"]
    return [f"http://{_reached(each.address)}" for each in sorted(found, key=lambda each: each.public)]


def _reached(address: str) -> str:
    host, _, port = address.rpartition(":")
    return f"{_EVERYWHERE.get(host, host)}:{port}"


def _is_window(url: str) -> bool:
    """Whether the window is given there: a task of the same process may listen at ports of its own."""
    at = urlsplit(url)
    connection = http.client.HTTPConnection(at.hostname or "", at.port, timeout=_PATIENCE_S)
    try:
        connection.request("GET", "/")
        answer = connection.getresponse()
        return answer.status == 200 and _TITLE in answer.read(10_000)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def usual_port(config: Config) -> Asked:
    """Where a service of a laptop listens: where settings say, else at the usual port, else at any that is free."""
    port = config.port if config.port is not None else USUAL if _is_free(USUAL) else 0
    return Asked(config.host or LOOPBACK, port, tuple(config.hosts))


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True
