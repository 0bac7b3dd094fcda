"""Contracts in TOML files: the same as in Python, with the place of what is wrong, taken and left file by file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import dedent

import pytest

from bide import (
    Asset,
    Contract,
    ExactVersion,
    Freshness,
    Latest,
    Quality,
    Runtime,
    SameInterval,
    SchemaCompat,
    dag,
    task,
)
from bide.runtime.assets.declarations import Said, collecting, declared, forget
from bide.runtime.assets.toml import read
from bide.runtime.errors import GraphError, NotFoundError
from bide.runtime.graph.load import load_paths, load_target
from bide.testing import sim_runtime

SEED = """
[[asset]]
name = "silver.case_event"
node = "canonical"
owner = "cases"
grain = "day"
tz = "Europe/Berlin"

[[contract]]
downstream = "gold.case_sla_daily"
upstream = "silver.case_event"
kind = "interval_match"
require = { interval = "same", quality = "critical", freshness = "PT2H", schema = "backward_transitive" }
on_failure = { quality_critical = "block_publication", stale_within_tolerance = "warn", missing_interval = "block_execution", schema_breaking = "require_approval" }
severity = { quality = "critical" }
rationale = "regulated figures never show unchecked cases"
"""


@pytest.fixture(autouse=True)
def apart() -> Iterator[None]:
    """What a test declares is forgotten."""
    before = set(declared())
    yield
    for source in set(declared()) - before:
        forget(source)


def contracts(said: Said) -> list[object]:
    return list(said.contracts.values())


def test_s1_39_s1_41_the_contract_of_the_seed_reads_as_the_one_in_python() -> None:
    with collecting() as found:
        Contract(
            "gold.case_sla_daily", "silver.case_event", kind="interval_match",
            require=[SameInterval(), Quality("critical"), Freshness(timedelta(hours=2)), SchemaCompat("backward_transitive")],
            on_failure={"quality": "block_publication", "stale": "warn", "missing": "block_execution",
                        "schema": "require_approval"},
            severity={"quality": "critical"},
            rationale="regulated figures never show unchecked cases",
        )  # fmt: skip
    [python] = [spec for said in found.values() for spec in said.contracts.values()]
    said = read(SEED, "contracts/cases.toml")
    assert contracts(said) == [python]
    [asset] = said.assets.values()
    assert (asset.node, asset.owner, asset.grain, asset.tz) == ("canonical", "cases", "day", "Europe/Berlin")


@pytest.mark.parametrize(
    ("text", "require"),
    [
        ('require = { interval = "same", offset = "-P1D" }', (SameInterval(timedelta(days=-1)),)),
        ('require = { quality = ["rows", "fresh"], latest = true }', (Quality(("rows", "fresh")), Latest())),
        ('kind = "exact_version"\nrequire = { version = "G7" }', (ExactVersion("G7"),)),
        ("latest = false", None),
        (
            'require = [{ is = "same_interval", offset = "-PT1H" }, { is = "freshness", max_age = "P1D" }]',
            (SameInterval(-timedelta(hours=1)), Freshness(timedelta(days=1))),
        ),
        (
            'require = [{ interval = "same" }, { is = "schema", mode = "full" }, { freshness = "PT2H", quality = "all" }]',
            (SameInterval(), SchemaCompat("full"), Quality("all"), Freshness(timedelta(hours=2))),
        ),
        ('[contract.require]\nfreshness = "PT30M"', (Freshness(timedelta(minutes=30)),)),
    ],
)
def test_s1_40_requirements_are_a_table_or_a_list_of_tables(text: str, require: object) -> None:
    whole = f'[[contract]]\ndownstream = "a"\nupstream = "b"\n{text}'
    if require is None:
        with pytest.raises(GraphError, match="'latest' is no key of"):
            read(whole, "x.toml")
        return
    [spec] = read(whole, "x.toml").contracts.values()
    assert spec.require == require


HEAD = '[[contract]]\ndownstream = "gold"\nupstream = "silver"\n'


@pytest.mark.parametrize(
    ("text", "place", "sentence"),
    [
        ("[[contract]\n", "1:", "this is not TOML"),
        ('[[contracts]]\ndownstream = "a"', "1:3", "'contracts' is no table of it"),
        (HEAD + 'knid = "read"', "4:1", "'knid' is no key of [[contract]]"),
        (HEAD + 'kind = "reads"', "4:9", "kind is 'reads', and must be one of read, exact_version"),
        (HEAD + 'kind = "exact_version"', "4:9", "require does not say which"),
        (
            HEAD + 'on_failure = { stale = "warn", quality = "shrug" }',
            "4:43",
            "on_failure of 'quality' is 'shrug'",
        ),
        (HEAD + 'on_failure = { late = "warn" }', "4:16", "on_failure is 'late', and must be one of missing"),
        (HEAD + '[contract.severity]\nstale = "bad"', "5:10", "severity of 'stale' is 'bad'"),
        (HEAD + 'require = { freshness = "2 hours" }', "4:26", "must be a span as ISO 8601 has it"),
        (HEAD + 'require = { schema = "sideways" }', "4:23", "schema is 'sideways'"),
        (HEAD + 'require = { interval = "next" }', "4:25", "interval is 'next', and must be \"same\""),
        (HEAD + 'require = [{ is = "fresh" }]', "4:20", "a requirement cannot be read"),
        (HEAD + 'require = [{ fresh = "PT2H" }]', "4:14", "'fresh' is no key of require"),
        (HEAD + 'during = "weekends"', "4:11", "during is 'weekends'"),
        (HEAD + "rationale = 7", "4:1", "rationale is 7, and must be a text"),
        (HEAD + HEAD, "5:15", "there are two contracts of 'gold' on 'silver'"),
        ('[[contract]]\ndownstream = "gold"', "1:1", "[[contract]] needs the key 'upstream'"),
        ('[[asset]]\nname = "a"\nnode = "table"', "3:9", "node is 'table', and must be one of source"),
        ('[[asset]]\nname = "a b"', "2:9", "cannot be the name of an asset"),
        (
            '[[asset]]\nname = "a"\npromise = "04:00"',
            "3:1",
            "the promise of an asset stands where it is made",
        ),
        (
            '[[asset]]\nname = "a"\n[[asset]]\nname = "a"\nowner = "x"',
            "4:9",
            "is declared twice, differently",
        ),
    ],
)
def test_s1_41_what_is_wrong_is_told_with_file_line_and_column(text: str, place: str, sentence: str) -> None:
    with pytest.raises(GraphError) as caught:
        read(text, "c.toml")
    assert str(caught.value).startswith(f"c.toml:{place}")
    assert sentence in str(caught.value)


# --- files beside DAG files ------------------------------------------------------------------------

DAG = """
from bide import Asset, dag, task

