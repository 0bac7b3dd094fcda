"""Which text of its file a DAG was loaded with: said from each load on that brought another.

A version is a graph, and the bodies of its tasks may change beneath it. A row says from which run and
which attempt on a text is what is run, so that no clock is asked and no attempt carries more.
"""

from __future__ import annotations

from bide.runtime.engine.messages import DagLoaded
from bide.runtime.engine.turn import Turn
from bide.runtime.engine.world import DagState


def keep_text(t: Turn, dag: DagState, e: DagLoaded) -> None:
    """Keep the text that came with a load, if it or the graph is another than at the last."""
    source = e.source
    before = dag.coded
    if source is None and before is None:
        return  # of no file, and never was of one
    assert dag.version_id is not None  # a load gives it one
    file, digest = ("", "") if source is None else (source.file, source.hash)
    if before == (dag.version_id, digest, file):
        return
    dag.coded = dag.version_id, digest, file
    if source is not None:
        t.changes.sources_new.append((source.hash, source.bytes, source.text))
    given = t.world.next_id
    t.changes.codes_new.append(
        (dag.dag_id, dag.version_id, file, digest or None, given["run"], given["attempt"], t.now)
    )
    if before is not None and before[0] == dag.version_id and before[1] != digest:
        t.journal("dag", dag.dag_id, None, "", "code", digest[:12] or "without its text")
