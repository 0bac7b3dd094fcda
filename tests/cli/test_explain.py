"""`why` has one true, non-empty sentence for every state of a run and of a task instance."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide.runtime.clock import HOUR, MINUTE, SECOND
from bide.runtime.engine.explain import (
    Asked,
    Behind,
    InstanceFacts,
    Look,
    Refusal,
    RunFacts,
    Upstream,
    WaitFacts,
    Why,
    explain_instance,
    explain_run,
    span_words,
)
from bide.runtime.engine.states import OVER, RunState, State
from bide.runtime.graph.spec import TriggerRule

NOW = 1_781_481_600_000_000

instants = st.integers(NOW - 48 * HOUR, NOW + 48 * HOUR)
maybe = st.none() | instants
text = st.sampled_from(["", "OSError: no route", "marked by hand"])
looks = st.none() | st.builds(Look, at_us=maybe, answer=text, next_us=maybe)
waits = st.builds(
    WaitFacts,
    wait_id=st.integers(1, 9),
    what=st.just("file in/x.csv"),
    since_us=instants,
    deadline_us=instants,
    look=looks,
)
upstreams = st.builds(Upstream, task=st.sampled_from("abc"), state=st.sampled_from(list(State)), reason=text)
refusals = st.none() | st.builds(
    Refusal, resource=st.just("pool w"), used=st.just(4), limit=st.just(4), holders=st.just(("1/a",))
)
instances = st.builds(
    InstanceFacts,
    run=st.just("7"),
    task=st.just("load"),
    state=st.sampled_from(list(State)),
    run_state=st.sampled_from(list(RunState)),
    rule=st.sampled_from(list(TriggerRule)),
    attempt=st.integers(0, 5),
    failures=st.integers(0, 3),
    retries=st.integers(0, 3),
    since_us=maybe,
    due_us=maybe,
    deadline_us=maybe,
    reason=text,
    error=text,
    upstreams=st.lists(upstreams, max_size=7).map(tuple),
    behind=st.none() | st.just(Behind("6", "2026-06-14T00:00:00Z", "failed", True)),
    waits=st.lists(waits, max_size=3).map(tuple),
    refusal=refusals,
    asked=st.none() | st.builds(Asked, approval_id=st.just(3), prompt=st.just("release?"), expires_us=maybe),
    code_error=st.sampled_from(["", "SyntaxError in etl.py"]),
    dag=st.just("etl"),
    paused=st.booleans(),
    frozen=st.booleans(),
    live=st.booleans(),
    within=st.booleans(),
)
runs = st.builds(
    RunFacts,
    run=st.just("7"),
    dag=st.just("etl"),
    state=st.sampled_from(list(RunState)),
    created_us=instants,
    started_us=maybe,
    ended_us=maybe,
    deadline_us=maybe,
    reason=text,
    counts=st.dictionaries(st.sampled_from([s.value for s in State]), st.integers(0, 5), max_size=5),
    failed=st.lists(upstreams, max_size=5).map(tuple),
    waits=st.lists(st.tuples(st.just("drop"), waits), max_size=3).map(tuple),
    active=st.lists(st.just("6"), max_size=2).map(tuple),
    paused=st.booleans(),
    live=st.booleans(),
)


def _is_an_answer(why: Why, state: str) -> None:
    assert why.state == state
    assert len(why.sentence) > 8
    assert "None" not in why.sentence
    assert all(key and value for key, value in why.details)


@given(facts=instances)
def test_c77_d5_every_state_of_an_instance_has_a_reason(facts: InstanceFacts) -> None:
    why = explain_instance(facts, NOW)
    _is_an_answer(why, facts.state.value)
    if not facts.live and facts.state not in OVER:
        assert why.next


@given(facts=runs)
def test_c77_d5_every_state_of_a_run_has_a_reason(facts: RunFacts) -> None:
    _is_an_answer(explain_run(facts, NOW), facts.state.value)


@pytest.mark.parametrize("state", list(State))
def test_no_state_of_an_instance_is_forgotten(state: State) -> None:
    _is_an_answer(explain_instance(InstanceFacts(run="7", task="t", state=state), NOW), state.value)


@pytest.mark.parametrize("state", list(RunState))
def test_no_state_of_a_run_is_forgotten(state: RunState) -> None:
    _is_an_answer(explain_run(RunFacts(run="7", dag="d", state=state, created_us=NOW), NOW), state.value)


def test_a_deferred_task_tells_what_since_look_next_and_deadline() -> None:
    look = Look(at_us=NOW - 5 * SECOND, answer="no such file", next_us=NOW + 25 * SECOND)
    wait = WaitFacts(
        wait_id=9, what="file in/x.csv", since_us=NOW - MINUTE, deadline_us=NOW + HOUR, look=look
    )
    why = explain_instance(
        InstanceFacts(run="7", task="drop", state=State.DEFERRED, waits=(wait,), live=True), NOW
    )
    assert "file in/x.csv" in why.sentence
    assert "no such file" in why.sentence
    details = dict(why.details)
    assert "5s ago" in details["last look"]
    assert "in 25s" in details["next look"]
    assert "in 1h" in details["deadline"]
    assert "1m ago" in details["since"]


def test_a_refused_task_names_the_resource_and_its_holders() -> None:
    refusal = Refusal("pool warehouse", 2, 2, ("3/load", "4/load"))
    why = explain_instance(
        InstanceFacts(run="7", task="t", state=State.READY, refusal=refusal, live=True), NOW
    )
    assert "pool warehouse" in why.sentence
    assert "2 of 2" in why.sentence
    assert dict(why.details)["held by"] == "3/load, 4/load"


def test_an_upstream_failure_names_the_upstream_and_its_error() -> None:
    facts = InstanceFacts(
        run="7",
        task="t",
        state=State.UPSTREAM_FAILED,
        upstreams=(Upstream("fetch", "failed", "OSError: no route"), Upstream("ok", "success")),
        live=True,
    )
    why = explain_instance(facts, NOW)
    assert "fetch is failed: OSError: no route" in why.sentence
    assert "bide rerun 7 fetch --downstream" in (why.next or "")


def test_a_retry_tells_when_and_which_failure_of_how_many() -> None:
    facts = InstanceFacts(
        run="7", task="t", state=State.UP_FOR_RETRY, attempt=2, failures=2, retries=3,
        due_us=NOW + MINUTE, error="OSError: no route", live=True,
    )  # fmt: skip
    why = explain_instance(facts, NOW)
    assert "failure 2 of the 4" in why.sentence
    assert "in 1m" in (why.next or "")
    stopping = explain_instance(msgspec.structs.replace(facts, stopping=True), NOW).next or ""
    assert "attempt 3 starts with the next one" in stopping
    assert "in 1m" in stopping


def test_a_queued_run_of_a_runtime_that_stops_starts_with_the_next() -> None:
    why = explain_run(
        RunFacts(run="7", dag="etl", state=RunState.QUEUED, created_us=NOW, live=True, stopping=True), NOW
    )
    assert (why.sentence, why.next) == (
        "the runtime is stopping and starts nothing new",
        "it starts with the next runtime on this database",
    )


def test_a_queued_run_names_the_runs_before_it() -> None:
    facts = RunFacts(run="7", dag="etl", state=RunState.QUEUED, created_us=NOW, active=("6",), live=True)
    assert "max_active_runs" in explain_run(facts, NOW).sentence
    assert "6" in explain_run(facts, NOW).sentence


def test_a_paused_dag_is_named_before_a_full_one() -> None:
    facts = RunFacts(
        run="7", dag="etl", state=RunState.QUEUED, created_us=NOW, active=("6",), paused=True, live=True
    )
    assert "paused" in explain_run(facts, NOW).sentence


@given(st.integers(0, 10**15))
def test_a_span_has_words(us: int) -> None:
    assert span_words(us)


def test_c5_a_frozen_wait_does_not_say_that_it_gives_up() -> None:
    wait = WaitFacts(wait_id=9, what="file x", since_us=NOW - MINUTE, deadline_us=NOW + HOUR)
    facts = InstanceFacts(
        run="7", task="t", dag="etl", state=State.DEFERRED, waits=(wait,), paused=True, frozen=True, live=True
    )
    why = explain_instance(facts, NOW)
    assert "stand still" in why.sentence
    assert "gives up" not in (why.next or "")
    assert "bide unpause etl" in (why.next or "")


def test_a_paused_wait_that_goes_on_is_not_called_still() -> None:
    wait = WaitFacts(wait_id=9, what="file x", since_us=NOW - MINUTE, deadline_us=NOW + HOUR)
    facts = InstanceFacts(run="7", task="t", state=State.DEFERRED, waits=(wait,), paused=True, live=True)
    assert "stand still" not in explain_instance(facts, NOW).sentence


def _running_run(live: bool, **facts: object) -> Why:
    common = {"run": "7", "dag": "etl", "state": RunState.RUNNING, "created_us": NOW, "live": live}
    return explain_run(RunFacts(**{**common, **facts}), NOW)  # type: ignore[arg-type]


def test_no_task_of_a_run_is_said_to_hold_a_slot_when_no_runtime_runs() -> None:
    counts = {State.RUNNING.value: 1}
    assert _running_run(True, counts=counts).sentence == "1 of its tasks holds a slot"
    why = _running_run(False, counts=counts)
    assert why.sentence == "1 of its tasks was running when the last runtime stopped"
    assert "bide serve" in str(why.next)


def test_a_run_of_tasks_to_be_tried_again_says_when() -> None:
    why = _running_run(True, counts={State.UP_FOR_RETRY.value: 1}, retry_us=NOW + 90 * SECOND)
    assert "in 1m 30s" in str(why.next)
    why = _running_run(True, counts={State.UP_FOR_RETRY.value: 1}, retry_us=NOW, paused=True)
    assert "bide unpause etl" in str(why.next)


def test_a_waiting_run_names_the_task_and_what_it_waits_for() -> None:
    wait = WaitFacts(wait_id=1, what="file in/x.csv", since_us=NOW, deadline_us=NOW + HOUR)
    assert _running_run(True, waits=(("drop", wait),)).sentence == (
        "it waits for the world: drop waits for file in/x.csv"
    )


def test_the_deadline_of_a_sensor_stands_once() -> None:
    wait = WaitFacts(wait_id=1, what="file in/x.csv", since_us=NOW, deadline_us=NOW + HOUR)
    facts = InstanceFacts(
        run="7", task="drop", state=State.DEFERRED, waits=(wait,), deadline_us=NOW + HOUR, live=True
    )
    assert [what for what, _ in explain_instance(facts, NOW).details].count("task deadline") == 0


def test_a_body_that_died_with_its_runtime_says_what_the_next_start_does() -> None:
    facts = {"run": "7", "task": "pay", "state": State.RUNNING, "attempt": 1}
    assert "starts it again" in str(explain_instance(InstanceFacts(**facts), NOW).next)  # type: ignore[arg-type]
    once = InstanceFacts(**facts, idempotent=False)  # type: ignore[arg-type]
    assert "leaves it `lost` for a person" in str(explain_instance(once, NOW).next)


def test_what_only_another_process_knows_is_not_made_up() -> None:
    wait = WaitFacts(wait_id=1, what="file in/x.csv", since_us=NOW, deadline_us=NOW + HOUR)
    facts = {"run": "7", "task": "drop", "waits": (wait,), "live": True, "within": False}
    why = explain_instance(InstanceFacts(**facts, state=State.DEFERRED), NOW)  # type: ignore[arg-type]
    said = dict(why.details)
    assert "offers no socket" in said["looks"]
    assert "next look" not in said
    assert "bide waits look" not in str(why.next)
    ready = explain_instance(InstanceFacts(**facts, state=State.READY), NOW)  # type: ignore[arg-type]
    assert "free slot" not in f"{ready.sentence}{ready.next}"


def test_c77_an_effect_that_waits_for_another_delivery_is_held_up_by_no_contract() -> None:
    reason = "waits for delivery 3 of run 2, which is under way"
    why = explain_instance(InstanceFacts(run="7", task="export", state=State.BLOCKED, reason=reason), NOW)
    assert why.sentence == reason
    assert why.next is not None
    assert "bide effects" in why.next
