"""The operations over a service's socket, or over TCP at `--url`: what the terminal uses when a service runs.

The calls are made of the table (`table.py`). The standard library's HTTP client is all it takes:
importing httpx costs more than the answer. Calls block the thread they are made in; the terminal
has nothing else to do meanwhile.
"""

from __future__ import annotations

import http.client
import inspect
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlencode

import msgspec

from bide.runtime import errors
from bide.runtime.errors import BideError, GaveUpError, RefusedError, UnreachableError
from bide.runtime.service.doors import ROOMS
from bide.runtime.service.places import owner_of
from bide.runtime.service.said import said
from bide.runtime.service.shapes import Problem
from bide.runtime.service.table import KEY_HEADER, Operation, operation

_TIMEOUT_S: Final = 30.0


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("bide", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class Calls:
    """The operations of one room, each asked of `call`; a name that has no route is an `AttributeError`."""

    def __init__(self, room: str, call: Callable[[Operation, dict[str, Any]], Any]) -> None:
        self._room, self._call = room, call

    def __getattr__(self, name: str) -> Any:
        found = operation(self._room, name) if not name.startswith("_") else None
        if found is None:
            raise AttributeError(f"there is no operation {name!r} over a socket")
        return self._asking(found)

    def _asking(self, of: Operation) -> Any:
        signature = inspect.Signature(
            [
                inspect.Parameter(
                    each.name,
                    inspect.Parameter.POSITIONAL_OR_KEYWORD,
                    default=inspect.Parameter.empty if each.default is msgspec.NODEFAULT else each.default,
                )
                for each in of.parameters
            ]
        )

        async def ask(*args: Any, **named: Any) -> Any:
            bound = signature.bind(*args, **named)
            bound.apply_defaults()
            return self._call(of, bound.arguments)

        return ask


class ServiceClient(Calls):
    """The service that holds `db`, at its socket: a `Doors`. One connection a call."""

    def __init__(self, path: Path, db: Path, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__("", self._carry)
        self._path, self._db, self._timeout_s = path, db, timeout_s

    @property
    def held(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name in ROOMS:
            return Calls(name, self._carry)
        return super().__getattr__(name)

    def alive(self) -> bool:
        """Whether somebody answers at the socket; waits for the answer of one that is starting."""
        try:
            return self._ask("GET", "/livez", None, {})[0] == 200
        except BideError:
            return False

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str | None], quiet_s: float) -> Iterator[Iterator[bytes]]:
        """The lines of an answer that has no end of its own; `GaveUpError` after `quiet_s` without one."""
        self._trust()
        connection = _UnixConnection(self._path, quiet_s)
        given = urlencode({name: value for name, value in query.items() if value is not None})
        try:
            connection.request("GET", f"{path}?{given}" if given else path)
            response = connection.getresponse()
            if response.status >= 400:
                raise _error(msgspec.json.decode(response.read(), type=Problem))
            yield iter(response.readline, b"")
        except TimeoutError:
            raise GaveUpError(f"the service at {self._path} has said nothing for {quiet_s:g} s") from None
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise UnreachableError(
                f"the service at {self._path} does not answer ({error}): start it again with `bide serve`"
            ) from None
        finally:
            connection.close()

    def _carry(self, of: Operation, given: dict[str, Any]) -> Any:
        path, body, headers = request(of, given)
        status, data = self._ask(of.route.method, path, body, headers)
        try:
            if status < 400:
                return msgspec.json.decode(data, type=of.result)
            problem = msgspec.json.decode(data, type=Problem)
        except msgspec.DecodeError as error:
            raise UnreachableError(
                f"what answers at {self._path} is not this bide's service (HTTP {status}, {error}): "
                "let the service and this command be of one version"
            ) from None
        raise _error(problem)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, bytes]:
        self._trust()
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, path, body, {"Content-Type": "application/json", **headers})
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError:
            raise GaveUpError(
                f"the service at {self._path} has not answered for {self._timeout_s:g} s: it may be busy, "
                "and the command may still be carried out; `bide doctor` tells more"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the service at {self._path} does not answer ({error}): start it again with `bide serve`"
            ) from None
        finally:
            connection.close()

    def _trust(self) -> None:
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


def request(of: Operation, given: Mapping[str, Any]) -> tuple[str, bytes | None, dict[str, str]]:
    """(path with its query, body, headers) of a call; what is as it would be anyway is left out."""
    path, query, body, headers = of.path, {}, {}, {}
    for each in of.parameters:
        value = given[each.name]
        if each.where == "path":
            text = each.null if value is None else str(said(value))
            path = _filled(path, each.said, text or "")
        elif each.struct is not None:
            body.update(msgspec.to_builtins(value))
        elif value is None and each.null is not None:
            query[each.said] = each.null
        elif value != each.default or each.default is msgspec.NODEFAULT:
            if each.where == "query":
                query[each.said] = _word(value)
            elif each.where == "header":
                headers[KEY_HEADER] = str(value)
            else:
                body[each.said] = said(value)
    if of.route.method == "GET":
        return f"{path}?{urlencode(query)}" if query else path, None, headers
    return path, msgspec.json.encode(body), headers


def _filled(path: str, name: str, text: str) -> str:
    """A path with one of its names filled in; a name that may have slashes keeps them."""
    if f"{{{name}:path}}" in path:
        return path.replace(f"{{{name}:path}}", quote(text))
    return path.replace(f"{{{name}}}", quote(text, safe=""))


def _word(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(said(value))


def _error(problem: Problem) -> BideError:
    kind = getattr(errors, problem.code, None)
    if isinstance(kind, type) and issubclass(kind, BideError):
        return kind(problem.detail)
    return BideError(problem.detail)
