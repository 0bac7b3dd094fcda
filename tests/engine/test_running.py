"""From a trigger to the end of the run: graphs, rules, retries, time-outs, deadlines."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.engine.declare import job
from tests.engine.scene import Scene

New = Callable[..., Scene]


def test_a_chain_runs_link_by_link(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    scene.trigger("d")
    for task in "abc":
        assert scene.going == [task]
        scene.end(task)
    assert scene.states() == {"a": "success", "b": "success", "c": "success"}
    assert scene.run_state() == "success"


def test_a_hand_off_costs_one_turn(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    scene.trigger("d")
    before = scene.batch
    scene.end("a")
    assert (scene.batch - before, scene.going) == (1, ["b"])


def test_s0_8a_a_fan_starts_at_once_and_joins(scene: Scene) -> None:
    scene.dag("d", job("a"), *(job(f"f{n}", "a") for n in range(4)), job("z", "f0", "f1", "f2", "f3"))
    scene.trigger("d")
    scene.end("a")
    assert scene.going == ["f0", "f1", "f2", "f3"]
    scene.end("f3", "f1", "f0")
    assert scene.state("z") == "pending"
    scene.end("f2", "z")
    assert scene.run_state() == "success"


RULES = {
    # rule: what "z" becomes when its upstreams x, y end in these ways
    "all_success": {
        "ss": "run",
        "sf": "upstream_failed",
        "sk": "skipped",
        "fk": "upstream_failed",
        "kk": "skipped",
    },
    "all_done": {"ss": "run", "sf": "run", "ff": "run", "kk": "run"},
    "all_failed": {"ff": "run", "sf": "skipped", "fk": "skipped", "ss": "skipped"},
    "one_success": {"sf": "run", "ss": "run", "ff": "upstream_failed", "kk": "skipped"},
    "one_failed": {"sf": "run", "ff": "run", "ss": "skipped", "kk": "skipped"},
    "none_failed": {"ss": "run", "sk": "run", "kk": "run", "sf": "upstream_failed"},
    "none_failed_min_one_success": {"sk": "run", "kk": "skipped", "sf": "upstream_failed", "ss": "run"},
    "none_skipped": {"ss": "run", "sf": "run", "sk": "skipped", "kk": "skipped"},
}


@pytest.mark.parametrize("turned", [False, True], ids=["in order", "reversed"])
@pytest.mark.parametrize(
    ("rule", "ends", "wanted"),
    [(rule, ends, wanted) for rule, cases in RULES.items() for ends, wanted in cases.items()],
)
def test_trigger_rules_end_to_end(scene: Scene, rule: str, ends: str, wanted: str, turned: bool) -> None:
    scene.dag("d", job("x"), job("y"), job("z", "x", "y", rule=rule))
    scene.trigger("d")
    pairs = list(zip("xy", ends, strict=True))
    for task, end in reversed(pairs) if turned else pairs:
        {
            "s": lambda task=task: scene.end(task),
            "f": lambda task=task: scene.fails(task),
            "k": lambda task=task: scene.fails(task, state="skipped"),
        }[end]()
    assert scene.state("z") == ("running" if wanted == "run" else wanted)
    if wanted == "run":
        scene.end("z")
    assert scene.run_state() == ("failed" if "f" in ends else "success")


def test_always_starts_beside_its_upstream(scene: Scene) -> None:
    scene.dag("d", job("a"), job("z", "a", rule="always"))
    scene.trigger("d")
    assert scene.going == ["a", "z"]
    scene.end("z", "a")
    assert scene.run_state() == "success"


def test_one_success_does_not_wait_for_the_others(scene: Scene) -> None:
    scene.dag("d", job("x"), job("y"), job("z", "x", "y", rule="one_success"))
    scene.trigger("d")
    scene.end("x")
    assert scene.state("z") == "running"
    scene.fails("y")
    scene.end("z")
    assert scene.run_state() == "failed"


def test_a_skip_goes_down_the_chain_and_stops_at_none_failed(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"), job("z", "c", rule="none_failed"))
    scene.trigger("d")
    scene.fails("a", state="skipped")
    assert scene.states() == {"a": "skipped", "b": "skipped", "c": "skipped", "z": "running"}
    scene.end("z")
    assert scene.run_state() == "success"


def test_s0_26_b50_a_failure_goes_down_the_chain(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), job("c", "b"))
    scene.trigger("d")
    scene.fails("a")
    assert scene.states() == {"a": "failed", "b": "upstream_failed", "c": "upstream_failed"}
    assert scene.run_state() == "failed"


def test_a_dag_without_tasks_is_a_run_that_succeeds(scene: Scene) -> None:
    scene.dag("d")
    scene.trigger("d")
    assert scene.run_state() == "success"


def test_what_failed_for_its_upstreams_names_the_first_of_them(scene: Scene) -> None:
    scene.dag(
        "d",
        job("c"), job("b"), job("a"),
        job("x", "c", "b", "a", rule="one_success"), job("y", "x"), job("z", "b", "a", rule="one_success"),
    )  # fmt: skip
    scene.trigger("d")
    scene.fails("b")
    scene.fails("c")
    scene.fails("a", state="cancelled")
    says = "its rule one_success cannot hold any more because of a (cancelled) and"
    assert scene.reason("x") == f"{says} 2 others"
    assert scene.reason("z") == f"{says} 1 other"
    assert scene.reason("y") == "its rule all_success cannot hold any more because of x (upstream_failed)"


# --- retries -------------------------------------------------------------------------------------


def test_s0_5_a_retry_waits_its_delay_and_counts_its_attempt(scene: Scene) -> None:
    scene.dag("d", job("a", retries=2, delay=60))
    scene.trigger("d")
    scene.fails("a")
    assert (scene.state("a"), scene.going) == ("up_for_retry", [])
    scene.advance(59)
    assert scene.going == []
    scene.advance(1)
    assert scene.going == ["a"]
    scene.end("a")
    row = scene.instance("a")
    assert (row["attempt"], row["failures"], scene.attempts("a")) == (2, 1, ["failed", "success"])


def test_a_retry_without_delay_starts_in_the_same_turn(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1))
    scene.trigger("d")
    scene.fails("a")
    assert scene.going == ["a"]
    scene.fails("a")
    assert (scene.state("a"), scene.run_state()) == ("failed", "failed")


def test_s3_18_back_off_grows_to_its_ceiling(scene: Scene) -> None:
    scene.dag("d", job("a", retries=4, delay=10, backoff=3.0, max_delay=60))
    scene.trigger("d")
    delays = []
    for _ in range(4):
        scene.fails("a")
        due = scene.instance("a")["due_us"]
        delays.append((due - scene.now) / 1_000_000)
        scene.advance(delays[-1])
    assert delays == [10, 30, 60, 60]
    scene.end("a")


def test_jitter_is_added_within_its_share(scene: Scene) -> None:
    scene.dag("d", *(job(f"j{n}", retries=1, delay=100, jitter=0.5) for n in range(4)))
    scene.trigger("d")
    for n in range(4):
        scene.fails(f"j{n}")
    delays = [(scene.instance(f"j{n}")["due_us"] - scene.now) / 1_000_000 for n in range(4)]
    assert all(100 <= delay <= 150 for delay in delays)
    assert len(set(delays)) > 1
    scene.advance(200)
    scene.end("j0", "j1", "j2", "j3")


def test_retry_on_counts_classes_and_their_bases(scene: Scene) -> None:
    scene.dag("d", job("a", retries=3, retry_on=("builtins.OSError",)))
    scene.trigger("d")
    scene.fails("a", mro=("builtins.FileNotFoundError", "builtins.OSError", "builtins.Exception"))
    assert scene.state("a") == "running"
    scene.fails("a", mro=("builtins.ValueError", "builtins.Exception"))
    assert scene.state("a") == "failed"


def test_a_final_failure_is_not_retried(scene: Scene) -> None:
    scene.dag("d", job("a", retries=3))
    scene.trigger("d")
    scene.fails("a", final=True)
    assert (scene.state("a"), scene.instance("a")["failures"]) == ("failed", 1)


def test_retry_after_is_the_least_delay(scene: Scene) -> None:
    scene.dag("d", job("a", retries=2, delay=10))
    scene.trigger("d")
    scene.fails("a", retry_after_us=120_000_000)
    assert scene.instance("a")["due_us"] - scene.now == 120_000_000
    scene.advance(120)
    scene.end("a")


def test_a_retry_delay_holds_over_a_restart(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1, delay=60))
    scene.trigger("d")
    scene.fails("a")
    scene.crash(down=20)
    scene.advance(39)
    assert scene.going == []
    scene.advance(1)
    assert scene.going == ["a"]
    scene.end("a")


# --- time-outs and deadlines -----------------------------------------------------------------------


def test_s0_27_a_time_out_of_an_idempotent_task_is_retried(scene: Scene) -> None:
    scene.dag("d", job("a", timeout=10, retries=1))
    scene.trigger("d")
    scene.advance(10)
    assert len(scene.stops) == 1
    scene.stopped("a")
    assert (scene.attempts("a"), scene.going) == (["timed_out", "running"], ["a"])
    scene.end("a")


def test_s0_27_a_time_out_of_a_task_that_is_not_idempotent_fails(scene: Scene) -> None:
    scene.dag("d", job("a", timeout=10, retries=5, idempotent=False))
    scene.trigger("d")
    scene.advance(10)
    scene.stopped("a")
    assert (scene.state("a"), scene.attempts("a")) == ("failed", ["timed_out"])
    assert "not idempotent" in scene.reason("a")


def test_a_body_that_will_not_stop_keeps_its_slot_and_nothing_starts_beside_it(new_scene: New) -> None:
    scene = new_scene(slots=1)
    scene.dag("d", job("a", timeout=10, retries=1), job("other"))
    scene.trigger("d")
    scene.advance(1000)
    assert (scene.going, scene.world.slots.used) == (["a"], 1)
    scene.stopped("a")
    assert scene.going == ["other"]
    scene.end("other", "a")
    assert scene.run_state() == "success"


def test_c10_waiting_is_no_part_of_the_active_time(scene: Scene) -> None:
    scene.dag("d", job("a", timeout=10))
    scene.trigger("d")
    scene.advance(6)
    scene.asks("a", "w")
    scene.advance(1000)
    assert scene.stops == {}
    scene.fire("a")
    scene.advance(3)
    assert scene.stops == {}
    scene.advance(1)
    assert len(scene.stops) == 1
    scene.stopped("a")
    assert scene.attempts("a") == ["timed_out"]


def test_b17_one_absolute_deadline_over_retries_and_waits(scene: Scene) -> None:
    scene.dag("d", job("a", deadline=100, retries=5, delay=30))
    scene.trigger("d")
    scene.fails("a")
    scene.advance(30)
    scene.asks("a", "w")
    scene.crash(down=20)
    assert scene.state("a") == "deferred"
    scene.advance(50)
    assert scene.state("a") == "failed"
    assert "its deadline passed: 100 s" in scene.reason("a")


def test_the_deadline_of_a_run_ends_what_is_left_of_it(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"), deadline_us=60_000_000)
    scene.trigger("d")
    scene.advance(60)
    assert scene.states() == {"a": "failed", "b": "failed"}
    assert scene.run_state() == "failed"
    scene.stopped("a")


def test_the_deadline_of_a_queued_run_fails_it(scene: Scene) -> None:
    scene.dag("d", job("a"), deadline_us=60_000_000, max_active_runs=1)
    scene.trigger("d")
    scene.advance(30)
    second = scene.trigger("d")
    scene.end("a")
    scene.advance(10)
    third = scene.trigger("d")
    scene.advance(55)
    assert (scene.run_state(second), scene.run_state(third)) == ("failed", "running")
    scene.stopped("a", second)
    scene.end("a")


def test_c1_an_end_that_comes_late_moves_nothing(scene: Scene) -> None:
    scene.dag("d", job("a", retries=1, delay=5))
    scene.trigger("d")
    first = scene.attempt("a")
    ended = scene.ended(first, "failed")
    scene.feed(ended)
    scene.advance(5)
    scene.feed(ended)
    assert scene.attempts("a") == ["failed", "running"]
    scene.end("a")


def test_an_output_is_kept_with_the_success(scene: Scene) -> None:
    scene.dag("d", job("a"), job("b", "a"))
    scene.trigger("d")
    scene.end("a", output={"rows": 3})
    assert scene._rows("SELECT value FROM output") == [('{"rows":3}',)]
    scene.end("b")


# --- large runs ------------------------------------------------------------------------------------


@pytest.mark.parametrize("budget", [7, 300])
def test_a_large_run_is_made_and_run_over_several_turns(new_scene: New, budget: int) -> None:
    scene = new_scene(slots=1000, budget=budget)
    scene.dag(
        "d", job("a"), *(job(f"t{n}", "a") for n in range(600)), job("z", *(f"t{n}" for n in range(600)))
    )
    scene.trigger("d")
    assert scene.turns > 600 / max(budget, 300)
    scene.end("a")
    assert len(scene.going) == 600
    scene.checking = False
    for attempt in list(scene.bodies):
        scene.feed(scene.ended(attempt))
    scene.checking = True
    scene.end("z")
    assert scene.run_state() == "success"


def test_a_run_killed_while_it_is_made_is_made_to_its_end(new_scene: New) -> None:
    scene = new_scene(budget=5)
    scene.dag("d", *(job(f"t{n}") for n in range(40)))
    from bide.runtime.engine.messages import Command

    assert scene.turn(Command(1, "trigger", {"dag": "d", "logical_us": scene.now, "new": True}))
    [again], facts = scene._follow
    scene._turn([again], facts)
    scene._turn([], {})
    assert scene.run_state() == "expanding"
    scene.crash()
    assert len(scene.states()) == 40
    while scene.going:
        scene.end(scene.going[0])
    assert scene.run_state() == "success"
