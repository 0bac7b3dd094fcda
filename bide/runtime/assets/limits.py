"""What is known to be wrong with a version that may be used all the same (S1-30)."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a version is degraded, what is known of it, who accepted that, and until when (epoch microseconds, UTC)."""

    reason: str = ""
    known_limitations: tuple[str, ...] = ()
    approved_by: str = ""
    expires_us: int | None = None


def encoded(limits: Limits | None) -> str | None:
    return None if limits is None else msgspec.json.encode(limits).decode()
