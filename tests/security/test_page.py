"""The page on security names, for each threat, the tests that hold it off; they exist, and each row has a no and a yes."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.coverage import names

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "security.md"
NAMED = re.compile(r"`(tests/[\w/]+\.py)::([\w:]+)`")
THREATS = (
    "Open by default", "One route without a token", "DNS rebinding, CSRF", "SSRF", "Deserialization",
    "Path traversal", "SQL injection", "Script and terminal injection", "Webhooks in", "Webhooks out",
    "Template injection", "Secrets", "Files and sockets", "SQLite's own traps", "Denial of service",
    "Code that blocks the loop", "Supply chain", "Unit sandbox", "Request smuggling", "Damaged database",
)  # fmt: skip


def rows() -> dict[str, str]:
    """Threat -> its part of the page."""
    parts = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0].strip(): part for part in parts}


@cache
def known_in(file: str) -> frozenset[str]:
    return frozenset(names(ast.parse((ROOT / file).read_text())))


@pytest.mark.parametrize("threat", THREATS)
def test_t17_each_threat_names_a_test_that_refuses_and_one_that_allows(threat: str) -> None:
    part = rows()[threat]
    refused, _, allowed = part.partition("Still allowed:")
    assert "Refused:" in refused
    for side in (refused, allowed):
        named = NAMED.findall(side)
        assert named, f"{threat} names no test of one kind"
        for file, test in named:
            assert test in known_in(file), f"{file} has no {test}"


def test_t17_the_page_has_all_threats_and_no_other() -> None:
    assert tuple(rows()) == (*THREATS, "What is not promised")


def test_t17_there_are_at_least_120_cases() -> None:
    """Counted by the functions alone: most have several cases each."""
    found = [
        name for file in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in known_in(str(file.relative_to(ROOT))) if re.search(r"test_(\w+_)?t1[47]_", name)
    ]  # fmt: skip
    named = {test for part in rows().values() for test in NAMED.findall(part)}
    assert len(found) >= 100
    assert len({name for _, name in named} | set(found)) >= 120


def test_t17_dependencies_are_few_and_bounded() -> None:
    """Each one is a door: what is installed by default is listed here on purpose."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {re.split(r"[><=;\[]", each)[0] for each in project["dependencies"]} <= {
        "anyio", "aiosqlite", "httpx", "aiokafka", "croniter", "msgspec", "cyclopts", "rich", "asyncinotify", "tzdata",
    }  # fmt: skip
    extras = [
        each for name, group in project["optional-dependencies"].items() if name != "all" for each in group
    ]
    assert all(re.search(r">=\d", each) for each in [*project["dependencies"], *extras])
