"""The waiting room: what is waited for in groups, how it is looked at, and what a person does about it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.window.house import House


def test_b14_waits_stand_in_groups_by_the_source_they_share(page: Page, house: House) -> None:
    page.goto(house.url + "/waits")
    table = page.get_by_role("table", name="Waits")
    expect(table.get_by_role("button", name=re.compile("1 wait for file .*2026-03-01.csv"))).to_be_visible()
    expect(table.get_by_role("button", name=re.compile("one request every 5s"))).to_be_visible()
    expect(table.get_by_role("button", name=re.compile("the engine sees it in the commit"))).to_be_visible()
    expect(table.get_by_role("link", name="waiting.page")).to_be_visible()


def test_a_wait_is_extended_where_it_is_seen(page: Page, house: House) -> None:
    page.goto(house.url + "/waits?kind=file")
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="waiting.file"))
    expect(row.get_by_text(re.compile("^5 h 5. m left"))).to_be_visible()
    row.get_by_role("button", name="More for wait").click()
    page.get_by_role("menuitem", name="Extend").click()
    expect(page.get_by_text(re.compile(r"bide waits extend \d+ \+2h"))).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Extend").click()
    expect(page.get_by_role("status").get_by_text(re.compile("gives up at"))).to_be_visible()
    expect(row.get_by_text(re.compile("^7 h 5. m left"))).to_be_visible()
