"""Which tests show which requirement: `python -m tests.coverage` writes docs/coverage.md from their names.

A test's name carries the ids it shows: `test_s3_7_...` is S3-7, `test_s0_8a_...` is S0-8a, `test_b26_...` is B26;
a letter that has no row of its own counts for its id. The ids and their texts are in `ids.toml`.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase
from typing import Any

TESTS = Path(__file__).parent
PAGE = TESTS.parent / "docs" / "coverage.md"
ID = re.compile(r"(?<=_)(?:(s[0-3])_|([bcdpt]))(\d+)([a-z]?)(?=_|$)")
SECTIONS = {
    "S0": "DAG orchestration",
    "S1": "What is safe to use",
    "S2": "Task graphs",
    "S3": "Schedules and dependencies",
    "B": "What bide can do",
    "C": "What people complain of in this field, and what becomes of it",
    "D": "What is new",
    "P": "What is promised",
    "T": "What the promises are tried with",
}

HEAD = """\
# What is shown by which test

Each row is a requirement that bide is held against, with the tests whose names carry its id. The page is made by
`python -m tests.coverage`, and a test fails when it is not what that makes.
"""


@dataclass
class Coverage:
    """Every id with its text, and the tests that show it: id -> `file::test`."""

    texts: dict[str, str]
    later: dict[str, str]
    scope: dict[str, str]
    same: dict[str, list[str]]
    """Ids that say again what others say."""
    shown: dict[str, list[str]] = field(default_factory=dict)

    @property
    def unknown(self) -> dict[str, list[str]]:
        """Ids in names of tests that there are not."""
        return {each: tests for each, tests in self.shown.items() if each not in self.texts}

    @property
    def missing(self) -> list[str]:
        """Ids without a test that no later issue shows. One with letters is shown by those of all of them."""
        return [
            each
            for each in self.texts
            if not (self.shown.get(each) or self.letters(each) or each in self.later or each in self.scope)
            and not all(self.shown.get(other) for other in self.same.get(each, [""]))
        ]

    def letters(self, each: str) -> list[str]:
        """The ids below this one: S0-8a, S0-8b, ... of S0-8."""
        return [other for other in self.texts if other[:-1] == each and other[-1].isalpha()]


def gather(folder: Path = TESTS) -> Coverage:
    table: Mapping[str, Mapping[str, Any]] = tomllib.loads((TESTS / "ids.toml").read_text())
    texts = {_id(section, number): text for section in SECTIONS for number, text in table[section].items()}
    found = Coverage(texts, dict(table["later"]), dict(table["scope"]), dict(table["same"]))
    for path in sorted(folder.rglob("test_*.py")):
        where = path.relative_to(folder.parent).as_posix()
        for name in names(ast.parse(path.read_text())):
            for each in ids(name):
                known = each if each in texts else each.rstrip(ascii_lowercase)
                found.shown.setdefault(known, []).append(f"{where}::{name}")
    return found


def names(tree: ast.AST) -> Iterator[str]:
    """The tests of a file, in their order; methods as `Class::test`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (f"{node.name}::{inner}" for inner in names(node))


def ids(name: str) -> list[str]:
    """The ids in the name of a test.

    >>> ids("test_s3_7_s3_8_b26_what_was_missed"), ids("test_s0_8a_ready"), ids("test_c58_a_laptop")
    (['S3-7', 'S3-8', 'B26'], ['S0-8a'], ['C58'])
    """
    return [
        _id((seed or room).upper(), f"{number}{letter}") for seed, room, number, letter in ID.findall(name)
    ]


def _id(section: str, number: str) -> str:
    return f"{section}-{number}" if section[-1].isdigit() else f"{section}{number}"


def _section(each: str) -> str:
    return each.partition("-")[0] if "-" in each else each[0]


def page(found: Coverage) -> str:
    lines = [HEAD]
    for section, title in SECTIONS.items():
        lines += [f"## {section}: {title}", "", "| id | what | shown by |", "|---|---|---|"]
        for each, text in found.texts.items():
            if _section(each) == section:
                lines.append(f"| {each} | {text} | {_cell(found, each)} |")
        lines.append("")
    return "\n".join(lines)


def _cell(found: Coverage, each: str) -> str:
    if not found.shown.get(each) and (letters := found.letters(each)):
        return f"see {letters[0]} to {letters[-1]}"
    if tests := found.shown.get(each):
        return "<br>".join(f"`{test.removeprefix('tests/')}`" for test in tests)
    if others := found.same.get(each):
        return f"see {' and '.join(others)}"
    return found.scope.get(each) or f"a later issue: {found.later.get(each, '')}"


if __name__ == "__main__":
    PAGE.write_text(page(gather()))
