"""The window as any browser meets it: what is given without a name, and what is not."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.window.conftest import home
from tests.window.house import House

BUILT = Path(__file__).parents[2] / "bide" / "window"
FIRST_LOAD = 150 * 1024
"""Bytes of gzip that the first page may cost (issue: 150 kB)."""
WHOLE = 1024 * 1024
"""Bytes that all built files may have in the wheel."""


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    try:
        with urlopen(Request(url, headers=headers)) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except HTTPError as error:
        return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()


def test_the_page_of_every_screen_is_given_without_a_name_and_holds_nothing(house: House) -> None:
    pages = {
        fetch(house.url + path)[2] for path in ("/", "/waits", "/runs/17", "/assets/a/b", "/runs/health")
    }
    assert len(pages) == 1
    status, headers, page = fetch(f"{house.url}/runs/17")
    assert status == 200
    assert b"<script>" not in page
    assert b" style=" not in page
    assert "script-src 'self'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path", ["/api/v1/runs", "/metrics", "/api/v1/openapi.json", "/dags.json", "/windows", "/static", "/api"]
)
def test_t17_nothing_that_is_no_file_of_the_window_is_given_without_a_token(house: House, path: str) -> None:
    assert fetch(house.url + path)[0] == 401


@pytest.mark.parametrize(
    "path",
    [
        "/static/../index.html",
        "/static/%2e%2e/%2e%2e/pyproject.toml",
        "/static//etc/passwd",
        "/static/nothing.js",
        "/static/",
    ],
)
def test_t17_no_address_leads_to_another_file(house: House, path: str) -> None:
    status, _, body = fetch(house.url + path)
    assert (status, body) == (404, b"no such file\n")


def test_t17_another_name_gets_no_page_either(house: House) -> None:
    assert fetch(house.url, Host="evil.example")[0] == 421


def test_built_files_are_kept_by_browsers_and_packed(house: House) -> None:
    page = fetch(house.url)[2].decode()
    script = re.search(r'src="\./(static/[^"]+\.js)"', page) or re.search(r'src="(static/[^"]+\.js)"', page)
    assert script is not None, page
    status, headers, packed = fetch(f"{house.url}/{script[1]}", **{"Accept-Encoding": "gzip"})
    assert status == 200
    assert headers["content-encoding"] == "gzip"
    assert "immutable" in headers["cache-control"]
    assert len(packed) < len(fetch(f"{house.url}/{script[1]}")[2])
    assert fetch(f"{house.url}/{script[1]}", **{"If-None-Match": headers["etag"]})[0] == 304


def test_the_first_load_and_the_whole_are_small(browser: Browser, house: House) -> None:
    page = browser.new_page()
    sizes: list[int] = []
    page.on(
        "response",
        lambda got: (
            sizes.append(int(got.headers.get("content-length", 0))) if "/api/" not in got.url else None
        ),
    )
    page.goto(house.address())
    page.get_by_text("Live", exact=True).wait_for()
    page.close()
    assert 0 < sum(sizes) <= FIRST_LOAD, sizes
    assert sum(each.stat().st_size for each in BUILT.rglob("*") if each.is_file()) <= WHOLE


def test_nothing_built_names_another_machine(house: House) -> None:
    named = {
        url
        for each in BUILT.rglob("*")
        if each.suffix in (".js", ".css", ".html")
        for url in re.findall(r"https?://[\w.-]+", each.read_text())
    }
    assert named <= {"http://www.w3.org", "https://preactjs.com", "https://github.com"}, (
        named
    )  # names of XML, and the words of an error


def test_who_has_no_token_is_asked_for_one(browser: Browser, house: House) -> None:
    page = browser.new_page()
    page.goto(house.url + "/runs")
    expect(page.get_by_text("bide token create me")).to_be_visible()
    page.get_by_label("Token").fill(house.token)
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    page.close()


def test_the_token_of_an_address_is_kept_and_leaves_the_address(page: Page, house: House) -> None:
    page.goto(house.address())
    expect(page.get_by_role("link", name="Runs", exact=True)).to_be_visible()
    assert house.token not in page.url
    page.goto(house.url + "/runs")
    expect(page.get_by_role("heading", name="Runs")).to_be_visible()
    expect(page.get_by_role("link", name="daily_orders").first).to_be_visible()


def test_filters_stand_in_the_address_and_back_leads_back(page: Page, house: House) -> None:
    home(page, house)
    page.get_by_role("link", name="Runs", exact=True).click()
    page.get_by_role("button", name="Failed").click()
    expect(page).to_have_url(re.compile(r"/runs\?state=failed$"))
    table = page.get_by_role("table", name="Runs")
    expect(table.get_by_role("link", name="failing")).to_have_count(1)
    expect(table.get_by_role("link", name="daily_orders")).to_have_count(0)
    table.get_by_role("link", name="failing").click()
    expect(page).to_have_url(re.compile(r"/dags/failing$"))
    page.go_back()
    expect(table.get_by_role("link", name="failing")).to_have_count(1)


def test_the_zone_of_instants_is_chosen_for_the_page_and_kept(page: Page, house: House) -> None:
    page.goto(house.url + "/runs")
    cell = page.locator("td[data-name='Logical date']").last
    expect(cell).to_have_text(re.compile("^2026-"))
    here = cell.inner_text()
    page.get_by_role("button", name="UTC").click()
    expect(cell).not_to_have_text(here)
    page.reload()
    expect(page.get_by_role("button", name="UTC")).to_have_attribute("aria-pressed", "true")


def test_the_palette_goes_anywhere_by_keys_alone(page: Page, house: House) -> None:
    home(page, house)
    page.keyboard.press("Control+k")
    page.keyboard.type("daily_or")
    expect(page.get_by_role("option", selected=True)).to_have_accessible_name("daily_orders DAG")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/dags/daily_orders$"))
