"""A house at night for pictures of the waiting room: a bucket, a site of rates, an ERP that is down, and `nightly.py` waiting for them.

    python -m tests.window.nightly_house FOLDER [MANY]

serves it until it is stopped, and prints the address with its token. Since when all of it waits is moved into the past, so that
deadlines are at all distances, as they are in the small hours.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

from tests.servers.http_server import HttpServer, raw, reply
from tests.servers.object_server import ObjectServer
from tests.window.house import House

NIGHTS = [f"2026-11-{day:02}T00:00:00+00:00" for day in range(3, 22)]
RUNS = {
    "partner_files": 19,
    "fixings": 6,
    "erp_export": 12,
    "bank_statements": 8,
    "reconcile": 9,
    "imports": 5,
    "month_end": 1,
}
_AGED = """
UPDATE wait SET created_us = created_us - 1000000 * (600 + (wait_id * 7919) % 9000),
  deadline_us = max(deadline_us - 1000000 * (600 + (wait_id * 104729) % 21000), created_us + 600000000 + (wait_id * 15485863) % 3600000000)
WHERE state = 'open'
"""


class Elsewhere:
    """What the house waits for: a proxy that answers in the place of sites, and a bucket."""

    def __init__(self, folder: Path) -> None:
        self.bucket = ObjectServer(folder / "buckets")
        (folder / "buckets" / "landing").mkdir(parents=True, exist_ok=True)
        self._loop = asyncio.new_event_loop()
        self.sites = HttpServer()

    def open(self) -> dict[str, str]:
        """The environment in which they are found."""
        self.bucket.start()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self.sites.start(), self._loop).result(10)
        for path in ("/export/closed", "/archive/ready"):
            self.sites.on(f"http://erp.example{path}", raw(b""))
        for currency in ("eur", "usd", "gbp", "jpy"):
            for night in NIGHTS:
                self.sites.on(
                    f"http://rates.example/v2/{currency}/{night[:10]}", reply(200, {"status": "provisional"})
                )
        for number in range(7303, 7322):
            self.sites.on(f"http://customs.example/declarations/{number}", reply(200, {"cleared": False}))
        return {
            "HTTP_PROXY": self.sites.url(""), "http_proxy": self.sites.url(""), "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
            "AWS_ENDPOINT_URL": f"http://{self.bucket.address}", "AWS_ALLOW_HTTP": "true", "AWS_SKIP_SIGNATURE": "true",
            "AWS_REGION": "eu-central-1",
        }  # fmt: skip

    def close(self) -> None:
        self.bucket.stop()
        self._loop.call_soon_threadsafe(self._loop.stop)


def furnish(house: House, many: int) -> None:
    """Begin all of it, and let some hours pass."""
    for dag, count in RUNS.items():
        for night in NIGHTS[:count]:
            house.trigger(dag, night)
    if many:
        for night in NIGHTS[:10]:
            house.trigger("archives", night)
    due = 22 * 19 + 4 * 6 + 4 * 12 + 3 * 8 + 2 * 9 + 5 + 2 + max(many // 10, 1) * (10 if many else 0)
    house.until("/top", lambda top: sum(top["waits"].values()) >= due, 120)
    house.close()
    with closing(sqlite3.connect(house.db)) as conn, conn:
        conn.execute(_AGED)
    house.open()


def main() -> None:
    folder, many = Path(sys.argv[1]).resolve(), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    elsewhere = Elsewhere(folder)
    os.environ |= {**elsewhere.open(), "BIDE_WAITS": str(many)}
    house = House(folder, Path(__file__).with_name("nightly.py"))
    house.open()
    try:
        furnish(house, many)
        print(house.address("/waits"), flush=True)
        assert house.process is not None
        house.process.wait()
    finally:
        house.close()
        elsewhere.close()


if __name__ == "__main__":
    main()
