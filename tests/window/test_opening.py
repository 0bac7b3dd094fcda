"""`bide ui`: the address of the window, with a token that ends."""

from __future__ import annotations

import stat
import sys
import webbrowser
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, expect

from bide.runtime.cli import ui
from bide.runtime.config import Config
from bide.runtime.errors import RefusedError
from bide.runtime.service import window_at
from bide.runtime.service.listening import At
from tests.window.house import House


def test_ui_prints_an_address_that_lets_a_browser_in_for_12_hours(browser: Browser, house: House) -> None:
    at = house.bide("ui", "/runs", "--no-open").strip()
    assert at.startswith(f"{house.url}/runs#token=bide_")
    page = browser.new_page()
    page.goto(at)
    expect(page.get_by_role("heading", name="Runs", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="daily_orders").first).to_be_visible()
    assert "token" not in page.url
    page.close()
    made = [each for each in house.ask("/tokens") if "-window-" in each["name"]]
    assert [(each["scope"], each["state"], each["expires_at"] is not None) for each in made] == [
        ("admin", "live", True)
    ]


def test_ui_gives_a_token_that_only_reads_where_that_is_asked(house: House) -> None:
    token = house.bide("ui", "--scope", "read", "--no-open").strip().partition("#token=")[2]
    ask = Request(f"{house.url}/api/v1/dags", headers={"Authorization": f"Bearer {token}"})
    with urlopen(ask) as answer:
        assert answer.status == 200
    house_tokens = {each["name"]: each["scope"] for each in house.ask("/tokens")}
    assert "read" in house_tokens.values()


def test_ui_without_a_port_or_a_service_says_what_to_do(tmp_path: Path) -> None:
    house = House(tmp_path)
    code, out, err = said(house, "ui")
    assert (code, out, len(err.splitlines())) == (5, "", 1)
    assert "no service holds the database" in err
    assert "bide serve PATHS --port 8321" in err
    house.open(port=None)
    try:
        code, out, err = said(house, "ui")
        assert (code, out, len(err.splitlines())) == (4, "", 1)
        assert "listens at no TCP port" in err
        assert "`--port 8321`" in err
        assert house.bide("token", "list", "--json").strip() == "[]", (
            "none is made for an address that there is not"
        )
    finally:
        house.close()


def said(house: House, *words: str) -> tuple[int, str, str]:
    done = house.run(*words)
    return done.returncode, done.stdout, done.stderr


def test_the_browser_is_given_a_file_of_the_owner_alone_and_no_token_in_its_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def opens(at: str) -> bool:
        opened.append(at)
        return True

    monkeypatch.setattr(webbrowser, "open", opens)
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    db = tmp_path / "bide.db"
    at = "http://127.0.0.1:8321/#token=bide_x"
    assert ui.open_browser(at, db)
    assert ui.open_browser(at, db)
    page = tmp_path / "bide.db.window.html"
    assert opened == [page.as_uri()] * 2
    assert at in page.read_text()
    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if sys.platform != "darwin":
        assert not ui.open_browser(at, db), "nobody sits before it"


@pytest.mark.parametrize(
    ("places", "config", "found"),
    [
        ([At("unix", "/x.sock")], Config(port=99), []),
        (
            [At("tcp", "0.0.0.0:80", public=True), At("tcp", "127.0.0.1:81")],
            Config(),
            ["http://127.0.0.1:81", "http://127.0.0.1:80"],
        ),
        ([At("tcp", "[::]:80", public=True)], Config(), ["http://[::1]:80"]),
        (None, Config(port=8000, host="10.0.0.1"), ["http://10.0.0.1:8000"]),
        (None, Config(), []),
    ],
)
def test_the_loopback_is_asked_first_and_settings_where_the_kernel_does_not_tell(
    places: list[At] | None, config: Config, found: list[str]
) -> None:
    assert window_at._candidates(places, config) == found


def test_no_port_is_no_address(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(window_at, "listening", lambda _: [At("tcp", "127.0.0.1:1")])
    with pytest.raises(RefusedError, match="listens at no TCP port"):
        window_at.url_of_service(house.db, Config())
