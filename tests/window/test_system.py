"""The system and the audit log: how it is at this moment, where each setting comes from, and who did what."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.window.house import House


def test_the_system_says_how_it_is_and_the_doctor_what_to_do(page: Page, house: House) -> None:
    page.goto(house.url + "/system")
    now = page.get_by_role("region", name="At this moment")
    expect(now).to_contain_text(re.compile(r"Loop, now\s*[0-9.]+ ms"))
    expect(now).to_contain_text("3 of 64 slots")
    expect(now).to_contain_text("reader, this page")
    expect(now.get_by_role("img", name=re.compile("How late the loop came"))).to_be_visible()
    expect(now.locator("canvas")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^\d+ checks are well$")).first).to_be_visible()
    expect(page.get_by_role("list", name="What the doctor says")).to_contain_text("bide db backup")
    expect(page.get_by_label("Versions", exact=True)).to_contain_text("journal wal")
    expect(page.get_by_text("external_task")).to_be_visible()


def test_a_setting_says_where_it_comes_from(page: Page, house: House) -> None:
    page.goto(house.url + "/system")
    settings = page.get_by_role("table", name="Settings")
    row = settings.get_by_role("row").filter(has_text="stop_timeout")
    expect(row).to_contain_text("flag")
    expect(settings.get_by_role("row").filter(has_text="synchronous")).to_contain_text("default")
    page.get_by_label("Only what was set").check()
    expect(page).to_have_url(re.compile(r"\?said=yes$"))
    expect(settings.get_by_role("row").filter(has_text="synchronous")).to_have_count(0)
    page.get_by_placeholder("Find a setting").fill("stop")
    expect(settings.get_by_role("row")).to_have_count(2)
    page.reload()
    expect(settings.get_by_role("row")).to_have_count(2)


def test_who_did_what_and_what_it_moved(page: Page, house: House) -> None:
    house.ask("/dags/wide/pause", {})
    house.ask("/dags/wide/unpause", {})
    page.goto(house.url + "/audit?target=dag%20wide")
    lines = page.get_by_role("list", name="Commands").locator("> li")
    expect(lines).to_have_count(2)
    pause = lines.last
    expect(pause).to_contain_text("pause")
    expect(pause).to_contain_text("window")
    expect(pause).to_contain_text("http 127.0.0.1")
    pause.get_by_role("button", name="More").click()
    expect(pause).to_contain_text(re.compile(r"What moved\s*dag wide.*→ *paused"))
    expect(page.get_by_text("bide audit --target 'dag wide'")).to_be_visible()


def test_a_refused_command_is_there_with_its_reason(page: Page, house: House) -> None:
    run = house.runs["good"]
    try:
        house.ask(f"/runs/{run}/cancel", {})
    except AssertionError:
        pass
    page.goto(house.url + "/audit")
    page.get_by_role("button", name="Refused").click()
    expect(page).to_have_url(re.compile("outcome=refused"))
    line = page.get_by_role("list", name="Commands").locator("> li").first
    expect(line).to_contain_text(f"cancel run {run}")
    expect(line.locator(".message")).to_contain_text(re.compile("over|success"))
    page.get_by_role("button", name="All of it").click()
    page.get_by_label("From").select_option("socket")
    expect(page.get_by_text("token create")).to_be_visible()


def test_the_audit_log_is_taken_away_as_csv_and_json(page: Page, house: House, tmp_path: Path) -> None:
    page.goto(house.url + "/audit?verb=trigger")
    for kind in ("CSV", "JSON"):
        with page.expect_download() as told:
            page.get_by_role("button", name=f"Export {kind}").click()
        told.value.save_as(tmp_path / kind)
    rows = list(csv.DictReader((tmp_path / "CSV").read_text().splitlines()))
    lines = json.loads((tmp_path / "JSON").read_text())
    assert len(rows) == len(lines) >= 8
    assert {row["verb"] for row in rows} == {"trigger"}
    assert rows[0]["target"] == lines[0]["target"] == "dag mapped"
