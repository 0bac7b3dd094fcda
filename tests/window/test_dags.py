"""The screens of DAGs: the list, the run grid, the form of parameters."""

from __future__ import annotations

import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.window.house import SHOWCASE, House

FIGURE_MS = 200
"""What drawing a grid of 200 tasks by 50 runs may cost."""


INVOICES = """from bide import dag, task


@task(retries=3)
def total() -> float:
    # <img src=x onerror=document.title='hurt'>
    return 0.19


@dag
def invoices() -> None:
    total()
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The showcase, and beside it a file that can be changed."""
    folder = tmp_path_factory.mktemp("house")
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(SHOWCASE, dags)
    (dags / "invoices.py").write_text(INVOICES)
    house = House(folder, dags)
    house.open()
    try:
        house.runs = house.furnish()
        yield house
    finally:
        house.close()


def big_grid(tasks: int, runs: int) -> dict[str, Any]:
    words = ["success", "failed", "running", "skipped", "pending"]
    return {
        "dag": "daily_orders",
        "tasks": [
            {"task": f"g{n // 20}.t{n}", "group": f"g{n // 20}", "does": "task", "gone": False}
            for n in range(tasks)
        ],
        "words": words,
        "runs": [
            {
                "run_id": str(1000 - r), "state": "success", "kind": "scheduled", "version": "1",
                "logical_date": f"2026-03-{1 + r % 28:02}T00:00:00Z", "created_at": "2026-03-01T00:00:00Z",
                "started_at": "2026-03-01T00:00:00Z", "ended_at": f"2026-03-01T00:{r % 60:02}:00Z",
                "states": [(n + r) % len(words) for n in range(tasks)], "attempts": [1 + (n == r)] * tasks,
            }
            for r, n in ((r, r % tasks) for r in range(runs))
        ],
    }  # fmt: skip


def test_the_list_shows_every_dag_and_finds_by_text_tag_and_owner(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags")
    table = page.get_by_role("table", name="DAGs")
    row = table.get_by_role("row").filter(has=page.get_by_role("link", name="daily_orders"))
    expect(row).to_contain_text("Orders of a day, and what they bring.")
    expect(row).to_contain_text("at 04:00 every day, Europe/Berlin")
    expect(row.get_by_role("link", name=re.compile("^Run "))).to_have_count(3)
    page.get_by_role("searchbox", name="Find a DAG").fill("BROKE")
    expect(table.locator("tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=BROKE"))
    page.get_by_role("searchbox", name="Find a DAG").fill("")
    table.get_by_role("button", name="sales").click()
    expect(table.locator("tbody tr")).to_have_count(1)
    page.get_by_role("button", name="Owner: sales (take out)").click()
    page.get_by_role("button", name="Failing", exact=True).click()
    expect(table.get_by_role("link", name="failing", exact=True)).to_be_visible()
    expect(table.get_by_role("link", name="daily_orders")).to_have_count(0)

    page.get_by_role("button", name="Keep this filter").click()  # under a name, in this browser
    page.get_by_label("Name of this filter").fill("in <b>trouble</b>")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="All", exact=True).click()
    expect(table.get_by_role("link", name="daily_orders")).to_be_visible()
    kept = page.get_by_role("group", name="Kept filters")
    kept.get_by_role("link", name="in <b>trouble</b>").click()
    expect(page).to_have_url(re.compile(r"/dags\?is=failing$"))
    expect(table.get_by_role("link", name="daily_orders")).to_have_count(0)
    kept.get_by_role("button", name="Forget in <b>trouble</b>").click()
    expect(kept.get_by_role("link")).to_have_count(0)


def test_a_dag_is_paused_with_a_preview_and_taken_back(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags?q=mapped")
    page.get_by_role("button", name="Pause mapped").click()
    expect(page.get_by_role("dialog")).to_contain_text("bide pause mapped")
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.get_by_role("button", name="Unpause mapped")).to_be_visible()
    assert house.ask("/dags/mapped")["paused"]
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Pause mapped", exact=True)).to_be_visible()
    assert not house.ask("/dags/mapped")["paused"]


