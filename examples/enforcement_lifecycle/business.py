"""The business: enforcement cases, and the threshold of days after which an open one is a breach. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random

FIRST = date(2026, 6, 29)
"""The first day that is told of: a Monday."""
TOLD = date(2026, 7, 4)
"""The day on which the policy desk finds its mistake."""
WRONG = (date(2026, 7, 1), date(2026, 7, 2), date(2026, 7, 3))
"""The days whose threshold was entered wrongly."""
BEFORE, AFTER = 30, 21
"""Days: the old threshold, and the one that was in force from 1 July and entered on the 4th only."""
CASES = 40


@dataclass(frozen=True)
class Case:
    case: str
    opened: date

    def age(self, day: date) -> int:
        """How many days it is open at the end of a day."""
        return (day - self.opened).days


def cases() -> list[Case]:
    """The open cases, 5 to 60 days old on the first day."""
    draw = Random("enforcement")
    return [
        Case(f"C-{1000 + number}", FIRST - timedelta(days=draw.randint(5, 60))) for number in range(CASES)
    ]


def in_force(day: date) -> int:
    """The threshold that the law has for a day."""
    return AFTER if day >= WRONG[0] else BEFORE


def entered(day: date, corrected: bool) -> int:
    """The threshold that the policy desk has entered for a day, before and after its correction."""
    return BEFORE if day in WRONG and not corrected else in_force(day)


def breaches(day: date, threshold: int) -> list[str]:
    """The cases that are in breach on a day: counted here apart from the pipeline, to check it by."""
    return [case.case for case in cases() if case.age(day) > threshold]
