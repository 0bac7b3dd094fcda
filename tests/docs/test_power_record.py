"""The page on durability says what the record of the power cuts adds up to, and nothing better."""

from __future__ import annotations

import csv
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_t18_the_page_states_the_totals_that_the_record_of_power_cuts_gives() -> None:
    with (ROOT / "tests" / "power" / "record.tsv").open() as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    page = (ROOT / "docs" / "durability.md").read_text()
    for level in ("FULL", "NORMAL"):
        sums = [
            sum(int(row[column]) for row in rows if row["level"] == level)
            for column in ("cuts", "images", "unflushed", "acknowledged", "lost", "wrong")
        ]
        [line] = [line for line in page.splitlines() if line.startswith(f"| `{level}` |")]
        assert line.replace("*", "") == f"| `{level}` | " + " | ".join(f"{each:,}" for each in sums) + " |"
