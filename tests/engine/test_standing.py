"""A schedule of an event: its trigger is held without a run, and each event makes one run, once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from bide.runtime.clock import DAY, HOUR, SECOND, from_us
from bide.runtime.engine.messages import DagRemoved, WaitFailed, WaitFired
from bide.runtime.errors import RefusedError
from bide.runtime.schedules import AnyOf, Cron, Every, On
from bide.triggers import FileTrigger, HttpTrigger
from tests.engine.declare import job
from tests.engine.scene import T0, Scene

New = Callable[..., Scene]
DROPS = On(FileTrigger(glob="/drops/*.csv"))


@pytest.fixture
def scene(new_scene: New) -> Scene:
    return new_scene(now=T0 + SECOND)


def happens(scene: Scene, event: Any, **marks: str) -> None:
    """The trigger fires with this event."""
    [standing_id] = scene.world.standing
    scene.feed(WaitFired(standing_id, msgspec.json.encode(event), marks))


def held(scene: Scene) -> list[dict[str, str] | None]:
    """What is held without a run: what is no news to each."""
    return [scene.armed[each].had for each in scene.world.standing if each in scene.armed]


def made(scene: Scene) -> list[tuple[str, str, int, int]]:
    return scene._rows(
        "SELECT kind, (SELECT e.reason FROM event e WHERE e.run_id = r.run_id ORDER BY seq LIMIT 1), start_us, end_us"
        " FROM run r ORDER BY run_id"
    )


def skips(scene: Scene) -> list[str]:
    return [reason for (reason,) in scene._rows("SELECT reason FROM skipped_firing ORDER BY skip_id")]


def drain(scene: Scene) -> None:
    while scene.going:
        scene.end(scene.going[0])


def test_s3_1c_s3_4_an_event_makes_a_run_with_the_event_and_an_empty_interval(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS, params={"full": False})
    assert held(scene) == [{}]
    happens(scene, {"path": "/drops/a.csv"})
    assert made(scene) == [("event", "event: file /drops/*.csv", scene.now, scene.now)]
    [(params,)] = scene._rows("SELECT params FROM run")
    assert msgspec.json.decode(params) == {"full": False, "event": {"path": "/drops/a.csv"}}
    drain(scene)
    assert scene.run_state() == "success"


def test_s3_4_it_is_held_again_after_each_firing(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    for name in "abc":
        happens(scene, {"path": name})
        assert len(held(scene)) == 1
        assert held(scene) != [{}]
    assert len(scene.runs()) == 3
    drain(scene)


def test_s3_4_the_same_event_makes_one_run_across_crashes(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    happens(scene, {"path": "a"})
    [key] = held(scene)
    scene.crash()
    assert held(scene) == [key]
    happens(scene, {"path": "a"})
    assert len(scene.runs()) == 1
    happens(scene, {"path": "b"})
    happens(scene, {"path": "a"})
    assert len(scene.runs()) == 2
    assert all("was made of the same event" in reason for reason in skips(scene))
    drain(scene)


def test_s3_4_what_was_in_an_event_is_remembered_across_a_crash(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    happens(scene, {"path": "a"}, a="1@7", b="2@7")
    happens(scene, {"path": "b"}, b="3@8")
    scene.crash()
    [had] = held(scene)
    assert had is not None
    assert {name: mark for name, mark in had.items() if name} == {"a": "1@7", "b": "3@8"}
    drain(scene)


def test_b24_an_event_that_names_an_interval_is_a_run_for_it(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    start, end = (from_us(T0 + day * DAY).isoformat() for day in (0, 1))
    happens(scene, {"interval": {"start": start, "end": end}})
    happens(scene, {"interval": {"start": "yesterday", "end": end}})
    happens(scene, {"interval": {"start": end, "end": start}})
    spans = [(start_us, end_us) for *_, start_us, end_us in made(scene)]
    assert spans[0] == (T0, T0 + DAY)
    assert all(start == end for start, end in spans[1:])
    drain(scene)


def test_a_paused_dag_holds_nothing_and_looks_at_once_when_it_goes_on(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS, on_pause="run")
    scene.command("pause", dag="d")
    assert held(scene) == []
    scene.crash()
    assert held(scene) == []
    scene.command("unpause", dag="d")
    assert held(scene) == [{}]


def test_a_dag_without_code_or_removed_holds_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    scene.feed(DagRemoved("d", "its file is broken", gone=False))
    assert held(scene) == []
    scene.feed(scene.dags["d"])
    assert held(scene) == [{}]
    scene.feed(DagRemoved("d", "its file is gone", gone=True))
    assert held(scene) == []


def test_what_a_schedule_waits_for_is_looked_at_by_hand_or_it_says_why_not(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    [wait_id] = scene.world.standing
    assert scene.command("wait_look", wait_id=wait_id) == {"wait_id": wait_id}
    assert scene.looks.pop(wait_id).trigger == scene.armed[wait_id].trigger
    for verb, args in (
        ("wait_extend", {"deadline_us": scene.now + HOUR}),
        ("wait_satisfy", {}),
        ("wait_fail", {}),
    ):
        with pytest.raises(RefusedError, match=f"wait {wait_id} is of the schedule of d, and of no run"):
            scene.command(verb, wait_id=wait_id, **args)
    scene.feed(WaitFailed(wait_id, "no such folder"))
    with pytest.raises(RefusedError, match="it broke a moment ago, and is tried again at "):
        scene.command("wait_look", wait_id=wait_id)
    scene.command("pause", dag="d")
    with pytest.raises(RefusedError, match="`bide unpause d` looks at once"):
        scene.command("wait_look", wait_id=wait_id)
    scene.command("unpause", dag="d")
    scene.feed(DagRemoved("d", "d.py:3: this is not Python", gone=False))
    with pytest.raises(RefusedError, match=r"not loaded: d\.py:3"):
        scene.command("wait_look", wait_id=wait_id)
    assert scene.looks == {}


def test_another_trigger_takes_the_place_of_the_first(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    first = list(scene.world.standing)
    happens(scene, {"path": "a"}, a="1@7")
    drain(scene)
    scene.dag("d", job("a"), schedule=On(FileTrigger(glob="/drops/*.csv", min_size=9)))
    assert list(scene.world.standing) == first
    [armed] = scene.armed.values()
    assert b"min_size" in armed.trigger
    assert armed.had is not None
    assert armed.had["a"] == "1@7"
    scene.dag("d", job("a"), schedule=On(HttpTrigger(url="https://partner.example/ready")))
    assert list(scene.world.standing) != first
    assert held(scene) == [{}]
    scene.crash()
    scene.dag("d", job("a"))
    assert scene.world.standing == {}
    assert scene.armed == {}


@pytest.mark.parametrize("left", ["b", "bc"])
def test_s3_4_of_two_triggers_the_one_that_stays_keeps_what_it_has_told_of(scene: Scene, left: str) -> None:
    def on(names: str) -> AnyOf:
        clock = Cron("0 5 * * *")
        return AnyOf(*(On(FileTrigger(glob=f"/{name}/*.csv")) for name in names), clock)

    scene.dag("d", job("a"), schedule=on("ab"))
    for standing_id, name in zip(list(scene.world.standing), "ab", strict=True):
        path = f"/{name}/1.csv"
        scene.feed(WaitFired(standing_id, msgspec.json.encode({"path": path}), {path: "1@7"}))
    scene.dag("d", job("a"), schedule=on(left))
    had = {
        msgspec.json.decode(each.trigger)["glob"]: {
            name for name in scene.armed[each.standing_id].had or {} if name
        }
        for each in scene.world.standing.values()
    }
    assert had["/b/*.csv"] == {"/b/1.csv"}
    assert len(had) == len(left)
    drain(scene)


def test_a_trigger_that_breaks_is_said_and_tried_again(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    [standing_id] = scene.world.standing
    scene.feed(WaitFailed(standing_id, "no such host"))
    assert held(scene) == []
    assert scene.said("dag")[-1] == ("broke", "file /drops/*.csv: no such host; tried again in 60 s")
    scene.advance(61)
    assert held(scene) == [{}]


@pytest.mark.parametrize("step", [-7200, 7200])
def test_p9_the_rest_of_a_trigger_that_broke_is_a_span_whatever_the_clock_does(
    scene: Scene, step: float
) -> None:
    scene.dag("d", job("a"), schedule=DROPS)
    [standing_id] = scene.world.standing
    scene.feed(WaitFailed(standing_id, "no such host"))
    scene.step_clock(step)
    scene.advance(50)
    assert held(scene) == []
    scene.advance(11)
    assert held(scene) == [{}]


def test_before_its_start_an_event_is_recorded_and_makes_no_run(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=DROPS, start_us=T0 + DAY, end_us=T0 + 2 * DAY)
    happens(scene, {"path": "a"})
    assert scene.runs() == []
    scene.advance(DAY / SECOND)
    happens(scene, {"path": "b"})
    drain(scene)
    scene.advance(DAY / SECOND)
    happens(scene, {"path": "c"})
    assert len(scene.runs()) == 1
    assert ["before the DAG's start" in skips(scene)[0], "after the DAG's end" in skips(scene)[1]] == [
        True,
        True,
    ]


@pytest.mark.parametrize(("overlap", "runs"), [("queue_all", 3), ("skip", 1), ("queue_one", 2)])
def test_b27_an_event_while_others_run_keeps_to_overlap(scene: Scene, overlap: str, runs: int) -> None:
    scene.dag("d", job("a"), schedule=DROPS, overlap=overlap, max_active_runs=1)
    for name in "abc":
        happens(scene, {"path": name})
    assert len(scene.runs()) == runs
    assert len(skips(scene)) == 3 - runs
    drain(scene)


# --- with a fallback ------------------------------------------------------------------------------


def test_s3_5_b23_the_fallback_fires_for_what_no_event_has_brought(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=AnyOf(DROPS, Every(hours=6)))
    scene.advance(0)
    drain(scene)
    for hours in range(1, 25):
        scene.advance(HOUR / SECOND)
        if hours in (8, 14):
            happens(scene, {"path": f"{hours}"})
        drain(scene)
    assert [(kind, reason) for kind, reason, *_ in made(scene)] == [
        ("scheduled", "schedule: every 6 hours"),
        ("scheduled", "schedule: every 6 hours"),
        ("event", "event: file /drops/*.csv"),
        ("event", "event: file /drops/*.csv"),
        ("scheduled", "schedule: every 6 hours"),
    ]
    said = skips(scene)
    assert len(said) == 2
    assert all("every 6 hours: run" in reason and "is there for its interval" in reason for reason in said)


def test_s3_52_a_fallback_at_five_is_skipped_when_the_day_has_its_run(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=AnyOf(DROPS, Cron("0 5 * * *", interval="day")))
    scene.trigger("d", logical_us=T0 - DAY)
    drain(scene)
    scene.advance(6 * 3600)
    assert len(scene.runs()) == 1
    [said] = skips(scene)
    assert "run 1 (manual) is there for its interval from 2025-12-31T00:00:00+00:00" in said
    scene.advance(24 * 3600)
    assert len(scene.runs()) == 2
    drain(scene)


def test_b23_two_members_at_one_instant_make_one_run_and_one_record(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=AnyOf(Cron("0 0 * * *"), Cron("0 */12 * * *")))
    scene.advance(DAY / SECOND)
    assert {reason for _, reason, *_ in made(scene)} == {"schedule: at minute 0 of every 12th hour, UTC"}
    assert len(scene.runs()) == 2
    [said] = skips(scene)
    assert said.startswith("at 00:00 every day, UTC: a run for 2026-01-01")
    drain(scene)


def test_b23_of_two_members_due_at_one_instant_the_first_makes_the_run(scene: Scene) -> None:
    scene.dag("d", job("a"), schedule=AnyOf(Cron("0 0 * * *"), Cron("0 0 * * *", interval="day")))
    scene.advance(DAY / SECOND)
    drain(scene)
    assert [reason for _, reason, *_ in made(scene)] == ["schedule: at 00:00 every day, UTC"]
    assert skips(scene) == [
        "at 00:00 every day, UTC, for the day before: at 00:00 every day, UTC was due first"
    ]
