"""The first page: what needs a person is first, as it happens, and what can be done about it is done there."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, Route, expect

from tests.window.conftest import home
from tests.window.house import DATES, House


@pytest.fixture
def page(page: Page, house: House) -> Page:
    """At home."""
    home(page, house)
    return page


def test_what_needs_a_person_is_first_and_says_what_and_since_when(page: Page, house: House) -> None:
    needs = page.get_by_role("region", name="Needs a person")
    failed = needs.get_by_role("listitem").filter(has_text="failing run 4")
    expect(failed).to_contain_text("breaks failed: ValueError: no such column: price <img src=x")
    expect(failed).to_contain_text(re.compile("s ago"))
    approval = needs.get_by_role("listitem").filter(has_text="publishing.release of run")
    expect(approval).to_contain_text("Publish the figures?")
    expect(approval.get_by_role("link", name="Decide")).to_have_attribute(
        "href", re.compile("/approvals.approval=1")
    )
    expect(page.get_by_role("heading", level=1)).to_have_text("2 things need a person")
    assert failed.bounding_box()["y"] < approval.bounding_box()["y"]  # type: ignore[index]


def test_what_runs_and_what_comes_stand_below(page: Page, house: House) -> None:
    expect(page.get_by_role("link", name="crowded 5")).to_have_attribute("href", "/runs/5")
    expect(page.get_by_text("0 of 5")).to_be_visible()
    expect(page.get_by_text("at 04:00 every day, Europe/Berlin")).to_be_visible()
    expect(page.get_by_role("img", name="8 runs in the last 24 hours, 1 of them failed")).to_be_visible()
    expect(page.locator(".day .side")).to_contain_text(re.compile("^8 runs, 1 of them failed"))
    expect(page.get_by_role("link", name="Slots in use 3 of 64")).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Loop lag [0-9.]+ ms"))).to_be_visible()
    expect(page.get_by_role("link", name=re.compile("Database .*[kM]B"))).to_be_visible()


def test_a_new_failure_is_there_without_a_reload_and_leaves_when_it_is_acknowledged(
    page: Page, house: House
) -> None:
    needs = page.get_by_role("region", name="Needs a person")
    line = needs.get_by_role("listitem").filter(has_text="failing run")
    expect(line).not_to_contain_text("× 2")
    run = house.trigger("failing", DATES[1])
    expect(line).to_contain_text(f"failing run {run}")
    expect(line).to_contain_text("× 2")
    line.get_by_role("button", name="Acknowledge").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("bide alerts ack")
    dialog.get_by_role("button", name="Acknowledge").click()
    expect(page.get_by_text("2 alerts are acknowledged.")).to_be_visible()
    expect(line).to_have_count(0)
    expect(page.get_by_role("heading", level=1)).to_have_text("1 thing needs a person")


def test_a_paused_dag_says_by_whom_and_goes_on_and_that_is_taken_back(page: Page, house: House) -> None:
    house.ask("/dags/mapped/pause", {})
    line = page.get_by_role("region", name="Needs a person").get_by_role("listitem").filter(has_text="mapped")
    expect(line).to_contain_text("by window")
    line.get_by_role("button", name="Unpause").click()
    page.get_by_role("dialog").get_by_role("button", name="Unpause").click()
    expect(line).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(line).to_have_count(1)
    house.ask("/dags/mapped/unpause", {})
    expect(line).to_have_count(0)


def test_of_more_runs_than_are_counted_it_says_so(page: Page) -> None:
    def fewer(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "hours_whole": False})

    page.route("**/api/v1/home", fewer)
    page.reload()
    expect(page.locator(".day .side")).to_contain_text(re.compile("^the newest [0-9]+ runs, "))
    expect(
        page.get_by_role("img", name=re.compile("^the newest [0-9]+ runs in the last 24 hours"))
    ).to_be_visible()
    page.unroute_all(behavior="wait")


def test_a_failed_run_is_rerun_from_there_by_a_browser_that_trusts_no_plain_http(
    page: Page, house: House
) -> None:
    """Over plain http from another host there is no clipboard, and no `randomUUID`."""
    page.evaluate("delete Crypto.prototype.randomUUID; delete Navigator.prototype.clipboard")
    assert page.evaluate("[crypto.randomUUID, navigator.clipboard]") == [None, None]
    run = house.trigger("failing", DATES[2])
    line = (
        page.get_by_role("region", name="Needs a person")
        .get_by_role("listitem")
        .filter(has_text=f"failing run {run}")
    )
    line.get_by_role("button", name="Rerun").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(f"bide rerun {run}")
    dialog.get_by_role("button", name="Copy").click()
    expect(dialog.get_by_label("Press Ctrl-C to copy this")).to_be_focused()
    assert page.evaluate("getSelection().toString()").startswith(f"bide rerun {run}")
    page.keyboard.press("Control+c")
    expect(dialog.get_by_role("button", name="Copy")).to_be_focused()
    dialog.get_by_role("button", name="Rerun").click()
    expect(page.get_by_text(f"Run {run} goes on.")).to_be_visible()
    house.until(f"/runs/{run}", lambda seen: seen["tasks"][0]["attempts"] == 4)
