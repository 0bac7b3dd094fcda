"""A secret of its own in every place that one can pass; then all that bide keeps, says and answers is searched for it."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import sys
import traceback
import zipfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from bide import Asset, Check, Context, FailTask, Runtime, Secret, SkipTask, Staged, dag, gate, shell, task
from bide.hooks import GitHub
from bide.hooks import Webhook as HookIn
from bide.notify import Route, Webhook
from bide.runtime.service.caller import Caller
from bide.runtime.service.table import operations
from bide.sensors import HttpSensor, KafkaOffsetSensor, ObjectSensor
from tests.hooks.signed import body_of, github
from tests.notify.test_sending import quiet
from tests.servers.fixtures import http_server
from tests.servers.http_server import HttpServer, reply

__all__ = ["http_server"]
STANDARD = "whsec_" + base64.b64encode(b"c4n-standard-0123456789abcdef012").decode()
PLACES: list[str] = []


def value_of(number: int) -> str:
    return STANDARD if PLACES[number] == "the secret of a webhook out" else f'c4n{number:02}/6f+1d&8c"q'


def at(place: str) -> str:
    """A new place, and the reference to the secret that passes there."""
    PLACES.append(place)
    return f"env:CANARY_{len(PLACES) - 1}"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# --- places within a body: what it does with a secret, which it has read ----------------------------------

Spill = Callable[[Context, str], Any]


def raises(error: Callable[[str], BaseException]) -> Spill:
    def spill(_ctx: Context, it: str) -> None:
        raise error(it)

    return spill


def writes(line: Callable[[str], str]) -> Spill:
    def spill(ctx: Context, it: str) -> None:
        ctx.log.info(line(it))

    return spill


def chained(_ctx: Context, it: str) -> None:
    try:
        raise OSError(it)
    except OSError as error:
        raise ValueError("the login failed") from error


def noted(_ctx: Context, it: str) -> None:
    error = ValueError("the login failed")
    error.add_note(f"with {it}")
    raise error


def logged_traceback(ctx: Context, it: str) -> None:
    try:
        raise OSError(it)
    except OSError:
        ctx.log.exception("the login failed")


def printed_traceback(_ctx: Context, it: str) -> None:
    try:
        raise OSError(it)
    except OSError:
        print(traceback.format_exc())


class CustomError(Exception):
    def __repr__(self) -> str:
        return f"CustomError({self.args[0]})"


BODIES: dict[str, Spill] = {
    "the text of an error": raises(ValueError),
    "the repr of an error": raises(CustomError),
    "an error that has data": raises(lambda it: KeyError({"password": it})),
    "the cause of an error": chained,
    "a note on an error": noted,
    "a group of errors": raises(lambda it: ExceptionGroup("two", [OSError(it), ValueError(it)])),
    "the reason of a skip": raises(SkipTask),
    "the reason of a failure": raises(FailTask),
    "a line of the log": writes(lambda it: f"the token is {it}"),
    "a field of the log": lambda ctx, it: ctx.log.warning("a token", token=it, deep={"a": [it]}),
    "a traceback in the log": logged_traceback,
    "a traceback on stdout": printed_traceback,
    "stdout": lambda _ctx, it: print("the token is", it),
    "stderr": lambda _ctx, it: print("the token is", it, file=sys.stderr),
    "the log, in a URL": writes(lambda it: f"https://h/?q={quote(it, safe='')}"),
    "the log, in a form": lambda ctx, it: ctx.log.info(urlencode({"password": it})),
    "the log, in base64": lambda ctx, it: ctx.log.info(b64(it)),
    "the log, as basic credentials": writes(lambda it: f"Authorization: Basic {b64(f'user:{it}')}"),
    "the log, in JSON": lambda ctx, it: ctx.log.info(json.dumps({"token": it})),
    "the log, in JSON within JSON": lambda ctx, it: ctx.log.info(json.dumps(json.dumps({"token": it}))),
    "the log, as repr": lambda ctx, it: ctx.log.info(repr([it, it.encode()])),
    "the log, in hex": lambda ctx, it: ctx.log.info(it.encode().hex()),
    "an error, in a URL": raises(lambda it: OSError(f"401 for https://u:{quote(it, safe='')}@h/")),
    "an error, in base64": raises(lambda it: OSError(f"401 for Basic {b64(f'user:{it}')}")),
    "a line of a library's log": lambda _ctx, it: logging.getLogger("a.library").error("the token is %s", it),
}  # fmt: skip
REFS = {name: at(name) for name in BODIES}
gold = Asset("gold")


@task
async def spill(ctx: Context, place: str, secret: Secret) -> None:
    BODIES[place](ctx, secret.resolve())


@task
def in_a_thread(ctx: Context, secret: Secret) -> None:
    print("in a thread", secret.resolve())
    raise OSError(secret.resolve())


@task(lane="process")
def apart(ctx: Context, secret: Secret) -> None:
    print("apart", secret.resolve())
    ctx.log.info(secret.resolve())
    raise OSError(secret.resolve())


@task
async def by_lines(ctx: Context, secret: Secret) -> None:
    for line in secret.resolve().splitlines():
        ctx.log.info(line)


@gate(gold)
async def is_known(staged: Staged) -> Check:
    return Check(passed=False, message=f"login {Secret(GATE).resolve()} refused")


@task(outlets=[gold])
async def makes() -> None: ...


THREAD, PROCESS, LINES, GATE = (
    at("a body in a thread"),
    at("a body in a process"),
    at("a secret of lines"),
    at("a gate"),
)
SHELL, SHELL_ERROR = at("the environment of a command"), at("a command's stderr")
BEARER, BASIC, HEADER, BODY = (
    at("bearer of a sensor"),
    at("basic auth of a sensor"),
    at("a sensor's header"),
    at("a sensor's body"),
)
ECHOED, KAFKA, STORE = at("what a peer sends back"), at("Kafka's password"), at("a store's key")
OUT_URL, OUT_SECRET, OUT_SAID = (
    at("the URL of a notice"),
    at("the secret of a webhook out"),
    at("what a receiver says"),
)
IN_SECRET, IN_FORGED = at("the secret of a webhook in"), at("a forged delivery")
ASKED_URL, ASKED_PARAM, ASKED_HEADER = (
    at("the address of a request"),
    at("a refused parameter"),
    at("a header of a request"),
)
TOKEN = at("a token of the API")
PEOPLE = at("an apprise URL")


def declared(url: str) -> Any:
    @dag(params={"n": 1})
    def spilling() -> None:
        for number, place in enumerate(BODIES):
            spill.options(name=f"b{number}")(place=place, secret=Secret(REFS[place]))
        in_a_thread(secret=Secret(THREAD))
        apart(secret=Secret(PROCESS))
        by_lines(secret=Secret(LINES))
        makes()
        shell("said", 'echo "the token is $T"; printf %s "$T" | base64 -w0; exit 3', env={"T": Secret(SHELL)})
        shell("erred", 'echo "the token is $T" >&2; exit 3', env={"T": Secret(SHELL_ERROR)})
        fast: Any = {
            "poll_interval": timedelta(seconds=1),
            "timeout": timedelta(seconds=30),
            "json_path": "ok",
        }
        HttpSensor("bearer", url=f"{url}/asked", auth=Secret(BEARER), **fast)
        HttpSensor("basic", url=f"{url}/asked", auth=("u", Secret(BASIC)), **fast)
        HttpSensor("header", url=f"{url}/asked", headers={"X-Key": Secret(HEADER)}, **fast)
        HttpSensor("body", url=f"{url}/asked", method="POST", body={"k": Secret(BODY)}, **fast)
        HttpSensor("echo", url=f"{url}/echo", headers={"X-Key": Secret(ECHOED)}, **fast)
        KafkaOffsetSensor(
            "kafka", bootstrap="127.0.0.1:1", topic="t", offset=1, security={
                "protocol": "SASL_PLAINTEXT", "mechanism": "PLAIN", "username": "u", "password": Secret(KAFKA),
            },
        )  # fmt: skip
        ObjectSensor("store", url="s3://bucket/key", store={
            "endpoint": "http://127.0.0.1:1", "allow_http": "true", "access_key_id": "a", "secret_access_key": Secret(STORE),
        })  # fmt: skip

    return spilling


@asynccontextmanager
async def living(
    folder: Path, monkeypatch: pytest.MonkeyPatch, http_server: HttpServer
) -> AsyncIterator[tuple[Runtime, httpx.AsyncClient]]:
    """A service with all of these places, and somebody who asks it."""
    values = [value_of(number) for number in range(len(PLACES))]
    lines = PLACES.index("a secret of lines")
    values[lines] = (
        "-----BEGIN KEY-----\nc4nMIIEvQIBADANBgkqhkiG9w0B\nc4nAQEFAASCBKcwggSjAgEAAoIB\n-----END KEY-----"
    )
    for number, value in enumerate(values):
        monkeypatch.setenv(f"CANARY_{number}", value)
    path = quote(Secret(OUT_URL).resolve(), safe="")
    http_server.on(f"/{path}", reply(500, f"who is {Secret(OUT_SAID).resolve()}"))
    http_server.on("/asked", reply(200, {"ok": True}))
    http_server.on(
        "/echo", reply(500, f"no {Secret(ECHOED).resolve()}"), reply(200, {"ok": Secret(ECHOED).resolve()})
    )
    monkeypatch.setenv(OUT_URL.removeprefix("env:"), path)
    routes = [
        Route(Webhook(http_server.url(f"/{{{OUT_URL}}}"), Secret(OUT_SECRET)), name="out"),
        Route(f"json://127.0.0.1:1/{{{PEOPLE}}}", name="people"),
    ]
    hook = HookIn("push", dag="spilling", scheme=GitHub(Secret(IN_SECRET)), params={"n": "$.n"})
    dags = [declared(http_server.url("").rstrip("/"))]
    async with Runtime(folder / "bide.db", dags, hooks=[hook], notify=routes, capture_output=True) as rt:
        transport = httpx.ASGITransport(rt.asgi_for(Caller("ann")), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://bide") as client:
            yield rt, client


async def test_t17_a_canary_in_every_place_is_found_in_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http_server: HttpServer, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    said: dict[str, str] = {}
    async with living(tmp_path, monkeypatch, http_server) as (rt, client):
        run = await rt.trigger("spilling")
        token = (await rt.operations.tokens.create("ci", "read", None)).token
        async with asyncio.timeout(60):
            while {wait.task for wait in await rt.operations.waits()} != {"kafka", "store"}:
                await asyncio.sleep(0.02)
        await rt.operations.cancel(run.run_id)
        await run.wait(30)
        await quiet(rt)
        states = Counter(each.state for each in (await rt.operations.show(run.run_id)).tasks)
        await rt.operations.assets.invalidate(gold, version="1", reason="a trial", by="ann")
        await rt.settled()
        await rt.operations.evidence.open("a trial", invalidation="1", by="ann")
        said |= await from_outside(client)
        said |= await every_get(client)
        said |= files_of(tmp_path)
    out = capfd.readouterr()
    lines = [
        line.getMessage() for line in caplog.records if line.name not in {"httpx", "a.library"}
    ]  # what the test itself says
    said |= {"what was logged": "\n".join(lines), "stdout": out.out, "stderr": out.err}

    # the canaries did pass: a place that no secret has reached is clean as well
    assert states["failed"] >= 12, states
    assert states["success"] >= 10, states
    asked = [(each.headers.get("x-key"), each.headers.get("authorization")) for each in http_server.asked]
    assert {(Secret(HEADER).resolve(), None), (None, f"Bearer {Secret(BEARER).resolve()}")} <= set(asked)
    logs = "".join(text for where, text in said.items() if where.endswith("/logs"))
    assert logs.count("***") >= 20, logs
    assert {"bide.db", "bide.db-wal", "/metrics", "bundle/evidence.db", "bundle/incident.json"} <= {
        *said,
        *(Path(where).name for where in said),
    }

    assert found_in(said, token) == []
    assert len(set(PLACES)) == len(PLACES) >= 40


def files_of(folder: Path) -> dict[str, str]:
    """The database, its log as it is while the service lives, the logs of attempts."""
    return {str(path): path.read_bytes().decode("latin-1") for path in folder.rglob("*") if path.is_file()}


async def from_outside(client: httpx.AsyncClient) -> dict[str, str]:
    """What answers say to somebody who sends a secret, rightly and wrongly."""
    body = body_of({"n": 1})
    answers = {
        "a delivery": await client.post("/hooks/push", content=body, headers=github(body, "d-1", Secret(IN_SECRET).resolve())),
        "a forged delivery": await client.post("/hooks/push", content=body_of({"n": Secret(IN_FORGED).resolve()}),
            headers=github(body, "d-2", Secret(IN_FORGED).resolve())),
        "an address": await client.get(f"/api/v1/runs/{quote(Secret(ASKED_URL).resolve(), safe='')}"),
        "a query": await client.get("/api/v1/runs", params={"state": Secret(ASKED_URL).resolve()}),
        "a parameter": await client.post("/api/v1/dags/spilling/runs", json={"params": {"x": Secret(ASKED_PARAM).resolve()}}),
        "a value": await client.post("/api/v1/dags/spilling/runs", json={"params": {"n": Secret(ASKED_PARAM).resolve()}}),
        "a header": await client.get("/api/v1/dags", headers={"If-Match": Secret(ASKED_HEADER).resolve(), "Authorization": f"Bearer {Secret(TOKEN).resolve()}"}),
    }  # fmt: skip
    assert answers["a delivery"].is_success, answers["a delivery"].text
    assert [
        answers[name].is_success for name in ("a forged delivery", "an address", "a query", "a value")
    ] == [False] * 4
    return {name: answer.text + str(answer.headers) for name, answer in answers.items()}


async def every_get(client: httpx.AsyncClient) -> dict[str, str]:
    """The answers of every GET of the table, of what there is; the document, the metrics and a bundle besides."""
    known = {"dag": "spilling", "asset": "gold", "hook": "push"}
    found = {}
    for each in operations():
        if each.route.method != "GET":
            continue
        names = {one.said: known.get(one.said, "1") for one in each.of("path")}
        for name in [f"b{n}" for n in range(len(BODIES))] if "task" in names else [""]:
            path = each.path.replace(":path}", "}").format(**(names | {"task": name}))
            query = {"asset": "gold", "version": "1"} if each.name in ("blast", "versions") else {}
            answer = await client.get(path, params=query)
            found[path] = answer.text
    for task_name in ("in_a_thread", "apart", "by_lines", "said", "erred"):
        path = f"/api/v1/runs/1/tasks/{task_name}/logs"
        found[path] = (await client.get(path)).text
    bundle = base64.b64decode(json.loads(found["/api/v1/incidents/1/bundle"])["data"])
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        found |= {f"bundle/{name}": archive.read(name).decode("latin-1") for name in archive.namelist()}
    for path in ("/metrics", "/api/v1/openapi.json"):
        answer = await client.get(path)
        assert answer.status_code == 200, (path, answer.text)
        found[path] = answer.text
    return found


def found_in(said: dict[str, str], token: str) -> list[tuple[str, str]]:
    """(place, where it was found) of each canary, in any of its forms."""
    found = []
    for number, place in enumerate(PLACES):
        value = Secret(f"env:CANARY_{number}").resolve()
        parts = [line for line in value.splitlines() if "c4n" in line] or [value]
        forms = {
            form for part in parts
            for form in (part, quote(part, safe=""), json.dumps(part)[1:-1], b64(part).rstrip("="), b64(f"user:{part}")[6:-4], part.encode().hex())
        }  # fmt: skip
        found += [(place, where) for where, text in said.items() if any(form in text for form in forms)]
    found += [("the token", where) for where, text in said.items() if token in text]
    return found
