"""The operations over HTTP: what the terminal uses when a service runs, at its socket or at `--url`.

The calls are made of the table (`table.py`). The standard library's HTTP client is all it takes:
importing httpx costs more than the answer. Calls block the thread they are made in; the terminal
has nothing else to do meanwhile.
"""

from __future__ import annotations

import http.client
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from bide.runtime import errors, typed
from bide.runtime.errors import BideError, GaveUpError, NotFoundError, UnreachableError, UsageError
from bide.runtime.service.cursor import cursor
from bide.runtime.service.doors import ROOMS
from bide.runtime.service.paging import items_of, joined, next_of
from bide.runtime.service.said import said
from bide.runtime.service.shapes import Problem
from bide.runtime.service.table import KEY_HEADER, SEE, Operation, operation
from bide.runtime.service.wire import SocketWire, Wire

_TIMEOUT_S: Final = 30.0
_BOUND: Final = re.compile(rf"(?:query|body): (\w+): Expected `int` ([<>])= (-?\d+); {re.escape(SEE)}")
_SIGN_OF_LIFE_S: Final = 5.0
"""A loop this late is not live (`/livez`): nobody need wait for it."""


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


class _Answer(NamedTuple):
    status: int
    data: bytes
    more: bool


class Client(Calls):
    """A service at the other end of a wire: a `Doors`. One connection a call."""

    def __init__(self, wire: Wire, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__("", self._carry)
        self._wire, self._timeout_s = wire, timeout_s

    @property
    def held(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        if name in ROOMS:
            return Calls(name, self._carry)
        return super().__getattr__(name)

    def alive(self) -> bool:
        """Whether somebody answers; waits for the answer of one that is starting."""
        try:
            return self._ask("GET", "/startupz", None, {}, _SIGN_OF_LIFE_S).status == 200
        except BideError:
            return False

    @contextmanager
    def stream(self, path: str, query: Mapping[str, str | None], quiet_s: float) -> Iterator[Iterator[bytes]]:
        """The lines of an answer that has no end of its own; `GaveUpError` after `quiet_s` without one."""
        wire = self._wire
        wire.trust()
        connection = wire.connection(quiet_s)
        given = urlencode({name: value for name, value in query.items() if value is not None})
        at = wire.prefix + path
        try:
            connection.request("GET", f"{at}?{given}" if given else at, headers=dict(wire.headers))
            response = connection.getresponse()
            if response.status >= 300:
                raise _error(typed.decode(response.read(), Problem))
            yield iter(response.readline, b"")
        except TimeoutError:
            raise GaveUpError(f"the service at {wire.place} has said nothing for {quiet_s:g} s") from None
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            raise UnreachableError(
                f"the service at {wire.place} does not answer ({error}): {wire.advice}"
            ) from None
        finally:
            connection.close()

    def _carry(self, of: Operation, given: dict[str, Any]) -> Any:
        found, more = self._asked(of, given)
        if not of.route.pages:
            return found
        while (
            more and (left := given["limit"] - len(items_of(of, found))) > 0
        ):  # an answer has a page at most
            page, more = self._asked(of, {**given, **next_of(of, given, found), "limit": left})
            found = joined(of, given, found, page)
        return found

    def _asked(self, of: Operation, given: Mapping[str, Any]) -> tuple[Any, bool]:
        """What is answered, and whether there is another page after it."""
        _addressable(of, given)
        path, body, headers = request(of, given)
        answer = self._ask(of.route.method, path, body, headers)
        try:
            if answer.status < 300:
                return typed.decode(answer.data, of.result), answer.more
            problem = typed.decode(answer.data, Problem)
        except msgspec.DecodeError as error:
            raise UnreachableError(
                f"what answers at {self._wire.place} is not this bide's service (HTTP {answer.status}, {error}): "
                "let the service and this command be of one version"
            ) from None
        raise _error(problem)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], limit_s: float = 0
    ) -> _Answer:
        wire = self._wire
        wire.trust()
        limit_s = min(limit_s or self._timeout_s, self._timeout_s)
        connection = wire.connection(limit_s)
        said = {"Content-Type": "application/json", **wire.headers, **headers}
        try:
            connection.request(method, wire.prefix + path, body, said)
            response = connection.getresponse()
            more = 'rel="next"' in response.getheader("Link", "")
            return _Answer(response.status, response.read(), more)
        except TimeoutError:
            raise GaveUpError(
                f"the service at {wire.place} has not answered for {limit_s:g} s: it may be busy, "
                "and the command may still be carried out; `bide doctor` tells more"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            raise UnreachableError(
                f"the service at {wire.place} does not answer ({error}): {wire.advice}"
            ) from None
        finally:
            connection.close()


class ServiceClient(Client):
    """The service that holds `db`, at its socket."""

    def __init__(self, path: Path, db: Path, timeout_s: float = _TIMEOUT_S) -> None:
        super().__init__(SocketWire(path, db), timeout_s)


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
                paged = of.route.pages and each.name == "before"
                query[each.said] = cursor(of.id, str(said(value))) if paged else _word(value)
            elif each.where == "header":
                headers[KEY_HEADER] = str(value)
            else:
                body[each.said] = said(value)
    if of.route.method == "GET":
        return f"{path}?{urlencode(query)}" if query else path, None, headers
    return path, msgspec.json.encode(body), headers


def _addressable(of: Operation, given: Mapping[str, Any]) -> None:
    """Refuses a name that no path has room for: the service would say of its routes what is meant of the name."""
    for each in of.of("path"):
        text = given[each.name]
        if text == "":
            raise UsageError(f"the name of the {each.said} is empty: say which one")
        if isinstance(text, str) and "/" in text and f"{{{each.said}:path}}" not in of.path:
            raise NotFoundError(f"there is no {each.said} {text!r}: its name would have no '/'")


def _filled(path: str, name: str, text: str) -> str:
    """A path with one of its names filled in; a name that may have slashes keeps them."""
    if f"{{{name}:path}}" in path:
        return path.replace(f"{{{name}:path}}", quote(text))
    return path.replace(f"{{{name}}}", quote(text, safe=""))


def _word(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(said(value))


def _error(problem: Problem) -> BideError:
    kind = getattr(errors, problem.code, None)
    detail = _for_the_terminal(problem)
    return kind(detail) if isinstance(kind, type) and issubclass(kind, BideError) else BideError(detail)


def _for_the_terminal(problem: Problem) -> str:
    """What a service says of a request, in the words of a command.

    >>> _for_the_terminal(Problem(title="", status=422, detail=f"query: limit: Expected `int` >= 1; {SEE}", code=""))
    '--limit is out of its bounds: use 1 or more'
    """
    if problem.status == 401:
        return f"{problem.detail}; a command shows it from BIDE_TOKEN, or from the file of --token-file"
    if found := _BOUND.fullmatch(problem.detail):
        name, sign, bound = found.groups()
        return f"--{name.replace('_', '-')} is out of its bounds: use {bound} or {'more' if sign == '>' else 'less'}"
    return problem.detail.removesuffix(f"; {SEE}")
