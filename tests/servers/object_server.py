"""localbucket: an S3 server of one process, its buckets folders on disk."""

from __future__ import annotations

from pathlib import Path

from tests.servers.http_server import unused_port
from tests.servers.processes import ServerProcess, program


class ObjectServer(ServerProcess):
    def __init__(self, root: Path) -> None:
        super().__init__(unused_port())
        self.root = root
        (root / "drops").mkdir(parents=True)

    def command(self) -> list[str]:
        return [program("localbucket"), "--port", str(self.port), str(self.root)]

    @property
    def options(self) -> dict[str, str]:
        """For `ObjectTrigger(options=...)`; the server checks no credentials."""
        return {"endpoint": f"http://{self.address}", "region": "us-east-1", "skip_signature": "true"}

    def put(self, key: str, data: bytes) -> None:
        path = self.root / "drops" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
