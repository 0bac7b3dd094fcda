"""A runtime as an ASGI app: its routes behind the edge, for its own server or a host's."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING

from bide.runtime.errors import UnreachableError, UsageError
from bide.runtime.service.later_app import LaterApp
from bide.runtime.service.live import LiveHouse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Scope

    from bide.runtime.engine.changes import Changes
    from bide.runtime.service.caller import Caller
    from bide.runtime.service.door_counts import DoorCounts
    from bide.runtime.service.hook_desk import HookDesk
    from bide.runtime.service.metrics import Metrics
    from bide.runtime.service.operations import Operations
    from bide.runtime.service.tokens import TokenBook


class Mounted(LiveHouse):
    """What of an open runtime is asked over HTTP, and by whom."""

    desk: HookDesk
    _book: TokenBook | None = None
    _counted: Metrics | None = None
    _at_the_doors: DoorCounts | None = None

    @property
    def operations(self) -> Operations:
        """All that can be asked and done."""
        raise NotImplementedError

    @property
    def at_the_doors(self) -> DoorCounts:
        """What came to its HTTP doors, and what was refused there."""
        if self._at_the_doors is None:
            from bide.runtime.service.door_counts import DoorCounts

            self._at_the_doors = DoorCounts()
        return self._at_the_doors

    @property
    def asgi(self) -> LaterApp:
        """The REST API as an ASGI app: `app.mount("/bide", rt.asgi)`. Needs the extra `server`. Made when it is first asked.

        Nothing but its health is told without a name: a token's, or that of the `Caller` which the host puts
        into `request.state.bide_caller`; see `asgi_for`.
        """
        if find_spec("fastapi") is None:
            raise UsageError(
                "the REST API needs the extra `server` (fastapi is missing): pip install 'bide[server]'"
            )
        return LaterApp(self._app)

    def _app(self) -> ASGIApp:
        from bide.runtime.service.api import make_app
        from bide.runtime.service.door_counts import templates
        from bide.runtime.service.edge import Edge
        from bide.runtime.service.probes import Probes
        from bide.runtime.service.scopes import scopes_of
        from bide.runtime.service.window import Window

        app = make_app(
            self.operations,
            self._alive,
            self._ready,
            self.feed,
            self.desk,
            probes=Probes(self),
            metrics=self._metrics,
        )
        return Edge(
            app,
            scopes_of(app).of,
            self._tokens.caller_of,
            counts=self.at_the_doors,
            templates=templates(app.routes),
            window=Window(),
        )

    def asgi_for(self, caller: Caller | Callable[[Scope], Caller | None]) -> ASGIApp:
        """`asgi` for a host that knows who asks: a `Caller`, or a function of the ASGI scope that gives one.

        What it gives no caller for, needs a token.
        """
        from bide.runtime.service.edge import naming

        return naming(self.asgi, caller)

    @property
    def _tokens(self) -> TokenBook:
        if self._book is None:
            from bide.runtime.service.tokens import TokenBook

            self._book = TokenBook(self.operations.reader, self.clock, self._told_of_commits)
        return self._book

    def _told_of_commits(self, listener: Callable[[Changes], None]) -> None:
        """An app may be asked before the runtime is opened: then there is nobody yet to tell it."""
        if self.phase:
            raise UnreachableError(self.phase)
        self._shell.listeners.append(listener)

    def _metrics(self) -> Metrics:
        if self.phase:
            raise UnreachableError(f"there are no metrics: {self.phase}")
        if self._counted is None:
            self._counted = self.operations.metrics(self, self.count(), self.db, self.at_the_doors)
        return self._counted
