"""D4: DAGs in simulated time without their bodies: the real engine, a scripted outside, the same bytes."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from bide import Context, Cron, On, by, dag, task
from bide.runtime.errors import UsageError
from bide.runtime.store import invariants
from bide.sensors import FileSensor
from bide.testing import Begun, Down, Events, Order, Rule, Script, Simulation, Spread, When, simulated
from bide.triggers import HttpTrigger
from tests.simulation.cadences import BUSY, DAGS, mart, two_days

ROOT = Path(__file__).parents[2]
NIGHT = "2026-06-15"


@task(retries=1, retry_delay=timedelta(minutes=5))
def load(ctx: Context) -> None:
    raise AssertionError("a simulation runs no body")


@dag(schedule=Cron("0 1 * * *", interval="day"), catchup="all")
def nightly() -> None:
    FileSensor("drop", path="/in/{logical_date:%Y-%m-%d}.csv", timeout=timedelta(hours=4)) >> load()


def states(sim: Simulation, task: str, date: str = "") -> list[tuple[str, str]]:
    """(when, what) of a task's instances; of one logical date, or of all."""
    return [
        (line.at[5:16], line.now)
        for line in sim.journal()
        if line.subject == "instance" and line.task == task and line.logical_date.startswith(date)
    ]


def ends(sim: Simulation, dag: str = "nightly") -> dict[str, int]:
    return sim.report().dags[dag].outcomes


def journal_of_a_process(hash_seed: str) -> bytes:
    return subprocess.run(
        [sys.executable, "-m", "tests.simulation.cadences", "3"],
        cwd=ROOT, env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(ROOT)}, capture_output=True, check=True,
    ).stdout  # fmt: skip


def test_d4_two_processes_with_other_hash_seeds_write_the_same_bytes() -> None:
    journal = journal_of_a_process("1")
    assert journal == journal_of_a_process("77")
    lines = [msgspec.json.decode(line) for line in journal.splitlines()]
    assert len(lines) > 10_000
    seen = {(line["subject"], line["now"]) for line in lines}
    assert {("alert", "new"), ("dag", "skipped"), ("attempt", "lost"), ("instance", "skipped")} <= seen
    assert journal != asyncio.run(two_days(4)), "another seed is another story"


async def test_d4_what_was_lived_through_keeps_every_invariant() -> None:
    async with simulated(DAGS, start="2026-03-02", script=BUSY, slots=4) as sim:
        await sim.run_for(timedelta(hours=12))
        assert await sim.rt.store.read(invariants.check) == []
        assert sim.report().events == sum(1 for _ in sim.journal())


async def test_d4_without_a_script_everything_succeeds_at_once() -> None:
    async with simulated([nightly], start=NIGHT) as sim:
        await sim.run_until("2026-06-22")
        report = sim.report()
        assert ends(sim) == {"success": 7}
        assert (report.tasks, report.slots_mean, report.longest_queue_wait) == (14, 0.0, None)
        assert (report.start, report.end) == ("2026-06-15T00:00:00Z", "2026-06-22T00:00:00Z")


async def test_d4_a_slow_machine_does_not_change_the_story() -> None:
    async with simulated([nightly], start=NIGHT) as sim:
        assert sim.clock.patience == float("inf")


async def test_d4_the_end_itself_is_not_lived_through() -> None:
    async with simulated([nightly], start=NIGHT) as sim:
        await sim.run_until("2026-06-15T01:00")
        assert sim.report().runs == 0
        await sim.run_for(timedelta(microseconds=1))
        assert sim.report().runs == 1
        await sim.run_until(datetime(2026, 6, 15, tzinfo=UTC))
        assert sim.report().end == "2026-06-15T01:00:00.000001Z"


async def test_d4_a_dag_begins_with_the_simulation_however_long_it_has_been_declared() -> None:
    @dag(schedule=Cron("0 1 * * *"), start="2020-01-01", catchup="all")
    def old() -> None:
        load()

    async with simulated([old], start=NIGHT) as sim:
        await sim.run_until("2026-06-17")
        assert ends(sim, "old") == {"success": 2}


