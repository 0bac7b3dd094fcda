"""The states of a version, and every legal way between them (S1-11).

What consumers may see moves among `published`, `stale` and `degraded`; what is not seen yet goes up from
`building`. A version that has been seen never becomes one that has not.
"""

from __future__ import annotations

from typing import Final

from bide.runtime.assets.words import VersionState

(
    UNKNOWN,
    BUILDING,
    STAGED,
    VALIDATED,
    PUBLISHED,
    STALE,
    DEGRADED,
    INVALIDATED,
    SUPERSEDED,
    QUARANTINED,
    FAILED,
) = VersionState

OPEN: Final = frozenset({BUILDING, STAGED, VALIDATED})
"""Made, and not let out: nobody but the run that makes it reads it."""

LEGAL_VERSION: Final[dict[VersionState, frozenset[VersionState]]] = {
    UNKNOWN: frozenset({BUILDING}),
    # the attempt that makes it stages it, or ends otherwise
    BUILDING: frozenset({STAGED, FAILED}),
    # its gates are run; staged again by the same attempt it stays what it is
    STAGED: frozenset({VALIDATED, QUARANTINED, FAILED}),
    # its contracts are asked; a gate that is run again may still hold it back
    VALIDATED: frozenset({PUBLISHED, DEGRADED, QUARANTINED, STAGED, FAILED}),
    PUBLISHED: frozenset({STALE, DEGRADED, INVALIDATED, SUPERSEDED}),
    STALE: frozenset({PUBLISHED, DEGRADED, INVALIDATED, SUPERSEDED}),
    DEGRADED: frozenset({PUBLISHED, STALE, INVALIDATED, SUPERSEDED}),
    # not to be trusted any more: only a newer one helps
    INVALIDATED: frozenset({SUPERSEDED}),
    # a person may let it out with its limitations, on record, or give it up
    QUARANTINED: frozenset({PUBLISHED, DEGRADED, FAILED}),
    # an effect that has left is corrected, never taken back; what was superseded stays so, unless it was wrong too
    SUPERSEDED: frozenset({INVALIDATED}),
    FAILED: frozenset(),
}

BORN: Final = frozenset({BUILDING, STAGED, VALIDATED, PUBLISHED, QUARANTINED, FAILED})
"""The states that the first line of the journal on a version may say: a task that stages nothing makes it whole."""
