"""Which scope each path of an app asks of who calls it: said when the path is made, looked up at the edge.

A path that says none is nobody's: the edge refuses it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bide.runtime.service.route import Scope

if TYPE_CHECKING:
    from starlette.applications import Starlette

_NAMED: Final = re.compile(r"\{(\w+)(:path)?\}")


class Scopes:
    """(method, path template) -> scope. Literal paths are found before those with names, as they are declared."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], Scope] = {}
        self._literal: dict[tuple[str, str], Scope] = {}
        self._named: list[tuple[str, re.Pattern[str], Scope]] = []

    def say(self, method: str, path: str, scope: Scope) -> None:
        """The method in capitals; the path as a router takes it: `/api/v1/runs/{run}`, `/x/{asset:path}`."""
        self.said[method, path] = scope
        if "{" not in path:
            self._literal[method, path] = scope
            return
        self._named.append((method, _pattern(path), scope))

    def of(self, method: str, path: str) -> Scope | None:
        """What a request needs; None: nobody has said. A HEAD is a GET."""
        method = "GET" if method == "HEAD" else method
        found = self._literal.get((method, path))
        if found is not None:
            return found
        return next(
            (
                scope
                for meant, pattern, scope in self._named
                if meant == method and pattern.fullmatch(path) is not None
            ),
            None,
        )


def scoped(app: Starlette, method: str, path: str, scope: Scope) -> None:
    """Say the scope of a path that is a plain route of the app."""
    scopes_of(app).say(method, path, scope)


def scopes_of(app: Starlette) -> Scopes:
    """Those of an app, made at the first asking."""
    found = getattr(app.state, "scopes", None)
    if not isinstance(found, Scopes):
        found = app.state.scopes = Scopes()
    return found


def _pattern(path: str) -> re.Pattern[str]:
    """What matches a path template.

    >>> bool(_pattern("/assets/{asset:path}").fullmatch("/assets/a/b"))
    True
    """
    parts, end = [], 0
    for match in _NAMED.finditer(path):
        parts += [re.escape(path[end : match.start()]), ".+" if match[2] else "[^/]+"]
        end = match.end()
    return re.compile("".join(parts) + re.escape(path[end:]), re.DOTALL)
