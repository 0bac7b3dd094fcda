"""T14, what authors write: any text as a schedule, a zone, a template, any declaration and any file is taken or refused in words.

That nothing hangs is counted in calls, Python's and C's, and not timed. BIDE_SOAK=n tries n times as many.
"""

from __future__ import annotations

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bide import Cron, Dag, Every, Param, TaskGraphBuilder, call, dag, shell, task
from bide.runtime.errors import BideError, ScheduleError, UsageError
from bide.runtime.graph.load import load_paths

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak
NOW_US = 1_780_000_000_000_000
STEPS = 400_000
"""Calls that one example may take: less than half a second of them."""


@contextmanager
def bounded() -> Iterator[None]:
    left = STEPS

    def counted(_frame: FrameType, event: str, _arg: object) -> None:
        nonlocal left
        if event in ("call", "c_call"):
            left -= 1
            if left == 0:
                raise RuntimeError(f"more than {STEPS:,} calls")

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        yield
    finally:
        sys.setprofile(before)


def taken(what: Callable[[], Any]) -> Any:
    """What it makes, or None when it was refused, in one sentence."""
    try:
        with bounded():
            return what()
    except BideError as error:
        said = str(error)
        assert said
        assert "Traceback" not in said
        assert len(said) < 2_000, said
        return None


FIELDS = "*/-,#L0123456789 ?abcdefghijklmnoprstuvwy@"
LINES = st.one_of(
    st.text(FIELDS, max_size=30),
    st.lists(st.from_regex(r"[*0-9a-z/,#-]{1,9}", fullmatch=True), min_size=5, max_size=5).map(" ".join),
    st.lists(
        st.sampled_from(["*", "*/7", "0", "59", "1-5", "5-1", "1,2,30", "L", "31", "30", "2", "mon-fri", "fri#5", "*/999", "0-59/13"]),
        min_size=5, max_size=5,
    ).map(" ".join),
    st.text(max_size=30),
)  # fmt: skip
ZONES = st.one_of(
    st.sampled_from(["UTC", "Europe/Berlin", "Asia/Kathmandu", "Europe", "", "..", "../../etc/passwd", "/etc/passwd", "a\0b", "\ud800",
                     "posixrules", "localtime", "x" * 300, "Europe/Berlin/", "europe/berlin", "tzdata.zi", "+01:00"]),
    st.text(max_size=20),
)  # fmt: skip


