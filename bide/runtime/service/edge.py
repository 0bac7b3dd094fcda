"""The edge: every request passes here before any route sees it, and what is not allowed is refused.

Deny by default. The paths that need nobody's name are an exact list; every other one has a scope in the
table of routes, or is refused. Who asks is known by the peer of the unix socket (its file is for its
owner), by a bearer token, or by the host that has mounted this app. There are no cookies, and nothing
that a browser sends by itself is taken for anybody. Every refusal is a problem (RFC 9457).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime.errors import BideError
from bide.runtime.service.bodies import check_json, read_body, replayed
from bide.runtime.service.caller import Caller, acting
from bide.runtime.service.door_counts import WEBSOCKET, DoorCounts, template_of
from bide.runtime.service.hosts import Hosts, same_origin
from bide.runtime.service.refusals import Refusal, refuse
from bide.runtime.service.tokens import UnknownTokenError

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bide.runtime.service.window import Window

OPEN: Final = frozenset({"/healthz", "/livez", "/readyz", "/startupz"})
"""All that may be asked by anybody: these paths, as they are, and no other."""
HOOKS: Final = "/hooks/"
"""Below it a signature says who asks; the route checks it."""
BODY_LIMIT: Final = 1024 * 1024
SOCKET_BODY_LIMIT: Final = 17 * 1024 * 1024
"""Of the owner's own socket: a command may have 16 MiB."""
QUESTION_LIMIT: Final = 8 * 1024
"""Of a GET or HEAD, which mean nothing by it."""
HEADERS, HEADER_BYTES, TARGET_BYTES = 100, 32 * 1024, 8 * 1024
PEER: Final = "bide_peer"
"""Where our own server says who is at the other end: in the state of the scope, which no request can reach."""
CALLER: Final = "bide_caller"
"""Where a host says who asks: `request.state.bide_caller = Caller("ann", scope="run")`."""
_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_SAFE: Final = frozenset({"GET", "HEAD"})
_ADDED: Final = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cache-control", b"no-store"),
)

ScopeOf = Callable[[str, str], str | None]
"""(method, path) -> read, run, admin; None: there is no such route."""
Known = Callable[[str, str], Awaitable[Caller]]
"""(token, address) -> who bears it; raises `UnknownTokenError`."""


class Peer(msgspec.Struct, frozen=True):
    """The other end of a connection that our own server has accepted.

    `user`: of a unix socket, by the kernel. `hosts`: the names that TCP may be asked by.
    """

    user: str = ""
    address: str = ""
    hosts: Hosts | None = None


