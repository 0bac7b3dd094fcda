"""The screens of assets on a real service: how they stand, which version counts, whether it may be used."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.window import case
from tests.window.house import House

GOLD = "/assets/gold.case_sla_daily"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The enforcement case, three days of it: the first was too late to be fresh."""
    house = House(tmp_path_factory.mktemp("case"), Path(case.__file__))
    house.open()
    try:
        case.lived(house)
        yield house
    finally:
        house.close()


def test_what_is_not_healthy_comes_first_and_says_so_without_colour(page: Page, house: House) -> None:
    page.goto(f"{house.url}/assets")
    table = page.get_by_role("table", name="Assets")
    expect(table.get_by_role("row")).to_have_count(8)
    first = table.get_by_role("row").nth(1)
    expect(first).to_contain_text("gold.case_sla_daily")
    expect(first.get_by_role("img")).to_have_attribute(
        "aria-label", "the last 3 intervals: 2 published, 1 degraded"
    )
    page.get_by_role("button", name=re.compile("Something wrong")).click()
    expect(page).to_have_url(re.compile(r"\?state=trouble$"))
    expect(table.get_by_role("row")).to_have_count(3)
    page.get_by_label("Name, owner").fill("reporting")
    expect(table.get_by_role("row")).to_have_count(2)
    table.get_by_role("link", name="regulatory_dashboard").click()
    expect(page.get_by_role("heading", name="regulatory_dashboard")).to_be_visible()


def test_the_strip_has_a_cell_an_interval_and_what_has_no_version_between(page: Page, house: House) -> None:
    page.goto(house.url + GOLD)
    strip = page.get_by_role("group", name="Intervals of gold.case_sla_daily")
    expect(strip.get_by_role("button")).to_have_count(3)
    expect(strip.get_by_title(re.compile("no version for"))).to_have_count(1)
    strip.get_by_role("button", name=re.compile("degraded")).click()
    expect(page).to_have_url(re.compile(r"\?version=\d+$"))
    version = page.locator("#version")
    expect(version).to_contain_text("Known limitations")
    expect(version).to_contain_text("silver.case_event")
    expect(version.get_by_role("row", name=re.compile("one_threshold"))).to_be_visible()


def test_whether_it_may_be_used_is_asked_from_the_page_and_kept(page: Page, house: House) -> None:
    page.goto(house.url + GOLD)
    page.get_by_label("For what").fill("external_regulator_export")
    page.get_by_label("Who asks").fill("case handler")
    page.get_by_role("button", name="Ask", exact=True).click()
    answer = page.locator(".answer").filter(has_text="kept as decision")
    expect(answer).to_contain_text("Yes")
    page.get_by_role("button", name=re.compile("degraded")).click()
    page.get_by_role("button", name="Ask", exact=True).click()
    expect(answer).to_contain_text("a version without limitations")
    kept = house.ask("/asset-decisions?asset=gold.case_sla_daily&limit=2")
    assert {(one["phase"], one["consumer"], one["by"]) for one in kept} == {
        ("use", "external_regulator_export", "case handler")
    }


def test_a_version_is_accepted_with_limitations_and_looks_healthy_no_more(page: Page, house: House) -> None:
    page.goto(f"{house.url}/assets/bronze.case_changelog")
    strip = page.get_by_role("group", name="Intervals of bronze.case_changelog")
    expect(strip.get_by_role("button", name=re.compile("published"))).to_have_count(3)
    page.get_by_role("button", name="Accept with limitations").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("What is known to be wrong with it").fill("two cases came late")
    dialog.get_by_label("Who").fill("ana")
    dialog.get_by_label("Why").fill("the report cannot wait")
    expect(dialog.locator(".command")).to_contain_text(
        re.compile(r"bide assets degrade \d+ --limitation 'two cases came late'")
    )
    dialog.get_by_role("button", name="Degrade").click()
    expect(page.get_by_role("status").filter(has_text="is degraded")).to_be_visible()
    trouble = page.locator(".trouble")  # it says all of it before anything else
    expect(trouble.get_by_role("listitem")).to_have_text("two cases came late")
    expect(trouble).to_contain_text(re.compile("the report cannot wait; accepted by ana, until 20"))
    expect(trouble).to_have_class(re.compile("warned"))
    expect(strip.get_by_role("button", name=re.compile("degraded"))).to_have_count(1)
    expect(page.locator(".trouble")).to_contain_text("limitations that somebody accepted")
    expect(page.locator("#version")).to_contain_text("two cases came late")
    expect(page.locator(".facts").first).to_contain_text(re.compile("owner"))
    page.goto(f"{house.url}/assets")
    row = page.get_by_role("table", name="Assets").get_by_role(
        "row", name=re.compile("bronze.case_changelog")
    )
    expect(row).to_contain_text("two cases came late")