async def test_d4_durations_retries_and_failures_are_those_of_the_script() -> None:
    script = Script(
        tasks={"nightly.load": Rule(duration="10m", fail=When(at=["2026-06-15"], times=1), error="away")}
    )
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-17")
        assert states(sim, "load", "2026-06-15") == [
            ("06-16T01:00", "ready"), ("06-16T01:00", "running"), ("06-16T01:10", "up_for_retry"),
            ("06-16T01:15", "ready"), ("06-16T01:15", "running"), ("06-16T01:25", "success"),
        ]  # fmt: skip
        assert ends(sim) == {"success": 2}


@pytest.mark.parametrize(
    ("rule", "ended"),
    [
        (Rule(fail=True), {"failed": 4}),
        (Rule(fail=When(every=2)), {"failed": 2, "success": 2}),
        (Rule(fail=When(at=["2026-06-15"]), final=True), {"failed": 1, "success": 3}),
        (Rule(fail=lambda begun: begun.logical_date.day == 16), {"failed": 1, "success": 3}),
        (Rule(skip=True), {"success": 4}),
        (Rule(on={"2026-06-15": Rule(fail=True)}), {"failed": 1, "success": 3}),
    ],
)
async def test_d4_a_rule_says_which_runs_fail(rule: Rule, ended: dict[str, int]) -> None:
    async with simulated([nightly], start=NIGHT, script=Script(tasks={"*.load": rule})) as sim:
        await sim.run_until("2026-06-19")
        assert ends(sim) == ended


@pytest.mark.parametrize(
    ("arrives", "came"),
    [
        ("20m", "06-15T01:20"),
        (90.0, "06-15T01:01"),
        (timedelta(hours=2), "06-15T03:00"),
        ("02:45", "06-15T02:45"),
        ("00:30", "06-15T01:00"),
        ("2026-06-15T04:59", "06-15T04:59"),
        (datetime(2026, 6, 15, 3, 15), "06-15T03:15"),
        (lambda begun: begun.scheduled_for + timedelta(minutes=7), "06-15T01:07"),
        (Spread(choice=["5m"]), "06-15T01:05"),
    ],
)
async def test_d4_what_is_waited_for_comes_true_when_the_script_says(arrives: object, came: str) -> None:
    script = Script(tasks={"nightly.drop": Rule(arrives=arrives, output={"rows": 3})})
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-16")
        assert states(sim, "drop")[-1] == (came, "success")
        assert sim.report().slots_most <= 1


async def test_d4_what_never_comes_runs_into_its_timeout_and_holds_no_slot() -> None:
    script = Script(tasks={"nightly.drop": Rule(arrives="never")})
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-15T04:00")
        (wait,) = await sim.rt.waits()
        assert (wait.task, sim.rt.slots_in_use) == ("drop", 0)
        await sim.run_until("2026-06-16")
        assert states(sim, "drop")[-1] == ("06-15T05:00", "failed")
        assert ends(sim) == {"failed": 1}


async def test_d4_a_wait_may_fail_by_the_script() -> None:
    script = Script(tasks={"nightly.drop": Rule(arrives="1h", fail=True, error="an empty file")})
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-16")
        (line,) = [x for x in sim.journal() if x.subject == "wait" and x.now == "failed"]
        assert (line.at[11:16], line.reason) == ("02:00", "an empty file")


async def test_d4_a_function_is_told_what_begins_and_draws_from_the_seed() -> None:
    seen: list[Begun] = []

    def takes(begun: Begun) -> float:
        seen.append(begun)
        return begun.random.uniform(1, 60)

    drawn = []
    for _ in range(2):
        async with simulated(
            [nightly], start=NIGHT, script=Script(tasks={"*.load": Rule(duration=takes)})
        ) as sim:
            await sim.run_until("2026-06-16")
            drawn.append(states(sim, "load"))
    assert drawn[0] == drawn[1]
    assert (seen[0].dag, seen[0].task, seen[0].attempt) == ("nightly", "load", 1)
    assert seen[0].logical_date == datetime(2026, 6, 14, tzinfo=UTC)