@settings(max_examples=600 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(LINES, st.sampled_from(["tick", "hour", "day", "week", "month"]))
@example("0 0 30 2 *", "tick")
@example("0 0 29 2 mon#5", "month")
@example("0-59/1 0-23/1 1-31/1 1-12/1 0-7/1", "day")
@example("*/1" * 3_000, "tick")
@example("0 0 " + "1," * 20_000 + "1 * *", "tick")
@example("9" * 5_000 + " * * * *", "tick")
def test_t14_any_text_is_a_cron_line_that_goes_on_or_is_refused(line: str, interval: Any) -> None:
    made = taken(lambda: Cron(line, tz="Europe/Berlin", interval=interval))
    if made is not None:
        fired = taken(lambda: made.next_after(NOW_US))
        assert fired is None or fired.fires_us > NOW_US
        before = taken(lambda: made.last_until(NOW_US))
        assert before is None or before.fires_us <= NOW_US


@settings(max_examples=250 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(ZONES)
def test_t14_any_text_is_a_zone_or_refused(name: str) -> None:
    made = taken(lambda: Cron("30 2 * * *", tz=name))
    assert made is None or taken(lambda: made.next_after(NOW_US)) is not None


NUMBERS = st.one_of(
    st.floats(),
    st.integers(),
    st.sampled_from([0.0, 1, -1, 1e-9, 1e300, float("nan"), float("inf"), 10**400]),
)


@settings(max_examples=250 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(
    NUMBERS,
    NUMBERS,
    st.none()
    | st.text(max_size=30)
    | st.sampled_from(["0001-01-01", "9999-12-31T23:59:59", "2026-06-15T06:00+14:00"]),
)
def test_t14_any_span_is_a_period_or_refused(hours: float, seconds: float, anchor: Any) -> None:
    made = taken(lambda: Every(hours=hours, seconds=seconds, anchor=anchor))
    if made is not None:
        fired = taken(lambda: made.in_zone("Europe/Berlin").next_after(NOW_US, NOW_US))
        assert fired is None or fired.fires_us > NOW_US


@settings(max_examples=300 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(st.text("{}[].:!_ adginprstuv0%Y()'\"$`\\\n|&;<>", max_size=50) | st.text(max_size=40))
def test_t14_any_text_is_a_command_or_refused_when_it_is_declared(command: str) -> None:
    def body() -> None:
        shell("x", command)

    taken(lambda: dag(name="d", params={"v": "1"})(body).hash)


# --- declarations -------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2**70, 1.5, float("nan"), "", "x", "a b", "\0", "\ud800", "x" * 300, b"x", (), [], {}, {"a": 1}, [None], object(), int,
    timedelta(0), timedelta(seconds=1), timedelta(days=-1), timedelta.max, ValueError, lambda: 1, Param(1), {1: 2}, {"a": object()},
)  # fmt: skip
TASK_OPTIONS = (
    "retries", "retry_delay", "backoff", "max_retry_delay", "jitter", "retry_on", "timeout", "deadline", "deadline_alert", "idempotent", "max_lost",
    "pool", "slots", "priority", "trigger_rule", "inlets", "outlets", "cost", "max_active", "setup", "teardown", "fails_run", "depends_on_past",
    "on_failure", "owner", "doc", "memory_limit", "max_map", "name", "branch", "isolate", "lane", "nonsense",
)  # fmt: skip
DAG_OPTIONS = (
    "name", "schedule", "start", "end", "tz", "catchup", "max_active_runs", "params", "owner", "tags", "doc", "timeout", "deadline", "overlap",
    "on_failure", "on_success", "on_all_failed", "priority", "nonsense",
)  # fmt: skip
odd = st.sampled_from(ODD) | st.text(max_size=8) | st.integers()
NAMES = st.sampled_from(["a", "b", "c", "d", "a.b", "", "*"])


async def _body(x: Any = None) -> int:
    return 1


@settings(max_examples=400 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(
    dag_options=st.dictionaries(st.sampled_from(DAG_OPTIONS), odd, max_size=2),
    tasks=st.lists(st.tuples(NAMES, st.dictionaries(st.sampled_from(TASK_OPTIONS), odd, max_size=2)), max_size=5),
    edges=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.booleans()), max_size=8),
)  # fmt: skip
def test_t14_any_declaration_is_a_dag_or_refused(
    dag_options: dict[str, Any], tasks: list[tuple[str, dict[str, Any]]], edges: list[tuple[int, int, bool]]
) -> None:
    def declared() -> Dag:
        def body() -> None:
            named: list[dict[str, Any]] = [{"name": name, **options} for name, options in tasks]
            made = [task(_body).options(**options)() for options in named]
            for above, below, given_over in edges:
                if max(above, below) < len(made):
                    _ = (
                        task(_body).options(name=f"n{above}{below}")(made[above])
                        if given_over
                        else made[above] >> made[below]
                    )

        options: dict[str, Any] = {"name": "d", **dag_options}
        found = dag(**options)(body)
        assert found.hash
        return found

    taken(declared)


@settings(max_examples=150 * SOAK, deadline=None, derandomize=SOAK == 1)
@given(st.lists(st.tuples(NAMES, st.lists(NAMES | odd, max_size=3)), max_size=5))
def test_t14_any_built_graph_is_a_dag_or_refused(parts: list[tuple[str, list[Any]]]) -> None:
    def built() -> Any:
        builder, made = TaskGraphBuilder("d"), []
        for name, after in parts:
            made.append(call(task(_body).options(name=name)))
            builder.add(made[-1], depends_on=[*after, *made[-2:-1]] if after else None)
        return builder.build().hash

    taken(built)


# --- files --------------------------------------------------------------------------------------------------

GOOD = """
from bide import Cron, dag, shell, task

@task(retries=2)
async def load(day: str) -> int:
    return len(day)

@task
def send(rows): print(rows)

@dag(schedule=Cron("0 2 * * *"), start="2026-06-01", params={"day": "x"})
def etl():
    send(load("{params.day}")) >> shell("said", "true")
"""
LINES_OF = ("raise SystemExit(3)", "def f(): f()\nf()", "import nowhere_at_all", "1/0", "\0", "\tx", "é = 1", "# -*- coding: none -*-",
            "raise ExceptionGroup('x', [ValueError(1)])", "etl = 3", "from bide import *", "(" * 300, "x = " + "-" * 5_000 + "1", "class E(Exception):\n  def __str__(self): 1/0\nraise E",
            "etl()", "dag(etl)", "task(etl)", "@dag\ndef etl(): load(etl)", "lambda: (yield)", "return", "await load('x')", "raise BaseException('x')", "exit()")  # fmt: skip


def broken(rng: random.Random) -> bytes:
    lines: list[str] = list(GOOD.splitlines())
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        match rng.randrange(5):
            case 0:
                del lines[at]
            case 1:
                lines.insert(at, lines[rng.randrange(len(lines))])
            case 2:
                lines.insert(at, rng.choice(LINES_OF))
            case 3:
                cut = rng.randint(0, len(lines[at]))
                lines[at] = (
                    lines[at][:cut]
                    + rng.choice("()[]{}\"'=:,@ \n\\x0")
                    + lines[at][cut + rng.randint(0, 3) :]
                )
            case _:
                lines[at] = "    " * rng.randint(0, 2) + lines[at].strip()
    data = bytearray("\n".join(lines).encode())
    if rng.random() < 0.2:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return bytes(data)


@pytest.fixture
def _own_path() -> Iterator[None]:
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


@pytest.mark.usefixtures("_own_path")
@pytest.mark.filterwarnings("ignore")
def test_t14_any_file_is_loaded_or_refused_with_its_place(tmp_path: Path) -> None:
    rng, refused, loaded = random.Random(20260615), 0, 0
    for number in range(250 * SOAK):
        file = tmp_path / f"f{number}.py"
        file.write_bytes(broken(rng))
        found = load_paths([file])
        loaded += len(found.dags)
        for where, said in found.errors.items():
            refused += 1
            assert said, where
            assert "Traceback" not in said
            assert len(said) < 2_000, said
            assert "\n" not in said.strip() or "SyntaxError" in said or said.count("\n") < 12, said
        file.unlink()
    assert refused > 60 * SOAK
    assert loaded > 20 * SOAK


def test_t14_what_is_right_is_taken() -> None:
    assert Cron("0 2 * * *", tz="Europe/Berlin").next_after(NOW_US) is not None
    assert Every(hours=1).period == timedelta(hours=1)
    with pytest.raises(ScheduleError), bounded():
        Cron("61 * * * *")
    with pytest.raises(RuntimeError, match="more than"), bounded():
        sum(len("") for _ in range(STEPS))
    with pytest.raises(UsageError):
        Every(hours=float("nan"))
