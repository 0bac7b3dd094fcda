"""The one door to the HTTP library: httpx2 when it is installed (the extra `httpx2`), else httpx.

One request, one answer, its body read up to a limit and unpacked here, so that neither an endless
body nor a bomb of zeroes fills memory. No cookies are kept, no redirect is followed, no proxy is
taken from the environment unless asked. Every failure becomes a `LookFailed` in plain words.
"""

from __future__ import annotations

import ssl
import zlib
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import msgspec

from bide.runtime.values import redactor
from bide.triggers.base import LookFailed
from bide.triggers.secret_refs import redact_log

try:
    import httpx2 as library  # type: ignore[import-not-found,unused-ignore]
except ImportError:
    import httpx as library  # type: ignore[no-redef,unused-ignore]

_CORE: Final = library.__name__.replace("httpx", "httpcore")
for _late in (_CORE, "anyio._backends._asyncio"):  # else loaded with the first request, in the loop
    import_module(_late)

httpx: Final[Any] = library
"""Either of the two: they name the same things."""

BODY_LIMIT: Final = 1024 * 1024
CONNECTIONS: Final = 10
_CONNECT_S: Final = 10.0

Client = Any
"""An `AsyncClient` of httpx or httpx2, ours or a user's."""
NewClient = Callable[[ssl.SSLContext, bool], Client]


class Request(msgspec.Struct, frozen=True):
    """What is sent. `connect_to` is the checked address to use instead of resolving the host."""

    method: str
    url: str
    headers: Sequence[tuple[str, str]]
    content: bytes
    timeout: float
    connect_to: str | None = None


class Answer(msgspec.Struct, frozen=True):
    """What came back: header names in lower case, the body unpacked and at most `BODY_LIMIT`."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: bool


def new_client(tls: ssl.SSLContext, env_proxies: bool) -> Client:
    """A client for one origin. Requests never queue in it: at most `CONNECTIONS` are under way."""
    redact_log(httpx.__name__, *(f"{_CORE}.{part}" for part in ("http11", "http2", "connection", "proxy")))
    return httpx.AsyncClient(
        verify=tls,
        trust_env=env_proxies,
        follow_redirects=False,
        limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
    )


def no_tls() -> ssl.SSLContext:
    """For plain HTTP: costs nothing to make, and trusts nobody, should it ever meet TLS."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def trusting(ca: str | None) -> ssl.SSLContext:
    """A verifying context: the usual authorities, or those of the PEM file `ca`. Reads files."""
    if ca is None:
        context: ssl.SSLContext = httpx.create_ssl_context(trust_env=True)
        return context
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:
        raise LookFailed(f"ca {ca} cannot be read as certificates in PEM form: {error}") from None


async def exchange(client: Client, request: Request) -> Answer:
    """Send one request and read its answer, up to the limit. Raises `LookFailed`."""
    try:
        url = httpx.URL(request.url)
        sent = client.build_request(
            request.method,
            str(url.copy_with(host=request.connect_to) if request.connect_to else url),
            headers=[("Host", url.netloc.decode("ascii")), *request.headers],
            content=request.content,
            extensions={
                "sni_hostname": url.raw_host.decode("ascii"),
                "timeout": {"connect": min(_CONNECT_S, request.timeout), "pool": request.timeout},
            },
        )
        response = await client.send(sent, stream=True, auth=None)
        try:
            return await _read(response, request.method)
        finally:
            client.cookies.clear()
            await response.aclose()
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as error:
        raise LookFailed(redactor(_in_words(error))) from None


async def _read(response: Any, method: str) -> Answer:
    headers = {name.lower(): value for name, value in response.headers.items()}
    coding = headers.get("content-encoding", "identity").strip().lower()
    if method == "HEAD" or response.status_code in (204, 304):
        coding = "identity"
    if coding not in ("identity", "gzip", "x-gzip", "deflate", ""):
        raise LookFailed(f"the answer is packed as {coding[:40]!r}, which was not asked for")
    unpack = zlib.decompressobj(47) if coding not in ("identity", "") else None
    body = bytearray()
    cut = False
    async for chunk in response.aiter_raw():
        room = BODY_LIMIT - len(body)
        if unpack is None:
            body += chunk[:room]
            cut = len(chunk) > room
        else:
            try:
                body += unpack.decompress(chunk, room + 1)
            except zlib.error as error:
                raise LookFailed(f"the answer is broken: {error}") from None
            cut = len(body) > BODY_LIMIT
            del body[BODY_LIMIT:]
        if cut:
            break
    if unpack is not None and not cut and body and not unpack.eof:
        raise LookFailed("the answer broke off within its packed body")
    return Answer(response.status_code, headers, bytes(body), cut)


def _in_words(error: BaseException) -> str:
    """What went wrong, with the cause that the library wraps."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"TLS: the certificate is not trusted ({cause.verify_message}); see ca="
        if isinstance(cause, ssl.SSLError):
            return f"TLS: {cause.reason or cause}"
        cause = cause.__cause__ or cause.__context__
    text = str(error) or type(error).__name__
    match error:
        case httpx.ConnectTimeout():
            return "no connection in time"
        case httpx.ConnectError():
            return f"no connection: {text}"
        case httpx.TimeoutException():
            return f"no answer in time ({type(error).__name__})"
        case httpx.RemoteProtocolError() | httpx.ReadError() | httpx.WriteError() | httpx.CloseError():
            return f"the answer broke off or is not HTTP: {text}"
        case _:
            return f"{type(error).__name__}: {text}"
