"""CloudEvents: binary and structured, one run an event and route, and what is no event of those."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import pytest
from cloudevents.core.bindings import http
from cloudevents.core.v1.event import CloudEvent

from bide.hooks import CloudEvents
from bide.runtime.assets.declarations import collecting
from tests.hooks.conftest import House, Opens
from tests.hooks.signed import body_of

ATTRIBUTES = {"specversion": "1.0", "type": "com.acme.order.paid", "source": "/shop", "id": "e-1"}
STRUCTURED = {"Content-Type": "application/cloudevents+json; charset=utf-8"}


async def shop(opens: Opens, *more: CloudEvents) -> House:
    with collecting():
        order = CloudEvents("com.acme.order.*", "load", params={"order": "$.data.id"})
        return await opens(order, *more)


def event(**changed: Any) -> bytes:
    found = {**ATTRIBUTES, "data": {"id": "o-1"}, **changed}
    return body_of({name: value for name, value in found.items() if value is not ...})


async def test_s3_46_an_event_makes_a_run_and_nothing_waits_for_it(opens: Opens) -> None:
    house = await shop(opens)
    answer = await house.post("/api/v1/events", event(), STRUCTURED)
    assert answer.status_code == 201, answer.text
    assert answer.json()["hook"] == "com.acme.order.*:load"
    await house.rt.wait(answer.json()["run_id"], timeout=10)
    assert await house.runs() == [("load", {"order": "o-1"})]
    assert await house.rows("SELECT count(*) FROM wait") == [(0,)]
    assert (house.rt.slots_in_use, house.rt.armed) == (0, 0)


async def test_s3_44_what_the_library_of_the_specification_sends_is_taken_in_both_modes(opens: Opens) -> None:
    with collecting():
        house = await opens(
            CloudEvents("*", "build", params={"branch": "$.data.ref", "note": "$.subject"}, name="any")
        )
    for n, pack in enumerate((http.to_binary_event, http.to_structured_event)):
        made = CloudEvent({"type": "t", "source": "/é b", "id": f"{n}", "subject": "grün"}, {"ref": "main"})
        message = pack(made)
        answer = await house.post("/api/v1/events", message.body, message.headers)
        assert answer.status_code == 201, answer.text
        again = await house.post("/api/v1/events", message.body, message.headers)
        assert (again.status_code, again.json()["run_id"]) == (200, answer.json()["run_id"])
    assert await house.runs() == [("build", {"branch": "main", "count": 1, "note": "grün"})] * 2


@pytest.mark.parametrize("kind", [..., "application/json", "application/vnd.acme+json"])
async def test_s3_46_data_in_base64_is_the_data_where_it_is_json(opens: Opens, kind: Any) -> None:
    house = await shop(opens)
    sent = event(data=..., data_base64="eyJpZCI6ICJvLTkifQ==", datacontenttype=kind)
    answer = await house.post("/api/v1/events", sent, STRUCTURED)
    assert answer.status_code == 201, answer.text
    assert await house.runs() == [("load", {"order": "o-9"})]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"data_base64": "eyJpZCI6"}, "both data and data_base64"),
        ({"data": ..., "data_base64": "%%%%"}, "no base64"),
        ({"data": ..., "data_base64": 5}, "no base64"),
        ({"data": ..., "data_base64": "ey"}, "no base64"),
        ({"data": ..., "data_base64": "eyJp"}, "not JSON"),
        ({"data": ..., "data_base64": b64encode(b"[" * 70 + b"]" * 70).decode()}, "nested deeper"),
    ],
)
async def test_s3_46_data_in_base64_that_cannot_be_read_is_refused_with_what_is_wrong(
    opens: Opens, changed: dict[str, Any], said: str
) -> None:
    house = await shop(opens)
    answer = await house.post("/api/v1/events", event(**changed), STRUCTURED)
    assert (answer.status_code, said in answer.json()["detail"]) == (422, True), answer.text
    assert await house.runs() == []


async def test_s3_46_data_that_is_no_json_is_not_looked_into(opens: Opens) -> None:
    with collecting():
        house = await opens(CloudEvents("*", "build", params={"note": "$.subject"}, name="any"))
    sent = event(data=..., data_base64="AP8=", datacontenttype="image/png", subject="a picture")
    assert (await house.post("/api/v1/events", sent, STRUCTURED)).status_code == 201
    assert await house.runs() == [("build", {"branch": "main", "count": 1, "note": "a picture"})]


async def test_s3_46_source_and_id_say_what_is_the_same_event(opens: Opens) -> None:
    house = await shop(opens)
    answers = await asyncio.gather(
        *(house.post("/api/v1/events", each, STRUCTURED) for each in (event(), event(data={"id": "o-2"})))
    )
    assert sorted(answer.status_code for answer in answers) == [200, 201]
    assert (await house.post("/api/v1/events", event(source="/other"), STRUCTURED)).status_code == 201
    assert (await house.post("/api/v1/events", event(id="e-2"), STRUCTURED)).status_code == 201
    assert len(await house.runs()) == 3


async def test_s3_46_each_route_that_matches_makes_its_run_and_one_that_cannot_is_tried_again(
    opens: Opens,
) -> None:
    with collecting():
        paid = CloudEvents(
            "com.acme.order.paid",
            "build",
            source="/shop*",
            where={"$.data.big": True},
            params={"count": "$.data.n"},
        )
        other = CloudEvents("org.*", "build")
    house = await shop(opens, paid, other)
    answer = await house.post("/api/v1/events", event(data={"id": "o-1", "big": True, "n": 0}), STRUCTURED)
    assert (answer.status_code, "must be 1 or more" in answer.text) == (422, True)
    assert await house.runs() == [("load", {"order": "o-1"})]
    mended = await house.post("/api/v1/events", event(data={"id": "o-1", "big": True, "n": 4}), STRUCTURED)
    assert [each["outcome"] for each in mended.json()["deliveries"]] == ["duplicate", "accepted"]
    assert mended.status_code == 201
    small = await house.post("/api/v1/events", event(id="e-2", data={"id": "o-2"}), STRUCTURED)
    assert [each["outcome"] for each in small.json()["deliveries"]] == ["accepted", "ignored"]
    assert len(await house.runs()) == 3


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"[" + event() + b"]", {"Content-Type": "application/cloudevents-batch+json"}, 415),
        (b"[" + event() + b"]", STRUCTURED, 422),
        (event(), {"Content-Type": "application/cloudevents+xml"}, 415),
        (event(), {"Content-Type": "application/json"}, 415),
        (event(), {}, 415),
        (b"", STRUCTURED, 422),
        (b"{", STRUCTURED, 422),
        (b"[" * 100_000, STRUCTURED, 422),
        (event(id=...), STRUCTURED, 422),
        (event(id=""), STRUCTURED, 422),
        (event(id=7), STRUCTURED, 422),
        (event(source=...), STRUCTURED, 422),
        (event(type=None), STRUCTURED, 422),
        (event(specversion="0.3"), STRUCTURED, 422),
        (event(specversion=...), STRUCTURED, 422),
        (event(time="yesterday"), STRUCTURED, 422),
        (event(time=5), STRUCTURED, 422),
        (event(time={}), STRUCTURED, 422),
        (event(Upper="x"), STRUCTURED, 422),
        (event(nested={"a": 1}), STRUCTURED, 422),
        (event(subject="x" * 2000), STRUCTURED, 422),
        (event(**{f"ext{n}": 1 for n in range(70)}), STRUCTURED, 422),
        (event(type="org.unknown"), STRUCTURED, 404),
        (b"{}", {"ce-specversion": "1.0", "ce-type": "com.acme.order.x", "ce-source": "/s"}, 422),
        (b"{}", {"ce-specversion": "1.0", "ce-type": "", "ce-source": "/s", "ce-id": "1"}, 422),
        (b"{", {"ce-specversion": "1.0", "ce-type": "com.acme.order.x", "ce-source": "/s", "ce-id": "1"}, 422),
        (b"<a/>", {"Content-Type": "text/xml", "ce-specversion": "1.0", "ce-type": "t", "ce-source": "/s", "ce-id": "1"}, 415),
    ],
)  # fmt: skip
async def test_b65_what_is_no_event_ends_in_a_problem(
    opens: Opens, body: bytes, headers: dict[str, str], status: int
) -> None:
    house = await shop(opens)
    answer = await house.post("/api/v1/events", body, headers)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), (
        answer.text
    )
    assert answer.json()["detail"]
    assert "Traceback" not in answer.text
    assert await house.runs() == []


async def test_b65_a_header_of_an_event_that_stands_twice_is_refused(opens: Opens) -> None:
    house = await shop(opens)
    once = [("ce-specversion", "1.0"), ("ce-type", "com.acme.order.x"), ("ce-source", "/s"), ("ce-id", "1")]
    body = body_of({"id": "o"})
    assert (await house.post("/api/v1/events", body, [*once, ("ce-id", "2")])).status_code == 422
    assert (await house.post("/api/v1/events", body, once)).status_code == 201
