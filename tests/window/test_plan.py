"""What is planned and what people decide: approvals, the planner of backfills, as somebody at a browser does it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.window.house import House

DAGS = Path(__file__).with_name("planned.py")
HOSTILE = "<img src=x onerror=document.title='hurt'>"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("house"), DAGS)
    house.open()
    try:
        yield house
    finally:
        house.close()


def planner(page: Page, house: House, start: str, end: str, more: str = "") -> None:
    page.goto(f"{house.url}/backfills?plan=reports&from={start}&to={end}{more}")
    page.get_by_role("button", name="Plan it").click()
    expect(page.get_by_role("heading", name=re.compile("^Plan [0-9a-f]{12} of reports"))).to_be_visible()


def begin(page: Page) -> None:
    page.get_by_role("button", name="Start exactly this").click()
    page.get_by_role("dialog").get_by_role("button", name="Start exactly this").click()


def test_b55_what_is_asked_shows_by_itself_and_is_approved_by_name_with_a_reason(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/approvals")
    expect(page.get_by_text("Nobody is asked for anything")).to_be_visible()
    run = house.trigger("release")
    card = page.get_by_role("list", name="Open approvals").get_by_role("listitem")
    expect(card).to_have_count(1)
    expect(card).to_contain_text(f"Publish {HOSTILE}?")
    expect(card).to_contain_text("ann, bob")
    expect(card).to_contain_text(re.compile("Denied in 11 h"))
    expect(card.get_by_role("link", name="release.ok of run")).to_have_attribute(
        "href", re.compile(f"/runs/{run}/t/ok$")
    )
    card.get_by_role("button", name="Approve").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who decides").select_option("bob")
    dialog.get_by_label("Why").fill("the sums agree")
    expect(dialog.locator(".command code")).to_have_text(
        re.compile(r"bide approvals approve \d+ --by bob --why 'the sums agree'")
    )
    dialog.get_by_role("button", name="Approve").click()
    expect(page.get_by_text("is approved by bob")).to_be_visible()
    expect(page.get_by_text("Nobody is asked for anything")).to_be_visible()
    house.until(f"/runs/{run}", lambda found: found["state"] == "success")
    page.get_by_role("button", name="Approved").click()
    expect(page).to_have_url(re.compile(r"\?state=approved$"))
    row = page.get_by_role("table", name="Approvals").get_by_role("row").nth(1)
    expect(row).to_contain_text("bob: the sums agree")
    assert page.title() != "hurt"


def test_b55_a_rejection_keeps_who_and_why_and_what_waited_is_denied(page: Page, house: House) -> None:
    run = house.trigger("release", "2026-03-05T00:00:00+00:00")
    page.goto(f"{house.url}/approvals?run={run}")
    page.get_by_role("button", name="Reject", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Reject").click()
    assert dialog.is_visible(), "a reason is needed"
    dialog.get_by_label("Why").fill("not yet")
    dialog.get_by_role("button", name="Reject").click()
    house.until(f"/runs/{run}", lambda found: found["state"] == "failed")
    page.get_by_role("button", name="All", exact=True).click()
    expect(page.get_by_role("table", name="Approvals")).to_contain_text("ann: not yet")


def test_s0_20_b59_a_plan_is_a_dry_run_and_exactly_that_is_started(page: Page, house: House) -> None:
    page.goto(f"{house.url}/backfills")
    page.get_by_role("button", name="Plan a backfill").click()
    form = page.get_by_role("form", name="Plan a backfill")
    form.get_by_label("DAG", exact=True).select_option("reports")
    form.get_by_label("From", exact=True).fill("2026-03-01")
    form.get_by_label("To", exact=True).fill("2026-03-04")
    form.get_by_label("Runs at once", exact=True).fill("2")
    form.get_by_text("Parameters, tasks and limits").click()
    form.get_by_label("Parameter text").fill("good day")
    form.get_by_label("Weight").fill("3")
    expect(form.locator(".command code")).to_have_text(
        "bide backfill plan reports --from 2026-03-01 --to 2026-03-04 --max-active 2 --weight 3 --param 'text=good day'"
    )
    form.get_by_role("button", name="Plan it").click()
    plan = page.locator("#planned")
    expect(plan).to_contain_text("3 intervals")
    expect(plan.get_by_role("table", name="Paths that are written")).to_contain_text("reports/2026-03-03.csv")
    assert house.ask("/backfills?dag=reports") == []
    form.get_by_label("Weight").fill("5")
    expect(plan).to_contain_text("The form has changed since")
    expect(plan.get_by_role("button", name="Start exactly this")).to_be_disabled()
    plan.get_by_role("button", name="Plan it again").click()
    expect(plan.get_by_role("button", name="Start exactly this")).to_be_enabled()
    shown = plan.get_by_role("heading").first.inner_text()
    begin(page)
    expect(page).to_have_url(re.compile(r"/backfills/\d+$"))
    number = page.url.rpartition("/")[2]
    found = house.until(f"/backfills/{number}", lambda one: one["state"] == "success")
    assert found["plan_hash"][:12] in shown
    assert (found["weight"], found["max_active"], found["params"]) == (5, 2, {"text": "good day"})
    page.goto(f"{house.url}/backfills")
    row = page.get_by_role("table", name="Backfills").get_by_role("row").nth(1)
    expect(row).to_contain_text("3 of 3 intervals")
    expect(row).to_contain_text("success")


def test_s1_1f_a_plan_that_no_longer_holds_is_refused_in_words_and_nothing_starts(
    page: Page, house: House
) -> None:
    planner(page, house, "2026-04-01", "2026-04-03")
    house.trigger("reports", "2026-04-01T00:00:00+00:00")
    house.until("/runs?dag=reports&state=success", lambda runs: runs)
    before = len(house.ask("/backfills"))
    begin(page)
    expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("no longer is what this backfill")
    assert len(house.ask("/backfills")) == before
    page.get_by_role("button", name="Leave it").click()
    expect(page.locator("#planned")).to_contain_text("nothing was started")
    page.get_by_role("button", name="Plan it again").click()
    expect(page.locator("#planned")).to_contain_text("kept as it is")
    expect(page.get_by_role("button", name="Start exactly this")).to_be_enabled()


def test_s1_1f_what_would_be_written_over_is_shown_before(page: Page, house: House) -> None:
    run = house.trigger("reports", "2026-05-01T00:00:00+00:00")
    house.until(f"/runs/{run}", lambda one: one["state"] == "success")
    planner(page, house, "2026-05-01", "2026-05-03", "&overwrite=overwrite")
    row = page.get_by_role("table", name="Paths that are written").get_by_role("row", name="2026-05-01.csv")
    expect(row.get_by_role("link", name=f"run {run}")).to_be_visible()
    page.get_by_role("button", name="Start exactly this").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 interval that succeeded is run once more")
    expect(dialog.locator(".command code")).to_contain_text("--overwrite overwrite --hash")
    dialog.get_by_role("button", name="Leave it").click()
    page.get_by_role("button", name="Refuse to start").click()
    page.get_by_role("button", name="Plan it", exact=True).click()
    expect(page.locator("#planned").get_by_role("alert")).to_contain_text("1 interval has a run")
    expect(page.get_by_role("button", name="Start exactly this")).to_be_disabled()


def start(house: House, first: str, end: str, **more: object) -> str:
    """A backfill, over HTTP; its number."""
    return str(house.ask("/backfills", {"dag": "reports", "from": first, "to": end, **more})["backfill_id"])


def test_s0_36_every_interval_is_a_cell_that_moves_as_its_run_does(page: Page, house: House) -> None:
    (house.world / "hold").touch()
    (house.world / "bad").write_text("2026-06-03")
    number = start(house, "2026-06-01", "2026-06-11", max_active=4)
    page.goto(f"{house.url}/backfills/{number}")
    legend = page.get_by_role("group", name="Intervals by state")
    expect(legend.get_by_role("button", name=re.compile("running ?4"))).to_be_visible()
    expect(legend.get_by_role("button", name=re.compile("pending ?6"))).to_be_visible()
    heat = page.get_by_role("application", name="Intervals of the backfill")
    heat.focus()
    page.keyboard.press("End")
    said = page.get_by_role("status").filter(has_text="no run yet")
    expect(said).to_contain_text("pending")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    chosen = page.get_by_role("status").filter(has_text="2026-06-03")
    expect(chosen).to_contain_text("running")
    (house.world / "hold").unlink()
    expect(chosen).to_contain_text("failed")
    expect(page.get_by_text("9 of 10 intervals")).to_have_count(0)
    expect(page.get_by_role("heading", name="10 of 10 intervals")).to_be_visible()
    expect(page.get_by_role("progressbar", name="Intervals that have ended")).to_have_attribute(
        "aria-valuenow", "100"
    )
    legend.get_by_role("button", name=re.compile("failed ?1")).click()
    expect(page).to_have_url(re.compile(r"\?state=failed$"))
    expect(page.get_by_role("table", name="Intervals").get_by_role("row")).to_have_count(2)
    (house.world / "bad").unlink()
    page.get_by_role("button", name="Rerun failed").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("1 interval that failed or were cancelled")
    expect(dialog.locator(".command code")).to_have_text(f"bide backfill resume {number} --failed")
    dialog.get_by_role("button", name="Rerun failed").click()
    expect(page.locator(".head .state")).to_have_text("success")
    heat.focus()
    page.keyboard.press("Home")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))


def test_s0_21_a_backfill_is_paused_taken_back_and_cancelled_where_it_is_looked_at(
    page: Page, house: House
) -> None:
    (house.world / "hold").touch()
    number = start(house, "2026-07-01", "2026-07-11", max_active=2)
    page.goto(f"{house.url}/backfills/{number}")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).click()
    expect(page.locator(".backfill-paused")).to_contain_text("paused by hand")
    page.get_by_role("button", name="Undo").click()
    expect(page.locator(".head .state")).to_have_text("running")
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("wrong month")
    dialog.get_by_role("button", name="Cancel the backfill").click()
    expect(page.locator(".head .state")).to_have_text("cancelled")
    expect(page.get_by_text("it was cancelled: wrong month")).to_be_visible()
    expect(page.get_by_role("button", name="Rerun failed")).to_have_count(0)
    (house.world / "hold").unlink()
    page.goto(f"{house.url}/backfills/99999")
    expect(page.get_by_role("alert")).to_contain_text("there is no backfill 99999")


def test_b55_what_leaves_is_let_out_on_evidence_and_stands_in_the_ledger(page: Page, house: House) -> None:
    page.goto(f"{house.url}/effects")
    expect(page.get_by_text("Nothing has left yet")).to_be_visible()
    run = house.trigger("exporting")
    page.goto(f"{house.url}/approvals?run={run}")
    page.get_by_text("What is known").click()
    expect(page.get_by_role("heading", name="make")).to_be_visible()
    expect(
        page.get_by_role("table", name=re.compile("^Versions of approval")).get_by_role("link", name="gold")
    ).to_be_visible()
    page.get_by_role("button", name="Approve", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Who decides").fill("cleo")
    dialog.get_by_label("Why").fill("agreed with the partner")
    dialog.get_by_role("button", name="Approve").click()
    house.until(f"/runs/{run}", lambda found: found["state"] == "success")
    page.get_by_role("navigation", name="Screens").get_by_role("link", name="Effects").click()
    row = page.get_by_role("table", name="Deliveries").get_by_role("row").nth(1)
    expect(row).to_contain_text("delivered")
    expect(row).to_contain_text("partner-a")
    row.get_by_role("button").first.click()
    expect(page).to_have_url(re.compile(r"delivery=\d+$"))
    shown = page.locator("#delivery")
    expect(shown.get_by_label("Receipt")).to_contain_text("acknowledged")
    expect(shown.get_by_role("table", name="Made of")).to_contain_text("gold")
    expect(shown.get_by_role("table", name="Let out by")).to_contain_text("cleo: agreed with the partner")
    page.get_by_role("button", name="Failed").click()
    expect(page.get_by_text("No delivery is failed")).to_be_visible()
