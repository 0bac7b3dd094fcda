"""How a client reaches a service: the unix socket beside a database, or an address over TCP with a token.

A token is read from the environment or a file, never from the command line, where others see it.
"""

from __future__ import annotations

import http.client
import os
import re
import socket
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import SplitResult, urlsplit

from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.service.places import owner_of

_TOKEN: Final = re.compile(r"[A-Za-z0-9._~+/=-]{1,4096}")


class Wire(Protocol):
    """A way to a service. `place` and `advice` are for sentences about it; `prefix` goes before every path."""

    @property
    def place(self) -> str: ...

    @property
    def advice(self) -> str: ...

    @property
    def prefix(self) -> str: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        """A new one, not connected yet."""
        ...

    def trust(self) -> None:
        """Raises `RefusedError` when nothing must be sent there."""
        ...


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("bide", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class SocketWire:
    """The socket of the service that holds `db`."""

    prefix = ""
    advice = "start it again with `bide serve`"
    headers: Mapping[str, str] = {}

    def __init__(self, path: Path, db: Path) -> None:
        self._path, self._db = path, db
        self.place = str(path)

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        return _UnixConnection(self._path, timeout_s)

    def trust(self) -> None:
        """A socket in a shared folder may be anybody's: only the database's owner, root, or oneself."""
        try:
            owner = self._path.stat().st_uid
        except OSError:
            return  # connecting tells what is wrong with it
        if owner not in (0, os.getuid(), owner_of(self._db)):
            raise RefusedError(
                f"the socket {self._path} belongs to user {owner}, who does not own the database: "
                "nothing was sent; remove it, or ask that user"
            )


class UrlWire:
    """A service at an address, `http://host:port` or `https://...`, below a path where it is mounted at one."""

    advice = "look whether it runs and listens there (`bide serve --host --port`), and whether the address is right"

    def __init__(self, url: str, token: str | None) -> None:
        at = _read(url)
        assert at.hostname is not None
        self.place = url
        self.prefix = at.path.rstrip("/")
        self.headers: Mapping[str, str] = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._host, self._port, self._tls = at.hostname, at.port, at.scheme == "https"

    def connection(self, timeout_s: float) -> http.client.HTTPConnection:
        if self._tls:
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=timeout_s, context=context)
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout_s)

    def trust(self) -> None:
        """Who names an address trusts it."""


def token_of(environment: Mapping[str, str], file: str | None) -> str | None:
    """The token that is meant: of the file, else of `BIDE_TOKEN`; None: there is none."""
    place, text = "BIDE_TOKEN", environment.get("BIDE_TOKEN", "")
    if file is not None:
        place = f"the token file {file}"
        try:
            text = Path(file).expanduser().read_text(encoding="utf-8")
        except FileNotFoundError:
            raise NotFoundError(
                f"there is no file {file} with a token: `bide token create NAME` prints a token"
            ) from None
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{place} cannot be read: {error}") from None
    elif not text:
        return None
    token = text.strip()
    if _TOKEN.fullmatch(token) is None:  # and it is not shown
        raise UsageError(f"{place} holds no token: it is one word, as `bide token create` prints it")
    return token


def _read(url: str) -> SplitResult:
    """The parts of an address; raises `UsageError` for one that is none."""
    said = f"--url is {_shown(url)!r}, and"
    try:
        found = urlsplit(url)
        found.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise UsageError(f"{said} is no address ({error}): write http://127.0.0.1:8000") from None
    if found.scheme not in ("http", "https") or not found.hostname:
        raise UsageError(f"{said} is no address of a service: write http://127.0.0.1:8000, or https://...")
    if found.username is not None or found.password is not None or found.query or found.fragment:
        raise UsageError(
            f"{said} may hold a host, a port and a path alone: the token goes into BIDE_TOKEN or --token-file"
        )
    if not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise UsageError(f"{said} holds characters that no address has: write http://127.0.0.1:8000")
    return found


def _shown(url: str) -> str:
    """Without what may be a password."""
    return re.sub(r"//[^/@]*@", "//***@", url)
