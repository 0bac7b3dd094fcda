"""Signatures and their time: what holds, what does not, and that no request makes anything else of it."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bide import Secret
from bide.hooks import GitHub, StandardWebhooks, Stripe, Webhook
from bide.runtime.assets.declarations import collecting
from bide.runtime.errors import NotFoundError
from tests.hooks.conftest import House, Opens
from tests.hooks.signed import OTHER, SECRET, WHSEC, Headers, body_of, github, standard, stripe

BODY = body_of({"id": "evt_1", "branch": "main"})
LIMIT_S = 300


async def three(opens: Opens) -> House:
    """One hook a scheme, each with an old and a new secret."""
    with collecting():
        return await opens(
            Webhook(
                "github",
                "build",
                scheme=GitHub("env:HOOK_SECRET", "env:HOOK_OTHER"),
                params={"branch": "$.branch"},
            ),
            Webhook("stripe", "build", scheme=Stripe("env:HOOK_SECRET", "env:HOOK_OTHER")),
            Webhook("std", "build", scheme=StandardWebhooks("env:HOOK_SECRET_GONE", "env:HOOK_WHSEC")),
        )


def problem_of(answer: httpx.Response, status: int) -> str:
    """The sentence of a problem; nothing of the inside is told."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    said = answer.json()
    assert said["status"] == status
    for hidden in ("Traceback", SECRET, OTHER, WHSEC, "HOOK_SECRET"):
        assert hidden not in answer.text
    return str(said["detail"])


async def test_b65_either_of_two_secrets_may_have_signed(opens: Opens) -> None:
    house = await three(opens)
    now = house.seconds
    for path, body, headers in (
        ("/hooks/github", b'{"n":1}', github(b'{"n":1}', "d-1")),
        ("/hooks/github", b'{"n":2}', github(b'{"n":2}', "d-2", OTHER)),
        ("/hooks/stripe", b'{"id":"e1"}', stripe(b'{"id":"e1"}', now)),
        ("/hooks/stripe", b'{"id":"e2"}', stripe(b'{"id":"e2"}', now, "a secret of somebody else", OTHER)),
        ("/hooks/std", b"{}", standard(b"{}", now, "m1")),
    ):
        assert (await house.post(path, body, headers)).status_code == 201
    third = "a third secret, which nobody holds here"
    assert "no signature matches" in problem_of(
        await house.post("/hooks/github", BODY, github(BODY, "d-3", third)), 401
    )
    problem_of(await house.post("/hooks/stripe", BODY, stripe(BODY, now, third)), 401)
    assert len(await house.runs()) == 5


@pytest.mark.parametrize("path", ["stripe", "std"])
@pytest.mark.parametrize(
    ("off", "holds"), [(-LIMIT_S, True), (-LIMIT_S - 1, False), (LIMIT_S, True), (LIMIT_S + 1, False)]
)
async def test_b65_a_time_within_the_window_is_taken_and_one_beyond_is_not(
    opens: Opens, path: str, off: int, holds: bool
) -> None:
    house = await three(opens)
    sign = stripe if path == "stripe" else standard
    answer = await house.post(f"/hooks/{path}", BODY, sign(BODY, house.seconds + off))
    if holds:
        assert answer.status_code == 201, answer.text
    else:
        assert ("ago" if off < 0 else "ahead") in problem_of(answer, 401)
    assert len(await house.runs()) == int(holds)


async def test_b65_a_step_of_the_clock_moves_the_window_and_forgets_no_delivery(opens: Opens) -> None:
    house = await three(opens)
    sent = standard(BODY, house.seconds, "m1")
    assert (await house.post("/hooks/std", BODY, sent)).status_code == 201
    house.clock.step(3600)
    assert "ago" in problem_of(await house.post("/hooks/std", BODY, sent), 401)
    house.clock.step(-3600)
    again = await house.post("/hooks/std", BODY, sent)
    assert (again.status_code, again.json()["outcome"]) == (200, "duplicate")
    house.clock.step(-3600)
    assert "ahead" in problem_of(await house.post("/hooks/std", BODY, sent), 401)
    assert len(await house.runs()) == 1


@pytest.mark.parametrize(
    ("path", "change"),
    [
        ("github", {"X-Hub-Signature-256": None}),
        ("github", {"X-Hub-Signature-256": ""}),
        ("github", {"X-Hub-Signature-256": "sha256=" + "0" * 64}),
        ("github", {"X-Hub-Signature-256": "sha256=" + "ü" * 64}),
        ("github", {"X-GitHub-Delivery": "a b"}),
        ("github", {"X-GitHub-Delivery": "x" * 300}),
        ("stripe", {"Stripe-Signature": None}),
        ("stripe", {"Stripe-Signature": "t=,v1="}),
        ("stripe", {"Stripe-Signature": "t=1e9,v1=" + "0" * 64}),
        ("stripe", {"Stripe-Signature": "t=1,t=2,v1=" + "0" * 64}),
        ("stripe", {"Stripe-Signature": "t=1" + ",v1=" + ",v1=".join(["0" * 64] * 17)}),
        ("std", {"webhook-id": None}),
        ("std", {"webhook-id": ""}),
        ("std", {"webhook-timestamp": "99999999999999999999"}),
        ("std", {"webhook-timestamp": "-1"}),
        ("std", {"webhook-timestamp": "١٢٣"}),
        ("std", {"webhook-signature": "v1a,AAAA"}),
        ("std", {"webhook-signature": "v1"}),
        ("std", {"webhook-signature": "v1,"}),
        ("std", {"webhook-signature": "v1,ÿÿÿÿ"}),
    ],
)
async def test_b65_a_header_that_is_none_ends_in_a_problem(
    opens: Opens, path: str, change: dict[str, str | None]
) -> None:
    house = await three(opens)
    good: Headers = {
        "github": github(BODY),
        "stripe": stripe(BODY, house.seconds),
        "std": standard(BODY, house.seconds),
    }[path]
    changed = {**good, **change}
    headers = {name: value.encode() for name, value in changed.items() if value is not None}
    answer = await house.client.post(f"/hooks/{path}", content=BODY, headers=headers)  # type: ignore[arg-type]
    assert problem_of(answer, 401)
    assert await house.runs() == []
    assert (await house.post(f"/hooks/{path}", BODY, good)).status_code == 201


