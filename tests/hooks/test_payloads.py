"""What a delivery says, and what a run is given of it: within limits, and never more than what is pointed at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bide.hooks import Fixed, GitHub, Route, Webhook
from bide.runtime.assets.declarations import collecting
from tests.hooks.conftest import House, Opens
from tests.hooks.signed import body_of, github


async def hooked(opens: Opens, **said: Any) -> House:
    with collecting():
        return await opens(Webhook("hook", scheme=GitHub("env:HOOK_SECRET"), **{"dag": "build", **said}))


async def sent(house: House, value: Any, **extra: str) -> tuple[int, dict[str, Any]]:
    body = value if isinstance(value, bytes) else body_of(value)
    answer = await house.post("/hooks/hook", body, {**github(body, extra.pop("delivery", "d-1")), **extra})
    return answer.status_code, answer.json()


async def test_b65_parameters_are_what_is_pointed_at_and_no_more(opens: Opens) -> None:
    params = {"branch": "/refs/0/~1name", "count": 3, "note": "header:X-Note"}
    house = await hooked(opens, params=params)
    body = {"refs": [{"/name": "grün 🌱"}], "count": 99, "owner": "not asked for"}
    assert (await sent(house, body, **{"X-Note": "a note"}))[0] == 201
    assert await house.runs() == [("build", {"branch": "grün 🌱", "count": 3, "note": "a note"})]


async def test_b65_what_is_not_there_leaves_the_default_and_what_is_needed_is_missed(opens: Opens) -> None:
    house = await hooked(opens, params={"branch": "$.no.such[3].place", "count": "$.count"})
    assert (await sent(house, {"count": 2}))[0] == 201
    assert await house.runs() == [("build", {"branch": "main", "count": 2, "note": None})]
    await house.close()
    needs = await hooked(opens, dag="load", params={"order": "$.order"})
    status, problem = await sent(needs, {"no": 1}, delivery="d-2")
    assert (status, "needs the parameter 'order', and $.order finds nothing" in problem["detail"]) == (
        422,
        True,
    )


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"ref": 5}, "must be a string"),
        ({"ref": "x" * 41}, "40 characters or fewer"),
        ({"ref": None}, "must be a string"),
        ({"size": 0}, "must be 1 or more"),
        ({"size": "3"}, "must be a whole number"),
        ({"size": True}, "must be a whole number"),
        ({"size": {"a": 1}}, "must be a whole number"),
    ],
)
async def test_b65_a_payload_that_does_not_fit_is_422_and_on_record(
    opens: Opens, value: dict[str, Any], said: str
) -> None:
    house = await hooked(opens, params={"branch": "$.ref", "count": "$.size"})
    status, problem = await sent(house, value)
    assert (status, problem["code"]) == (422, "UsageError")
    assert said in problem["detail"]
    assert await house.runs() == []
    assert await house.deliveries() == [("hook", "refused", 1)]
    assert said in (await house.rt.hooks.deliveries("hook"))[0].reason


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b'"\\ud800"', "not JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b"[" * 70 + b"]" * 70, "nested deeper"),
        (b'{"a":' * 70 + b"1" + b"}" * 70, "nested deeper"),
        (b"[1e999]", "not JSON"),
    ],
)
async def test_b65_a_signed_body_that_is_no_json_is_refused(opens: Opens, body: bytes, said: str) -> None:
    house = await hooked(opens, params={"branch": "$.ref"})
    status, problem = await sent(house, body)
    assert (status, said in problem["detail"]) == (422, True), problem
    assert (await sent(house, b"[" * 60 + b"]" * 60))[0] in (200, 201)


async def test_b65_an_empty_body_brings_nothing(opens: Opens) -> None:
    house = await hooked(opens, params={"branch": "$.ref"})
    assert (await sent(house, b""))[0] == 201
    assert await house.runs() == [("build", {"branch": "main", "count": 1, "note": None})]


async def test_b65_an_empty_body_has_no_key(opens: Opens) -> None:
    house = await hooked(opens, key="$.id")
    status, problem = await sent(house, b"")
    assert (status, "the key at $.id is missing" in problem["detail"]) == (422, True)
    assert (await sent(house, {"id": 1}, delivery="d-2"))[0] == 201


async def test_b65_bodies_and_headers_have_limits(opens: Opens) -> None:
    house = await hooked(opens, max_body=100)
    exact = b'"' + b"x" * 98 + b'"'
    assert (await sent(house, exact))[0] == 201
    assert (await sent(house, exact + b" ", delivery="d-2"))[0] == 413
    many = {f"X-H{n}": "v" for n in range(60)}
    assert (await sent(house, b"1", delivery="d-3", **many))[0] == 201
    assert (await sent(house, b"2", delivery="d-4", **{f"X-H{n}": "v" for n in range(120)}))[0] == 431
    assert (await sent(house, b"3", delivery="d-5", **{"X-Huge": "v" * 40_000}))[0] == 431
    assert (await sent(house, b"4", delivery="d-6", **{"Content-Encoding": "gzip"}))[0] == 415
    said = (
        await sent(
            house, b"payload=%7B%7D", delivery="d-7", **{"Content-Type": "application/x-www-form-urlencoded"}
        )
    )[1]
    assert "application/json" in said["detail"]
    assert len(await house.runs()) == 2


async def test_b65_a_parameter_that_is_too_large_is_refused(opens: Opens) -> None:
    house = await hooked(opens, params={"note": "$.note"})
    status, problem = await sent(house, {"note": "x" * 70_000})
    assert (status, "65,536" in problem["detail"]) == (422, True)
    assert (await sent(house, {"note": "x" * 60_000}, delivery="d-2"))[0] == 201


async def test_s3_45_one_hook_routes_its_deliveries_to_several_dags(opens: Opens) -> None:
    routes = [
        Route(
            "build",
            where={"header:X-GitHub-Event": "push", "$.ref": ["main", "dev"]},
            params={"branch": "$.ref"},
        ),
        Route("load", where={"$.kind": Fixed("order")}, params={"order": "$.id"}),
    ]
    house = await hooked(opens, dag=None, routes=routes)
    assert (await sent(house, {"ref": "dev"}, delivery="d-1"))[1]["dag"] == "build"
    assert (await sent(house, {"kind": "order", "id": "o1"}, delivery="d-2"))[1]["dag"] == "load"
    status, told = await sent(house, {"ref": "topic"}, delivery="d-3")
    assert (status, told["outcome"], told["run_id"]) == (200, "ignored", None)
    assert await house.runs() == [
        ("build", {"branch": "dev", "count": 1, "note": None}), ("load", {"order": "o1"}),
    ]  # fmt: skip


async def test_b65_a_logical_date_comes_from_the_payload_and_one_that_is_none_is_refused(
    opens: Opens,
) -> None:
    house = await hooked(opens, logical_date="$.day")
    assert (await sent(house, {"day": "2026-06-01"}, delivery="d-1"))[0] == 201
    assert await house.rows("SELECT kind, logical_us FROM run") == [("hook", 1_780_272_000_000_000)]
    for n, day in enumerate(("soon", 5, None, "2026-06-01T00:00:00+99:00", "9" * 65)):
        assert (await sent(house, {"day": day}, delivery=f"x-{n}"))[0] == 422
    status, problem = await sent(house, {"day": "2026-06-01", "n": 2}, delivery="d-2")
    assert (status, "has run 1" in problem["detail"]) == (409, True)
    await house.close()
    again = await hooked(opens, logical_date="$.day", new=True)
    assert (await sent(again, {"day": "2026-06-01", "n": 3}, delivery="d-3"))[0] == 201


async def test_b65_a_key_of_the_payload_says_what_is_the_same(opens: Opens) -> None:
    house = await hooked(opens, key="$.order.id", params={"branch": "$.v"})
    assert (await sent(house, {"order": {"id": 7}, "v": "a"}, delivery="d-1"))[0] == 201
    assert (await sent(house, {"order": {"id": 7}, "v": "b"}, delivery="d-2"))[0] == 200
    assert (await sent(house, {"order": {"id": 8}, "v": "c"}, delivery="d-1"))[0] == 201
    assert (await sent(house, {"order": {"id": "é" * 400}, "v": "d"}))[0] == 201
    wrongs: list[Any] = [
        {},
        {"order": {"id": None}},
        {"order": {"id": True}},
        {"order": {"id": ""}},
        {"order": {"id": []}},
    ]
    for wrong in wrongs:
        assert (await sent(house, wrong))[0] == 422
    assert len(await house.runs()) == 3


async def test_b65_a_hook_of_an_unknown_or_removed_dag_is_refused_and_its_retry_is_taken_later(
    opens: Opens,
) -> None:
    house = await hooked(opens, dag="nowhere")
    status, problem = await sent(house, {})
    assert (status, problem["code"], "no DAG 'nowhere'" in problem["detail"]) == (404, "NotFoundError", True)
    assert (await sent(house, {}))[0] == 404
    assert await house.deliveries() == [("hook", "refused", 2)]
    await house.close()
    mended = await hooked(opens)
    assert (await sent(mended, {}))[0] == 201
    assert (await sent(mended, {}))[0] == 200
    assert await mended.deliveries() == [("hook", "accepted", 4)]
    await mended.rt.load([], {})
    status, problem = await sent(mended, {"n": 2}, delivery="d-2")
    assert (status, "was removed" in problem["detail"]) == (409, True)


async def test_b65_a_paused_dag_takes_deliveries_and_runs_them_when_it_goes_on(opens: Opens) -> None:
    house = await hooked(opens)
    await house.rt.operations.pause("build")
    status, told = await sent(house, {})
    assert (status, told["paused"]) == (201, True)
    assert await house.rows("SELECT state FROM run") == [("queued",)]
    await house.rt.operations.unpause("build")
    await house.rt.wait(told["run_id"], timeout=10)
    assert await house.rows("SELECT state FROM run") == [("success",)]
    assert (await sent(house, {"n": 2}, delivery="d-2"))[1]["paused"] is False


async def test_b65_a_runtime_that_is_stopping_says_when_to_come_again(opens: Opens) -> None:
    house = await hooked(opens)
    assert (await sent(house, {}))[0] == 201
    await house.rt.settled()
    await house.rt.drain(5)
    body = body_of({"n": 2})
    answer = await house.post("/hooks/hook", body, github(body, "d-2"))
    assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
    assert (await sent(house, {}))[0] == 503
    assert len(await house.runs()) == 1


async def test_b65_deliveries_are_forgotten_when_their_time_is_over_and_not_before(opens: Opens) -> None:
    house = await hooked(opens, keep=timedelta(days=7))
    assert (await sent(house, {"n": 1}, delivery="d-1"))[0] == 201
    house.clock.step(7 * 86_400 - 60)
    assert (await sent(house, {"n": 2}, delivery="d-2"))[0] == 201
    assert (await sent(house, {"n": 1}, delivery="d-1"))[0] == 200
    house.clock.step(120)
    assert (await sent(house, {"n": 3}, delivery="d-3"))[0] == 201
    assert await house.rows("SELECT said FROM hook_delivery ORDER BY 1") == [("d-2",), ("d-3",)]
    assert await house.rows("SELECT count(*) FROM hook_key") == [(4,)]
