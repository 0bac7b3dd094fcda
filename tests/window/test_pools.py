"""`/pools`: how much of each is taken, by whom, and who is next, as it changes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.window.house import DATES, House


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """The showcase where the pool `narrow` has one slot, and two runs that want it three times each."""
    house = House(tmp_path_factory.mktemp("house"))
    (house.folder / "bide.toml").write_text("[pools]\nnarrow = 1\n\n[budgets]\nqueries = 5\n")
    house.open()
    try:
        house.runs = {name: house.trigger("crowded", date) for name, date in zip("ab", DATES, strict=False)}
        house.until("/pools/narrow", lambda found: found["waiting"] == 5)
        yield house
    finally:
        house.close()


def lines(of: dict[str, Any], part: str) -> list[str]:
    return [f"{each['task']}crowded run {each['run_id']}" for each in of[part]]


def test_c77_who_holds_a_pool_and_who_is_next_stand_in_the_order_of_the_engine(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/pools")
    pools = page.get_by_role("navigation", name="Pools")
    expect(pools.get_by_role("link")).to_have_count(3)
    narrow = pools.get_by_role("link", name="narrow at once 1 of 1 taken, 5 wait")
    expect(narrow).to_have_attribute("aria-current", "page")  # somebody waits for it: it is shown first
    expect(page.get_by_text("5 tasks wait for a place")).to_be_visible()
    found = house.ask("/pools/narrow")
    held = page.get_by_role("table", name="Who holds it").locator("td[data-name=Task]")
    queue = page.get_by_role("table", name="Who waits").locator("tbody tr")
    expect(held).to_have_text(lines(found, "holders"))
    expect(queue.locator("td[data-name=Task]")).to_have_text(lines(found, "waiters"))
    expect(queue.locator("td[data-name=Place]")).to_have_text(["1", "2", "3", "4", "5"])
    expect(queue.first.locator("td[data-name=Since]")).to_have_text(re.compile("ago$"))

    queue.first.get_by_role("link", name=found["waiters"][0]["task"], exact=True).click()
    page.get_by_role("link", name="Who else wants it, in order").click()
    expect(page).to_have_url(re.compile(r"/pools\?pool=pool%3Anarrow$"))
    expect(queue).to_have_count(5)

    house.ask(f"/runs/{house.runs['a']}/cancel", {})  # it is seen without anything being done on the page
    expect(held.get_by_role("link", name=f"run {house.runs['b']}")).to_have_count(1)
    expect(queue).to_have_count(2)
    expect(narrow).to_have_count(0)
    expect(pools.get_by_role("link", name="narrow at once 1 of 1 taken, 2 wait")).to_be_visible()
    expect(held).to_have_text(lines(house.ask("/pools/narrow"), "holders"))


def test_slots_and_budgets_stand_beside_pools_and_without_a_pool_it_says_what_makes_one(
    page: Page, house: House
) -> None:
    page.goto(f"{house.url}/pools")
    pools = page.get_by_role("navigation", name="Pools")
    pools.get_by_role("link", name=re.compile(r"^Slots of all tasks \d+ of 64 taken, nobody waits$")).click()
    expect(page).to_have_url(re.compile(r"/pools\?pool=slots$"))
    expect(page.get_by_text("bide pools slots")).to_be_visible()
    expect(
        page.get_by_role("table", name="Who holds it").get_by_role("link", name="crowded")
    ).not_to_have_count(0)
    pools.get_by_role("link", name="queries budget 0 of 5 spent, nobody waits").click()
    expect(page.get_by_text(re.compile("^Whole again in "))).to_be_visible()
    expect(page.get_by_text("Nobody waits for the next window.")).to_be_visible()

    def alone(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json=answer.json()[:1])

    page.route(re.compile("/api/v1/pools$"), alone)
    page.goto(f"{house.url}/pools")
    expect(page.get_by_text("There are no pools yet")).to_be_visible()
    expect(page.get_by_text("[tool.bide.pools]")).to_be_visible()
    page.unroute_all(behavior="wait")


def test_c77_a_cap_of_a_dag_that_holds_runs_back_stands_beside_pools_and_a_long_queue_is_paged_through(
    page: Page, house: House
) -> None:
    first, second = [house.trigger("publishing", date) for date in DATES[:2]]
    house.until("/pools", lambda found: any(each["key"] == "runs:publishing" for each in found))
    page.goto(f"{house.url}/runs/{second}")
    page.get_by_role("link", name="Who else wants it, in order").click()
    expect(page).to_have_url(re.compile(r"/pools\?pool=runs%3Apublishing$"))
    card = page.get_by_role("navigation", name="Pools").get_by_role("link", name=re.compile("^publishing"))
    expect(card).to_have_accessible_name("publishing runs at once 1 of 1 taken, 1 waits")
    expect(page.get_by_role("columnheader")).to_have_text(["Run", "State", "Since", "Place", "Run", "Since"])
    expect(page.get_by_text("1 run waits for a place")).to_be_visible()
    expect(page.get_by_text("bide pools runs:publishing")).to_be_visible()
    held = page.get_by_role("table", name="Who holds it")
    queue = page.get_by_role("table", name="Who waits")
    expect(held.get_by_role("link", name=f"run {first}")).to_be_visible()
    expect(queue.get_by_role("link", name=f"run {second}")).to_be_visible()
    assert house.bide("pools", "runs:publishing").count("run ") == 2
    house.ask(f"/runs/{first}/cancel", {})
    expect(held.get_by_role("link", name=f"run {second}")).to_be_visible()
    expect(card).to_have_count(0)  # nobody waits for it any more; its address shows it all the same
    expect(page.get_by_text("Nobody waits.")).to_be_visible()

    few = re.compile("limit=(100|1000)(?=&|$)")
    page.route(
        re.compile(r"/api/v1/pools/pool(:|%3A)narrow\?"),
        lambda route: route.continue_(url=few.sub("limit=1", route.request.url)),
    )
    page.goto(f"{house.url}/pools?pool=pool:narrow")
    whole = lines(house.ask("/pools/narrow"), "waiters")
    assert len(whole) == 2
    places = queue.locator("td[data-name=Task]")
    expect(places).to_have_text(whole[:1])
    expect(page.get_by_text("1 of 2 who wait")).to_be_visible()
    page.get_by_role("button", name="More who wait").click()
    page.get_by_role("button", name="Those behind them").click()
    expect(places).to_have_text(whole[1:])
    expect(queue.locator("td[data-name=Place]")).to_have_text("2")
    expect(page.get_by_text("1 of 2 who wait, further back")).to_be_visible()
    page.get_by_role("button", name="From the first").click()
    expect(places).to_have_text(whole[:1])
    page.unroute_all(behavior="wait")
