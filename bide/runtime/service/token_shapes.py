"""The shapes of tokens and of the audit log."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.event_shapes import EventLine
from bide.runtime.service.said_words import Id, Instant, OutcomeWord, ScopeWord, TokenWord
from bide.runtime.service.shapes import _Shape


class TokenMade(_Shape, frozen=True):
    """`token` is said this once: it is kept nowhere."""

    name: str
    scope: ScopeWord
    public: str
    expires_at: Instant | None
    token: str


class TokenLine(_Shape, frozen=True):
    """`state`: live, expired or revoked. `public` is how the token begins."""

    name: str
    scope: ScopeWord
    state: TokenWord
    public: str
    created_at: Instant
    expires_at: Instant | None
    revoked_at: Instant | None


class AuditLine(_Shape, frozen=True):
    """One command: `who` asked by which door (`via`) and from where, and its `outcome`: ok or refused."""

    id: Id
    at: Instant
    who: str
    via: str
    address: str
    verb: str
    target: str
    args: dict[str, Any]
    outcome: OutcomeWord
    message: str


class AuditShown(_Shape, frozen=True):
    """A command, and what moved with it: of the same instant, and about the same where the journal tells. `more`: and more did."""

    line: AuditLine
    moved: tuple[EventLine, ...]
    more: bool
