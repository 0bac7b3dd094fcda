"""What a runtime takes of what is declared in its process, and who is heard first."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from textwrap import dedent

from bide import Dag
from bide.runtime.assets import ContractSpec, Freshness, SameInterval
from bide.runtime.assets.declarations import Said, declared, forget
from bide.runtime.graph.load import load_target
from bide.runtime.service.declaring import declared_for

ELSEWHERE = "/another/program.py"
EDGE = ("declaring.gold", "declaring.silver")
DAGS = """
    from bide import Asset, Contract, SameInterval, dag, task

    silver, gold = Asset("declaring.silver"), Asset("declaring.gold")
    Contract(gold, silver, require=[SameInterval()])

    @task(outlets=[gold], inlets=[silver])
    def add() -> None: ...

    @dag
    def adding() -> None:
        add()
"""


def written(folder: Path) -> tuple[Path, Dag]:
    file = folder / "adding.py"
    file.write_text(dedent(DAGS))
    [dag] = load_target(str(file))
    return file, dag


def test_the_files_of_the_dags_are_heard_before_what_else_the_process_has_imported(tmp_path: Path) -> None:
    other = ContractSpec(downstream=EDGE[0], upstream=EDGE[1], require=(Freshness(timedelta(hours=1)),))
    declared()[ELSEWHERE] = Said(contracts={EDGE: other})
    file, dag = written(tmp_path)
    try:
        spec, source = declared_for([dag]).contracts[0]
        assert (spec.require, source) == ((SameInterval(),), str(file))
        given = ContractSpec(downstream=EDGE[0], upstream=EDGE[1], rationale="given to the runtime")
        spec, source = declared_for([dag], {"/contracts/sla.toml": Said(contracts={EDGE: given})}).contracts[
            0
        ]
        assert (spec.rationale, source) == ("given to the runtime", "/contracts/sla.toml")
    finally:
        forget(ELSEWHERE)
        forget(str(file))
