"""`/runs/:run/t/:task`: why it is in its state, its attempts with their logs, what it was given, what can be done to it."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.window.house import House
from tests.window.showcase import HOSTILE


def test_a_task_says_why_it_failed_and_shows_the_log_of_each_attempt_in_the_colours_of_a_terminal(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/runs/{house.runs['bad']}/t/breaks")
    why = page.get_by_role("region", name="Why it is in this state")
    expect(why).to_contain_text("failed on attempt 2: ValueError: no such column: price")
    expect(why).to_contain_text(f"bide rerun {house.runs['bad']} breaks")
    log = page.get_by_role("log")
    expect(log).to_have_accessible_name("Log of attempt 2")
    expect(log).to_contain_text(f"ValueError: no such column: price {HOSTILE}")
    page.get_by_role("group", name="Attempts").get_by_role("button").first.click()
    expect(page).to_have_url(re.compile(r"\?attempt=1$"))
    expect(log).to_have_accessible_name("Log of attempt 1")
    expect(log).to_contain_text("about to break")

    page.goto(f"{house.url}/runs/{house.runs['good']}/t/load_orders")
    coloured = page.get_by_role("log").locator("i.c2")
    expect(coloured).to_have_text("loaded")
    assert coloured.evaluate("each => getComputedStyle(each).color") == "rgb(0, 102, 75)"
    expect(page.get_by_role("log")).to_contain_text(HOSTILE)
    assert page.title() != "hurt"


def test_one_instance_of_a_mapped_task_stands_in_the_query(page: Page, house: House) -> None:
    run = house.runs["mapped"]
    page.goto(f"{house.url}/runs/{run}/t/double")
    expect(page.get_by_role("heading", name="12 instances")).to_be_visible()
    page.get_by_role("link", name="double[3]", exact=True).click()
    expect(page).to_have_url(f"{house.url}/runs/{run}/t/double?map=3")
    expect(page.get_by_role("heading", name="double[3]")).to_be_visible()
    expect(page.get_by_text(f"mapped/{run}/double/3")).to_be_visible()
