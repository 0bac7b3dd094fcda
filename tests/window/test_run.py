"""The page of a run: its graph, its timeline, why it is so, and what can be done about it."""

from __future__ import annotations

import json
import re
import time

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.window.house import DATES, House
from tests.window.showcase import HOSTILE


@pytest.fixture(scope="module")
def wide(house: House) -> str:
    """A run of 1,001 tasks that is over."""
    run = house.trigger("wide")
    house.until(f"/runs/{run}?limit=1", lambda shown: shown["state"] == "success")
    return run


def go(page: Page, house: House, path: str) -> None:
    page.goto(house.url + path)
    expect(page.get_by_text("Live", exact=True)).to_be_visible()


def node(page: Page, name: str) -> Locator:
    return page.locator("svg").get_by_role("button", name=re.compile(f"^{name}: "))


def test_the_graph_shows_each_task_with_its_state_as_sign_word_and_class(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['bad']}")
    broken = node(page, "breaks")
    expect(broken).to_have_attribute("aria-label", "breaks: failed")
    expect(broken).to_have_class(re.compile(r"\bbad\b"))
    expect(broken.locator("text.word")).to_have_text("failed")
    expect(node(page, "after")).to_have_class(re.compile(r"\bwarned\b"))
    expect(page.locator("svg path.edge")).to_have_count(1)


def test_what_failed_is_said_first_with_what_did_not_run_because_of_it(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['bad']}")
    failed = page.get_by_role("region", name="What failed")
    expect(failed).to_contain_text("One task failed")
    expect(failed).to_contain_text("because of it after did not run")
    expect(failed).to_contain_text("<img src=x onerror=document.title='hurt'>")
    assert page.title() != "hurt"
    failed.get_by_role("link", name="breaks").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+/t/breaks$"))


def test_a_task_is_chosen_by_keys_and_its_why_stands_in_the_address(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['bad']}")
    expect(node(page, "breaks")).to_be_visible()
    page.get_by_label("Only what is near").focus()
    page.keyboard.press("Tab")
    expect(node(page, "breaks")).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(node(page, "after")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"\?task=after$"))
    expect(page.get_by_text("its rule all_success cannot hold any more")).to_be_visible()
    page.reload()
    expect(node(page, "after")).to_have_attribute("aria-pressed", "true")


def test_the_graph_has_a_list_behind_it(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['good']}")
    page.get_by_text("As a list").click()
    row = page.get_by_role("table", name=re.compile("as a list")).get_by_role("row").filter(has_text="sum_up")
    expect(row).to_contain_text("success")
    expect(row).to_contain_text("load_orders")


def test_1000_tasks_start_as_closed_groups_open_and_are_kept_when_laid_out(
    page: Page, house: House, wide: str
) -> None:
    go(page, house, f"/runs/{wide}")
    expect(page.get_by_text("11 of 1,001 shown")).to_be_visible()
    part = page.locator("svg").get_by_role("button", name=re.compile("^group part3, 100: 100 success"))
    part.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("110 of 1,001 shown")).to_be_visible()
    # what is out of sight is not drawn, and comes into sight when it is chosen elsewhere
    expect(page.locator("svg .node")).to_have_count(110)
    assert 5 < page.locator("svg .node:visible").count() < 60
    hidden = page.locator("svg .node:not(.group)[style*=none]").last
    label = str(hidden.get_attribute("aria-label")).partition(":")[0]
    page.get_by_label("Find a task").fill(f"part3.{label}")
    page.locator(".gantt-row").get_by_role("button", name=f"part3.{label}").click()
    expect(node(page, label)).to_be_visible()
    page.get_by_label("Only what is near").check()
    expect(page.get_by_label("Steps")).to_be_visible()
    kept = "new Promise(done => { const asked = indexedDB.open('bide', 1); asked.onsuccess = () => { const counted = asked.result.transaction('layouts').objectStore('layouts').count(); counted.onsuccess = () => done(counted.result) } })"
    assert page.evaluate(kept) >= 2


def test_the_page_of_1000_tasks_is_there_within_2_s(page: Page, house: House, wide: str) -> None:
    page.goto(house.url + "/runs")
    started = time.perf_counter()
    page.goto(f"{house.url}/runs/{wide}")
    expect(page.locator("svg .node.group").first).to_be_visible()
    expect(page.locator(".gantt-row").first).to_be_visible()
    page.get_by_role("button", name="Fit").click()
    assert time.perf_counter() - started < 4  # 2 s is what is promised of a machine that does nothing else


