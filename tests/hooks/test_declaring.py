"""What an author writes of hooks: read with the DAG files, refused in one sentence when it cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bide import Runtime, Secret
from bide.hooks import CloudEvents, Fixed, GitHub, Route, StandardWebhooks, Stripe, Unsigned, Webhook
from bide.runtime.assets.declarations import collecting
from bide.runtime.errors import GraphError, UsageError
from bide.runtime.graph.load import load_paths
from bide.runtime.hooks.hook import HookSpec
from bide.runtime.hooks.pointer import MISSING, pointer
from bide.runtime.service.checking import check

FILE = """
from bide import dag, shell
from bide.hooks import GitHub, Webhook

@dag
def {dag}():
    shell("said", "true")

Webhook("{hook}", dag="{starts}", scheme=GitHub("env:HOOK_SECRET"))
"""


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Webhook("a/b", "d", scheme=Unsigned()), "a part of its address"),
        (lambda: Webhook("", "d", scheme=Unsigned()), "a part of its address"),
        (lambda: Webhook("a", "d", scheme="github"), "must be GitHub"),  # type: ignore[arg-type]
        (lambda: Webhook("a", scheme=Unsigned()), "starts nothing"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), routes=[Route("e")]), "a dag and routes"),
        (lambda: Webhook("a", scheme=Unsigned(), routes=[Route("e")], params={"x": 1}), "go with its dag"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), params={"x": "ref"}), "points nowhere"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), params={"x": "$.a[*]"}), "points nowhere"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), params={"x": "$" + ".a" * 33}), "points nowhere"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), params={"x": "/a~2"}), "points nowhere"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), params={"x": Fixed(object())}), "not JSON"),
        (
            lambda: Webhook("a", "d", scheme=Unsigned(), params=dict.fromkeys(map(str, range(65)), 1)),
            "at most 64",
        ),
        (lambda: Webhook("a", "d", scheme=Unsigned(), where={"header:": 1}), "points nowhere"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), max_body=0), "max_body"),
        (lambda: Webhook("a", "d", scheme=Unsigned(), tolerance=timedelta(hours=2)), "tolerance"),
        (lambda: Webhook("a", "d", scheme=Stripe("env:X"), keep=timedelta(days=1)), "keep"),
        (GitHub, "needs a secret"),
        (lambda: CloudEvents("*" * 5, "d"), "at most 4 stars"),
        (lambda: CloudEvents("a b", "d"), "without blanks"),
    ],
)
def test_b65_what_cannot_be_meant_is_said_in_one_sentence(make: Callable[[], Any], said: str) -> None:
    with collecting(), pytest.raises(GraphError, match=said):
        make()


def test_b65_a_secret_is_named_and_one_that_is_written_out_is_refused_without_being_shown() -> None:
    for written in ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "hunter2 hunter2"):
        with pytest.raises(GraphError, match="the name of a secret") as refused:
            StandardWebhooks(written)
        assert written not in str(refused.value)
    assert repr(GitHub(Secret("env:A"), "file:/b")) == "GitHub(env:A, file:/b)"
    with pytest.raises(UsageError):
        GitHub("env:")


def test_b65_a_hook_is_the_same_when_it_is_read_again() -> None:
    with collecting():
        hook = Webhook(
            "h", scheme=Stripe("env:A", "credential:b"), key="/id", doc="what for",
            routes=[Route("d", where={"$.a": [1, Fixed("x")]}, params={"p": None, "q": "$"}, logical_date="$.d")],
        )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(hook.spec), type=HookSpec) == hook.spec


_KEYS = st.text("abc~/ é0", min_size=1, max_size=3)
_JSON = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_KEYS, inner, max_size=3),
    max_leaves=12,
)


@given(document=_JSON, path=st.lists(_KEYS | st.integers(0, 3), max_size=5))
def test_b65_a_pointer_finds_what_python_finds_and_nothing_else(document: Any, path: list[str | int]) -> None:
    at: Any = document
    for step in path:
        if isinstance(at, dict) and str(step) in at:
            at = at[str(step)]
        elif isinstance(at, list) and str(step) in [str(n) for n in range(len(at))]:
            at = at[int(step)]
        else:
            at = MISSING
            break
    text = "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
    assert pointer(text or "$").read(document, {}) == at


def test_b65_two_hooks_of_one_name_in_a_file_are_refused_and_in_two_files_the_first_is_kept(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.py").write_text(FILE.format(dag="a", hook="h", starts="a"))
    (tmp_path / "b.py").write_text(FILE.format(dag="b", hook="h", starts="b"))
    found = load_paths([tmp_path])
    assert [dag.name for dag in found.dags] == ["a", "b"]
    assert list(found.errors) == [str(tmp_path / "b.py")]
    assert "two hooks are named 'h'" in found.errors[str(tmp_path / "b.py")]
    again = 'Webhook("h", dag="b", scheme=GitHub("env:OTHER"))\n'
    (tmp_path / "b.py").write_text(FILE.format(dag="b", hook="h", starts="b") + again)
    assert "there are two hooks named 'h'" in load_paths([tmp_path / "b.py"]).errors[str(tmp_path / "b.py")]


async def test_b65_hooks_come_and_go_with_their_files_and_a_broken_one_leaves_them(tmp_path: Path) -> None:
    folder = tmp_path / "dags"
    folder.mkdir()
    (folder / "one.py").write_text(FILE.format(dag="one", hook="first", starts="one"))
    (folder / "two.py").write_text(FILE.format(dag="two", hook="second", starts="elsewhere"))
    found = load_paths([folder])
    async with Runtime(tmp_path / "b.db", found.dags, synchronous="NORMAL") as rt:
        assert sorted(rt.desk.hooks) == ["first", "second"]
        assert [line.hook for line in await rt.hooks.listed()] == ["first", "second"]

        async def reloaded() -> list[str]:
            found = load_paths([folder])
            await rt.load(found.dags, found.errors)
            assert [line.hook for line in await rt.hooks.listed() if line.loaded] == sorted(rt.desk.hooks)
            return sorted(rt.desk.hooks)

        (folder / "one.py").write_text("this is broken")
        assert await reloaded() == ["first", "second"]
        (folder / "one.py").write_text(FILE.format(dag="one", hook="renamed", starts="one"))
        assert await reloaded() == ["renamed", "second"]
        (folder / "two.py").unlink()
        assert await reloaded() == ["renamed"]


async def test_b65_a_runtime_without_hooks_writes_nothing_of_them(tmp_path: Path) -> None:
    for expected in (["given"], ["given"], []):
        with collecting():
            hooks = [Webhook("given", "x", scheme=GitHub("env:A"))] if expected else []
        async with Runtime(tmp_path / "b.db", hooks=hooks, synchronous="NORMAL") as rt:
            before = rt._engine.batch
            assert [line.hook for line in await rt.hooks.listed()] == expected
            assert rt._engine.batch == before


def test_b65_a_hook_that_cannot_make_a_run_is_warned_of_before_its_first_delivery(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    head = (
        "from bide import Param, dag, shell\nfrom bide.hooks import CloudEvents, Route, Unsigned, Webhook\n"
    )
    body = '@dag(params={"order": Param(type=str)})\ndef ship():\n    shell("said", "true")\n'
    wrong = (
        'Webhook("h", scheme=Unsigned(), routes=[Route("shipp"), Route("ship", params={"ordr": "$.id"})])\n'
    )
    right = 'CloudEvents("*", ship, params={"order": "$.id"})\n'
    file.write_text(head + body + wrong + right)
    said = [(each.code, each.message) for each in check([str(file)], 0)[1] if each.code.startswith("hook")]
    assert [code for code, _ in said] == ["hook-dag", "hook-params", "hook-params"]
    assert "did you mean 'ship'" in said[0][1]
    assert "'ordr'" in said[1][1]
    assert "no parameter 'order'" in said[2][1]
    file.write_text(head + body + right)
    assert [each for each in check([str(file)], 0)[1] if each.code.startswith("hook")] == []
