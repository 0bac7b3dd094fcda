"""The commands on tokens: make one, revoke one. Pure: the token itself never gets here, its hash does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from bide.runtime.clock import from_us
from bide.runtime.engine.turn import Turn
from bide.runtime.errors import NotFoundError, RefusedError, UsageError

SCOPES: Final = ("read", "run", "admin")
"""Each allows what those before it do."""
_ADVICE: Final = "`bide token list` lists them"


def token_create(t: Turn, args: dict[str, Any]) -> Any:
    """{name, scope, public, token_hash, expires_us | None} -> {name, public}. One that lives for each name."""
    name, expires = args["name"], args.get("expires_us")
    if args["scope"] not in SCOPES:
        raise UsageError(f"{args['scope']!r} is no scope of a token: use one of {', '.join(SCOPES)}")
    if expires is not None and expires <= t.now:
        raise UsageError(f"a token that expires at {from_us(expires).isoformat()} has expired already")
    if _living(t, name) is not None:
        raise RefusedError(
            f"there is a token {name!r} already: revoke it first (`bide token revoke {name}`), or use another name"
        )
    t.changes.tokens_new.append((args["public"], name, args["token_hash"], args["scope"], t.now, expires))
    return {"name": name, "public": args["public"]}


def token_revoke(t: Turn, args: dict[str, Any]) -> Any:
    """{name} -> {name, public}. It is refused from the commit on."""
    public = _living(t, args["name"])
    if public is None:
        raise NotFoundError(f"there is no token {args['name']!r} to revoke: {_ADVICE}")
    t.changes.tokens_over.append((t.now, public))
    return {"name": args["name"], "public": public}


def _living(t: Turn, name: str) -> str | None:
    """The public part of the token of that name, unless it is revoked; also one of this very batch."""
    public: str | None = t.fact("token", name)
    public = next((row[0] for row in t.changes.tokens_new if row[1] == name), public)
    return None if any(row[1] == public for row in t.changes.tokens_over) else public


VERBS: Final[dict[str, Callable[[Turn, dict[str, Any]], Any]]] = {
    "token_create": token_create,
    "token_revoke": token_revoke,
}
