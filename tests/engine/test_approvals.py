"""People decide: who, why, by when; and what follows for the task that asked."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bide.runtime.engine import approving
from bide.runtime.engine.decide import NO_FACTS
from bide.runtime.engine.messages import Command
from bide.runtime.engine.states import ApprovalKind
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import World
from bide.runtime.errors import NotFoundError, RefusedError, UsageError
from bide.runtime.graph.spec import Role
from tests.engine.declare import approval, job
from tests.engine.scene import Scene


@pytest.fixture
def release(scene: Scene) -> Scene:
    """A run whose approval is asked: `make`, then `release` by a steward, then `ship`."""
    scene.dag(
        "d",
        job("make"),
        approval("release", "make", prompt="release {params.what}?", who=("ann", "bob")),
        job("ship", "release"),
        params={"what": "the figures"},
    )
    scene.trigger("d")
    scene.end("make")
    return scene


def row(scene: Scene, number: int = 1) -> dict[str, Any]:
    columns = "kind, state, prompt, who, asked_us, expires_us, decided_us, by, why"
    [found] = scene._rows(f"SELECT {columns} FROM approval WHERE approval_id = ?", number)
    return dict(zip(columns.split(", "), found, strict=True))


def test_s1_7_b55_an_approval_waits_without_a_slot_and_says_who_and_what(release: Scene) -> None:
    assert release.states() == {"make": "success", "release": "awaiting_approval", "ship": "pending"}
    assert release.world.slots.used == 0
    assert release.attempts("release") == []
    asked = row(release)
    assert (asked["state"], asked["prompt"], asked["who"]) == (
        "open",
        "release the figures?",
        '["ann","bob"]',
    )
    assert release.reason("release") == "approval 1: release the figures?"


def test_b55_approved_it_succeeds_and_its_output_says_who_and_why(release: Scene) -> None:
    assert release.command("approve", approval_id=1, by="ann", why="figures match") == {
        "approval_id": 1, "kind": "task", "subject_id": 2, "state": "approved",
    }  # fmt: skip
    assert release.state("release") == "success"
    assert release.going == ["ship"]
    [(output,)] = release._rows("SELECT value FROM output")
    assert msgspec.json.decode(output) == {"approval": 1, "by": "ann", "why": "figures match"}
    decided = row(release)
    assert (decided["state"], decided["by"], decided["why"]) == ("approved", "ann", "figures match")
    assert decided["decided_us"] == release.now


def test_b55_rejected_it_fails_and_what_is_below_does_not_start(release: Scene) -> None:
    release.command("reject", approval_id=1, by="bob", why="a region is missing")
    assert release.states() == {"make": "success", "release": "failed", "ship": "upstream_failed"}
    assert release.reason("release") == "rejected by bob: a region is missing"
    assert release.run_state() == "failed"


def test_b55_on_reject_skip_skips_it(scene: Scene) -> None:
    scene.dag("d", approval("ok", on_reject="skip"), job("ship", "ok"))
    scene.trigger("d")
    scene.command("reject", approval_id=1, by="bob", why="not today")
    assert scene.states() == {"ok": "skipped", "ship": "skipped"}
    assert scene.run_state() == "success"


def test_b55_c78_what_nobody_decides_in_time_is_denied(release: Scene) -> None:
    release.advance(3599)
    assert release.state("release") == "awaiting_approval"
    release.advance(2)
    assert release.state("release") == "failed"
    assert release.reason("release").startswith("expired: nobody decided in time")
    assert row(release)["state"] == "expired"
    with pytest.raises(RefusedError, match="approval 1 is expired already"):
        release.command("approve", approval_id=1, by="ann", why="late")


def test_b55_an_answer_that_comes_after_its_time_is_refused_though_nobody_looked(release: Scene) -> None:
    release.sleep(4000)
    with pytest.raises(RefusedError, match="what has expired is denied"):
        release.command("approve", approval_id=1, by="ann", why="late")
    assert release.state("release") == "failed"


def test_b55_who_is_checked_and_who_and_why_must_be_said(release: Scene) -> None:
    with pytest.raises(RefusedError, match="is for ann or bob to decide, and not for eve"):
        release.command("approve", approval_id=1, by="eve", why="please")
    with pytest.raises(UsageError, match="who decides approval 1"):
        release.command("approve", approval_id=1, why="please")
    with pytest.raises(UsageError, match="why is approval 1 rejected"):
        release.command("reject", approval_id=1, by="ann", why="  ")
    with pytest.raises(NotFoundError, match="there is no approval 7"):
        release.command("approve", approval_id=7, by="ann", why="x")
    assert row(release)["state"] == "open"


def test_b55_the_first_answer_counts(release: Scene) -> None:
    release.feed(
        Command(91, "approve", {"approval_id": 1, "by": "ann", "why": "good"}),
        Command(92, "reject", {"approval_id": 1, "by": "bob", "why": "bad"}),
    )
    assert release.reply(91)["state"] == "approved"
    with pytest.raises(RefusedError):
        release.reply(92)
    with pytest.raises(RefusedError, match=r"approval 1 is approved by ann already \(good\)"):
        release.command("reject", approval_id=1, by="bob", why="bad")


def test_b55_an_approval_outlives_the_process_with_its_time(release: Scene) -> None:
    release.crash(down=1000)
    assert release.state("release") == "awaiting_approval"
    release.advance(2500)
    assert release.state("release") == "awaiting_approval"
    release.crash(down=200)
    assert release.state("release") == "failed"


def test_b55_approving_after_a_crash_goes_on(release: Scene) -> None:
    release.crash()
    release.command("approve", approval_id=1, by="ann", why="ok")
    release.crash()
    assert release.going == ["ship"]


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_b55_a_crash_in_the_middle_of_an_answer_loses_nothing(release: Scene, turns: int) -> None:
    release.crash_after(turns, Command(91, "approve", {"approval_id": 1, "by": "ann", "why": "ok"}))
    assert release.state("release") == "success"
    assert release.going == ["ship"]


def test_b55_a_pause_freezes_what_people_have_left(release: Scene) -> None:
    release.advance(3000)
    release.command("pause", dag="d")
    release.advance(10_000)
    assert release.state("release") == "awaiting_approval"
    release.crash(down=100)
    release.command("unpause", dag="d")
    release.advance(590)
    assert release.state("release") == "awaiting_approval"
    release.advance(20)
    assert release.state("release") == "failed"


def test_b55_a_paused_dag_can_be_decided_and_starts_nothing(release: Scene) -> None:
    release.command("pause", dag="d")
    release.advance(10_000)
    release.command("approve", approval_id=1, by="ann", why="ok")
    assert (release.state("release"), release.going) == ("success", [])
    release.command("unpause", dag="d")
    assert release.going == ["ship"]


def test_b55_with_on_pause_run_the_time_goes_on(scene: Scene) -> None:
    scene.dag("d", approval("ok"), on_pause="run")
    scene.trigger("d")
    scene.command("pause", dag="d")
    scene.advance(3601)
    assert scene.state("ok") == "failed"


def test_p9_a_step_of_the_clock_leaves_what_people_have_left(release: Scene) -> None:
    release.step_clock(7200)
    assert release.state("release") == "awaiting_approval"
    release.advance(3599)
    assert release.state("release") == "awaiting_approval"
    release.advance(2)
    assert release.state("release") == "failed"


def test_b55_a_cancelled_run_withdraws_what_it_asked(release: Scene) -> None:
    release.command("cancel", run_id=1)
    assert (release.state("release"), row(release)["state"]) == ("cancelled", "withdrawn")
    with pytest.raises(RefusedError, match="withdrawn already"):
        release.command("approve", approval_id=1, by="ann", why="ok")


def test_b55_a_mark_and_a_skip_withdraw_as_well(release: Scene) -> None:
    release.command("mark", run_id=1, task="release", state="success")
    assert (row(release)["state"], release.going) == ("withdrawn", ["ship"])


def test_b55_a_rerun_of_what_was_denied_asks_anew(release: Scene) -> None:
    release.command("reject", approval_id=1, by="bob", why="no")
    release.command("rerun", run_id=1)
    assert release.state("release") == "awaiting_approval"
    assert (row(release, 1)["state"], row(release, 2)["state"]) == ("rejected", "open")
    release.command("approve", approval_id=2, by="ann", why="now it is right")
    assert release.going == ["ship"]


def test_b55_a_rerun_of_what_was_approved_asks_anew(release: Scene) -> None:
    release.command("approve", approval_id=1, by="ann", why="ok")
    release.end("ship")
    release.command("rerun", run_id=1, task="release", downstream=True)
    assert release.state("release") == "awaiting_approval"
    assert row(release, 2)["state"] == "open"


def test_b55_a_denial_starts_a_failure_handler(scene: Scene) -> None:
    scene.dag("d", approval("ok"), job("tell", role=Role.HANDLER, handles=("ok",)))
    scene.trigger("d")
    scene.command("reject", approval_id=1, by="bob", why="no")
    assert scene.going == ["tell"]
    assert scene._rows("SELECT error_type FROM failure") == [("bide.ApprovalDenied",)]


def test_b55_a_prompt_that_cannot_be_filled_in_is_shown_as_it_is(scene: Scene) -> None:
    scene.dag("d", approval("ok", prompt="release {params.what}?"))
    scene.trigger("d")
    assert scene._rows("SELECT prompt FROM approval")[0][0].startswith("release {params.what}? (the template")


def test_b55_an_approval_of_a_paused_dag_is_asked_when_it_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a"), approval("ok", "a"))
    scene.trigger("d")
    scene.command("pause", dag="d")
    scene.end("a")
    assert scene._rows("SELECT 1 FROM approval") == []
    scene.command("unpause", dag="d")
    assert scene.state("ok") == "awaiting_approval"


def test_c78_the_deadline_of_a_run_still_ends_an_approval(scene: Scene) -> None:
    scene.dag("d", approval("ok", expires=5000), deadline_us=60_000_000)
    scene.trigger("d")
    scene.advance(61)
    assert (scene.state("ok"), row(scene)["state"]) == ("failed", "withdrawn")


def test_asking_for_the_same_twice_asks_once_and_for_something_else_anew() -> None:
    t = Turn(World(epoch=1, slots=1, pools={}), 0, NO_FACTS, 300)
    first = approving.ask(t, ApprovalKind.PLAN, 7, "run it?", about="hash1")
    assert approving.ask(t, ApprovalKind.PLAN, 7, "run it?", about="hash1") is first
    second = approving.ask(t, ApprovalKind.PLAN, 7, "run it?", about="hash2", expires_us=None)
    assert list(t.world.approvals.open) == [second.approval_id]
    assert t.changes.approvals_set[first.approval_id][0] == "withdrawn"
    assert second.expires is None
