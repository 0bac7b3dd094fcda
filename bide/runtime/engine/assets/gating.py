"""What the gates of a version found, and what that makes of it (S1-7g, S0-28).

What follows from a gate that failed is what follows from its severity before anybody has seen the version
(`assets.severity.follows`): quarantine, held back until it is made anew or a person lets it out, or known limitations.
A gate that was not run counts as a major one that failed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

from bide.runtime import typed
from bide.runtime.assets.gate import CheckResult
from bide.runtime.assets.judged import Checked
from bide.runtime.assets.severity import follows
from bide.runtime.assets.words import Action, Level, Severity, VersionState
from bide.runtime.clock import from_us
from bide.runtime.engine.assets import versions
from bide.runtime.engine.raising import raise_alert

if TYPE_CHECKING:
    from bide.runtime.assets.catalog import Catalog
    from bide.runtime.assets.severity import Follows
    from bide.runtime.engine.assets.state import Open
    from bide.runtime.engine.turn import Turn


def _unseen(severity: Severity) -> Follows:
    return follows(severity, published=False)


def judged(t: Turn, one: Open, results: Iterable[CheckResult]) -> None:
    """Its gates were run: what they found is kept, and decides what it is from now on."""
    results = tuple(results)
    for each in results:
        t.changes.asset_checks.append(
            (one.version_id, each.name, each.severity.value, int(each.passed), _json(each.observed),
             _json(each.expected), each.message, t.now)
        )  # fmt: skip
    one.checks = tuple(
        sorted((Checked(each.name, each.severity, each.passed) for each in results), key=_name)
    )
    failed = [each for each in results if not each.passed]
    for each in failed:
        if _unseen(each.severity).level is Level.PUBLICATION:
            _alert(t, one, each)
    unsafe = [each for each in failed if quarantines(each)]
    if unsafe:
        versions.move(t, one, VersionState.QUARANTINED, f"a gate failed: {unsafe[0].words}{_more(unsafe)}")
        return
    passed = f"{len(results)} gate{'' if len(results) == 1 else 's'} passed" if results else "it has no gates"
    versions.move(
        t,
        one,
        VersionState.VALIDATED,
        f"a gate failed: {failed[0].words}{_more(failed)}" if failed else passed,
    )


def quarantines(check: CheckResult) -> bool:
    return _unseen(check.severity).action is Action.QUARANTINE_OUTPUT


def held_by(catalog: Catalog, one: Open) -> str:
    """Which of its gates hold it back, in words; "" when none does."""
    found = {each.name: each for each in one.checks}
    failed = [
        each for each in one.checks if not each.passed and _unseen(each.severity).action is Action.BLOCK
    ]
    if failed:
        return f"its gate {failed[0].name} ({failed[0].severity.value}) failed"
    missing = [name for name in catalog.gates.get(one.asset, ()) if name not in found]
    if missing:
        return f"its gate {missing[0]} has not been run"
    return ""


def limits_of(one: Open) -> tuple[str, ...]:
    """The known limitations that its gates leave on it."""
    return tuple(
        f"its gate {each.name} ({each.severity.value}) failed"
        for each in one.checks
        if not each.passed and each.severity is not Severity.INFO
    )


class Payload(msgspec.Struct, frozen=True):
    """What programs read of an alert of a gate. Instants are ISO 8601, UTC."""

    asset: str
    version: str
    gate: str
    severity: str
    owner: str
    run_id: str | None
    interval_start: str
    interval_end: str
    observed: Any
    expected: Any
    message: str
    fired: str


def _alert(t: Turn, one: Open, check: CheckResult) -> None:
    """The owner is told, and nothing goes on from what failed (S0-28)."""
    owner = check.owner or t.world.assets.catalog.asset(one.asset).owner
    start, end = _iso(one.start_us), _iso(one.end_us)
    what = "is in quarantine" if quarantines(check) else "is held back"
    to = f" (owner: {owner})" if owner else ""
    text = f"{one.asset} version {one.version_id} ({start} to {end}) {what}: its gate {check.words}{to}"
    payload = Payload(
        asset=one.asset, version=str(one.version_id), gate=check.name, severity=check.severity.value, owner=owner,
        run_id=None if one.run_id is None else str(one.run_id), interval_start=start, interval_end=end,
        observed=check.observed, expected=check.expected, message=check.message, fired=_iso(t.now),
    )  # fmt: skip
    raise_alert(
        t, "quality", f"{one.version_id}:{check.name}:{t.now}", one.asset, text, payload, severity=check.severity,
        run_id=one.run_id, promise=f"gate {check.name}", owners=(owner,),
    )  # fmt: skip


def decoded(checks: bytes | None) -> dict[str, tuple[CheckResult, ...]]:
    """Asset -> what its gates found."""
    return {} if checks is None else typed.decode(checks, dict[str, tuple[CheckResult, ...]])


def _name(check: Checked) -> str:
    return check.name


def _more(them: list[CheckResult]) -> str:
    return f" and {len(them) - 1} more" if len(them) > 1 else ""


def _json(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _iso(at_us: int) -> str:
    return from_us(at_us).isoformat().replace("+00:00", "Z")
