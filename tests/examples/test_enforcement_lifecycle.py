"""The case study: a threshold corrected three days late, played whole and checked claim by claim."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest

from examples.enforcement_lifecycle.business import WRONG
from examples.enforcement_lifecycle.claims import Claim, claims
from examples.enforcement_lifecycle.play import Play

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Play:
    play = Play(tmp_path_factory.mktemp("case"), lambda _: None)
    asyncio.run(play.run())
    return play


@pytest.fixture(scope="module")
def held(played: Play) -> dict[str, Claim]:
    return {each.about: each for each in claims(played)}


def test_s1_53a_the_affected_intervals_are_recomputed_and_no_other(held: dict[str, Claim]) -> None:
    assert held["S1-53a"].holds, held["S1-53a"].text


def test_s1_13_s1_53b_versions_of_the_dashboard_are_marked_by_the_correction(held: dict[str, Claim]) -> None:
    assert held["S1-53b"].holds, held["S1-53b"].text


def test_s1_53c_the_export_waits_for_a_person_and_goes_out_as_a_correction(held: dict[str, Claim]) -> None:
    assert held["S1-53c"].holds, held["S1-53c"].text


def test_s1_53d_the_alert_stream_gets_what_was_missed_and_nothing_twice(held: dict[str, Claim]) -> None:
    assert held["S1-53d"].holds, held["S1-53d"].text


@pytest.mark.parametrize("about", ["S1-20", "S1-57", "S1-24", "D7", "S1-54"])
def test_s1_20_s1_24_s1_54_s1_57_d7_what_else_the_play_claims(about: str, held: dict[str, Claim]) -> None:
    assert held[about].holds, held[about].text


def test_s1_22_s1_23_s1_25_the_plan_is_the_one_that_a_reviewer_expects(played: Play) -> None:
    """Golden: three days of four assets in order, then what has left, all for these days alone."""
    steps = [
        (step.pipeline, step.tasks, step.interval.start[:10], step.mode.value, step.publication_mode.value)
        for step in played.seen.plan.steps
    ]
    days = [str(day) for day in WRONG]
    replaced = "stage_validate_replace"
    assert steps[:9] == [
        *[("policy", ("enter",), day, replaced, "staged") for day in days],
        *[("sla", ("classify",), day, replaced, "staged") for day in days],
        *[("dashboard", ("draw",), day, replaced, "staged") for day in days],
    ]
    ledger = "supersede_or_correct_by_ledger"
    assert sorted(steps[9:]) == sorted(
        (dag, (task,), day, ledger, "after_publication")
        for dag, task in (("export", "send"), ("alerts", "alert"))
        for day in days
    )
    assert played.seen.plan.requires_approval
    assert played.seen.plan.risk.value == "critical"


def test_the_command_plays_it_and_says_so(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.enforcement_lifecycle", "--json", "--keep", str(tmp_path / "case")],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert all(claim["holds"] for claim in json.loads(done.stdout))
    assert (tmp_path / "case" / "plan.json").is_file()
