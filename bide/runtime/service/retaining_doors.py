"""What every door offers on what is kept, and what it answers."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import msgspec
from msgspec import Meta

from bide.runtime.service.route import Text, post

Last = Annotated[int, Meta(ge=1, le=1_000_000)]


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What went. While `done` is false, `cursor` goes on from here."""

    done: bool
    cursor: str
    runs: int
    removed: dict[str, int]
    """rows by table"""
    logs: int
    """files of attempts that are gone"""


class RetainingDoors(Protocol):
    """Retention."""

    @post("/database/prune", scope="admin", kept=True)
    async def prune(
        self,
        keep: Text = "90d",
        last: Last = 1,
        dags: dict[str, Any] | None = None,
        cursor: Text = "",
        audit: Text = "400d",
    ) -> Pruned:
        """Remove runs that ended longer ago than `keep`, but the newest `last` of each DAG, and what else is as old.

        `dags`: otherwise for some, `{"etl": {"keep": "7d", "last": 10}}`. `audit`: lines of the audit log go when they
        are older than this, whatever `keep` says. It stops after a second: with `cursor`
        it goes on where it stopped, by the policy that it began with. Nothing goes that something living refers to.
        """
        ...
