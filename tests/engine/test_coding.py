"""Which text of its file a DAG was loaded with is kept, and which attempts ran with which."""

from __future__ import annotations

from tests.engine.declare import job
from tests.engine.pruning import prune
from tests.engine.scene import Scene


def texts(scene: Scene) -> list[tuple[int, str | None, int]]:
    """(version, text, the first attempt begun with it) of each load that brought another."""
    return scene._rows(
        "SELECT c.version_id, s.text, c.first_attempt_id FROM dag_code c LEFT JOIN source s ON s.hash = c.source ORDER BY c.code_id"
    )


def test_b54_c38_a_text_that_changes_beneath_one_graph_is_kept_and_makes_no_version(scene: Scene) -> None:
    scene.dag("d", job("a"), text="one")
    scene.trigger("d")
    scene.dag("d", job("a"), text="two")
    scene.dag("d", job("a"), text="two")
    scene.end(scene.going[0])
    scene.trigger("d")
    scene.dag("d", job("a"), job("b"), text="three")
    assert texts(scene) == [(1, "one", 1), (1, "two", 2), (2, "three", 3)]
    assert [now for now, _ in scene.said("dag")] == ["loaded", "version", "code", "version"]


def test_b54_the_same_load_after_a_crash_writes_nothing(scene: Scene) -> None:
    scene.dag("d", job("a"), text="one")
    scene.crash()
    scene.dag("d", job("a"), text="one")
    assert len(texts(scene)) == 1


def test_b54_one_file_is_stored_once_for_its_dags(scene: Scene) -> None:
    for name in ("d", "e", "f"):
        scene.dag(name, job("a"), text="all of it")
    assert len(texts(scene)) == 3
    assert scene._rows("SELECT count(*), sum(bytes) FROM source") == [(1, 9)]


def test_b54_a_dag_of_no_file_has_no_text_and_ends_that_of_one_that_had(scene: Scene) -> None:
    scene.dag("d", job("a"))
    assert texts(scene) == []
    scene.dag("d", job("a"), text="one")
    scene.dag("d", job("a"))
    assert texts(scene) == [(1, "one", 1), (1, None, 1)]


def test_b54_p14_a_prune_takes_the_texts_that_no_run_ran_with_and_leaves_the_newest(scene: Scene) -> None:
    scene.dag("d", job("a"), text="one")
    for text in ("two", "three"):
        scene.trigger("d")
        scene.end(scene.going[0])
        scene.advance(60)
        scene.dag("d", job("a"), text=text)
    scene.trigger("d", date=1)
    scene.end(scene.going[0])
    scene.advance(60)
    removed = prune(scene, keep_us=0, last=1)
    assert (removed["dag_code"], removed["source"]) == (2, 2)
    assert [text for _, text, _ in texts(scene)] == ["three"]
