"""A real service behind the window: `bide serve` of the showcase on a port of its own, with a token, and what is done to it.

    python -m tests.window.house FOLDER [--quiet]

serves it until it is stopped, and prints the address with its token: for looking at it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bide.runtime.service.places import socket_of
from bide.runtime.service.wire import SocketWire
from tests import kept_warm

SHOWCASE = Path(__file__).with_name("showcase.py")
ROOT = Path(__file__).parents[2]
DATES = ("2026-03-01T00:00:00+00:00", "2026-03-02T00:00:00+00:00", "2026-03-03T00:00:00+00:00")


class House:
    """One service on one database, asked over HTTP."""

    def __init__(self, folder: Path, dags: Path = SHOWCASE) -> None:
        self.folder = folder
        self.dags = dags
        self.world = folder / "world"
        self.world.mkdir(parents=True, exist_ok=True)
        self.db = folder / "bide.db"
        self.said = folder / "service.err"
        self.url = ""
        self.token = ""
        self.runs: dict[str, str] = {}
        self.process: subprocess.Popen[str] | None = None
        self._environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "BIDE_SHOWCASE_WORLD": str(self.world), "BIDE_DB": str(self.db),
        }  # fmt: skip

    def open(self, port: int | None = 0) -> None:
        """Serve; at no TCP port where that is None, and then nobody has a token."""
        at = () if port is None else ("--port", str(port))
        with self.said.open("a") as says:
            begins = says.tell()
            self.process = subprocess.Popen(
                [*kept_warm.words("bide"), "serve", str(self.dags), "--db", str(self.db), *at, "--drain", "1s"],
                stderr=says, stdout=subprocess.DEVNULL, text=True, env=self._environment, cwd=self.folder,
            )  # fmt: skip
        while "serving" not in (said := self.said.read_bytes()[begins:].decode()):
            assert self.process.poll() is None, said
            time.sleep(0.02)  # another process begins
        if found := re.search(r"http://[\d.]+:\d+", said):
            self.url = found[0]
        assert bool(self.url) is (port is not None), said
        if self.url and not self.token:
            self.token = self._token()

    def _token(self) -> str:
        """As `bide token create` asks for one, without a process of its own."""
        ask = SocketWire(socket_of(self.db), self.db).connection(20)
        body = json.dumps({"name": "window", "scope": "admin", "expires": "1h"})
        ask.request("POST", "/api/v1/tokens", body, {"Content-Type": "application/json"})
        answer = ask.getresponse()
        said = answer.read()
        ask.close()
        assert answer.status == 201, said
        return str(json.loads(said)["token"])

    def close(self) -> None:
        """Stop it; a service that has ended before says why."""
        if self.process is not None:
            ended = self.process.poll()
            (self.world / "go").touch()
            self.process.terminate()
            self.process.wait(20)
            assert ended is None, f"the service ended with {ended}: {self.said.read_text()[-4000:]}"

    def bide(self, *words: str) -> str:
        """A command of the terminal; what it prints."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of the terminal, however it ends."""
        return subprocess.run(
            [*kept_warm.words("bide"), *words, "--db", str(self.db)],
            env=self._environment, cwd=self.folder, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        """The answer of `/api/v1` + path; with a body, to a POST."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        try:
            with urlopen(Request(f"{self.url}/api/v1{path}", data, headers)) as answer:
                return json.load(answer)
        except HTTPError as error:
            raise AssertionError(f"{path}: {error.read().decode()}") from None

    def trigger(self, dag: str, date: str = DATES[0], **params: Any) -> str:
        asked = {"logical_date": date, **({"params": params} if params else {})}
        return str(self.ask(f"/dags/{dag}/runs", asked)["run_id"])

    def until(self, path: str, true: Callable[[Any], bool], limit_s: float = 20.0) -> Any:
        """The first answer of which it is true."""
        over = time.monotonic() + limit_s
        while not true(found := self.ask(path)):
            assert time.monotonic() < over, (path, found)
            time.sleep(0.03)  # between two questions to another process
        return found

    def state_of(self, run: str) -> str:
        return str(self.ask(f"/runs/{run}")["state"])

    def furnish(self) -> dict[str, str]:
        """Runs in all states; their ids by what they show."""
        *_, ordered = [self.trigger("daily_orders", date) for date in DATES]
        runs = {
            "good": ordered,
            "bad": self.trigger("failing"),
            "held": self.trigger("crowded"),
            "waiting": self.trigger("waiting"),
            "asks": self.trigger("publishing"),
            "mapped": self.trigger("mapped"),
        }
        for name in ("good", "bad", "mapped"):
            self.until(f"/runs/{runs[name]}", lambda run: run["state"] in ("success", "failed"))
        self.until("/waits", lambda waits: len(waits) >= 5)
        return runs

    def address(self, path: str = "/") -> str:
        """Where a browser goes, and is let in."""
        return f"{self.url}{path}#token={self.token}"


def main() -> None:
    house = House(Path(sys.argv[1]).resolve())
    house.open()
    try:
        runs = house.furnish()
        print(json.dumps({"runs": runs, "url": house.address(), "token": house.token}), flush=True)
        assert house.process is not None
        house.process.wait()
    finally:
        house.close()


if __name__ == "__main__":
    main()
