"""Actions on all runs that a filter finds, counted first; and the palette, which does what buttons do."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.window.conftest import home
from tests.window.house import DATES, House


def test_runs_are_found_by_a_pattern_what_made_them_and_their_dates(page: Page, house: House) -> None:
    page.goto(house.url + "/runs")
    table = page.get_by_role("table", name="Runs")
    expect(table.get_by_role("row")).to_have_count(9)
    page.get_by_label("DAG", exact=True).fill("daily_*")
    page.get_by_label("DAG", exact=True).press("Enter")
    expect(table.get_by_role("row")).to_have_count(4)
    page.get_by_label("Dates from").fill("2026-03-02")
    page.get_by_label("before").fill("2026-03-03")
    expect(table.get_by_role("row")).to_have_count(2)
    expect(page).to_have_url(re.compile(r"dag=daily_\*&since=2026-03-02&until=2026-03-03"))
    page.get_by_label("Made by").select_option("scheduled")
    expect(page.get_by_text("No run matches")).to_be_visible()
    page.get_by_role("button", name="All of them").click()
    expect(table.get_by_role("row")).to_have_count(9)


def test_all_that_a_filter_finds_is_cancelled_by_its_count_and_taken_back(page: Page, house: House) -> None:
    runs = [house.runs["held"], *(house.trigger("crowded", date) for date in DATES[1:])]
    page.goto(house.url + "/runs?dag=crowded")
    page.get_by_role("button", name="Cancel all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Cancel 3 runs")
    expect(dialog).to_contain_text(f"The first: {runs[2]}, {runs[1]}, {runs[0]}")
    dialog.get_by_label("Why").fill("too many")
    expect(dialog).to_contain_text("bide cancel --where dag=crowded --expect 3 --reason 'too many'")
    dialog.get_by_role("button", name="Cancel 3 runs").click()
    expect(page.get_by_text("Cancelled: 3 runs.")).to_be_visible()
    assert {house.state_of(run) for run in runs} == {"cancelled"}
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Taken back.")).to_be_visible()
    for run in runs:
        house.until(f"/runs/{run}", lambda seen: seen["state"] in ("running", "queued"))


def test_what_matches_no_more_is_refused_and_nothing_is_done(page: Page, house: House) -> None:
    page.goto(house.url + "/runs?dag=publishing")
    page.get_by_role("button", name="Cancel all").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("heading")).to_have_text("Cancel 1 run")
    more = house.trigger("publishing", DATES[1])
    dialog.get_by_role("button", name="Cancel 1 run").click()
    expect(dialog.get_by_role("alert")).to_contain_text(re.compile("2 .*match|matches? 2|2 runs"))
    assert house.state_of(more) in ("running", "queued")
    dialog.get_by_role("button", name="Leave it").click()


def test_nothing_to_rerun_is_said_and_failed_runs_are_taken_up_again(page: Page, house: House) -> None:
    page.goto(house.url + "/runs?dag=mapped")
    page.get_by_role("button", name="Rerun all").click()
    expect(page.get_by_text("Nothing to rerun: no run that has failed")).to_be_visible()
    page.goto(house.url + "/runs?state=failed")
    page.get_by_role("button", name="Rerun all").click()
    page.get_by_role("dialog").get_by_role("button", name="Rerun 1 run").click()
    expect(page.get_by_text("Taken up again: 1 run.")).to_be_visible()


def test_a_task_is_marked_in_all_runs_that_match_after_it_was_counted(page: Page, house: House) -> None:
    run = house.runs["bad"]
    house.until(f"/runs/{run}", lambda seen: seen["state"] == "failed")
    page.goto(house.url + "/runs?dag=failing")
    page.get_by_role("button", name="Mark in all").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Task").fill("breaks")
    dialog.get_by_role("button", name="Count, then mark").click()
    expect(dialog.get_by_role("alert")).to_contain_text(f"The first: {run}.")
    dialog.get_by_role("button", name="Count, then mark").click()
    expect(page.get_by_text("Marked: 1 run.")).to_be_visible()
    house.until(f"/runs/{run}", lambda seen: seen["state"] == "success")


def test_the_palette_pauses_and_takes_back_by_keys_alone(page: Page, house: House) -> None:
    home(page, house)
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()
    page.keyboard.type("pause mapped")
    expect(page.get_by_role("option", name="Pause mapped")).to_be_visible()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_contain_text("bide pause mapped")
    page.get_by_role("dialog").get_by_role("button", name="Pause", exact=True).press("Enter")
    expect(page.get_by_text("mapped is paused.")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()
    page.keyboard.type("undo")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Taken back.")).to_be_visible()
    assert not next(each for each in house.ask("/dags") if each["dag"] == "mapped")["paused"]


def test_the_palette_triggers_looks_and_cancels(page: Page, house: House) -> None:
    home(page, house)
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()
    page.keyboard.type("trigger with_params")
    page.get_by_role("option", name="Trigger with_params").click()
    page.get_by_role("dialog").get_by_role("button", name="Start a run").click()
    expect(page).to_have_url(re.compile(r"/runs/\d+$"))
    run = page.url.rpartition("/")[2]
    house.until(f"/runs/{run}", lambda seen: seen["state"] == "success")
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()
    page.keyboard.type("look file")
    page.get_by_role("option", name=re.compile("Look now: file of run 6")).click()
    page.get_by_role("dialog").get_by_role("button", name="Look now").click()
    expect(page.get_by_text("It is looked at now.")).to_be_visible()
    page.keyboard.press("Control+k")
    expect(page.get_by_label("Find", exact=True)).to_be_focused()
    page.keyboard.type("cancel run 6")
    page.get_by_role("option", name="Cancel run 6").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel it").click()
    expect(page.get_by_text("Run 6 is cancelled.")).to_be_visible()
