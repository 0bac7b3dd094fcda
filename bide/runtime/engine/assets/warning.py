"""Owners are told of an invalidation, each once, when it has spread: how bad it is for what they own (S1-34e)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from bide.runtime.assets.severity import follows
from bide.runtime.assets.words import Severity
from bide.runtime.engine.raising import raise_alert

if TYPE_CHECKING:
    from bide.runtime.assets.blast import Invalidation
    from bide.runtime.engine.turn import Turn
    from bide.runtime.store.spreading import Told

QUIET: Final = frozenset({Severity.INFO, Severity.WARNING})
"""Not worth waking anybody: it stands in the lists."""
_NAMED: Final = 5


class Payload(msgspec.Struct, frozen=True):
    """What programs read of it. `incident`: what was wrong has been seen, and is critical; one should be opened."""

    invalidation_id: str
    asset: str
    cause: str
    reason: str
    severity: str
    owner: str
    assets: tuple[str, ...]
    versions: int
    seen: int
    exports: int
    incident: bool


def warn(t: Turn, root: Invalidation, told: Sequence[Told]) -> None:
    """An alert for every owner for whom it is at least minor."""
    for each in told:
        if each.severity in QUIET:
            continue
        incident = follows(each.severity, published=each.seen > 0 or each.exports > 0).incident
        number = root.invalidation_id
        names = ", ".join(each.assets[:_NAMED]) + (", ..." if len(each.assets) > _NAMED else "")
        text = (
            f"{root.asset} was invalidated ({root.cause.value}{': ' + root.reason if root.reason else ''}): "
            f"{each.versions} version{'s' if each.versions > 1 else ''} of {names} "
            f"({each.owner or 'owned by nobody'}) {'are' if each.versions > 1 else 'is'} affected, {each.severity.value}"
            + (f"; {each.exports} already left the platform" if each.exports else "")
            + (": open an incident" if incident else "")
            + f"; `bide assets blast --invalidation {number}` lists them"
        )
        payload = Payload(
            invalidation_id=str(number),
            asset=root.asset,
            cause=root.cause.value,
            reason=root.reason,
            severity=each.severity.value,
            owner=each.owner,
            assets=each.assets,
            versions=each.versions,
            seen=each.seen,
            exports=each.exports,
            incident=incident,
        )
        raise_alert(
            t, "invalidation", f"{number}:{each.owner}", root.asset, text, payload, severity=each.severity,
            promise=each.severity.value, owners=(each.owner,),
        )  # fmt: skip