async def test_b65_a_header_that_stands_twice_is_refused(opens: Opens) -> None:
    house = await three(opens)
    good = list(github(BODY).items())
    twice = [*good, ("X-Hub-Signature-256", "sha256=" + "0" * 64)]
    assert "2 times" in problem_of(await house.post("/hooks/github", BODY, twice), 401)
    other = [*good, ("X-Other", "a"), ("X-Other", "b")]
    assert (await house.post("/hooks/github", BODY, other)).status_code == 201


async def test_b65_a_tampered_body_and_a_signature_of_another_hook_are_refused(opens: Opens) -> None:
    house = await three(opens)
    sent = standard(BODY, house.seconds)
    problem_of(await house.post("/hooks/std", BODY.replace(b"main", b"evil"), sent), 401)
    problem_of(await house.post("/hooks/std", BODY, {**sent, "webhook-id": "msg_2"}), 401)
    problem_of(
        await house.post("/hooks/std", BODY, {**sent, "webhook-timestamp": str(house.seconds + 1)}), 401
    )
    problem_of(await house.post("/hooks/github", BODY, sent), 401)
    assert (await house.post("/hooks/std", BODY, sent)).status_code == 201


async def test_b65_a_delivery_of_github_under_another_id_is_the_same_delivery(opens: Opens) -> None:
    """Its signature does not cover the id: a header is changed by whoever replays it."""
    house = await three(opens)
    first = await house.post("/hooks/github", BODY, github(BODY, "d-1"))
    replayed = await house.post("/hooks/github", BODY, github(BODY, "d-2"))
    bare = github(BODY)
    del bare["X-GitHub-Delivery"]
    nameless = await house.post("/hooks/github", BODY, bare)
    assert [answer.status_code for answer in (first, replayed, nameless)] == [201, 200, 200]
    other = BODY + b" "
    assert (await house.post("/hooks/github", other, github(other, "d-3"))).status_code == 201
    assert len(await house.runs()) == 2


async def test_b65_a_secret_that_is_missing_or_empty_opens_nothing(
    opens: Opens, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = await three(opens)
    for value in ("", "   ", "short"):
        monkeypatch.setenv("HOOK_SECRET", value)
        monkeypatch.setenv("HOOK_OTHER", value)
        answer = await house.post("/hooks/github", BODY, github(BODY, secret=value))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
    for value in ("whsec_", "whsec_!!!", "whsec_c2hvcnQ="):
        monkeypatch.setenv("HOOK_WHSEC", value)
        assert (await house.post("/hooks/std", BODY, standard(BODY, house.seconds))).status_code == 503
    monkeypatch.delenv("HOOK_SECRET")
    monkeypatch.delenv("HOOK_OTHER")
    problem_of(await house.post("/hooks/github", BODY, github(BODY)), 503)
    assert await house.runs() == []
    monkeypatch.setenv("HOOK_OTHER", OTHER)  # one of them is there again
    assert (await house.post("/hooks/github", BODY, github(BODY, secret=OTHER))).status_code == 201


async def test_b65_a_hook_without_a_secret_is_said_and_refuses_whatever_comes_with_503_counted(
    opens: Opens, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    house = await three(opens)
    (no_text := tmp_path / "no-text").write_bytes(b"\xff" * 32)
    monkeypatch.delenv("HOOK_WHSEC")
    monkeypatch.delenv("HOOK_OTHER")
    for value in (None, "", "short"):
        monkeypatch.delenv("HOOK_SECRET") if value is None else monkeypatch.setenv("HOOK_SECRET", value)
        for name in ("github", "stripe", "std"):  # not 401, though nothing was signed either
            problem_of(await house.post(f"/hooks/{name}", BODY), 503)
    monkeypatch.setenv("HOOK_SECRET", "caf\udce9 of some length")  # bytes that are no UTF-8 can be a secret
    assert (await house.post("/hooks/github", BODY)).status_code == 401
    with collecting(), pytest.raises(NotFoundError):
        Secret(f"file:{no_text}").resolve()
    house.rt.desk.write()
    await house.rt.settled()
    lines = {each.hook: each for each in await house.rt.operations.hooks.listed()}
    assert (lines["stripe"].rejected, lines["stripe"].last_rejected_for) == (3, "secret")
    assert lines["github"].unchecked == ""
    assert lines["std"].unchecked == (
        "none of its secrets can be read: 'env:HOOK_SECRET_GONE', 'env:HOOK_WHSEC'"
    )
