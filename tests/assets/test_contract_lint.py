"""What is said of contracts when files are loaded and checked: names, owners, cycles, units that are too large."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Cron, Every, ExactVersion, Latest, Manual, OnAssets, Quality, SameInterval
from bide.runtime.assets.asset import AssetSpec, asset_of
from bide.runtime.assets.contract import ContractSpec, Requirement
from bide.runtime.assets.declarations import Declared, Said, declared
from bide.runtime.assets.gate import GateSpec
from bide.runtime.assets.words import Edge
from bide.runtime.graph.asset_cycles import cycles
from bide.runtime.graph.asset_driving import Driving, driving
from bide.runtime.graph.asset_graph import AssetGraph, Program
from bide.runtime.graph.contract_lint import contract_findings
from bide.runtime.graph.load import load_paths
from bide.runtime.graph.spec import DagSpec, Lane, TaskSpec
from bide.runtime.schedules import Schedule
from bide.runtime.service.serve import _Warned
from tests.assets.judging import JUNE
from tests.cli.conftest import Bide, bide

__all__ = ["bide"]


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """What other modules of this process have declared is not here, and comes back."""
    sources = declared()
    before = dict(sources)
    sources.clear()
    yield
    sources.clear()
    sources.update(before)


def program(name: str, schedule: Schedule, *tasks: TaskSpec) -> Program:
    return Program(DagSpec(name=name, tasks=tasks), schedule, JUNE)


def task(name: str, outlets: str = "", inlets: str = "", upstream: str = "") -> TaskSpec:
    return TaskSpec(
        name=name, lane=Lane.ASYNC, outlets=tuple(outlets.split()), inlets=tuple(inlets.split()),
        upstream=tuple(upstream.split()),
    )  # fmt: skip


def edge(down: str, up: str, *require: Requirement, kind: str = "read") -> tuple[ContractSpec, str]:
    return ContractSpec(downstream=down, upstream=up, kind=Edge(kind), require=require), "c.toml"


def graph_of(
    *contracts: tuple[ContractSpec, str], programs: tuple[Program, ...] = (), assets: tuple[AssetSpec, ...] = (),
    gates: tuple[tuple[GateSpec, str], ...] = (),
) -> AssetGraph:  # fmt: skip
    return AssetGraph(programs, Declared(assets=assets, contracts=contracts, gates=gates))


def codes(graph: AssetGraph, sources: dict[str, Said] | None = None) -> dict[str, str]:
    return {
        each.code: f"{each.level}: {each.message}" for each in contract_findings(graph, sources or {}, JUNE)
    }


# --- names ---------------------------------------------------------------------------------------


def test_s1_41_a_name_that_nobody_knows_is_suggested_another() -> None:
    made = program("d", Manual(), task("t", "silver.case_event gold"))
    found = codes(graph_of(edge("gold", "silver.case_events"), programs=(made,)))
    assert "did you mean 'silver.case_event'?" in found["contract-unknown-asset"]
    assert codes(graph_of(edge("gold", "silver.case_event"), programs=(made,))) == {}
    assert codes(graph_of(edge("dashboard", "gold"), programs=(made,))) == {}, (
        "a purpose is a name of its own"
    )
    assert (
        "'golds'"
        in codes(graph_of(edge("golds", "silver.case_event"), programs=(made,)))["contract-unknown-asset"]
    )


def test_s1_41_a_gate_that_nobody_declares_is_never_met() -> None:
    gate = GateSpec("silver", "row_count"), ""
    silver = (AssetSpec("silver"),)
    wrong = graph_of(edge("gold", "silver", Quality(("row_counts",))), assets=silver, gates=(gate,))
    assert "did you mean 'row_count'?: it is never met" in codes(wrong)["contract-unknown-gate"]
    assert (
        codes(graph_of(edge("gold", "silver", Quality(("row_count",))), assets=silver, gates=(gate,))) == {}
    )


def test_s1_41_a_word_of_quality_that_is_misspelt_is_the_gate_that_nobody_has() -> None:
    graph = graph_of(edge("gold", "silver", Quality("critcal")), assets=(AssetSpec("silver"),))
    assert (
        "asks for the gate 'critcal', and there is none of that name: did you mean 'critical'?"
        in codes(graph)["contract-unknown-gate"]
    )
    assert codes(graph_of(edge("gold", "silver", Quality("minor")), assets=(AssetSpec("silver"),))) == {}


def test_s1_55_an_important_asset_without_owner_is_told() -> None:
    assets = (asset_of("gold", criticality="critical"), asset_of("silver", criticality="high", owner="cases"))
    found = codes(graph_of(assets=assets))
    assert list(found) == ["asset-without-owner"]
    assert "'gold' is of critical criticality, and has no owner" in found["asset-without-owner"]


def test_s1_9_an_asset_declared_in_two_ways_names_the_file_and_the_words() -> None:
    one, other = asset_of("gold", owner="a", grain="day"), asset_of("gold", owner="b", grain="day")
    found = codes(graph_of(assets=(one,)), {"a.py": Said({"gold": one}), "b.py": Said({"gold": other})})
    assert "is declared in a.py as well, with other words for owner" in found["asset-declared-twice"]


# --- cycles --------------------------------------------------------------------------------------


def test_s1_44_s1_45_a_cycle_of_one_layer_is_an_error_that_names_its_relations() -> None:
    graph = graph_of(
        edge("gold", "quality", kind="interval_match"),
        edge("quality", "gold", SameInterval(), kind="publication"),
        assets=tuple(map(AssetSpec, ("gold", "quality"))),
    )
    [cycle] = cycles(graph)
    assert (cycle.names, cycle.ordered, cycle.sure) == (("gold", "quality"), False, True)
    told = codes(graph)["asset-cycle"]
    assert told.startswith("error: versions of one interval are made of each other")
    assert "gold reads quality (the same version, the same interval, what may be seen)" in told
    assert "quality reads gold (the same version, the same interval, only what is published)" in told


@pytest.mark.parametrize(
    ("back", "kind"),
    [
        (SameInterval(-timedelta(days=1)), "interval_match"),
        (ExactVersion("N"), "exact_version"),
        (Latest(), "read"),
        (None, "reference_data"),
    ],
)
def test_s1_46_a_cycle_of_names_is_fine_when_going_round_leads_to_an_older_version(
    back: Requirement | None, kind: str
) -> None:
    graph = graph_of(
        edge("projection", "reference", *([back] if back else []), kind=kind),
        edge("reference", "projection", kind="interval_match"),
        assets=tuple(map(AssetSpec, ("projection", "reference"))),
    )
    assert [cycle.ordered for cycle in cycles(graph)] == [True]
    assert codes(graph) == {}


def test_s1_46_offsets_that_add_up_to_nothing_order_nothing() -> None:
    day = timedelta(days=1)
    for there, back, ordered in ((-day, day, False), (-2 * day, day, True), (day, timedelta(), False)):
        graph = graph_of(edge("a", "b", SameInterval(there)), edge("b", "a", SameInterval(back)))
        assert [cycle.ordered for cycle in cycles(graph)] == [ordered], (there, back)


def test_s1_44_what_tasks_read_of_each_other_is_a_warning_until_somebody_says_which_version() -> None:
    loop = program("d", Manual(), task("t", "alerts", "main"), task("u", "main", "alerts"))
    [found] = contract_findings(graph_of(programs=(loop,)), {}, JUNE)
    assert (found.code, found.level) == ("asset-cycle-unsure", "warning")
    assert "main reads alerts (no version said: the newest, any interval, what may be seen)" in found.message
    said = graph_of(
        edge("main", "alerts", Latest()), edge("alerts", "main", kind="interval_match"), programs=(loop,)
    )
    assert codes(said) == {}


def test_s1_44_edges_of_invalidation_make_no_cycle_and_a_large_graph_is_looked_through_once() -> None:
    back = graph_of(edge("a", "b", kind="interval_match"), edge("b", "a", kind="invalidation"))
    assert cycles(back) == []
    chain = [edge(f"n{i}", f"n{i + 1}", kind="interval_match") for i in range(5000)]
    assert cycles(graph_of(*chain)) == []
    [ring] = cycles(graph_of(*chain, edge("n5000", "n0", kind="interval_match")))
    assert len(ring.names) == 5001


@given(st.sets(st.tuples(st.sampled_from("abcde"), st.sampled_from("abcde")), max_size=12))
def test_s1_45_every_cycle_of_names_is_found_once(pairs: set[tuple[str, str]]) -> None:
    links = {(down, up) for down, up in pairs if down != up}
    graph = graph_of(*(edge(down, up, kind="interval_match") for down, up in links))
    expected = {
        path
        for size in range(2, 6)
        for path in permutations("abcde", size)
        if path[0] == min(path)
        and all(step in links for step in zip(path, (*path[1:], path[0]), strict=True))
    }
    found = [cycle.names for cycle in cycles(graph)]
    assert sorted(found) == sorted(expected)


# --- units ---------------------------------------------------------------------------------------


def test_s1_47_each_asset_is_driven_in_one_of_five_ways() -> None:
    cron = Cron("0 2 * * *", interval="day")
    graph = graph_of(
        programs=(
            program("whole", cron, task("a", "bronze"), task("b", "silver", "bronze", "a")),
            program("later", OnAssets("silver", consume="each"), task("c", "gold", "silver")),
            program("hand", Manual(), task("d", "export", "gold")),
            program("backup", cron, task("e", "gold2", "silver")),
            program("other", OnAssets("silver", consume="each"), task("f", "gold2", "silver")),
        ),
        assets=(AssetSpec("crm"),),
    )
    assert driving(graph) == {
        "bronze": Driving.INDEPENDENT,
        "silver": Driving.TOPOLOGICAL,
        "gold": Driving.EVENT_DRIVEN,
        "export": Driving.MANUAL_CHECKPOINT,
        "gold2": Driving.HYBRID,
        "crm": Driving.EXTERNAL,
    }


def test_s1_5_s1_6_one_task_makes_several_assets_and_several_tasks_one() -> None:
    graph = graph_of(
        programs=(
            program("old", Manual(), task("export", "gold audit")),
            program("new", Every(hours=1), task("stream", "gold")),
        )
    )
    assert {name: [maker.name for maker in makers] for name, makers in graph.makers.items()} == {
        "gold": ["old.export", "new.stream"],
        "audit": ["old.export"],
    }


def test_s1_48_one_dag_that_makes_most_of_everything_is_told() -> None:
    many = program("company", Every(hours=1), *(task(f"t{n}", f"x{n}") for n in range(24)))
    few = program("side", Every(hours=1), *(task(f"s{n}", f"y{n}") for n in range(6)))
    [found] = contract_findings(graph_of(programs=(many, few)), {}, JUNE)
    assert (found.code, found.dag) == ("one-giant-dag", "company")
    assert "it makes 24 of the 30 assets there are" in found.message
    assert codes(graph_of(programs=(few,))) == {}


# --- bide check ------------------------------------------------------------------------------------

FILE = """
from bide import Asset, Contract, Cron, Freshness, by, dag, task
from datetime import timedelta

