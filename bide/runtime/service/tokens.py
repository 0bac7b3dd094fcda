"""Tokens: 256 random bits each, told once; their hash is all that is kept.

A token reads `bide_<public>_<secret>`. The public part finds its row, the hash of the whole is compared
in constant time. Deliberately not a signed token: one that is revoked is refused at once.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from bide.runtime import typed
from bide.runtime.clock import Clock, from_us
from bide.runtime.engine.tokens import SCOPES
from bide.runtime.errors import RefusedError, UsageError
from bide.runtime.service.addresses import bounded, read_date, read_span
from bide.runtime.service.caller import Caller
from bide.runtime.service.paging import behind
from bide.runtime.service.shapes import Done, iso, iso_or_none
from bide.runtime.service.token_shapes import TokenLine, TokenMade
from bide.runtime.store import who_reads
from bide.runtime.store.reader import Reader
from bide.runtime.store.who_reads import TokenRow

if TYPE_CHECKING:
    from bide.runtime.engine.changes import Changes
    from bide.runtime.service.doors import Door
    from bide.runtime.service.operations import Asks

NAME: Final = re.compile(r"[A-Za-z0-9_.@-]{1,100}")
_TOKEN: Final = re.compile(r"bide_([0-9a-f]{8})_[A-Za-z0-9_-]{43}")
_NOBODY: Final = hashlib.sha256(b"nobody has this token").hexdigest()


class UnknownTokenError(RefusedError):
    """A token that opens nothing: there is none such, it has expired, or it was revoked."""


def new_token() -> tuple[str, str]:
    """(the token, its public part)."""
    public = secrets.token_hex(4)
    return f"bide_{public}_{secrets.token_urlsafe(32)}", public


def hash_of(token: str) -> str:
    """What is kept of a token. It is random: no salt, and no slow hash, is needed."""
    return hashlib.sha256(token.encode()).hexdigest()


def same(a: str, b: str) -> bool:
    """Whether two hashes are the same, in a time that does not tell where they differ."""
    return hmac.compare_digest(a, b)


def state_of(row: TokenRow, now: int) -> str:
    """live, expired or revoked."""
    if row.revoked_us is not None:
        return "revoked"
    return "expired" if row.expires_us is not None and row.expires_us <= now else "live"


class Tokens:
    """The operations on tokens. It keeps no state."""

    def __init__(self, reader: Asks, door: Door, clock: Clock) -> None:
        self._reader, self._door, self._clock = reader, door, clock

    async def create(self, name: str, scope: str = "read", expires: str | None = None) -> TokenMade:
        if not NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} is no name of a token: 1 to 100 letters, digits, '_', '-', '.' or '@', "
                "such as the program that will use it"
            )
        if scope not in SCOPES:
            raise UsageError(f"{scope!r} is no scope of a token: use one of {', '.join(SCOPES)}")
        expires_us = None if expires is None else self._until(expires)
        token, public = new_token()
        args = {
            "name": name, "scope": scope, "public": public, "token_hash": hash_of(token), "expires_us": expires_us,
        }  # fmt: skip
        await self._door.command("token_create", args)
        return TokenMade(
            name=name, scope=scope, public=public, expires_at=iso_or_none(expires_us), token=token
        )

    def _until(self, expires: str) -> int:
        """The instant that is meant: so long from now, or a date."""
        now = self._clock.now()
        try:
            until = now + read_span(expires)
        except UsageError:
            try:
                until = read_date(expires)
            except UsageError:
                raise UsageError(
                    f"{expires!r} is no end of a token: write 30d, 12h, or a date such as 2027-06-15"
                ) from None
        if until <= now:
            raise UsageError(
                f"{expires!r} is {from_us(until).isoformat()}, which has passed: say a later one"
            )
        return until

    async def listed(self, limit: int = 100_000, before: str | None = None) -> list[TokenLine]:
        bounded(limit)
        now = self._clock.now()
        found = await self._reader.ask(Reader.read, who_reads.tokens)
        return [
            TokenLine(
                name=row.name,
                scope=row.scope,
                state=state_of(row, now),
                public=row.public,
                created_at=iso(row.created_us),
                expires_at=iso_or_none(row.expires_us),
                revoked_at=iso_or_none(row.revoked_us),
            )
            for row in behind(found, lambda row: row.public, before, limit)
        ]

    async def revoke(self, name: str) -> Done:
        done = await self._door.command("token_revoke", {"name": name})
        return Done(done=f"revoked the token {name}", result=done)


class TokenBook:
    """The tokens of a database as a living runtime has them: read once, and again when one was made or revoked."""

    def __init__(
        self, reader: Asks, clock: Clock, listen: Callable[[Callable[[Changes], None]], None]
    ) -> None:
        """`listen` adds a listener to commits; none is added before somebody shows a token."""
        self._reader, self._clock = reader, clock
        self._listen: Callable[[Callable[[Changes], None]], None] | None = listen
        self._rows: Mapping[str, TokenRow] | None = None
        self._turn = 0

    def committed(self, changes: Changes) -> None:
        """A listener to commits: what was read before one that changes tokens is read again."""
        if changes.tokens_new or changes.tokens_over:
            self._rows, self._turn = None, self._turn + 1

    async def caller_of(self, token: str, address: str = "") -> Caller:
        """Who bears this token; `UnknownTokenError` says why it opens nothing."""
        found = _TOKEN.fullmatch(token)
        rows = self._rows
        if rows is None:
            rows = await self._read()
        row = rows.get(found[1]) if found is not None else None
        if not same(hash_of(token), row.hash if row is not None else _NOBODY) or row is None:
            raise UnknownTokenError("this token is none of this database's: `bide token create` makes one")
        if (state := state_of(row, self._clock.now())) != "live":
            raise UnknownTokenError(f"the token {row.name!r} is {state}: `bide token create` makes another")
        return typed.convert({"who": row.name, "via": "http", "address": address, "scope": row.scope}, Caller)

    async def _read(self) -> Mapping[str, TokenRow]:
        if self._listen is not None:
            self._listen(self.committed)
            self._listen = None
        while True:
            turn = self._turn
            rows = {row.public: row for row in await self._reader.ask(Reader.read, who_reads.tokens)}
            if turn == self._turn:  # no commit has changed them meanwhile
                self._rows = rows
                return rows
