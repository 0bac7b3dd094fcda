"""T3: the process dies, or an error rises, at every named place; in the end the tables are the same.

A reference run records which points are passed and how often. Each is then visited, the first time and
another, with a death and with an error; a second run without accident takes over, and its tables are
compared with those of the reference. BIDE_SOAK=n takes more passes of each; BIDE_POINT="NAME:COUNT:HOW"
replays one,
BIDE_POINT="NAME:COUNT:HOW,NAME:COUNT:HOW" one in a recovery.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from bide.runtime.failpoints import armed
from tests.recovery.reference import ended
from tests.recovery.sweep import SEED, SOAK, Bench, bench, forget, said, swept, verdict

DIED = 137
ACTS = ("Start", "Build", "Expand", "Arm", "LookOnce", "Stop", "Disarm")
"""Effects whose failure ends what they were for: the tables differ then, and are as consistent as ever."""
SURE = (
    "RunOpened",
    "RunEnded",
    "Reply",
    "OutputKnown",
    "ManifestKnown",
    "OutputChanged",
    "Answer",
    "Acknowledge",
)
"""Effects that only put something into a dictionary or a future: no error can rise there."""


@pytest.fixture
def forks(tmp_path: Path) -> Iterator[Bench]:
    with bench(tmp_path) as made:
        yield made


BEFORE = ("before-Start:5:exit", "after-commit:8:exit", "writing-commit:11:exit")
"""Where a run had died, for the accidents in its recovery."""
RECOVERING = (
    *("locked", "opened", "epoch-begun", "loaded", "orphans-killed", "world-restored", "triggerer-started"),
    *("decided", "before-commit", "writing-events", "writing-commit", "after-commit", "after-act"),
    *("before-Start", "after-Start", "before-Arm", "after-Arm", "recovered"),
)


def passes(text: str) -> dict[str, int]:
    found: dict[str, int] = json.loads(text.rpartition("passed ")[2])
    return found


def cases(passed: dict[str, int]) -> list[str]:
    """Each point at its first pass, at its last but one or so, and at as many others as the size asks."""
    if one := os.environ.get("BIDE_POINT"):
        return [one]
    dice = random.Random(SEED)
    chosen = []
    for name, often in passed.items():
        counts = {1}
        if often > 2:  # the last ones are not passed in every run: timing decides how batches are cut
            counts |= {dice.randint(2, often - 1) for _ in range(SOAK)}
        hows = ("exit",) if name.endswith(SURE) else ("exit", "error")
        chosen += [f"{name}:{count}:{how}" for count in sorted(counts) for how in hows]
    chosen += [f"{first},{name}:1:exit" for first in BEFORE for name in RECOVERING]
    return chosen + [
        f"{first},{name}:1:error" for first in BEFORE for name in RECOVERING if not name.endswith(ACTS)
    ]


def consistent(db: Path) -> list[str]:
    """What is wrong with a store whose runs may have failed, but have ended."""
    found = ended(db)
    states = {state for _, state, *_ in found["runs"]}
    open_runs = [f"the runs are {states}"] if states - {"success", "failed"} else []
    return [*found["violations"], *open_runs, *(["something is left"] if any(found["left"]) else [])]


@pytest.mark.soak
@pytest.mark.slow
def test_t3_an_accident_at_any_named_place_changes_nothing_in_the_end(forks: Bench) -> None:
    calm = forks.world("calm")
    assert forks.run(calm, "-:1:exit") == 0, said(calm)
    passed = passes(said(calm))
    reference = ended(calm)
    assert reference["violations"] == []
    met = []

    def judge(case: str) -> list[str]:
        db = forks.world(case.replace(":", "-"))
        first = [forks.run(db, point) for point in case.split(",")]
        if first[-1] == DIED or case.endswith("error"):
            met.append(case)
        if not set(first) <= {0, 1, DIED}:
            return [f"it ended by {first}", said(db)]
        second = forks.run(db)
        if second != 0:
            return [f"the next start ended by {second}", said(db)]
        name, _, how = case.rpartition(",")[2].split(":")
        own = how == "error" and name.endswith(ACTS)
        wrong = consistent(db) if own else verdict(db, reference)
        if wrong:
            return [*wrong, said(db)]
        forget(db)
        return []

    chosen = cases(passed)
    wrong = swept(chosen, judge, lambda case: f"BIDE_POINT={case} BIDE_SEED={SEED} pytest {__file__}")
    assert not wrong, f"{len(wrong)} of {len(chosen)}:\n" + "\n".join(wrong)
    if "BIDE_POINT" not in os.environ:
        assert len(passed) >= 50
        assert len(met) >= 240, f"only {len(met)} of {len(chosen)} points were met"


def test_nothing_is_rehearsed_unless_it_is_asked_for() -> None:
    assert not armed()
