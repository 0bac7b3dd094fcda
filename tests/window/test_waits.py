"""The waiting room: what is waited for in groups, how it is looked at, and what a person does about one wait or all of a group."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, Route, expect

from tests.window.house import DATES, House


def row_of(page: Page, task: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("link", name=f"waiting.{task}", exact=True))


def group_of(page: Page, says: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("button", name=re.compile(f"^{says}")))


def ask(page: Page, row: Locator, action: str) -> Locator:
    """The dialog of an action of a row's menu."""
    row.locator(".acts").get_by_role("button").click()
    page.get_by_role("menuitem", name=action, exact=True).click()
    return page.get_by_role("dialog")


def test_b14_waits_stand_in_groups_by_the_source_they_share(page: Page, house: House) -> None:
    page.goto(house.url + "/waits")
    table = page.get_by_role("table", name="Waits")
    expect(table.get_by_role("button", name=re.compile("^1 wait for file .*2026-03-01.csv"))).to_be_visible()
    expect(
        table.get_by_role("button", name=re.compile("^1 wait for GET .*one request every 5s$"))
    ).to_be_visible()
    expect(
        table.get_by_role("button", name=re.compile("^1 wait .*the engine sees it in the commit"))
    ).to_be_visible()
    expect(table.get_by_role("link", name="waiting.page")).to_be_visible()
    page.get_by_role("button", name="Task", exact=True).click()
    expect(table.get_by_role("button", name=re.compile("^1 wait for"))).to_have_count(5)
    expect(page).to_have_url(re.compile(r"/waits\?by=task$"))
    page.get_by_label("Kind").select_option("file")
    expect(table.get_by_role("link", name=re.compile("^waiting"))).to_have_count(1)
    page.get_by_label("Kind").select_option("")
    page.get_by_label("Search in waits").fill("/READY")
    expect(page).to_have_url(re.compile(r"by=task&text=%2FREADY$"))
    expect(table.get_by_role("link", name=re.compile("^waiting"))).to_have_text(["waiting.page"])
    page.get_by_label("In trouble").check()
    expect(page.get_by_text(re.compile("^Looks? fail|see nothing now")).first).to_be_visible()
    page.reload()
    expect(page.get_by_label("Search in waits")).to_have_value("/READY")
    expect(page.get_by_label("In trouble")).to_be_checked()
    expect(table.get_by_role("link", name=re.compile("^waiting"))).to_have_text(["waiting.page"])
    page.get_by_label("Search in waits").fill("nobody waits for this")
    page.get_by_role("button", name="Show all").click()
    expect(table.get_by_role("link", name=re.compile("^waiting"))).to_have_count(5)


ORDER = """() => {
    const rows = [...document.querySelectorAll('.virtual-row')]
    const [read, seen] = [row => Number(row.getAttribute('aria-rowindex')), row => row.getBoundingClientRect().top]
    const rises = of => rows.every((row, n) => n === 0 || of(rows[n - 1]) < of(row))
    return rises(read) && rises(seen)
}"""


def test_a_thousand_waits_are_scrolled_through_in_order_and_what_has_the_focus_keeps_it(
    page: Page, house: House
) -> None:
    """The service has one; the page is told of a thousand, each of a task of its own."""
    line, group = house.ask("/waits?kind=file")[0], house.ask("/wait-groups?by=dag")[0]
    lines = [{**line, "id": str(10_000 + n), "task": f"t{n:04}"} for n in range(1000)]
    page.route("**/api/v1/waits?*", lambda route: route.fulfill(json=lines))
    page.route("**/api/v1/wait-groups?*", lambda route: route.fulfill(json=[{**group, "waits": 1000}]))
    page.goto(house.url + "/waits?by=dag")
    table = page.get_by_role("table", name="Waits")
    expect(table).to_have_attribute("aria-rowcount", "1001")
    expect(page.get_by_role("link", name="waiting.t0000")).to_be_visible()
    page.evaluate(
        "() => new Promise(done => { let n = 0; const next = () => n++ < 12 ? (scrollBy(0, 700), requestAnimationFrame(next)) : done(); next() })"
    )
    at = page.evaluate("Math.round((scrollY - document.querySelector('.virtual').offsetTop) / 48)")
    rows = table.get_by_role("row")
    expect(page.get_by_role("link", name=f"waiting.t{at + 5:04}")).to_be_visible()
    page.wait_for_function(ORDER)  # at rest rows stand in the page as they are read
    assert rows.count() < 60
    own = rows.filter(has=page.get_by_role("link", name=f"waiting.t{at + 5:04}"))
    act = own.get_by_role("button")
    act.click()
    expect(page.get_by_role("menuitem", name="Look now")).to_be_focused()
    page.keyboard.press("Escape")
    expect(act).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name=f"waiting.t{at + 6:04}")).to_be_focused()
    act.click()
    expect(page.get_by_role("menuitem", name="Look now")).to_be_focused()
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_role("link", name="waiting.t0000")).to_be_visible()
    expect(page.get_by_role("menuitem", name="Look now")).to_be_focused()
    page.keyboard.press("Escape")
    expect(act).to_be_focused()
    assert page.evaluate(ORDER)