def test_100_changes_of_state_are_drawn_at_once(page: Page, house: House, wide: str) -> None:
    held: list[Route] = []
    page.route("**/api/v1/events", lambda route: held.append(route))  # noqa: PLW0108 - a method of a list takes no mark
    page.goto(f"{house.url}/runs/{wide}")
    page.locator("svg").get_by_role("button", name=re.compile("^group part0, ")).press("Enter")
    expect(page.get_by_text("110 of 1,001 shown")).to_be_visible()
    expect(page.locator(".gantt-row").first).to_be_visible()
    page.evaluate(
        "() => { window.drawn = []; new MutationObserver(() => drawn.push(performance.now())).observe(document.querySelector('main'), {subtree: true, attributes: true, characterData: true, childList: true}) }"
    )
    tasks = [
        one["task"] for one in house.ask(f"/runs/{wide}/graph")["tasks"] if one["task"].startswith("part0.")
    ]
    lines = [
        "data: " + json.dumps({
            "id": str(10**9 + i), "at": "2030-01-01T00:00:00Z", "kind": "task", "number": "1", "dag": "wide", "run_id": wide,
            "task": name, "map_index": -1, "attempt": None, "asset": None, "was": "success", "now": "running", "reason": "",
        })
        for i, name in enumerate(tasks)
    ]  # fmt: skip
    held[-1].fulfill(content_type="text/event-stream", body="\n\n".join(lines) + "\n\n")
    expect(page.get_by_role("button", name="running 100")).to_be_visible()
    # few passes over the page, not one for each event (how long they take is a figure of the benchmarks)
    assert page.evaluate("() => drawn.length") <= 8
    # what is in sight has its word and colour now; what was not has them when it comes into sight
    one = page.locator("svg .node:not(.group)")
    assert 5 < one.locator("text.word:visible").filter(has_text="running").count() < 60
    page.get_by_role("button", name="Fit").click()
    expect(page.locator("svg .node.busy:visible")).to_have_count(100)
    expect(one.locator("text")).to_have_count(0)  # too far away to be read
    expect(
        page.locator("svg").get_by_role("button", name=re.compile(r"^step(_\d+)?: running$"))
    ).to_have_count(100)
    one.nth(50).hover()
    expect(one.nth(50).locator("title")).to_have_text(re.compile(r"^step(_\d+)?: running$"))
    page.get_by_text("As a list").click()
    listed = page.get_by_role("table", name=re.compile("as a list")).get_by_role("row")
    expect(listed.filter(has_text="running")).to_have_count(100)


def test_the_timeline_splits_what_tasks_did_and_is_filtered(page: Page, house: House, wide: str) -> None:
    go(page, house, f"/runs/{house.runs['bad']}")
    rows = page.locator(".gantt-row")
    expect(rows).to_have_count(2)
    bars = rows.filter(has_text="breaks").get_by_role("img")
    expect(bars).to_have_attribute("aria-label", re.compile(r"running \d+ ms, back-off \d+ ms"))
    page.get_by_role("button", name=re.compile("^upstream failed")).click()
    expect(page).to_have_url(re.compile(r"state=upstream_failed"))
    expect(rows).to_have_count(1)
    go(page, house, f"/runs/{wide}?only=path")
    expect(rows.first).to_contain_text("step")
    assert rows.count() <= 3
    go(page, house, f"/runs/{wide}?q=part7.step_1")
    expect(page.locator(".gantt-body")).to_have_attribute("aria-label", re.compile(r"\d+ rows"))
    assert rows.count() < 40  # what is not seen is not drawn


def test_the_critical_path_says_where_the_time_went(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['bad']}")
    path = page.locator("section").filter(has=page.get_by_role("heading", name="Critical path"))
    expect(path.get_by_role("link", name="breaks")).to_be_visible()
    expect(path.locator("i.bar-backoff")).to_be_visible()
    page.get_by_label("Show the critical path").check()
    expect(node(page, "breaks")).to_have_class(re.compile(r"\bmarked\b"))


def test_a_mapped_task_has_its_instances(page: Page, house: House) -> None:
    go(page, house, f"/runs/{house.runs['mapped']}?task=double")
    found = page.get_by_role("list", name="Instances of double").get_by_role("link")
    expect(found).to_have_count(12)
    found.filter(has_text="11").click()
    expect(page).to_have_url(re.compile(r"/t/double%5B11%5D$"))


def test_a_paused_dag_is_said_with_who_paused_it_and_goes_on_from_here(page: Page, house: House) -> None:
    house.ask("/dags/crowded/pause", {})
    go(page, house, f"/runs/{house.runs['held']}")
    banner = page.get_by_role("status").filter(has_text="is paused")
    expect(banner).to_contain_text("by window")
    banner.get_by_role("button", name="Unpause").click()
    expect(page.get_by_role("dialog").get_by_text("bide unpause crowded")).to_be_visible()
    page.get_by_role("dialog").get_by_role("button", name="Unpause").click()
    expect(banner).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    expect(banner).to_be_visible()
    house.ask("/dags/crowded/unpause", {})