def test_the_graph_shows_the_worst_of_the_last_intervals_and_the_kinds_of_edges(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/assets?view=graph")
    edges = page.get_by_role("table", name="Edges")
    expect(edges.get_by_role("row", name=re.compile("reference.policy_threshold"))).to_contain_text(
        "reference data"
    )
    expect(page.get_by_role("list", name="Kinds of edges")).to_contain_text("publication")
    page.get_by_text("As a list").click()
    listed = page.locator(".graph-list")
    expect(listed.get_by_role("row", name=re.compile("^gold.case_sla_daily"))).to_contain_text("degraded")


def test_lineage_leads_from_version_to_version(page: Page, house: House) -> None:
    page.goto(house.url + GOLD)
    lineage = page.get_by_role("table", name="Versions of the lineage")
    expect(lineage.get_by_role("row")).to_have_count(8)
    expect(lineage.get_by_role("row", name=re.compile("reference.policy"))).to_contain_text("made of it")
    lineage.get_by_role("link", name=re.compile("silver.case_event")).click()
    expect(page.get_by_role("heading", name="silver.case_event")).to_be_visible()


def test_contracts_show_what_was_last_decided_by_them(page: Page, house: House) -> None:
    page.goto(f"{house.url}{GOLD}?tab=contracts")
    panel = page.locator(".panel").filter(has_text="It depends on silver.case_event")
    expect(panel).to_contain_text("regulated figures never show unchecked cases")
    expect(panel).to_contain_text("Last decision")
    expect(panel.get_by_role("row", name=re.compile("^missing"))).to_contain_text("is not begun")
    page.get_by_role("button", name="Checklist").click()
    expect(page.locator(".checklist")).to_contain_text("1.")
    page.get_by_role("button", name="Decisions").click()
    expect(page.get_by_role("table", name="Decisions")).to_contain_text("publishing")


def test_what_is_wrong_is_asked_marked_planned_approved_and_mended_from_the_page(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/assets/reference.policy_threshold?tab=blast")
    radius = page.locator(".panel").filter(has_text=re.compile(r"If version \d+ is wrong"))
    expect(radius).to_contain_text("5 versions of 5 assets would be affected; 2 versions of them have left")
    expect(
        page.get_by_role("group", name="Intervals of").get_by_role("button", name=re.compile("invalid"))
    ).to_have_count(0)
    radius.get_by_role("button", name=re.compile("Invalidate version")).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("5 versions of 5 assets would be affected")
    dialog.get_by_label("How bad it is").select_option("critical")
    dialog.get_by_label("What is wrong").fill("30 was entered, 21 is in force")
    dialog.get_by_role("button", name="Invalidate").click()
    expect(page.locator(".trouble")).to_contain_text("not to be trusted")
    expect(
        page.locator(".trouble").get_by_role("link", name=re.compile(r"^invalidation \d+$"))
    ).to_have_attribute("href", re.compile(r"policy_threshold\?tab=blast&invalidation=\d+$"))
    affected = page.get_by_role("table", name="Affected versions")
    expect(affected.get_by_role("row", name=re.compile("^gold.case_sla_daily"))).to_contain_text(
        "invalidated"
    )
    expect(page.locator(".graph .node.marked")).to_have_count(5)
    expect(page.locator(".graph .node.marked.good")).to_have_count(0)

    plan = page.locator("#plan")
    plan.get_by_role("button", name="Draw up the plan").click()
    dialog.get_by_role("button", name="Draw it up").click()
    expect(plan.get_by_role("list", name="Steps").get_by_role("listitem")).to_have_count(5)
    expect(plan.get_by_role("button", name="Run exactly this")).to_be_disabled()
    plan.get_by_role("button", name="Approve").click()
    dialog.get_by_label("Who").fill("steward")
    dialog.get_by_label("Why").fill("checked against the gazette")
    dialog.get_by_role("button", name="Approve").click()
    plan.get_by_role("button", name="Run exactly this").click()
    expect(dialog.locator(".command")).to_contain_text("bide assets run-plan")
    dialog.get_by_role("button", name="Run exactly this").click()
    strip = page.get_by_role("group", name="Intervals of reference.policy_threshold")
    expect(strip.get_by_role("button", name=re.compile("2 versions"))).to_contain_text("published")
    expect(page.locator(".trouble")).to_have_count(0)


def test_a_run_says_what_made_it_up_to_who_began_and_what_it_read_and_made(page: Page, house: House) -> None:
    run = house.ask("/runs?dag=alerts&state=success&kind=asset&limit=1")[0]["run_id"]
    page.goto(f"{house.url}/runs/{run}")
    causes = page.get_by_role("list", name="What made it").locator("> li")
    expect(causes).to_have_count(4)
    expect(causes.nth(0)).to_contain_text("This run was made by new data")
    expect(causes.nth(2)).to_contain_text("was made by window")
    made = page.get_by_role("list", name="What it made", exact=True)
    expect(made.get_by_role("link", name=re.compile("sla_breach_alert_stream"))).to_be_visible()
    page.get_by_text("What has happened").click()
    moves = page.get_by_role("table", name="Events of the run")
    expect(moves.get_by_role("row", name=re.compile("run success running"))).to_be_visible()
    causes.nth(1).get_by_role("link", name=re.compile(r"^sla run")).click()
    going = page.get_by_role("list", name="What it set going")
    expect(going.get_by_role("link", name=f"alerts run {run}")).to_be_visible()