def test_one_wait_is_extended_looked_at_satisfied_and_failed_where_it_is_seen(
    page: Page, house: House
) -> None:
    run = house.runs["waiting"]
    page.goto(house.url + "/waits")
    row = row_of(page, "file")
    expect(row.get_by_text(re.compile("^5 h 5. m left"))).to_be_visible()
    dialog = ask(page, row, "Extend")
    expect(dialog.get_by_text(re.compile(r"bide waits extend \d+ \+2h"))).to_be_visible()
    dialog.get_by_role("button", name="Extend").click()
    expect(page.get_by_role("status").get_by_text(re.compile("gives up at"))).to_be_visible()
    expect(row.get_by_text(re.compile("^7 h 5. m left"))).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(row.get_by_text(re.compile("^5 h 5. m left"))).to_be_visible()

    (house.world / "flag").touch()
    flag = row_of(page, "flag")
    ask(page, flag, "Look now").get_by_role("button", name="Look now").click()
    expect(flag).to_have_count(0)  # it has come: the wait is gone, and nothing was loaded again

    soon = row_of(page, "next_year")
    dialog = ask(page, soon, "Satisfy")
    dialog.get_by_label("Event, as JSON").fill("{bad")
    dialog.get_by_role("button", name="Satisfy").click()
    expect(dialog.get_by_role("alert")).to_contain_text("This is no JSON")
    dialog.get_by_label("Event, as JSON").fill('{"by": "hand"}')
    dialog.get_by_role("button", name="Satisfy").click()
    expect(soon).to_have_count(0)

    late = row_of(page, "page")
    dialog = ask(page, late, "Fail")
    dialog.get_by_label("Why").fill("the partner is gone")
    dialog.get_by_role("button", name="Fail").click()
    expect(late).to_have_count(0)
    told = {task["task"]: task for task in house.ask(f"/runs/{run}")["tasks"]}
    assert {name: told[name]["state"] for name in ("flag", "next_year", "page", "file")} == {
        "flag": "success", "next_year": "success", "page": "failed", "file": "deferred",
    }  # fmt: skip
    assert "the partner is gone" in str(told["page"])