@task(inlets=[Asset("silver.case_event")], outlets=[Asset("gold.case_sla_daily")])
async def build() -> None: ...

@dag
def sla():
    build()
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "dags"
    (folder / "contracts").mkdir(parents=True)
    (folder / "sla.py").write_text(DAG)
    (folder / "contracts" / "cases.toml").write_text(SEED)
    return folder


def known(project: Path) -> dict[str, list[tuple[str, str]]]:
    """What the files of a folder of contracts say, by the file's name."""
    return {
        Path(source).name: list(said.contracts) for source, said in declared().items() if source.endswith(".toml")
    }  # fmt: skip


def test_s1_41_contracts_beside_dag_files_are_loaded_with_them(project: Path) -> None:
    assert load_paths([project]).errors == {}
    assert known(project) == {"cases.toml": [("gold.case_sla_daily", "silver.case_event")]}
    assert load_paths([project]).contracts == [project / "contracts" / "cases.toml"]


def test_s1_41_a_folder_of_contracts_may_stand_beside_the_folder_of_dags(project: Path) -> None:
    (project / "contracts").rename(project.parent / "contracts")
    assert load_paths([project]).errors == {}
    assert list(known(project)) == ["cases.toml"]


def test_s1_41_a_broken_file_is_told_and_its_contracts_stay(project: Path) -> None:
    load_paths([project])
    file = project / "contracts" / "cases.toml"
    file.write_text(SEED.replace("interval_match", "interval"))
    found = load_paths([project])
    assert found.errors[str(file)].startswith(f"{file}:12:9: the contract of 'gold.case_sla_daily'")
    assert [one.name for one in found.dags] == ["sla"]
    assert known(project)["cases.toml"]


def test_s1_41_a_file_that_is_gone_says_nothing_any_more(project: Path) -> None:
    load_paths([project])
    (project / "contracts" / "cases.toml").unlink()
    load_paths([project])
    assert known(project) == {"cases.toml": []}


def test_s1_41_a_module_that_declares_nothing_any_more_says_nothing_any_more(project: Path) -> None:
    (project / "contracts" / "cases.toml").unlink()
    file = project / "sla.py"
    file.write_text(
        DAG + '\nfrom bide import Contract\nContract("gold.case_sla_daily", "silver.case_event")\n'
    )
    load_paths([project])
    assert [len(said.contracts) for source, said in declared().items() if source == str(file)] == [1]
    file.write_text(DAG)
    load_paths([project])
    assert [len(said.contracts) for source, said in declared().items() if source == str(file)] == [0]


def test_c49_the_second_contract_of_an_edge_names_both_files(project: Path) -> None:
    (project / "contracts" / "more.toml").write_text(SEED)
    found = load_paths([project])
    [(file, sentence)] = found.errors.items()
    assert file.endswith("more.toml")
    assert f"in {project / 'contracts' / 'cases.toml'} as well: one contract an edge" in sentence
    assert list(known(project)) == ["cases.toml"]


