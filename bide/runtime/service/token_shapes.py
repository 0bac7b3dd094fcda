"""The shapes of tokens and of the audit log."""

from __future__ import annotations

from typing import Any

from bide.runtime.service.shapes import _Shape


class TokenMade(_Shape, frozen=True):
    """`token` is said this once: it is kept nowhere."""

    name: str
    scope: str
    public: str
    expires_at: str | None
    token: str


class TokenLine(_Shape, frozen=True):
    """`state`: live, expired or revoked. `public` is how the token begins."""

    name: str
    scope: str
    state: str
    public: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None


class AuditLine(_Shape, frozen=True):
    """One command: `who` asked by which door (`via`) and from where, and its `outcome`: ok or refused."""

    id: str
    at: str
    who: str
    via: str
    address: str
    verb: str
    target: str
    args: dict[str, Any]
    outcome: str
    message: str
