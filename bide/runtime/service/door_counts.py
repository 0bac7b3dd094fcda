"""What came to the HTTP doors: requests by the template of their route, and what was refused, by a few fixed words.

Plain numbers for `/metrics`, counted as each answer begins. No label holds anything that a sender has chosen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from bide.runtime.service.tally import Buckets

if TYPE_CHECKING:
    from starlette.types import Scope

REASONS: Final[Mapping[int, str]] = {
    400: "malformed", 401: "nobody", 403: "not_allowed", 404: "no_route", 405: "method", 408: "slow_body",
    412: "changed", 413: "large_body", 414: "long_address", 415: "not_json", 421: "host", 429: "too_many",
    431: "large_headers", 503: "unavailable",
}  # fmt: skip
"""What a refusal is called, by its status."""
CONNECTIONS, SLOW_HEAD, SLOW_READER, WEBSOCKET = "connections", "slow_head", "slow_reader", "websocket"
"""Refused below HTTP: one connection too many, a head that did not come, an answer that nobody takes."""
_WITHIN: Final = frozenset({401, 403, 408, 412, 413, 415, 421, 429, 431, 503})
"""Statuses that are a refusal wherever they come from; the others may be a route's own answer (no such run)."""
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
NO_ROUTE: Final = "none"
TAKES: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 2.5, 10.0)
"""Upper bounds of what answers take until they begin, seconds."""


class DoorCounts:
    """Of one runtime, over all its listeners."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str, str]] = Counter()
        """(route, method, class of status)"""
        self.took_s: dict[str, Buckets] = {}

    def answered(self, route: str, method: str, status: int, took_s: float) -> None:
        """A route has answered: `route` is its template."""
        self._request(route, method, status)
        if status in _WITHIN:
            self.refuse(REASONS[status])
        if route not in self.took_s:
            self.took_s[route] = Buckets(TAKES)
        self.took_s[route].add(took_s)

    def refused_with(self, method: str, status: int) -> None:
        """The edge has refused it, before any route."""
        self._request(NO_ROUTE, method, status)
        self.refuse(REASONS.get(status, "other"))

    def refuse(self, reason: str) -> None:
        """One more."""
        self.refused[reason] += 1

    def _request(self, route: str, method: str, status: int) -> None:
        self.requests[route, method if method in _METHODS else "other", f"{status // 100}xx"] += 1


def templates(routes: Iterable[Any]) -> dict[Any, str]:
    """By the function that answers: the path of its route, as it is declared."""
    return {
        each.endpoint: each.path for each in routes if hasattr(each, "endpoint") and hasattr(each, "path")
    }


def template_of(scope: Scope, known: Mapping[Any, str]) -> str:
    """Of a request that a router has seen."""
    return known.get(scope.get("endpoint"), NO_ROUTE)
