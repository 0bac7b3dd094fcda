"""Schemathesis against a runtime that lives: no 500, no traceback, and every answer is as the document says (T14).

Each operation is asked right and wrong, seeded: as Schemathesis drew it, then the same with the names of what is there
(some 2,200 requests), then with paths, queries and bodies of these put together anew, until all operations have
been asked 5,000 times. Its checks judge each answer; that what is wrong is refused it can only say of requests that it
has drawn. BIDE_SOAK=n draws, and asks, n times as often, as far as there is so much to ask.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import requests
import schemathesis
import schemathesis.checks
from hypothesis import HealthCheck, given, seed, settings
from schemathesis import Case, GenerationMode, Response
from schemathesis.specs.openapi import checks as conformance

from bide import Asset, Cron, OnAssets, Runtime, approval, dag, task
from bide.runtime.graph.source import source_of
from bide.runtime.service.backfill_shapes import BackfillRequest
from bide.runtime.service.cursor import cursor
from bide.runtime.service.table import Operation, operations
from bide.sensors import FileSensor
from tests.service.bridge import HOST, Bridge, bridged

TABLE: Final = tuple(operations())
SUPPRESSED: Final = [
    HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large, HealthCheck.large_base_example,
]  # fmt: skip
SOAK: Final = int(os.environ.get("BIDE_SOAK") or 1)
EXAMPLES: Final = 12 * SOAK
ANEW: Final = 31 * SOAK
"""Requests an operation that are put together of the parts of others."""
IN_ALL: Final = 5_000
"""Requests at least, however few of an operation there can be."""
AT: Final = f"http://{HOST}"
TRACE: Final = b"Trace" + b"back"  # in two: the text of this file is an answer too
KNOWN: Final = {
    "dag": "etl",
    "task": "load",
    "asset": "gold",
    "pool": "slots",
}  # all else that has a name is number 1
INSIDE: Final = ("\u00b2", "\u0663", "9" * 19, "9" * 30, "-1", "1.5", "\x00", "\U0010ffff")
"""What no page has given: digits that are none, numbers beyond all, signs."""
CHECKS: Any = [
    schemathesis.checks.not_a_server_error,
    conformance.status_code_conformance,
    conformance.content_type_conformance,
    conformance.response_headers_conformance,
    conformance.response_schema_conformance,
    conformance.negative_data_rejection,
    conformance.unsupported_method,
]
gold = Asset("gold", grain="day")


@task(outlets=[gold])
async def load() -> int:
    return 1


@dag(schedule=Cron("0 2 * * *", interval="day"), start="2026-06-01", catchup="none")
def etl() -> None:
    load()


etl.source = source_of(__file__, Path(__file__).read_text())


@dag(schedule=OnAssets(gold, consume="latest"), start="2026-06-01")
def reader() -> None:
    load.options(name="read", outlets=[])()


@dag
def held() -> None:
    FileSensor("drop", path="/nowhere/drop", timeout=timedelta(days=30))
    approval("release", prompt="out?", expires=timedelta(days=30))


async def _one_of_each(rt: Runtime) -> None:
    """A run with a wait and an approval, a version, and what can be made of them."""
    await (await rt.trigger(etl, logical_date="2026-06-15")).wait(timeout=30)
    await rt.trigger(held)
    await rt.settled()
    ops = rt.operations
    await ops.assets.invalidate(gold, version="1", reason="a trial", by="ann")
    await rt.settled()
    await ops.plans.make("1")
    await ops.evidence.open("a trial", invalidation="1", by="ann")
    await ops.backfills.start(BackfillRequest(dag="etl", from_="2026-06-01", to="2026-06-03"))
    await ops.backfills.pause("1")
    await ops.actions.dags("pause", "reade?", expect=1)
    await rt.settled()
    await ops.unpause("reader")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    with bridged(Path(tmp_path_factory.mktemp("contract")) / "bide.db", [etl, reader, held]) as bridge:
        bridge.there(_one_of_each(bridge.runtime))
        yield bridge


@pytest.fixture(scope="module")
def asked() -> Iterator[Counter[str]]:
    """Of each operation that has been asked how often."""
    counted: Counter[str] = Counter()
    yield counted
    if len(counted) == len(TABLE):
        assert counted.total() >= IN_ALL


@pytest.fixture(scope="module")
def session(served: Bridge) -> requests.Session:
    return served.session()


@pytest.fixture(scope="module")
def said(session: requests.Session) -> Any:
    return schemathesis.openapi.from_dict(session.get(f"{AT}/api/v1/openapi.json").json())


@pytest.mark.soak
@pytest.mark.parametrize("each", TABLE, ids=lambda each: each.id)
def test_t14_every_answer_is_as_the_document_says(
    said: Any, served: Bridge, session: requests.Session, asked: Counter[str], each: Operation
) -> None:
    operation = said[each.path.replace(":path}", "}")][each.route.method]
    right, wrong = (operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
    sent: list[requests.PreparedRequest] = []

    @seed(20260615)
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=SUPPRESSED)
    @given(case=right | wrong)
    def ask(case: Case[Any]) -> None:
        answered(case)
        if case.path_parameters:
            for name in case.path_parameters:
                case.path_parameters[name] = KNOWN.get(name, "1")
            answered(case)

    def answered(case: Case[Any]) -> None:
        answer = case.call(AT, session)
        case.validate_response(answer, checks=CHECKS)
        assert TRACE not in answer.content
        sent.append(answer.request)

    ask()
    assert sent
    judge = operation.Case(path_parameters={one.said: "1" for one in each.of("path")})
    if each.route.method == "GET":
        assert_known(operation, each, session)
    for request in islice(anew(sent), ANEW):
        status, headers, content = served.asked(request)
        several = {name: [one for key, one in headers if key == name] for name, _ in headers}
        judge.validate_response(
            Response(status, several, content, request, elapsed=0.0, verify=False), checks=CHECKS[:5]
        )
        assert TRACE not in content
        sent.append(request)
    asked[each.id] = len(sent)


def anew(sent: list[requests.PreparedRequest]) -> Iterator[requests.PreparedRequest]:
    """The paths, queries and bodies of requests that were sent, in combinations that were not."""
    urls = [urlsplit(str(request.url)) for request in sent]
    paths = sorted({url.path for url in urls})
    queries = sorted({url.query for url in urls})
    combined = {(url.path, url.query, at) for at, url in enumerate(urls)}
    alike = len({(request.body, *request.headers.items()) for request in sent}) == 1
    bodies = range(1 if alike else len(sent))
    dice = random.Random(20260615)
    for _ in range(4 * ANEW):
        path, query, at = chosen = dice.choice(paths), dice.choice(queries), dice.choice(bodies)
        if chosen not in combined:
            combined.add(chosen)
            made = sent[at].copy()
            made.url = f"{AT}{path}?{query}" if query else f"{AT}{path}"
            yield made


def assert_known(operation: Any, each: Operation, session: requests.Session) -> None:
    """What is there is found, and shown in the shape that is documented."""
    asked = {
        "assets_blast": {"asset": "gold", "version": "1"},
        "assets_versions": {"asset": "gold"},
        "assets_intervals": {"asset": "gold"},
        "dag_views_firings": {"since": "2026-06-01", "until": "2026-06-08"},
    }
    query = asked.get(each.id, {})
    known = {**KNOWN, "dag": "reader"} if each.name == "events" else KNOWN
    named = {one.said: known.get(one.said, "1") for one in each.of("path")}
    case = operation.Case(path_parameters=named, query=query)
    answer = case.call(AT, session)
    assert answer.status_code == (404 if each.room in ("effects", "hooks") and named else 200), answer.text
    case.validate_response(answer, checks=CHECKS[:5])


def test_t14_a_cursor_that_somebody_made_up_is_refused_or_gives_a_page(session: requests.Session) -> None:
    """What is within it is as little to be trusted as what stands beside it."""
    for each in TABLE:
        path = each.path.replace(":path}", "}")
        for one in each.of("path"):
            path = path.replace(f"{{{one.said}}}", KNOWN.get(one.said, "1"))
        for inside in INSIDE if each.route.pages else ():
            url = f"{AT}{path}?cursor={cursor(each.id, inside)}"
            answer = session.request(each.route.method, url)
            assert answer.status_code in (200, 404, 422), (each.id, inside, answer.text)