class Edge:
    """The app behind it sees only what is allowed, with `caller` set to who asks."""

    def __init__(
        self,
        app: ASGIApp,
        scope_of: ScopeOf,
        known: Known,
        *,
        own_content: frozenset[str] = frozenset({"/api/v1/events"}),
        body_s: float = 30.0,
        counts: DoorCounts | None = None,
        templates: Mapping[Any, str] | None = None,
        window: Window | None = None,
    ) -> None:
        """`own_content`: paths whose routes say which content types they take. `body_s`: how long a body may take.

        `counts` is told of each answer, with its route's template (`door_counts.templates`). `window`: the web
        UI's files, which anybody may have who reaches the port by a name that is ours.
        """
        self._counts = counts if counts is not None else DoorCounts()
        self._templates = templates or {}
        self.app, self._scope_of, self._known = app, scope_of, known
        self._own_content, self._body_s = own_content, body_s
        self._window = window
        self.refused: Counter[int] = Counter()
        """How many were refused, by status."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await self._close(scope, receive, send)
            return
        try:
            if self._window is not None and self._window.has(scope["method"], path := path_of(scope)):
                _reached(scope)
                await self._window.answer(scope, path, send)
                return
            who = await self._admitted(scope)
            inner = await self._received(scope, receive, _peer(scope))
        except Refusal as refusal:
            self.refused[refusal.status] += 1
            self._counts.refused_with(scope["method"], refusal.status)
            await refuse(send, refusal, body=scope["method"] != "HEAD")
            return
        with acting(who):
            await self.app(scope, inner, self._counting(scope, _adding(send)))

    async def _close(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A websocket: there is none here, whoever asks."""
        self.refused[403] += 1
        self._counts.refuse(WEBSOCKET)
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    def _counting(self, scope: Scope, send: Send) -> Send:
        """Each answer counts once, when it begins: a stream may last for days."""
        now = asyncio.get_running_loop().time
        began = now()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = template_of(scope, self._templates)
                self._counts.answered(route, scope["method"], message["status"], now() - began)
            await send(message)

        return counted

    # --- who ---------------------------------------------------------------------------------------

    async def _admitted(self, scope: Scope) -> Caller:
        """Who asks, and may; raises `Refusal`."""
        _reached(scope)
        headers = _Headers(scope)
        peer, method, path = _peer(scope), scope["method"], path_of(scope)
        if method not in _SAFE:
            same_origin(headers.all(b"origin"), headers.one(b"sec-fetch-site"), headers.one(b"host"))
        address = _address(scope, peer)
        if is_open(method, path):
            nobody = Caller("", "http", address, "read")
            return await self._sender(scope, headers, peer, nobody) if path.startswith(HOOKS) else nobody
        needed = self._scope_of(method, path)
        who = await self._who(scope, headers, peer, address)
        if needed is None:
            raise self._no_route(method, path)
        if not who.may(needed):
            raise Refusal(
                403, "Not allowed",
                f"{method} {path} needs the scope {needed}, and {who.who!r} has {who.scope}: "
                f"`bide token create NAME --scope {needed}` makes one that may",
                headers=((b"www-authenticate", f'Bearer error="insufficient_scope", scope="{needed}"'.encode()),),
            )  # fmt: skip
        return who

    async def _who(self, scope: Scope, headers: _Headers, peer: Peer | None, address: str) -> Caller:
        """By the token that is shown, else by the host's word, else by the socket's peer."""
        shown = headers.all(b"authorization")
        if not shown:
            said = _state(scope).get(CALLER)
            if isinstance(said, Caller):
                return said if said.address else msgspec.structs.replace(said, address=address)
            if peer is not None and peer.user:
                return Caller(peer.user, "socket", peer.address)
            raise _nobody(
                "this needs a token: `Authorization: Bearer bide_...`; `bide token create` makes one"
            )
        kind, _, token = shown[0].partition(b" ")
        if len(shown) > 1 or kind.lower() != b"bearer":
            raise _nobody("who asks is said by one `Authorization: Bearer TOKEN`, and by nothing else")
        try:
            return await self._known(token.strip().decode("ascii", "replace"), address)
        except UnknownTokenError as error:
            raise _nobody(str(error), error="invalid_token") from None
        except BideError as error:
            raise Refusal(503, "Out of reach", f"who asks cannot be looked up: {error}") from None

    async def _sender(self, scope: Scope, headers: _Headers, peer: Peer | None, nobody: Caller) -> Caller:
        """Who delivers to a hook, where that is said: one that is not signed asks. `Authorization` may be the sender's own."""
        try:
            return await self._who(scope, headers, peer, nobody.address)
        except Refusal:
            return nobody

    def _no_route(self, method: str, path: str) -> Refusal:
        there = [one for one in _METHODS if is_open(one, path) or self._scope_of(one, path) is not None]
        if there:
            allow = ", ".join(there)
            said = f"{method} {path}: Method Not Allowed; it takes {allow}"
            return Refusal(405, "Method Not Allowed", said, "UsageError", ((b"allow", allow.encode()),))
        said = f"{method} {path}: Not Found; see /api/v1/openapi.json"
        return Refusal(404, "Not Found", said, "NotFoundError")

    # --- what --------------------------------------------------------------------------------------

    async def _received(self, scope: Scope, receive: Receive, peer: Peer | None) -> Receive:
        """What the app receives: the whole body, within its limits. Raises `Refusal`."""
        path, headers = path_of(scope), _Headers(scope)
        if scope["method"] in _SAFE:
            if not _has_body(scope, headers):
                return receive
            body = await read_body(receive, headers.all(b"content-length"), QUESTION_LIMIT, self._body_s)
            return replayed(body, receive)
        limit = SOCKET_BODY_LIMIT if peer is not None and peer.user else BODY_LIMIT
        own = path.startswith(HOOKS) or path in self._own_content
        content = headers.one(b"content-type")
        if not own and content and not is_json(content):
            raise _not_json(content)
        body = await read_body(receive, headers.all(b"content-length"), limit, self._body_s)
        if body and not own:
            if not content:
                raise _not_json("")
            check_json(body)
        return replayed(body, receive)


