"""`/runs/:run/t/:task`: why it is in its state, its attempts with their logs, what it was given, what can be done to it."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.window.conftest import home
from tests.window.house import House
from tests.window.showcase import HOSTILE


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The showcase where the pool `narrow` has one slot."""
    house = House(tmp_path_factory.mktemp("house"))
    (house.folder / "bide.toml").write_text("[pools]\nnarrow = 1\n")
    house.open()
    try:
        house.runs = house.furnish()
        yield house
    finally:
        house.close()


def test_c77_a_task_that_waits_for_a_slot_says_how_many_are_taken_and_leads_to_who_holds_them(
    page: Page, house: House
) -> None:
    run = house.runs["held"]
    tasks = house.until(f"/runs/{run}", lambda run: any(t["state"] == "ready" for t in run["tasks"]))["tasks"]
    waits = next(t["task"] for t in tasks if t["state"] == "ready")
    holder = next(t["task"] for t in tasks if t["state"] == "running")
    page.goto(f"{house.url}/runs/{run}/t/{waits}")
    why = page.get_by_role("region", name="Why it is in this state")
    expect(why).to_contain_text("Wants a place in pool narrow, and 1 of 1 are taken")
    expect(why).to_contain_text("It starts when one is given back")
    why.get_by_role("link", name=f"{holder} of run {run}").click()
    expect(page.get_by_role("heading", name=holder, exact=True)).to_be_visible()
    expect(why).to_contain_text("Attempt 1 holds a slot")


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
    page.get_by_role("link", name="success double[3]").click()
    expect(page).to_have_url(f"{house.url}/runs/{run}/t/double?map=3")
    expect(page.get_by_role("heading", name="double[3]")).to_be_visible()
    expect(page.get_by_text(f"mapped/{run}/double/3")).to_be_visible()


def test_the_log_grows_while_its_task_runs_is_searched_and_taken_away(page: Page, house: House) -> None:
    page.goto(f"{house.url}/runs/{house.runs['held']}/t/holds")
    log = page.get_by_role("log")
    expect(log).to_contain_text("holding")
    expect(page.get_by_text("Goes on")).to_be_visible()
    page.goto(f"{house.url}/runs/{house.runs['bad']}/t/breaks")
    search = page.get_by_label("Search the log")
    search.fill("COLUMN")
    expect(page.get_by_text("1 of 3 lines")).to_be_visible()
    expect(log.locator("mark").first).to_have_text("column")
    search.press("Enter")
    expect(page.get_by_text("2 of 3 lines")).to_be_visible()
    page.get_by_label("Only these").check()
    expect(log.locator(".line")).to_have_count(3)
    with page.expect_download() as taken:
        page.get_by_role("button", name="Download").click()
    assert "about to break" in taken.value.path().read_text()


def test_a_task_is_run_again_and_its_new_attempt_is_there_without_a_reload(page: Page, house: House) -> None:
    run = house.runs["good"]
    page.goto(f"{house.url}/runs/{run}/t/sum_up")
    expect(page.get_by_text("360", exact=True)).to_be_visible()
    page.get_by_role("button", name="Run again", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"bide rerun {run} sum_up", exact=True)).to_be_visible()
    dialog.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("group", name="Attempts").get_by_role("button")).to_have_count(2)
    expect(page.get_by_role("log")).to_have_accessible_name("Log of attempt 2")


def test_a_mark_is_made_and_taken_back(page: Page, house: House) -> None:
    run = house.runs["good"]
    page.goto(f"{house.url}/runs/{run}/t/sum_up")
    why = page.get_by_role("region", name="Why it is in this state")
    page.get_by_role("button", name="Mark", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("It becomes").select_option("skipped")
    expect(dialog.get_by_text(f"bide mark {run} sum_up skipped")).to_be_visible()
    dialog.get_by_role("button", name="Mark", exact=True).click()
    expect(why.get_by_text("skipped", exact=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(why.get_by_text("success", exact=True)).to_be_visible()


def test_tasks_of_all_dags_are_found_by_filters_of_the_address_and_marked_at_once_after_a_count(
    page: Page, house: House
) -> None:
    home(page, house)
    page.get_by_role("link", name="Tasks", exact=True).click()
    table = page.get_by_role("table", name="Tasks")
    expect(table.get_by_role("link", name="release")).to_be_visible()
    waits = table.get_by_role("row").filter(has=page.get_by_role("link", name="next_year"))
    waits.get_by_role("button", name=re.compile("^Why")).click()
    expect(waits).to_contain_text("waits for time 2027-01-01")
    page.get_by_role("button", name="Failed", exact=True).click()
    expect(page).to_have_url(re.compile(r"/tasks\?state=failed$"))
    expect(table.get_by_role("link", name="breaks")).to_have_count(1)
    expect(page.get_by_role("button", name="Mark all")).to_be_disabled()
    page.get_by_label("DAG", exact=True).first.fill("fail*")
    page.get_by_label("Task", exact=True).fill("breaks")
    page.get_by_label("Task", exact=True).press("Enter")
    expect(page).to_have_url(re.compile(r"dag=fail\*&task=breaks$|dag=fail%2A&task=breaks$"))
    page.get_by_label("Mark as").select_option("skipped")
    page.get_by_role("button", name="Mark all").click()
    dialog = page.get_by_role("dialog", name="Mark breaks skipped in 1 run")
    expect(dialog.get_by_role("link", name=f"run {house.runs['bad']}")).to_be_visible()
    expect(dialog.get_by_text("--expect 1")).to_be_visible()
    dialog.get_by_role("button", name="Mark in 1 run").click()
    expect(page.get_by_text("1 of 1 runs done.")).to_be_visible()
    expect(page.get_by_text("No task matches")).to_be_visible()
