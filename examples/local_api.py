"""The smallest HTTP server that a demo needs, on loopback: a subclass answers, this speaks the protocol."""

from __future__ import annotations

import asyncio
import contextlib


class LocalApi:
    """Answers each request with what `answer(head)` says: a status line's end, and a body of JSON."""

    def __init__(self) -> None:
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    def answer(self, head: bytes) -> tuple[str, bytes]:
        raise NotImplementedError

    async def start(self) -> str:
        """Its origin."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for writer in self._open:
                writer.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                status, body = self.answer(head)
                said = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
                writer.write(f"{said}\r\n\r\n".encode() + body)
                await writer.drain()
        self._open.discard(writer)
        writer.close()