def naming(app: ASGIApp, caller: Caller | Callable[[Scope], Caller | None]) -> ASGIApp:
    """`app` with the host's word of who asks put into the state of each scope."""

    async def named(scope: Scope, receive: Receive, send: Send) -> None:
        who = caller if isinstance(caller, Caller) else caller(scope)
        state = {key: value for key, value in _state(scope).items() if key != CALLER}
        if who is not None:
            state[CALLER] = who
        await app({**scope, "state": state}, receive, send)

    return named


def is_open(method: str, path: str) -> bool:
    """Whether nobody's name is needed: an exact list, and the hooks, whose signatures say who asks."""
    if path in OPEN:
        return method in _SAFE
    return method == "POST" and path.startswith(HOOKS) and "/" not in path[len(HOOKS) :]


def is_json(content: str) -> bool:
    """Whether a content type is JSON, which no form of a web page can send.

    >>> is_json("application/json; charset=utf-8"), is_json("text/plain"), is_json("application/jsonp")
    (True, False, False)
    """
    kind = content.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))


def path_of(scope: Scope) -> str:
    """The path as the routes see it: below where the app is mounted."""
    path: str = scope["path"]
    root: str = scope.get("root_path", "")
    if root and (path == root or path.startswith(root + "/")):
        return path[len(root) :] or "/"
    return path


class _Headers:
    """The headers of a request; their names are lower case, as ASGI has them."""

    def __init__(self, scope: Scope) -> None:
        self._all: list[tuple[bytes, bytes]] = list(scope["headers"])

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self._all if key.lower() == name]

    def one(self, name: bytes) -> str:
        found = self.all(name)
        return found[-1].decode("latin-1") if found else ""


def _has_body(scope: Scope, headers: _Headers) -> bool:
    """Whether one may come: HTTP/1 says so in its headers, what came after it need not."""
    said = headers.all(b"content-length") or headers.all(b"transfer-encoding")
    return bool(said) or not str(scope.get("http_version", "")).startswith("1")


def _bounded(scope: Scope) -> None:
    """Headers and target within their limits, whatever the server in front lets through."""
    headers = scope["headers"]
    if len(headers) > HEADERS or sum(len(key) + len(value) for key, value in headers) > HEADER_BYTES:
        said = f"a request has at most {HEADERS} headers of {HEADER_BYTES:,} bytes in all"
        raise Refusal(431, "Headers too large", said, "UsageError", last=True)
    if len(scope["path"]) + len(scope.get("query_string", b"")) > TARGET_BYTES:
        said = f"a path and its query have at most {TARGET_BYTES:,} bytes"
        raise Refusal(414, "Address too long", said, "UsageError", last=True)
    framing = {key.lower() for key, _ in headers} & {b"content-length", b"transfer-encoding"}
    if (
        len(framing) > 1
    ):  # a server in front may read another length out of it, and what follows as another request
        said = "a body says its length or comes in chunks: Content-Length and Transfer-Encoding exclude each other"
        raise Refusal(400, "Not meant", said, "UsageError", last=True)


def _reached(scope: Scope) -> None:
    """`Refusal` unless it is within its limits, and asks by a name that is this service's."""
    _bounded(scope)
    peer = _peer(scope)
    if peer is not None and peer.hosts is not None:
        peer.hosts.check(_Headers(scope).all(b"host"))


def _state(scope: Scope) -> dict[str, Any]:
    state = scope.get("state")
    return state if isinstance(state, dict) else {}


def _peer(scope: Scope) -> Peer | None:
    found = _state(scope).get(PEER)
    return found if isinstance(found, Peer) else None


def _address(scope: Scope, peer: Peer | None) -> str:
    if peer is not None:
        return peer.address
    client = scope.get("client")
    return str(client[0]) if client else ""


def _nobody(said: str, error: str = "") -> Refusal:
    shown = f'Bearer realm="bide"{f", error={chr(34)}{error}{chr(34)}" if error else ""}'
    return Refusal(401, "Who asks?", said, headers=((b"www-authenticate", shown.encode()),))


def _not_json(content: str) -> Refusal:
    said = f"the body is {content[:100]!r}" if content else "the body says no content type"
    return Refusal(
        415, "Not JSON", f"{said}, and must be JSON: send `Content-Type: application/json`", "UsageError", last=True
    )  # fmt: skip


def _adding(send: Send) -> Send:
    """Answers as they are, with what keeps a browser from reading more into them."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            there = {key.lower() for key, _ in message.get("headers", ())}
            added = [each for each in _ADDED if each[0] not in there]
            message = {**message, "headers": [*message.get("headers", ()), *added]}
        await send(message)

    return with_headers
