"""Who may, and who did: the tokens, and the audit log of all commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bide.runtime.clock import Clock
from bide.runtime.errors import UsageError
from bide.runtime.service import once
from bide.runtime.service.addresses import before_number, entity, read_date, read_span
from bide.runtime.service.token_shapes import AuditLine, AuditShown
from bide.runtime.store.reader import Reader

if TYPE_CHECKING:
    from bide.runtime.service.doors import Door
    from bide.runtime.service.once import Kept
    from bide.runtime.service.operations import Asks
    from bide.runtime.service.tokens import Tokens


class Who:
    """The part of the operations that is about who asks."""

    _reader: Asks
    _door: Door
    _clock: Clock

    @property
    def reader(self) -> Asks:
        """Whom questions of the database are put to."""
        return self._reader

    @property
    def tokens(self) -> Tokens:
        """The operations on tokens."""
        from bide.runtime.service.tokens import Tokens

        return Tokens(self._reader, self._door, self._clock)

    async def answered(self) -> Kept | None:
        """The whole answer of the first time, where this request bears a key and it is kept."""
        return await once.kept(self._reader)

    async def has_commanded(self) -> bool:
        """Whether something was carried out under the key of this request."""
        return await once.has_commanded(self._reader)

    async def keep_answer(self, status: int, body: bytes) -> None:
        """Keep the whole answer under the key of this request."""
        await once.keep(self._door, status, body)

    async def revision(self, kind: str, name: str) -> int | None:
        """The number that an entity has as it stands; None when it is not there, or has none."""
        from bide.runtime.store.revisions import revision

        known = entity(kind, name)
        return (
            None
            if known is None
            else await self._reader.ask(Reader.read, lambda conn: revision(conn, kind, known))
        )

    async def audit(
        self,
        since: str | None = None,
        who: str | None = None,
        verb: str | None = None,
        outcome: str | None = None,
        before: str | None = None,
        limit: int = 100,
        via: str | None = None,
        target: str | None = None,
    ) -> list[AuditLine]:
        """The commands there were, the newest first; `since`: an instant, or so long ago (`2h`)."""
        from bide.runtime.store import who_reads

        if outcome not in (None, "ok", "refused"):
            raise UsageError(f"{outcome!r} is no outcome of a command: use ok or refused")
        if not 1 <= limit <= 100_000:
            raise UsageError(f"a limit of {limit} cannot be: use 1 to 100000")
        since_us = None if since is None else _since(since, self._clock.now())
        asked = (since_us, who, verb, outcome, before_number(before), limit, via, target)
        return await self._reader.ask(Reader.read, lambda conn: who_reads.audited(conn, AuditLine, *asked))

    async def audit_shown(self, line: str) -> AuditShown:
        from bide.runtime.service.audited import shown

        return await self._reader.ask(shown, line)


def _since(text: str, now: int) -> int:
    try:
        return now - read_span(text)
    except UsageError:
        return read_date(text)
