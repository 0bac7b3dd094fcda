"""What holds on every screen, whatever is on it: no text becomes part of the page, axe finds nothing in either theme, 360 px
are wide enough, every key leads somewhere that is seen, and nothing is asked of another machine."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any, Final

import pytest
from cyclopts import CycloptsError, MissingArgumentError
from playwright.sync_api import Browser, Locator, Page, ViewportSize, expect

from bide.runtime.cli.app import app
from tests.window.hostile import said, short
from tests.window.house import DATES, ROOT, SHOWCASE, House
from tests.window.places import PATTERNS, place

CANARY = "window.hurt = () => { document.documentElement.dataset.hurt = 'yes' }"
NARROW: Final[ViewportSize] = {"width": 360, "height": 740}
WIDE: Final[ViewportSize] = {"width": 1280, "height": 900}
AXE_SCRIPT: Final = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
SHOWN: dict[str, str] = {}
"""By screen: the text that was on it."""
# What axe asks for beyond the letter of WCAG (`region`: all content in a landmark) is asked for too. It looks at the page as
# it stands; dialogs are looked at by `test_dialogs_...`.
AXE = "axe.run(document, {resultTypes: ['violations'], preload: false%s}).then(r => r.violations)"
CONTRAST = ", runOnly: ['color-contrast', 'link-in-text-block']"


class Places:
    """A house of hostile names, and where each screen has them."""

    def __init__(self, house: House) -> None:
        self.house = house
        evil = house.trigger("evil", text=short("param"))
        self.runs = [evil, house.trigger("evil_waits"), house.trigger("failing"), house.trigger("waiting")]
        house.trigger("crowded")
        house.trigger("daily_orders", DATES[0])
        house.until(f"/runs/{evil}", lambda run: run["state"] == "failed")
        asks = house.until("/approvals", lambda found: len(found) >= 2)
        house.ask(f"/approvals/{asks[0]['id']}/reject", {"by": short("by"), "why": said("why")})
        version = house.ask("/asset-versions?asset=evil")[0]["version"]
        degraded = {"limitations": [said("limitation")], "by": short("by"), "why": said("degraded why")}
        house.ask(f"/asset-versions/{version}/degrade", degraded)
        house.ask("/invalidations", {"asset": "evil", "interval": "2026-03-01", "reason": said("reason")})
        house.ask("/incidents", {"title": said("incident"), "asset": "evil", "by": short("by")})
        wait = next(each for each in house.ask("/waits") if each["task"] == "flag")
        house.ask(f"/waits/{wait['id']}/fail", {"reason": said("wait reason")})
        days = {"dag": "evil", "from": "2026-03-01", "to": "2026-03-04", "every": "day"}
        plan = house.ask("/backfills/plan", days)
        self.backfill = str(house.ask("/backfills", {**days, "hash": plan["hash"]})["backfill_id"])
        house.ask("/plans", {"invalidation": "1"})
        house.bide("pause", "evil")

    def of(self, pattern: str) -> str:
        return place(
            pattern, dag="evil", run=self.runs[0], task="breaks_loudly", asset="evil", backfill=self.backfill,
            plan="1", incident="1",
        )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("hostile")
    dags = folder / "dags"
    dags.mkdir()
    shutil.copy(SHOWCASE, dags)
    shutil.copy(SHOWCASE.with_name("hostile.py"), dags)
    house = House(folder, dags)
    house.open()
    try:
        yield house
    finally:
        house.close()


@pytest.fixture(scope="module")
def places(house: House) -> Places:
    return Places(house)


@pytest.fixture(scope="module")
def seen(browser: Browser, house: House, places: Places) -> Iterator[Page]:
    """One page that goes from screen to screen. It has no content policy: text alone must do no harm, without its net."""
    context = browser.new_context(
        viewport=WIDE, bypass_csp=True, color_scheme="light", reduced_motion="reduce"
    )
    context.add_init_script(CANARY)
    page = context.new_page()
    page.goto(house.address())
    page.get_by_text("Live", exact=True).wait_for()
    yield page
    context.close()


def settled(page: Page) -> None:
    """What the screen asks for has come."""
    expect(page.locator("main [aria-busy=true], main .coming")).to_have_count(0)
    page.get_by_text("Live", exact=True).wait_for()


def visit(page: Page, at: str) -> None:
    page.evaluate(
        "to => { history.pushState(null, '', to); dispatchEvent(new PopStateEvent('popstate')) }", at
    )
    expect(page.locator("main h1")).to_be_visible()
    settled(page)


def violations(page: Page, more: str = "") -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[dict[str, Any]] = page.evaluate(AXE % more)
    return [f"{each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"][:3]]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_t17_hostile_text_is_text_and_axe_and_360_px_find_nothing(
    seen: Page, places: Places, pattern: str
) -> None:
    wrong: list[str] = []
    asked: list[str] = []

    def error(what: object) -> None:
        wrong.append(f"error: {what}")

    seen.on("pageerror", error)
    seen.on("request", lambda request: asked.append(request.url))
    seen.set_viewport_size(WIDE)
    visit(seen, places.of(pattern))
    for each in seen.locator("main summary").all():
        each.click(force=True, timeout=500)
    SHOWN[pattern] = seen.locator("main").inner_text()
    made = seen.locator(
        "img, iframe, script:not([src]), object, embed, form[action], [onerror], [onload], math, main style, a[href^='javascript:']"
    )
    wrong += [f"made of text: {each.evaluate('e => e.outerHTML')[:120]}" for each in made.all()]
    wrong += [f"light: {each}" for each in violations(seen)]
    seen.evaluate("document.documentElement.dataset.theme = 'dark'")
    wrong += [f"dark: {each}" for each in violations(seen, CONTRAST)]
    seen.evaluate("delete document.documentElement.dataset.theme")
    seen.set_viewport_size(NARROW)
    if (wide := seen.evaluate("document.documentElement.scrollWidth")) > NARROW["width"]:
        wrong.append(f"scrolls sideways at 360 px: {wide} px")
        wrong += widest(seen)
    if seen.evaluate("document.documentElement.dataset.hurt") is not None or seen.title() == "hurt":
        wrong.append("a payload ran")
    wrong += [
        f"asked of another: {url}"
        for url in asked
        if not url.startswith((places.house.url, "blob:", "data:"))
    ]
    seen.remove_listener("pageerror", error)
    assert wrong == []


def widest(page: Page) -> list[str]:
    """What stands out at the right: for whoever mends it."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll('main *')].filter(e => {
            if (e.getBoundingClientRect().right <= innerWidth + 1) return false
            for (let p = e.parentElement; p; p = p.parentElement) if (getComputedStyle(p).overflowX !== 'visible') return false
            return true
        }).slice(0, 3).map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`)"""
    )
    return found


def test_t17_payloads_were_there_to_be_seen(seen: Page, places: Places) -> None:
    for pattern in PATTERNS:
        if pattern not in SHOWN:
            visit(seen, places.of(pattern))
            SHOWN[pattern] = seen.locator("main").inner_text()
    run = places.runs[0]
    sides = (
        f"/runs/{run}/t/speaks",
        "/approvals?state=rejected",
        "/waits?by=what",
        "/dags/evil?view=docs",
        f"/runs/{places.runs[1]}/t/asks",
    )
    for at in sides:
        visit(seen, at)
        SHOWN[at] = seen.locator("main").inner_text()
    visit(seen, "/dags/evil")
    seen.get_by_role("button", name="Trigger", exact=True).click()
    SHOWN["trigger"] = (
        seen.get_by_role("dialog").inner_text()
        + seen.get_by_role("dialog").get_by_label("text").input_value()
    )
    seen.keyboard.press("Escape")
    shown = {field for text in SHOWN.values() for field in re.findall("«([a-z ]+)»", text)}
    assert FIELDS - shown == set()


FIELDS: Final = {
    "asset doc", "asset owner", "by", "default", "doc", "error", "incident", "log", "owner", "param", "param doc", "path", "prompt", "reason",
    "result", "result key", "tag", "wait reason", "why",
}  # fmt: skip
"""The free text that a screen shows. Names of DAGs, tasks, assets, hooks and tokens can hold no markup."""


def test_each_kind_of_dialog_is_clean_in_both_themes_and_at_360_px_and_its_command_is_one_of_the_terminal(
    seen: Page, places: Places
) -> None:
    """Every button that says that it opens one, each once by its word; what is there to be copied, the terminal can read."""
    wrong: list[str] = []
    opened: set[str] = set()
    commands: set[str] = set()
    mentioned: set[str] = set()
    day = "&from=2026-05-01&to=2026-05-04"
    sides = (
        f"/runs/{places.runs[0]}?task=breaks_loudly",
        f"/runs/{places.runs[3]}",
        f"/runs/{places.runs[3]}/t/file",
        "/waits?kind=file",
        "/tasks?dag=evil&task=breaks_loudly",
        f"/backfills?plan=daily_orders{day}",
        "/assets/evil?tab=blast",
        "/assets/evil?tab=blast&invalidation=1",
        "/assets/orders",
    )
    for at in (*map(places.of, PATTERNS), *sides):
        seen.set_viewport_size(WIDE)
        visit(seen, at)
        if at.endswith(day):
            seen.get_by_role("button", name="Plan it", exact=True).click()
            expect(seen.get_by_role("button", name="Start exactly this")).to_be_enabled()
        mentioned |= set(seen.evaluate(COMMANDS))
        for name in sorted(set(seen.evaluate(OPENERS)) - opened):
            opened.add(name)
            if opener(seen, name).get_attribute("aria-haspopup") == "dialog":
                opener(seen, name).click()
                wrong += [f"{name} at {at}: {each}" for each in wrong_in_dialog(seen, commands)]
                continue
            for item in items(seen, name):
                seen.get_by_role("menuitem", name=item, exact=True).click()
                wrong += [f"{item} at {at}: {each}" for each in wrong_in_dialog(seen, commands)]
    assert wrong == []
    assert WANTED - opened == set()
    assert [said for each in sorted(commands) if (said := misread(each))] == []
    assert [said for each in sorted(mentioned) if (said := misread(each, whole=False))] == []
    assert (len(commands) > 25, len(mentioned) > 8) == (True, True), (commands, mentioned)


def opener(page: Page, name: str) -> Locator:
    """The first of that name. A list that lives moves: it is looked for when it is wanted, and waited for while it is drawn anew."""
    page.wait_for_function(f"name => ({OPENERS})().includes(name)", arg=name)
    return page.locator(OPENS).nth(page.evaluate(OPENERS).index(name))


def items(page: Page, name: str) -> Iterator[str]:
    """What a menu offers, one after the other; it is open whenever one is given."""
    given: list[str] = []
    while True:
        opener(page, name).click()
        page.get_by_role("menu").wait_for()
        left = [each for each in page.get_by_role("menuitem").all_inner_texts() if each not in given]
        if not left:
            page.keyboard.press("Escape")
            return
        given.append(left[0])
        yield left[0]


OPENS: Final = "main button[aria-haspopup]:enabled:not([role])"
OPENERS: Final = f"""() => [...document.querySelectorAll('{OPENS}')].map(e =>
    `${{e.textContent}} ${{(e.getAttribute('aria-label') ?? '').split(' ')[0]}}`.replace(/[0-9]+/g, '').replace(/ +/g, ' ').trim())"""
"""What is on each, and how its name for screen readers begins."""
COMMANDS: Final = "() => [...document.querySelectorAll('main code')].map(e => e.textContent).filter(text => text.startsWith('bide '))"
WANTED: Final = {
    "Accept with limitations", "Act ▾ Act", "Act ▾ All", "Acknowledge", "Approve", "Cancel", "Cancel all", "Make it anew",
    "Invalidate", "Invalidate version", "Mark", "Mark all", "Mark in all", "Open an incident", "Reject", "Rerun",
    "Rerun all", "Rerun failed", "Run again", "Skip", "Start exactly this", "Trigger", "Trigger Trigger", "Trigger with these",
    "Unpause",
}  # fmt: skip


def misread(said: str, *, whole: bool = True) -> str:
    """What the terminal would say against a command that is there to be copied; one that is mentioned may lack what it is of."""
    for line in said.splitlines():
        first, *words = shlex.split(line)
        try:
            command, _, _ = app.parse_args(words, print_error=False, exit_on_error=False)
        except CycloptsError as error:
            if isinstance(error, MissingArgumentError) and not whole:
                continue
            return f"{line}: {type(error).__name__} {error}"
        if first != "bide" or command.__module__.startswith("cyclopts"):
            return f"{line}: it is no command"
    return ""


def wrong_in_dialog(page: Page, commands: set[str]) -> list[str]:
    """What is wrong with the dialog that opens; it is left again by Escape."""
    dialog = page.get_by_role("dialog")
    expect(dialog).to_have_attribute("open", "")
    commands |= set(dialog.locator(".command code").all_inner_texts())
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE_SCRIPT)
    found: list[str] = []
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        bad: list[dict[str, Any]] = dialog.evaluate(
            "e => axe.run(e, {resultTypes: ['violations'], preload: false}).then(r => r.violations)"
        )
        found += [f"{theme}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in bad]
    page.evaluate("delete document.documentElement.dataset.theme")
    page.set_viewport_size(NARROW)
    if dialog.evaluate("e => e.scrollWidth > e.clientWidth"):
        found.append("scrolls sideways at 360 px")
    if not dialog.locator(".preview").inner_text().strip():
        found.append("nothing says what it will do")
    if not commands:
        found.append("it has no command")
    page.set_viewport_size(WIDE)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    return found


def test_a_button_that_opens_a_dialog_says_so() -> None:
    """In the sources: what asks, opens or triggers does it in a dialog, and whoever does not see the page is told before."""
    tags = [
        (path.name, tag)
        for path in sorted((ROOT / "ui" / "src").rglob("*.tsx"))
        for tag in re.findall(r"<button\b[^\n]*", path.read_text())
    ]
    opens = re.compile(r"(?:=> (?:void )?(?:open|ask|askTrigger)\(|onClick=\{(?:start|showPalette)\})")
    assert [each for each in tags if opens.search(each[1]) and "aria-haspopup" not in each[1]] == []
    assert sum(bool(opens.search(tag)) for _, tag in tags) > 8


@pytest.mark.parametrize("pattern", ["/", "/dags", "/runs", "/waits", "/runs/:run"])
def test_by_keys_alone_all_is_reached_and_seen(seen: Page, places: Places, pattern: str) -> None:
    """Tab goes through all that can be done, in order, without a trap; what has the focus is seen to have it."""
    seen.set_viewport_size(WIDE)
    visit(seen, places.of(pattern))
    seen.locator(".jump").focus()
    reached: list[str] = []
    for _ in range(24):
        name, is_seen = seen.evaluate(FOCUSED)
        if name.startswith("BODY"):
            break  # through, and out of the page
        assert is_seen, f"{name} has the focus, and nothing shows it"
        reached.append(name)
        seen.keyboard.press("Tab")
    assert reached[0] == "A:To the content"
    assert len(set(reached)) >= 12, reached


FOCUSED = """() => {
    const e = document.activeElement
    const look = () => [e, ...e.querySelectorAll('rect, path')].slice(0, 4).map(each => {
        const s = getComputedStyle(each)
        return [s.outlineStyle, s.outlineWidth, s.boxShadow, s.stroke, s.strokeWidth, s.left, s.borderColor].join()
    }).join()
    const focused = look()
    e.blur()
    const without = look()
    e.focus({ preventScroll: true })
    return [`${e.tagName}:${(e.textContent || e.getAttribute('aria-label') || '').slice(0, 40)}`, focused !== without]
}"""
"""What has the focus, and whether it looks otherwise without it."""


def test_a_dialog_keeps_the_focus_and_gives_it_back(seen: Page, places: Places) -> None:
    visit(seen, "/runs")
    seen.get_by_role("button", name="Find or do").focus()
    seen.keyboard.press("Enter")
    expect(seen.get_by_role("combobox", name="Find")).to_be_focused()
    assert violations(seen) == []
    seen.evaluate("document.querySelector('dialog').append(new Image())")
    assert [each.partition(":")[0] for each in violations(seen)] == ["image-alt"], "axe does look"
    seen.evaluate("document.querySelector('dialog > img').remove()")
    for _ in range(4):
        seen.keyboard.press("Tab")
        assert seen.evaluate("!document.activeElement.closest('main')")
    seen.keyboard.press("Escape")
    expect(seen.get_by_role("combobox", name="Find")).to_have_count(0)
    expect(seen.get_by_role("button", name="Find or do")).to_be_focused()


def test_where_there_is_nothing_yet_screens_say_what_makes_the_first(
    browser: Browser, tmp_path: Path
) -> None:
    """0 runs and no DAG at all."""
    (tmp_path / "none.py").write_text("")
    house = House(tmp_path, tmp_path / "none.py")
    house.open()
    try:
        page = browser.new_page(viewport=NARROW)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(house.address())
        page.get_by_text("Live", exact=True).wait_for()
        for pattern in PATTERNS:
            if ":" in pattern or "*" in pattern:
                continue
            visit(page, pattern)
            assert page.locator("main").inner_text().strip(), pattern
            assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], pattern
            assert page.locator("main .wrong").count() == 0, pattern
        assert errors == []
        page.close()
    finally:
        house.close()


def test_every_screen_of_the_table_is_one_that_the_service_gives() -> None:
    from bide.runtime.service.window import SCREENS

    words = {re.split("/", pattern)[1] for pattern in PATTERNS} - {""}
    assert words == SCREENS
    assert len(PATTERNS) >= 16
