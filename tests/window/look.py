"""Pictures of the screens of a service, for looking at: `python -m tests.window.look ADDRESS FOLDER [PATH ...]`.

ADDRESS is what `bide ui` or `tests.window.house` prints, with its token. Each path in both themes, and at 360 px.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.window.conftest import CHROMIUM, FLAGS

SCREENS = (
    "/", "/dags", "/dags/daily_orders", "/runs", "/runs/3", "/runs/4/t/breaks", "/tasks", "/waits", "/assets", "/assets/orders",
    "/backfills", "/approvals", "/pools", "/audit", "/system",
)  # fmt: skip
SIZES = {"wide": (1280, 900), "narrow": (360, 740)}


def main() -> None:
    address, folder = sys.argv[1], Path(sys.argv[2])
    base, _, token = address.partition("/#token=")
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for theme in ("light", "dark"):
            for size, (width, height) in SIZES.items():
                if (theme, size) == ("dark", "narrow"):
                    continue
                page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
                page.on("pageerror", lambda error: print("error:", error))
                page.on(
                    "console",
                    lambda said: print(said.type, said.text) if said.type in ("error", "warning") else None,
                )
                page.goto(f"{base}/#token={token}")
                page.get_by_text("Live", exact=True).wait_for()
                for path in sys.argv[3:] or SCREENS:
                    page.goto(base + path)
                    page.get_by_text("Live", exact=True).wait_for()
                    page.wait_for_timeout(600)  # a picture for people: what is drawn has settled
                    name = re.sub(r"\W+", "-", path).strip("-") or "home"
                    page.screenshot(path=folder / f"{name}-{theme}-{size}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