def test_all_of_a_group_are_counted_and_then_extended_satisfied_and_failed(page: Page, house: House) -> None:
    page.goto(house.url + "/waits?open=file")
    files = group_of(page, "1 wait for file")
    expect(files).to_be_visible()
    for date in DATES[1:]:  # they arrive while it is looked at
        house.trigger("waiting", date)
    files = group_of(page, "3 waits for 3 files")
    expect(files).to_be_visible()
    expect(page.get_by_role("link", name="waiting.file")).to_have_count(3)

    dialog = ask(page, files, "Extend")
    expect(dialog.get_by_role("heading")).to_have_text("Extend 3 waits")
    expect(dialog.get_by_role("listitem").first).to_contain_text("waiting.file of run")
    dialog.get_by_label("By how much").fill("+30h")
    expect(dialog).to_contain_text("bide waits extend --where source=file --by 30h --expect 3")
    dialog.get_by_role("button", name="Extend 3 waits").click()
    expect(page.get_by_text("3 of 3 waits done.")).to_be_visible()
    expect(page.get_by_text(re.compile(r"^1 d 1\d? ?h?.* left"))).not_to_have_count(0)

    pages = group_of(page, "2 waits for GET")
    ask(page, pages, "Look now").get_by_role("button", name="Look now").click()
    expect(page.get_by_text("2 of 2 waits done.")).to_be_visible()
    dialog = ask(page, pages, "Fail")
    expect(dialog.get_by_role("heading")).to_have_text("Fail 2 waits")  # counted before there is another
    house.trigger("waiting", "2026-03-04T00:00:00+00:00")
    house.until("/waits?kind=http", lambda found: len(found) == 3)
    dialog.get_by_role("button", name="Fail 2 waits").click()
    expect(dialog.get_by_role("alert")).to_contain_text("2 waits were expected, and 3 match now")
    dialog.get_by_role("button", name="Leave it").click()

    page.goto(house.url + "/waits?kind=http")
    page.get_by_role("button", name="All that match: 3 waits").click()
    page.get_by_role("menuitem", name="Fail").click()
    page.get_by_role("dialog").get_by_role("button", name="Fail 3 waits").click()
    expect(page.get_by_text("Nothing of that is waited for")).to_be_visible()
    assert house.ask("/waits?kind=http") == []
    audit = house.ask("/audit?verb=bulk&limit=1")[0]
    assert audit["args"]["words"] == "kind=http"
    house.ask("/waits/actions", {"action": "satisfy", "kind": "python", "event": True, "dry_run": True})


def test_more_waits_than_one_action_takes_are_said_before_and_had_one_action_after_the_other(
    page: Page, house: House
) -> None:
    for day in (5, 6):
        house.trigger("waiting", f"2026-03-0{day}T00:00:00+00:00")
    files = house.until("/waits?kind=file", lambda found: len(found) > 2)
    count, taken = len(files), list[list[str]]()

    def few(route: Route) -> None:
        """As if an action took no more than two."""
        asked: dict[str, Any] = route.request.post_data_json or {}
        behind = [each for each in reversed(files) if int(each["id"]) > int(asked.get("after", 0))]
        numbers = [each["id"] for each in behind[:2]]
        rest = len(behind) - len(numbers)
        said = {
            "action": "look",
            "count": len(numbers),
            "first": numbers,
            "where": "kind=file",
            "rest": rest,
            "last": numbers[-1],
        }
        if not asked.get("dry_run"):
            assert asked["expect"] == len(numbers)
            taken.append(numbers)
        route.fulfill(json=said | {"id": None if asked.get("dry_run") else str(len(taken))})

    def done(route: Route) -> None:
        numbers = taken[int(route.request.url.rpartition("/")[2]) - 1]
        route.fulfill(
            json={
                "id": "1",
                "state": "done",
                "done": len(numbers),
                "total": len(numbers),
                "refused": 0,
                "left": [],
            }
        )

    page.route("**/api/v1/waits/actions", few)
    page.route("**/api/v1/actions/*", done)
    page.goto(house.url + "/waits?kind=file")
    page.get_by_role("button", name=f"All that match: {count} waits").click()
    page.get_by_role("menuitem", name="Look now").click()
    dialog = page.get_by_role("dialog", name=f"Look now at {count} waits")
    goes = -(-count // 2)
    expect(dialog).to_contain_text(
        f"One action takes 2 at most, so this is {goes} of them, one after the other"
    )
    expect(dialog).to_contain_text(f"bide waits look --where kind=file --expect {count}")
    dialog.get_by_role("button", name="Look now").click()
    expect(page.get_by_text(f"{count} of {count} waits done.")).to_be_visible()
    assert sorted(int(each) for go in taken for each in go) == sorted(int(each["id"]) for each in files)
    page.unroute_all(behavior="wait")


def test_the_waiting_room_goes_by_keys_and_at_360_pixels(page: Page, house: House) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(house.url + "/waits?kind=file&open=,")
    head = page.get_by_role("button", name=re.compile("^(6 waits for 6 files|1 wait for file)"))
    expect(head).to_have_attribute("aria-expanded", "false")
    head.focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-expanded", "true")
    expect(page).to_have_url(re.compile("open=file"))
    row = page.get_by_role("row").filter(has=page.get_by_role("link", name="waiting.file")).first
    expect(row).to_be_visible()
    row.locator(".acts").get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("menuitem", name="Look now")).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("menuitem", name="Fail")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(re.compile(r"^Fail wait \d+$"))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
