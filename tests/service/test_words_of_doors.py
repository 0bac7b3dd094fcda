"""Errors of operations are worded for every door: they name parameters, not the flags of the terminal."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import bide

RUNTIME = Path(bide.__file__).parent / "runtime"
TERMINAL = {
    "addresses.py", "config.py", "places.py", "private.py", "tcp.py", "unit.py", "unit_facts.py", "window_at.py",
    "wire.py",
}  # fmt: skip
"""What only the terminal asks: where the database is, at which port to listen, what a unit says, what was typed."""


def raised(file: Path) -> Iterator[str]:
    """The texts of all that is raised, without whole commands that are advised."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Raise) and node.exc is not None:
            text = "".join(
                each.value if isinstance(each, ast.Constant) and isinstance(each.value, str) else "…"
                for each in ast.walk(node.exc)
                if isinstance(each, ast.Constant | ast.FormattedValue)
            )
            yield re.sub(r"`(?:bide|systemctl|chmod) [^`]*`", "", text)


def test_no_error_of_an_operation_names_a_flag() -> None:
    files = [
        file
        for room in ("service", "engine", "assets", "hooks", "notify", "schedules")
        for file in (RUNTIME / room).rglob("*.py")
        if file.name not in TERMINAL
    ]
    found = [
        (file.name, text) for file in files for text in raised(file) if re.search(r"(?<![\w-])--[a-z]", text)
    ]
    assert found == []
    assert len(files) > 150