def test_the_grid_is_walked_by_keys_and_leads_to_the_task(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/failing")
    grid = page.get_by_role("grid", name="Tasks by runs")
    grid.focus()
    says = page.get_by_test_id("cell")
    expect(says).to_contain_text("breaks")
    expect(says).to_contain_text("failed")
    expect(says).to_contain_text("started 2 times")
    page.keyboard.press("ArrowDown")
    expect(says).to_contain_text("after")
    expect(says).to_contain_text("upstream failed")
    at = page.locator("#cell-at")
    expect(at).to_have_text(f"after, run {house.runs['bad']}: upstream failed")
    expect(at).to_have_attribute("role", "gridcell")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{house.url}/runs/{house.runs['bad']}/t/after")


def test_above_the_tasks_stand_the_runs(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/daily_orders")
    page.get_by_role("grid").focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    says = page.get_by_test_id("cell")
    expect(says).to_contain_text(re.compile(r"Run \d+"))
    expect(says).to_contain_text("took")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    assert page.url != f"{house.url}/runs/{house.runs['good']}"


def test_the_grid_can_be_a_table(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/daily_orders")
    page.get_by_role("button", name="Table", exact=True).click()
    expect(page).to_have_url(re.compile("as=table"))
    table = page.get_by_role("table", name="Tasks by runs")
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table.get_by_role("link", name="success")).to_have_count(6)


def test_the_grid_is_live(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/daily_orders")
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-colcount", "4")
    house.trigger("daily_orders", "2026-03-09T00:00:00+00:00")
    expect(grid).to_have_attribute("aria-colcount", "5")


def test_groups_of_the_grid_open_and_close_and_the_address_keeps_it(page: Page, house: House) -> None:
    def answer(route: Route) -> None:
        route.fulfill(body=json.dumps(big_grid(200, 50)), content_type="application/json")

    page.route("**/api/v1/dags/daily_orders/grid?*", answer)
    page.goto(f"{house.url}/dags/daily_orders")
    grid = page.get_by_role("grid")
    expect(grid).to_have_attribute("aria-rowcount", str(200 + 10 + 1))
    drawn = page.evaluate("performance.getEntriesByName('bide-grid').map(each => each.duration)")
    assert 0 < max(drawn) <= FIGURE_MS, drawn
    canvas, box = page.locator(".taskgrid canvas"), grid.bounding_box()
    assert box is not None
    assert box["height"] > 500  # of a viewport of 900
    for edge in (0, 100_000):  # it stays where it is, and what it shows moves
        grid.evaluate("(box, to) => box.scrollTo(to, to)", edge)
        drawn_at = canvas.bounding_box()
        assert drawn_at is not None
        assert max(abs(drawn_at[side] - box[side]) for side in ("x", "y")) < 2  # its border
    page.get_by_role("button", name="Close all groups").click()
    expect(grid).to_have_attribute("aria-rowcount", "11")
    grid.focus()
    expect(page.get_by_test_id("cell")).to_contain_text("the gravest of 20 tasks")
    page.keyboard.press("Enter")
    expect(grid).to_have_attribute("aria-rowcount", "31")
    page.reload()
    expect(grid).to_have_attribute("aria-rowcount", "31")


def test_a_form_of_the_parameters_starts_a_run(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/with_params")
    page.get_by_role("button", name="Trigger").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_label("text")).to_have_value("hello")
    expect(dialog).to_contain_text("What is said; 40 characters or fewer")
    expect(dialog).to_contain_text("1 to 9")
    dialog.get_by_label("often").fill("9")
    expect(dialog).to_contain_text("bide trigger with_params --param often=9")
    dialog.get_by_role("button", name="Start a run").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    run = page.url.rpartition("/")[2]
    assert house.ask(f"/runs/{run}")["dag"] == "with_params"


def test_a_parameter_that_cannot_be_is_refused_in_words(context: BrowserContext, house: House) -> None:
    page = context.new_page()  # a refusal stands in the browser's console, which `page` takes for an error
    page.goto(house.address())
    page.get_by_text("Live", exact=True).wait_for()
    page.goto(f"{house.url}/dags/with_params")
    page.get_by_role("button", name="Trigger").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("often").fill("12")
    dialog.get_by_role("button", name="Start a run").click()
    expect(dialog.get_by_role("alert")).to_contain_text("'often'")
    expect(dialog.get_by_role("alert")).to_contain_text("must be 9 or less")


def test_the_calendar_shows_what_is_due_and_a_day_its_firings(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/daily_orders?view=calendar&month=2026-03")
    month = page.get_by_role("table", name="March 2026")
    day = month.get_by_role("button", name=re.compile("^2026-03-02"))
    expect(day).to_have_accessible_name("2026-03-02: 1 missed, 1 manual; runs: 1 success")
    day.click()
    expect(page).to_have_url(re.compile("day=2026-03-02"))
    firings = page.get_by_role("table", name="Firings of 2026-03-02")
    expect(firings.locator("tbody tr")).to_have_count(2)
    expect(firings).to_contain_text("success")
    expect(firings).to_contain_text('missed, and catchup is "none"')
    page.get_by_role("button", name="Now", exact=True).click()
    page.get_by_role("button", name="Later", exact=True).click()
    expect(page.get_by_role("button", name=re.compile(r"^\d{4}-\d\d-\d\d: 1 due$")).first).to_be_visible()
    expect(page.get_by_role("group", name="What became of the firings shown")).to_contain_text("due")


def test_versions_are_told_apart_field_by_field(page: Page, house: House) -> None:
    def version(number: int, **changed: Any) -> dict[str, Any]:
        graph = {"name": "daily_orders", "tasks": [{"name": "sum_up", "lane": "async", **changed}]}
        return {"version": str(number), "hash": f"{number}" * 12, "created_at": "2026-03-01T00:00:00Z", "current": number == 2, "graph": graph}  # fmt: skip

    both = [version(2, retries=3), version(1, retries=1, owner="<b>x</b>")]
    lines = [{**each, "tasks": 1} for each in both]
    page.route("**/daily_orders/versions?*", lambda route: route.fulfill(json=lines))
    by = {each["version"]: each for each in both}
    page.route(
        "**/daily_orders/versions/*",
        lambda route: route.fulfill(json=by[route.request.url.rpartition("/")[2]]),
    )
    page.goto(f"{house.url}/dags/daily_orders?view=versions")
    expect(page.get_by_text("- retries: 1")).to_be_visible()
    expect(page.get_by_text("+ retries: 3")).to_be_visible()
    expect(page.get_by_text("- owner: <b>x</b>")).to_be_visible()
    page.get_by_label("To version").select_option("1")
    expect(page).to_have_url(re.compile("now=1"))
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()


def test_the_graph_the_tasks_the_docs_and_the_backfills_of_a_dag(page: Page, house: House) -> None:
    page.goto(f"{house.url}/dags/daily_orders?view=versions")
    expect(page.get_by_text("It was never otherwise")).to_be_visible()
    expect(page.get_by_text("Why no run now")).to_be_visible()
    expect(page.get_by_text("its next firing is at")).to_be_visible()
    expect(page.get_by_label("The graph of this version")).to_contain_text("task sum_up")
    views = page.get_by_role("group", name="View")
    views.get_by_role("button", name="Tasks").click()
    of_all = page.get_by_role("table", name="Tasks").get_by_role("link", name="load_orders", exact=True)
    expect(of_all).to_have_attribute("href", "/tasks?dag=daily_orders&task=load_orders")
    views.get_by_role("button", name="Docs").click()
    expect(page.locator(".prose")).to_have_text("Orders of a day, and what they bring.")
    views.get_by_role("button", name="Backfills").click()
    expect(page.get_by_text("bide backfill daily_orders")).to_be_visible()
    views.get_by_role("button", name="Graph").click()
    expect(page.get_by_text("as of run")).to_be_visible()
    expect(page.get_by_text("2 of 2 shown")).to_be_visible()


def loaded_with(house: House, text: str) -> None:
    """Have the service read its files anew, one of them changed."""
    count = len(house.ask("/dags/invoices/code"))
    Path(house.dags, "invoices.py").write_text(text)
    assert house.process is not None
    house.process.send_signal(signal.SIGHUP)
    house.until("/dags/invoices/code", lambda found: len(found) > count)


def test_b54_c38_the_code_that_a_run_ran_with_and_what_has_changed_since(page: Page, house: House) -> None:
    run = house.trigger("invoices")
    house.until(f"/runs/{run}", lambda shown: shown["state"] == "success")
    page.goto(f"{house.url}/dags/invoices?view=code")
    text = page.get_by_role("region", name=re.compile("^Code .* of invoices$"))
    expect(text).to_contain_text("# <img src=x onerror=document.title='hurt'>")
    expect(text.locator(".keyword").first).to_have_text("from")
    expect(page.get_by_text("It was never otherwise")).to_be_visible()
    loaded_with(house, INVOICES.replace("0.19", "0.21"))  # it comes without being asked for
    expect(text).to_contain_text("return 0.21")
    changed = page.get_by_role("region", name=re.compile("^From code .* of invoices$"))
    expect(changed.locator(".was")).to_have_text(re.compile(r"7-went: +return 0\.19"))
    expect(changed.locator(".now")).to_have_text(re.compile(r"7\+came: +return 0\.21"))
    expect(page.get_by_text("The graph is the same in both: version")).to_be_visible()
    loaded_with(house, INVOICES.replace("0.19", "0.21").replace("retries=3", "retries=5"))
    expect(page.get_by_text("- retries: 3")).to_be_visible()
    page.get_by_label("Since code").select_option(index=1)
    expect(page.get_by_role("status").filter(has_text="2 lines came, 2 went.")).to_be_visible()
    page.get_by_role("button", name="Side by side").click()
    expect(page).to_have_url(re.compile("as=side"))
    expect(changed.locator(".pair").filter(has=page.locator(".was"))).to_have_count(2)
    page.goto(f"{house.url}/runs/{run}")
    page.locator(".fact").filter(has_text="Code").get_by_role("link").click()
    expect(text).to_contain_text("return 0.19")
    expect(page.get_by_text("what begins now runs with a newer one")).to_be_visible()
    page.goto(f"{house.url}/runs/{run}/t/total")
    began = page.locator(".fact").filter(has_text="Code")
    began.get_by_role("link", name="what runs now is other code").click()
    expect(changed.locator(".was").filter(has_text="return 0.19")).to_be_visible()
    page.go_back()
    began.get_by_role("link").first.click()
    expect(text).to_contain_text("return 0.19")
    page.get_by_role("group", name="View").get_by_role("button", name="Versions").click()
    expect(page.get_by_role("heading", name="The code of the two")).to_be_visible()
    expect(changed.locator(".now")).to_contain_text("retries=5")
    assert page.title() != "hurt"
    page.set_viewport_size({"width": 360, "height": 740})
    for view in ("code", "versions"):
        page.goto(f"{house.url}/dags/invoices?view={view}")
        expect(changed.locator(".now")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
