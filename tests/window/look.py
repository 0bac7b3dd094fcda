"""Pictures of the screens, for looking at.

    python -m tests.window.look FOLDER [SIZE ...]            of houses at 0, 10 and 10,000 runs: the whole set
    python -m tests.window.look ADDRESS FOLDER [PATH ...]    of a service: ADDRESS is what `bide ui` or `tests.window.house` prints

Every screen in both themes, and both at 360 px; they are SIZE-screen-theme-width.png.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright

from tests.window.conftest import CHROMIUM, FLAGS
from tests.window.house import House
from tests.window.houses import SIZES, house
from tests.window.places import PATTERNS, place

THEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")
WIDTHS: Final[dict[str, ViewportSize]] = {
    "wide": {"width": 1280, "height": 900},
    "narrow": {"width": 360, "height": 740},
}
ALONE = tuple(pattern for pattern in PATTERNS if ":" not in pattern and "*" not in pattern)
"""Screens that are there without a name of anything."""


def screens(house: House, size: int) -> list[str]:
    """All of this house, each with something to be seen where there is something, and its other sides."""
    if size == 0:
        return [*ALONE, "/dags/daily_orders", "/dags/daily_orders?view=calendar", "/assets/orders", "/runs/1"]
    runs = house.runs
    named = [
        place(
            pattern,
            dag="daily_orders",
            run=runs["bad"],
            task="breaks",
            asset="orders",
            backfill=runs["backfill"],
        )
        for pattern in PATTERNS
    ]
    grown = ["/dags/billing.reconciliation_with_the_general_ledger" + tab for tab in ("", "?view=calendar")]
    return [
        *named,
        f"/runs/{runs['wide']}", f"/runs/{runs['held']}", f"/runs/{runs['asks']}", f"/runs/{runs['mapped']}",
        f"/runs/{runs['waiting']}/t/page", f"/runs/{runs['good']}/t/load_orders", f"/runs/{runs['held']}/t/holds_2",
        *(f"/dags/daily_orders?view={tab}" for tab in ("graph", "calendar", "tasks", "versions", "docs", "backfills")),
        "/dags/with_params?view=docs",
        "/backfills?plan=reports&from=2026-04-01&to=2026-04-20",
        *(grown if size > SIZES[1] else ()),
    ]  # fmt: skip


def pictures(browser: Browser, base: str, token: str, folder: Path, name: str, paths: Iterable[str]) -> None:
    paths = list(paths)
    for theme in THEMES:
        for width, viewport in WIDTHS.items():
            page = browser.new_page(viewport=viewport, color_scheme=theme, reduced_motion="reduce")
            page.on("pageerror", lambda error: print("error:", error))
            page.on(
                "console",
                lambda said: print(said.type, said.text) if said.type in ("error", "warning") else None,
            )
            page.goto(f"{base}/#token={token}")
            page.get_by_text("Live", exact=True).wait_for()
            for path in paths:
                taken(page, base, path).screenshot(
                    path=folder / f"{name}{named(path)}-{theme}-{width}.png", full_page=True
                )
            page.close()


def taken(page: Page, base: str, path: str) -> Page:
    page.goto(base + path)
    page.get_by_text("Live", exact=True).wait_for()
    page.wait_for_timeout(300)
    page.wait_for_function("() => !document.querySelector('main [aria-busy=true]')", timeout=15_000)
    page.wait_for_timeout(200)  # a picture for people: what is drawn has settled
    return page


def named(path: str) -> str:
    return re.sub(r"[^\w.=]+", "-", path).strip("-") or "home"


def main(words: Sequence[str]) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        if words[0].startswith("http"):
            base, _, token = words[0].partition("/#token=")
            Path(words[1]).mkdir(parents=True, exist_ok=True)
            pictures(browser, base, token, Path(words[1]), "", words[2:] or ALONE)
        else:
            Path(words[0]).mkdir(parents=True, exist_ok=True)
            for size in [int(word) for word in words[1:]] or SIZES:
                with tempfile.TemporaryDirectory() as scratch:
                    made = house(Path(scratch) / "house", size)
                    try:
                        paths = screens(made, size)
                        pictures(browser, made.url, made.token, Path(words[0]), f"{size}-", paths)
                    finally:
                        made.close()
        browser.close()


if __name__ == "__main__":
    main(sys.argv[1:])
