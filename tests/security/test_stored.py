"""Stored rows: what somebody wrote into the database by hand is never imported, run or resolved, and ends in words."""

from __future__ import annotations

import base64
import os
import pickle
import random
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide.runtime.errors import UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.operations import AtOnce, Operations
from bide.runtime.store.reader import Reader
from bide.triggers import decode_trigger, encode_trigger, trigger_class
from bide.triggers.time import TimeTrigger
from tests.service.test_operations import Book as Door
from tests.service.test_operations import FixedClock
from tests.store.rows import three_runs

SOAK = int(os.environ.get("BIDE_SOAK") or 1)
pytestmark = pytest.mark.soak


class Bomb:
    """A pickle that does something when it is read."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch pwned",)


PICKLES = [pickle.dumps(Bomb(), protocol=n) for n in (0, 2, 4)]
CLASSES = (
    "os:system", "os.system", "builtins.eval", "subprocess:Popen", "bide.triggers.time.TimeTrigger", "__main__:x",
    "tests.security.test_stored:Bomb", "../evil", "pickle", "", "time\0", "TIME", "time ",
)  # fmt: skip


@pytest.mark.parametrize("kind", CLASSES)
def test_t17_a_trigger_is_of_a_kind_that_is_known_and_of_no_class_that_is_written(kind: str) -> None:
    with pytest.raises(UsageError, match="there is no trigger of the kind"):
        trigger_class(kind)
    import json

    with pytest.raises(UsageError):
        decode_trigger(json.dumps({"kind": kind, "at_us": 0}).encode())


@pytest.mark.parametrize(
    "data",
    [*PICKLES, b"", b"null", b"[]", b"{", b'{"kind":[]}', b'{"kind":"time"}', b"\xff", b"!!python/object:os"],
)
def test_t17_what_is_no_trigger_is_refused_and_not_unpickled(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for each in (data, base64.b64encode(data)):
        with pytest.raises(UsageError):
            decode_trigger(each)
    assert not (tmp_path / "pwned").exists()


def test_t17_a_trigger_of_a_known_kind_is_read_as_it_was() -> None:
    assert decode_trigger(encode_trigger(TimeTrigger(at_us=7))) == TimeTrigger(at_us=7)


def test_t17_nothing_of_ours_knows_how_to_unpickle() -> None:
    import re

    code = Path(__file__).parents[2] / "bide"
    loads = re.compile(
        r"^\s*(import|from) +(pickle|cloudpickle|dill|marshal|shelve|yaml|jsonpickle)\b", re.MULTILINE
    )
    assert [path.name for path in code.rglob("*.py") if loads.search(path.read_text())] == []


@settings(max_examples=400 * SOAK, deadline=None)
@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "replace")))
def test_t14_any_stored_trigger_is_read_or_refused_in_words(data: bytes) -> None:
    try:
        decode_trigger(data)
    except UsageError as error:
        assert str(error)  # noqa: PT017


# --- rows with other values, asked over the API ----------------------------------------------------------

ASKED = (
    "/api/v1/dags", "/api/v1/runs", "/api/v1/runs/1", "/api/v1/runs/2", "/api/v1/runs/2/why", "/api/v1/waits",
    "/api/v1/journal", "/api/v1/runs/3/tasks/load/logs", "/api/v1/dags/etl", "/api/v1/top", "/api/v1/stats/runs/1",
    "/api/v1/stats/dags/etl", "/api/v1/assets", "/api/v1/alerts", "/api/v1/dags/etl/schedule",
)  # fmt: skip
VALUES = (
    "", "{", "[]", "null", '{"kind":"os:system"}', '{"$secret":"env:PATH"}', "x" * 5_000, "\u202e", "' OR 1=1 --", -1, 0,
    2**63 - 1, -(2**63), '{"kind":"python","dag":"etl","task":"os.system"}', PICKLES[0].decode("latin-1"),
)  # fmt: skip


def damaged(db: Path, rng: random.Random) -> str:
    """Put one other value of its type into one column of one row; what was done."""
    with closing(sqlite3.connect(db, isolation_level=None)) as conn:
        conn.execute("PRAGMA ignore_check_constraints = 1")
        tables = [
            t
            for (t,) in conn.execute(
                "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'"
            )
        ]
        full = [t for t in tables if conn.execute(f'SELECT 1 FROM "{t}" LIMIT 1').fetchone()]
        table = rng.choice(full)
        columns = conn.execute(f'PRAGMA table_info("{table}")').fetchall()
        name, kind = rng.choice([(c[1], c[2]) for c in columns])
        value = rng.choice([v for v in VALUES if isinstance(v, int) == (kind == "INTEGER")] or [0])
        try:
            conn.execute(
                f'UPDATE "{table}" SET "{name}" = ? WHERE rowid = (SELECT min(rowid) FROM "{table}")',
                (value,),
            )
        except sqlite3.Error:
            return ""
        return f"{table}.{name} = {value!r}"


async def test_t14_a_row_that_somebody_changed_is_a_problem_and_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sound = three_runs(tmp_path / "sound.db").read_bytes()
    rng, seen = random.Random(20260615), 0
    for n in range(25 * SOAK):
        db = tmp_path / f"{n}.db"
        db.write_bytes(sound)
        done = damaged(db, rng)
        with Reader(db) as reader:
            app = make_app(Operations(db, AtOnce(reader), Door(), FixedClock()), lambda: "")
            transport = httpx.ASGITransport(app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
                for path in ASKED:
                    answer = await client.get(path)
                    assert "Traceback" not in answer.text
                    assert answer.status_code != 500, (done, path, answer.text)
                    seen += 1
        db.unlink()
    assert seen > 100
    assert not (tmp_path / "pwned").exists()
