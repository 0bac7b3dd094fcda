"""The operations over a service's unix socket: what the terminal uses when a service runs.

The standard library's HTTP client is all it takes: importing httpx costs more than the answer.
Calls block the thread they are made in; the terminal has nothing else to do meanwhile.
"""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from bide.runtime import errors
from bide.runtime.errors import BideError, GaveUpError, RefusedError, UnreachableError
from bide.runtime.service.places import owner_of
from bide.runtime.service.shapes import (
    AlertLine,
    DagLine,
    DagShown,
    Done,
    Health,
    LogPart,
    Problem,
    RunLine,
    RunShown,
    Timetable,
    Triggered,
    WaitLine,
    WhyShown,
)

if TYPE_CHECKING:
    from bide.runtime.service.approval_client import ApprovalClient
    from bide.runtime.service.asset_client import AssetClient
    from bide.runtime.service.asset_graph_client import AssetGraphClient
    from bide.runtime.service.backfill_client import BackfillClient
    from bide.runtime.service.effect_client import EffectClient
    from bide.runtime.service.evidence_client import EvidenceClient
    from bide.runtime.service.plan_client import PlanClient

_TIMEOUT_S: Final = 30.0
T = TypeVar("T")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("bide", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


class ServiceClient:
    """The service that holds `db`, at its socket. One connection a call."""

    def __init__(self, path: Path, db: Path, timeout_s: float = _TIMEOUT_S) -> None:
        self._path, self._db, self._timeout_s = path, db, timeout_s

    @property
    def held(self) -> bool:
        return True

    @property
    def backfills(self) -> BackfillClient:
        """The operations on backfills."""
        from bide.runtime.service.backfill_client import BackfillClient

        return BackfillClient(self._get, self._post)

    @property
    def plans(self) -> PlanClient:
        """The operations on rerun plans."""
        from bide.runtime.service.plan_client import PlanClient

        return PlanClient(self._get, self._post)

    @property
    def assets(self) -> AssetClient:
        """The operations on assets."""
        from bide.runtime.service.asset_client import AssetClient

        return AssetClient(self._get, self._post)

    @property
    def asset_graph(self) -> AssetGraphClient:
        """The operations on the asset graph, on contracts and promises."""
        from bide.runtime.service.asset_graph_client import AssetGraphClient

        return AssetGraphClient(self._get)

    @property
    def approvals(self) -> ApprovalClient:
        """The operations on approvals."""
        from bide.runtime.service.approval_client import ApprovalClient

        return ApprovalClient(self._get, self._post)

    @property
    def evidence(self) -> EvidenceClient:
        """The operations on evidence: checklists, incidents, bundles."""
        from bide.runtime.service.evidence_client import EvidenceClient

        return EvidenceClient(self._get, self._post)

    @property
    def effects(self) -> EffectClient:
        """The ledger of external effects."""
        from bide.runtime.service.effect_client import EffectClient

        return EffectClient(self._get)

    async def dags(self) -> list[DagLine]:
        return self._get(list[DagLine], "/dags")

    async def dag(self, dag: str) -> DagShown:
        return self._get(DagShown, f"/dags/{_part(dag)}")

    async def schedule(
        self, dag: str, n: int | None = None, since: str | None = None, until: str | None = None
    ) -> Timetable:
        return self._get(Timetable, f"/dags/{_part(dag)}/schedule", n=n, since=since, until=until)

    async def runs(self, dag: str | None = None, state: str | None = None, limit: int = 50) -> list[RunLine]:
        return self._get(list[RunLine], "/runs", dag=dag, state=state, limit=limit)

    async def show(self, run: str) -> RunShown:
        return self._get(RunShown, f"/runs/{_part(run)}")

    async def why(self, run: str, task: str | None = None) -> WhyShown:
        return self._get(WhyShown, f"/runs/{_part(run)}/why", task=task)

    async def logs(
        self, run: str, task: str, attempt: int | None = None, offset: int = 0, limit: int = 262_144
    ) -> LogPart:
        where = f"/runs/{_part(run)}/tasks/{_part(task)}/logs"
        return self._get(LogPart, where, attempt=attempt, offset=offset, limit=limit)

    async def waits(self) -> list[WaitLine]:
        return self._get(list[WaitLine], "/waits")

    async def alerts(
        self, run: str | None = None, state: str | None = None, limit: int = 100
    ) -> list[AlertLine]:
        return self._get(list[AlertLine], "/alerts", run=run, state=state, limit=limit)

    async def alert_ack(self, alert: str) -> Done:
        return self._post(Done, f"/alerts/{_part(alert)}/ack", {})

    async def trigger(
        self,
        dag: str,
        logical_date: str | None = None,
        params: dict[str, Any] | None = None,
        new: bool = False,
        key: str | None = None,
        shadow: bool = False,
    ) -> Triggered:
        body = {"logical_date": logical_date, "params": params, "new": new, "shadow": shadow}
        headers = {"Idempotency-Key": key} if key else {}
        return self._post(Triggered, f"/dags/{_part(dag)}/runs", body, headers)

    async def cancel(self, run: str) -> Done:
        return self._post(Done, f"/runs/{_part(run)}/cancel", {})

    async def rerun(
        self, run: str, task: str | None = None, downstream: bool = False, whole: bool = False
    ) -> Done:
        body = {"task": task, "downstream": downstream, "whole": whole}
        return self._post(Done, f"/runs/{_part(run)}/rerun", body)

    async def mark(self, run: str, task: str, state: str, downstream: bool = False) -> Done:
        body = {"state": state, "downstream": downstream}
        return self._post(Done, f"/runs/{_part(run)}/tasks/{_part(task)}/mark", body)

    async def skip(self, run: str, task: str, downstream: bool = False) -> Done:
        return self._post(Done, f"/runs/{_part(run)}/tasks/{_part(task)}/skip", {"downstream": downstream})

    async def pause(self, dag: str) -> Done:
        return self._post(Done, f"/dags/{_part(dag)}/pause", {})

    async def unpause(self, dag: str) -> Done:
        return self._post(Done, f"/dags/{_part(dag)}/unpause", {})

    async def wait_look(self, wait: str) -> Done:
        return self._post(Done, f"/waits/{_part(wait)}/look", {})

    async def wait_extend(self, wait: str, deadline: str) -> Done:
        return self._post(Done, f"/waits/{_part(wait)}/extend", {"deadline": deadline})

    async def wait_satisfy(self, wait: str, event: Any = None) -> Done:
        return self._post(Done, f"/waits/{_part(wait)}/satisfy", {"event": event})

    async def wait_fail(self, wait: str, reason: str = "") -> Done:
        return self._post(Done, f"/waits/{_part(wait)}/fail", {"reason": reason})

    async def doctor(self) -> Health:
        return self._get(Health, "/doctor")

    def alive(self) -> bool:
        """Whether somebody answers at the socket; waits for the answer of one that is starting."""
        try:
            return self._ask("GET", "/livez", None, {}, prefix="")[0] == 200
        except BideError:
            return False

    def _get(self, shape: type[T], path: str, **query: Any) -> T:
        said = {name: value for name, value in query.items() if value is not None}
        return self._call(shape, "GET", f"{path}?{urlencode(said)}" if said else path, None, {})

    def _post(self, shape: type[T], path: str, body: Any, headers: Mapping[str, str] | None = None) -> T:
        return self._call(shape, "POST", path, msgspec.json.encode(body), headers or {})

    def _call(
        self, shape: type[T], method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> T:
        status, data = self._ask(method, path, body, headers)
        try:
            if status < 400:
                return msgspec.json.decode(data, type=shape)
            problem = msgspec.json.decode(data, type=Problem)
        except msgspec.DecodeError as error:
            raise UnreachableError(
                f"what answers at {self._path} is not this bide's service (HTTP {status}, {error}): "
                "let the service and this command be of one version"
            ) from None
        raise _error(problem)

    def _ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], prefix: str = "/api/v1"
    ) -> tuple[int, bytes]:
        self._trust()
        connection = _UnixConnection(self._path, self._timeout_s)
        try:
            connection.request(method, prefix + path, body, {"Content-Type": "application/json", **headers})
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


def _part(text: str) -> str:
    return quote(text, safe="")


def _error(problem: Problem) -> BideError:
    kind = getattr(errors, problem.code, None)
    if isinstance(kind, type) and issubclass(kind, BideError):
        return kind(problem.detail)
    return BideError(problem.detail)
