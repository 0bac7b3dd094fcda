"""Routes: what is said of them, what each takes, and that no secret is ever written down or shown."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bide import Secret
from bide.notify import KINDS, Route, Webhook
from bide.runtime.config import load_config
from bide.runtime.errors import UsageError
from bide.runtime.notify.routes import revealed, routes_of

HOOK = Webhook("https://ops.example.org/bide", Secret("env:HOOK_SECRET"))


def test_b66_a_route_takes_by_kind_severity_owner_and_tag() -> None:
    route = Route(
        HOOK, kinds=["failure", "stale"], owner="team-*", tags=["nightly", "gold"], at_least="major"
    )
    assert route.takes("failure", "major", ["team-sales"], ["nightly"])
    assert route.takes("asset", "critical", ["x", "team-a"], ["gold", "other"]), "a stale asset"
    assert not route.takes("failure", "minor", ["team-sales"], ["nightly"])
    assert not route.takes("run", "major", ["team-sales"], ["nightly"]), "a deadline"
    assert not route.takes("failure", "major", ["sales"], ["nightly"])
    assert not route.takes("failure", "major", [], ["nightly"])
    assert not route.takes("failure", "major", ["team-sales"], [])
    assert all(Route(HOOK).takes(kind, "info", [], []) for kind in KINDS)


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (lambda: Route("nowhere"), "goes nowhere"),
        (lambda: Route("https://ops.example.org/x"), "Webhook"),
        (lambda: Route(HOOK, kinds="failures"), "no kind of notice"),
        (lambda: Route(HOOK, at_least="high"), "no severity"),
        (lambda: Route(HOOK, window=timedelta(days=8)), "7 days"),
        (lambda: Route(HOOK, burst=0), "1 or more"),
        (lambda: Route(HOOK, name="a b"), "no name"),
        (lambda: Webhook("ftp://x", Secret("env:S")), "goes nowhere"),
        (lambda: Webhook("https://x", "whsec_abc"), "never written down"),  # type: ignore[arg-type]
        (lambda: Webhook("https://x", ()), "never written down"),
        (lambda: Webhook("https://x", Secret("env:S"), timeout=0), "1 to 60"),
        (lambda: routes_of([Route(HOOK, name="a"), Route(HOOK, name="a")]), "two routes"),
        (lambda: routes_of([{"webhook": "https://x"}]), "has no secret"),
        (lambda: routes_of([{"webhook": "https://x", "secret": "whsec_abc"}]), "never written down"),
        (lambda: routes_of([{}]), "`to`"),
        (lambda: routes_of([{"to": "json://x", "webhook": "https://x"}]), "not both"),
        (lambda: routes_of([{"to": "json://x", "kind": "failure"}]), "unknown field"),
        (lambda: routes_of([{"to": "json://x", "window": "5 minutes"}]), "no span"),
    ],
)
def test_b66_what_cannot_be_is_refused_with_what_to_do(said: Any, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        said()


def test_b66_routes_stand_in_files_and_in_the_environment(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(
        "[[tool.bide.notify]]\n"
        'name = "chat"\nto = "slack://{env:SLACK_TOKENS}/#ops"\nkinds = ["failure"]\nowner = "sales"\n'
    )
    [chat] = routes_of(load_config({}, tmp_path).notify)
    assert (chat.name, chat.all_kinds, chat.owners) == ("chat", ("failure",), ("sales",))
    (tmp_path / "bide.toml").write_text(
        '[[notify]]\nwebhook = "https://ops.example.org/h"\nsecret = ["env:NEW", "env:OLD"]\nat_least = "major"\n'
        'window = "1h30m"\nburst = 3\n[[notify]]\nto = "env:PAGER_URL"\n'
    )
    hook, pager = routes_of(load_config({}, tmp_path).notify)
    assert isinstance(hook.to, Webhook)
    assert hook.to.secrets == (Secret("env:NEW"), Secret("env:OLD"))
    assert (hook.window, hook.burst, hook.at_least) == (timedelta(minutes=90), 3, "major")
    assert hook.name.startswith("ops.example.org-")
    assert pager.name.startswith("apprise-")
    [said] = routes_of(load_config({"BIDE_NOTIFY": '[{"to": "json://h", "name": "x"}]'}, tmp_path).notify)
    assert said.name == "x"
    (tmp_path / "bide.toml").write_text('[[notify]]\nto = "json://h"\nat_least = "loud"\n')
    with pytest.raises(UsageError, match=r"bide\.toml: 'loud' is no severity"):
        load_config({}, tmp_path)


def test_b66_secrets_in_a_route_are_named_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLACK_TOKENS", "T1/B2/canary-token")
    route = Route("slack://{env:SLACK_TOKENS}/#ops")
    assert isinstance(route.to, str)
    assert revealed(route.to) == "slack://T1/B2/canary-token/#ops"
    assert "canary" not in repr(route) + route.where + route.target
    hook = Webhook("https://user:pw@ops.example.org/T1/canary?key=canary", Secret("env:HOOK_SECRET"))
    assert Route(hook).where == "webhook https://ops.example.org/..."
