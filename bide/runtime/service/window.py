"""The window: the files of the web UI, which hold nothing of anybody's and are given to whoever may reach the port.

The built files stand in `bide/window`. A path of a screen (`/waits`, `/runs/17`) is answered by the same page,
whatever comes after its first word: which screen it is, the page itself reads. Nothing that a request says is
looked up on the disk: the files are read once, and found by their exact names.
"""

from __future__ import annotations

import asyncio
import gzip
import html
from hashlib import sha256
from importlib import resources
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.aside import aside

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable

    from starlette.types import Scope, Send

SCREENS: Final = frozenset(
    {
        "approvals", "assets", "audit", "backfills", "dags", "effects",
        "pools", "runs", "system", "tasks", "waits",
    }
)  # fmt: skip
"""The first words of the pages' addresses."""
BASE: Final = b'<base href="/">'
"""Stands in the page; what is asked for goes from there. Under another root it is that one."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; worker-src 'self'; "
    "base-uri 'self'; form-action 'none'; frame-ancestors 'none'; trusted-types bide; require-trusted-types-for 'script'"
)
"""Nothing but our own files, no script within the page, and no text that becomes one."""
_TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "svg": "image/svg+xml",
    "json": "application/json",
}
_LASTING: Final = "static/"
"""Below it names hold the hash of what they name."""


class File(msgspec.Struct, frozen=True):
    """One built file, as it is and as gzip has it."""

    body: bytes
    packed: bytes
    kind: str
    tag: str
    lasting: bool


class Window:
    """Reads the files when the first is asked for, in a thread."""

    def __init__(self) -> None:
        self._reading: asyncio.Task[dict[str, File]] | None = None
        self._files: dict[str, File] | None = None

    def has(self, method: str, path: str) -> bool:
        """Whether this is no question to the service but for a file of the window."""
        if method not in ("GET", "HEAD"):
            return False
        name = path.removeprefix("/")
        if not name or name == "favicon.svg":
            return True
        return name.partition("/")[0] in SCREENS or name.startswith(_LASTING)

    async def answer(self, scope: Scope, path: str, send: Send) -> None:
        """The file, the page, or 404 for a file that there is not."""
        files = self._files or await self._read()
        name = path.removeprefix("/") or "index.html"
        found = files.get(name) or (None if name.startswith(_LASTING) else files.get("index.html"))
        if found is None:
            await _send(
                scope, send, 404, [(b"content-type", b"text/plain; charset=utf-8")], b"no such file\n"
            )
            return
        if (name == "index.html" or name not in files) and scope.get("root_path"):
            found = _below(found, scope["root_path"])
        asked = dict(scope["headers"])
        headers = [
            (b"content-type", found.kind.encode()),
            (b"etag", found.tag.encode()),
            (b"cache-control", b"public, max-age=31536000, immutable" if found.lasting else b"no-cache"),
            (b"vary", b"accept-encoding"),
            (b"content-security-policy", POLICY.encode()),
            (b"cross-origin-opener-policy", b"same-origin"),
        ]
        if found.tag.encode() in asked.get(b"if-none-match", b""):
            await _send(scope, send, 304, headers, b"")
        elif b"gzip" in asked.get(b"accept-encoding", b""):
            await _send(scope, send, 200, [*headers, (b"content-encoding", b"gzip")], found.packed)
        else:
            await _send(scope, send, 200, headers, found.body)

    async def _read(self) -> dict[str, File]:
        if self._reading is None:
            self._reading = asyncio.create_task(aside(read_files), name="bide reads its window")
        self._files = files = await asyncio.shield(self._reading)
        return files


def read_files() -> dict[str, File]:
    """All of the built files, by the path that asks for them; none where it was not built."""
    found: dict[str, File] = {}
    _gather(resources.files("bide") / "window", "", found)
    return found


def _gather(folder: Traversable, below: str, found: dict[str, File]) -> None:
    if not folder.is_dir():
        return
    for each in folder.iterdir():
        if each.is_dir():
            _gather(each, f"{below}{each.name}/", found)
        elif (kind := _TYPES.get(each.name.rpartition(".")[2])) is not None:
            found[below + each.name] = _file(each.read_bytes(), kind, lasting=below.startswith(_LASTING))


def _file(body: bytes, kind: str, *, lasting: bool) -> File:
    tag = f'"{sha256(body).hexdigest()[:20]}"'
    return File(body=body, packed=gzip.compress(body, 9, mtime=0), kind=kind, tag=tag, lasting=lasting)


def _below(page: File, root: str) -> File:
    """The page of an app that is mounted under `root`."""
    base = f'<base href="{html.escape(root.rstrip("/"), quote=True)}/">'.encode()
    return _file(page.body.replace(BASE, base, 1), page.kind, lasting=False)


async def _send(
    scope: Scope, send: Send, status: int, headers: list[tuple[bytes, bytes]], body: bytes
) -> None:
    headers = [
        *headers,
        (b"content-length", str(len(body)).encode()),
        (b"x-content-type-options", b"nosniff"),
    ]
    if not any(name == b"content-security-policy" for name, _ in headers):
        headers.append((b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"))
    headers.append((b"referrer-policy", b"no-referrer"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