@task(outlets=[Asset("silver", promise=by("04:00"))])
async def clean() -> None: ...

@task(outlets=[Asset("gold", criticality="high")])
async def build() -> None: ...

@dag(schedule=Cron("0 2 * * *", interval="day"))
def cleaning():
    clean()

@dag(schedule=Cron("15 3 * * *", interval="day"))
def building():
    build()

Contract("gold", "silver", kind="interval_match")
Contract("live", "silver", kind="freshness", require=[Freshness(timedelta(minutes=30))])
"""


def test_d17_bide_check_lists_broken_contracts_and_errors_are_exit_code_2(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "dags.py").write_text(FILE)
    said = bide("check", str(tmp_path), "--json")
    found = {each["code"]: each for each in msgspec.json.decode(said.out)}
    assert said.code == 2
    assert {code: each["level"] for code, each in found.items()} == {
        "contract-never": "error",
        "promise-too-late": "warning",
        "asset-without-owner": "warning",
    }
    assert found["promise-too-late"]["message"].endswith(
        "has it by 04:00 UTC: 45 min too late (of " + _first(found)
    )
    assert found["promise-too-late"]["file"].endswith("dags.py")
    lines = bide("check", str(tmp_path)).out.splitlines()
    assert lines[0].startswith("error: ")
    assert lines[0].endswith("[contract-never]")


def _first(found: dict[str, dict[str, str]]) -> str:
    return found["promise-too-late"]["message"].rpartition("(of ")[2]


def test_s3_28_what_a_contract_holds_back_is_no_guess_at_the_time(bide: Bide, tmp_path: Path) -> None:
    """A slow upstream delays, and never corrupts: timing one DAG after another is safe under a contract."""
    file = tmp_path / "dags.py"
    text = FILE.replace('criticality="high")]', 'owner="bi")], inlets=[Asset("silver")]').replace(
        "15 3", "15 5"
    )
    file.write_text(text.partition('Contract("gold"')[0])
    assert [each["code"] for each in msgspec.json.decode(bide("check", str(file), "--json").out)] == [
        "time-offset"
    ]
    file.write_text(text.partition('Contract("live"')[0])
    assert msgspec.json.decode(bide("check", str(file), "--json").out) == []
    file.write_text(
        file.read_text().replace(
            'kind="interval_match"', 'kind="interval_match", on_failure={"missing": "warn"}'
        )
    )
    assert [each["code"] for each in msgspec.json.decode(bide("check", str(file), "--json").out)] == [
        "time-offset"
    ]


def test_d17_serve_tells_of_a_contract_that_a_new_schedule_breaks(tmp_path: Path) -> None:
    """At each reading: what was kept before, and is not now, is said once."""
    file = tmp_path / "dags.py"
    file.write_text(FILE.replace("15 3 * * *", "15 5 * * *").partition('Contract("live"')[0])
    told: list[str] = []
    warned = _Warned(told.append)
    warned.of(load_paths([tmp_path]))
    assert [line for line in told if "promise-too-late" in line] == []
    file.write_text(file.read_text().replace("15 5 * * *", "15 3 * * *"))
    for _ in range(2):
        warned.of(load_paths([tmp_path]))
    [line] = [line for line in told if "promise-too-late" in line]
    assert line.startswith(f"warning: {file}: gold needs silver, the same interval, when its run begins")


def test_s1_41_a_file_of_contracts_is_checked_whole_whichever_dags_there_are(
    bide: Bide, tmp_path: Path
) -> None:
    (tmp_path / "dags.py").write_text(FILE.partition('Contract("gold"')[0])
    (tmp_path / "contracts").mkdir()
    file = tmp_path / "contracts" / "cases.toml"
    file.write_text('[[contract]]\ndownstream = "golds"\nupstream = "silvers"\n')
    found = msgspec.json.decode(bide("check", str(tmp_path), "--json").out)
    assert {each["file"] for each in found if each["code"] == "contract-unknown-asset"} == {str(file)}
    assert "did you mean 'silver'?" in bide("check", str(tmp_path)).out


def test_s1_41_bide_check_tells_a_broken_file_of_contracts(bide: Bide, tmp_path: Path) -> None:
    (tmp_path / "dags.py").write_text(FILE.partition('Contract("gold"')[0])
    (tmp_path / "contracts").mkdir()
    file = tmp_path / "contracts" / "cases.toml"
    file.write_text('[[contract]]\ndownstream = "gold"\nupstream = "silver"\nkind = "sees"\n')
    said = bide("check", str(tmp_path))
    assert said.code == 2
    assert said.out.startswith(f"error: {file}:4:9: the contract of 'gold' on 'silver': kind is 'sees'")
    file.write_text(file.read_text().replace("sees", "read"))
    assert bide("check", str(tmp_path)).code == 0