def test_c49_a_contract_in_python_and_one_in_toml_are_two(project: Path) -> None:
    (project / "extra.py").write_text(
        'from bide import Contract\nContract("gold.case_sla_daily", "silver.case_event")\n'
    )
    found = load_paths([project])
    assert "extra.py as well" in found.errors[str(project / "contracts" / "cases.toml")]


def test_s1_41_a_target_is_refused_with_the_sentence_of_its_broken_contracts(project: Path) -> None:
    (project / "contracts" / "cases.toml").write_text(HEAD + 'kind = "reads"')
    with pytest.raises(
        GraphError, match=r"cases.toml:4:9: the contract of 'gold' on 'silver': kind is 'reads'"
    ):
        load_target(str(project / "sla.py"))


# --- a runtime ---------------------------------------------------------------------------------------


def edges(db: Path) -> list[tuple[str, str, str, bool]]:
    """(downstream, upstream, kind, in force), the oldest first."""
    with sqlite3.connect(db) as conn:
        rows = conn.execute(
            "SELECT d.name, u.name, c.kind, c.ended_us IS NULL FROM contract c JOIN asset d ON d.asset_id = "
            "c.downstream_id JOIN asset u ON u.asset_id = c.upstream_id ORDER BY contract_id"
        ).fetchall()
    return [(down, up, kind, bool(force)) for down, up, kind, force in rows]


@task(outlets=[Asset("toml.gold")])
async def build() -> None: ...


@dag
def toml_gold() -> None:
    build()


async def test_s1_41_a_runtime_takes_contracts_and_reload_replaces_them(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[[contract]]\ndownstream = "toml.gold"\nupstream = "toml.silver"\nkind = "read"\n')
    own = Contract("dashboard", "toml.gold", kind="publication")
    db = tmp_path / "bide.db"
    async with sim_runtime([toml_gold], db=db, contracts=[file, own]) as rt:
        assert sorted(edges(db)) == [
            ("dashboard", "toml.gold", "publication", True),
            ("toml.gold", "toml.silver", "read", True),
        ]
        file.write_text(file.read_text().replace('"read"', '"reference_data"'))
        await rt.load([toml_gold], {})
        assert [kind for _, _, kind, force in edges(db) if not force] == ["read"]
        assert edges(db)[-1] == ("toml.gold", "toml.silver", "reference_data", True)
        file.write_text("[[contract")
        with pytest.raises(GraphError, match="this is not TOML"):
            await rt.load([toml_gold], {})
        assert edges(db)[-1][3] is True


async def test_s1_41_a_runtime_of_one_dag_leaves_the_contracts_of_others_in_force(tmp_path: Path) -> None:
    """`bide run` of one DAG reads the file of all contracts, and hears those that concern it."""
    (tmp_path / "contracts").mkdir()
    file = tmp_path / "contracts" / "c.toml"
    file.write_text('[[contract]]\ndownstream = "toml.gold"\nupstream = "toml.silver"\n')
    load_paths([tmp_path])
    db = tmp_path / "bide.db"
    async with sim_runtime([toml_gold], db=db):
        assert [row[3] for row in edges(db)] == [True]
    async with sim_runtime([], db=db):
        assert [row[3] for row in edges(db)] == [True]
    file.write_text("")
    load_paths([tmp_path])
    async with sim_runtime([], db=db):
        assert [row[3] for row in edges(db)] == [False]


async def test_s1_41_a_file_that_went_while_nothing_ran_is_over_at_the_next_start(tmp_path: Path) -> None:
    file = tmp_path / "c.toml"
    file.write_text('[[contract]]\ndownstream = "toml.gold"\nupstream = "toml.silver"\n')
    db = tmp_path / "bide.db"
    async with sim_runtime([toml_gold], db=db, contracts=[tmp_path]):
        assert [row[3] for row in edges(db)] == [True]
    async with sim_runtime([toml_gold], db=db):
        assert [row[3] for row in edges(db)] == [True], "another program's file: it is there"
    file.unlink()
    async with sim_runtime([toml_gold], db=db):
        assert [row[3] for row in edges(db)] == [False]


def test_c49_two_contracts_given_to_a_runtime_name_both_places(tmp_path: Path) -> None:
    for name, kind in (("a.toml", "read"), ("b.toml", "publication")):
        (tmp_path / name).write_text(
            dedent(f"""
            [[contract]]
            downstream = "x"
            upstream = "y"
            kind = "{kind}"
        """)
        )
    with pytest.raises(GraphError, match=r"two contracts of 'x' on 'y', in .*a.toml and in .*b.toml"):
        Runtime(tmp_path / "bide.db", contracts=[tmp_path])
    with pytest.raises(NotFoundError, match="no file or folder of contracts"):
        Runtime(tmp_path / "bide.db", contracts=[tmp_path / "none"])
