"""What authors write of assets and contracts: checked at once, kept by the file that says so."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from textwrap import dedent
from typing import Any, cast

import msgspec
import pytest

from bide import Asset, Contract, ExactVersion, Freshness, Latest, Quality, SameInterval, SchemaCompat
from bide.runtime.assets import ContractSpec
from bide.runtime.assets.catalog import Catalog, Held, difference
from bide.runtime.assets.declarations import Sources, collecting, concerning, declared, forget
from bide.runtime.assets.words import Action, Edge, Level, Node, Result, Severity
from bide.runtime.errors import GraphError
from bide.runtime.graph.load import import_file


@pytest.fixture(autouse=True)
def apart() -> Iterator[Sources]:
    """What a test declares is its own."""
    before = set(declared())
    with collecting() as found:
        yield found
    for source in set(declared()) - before | set(found):
        forget(source)


def the(found: Sources) -> ContractSpec:
    [said] = found.values()
    [spec] = said.contracts.values()
    return spec


def test_s1_9_s1_41_a_contract_is_plain_data_with_kind_requirements_actions_severity_and_rationale(
    apart: Sources,
) -> None:
    silver = Asset("silver.case_event", node="canonical", owner="cases", grain="day")
    gold = Asset("gold.case_sla_daily", grain="day", criticality="high")
    Contract(
        gold,
        silver,
        kind="interval_match",
        require=[SameInterval(), Quality("critical"), Freshness(timedelta(hours=2)), SchemaCompat("full_transitive")],
        on_failure={"quality": "block_publication", "stale": "warn", "missing_interval": "block_execution",
                    "schema_breaking": "require_approval"},
        severity={"quality": "critical"},
        rationale="regulated figures never show unchecked cases",
    )  # fmt: skip
    spec = the(apart)
    assert (spec.edge, spec.kind) == (("gold.case_sla_daily", "silver.case_event"), Edge.INTERVAL_MATCH)
    said = {result: (rule.action, rule.level) for result, rule in spec.on_failure.items()}
    assert said == {
        Result.QUALITY: (Action.BLOCK, Level.PUBLICATION),
        Result.STALE: (Action.WARN, None),
        Result.MISSING: (Action.BLOCK, Level.EXECUTION),
        Result.SCHEMA: (Action.REQUIRE_MANUAL_APPROVAL, None),
    }
    assert spec.severity == {Result.QUALITY: Severity.CRITICAL}
    assert msgspec.json.decode(msgspec.json.encode(spec), type=ContractSpec) == spec


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "reads"}, "kind is 'reads', and must be one of read, exact_version"),
        ({"on_failure": {"late": "warn"}}, "on_failure is 'late', and must be one of missing, stale"),
        (
            {"on_failure": {"stale": "shrug"}},
            "on_failure of 'stale' is 'shrug', and must be one of block, warn",
        ),
        ({"severity": {"stale": "bad"}}, "severity of 'stale' is 'bad', and must be one of info, warning"),
        ({"require": ["fresh"]}, "require holds 'fresh', and takes SameInterval()"),
        (
            {"require": SchemaCompat(cast("Any", "sideways"))},
            "require holds SchemaCompat(mode='sideways'), and that cannot be",
        ),
        (
            {"require": [Freshness(cast("Any", 7200))]},
            "require holds Freshness(max_age=7200), and that cannot be",
        ),
        ({"require": [Quality(cast("Any", 3))]}, "require holds Quality(checks=3), and that cannot be"),
        ({"require": [Quality("all"), Quality("critical")]}, "require holds Quality twice"),
        ({"require": [Latest(), ExactVersion("7")]}, "each say which versions are read: say one of them"),
        ({"during": "never"}, "during is 'never', and must be 'always' or 'backfill'"),
    ],
)
def test_a_wrong_word_is_named_with_its_edge(options: dict[str, object], sentence: str) -> None:
    with pytest.raises(GraphError) as refused:
        Contract("gold", "silver", **options)  # type: ignore[arg-type]
    assert "the contract of 'gold' on 'silver'" in str(refused.value)
    assert sentence in str(refused.value)


def test_an_asset_has_no_contract_with_itself() -> None:
    with pytest.raises(GraphError, match="no contract with itself"):
        Contract("gold", "gold")


def test_c49_one_contract_an_edge() -> None:
    Contract("gold", "silver", require=[Latest()])
    Contract("gold", "silver", require=[Latest()])  # the same file read once more
    with pytest.raises(GraphError, match="two contracts of 'gold' on 'silver': one contract an edge"):
        Contract("gold", "silver", require=[SameInterval()])


@pytest.mark.parametrize("word", [each.value for each in Node])
def test_s1_7_every_node_type_can_be_declared(word: str) -> None:
    with collecting() as found:
        Asset("a", node=word, owner="cases")
    [said] = found.values()
    assert said.assets["a"].node is Node(word)


@pytest.mark.parametrize(
    "options", [{"node": "silver"}, {"criticality": "very"}, {"output": "table"}, {"grain": "decade"}]
)
def test_an_asset_with_a_wrong_word_is_refused(options: dict[str, str]) -> None:
    [(option, word)] = options.items()
    with pytest.raises(GraphError, match=f"the asset 'a': {option} is '{word}', and must be one of"):
        Asset("a", **options)


def test_what_concerns_a_runtime_is_what_its_assets_are_joined_with(apart: Sources) -> None:
    for down, up in (("gold", "silver"), ("silver", "bronze"), ("report", "gold"), ("other", "elsewhere")):
        Contract(down, up)
    Asset("bronze", node="raw")
    Asset("elsewhere", node="raw")
    said = concerning(["silver"], apart)
    assert {spec.edge for spec, _ in said.contracts} == {
        ("gold", "silver"), ("silver", "bronze"), ("report", "gold")
    }  # fmt: skip
    assert [spec.name for spec in said.assets] == ["bronze"]


def test_a_file_read_again_replaces_what_it_had_declared_and_a_broken_one_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "orders.py"

    def edges() -> set[tuple[str, str]]:
        return set(declared()[str(file)].contracts)

    def write(text: str) -> None:
        file.write_text(dedent(text))

    write("from bide import Contract\nContract('gold', 'silver')\nContract('gold', 'rates')\n")
    _import(file)
    assert edges() == {("gold", "silver"), ("gold", "rates")}
    write("from bide import Contract\nContract('gold', 'bronze')\nraise ValueError('half written')\n")
    with pytest.raises(GraphError, match="half written"):
        _import(file)
    assert edges() == {("gold", "silver"), ("gold", "rates")}
    write("from bide import Contract\nContract('gold', 'silver')\n")
    _import(file)
    assert edges() == {("gold", "silver")}
    forget(str(file))


def _import(file: Path) -> None:
    from contextvars import Context

    Context().run(import_file, file)  # apart from what the test collects


def test_a_catalogue_changes_by_what_the_files_that_were_read_say(apart: Sources) -> None:
    Contract("gold", "silver")
    [source] = apart
    catalog = Catalog()
    said = concerning(["gold"], apart)
    first = difference(catalog, said)
    assert [spec.edge for spec, _ in first.contracts] == [("gold", "silver")]
    catalog.put(Held(1, first.contracts[0][0], source))
    assert not difference(catalog, said)
    elsewhere = msgspec.structs.replace(said, contracts=(), sources=("/another/file.py",))
    assert not difference(catalog, elsewhere), "what another file does not say is not over"
    gone = difference(catalog, msgspec.structs.replace(said, contracts=()))
    assert [held.contract_id for held in gone.over] == [1]


def test_s1_40_what_is_required_is_kept_as_it_is_read_again() -> None:
    """One requirement without brackets, a version by its number, a span in words of ISO 8601."""
    with collecting():
        [version] = Contract("gold", "policy", kind="exact_version", require=ExactVersion(3)).spec.require  # type: ignore[arg-type]
        [age] = Contract("gold", "silver", require=Freshness("PT2H")).spec.require  # type: ignore[arg-type]
        [gates] = Contract("gold", "raw", require=Quality(["rows"])).spec.require  # type: ignore[arg-type]
    assert (version, age, gates) == (ExactVersion("3"), Freshness(timedelta(hours=2)), Quality(("rows",)))
