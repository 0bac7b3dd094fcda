"""The checks across DAGs, with what the database knows: made before DAGs are loaded into a runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bide.runtime import typed
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.external import Known, concerned, refused
from bide.runtime.graph.spec import DagSpec
from bide.runtime.schedules import schedule_from_json
from bide.runtime.store.facts import StoredDag, dag_files, newest_dags
from bide.runtime.store.writer import StorePort


async def undeclared(store: StorePort, dags: Iterable[Dag]) -> list[str]:
    """The DAGs that the database knows and are none of `dags`; removed ones are not told again."""
    declared = {dag.name for dag in dags}
    return [name for name in await store.read(dag_files) if name not in declared]


async def in_vain(
    store: StorePort, dags: Sequence[Dag], loaded: Iterable[Dag], now_us: int, gone: Iterable[str] = ()
) -> dict[str, str]:
    """DAG -> why it must not be loaded, one sentence. `gone` are names about to be removed.

    The database is asked only when one of `dags` waits for another DAG.
    """
    names = concerned(dags) - set(gone)
    if not names:
        return {}
    rows = await store.read(lambda conn: newest_dags(conn, names))
    return refused(dags, loaded, {row.name: _known(row, now_us) for row in rows}, now_us)


def _known(row: StoredDag, now_us: int) -> Known:
    return Known(
        typed.decode(row.spec, DagSpec),
        schedule_from_json(row.schedule),
        now_us if row.anchor_us is None else row.anchor_us,
        row.removed,
    )
