"""Every command that a message or a page names is there to be typed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from bide.runtime.cli.app import app

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`bide ([a-z-]+)")


def pages() -> Iterator[Path]:
    yield from (ROOT / "bide").rglob("*.py")
    yield from (page for page in (ROOT / "docs").rglob("*.md") if page.name != "architecture.md")
    yield ROOT / "README.md"


def test_every_command_that_is_named_exists() -> None:
    known = set(app)
    named = {
        (word, str(page.relative_to(ROOT))) for page in pages() for word in NAMED.findall(page.read_text())
    }
    assert {word for word, _ in named} & {"serve", "run", "why"}
    assert sorted((page, word) for word, page in named if word not in known) == []
