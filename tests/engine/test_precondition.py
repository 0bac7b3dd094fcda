"""Edits that are meant for what somebody saw: of those with one tag in one batch the first one is done, and no other."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.clock import HOUR
from bide.runtime.engine.messages import Command, Reply
from bide.runtime.engine.precondition import Match
from bide.runtime.store.revisions import revision
from tests.engine.declare import job, sensor
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]


def number(scene: Scene, kind: str, name: str | int) -> int:
    found = revision(scene.store._raw, kind, name)
    assert found is not None
    return found


def both(scene: Scene, match: Match, *edits: tuple[str, dict[str, Any]]) -> list[str]:
    """The errors of these edits, all in one batch and with the same tag."""
    told = [Command(700 + n, verb, args, match=match) for n, (verb, args) in enumerate(edits)]
    scene.feed(*told)
    replies = {each.token: each for each in scene.effects if isinstance(each, Reply)}
    return [replies[each.token].error for each in told]


def test_two_edits_with_one_tag_in_one_batch_exactly_one_wins(scene: Scene) -> None:
    scene.dag("d", job("a"), sensor("s"))
    scene.trigger("d")
    wait = scene.wait_of("s")
    of_dag = Match("dag", "d", (number(scene, "dag", "d"),))
    assert both(scene, of_dag, ("pause", {"dag": "d"}), ("unpause", {"dag": "d"})) == ["", "ChangedError"]
    assert both(scene, of_dag, ("unpause", {"dag": "d"})) == ["ChangedError"]
    scene.command("unpause", dag="d")
    of_wait = Match("wait", wait, (number(scene, "wait", wait),))
    later = ("wait_extend", {"wait_id": wait, "deadline_us": scene.now + 9 * HOUR})
    assert both(scene, of_wait, later, ("wait_fail", {"wait_id": wait})) == ["", "ChangedError"]
    of_run = Match("run", 1, (number(scene, "run", 1),))
    mark = ("mark", {"run_id": 1, "task": "a", "state": "success"})
    assert both(scene, of_run, mark, ("cancel", {"run_id": 1})) == ["", "ChangedError"]
    assert scene.run_state() == "running"
    assert both(scene, Match("run", 9, (1,)), ("cancel", {"run_id": 9})) == ["NotFoundError"]


def test_a_task_that_ends_in_the_batch_before_the_edit_is_a_change_of_its_run(scene: Scene) -> None:
    scene.dag("d", job("a"))
    scene.trigger("d")
    seen = Match("run", 1, (number(scene, "run", 1),))
    scene.feed(scene.ended(scene.attempt("a")), Command(5, "rerun", {"run_id": 1, "whole": True}, match=seen))
    assert next(each for each in scene.effects if isinstance(each, Reply)).error == "ChangedError"
    assert scene.run_state() == "success"


@settings(max_examples=25, deadline=None)
@given(
    batches=st.lists(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=4), max_size=6),
    dies=st.booleans(),
)
def test_an_edit_is_done_just_when_its_tag_is_the_newest(
    batches: list[list[tuple[bool, bool]]], dies: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        scene = Scene(Path(folder) / "bide.db", now=T0)
        try:
            scene.dag("d", job("a"))
            paused, old = False, number(scene, "dag", "d")
            for batch in batches:
                now = number(scene, "dag", "d")
                told, errors, changed = [], [], False
                for n, (pauses, fresh) in enumerate(batch):
                    match = Match("dag", "d", (now if fresh else old,))
                    verb = "pause" if pauses else "unpause"
                    told.append(Command(100 + n, verb, {"dag": "d"}, match=match))
                    holds = not changed and match.numbers == (now,)
                    errors.append("" if holds else "ChangedError")
                    if holds and paused != pauses:
                        changed, paused = True, pauses
                scene.feed(*told)
                replies = {each.token: each.error for each in scene.effects if isinstance(each, Reply)}
                assert [replies[each.token] for each in told] == errors
                assert bool(scene.world.dags["d"].paused) == paused
                old = now
                if dies:
                    scene.crash()
        finally:
            scene.close()


@pytest.mark.parametrize("kind", ["dag", "run", "backfill", "plan", "incident", "approval", "wait"])
def test_what_is_not_there_has_no_number(scene: Scene, kind: str) -> None:
    assert revision(scene.store._raw, kind, 9) is None