def test_a_failed_run_is_run_again_and_its_states_move_without_reload(page: Page, house: House) -> None:
    run = house.runs["bad"]
    go(page, house, f"/runs/{run}?task=breaks")
    expect(page.locator(".facts").get_by_text("Attempts 2")).to_be_visible()
    page.get_by_role("button", name="Rerun failed").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"bide rerun {run}", exact=True)).to_be_visible()
    expect(dialog).to_contain_text("2 tasks of this run of failing did not succeed")
    dialog.get_by_role("button", name="Run again").click()
    expect(page.locator(".facts").get_by_text("Attempts 4")).to_be_visible()
    expect(node(page, "after")).to_have_attribute("aria-label", "after: upstream failed")


def test_a_task_is_marked_and_run_again_with_what_stands_below(page: Page, house: House) -> None:
    run = house.trigger("failing", DATES[1])
    house.until(f"/runs/{run}", lambda shown: shown["state"] == "failed")
    go(page, house, f"/runs/{run}?task=breaks")
    page.get_by_role("button", name="Mark", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_text(f"bide mark {run} breaks success")).to_be_visible()
    dialog.get_by_role("button", name="Mark it").click()
    expect(node(page, "breaks")).to_have_attribute("aria-label", "breaks: success")
    page.get_by_role("button", name="Rerun this task").click()
    expect(dialog.get_by_text(f"bide rerun {run} breaks --downstream")).to_be_visible()
    dialog.get_by_role("button", name="Run again").click()
    expect(node(page, "breaks")).to_have_attribute("aria-label", "breaks: failed")


def test_a_run_is_cancelled_with_what_that_means_said_before(page: Page, house: House) -> None:
    run = house.trigger("waiting", DATES[2])
    go(page, house, f"/runs/{run}")
    expect(node(page, "flag")).to_have_attribute("aria-label", "flag: deferred")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("tasks are under way and are stopped")
    dialog.get_by_role("button", name="Cancel the run").click()
    expect(node(page, "flag")).to_have_attribute("aria-label", "flag: cancelled")
    expect(page.locator(".head .state")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Rerun all")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(node(page, "flag")).to_have_attribute("aria-label", "flag: deferred")


def test_what_a_run_was_made_with_is_shown_and_given_to_another(page: Page, house: House) -> None:
    run = house.trigger("with_params", text=f"it's {HOSTILE[:20]}", often=3)
    go(page, house, f"/runs/{run}")
    panel = page.locator("section").filter(has=page.get_by_role("heading", name="Parameters"))
    expect(panel).to_contain_text(f"it's {HOSTILE[:20]}")
    expect(panel.get_by_role("button", name="Copy JSON")).to_be_visible()
    panel.get_by_role("button", name="Trigger with these").click()
    dialog = page.get_by_role("dialog", name=f"Trigger with_params as run {run}")
    expect(dialog.get_by_label("text")).to_have_value(f"it's {HOSTILE[:20]}")
    expect(dialog.get_by_label("often")).to_have_value("3")
    dialog.get_by_label("often").fill("4")
    dialog.get_by_role("button", name="Start a run").click()
    expect(page).to_have_url(re.compile(rf"/runs/(?!{run}$)\d+$"))
    expect(panel.locator("dd").last).to_have_text("4")
    expect(page.get_by_text("Undo cancels it.")).to_be_visible()
    hidden = {
        "run_id": run,
        "params": {"text": "***", "often": 5, "gone": {"list": [[1, 2], "x" * 80]}},
        "hidden": ["text"],
    }
    shown = house.ask(f"/runs/{run}?limit=1") | hidden
    page.route(f"**/api/v1/runs/{run}?*", lambda route: route.fulfill(json=shown))
    go(page, house, f"/runs/{run}")
    expect(panel).to_contain_text("a secret is not shown")
    panel.get_by_text("a list of 2").click()
    expect(panel.get_by_text("[1,2]")).to_be_hidden()
    panel.get_by_role("button", name="Trigger with these").click()
    expect(dialog).to_contain_text("Not shown, so to be given again: text. The DAG takes no more: gone.")
    expect(dialog.get_by_label("text")).to_have_value("hello")


def test_an_alert_of_the_run_is_acknowledged_where_it_is_seen(page: Page, house: House) -> None:
    alerts = house.ask(f"/alerts?run={house.runs['bad']}")
    if not alerts:
        pytest.skip("the showcase raises no alert for a run that fails")
    go(page, house, f"/runs/{house.runs['bad']}")
    shown = page.get_by_role("list", name="Alerts").get_by_role("listitem")
    expect(shown).to_have_count(len(alerts))
    shown.first.get_by_role("button", name="Acknowledge").click()
    page.get_by_role("dialog").get_by_role("button", name="Acknowledge").click()
    expect(shown).to_have_count(len(alerts) - 1)


def test_a_run_that_is_not_there_is_said(context: BrowserContext, house: House) -> None:
    page = context.new_page()
    page.goto(house.address("/runs/99999"))
    expect(page.get_by_role("alert")).to_contain_text("there is no run 99999")
