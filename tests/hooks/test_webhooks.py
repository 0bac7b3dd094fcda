"""Webhooks: who signed it, when, whether it has come before, and what run it makes."""

from __future__ import annotations

from bide.hooks import GitHub, StandardWebhooks, Stripe, Webhook
from bide.runtime.assets.declarations import collecting
from tests.hooks.conftest import Opens
from tests.hooks.signed import body_of, github, standard, stripe

PUSH = body_of({"ref": "refs/heads/main", "size": 3})


def github_hook() -> Webhook:
    with collecting():
        return Webhook(
            "github",
            dag="build",
            scheme=GitHub("env:HOOK_SECRET"),
            params={"branch": "$.ref", "count": "/size"},
        )


async def test_s3_4d_s3_45_a_signed_delivery_makes_a_run_with_its_parameters(opens: Opens) -> None:
    house = await opens(github_hook())
    answer = await house.post("/hooks/github", PUSH, github(PUSH))
    assert answer.status_code == 201, answer.text
    assert answer.json() == {
        "hook": "github", "delivery": "d-1", "outcome": "accepted", "run_id": "1", "dag": "build", "reason": "",
        "paused": False,
    }  # fmt: skip
    assert await house.runs() == [("build", {"branch": "refs/heads/main", "count": 3, "note": None})]


async def test_b65_the_same_delivery_twice_makes_one_run(opens: Opens) -> None:
    house = await opens(github_hook())
    first = await house.post("/hooks/github", PUSH, github(PUSH))
    again = await house.post("/hooks/github", PUSH, github(PUSH))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["outcome"] == "duplicate"
    assert again.json()["run_id"] == first.json()["run_id"]
    other = body_of({"ref": "refs/heads/dev", "size": 1})
    assert (await house.post("/hooks/github", other, github(other, "d-2"))).status_code == 201
    assert len(await house.runs()) == 2


async def test_s3_45_what_is_not_signed_by_a_known_sender_makes_no_run(opens: Opens) -> None:
    house = await opens(github_hook())
    for headers in (
        {},
        github(PUSH, secret="a secret of somebody else"),
        github(PUSH + b" "),
        {**github(PUSH), "X-Hub-Signature-256": "sha256=zz"},
        {**github(PUSH), "X-Hub-Signature-256": "sha1=" + "0" * 40},
    ):
        answer = await house.post("/hooks/github", PUSH, headers)
        assert (answer.status_code, answer.headers["content-type"]) == (401, "application/problem+json")
    assert await house.runs() == []


async def test_s3_45_stripe_and_standard_webhooks(opens: Opens) -> None:
    with collecting():
        house = await opens(
            Webhook(
                "stripe", dag="load", scheme=Stripe("env:HOOK_SECRET"), params={"order": "$.data.object.id"}
            ),
            Webhook("std", dag="load", scheme=StandardWebhooks("env:HOOK_WHSEC"), params={"order": "$.data"}),
        )
    event = body_of({"id": "evt_1", "data": {"object": {"id": "in_7"}}})
    assert (await house.post("/hooks/stripe", event, stripe(event, house.seconds))).status_code == 201
    sent = body_of({"data": "o-9"})
    assert (await house.post("/hooks/std", sent, standard(sent, house.seconds))).status_code == 201
    assert await house.runs() == [("load", {"order": "in_7"}), ("load", {"order": "o-9"})]
