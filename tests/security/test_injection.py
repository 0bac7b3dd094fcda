"""Words from outside are words: no SQL, no script of a page, nothing that drives a terminal, no line of another's log."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest

from bide import Runtime, dag, task
from bide.runtime.cli import output
from bide.runtime.cli.follow import shown
from bide.runtime.errors import BideError
from tests.cli.conftest import Bide
from tests.service.doorstep import Doorstep, doorstep

STORE = Path(__file__).parents[2] / "bide" / "runtime" / "store"
WORDS = re.compile(r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|PRAGMA|ATTACH|VACUUM|WHERE)\b")
SQL = (
    "' OR 1=1 --", '" OR ""="', "1; DROP TABLE run; --", "x' UNION SELECT token_hash FROM token --", "%", "_", "\\", "?1",
    ":name", "etl') --", "1 OR 1=1", "char(0)", "'||(SELECT 1)||'", "\u02bc OR 1=1", "etl\0", "ATTACH 'x' AS y",
)  # fmt: skip
LISTS = (
    "/api/v1/runs?dag={}", "/api/v1/runs?state={}", "/api/v1/dags/{}", "/api/v1/dags/{}/why", "/api/v1/assets/{}",
    "/api/v1/journal?dag={}", "/api/v1/audit?who={}", "/api/v1/audit?verb={}", "/api/v1/alerts?kind={}",
    "/api/v1/runs/1/tasks/{}/logs", "/api/v1/hooks/{}/deliveries", "/api/v1/stats/dags/{}", "/api/v1/runs?cursor={}",
)  # fmt: skip
DRIVES = "\x1b]52;c;cHduZWQ=\x07\x1b[2J\x9b31m\r\x08\u202e[/red][bold]"


@pytest.fixture
async def step(tmp_path: Path) -> AsyncIterator[Doorstep]:
    async with doorstep(tmp_path / "bide.db") as found:
        yield found


async def test_t17_no_word_of_a_question_is_sql(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    await (await step.rt.trigger("one")).wait(20)
    for place in LISTS:
        for text in SQL:
            answer = await step.ask("GET", place.format(quote(text, safe="")), token)
            assert answer.status_code in (200, 404, 409, 422), (place, text, answer.text)
            assert answer.status_code != 200 or answer.text in ("[]", '{"runs":[]}') or "assets" in place, (
                place,
                text,
            )
    assert len(await step.rt.operations.runs()) == 1


async def test_t17_a_question_in_plain_words_is_answered(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    await (await step.rt.trigger("one")).wait(20)
    assert len((await step.ask("GET", "/api/v1/runs?dag=one", token)).json()) == 1


def test_t17_what_stands_in_the_text_of_sql_is_a_name_of_ours() -> None:
    """Ruff's S608 is off in the store: what it would find is looked at here. No call but these few, no argument of a caller."""
    said = set[str]()
    for path in sorted(STORE.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.JoinedStr):
                continue
            text = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
            if WORDS.search(text):
                said |= {
                    ast.unparse(part.value) for part in node.values if isinstance(part, ast.FormattedValue)
                }
    odd = {
        each
        for each in said
        if re.search(r"\b(args|params|text|value|user|request|query|given|wanted|words)\b", each)
    }
    assert odd == set()
    assert all(len(each) < 120 for each in said)


PAYLOADS = (
    "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "javascript:alert(1)", "</title><svg/onload=alert(1)>",
    "{{7*7}}", "${7*7}", "\u2028\u2029", "]]>", "<!--", "&lt;script&gt;",
)  # fmt: skip


async def test_t17_no_answer_is_a_page_whatever_it_holds(step: Doorstep) -> None:
    token = await step.token("t", "admin")
    json = {"Content-Type": "application/json"}
    for payload in PAYLOADS:
        made = await step.ask(
            "POST", "/api/v1/dags/one/runs", token, headers={**json, "Accept": "text/html"},
            content=__import__("json").dumps({"params": {"x": payload}, "new": True}),
        )  # fmt: skip
        seen = [
            made,
            await step.ask("GET", f"/api/v1/runs/{quote(payload)}", token, headers={"Accept": "text/html"}),
        ]
        seen.append(await step.ask("GET", f"/{quote(payload)}", token, headers={"Accept": "text/html"}))
        for answer in seen:
            assert answer.headers["content-type"] in ("application/json", "application/problem+json")
            assert answer.headers["x-content-type-options"] == "nosniff"
            assert "default-src 'none'" in answer.headers.get("content-security-policy", "default-src 'none'")


@pytest.mark.parametrize(
    "name", ["<b>", 'a"b', "a b", "a\nb", "a\x1b[2Jb", "", "../x", "é", "a/b", "x" * 201, "a'b", "{x}"]
)
def test_t17_a_name_of_a_dag_or_a_task_is_plain(name: str) -> None:
    with pytest.raises((BideError, ValueError)):

        @dag(name=name)
        def body() -> None: ...


@task
async def rude() -> None:
    raise ValueError(DRIVES + "\nbide: all is well")


@dag
def loud() -> None:
    rude()


@pytest.mark.parametrize(
    "words",
    [("show", "1"), ("why", "1"), ("runs",), ("events", "--since", "1d"), ("alerts",), ("logs", "1", "rude")],
)
def test_t17_nothing_that_a_task_says_drives_a_terminal(
    bide: Bide, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    import asyncio

    async def once() -> None:
        async with Runtime(tmp_path / "bide.db", dags=[loud]) as rt:
            await (await rt.trigger("loud")).wait(20)

    asyncio.run(once())
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("os.get_terminal_size", lambda *_: os.terminal_size((200, 50)))
    monkeypatch.setenv("NO_COLOR", "1")
    said = bide(*words, "--db", str(tmp_path / "bide.db"))
    assert said.code == 0, said.err
    assert not set(said.out + said.err) & set("\x1b\x07\x9b\x08\u202e\r"), said.out


def test_t17_what_is_printable_is_printed_as_it_is() -> None:
    assert output.clean("é ✓ [red] <b>") == "é ✓ [red] <b>"
    assert shown("a\tb\n") == "a\tb\n"
