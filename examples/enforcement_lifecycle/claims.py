"""What must be so when the play is over. Each claim is checked against an account that bide had no part in."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import msgspec

from bide.runtime.service.bundle import replay
from examples.enforcement_lifecycle.business import FIRST, TOLD, WRONG, breaches, in_force
from examples.enforcement_lifecycle.dags import DASHBOARD, GOLD, POLICY
from examples.enforcement_lifecycle.play import ALERTS, EXPORT, Play, Seen, lines

DAYS = [FIRST + timedelta(days=number) for number in range((TOLD - FIRST).days + 1)]
TRUTH = {str(day): breaches(day, in_force(day)) for day in DAYS}
BAD = {str(day) for day in WRONG}


class Claim(msgspec.Struct, frozen=True):
    """`about` is the id of what it shows, in the list of features."""

    about: str
    holds: bool
    text: str


def claims(play: Play) -> list[Claim]:
    """Look at what is left when the play is over."""
    seen, place = play.seen, play.place
    return [
        _blast(seen),
        _gold(seen, place),
        _dashboard(seen),
        _export(seen, place),
        _alerts(place),
        Claim(
            "S1-57", seen.trusted and bool(seen.refused),
            f"the regulator's purpose was served before the mistake was known, and refused after: {seen.refused}",
        ),
        Claim("S1-24", bool(seen.unapproved), f"the plan did not run unapproved: {seen.unapproved}"),
        Claim("D7", "nothing was changed" in seen.again, f"a second run of the plan: {seen.again}"),
        _evidence(seen),
    ]  # fmt: skip


def _blast(seen: Seen) -> Claim:
    hit = {asset for asset, _ in seen.blast}
    days = {day for _, day in seen.blast}
    return Claim(
        "S1-20",
        days == BAD
        and hit == {POLICY.name, GOLD.name, DASHBOARD.name, EXPORT, ALERTS}
        and len(seen.blast) == 15,
        f"{len(seen.blast)} versions are affected, of {len(hit)} assets and {len(days)} days; the other days are not",
    )


def _gold(seen: Seen, place: Path) -> Claim:
    found = {}
    for day in TRUTH:
        newest = max((place / "warehouse" / GOLD.name / day).iterdir(), key=lambda path: int(path.stem[4:]))
        with newest.open(newline="", encoding="utf-8") as file:
            found[day] = [row["case"] for row in csv.DictReader(file) if row["breach"] == "True"]
    states = {day: seen.after[GOLD.name][day] for day in TRUTH}
    as_it_should = all(
        states[day][-1] == "published" and len(states[day]) == (2 if day in BAD else 1) for day in TRUTH
    )
    return Claim(
        "S1-53a", found == TRUTH and as_it_should,
        f"{GOLD.name} is that of an independent count on {len(TRUTH)} days, {len(BAD)} of them made anew, no other",
    )  # fmt: skip


def _dashboard(seen: Seen) -> Claim:
    marked = {day for day, states in seen.marked[DASHBOARD.name].items() if states == ["invalidated"]}
    after = [states[-1] for states in seen.after[DASHBOARD.name].values()]
    return Claim(
        "S1-53b", marked == BAD and set(after) == {"published"},
        f"{len(marked)} versions of the dashboard were marked, and each has one that can be trusted in its place",
    )  # fmt: skip


def _export(seen: Seen, place: Path) -> Claim:
    inbox = lines(place / "regulator" / "inbox.jsonl")
    reports = {each["day"]: each for each in inbox if each["kind"] == "report"}
    fixes = {each["day"]: each for each in inbox if each["kind"] == "correction"}
    newest = {**reports, **fixes}
    right = (
        len(inbox) == len(reports) + len(fixes)
        and seen.waiting == len(inbox) - len(fixes) - 1  # the report of the day after was still to come
        and set(fixes) == BAD
        and all(fix["corrects"] == reports[day]["key"] for day, fix in fixes.items())
        and {day: each["breaches"] for day, each in newest.items()} == TRUTH
    )
    return Claim(
        "S1-53c", right,
        f"the regulator has {len(reports)} reports and {len(fixes)} corrections, each naming the report it corrects, "
        "sent when a person had approved them",
    )  # fmt: skip


def _alerts(place: Path) -> Claim:
    told = Counter(
        (each["day"], each["case"], each["event"]) for each in lines(place / "alerts" / "stream.jsonl")
    )
    due = {(day, case, "breach") for day, found in TRUTH.items() for case in found}
    missed = sum(len(TRUTH[day]) - len(breaches(date.fromisoformat(day), 30)) for day in BAD)
    return Claim(
        "S1-53d", set(told) == due and set(told.values()) == {1},
        f"{len(told)} alerts, each once, the {missed} that had been missed among them",
    )  # fmt: skip


def _evidence(seen: Seen) -> Claim:
    assert seen.bundle is not None
    told = replay(seen.bundle)
    return Claim(
        "S1-54", told.identical and not seen.missing,
        f"the incident was closed with its runbook walked; its bundle decides again, and {len(told.checks)} checks agree",
    )  # fmt: skip
