"""A browser and a service for the tests of the window: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.window.house import House

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-sandbox", "--in-process-gpu",
)  # fmt: skip

REFUSED = re.compile("the server responded with a status of (404|409)")
"""What a browser itself says of a question or command that is refused: the page shows why, and tests see to that."""


KNOWS = """
if (location.origin === %s && !localStorage.getItem('tests.knows')) {
    localStorage.setItem('tests.knows', 'yes')
    localStorage.setItem('bide.token', %s)
}
"""
"""Once a context. As its `storage_state` it would cost a page of its own, and so as much again as the test's."""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One for a module: while Playwright is open no other loop can run in its thread, so modules with it have no `async` test."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: the window is not tried (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A service of the showcase, with runs in all states; one for all tests of a module."""
    house = House(tmp_path_factory.mktemp("house"))
    house.open()
    try:
        house.runs = house.furnish()
        yield house
    finally:
        house.close()


@pytest.fixture
def context(browser: Browser, house: House) -> Iterator[BrowserContext]:
    """A browser that knows its token, from the first page of the house that it opens."""
    context = browser.new_context(
        viewport={"width": 1280, "height": 900}, timezone_id="Europe/Berlin", locale="en-GB"
    )
    context.add_init_script(KNOWS % (json.dumps(house.url), json.dumps(house.token)))
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, house: House) -> Iterator[Page]:
    """A page that will be let in; it is nowhere yet. What it reports as an error, or asks of another machine, fails the test."""
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console",
        lambda said: (
            wrong.append(said.text)
            if said.type in ("error", "warning") and not REFUSED.search(said.text)
            else None
        ),
    )
    page.on(
        "request",
        lambda asked: (
            wrong.append(asked.url) if not asked.url.startswith((house.url, "data:", "blob:")) else None
        ),
    )
    yield page
    assert wrong == []


def home(page: Page, house: House) -> None:
    """Go to the first page, and see it live."""
    page.goto(house.url)
    page.get_by_text("Live", exact=True).wait_for()
