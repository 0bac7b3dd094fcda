"""Mapped tasks on the terminal: instances by index, folded tables, one line with counts in the picture."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from bide.runtime.cli.folding import counted, folded
from bide.runtime.cli.picture import Follower
from bide.runtime.service.shapes import TaskLine
from bide.runtime.store.reader import Reader
from tests.cli.conftest import Bide

FLOW = """
from bide import dag, task

@task
async def load(n: int) -> int:
    if n % 10 == 7:
        raise ValueError(f"no {n}")
    return n

@task
async def total(found: list[int]) -> int:
    return len(found)

@dag(params={"n": 25})
def flow():
    total(load.map(n=range(25)))
"""


@pytest.fixture
def ran(bide: Bide, tmp_path: Path) -> Bide:
    (tmp_path / "flow.py").write_text(FLOW)
    assert bide("run", "flow.py").code == 1
    return bide


def test_many_instances_are_folded_to_those_in_trouble(ran: Bide) -> None:
    said = ran("show", "1")
    assert "2 of 25 instances failed" in said.out
    _, _, table = said.out.partition("TASK ")
    assert [line.split()[0] for line in table.splitlines()[1:]] == ["load", "load[7]", "load[17]", "total"]
    assert "23 instances of mapped tasks are not shown: --json has them all" in said.err
    tasks = msgspec.json.decode(ran("show", "1", "--json").out)["tasks"]
    assert [t["map_index"] for t in tasks if t["task"] == "load"] == [-1, *range(25)]


def test_one_instance_is_named_by_an_option_or_in_brackets(ran: Bide) -> None:
    assert "ValueError: no 7" in ran("why", "1", "load", "--map-index", "7").out
    assert "ValueError: no 17" in ran("why", "1/load[17]").out
    assert "ValueError: no 7" in ran("logs", "1/load", "--map-index", "7").out
    assert "load[7] of run 1 is marked success" in ran("mark", "1", "load", "success", "--map-index", "7").out
    assert "load[17] of run 1 runs again" in ran("rerun", "1/load", "--map-index", "17").out
    said = ran("rerun", "1", "load[3]")
    assert (said.code, "load[3] has not ended" in said.err) == (0, False)
    assert ran("why", "1", "load").out.startswith(
        "load of run 1 is mapped: 23 of its 25 instances have ended"
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("why", "1", "--map-index", "3"), "--map-index 3 is of which task?"),
        (("rerun", "1", "load[1]", "--map-index", "3"), "--map-index 3 is of which task?"),
        (("rerun", "1", "load", "--map-index", "99"), "has 25 instances, [0] to [24], and no [99]"),
        (
            ("why", "1", "load[99]"),
            "load[99] of run 1 is beyond the list, or not made yet: `bide why 1 load` says",
        ),
        (("why", "1/total[1]"), "the task 'total' of run 1 has no instances: leave the index 1 out"),
        (("rerun", "1", "total[1]"), "the task 'total' of run 1 is not mapped: leave the index 1 out"),
        (("logs", "1", "load"), "load of run 1 is mapped: name one of its instances, load[0] to load[24]"),
    ],
)
def test_what_cannot_be_meant_is_said(ran: Bide, words: tuple[str, ...], said: str) -> None:
    assert said in ran(*words).err


def test_the_picture_has_one_line_with_counts(ran: Bide, tmp_path: Path) -> None:
    ran("rerun", "1")
    with Reader(tmp_path / ".bide" / "bide.db") as reader:
        moment = Follower(reader, 1, 0).moment(0, 4, 0)
    assert [task.task for task in moment.tasks] == ["load", "total"]
    assert moment.mapped == {"load": "23 of 25 ended"}


def test_few_instances_are_all_shown() -> None:
    def line(index: int, state: str) -> TaskLine:
        return TaskLine(task="t", map_index=index, state=state, attempts=1, reason="")

    tasks = [line(-1, "mapped"), *(line(n, "success") for n in range(20))]
    assert len(list(folded(tasks))) == 21
    assert [name for name, _ in folded([*tasks, line(20, "failed")])] == ["t", "t[20]"]
    assert counted({}, 7) == "0 of 7 ended"
