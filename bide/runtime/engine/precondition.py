"""An edit that is only meant for an entity as somebody has seen it (If-Match): compared before anything is changed.

What the database says is as old as the batch before this one; what this batch has decided of the entity counts as well. So of
two edits with one tag in one batch the first is carried out, and the second is refused. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from bide.runtime.errors import ChangedError

if TYPE_CHECKING:
    from bide.runtime.engine.turn import Turn


class Match(msgspec.Struct, frozen=True):
    """`numbers` are those that the entity may have (store/revisions.py); `name` is its id, a DAG's its name."""

    kind: str
    name: str | int
    numbers: tuple[int, ...]


def check(t: Turn, match: Match) -> None:
    """`ChangedError` when the entity has changed since. Of what is not there the verb itself tells."""
    stored = t.fact("revision", match.kind, match.name)
    here = _of_batch(t, match)
    now = here if here is not None else stored
    if now is not None and now not in match.numbers:
        raise ChangedError(
            f"{match.kind} {match.name} has changed since it was seen: nothing was done; "
            "look at it again, and send the ETag that it has now"
        )


def _of_batch(t: Turn, match: Match) -> int | None:
    """The number that it has by what this batch has decided; None: it has done nothing to it."""
    changes, name = t.changes, match.name
    if match.kind == "approval":
        row = changes.approvals_set.get(int(name))
        return None if row is None else row[1]
    if match.kind == "wait":
        row = changes.waits_set.get(int(name))
        return None if row is None else (row[3] if row[3] is not None else row[2])
    if match.kind == "run":
        return max((line[0] for line in changes.events if line[5] == name), default=None)
    if match.kind == "dag":
        dag = t.world.dags.get(str(name))
        name = -1 if dag is None else dag.dag_id
    mine = (line[0] for line in changes.events if line[3] == match.kind and line[4] == name)
    return max(mine, default=None)