async def test_d4_a_restart_is_simulated_and_catchup_decides() -> None:
    script = Script(
        tasks={"nightly.load": Rule(duration="2h")},
        down=[Down(since="2026-06-15T02:00", until="2026-06-18T12:00")],
    )
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-19T02:00")
        report = sim.report().dags["nightly"]
        assert (report.runs, report.outcomes) == (5, {"success": 4})
        assert (report.late, report.open) == (3, 1), "three nights were run when it was back"
        assert ("06-18T12:00", "ready") in states(sim, "load"), "the lost attempt begins anew"


async def test_d4_orders_pause_and_trigger_and_a_refused_one_is_told() -> None:
    script = Script(
        orders=[
            Order(at="2026-06-16T00:00", do="pause", dag="nightly"),
            Order(at="2026-06-16T12:00", do="trigger", dag="nightly", date="2026-06-14"),
            Order(at="2026-06-17T00:00", do="unpause", dag="nightly"),
        ]
    )
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-18")
        report = sim.report()
        assert ends(sim) == {"success": 3}
        assert report.dags["nightly"].late == 1
        (refused,) = report.refused
        assert refused.at == "2026-06-16T12:00:00Z"
        assert "trigger nightly" in refused.reason


async def test_d4_slots_and_queue_waits_are_counted() -> None:
    @dag(schedule=Cron("0 1 * * *"))
    def wide() -> None:
        for n in range(4):
            load.options(name=f"load{n}")()

    script = Script(tasks={"*": Rule(duration="30m")})
    async with simulated([wide], start=NIGHT, script=script, slots=2) as sim:
        await sim.run_until("2026-06-16")
        report = sim.report()
        assert (report.slots_most, report.slots_mean) == (2, round(2 / 24, 6))
        assert report.longest_queue_wait is not None
        assert (report.longest_queue_wait.seconds, report.longest_queue_wait.task) == (1800.0, "load2")


async def test_d4_the_journal_names_instead_of_numbering(tmp_path: Path) -> None:
    async with simulated([nightly], start=NIGHT) as sim:
        await sim.run_until("2026-06-16")
        count = sim.save_journal(tmp_path / "journal.jsonl")
        text = (tmp_path / "journal.jsonl").read_bytes()
        assert text == sim.journal_bytes()
    lines = [msgspec.json.decode(line) for line in text.splitlines()]
    assert count == len(lines)
    assert lines[-1] == {
        "at": "2026-06-15T01:00:00Z", "subject": "run", "dag": "nightly", "run": "scheduled:1781395200000000",
        "logical_date": "2026-06-14T00:00:00Z", "was": "running", "now": "success",
    }  # fmt: skip
    assert {
        "at": "2026-06-15T01:00:00Z",
        "subject": "wait",
        "dag": "nightly",
        "task": "drop",
        "attempt": 1,
    }.items() <= (next(line for line in lines if line["subject"] == "wait").items())


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (Script(tasks={"nightly.laod": Rule()}), "did you mean 'nightly.load'"),
        (Script(tasks={"nightly.load": Rule(duration="soon")}), "its duration: 'soon' is no span"),
        (Script(tasks={"nightly.drop": Rule(arrives="soon")}), "arrives='soon' is no instant"),
        (Script(tasks={"*": Rule(on={"2026-06-15": Rule(duration="x")})}), "on 2026-06-15"),
        (Script(orders=[Order(at="2026-06-16", do="pause", dag="mrat")]), "not simulated"),
        (Script(orders=[Order(at="2026-06-14", do="pause", dag="nightly")]), "before the start"),
    ],
)
async def test_d4_a_wrong_script_is_refused_before_anything_is_lived_through(
    script: Script, said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        async with simulated([nightly], start=NIGHT, script=script):
            raise AssertionError("not reached")


def test_a_spread_is_one_thing() -> None:
    with pytest.raises(ValueError, match="one of"):
        Spread(uniform=("1s", "2s"), exponential="1s")


def test_every_dag_of_the_story_is_told() -> None:
    assert [each.name for each in DAGS] == ["events", "payments", "accounts", "mart", "hourly"]
    assert BUSY.rule(mart.name, "report").duration == 2.5


async def test_d4_events_make_the_runs_of_a_schedule_of_events() -> None:
    @dag(schedule=On(HttpTrigger(url="https://partner.example/news")), catchup="all", max_active_runs=4)
    def news() -> None:
        load()

    told = Events(every="6h", at=["2026-06-15T07:30"], event={"kind": "news"})
    async with simulated([news], start=NIGHT, script=Script(events={"news": told})) as sim:
        await sim.run_until("2026-06-16")
        begun = [line.at[11:16] for line in sim.journal() if line.subject == "run" and line.now == "running"]
        assert begun == ["06:00", "07:30", "12:00", "18:00"]
    async with simulated([news], start=NIGHT) as sim:
        await sim.run_until("2026-06-16")
        assert sim.report().runs == 0, "without events nothing happens"


async def test_d4_deadline_alerts_are_told() -> None:
    @dag(schedule=Cron("0 1 * * *", interval="day"), catchup="all", deadline_alert=by("01:30"))
    def crm() -> None:
        FileSensor("drop", path="/in/x.csv", timeout=timedelta(hours=4)) >> load()

    script = Script(tasks={"crm.drop": Rule(on={"2026-06-15": Rule(arrives="02:10")})})
    async with simulated([crm], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-18")
        (alert,) = sim.report().deadline_alerts
        assert alert.at == "2026-06-16T01:30:00Z"
        assert "is late" in alert.reason
        assert ends(sim, "crm") == {"success": 3}


async def test_d4_an_event_while_nobody_serves_is_seen_afterwards() -> None:
    @dag(schedule=On(HttpTrigger(url="https://partner.example/news")), catchup="all", max_active_runs=4)
    def news() -> None:
        load()

    script = Script(
        events={"news": Events(every="6h")}, down=[Down(since="2026-06-15T04:00", until="2026-06-15T13:00")]
    )
    async with simulated([news], start=NIGHT, script=script) as sim:
        await sim.run_until("2026-06-16")
        begun = [line.at[11:16] for line in sim.journal() if line.subject == "run" and line.now == "running"]
        assert begun == ["13:00", "13:00", "18:00"]


async def test_d4_what_falls_on_one_instant_comes_in_an_order_that_the_seed_draws() -> None:
    @dag(schedule=Cron("0 1 * * *"))
    def wide() -> None:
        for n in range(8):
            load.options(name=f"load{n}")()

    script = Script(tasks={"*": Rule(duration="30m")})
    orders = []
    for seed in (1, 1, 2):
        async with simulated([wide], start=NIGHT, script=script, seed=seed) as sim:
            await sim.run_until("2026-06-16")
            ended = [
                line.task for line in sim.journal() if line.subject == "instance" and line.now == "success"
            ]
            assert sorted(ended) == [f"load{n}" for n in range(8)]
            orders.append(ended)
    assert orders[0] == orders[1] != orders[2]


async def test_d4_finished_runs_leave_nothing_in_memory_but_their_span() -> None:
    script = Script(tasks={"nightly.*": Rule(duration="1m", arrives="1m", fail=When(chance=0.1, times=1))})
    async with simulated([nightly], start=NIGHT, script=script) as sim:
        await sim.run_for(timedelta(days=60))
        world, shell = sim.rt._engine.world, sim.rt._shell
        assert len(sim.report().spans) == 60
        kept = (world.runs, world.instances, world.attempts, world.waits, shell.runs)
        counted = (sim._fates._drawn, sim._tally._runs, sim._tally._ready)
        assert [len(each) for each in (*kept, *counted)] == [0] * 8
        assert len(sim.clock._sleepers) < 20
