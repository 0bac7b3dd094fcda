"""The table of doors: every operation has its route, and the terminal asks for nothing that has none."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Route

import bide
from bide import Asset, Runtime
from bide.runtime.errors import UsageError
from bide.runtime.service.client import ServiceClient, request
from bide.runtime.service.doors import ROOMS, Doors
from bide.runtime.service.given import given
from bide.runtime.service.openapi import document
from bide.runtime.service.operations import Operations
from bide.runtime.service.route import SCOPES
from bide.runtime.service.said import said
from bide.runtime.service.scopes import scoped, scopes_of
from bide.runtime.service.shapes import Interval
from bide.runtime.service.table import Operation, operation, operations, protocol
from tests.service.test_operations import Book, FixedClock

TABLE = tuple(operations())
CLI = Path(bide.__file__).parent / "runtime" / "cli"


def made_for(of: Operation) -> dict[str, Any]:
    """A value of each parameter, none of them the default."""
    found: dict[str, Any] = {}
    for each in of.parameters:
        if of.route.pages and each.name == "before":
            found[each.name] = "12"
        elif each.struct is not None:
            found[each.name] = each.struct(**{name: f"a {name}" for name in ("dag", "from_", "to")})
        else:
            kinds = str(each.type)
            found[each.name] = (
                (f"{each.name} 1", "ü/2")
                if "tuple" in kinds or "Sequence" in kinds
                else {"deep": [1, None, "x"]}
                if "dict" in kinds or each.type is Any
                else (not each.default)
                if "bool" in kinds
                else 7
                if "int" in kinds
                else f"a/{each.name}?&=% ü"
            )
    return found


def test_every_public_method_of_the_protocols_has_a_route() -> None:
    for room in ("", *ROOMS):
        of = protocol(room)
        names = [name for name, _ in inspect.getmembers(of, inspect.isfunction) if not name.startswith("_")]
        of_routes = [
            "answered",
            "has_commanded",
            "keep_answer",
            "revision",
        ]  # asked by the routes, and none themselves
        beside = of_routes if not room else []
        assert [name for name in names if operation(room, name) is None] == beside
    rooms = {name for name, _ in inspect.getmembers(Doors, lambda each: isinstance(each, property))}
    assert rooms - {"held"} == set(ROOMS)


def test_every_route_has_its_operation_behind_it(tmp_path: Path) -> None:
    ops = Operations(tmp_path, Any, Book(), FixedClock())  # type: ignore[arg-type]
    for each in TABLE:
        room = getattr(ops, each.room) if each.room else ops
        taken = inspect.signature(getattr(room, each.name)).parameters
        for one in each.parameters:
            assert one.name in taken, f"{each.id} takes no {one.name}"
            default = taken[one.name].default
            assert default == (inspect.Parameter.empty if one.default is msgspec.NODEFAULT else one.default)
        says = getattr(protocol(each.room), each.name).__annotations__["return"]
        assert getattr(type(room), each.name).__annotations__["return"] == says, each.id


def test_routes_are_told_apart_and_say_their_scope_and_what_they_are() -> None:
    assert len({(each.route.method, each.path) for each in TABLE}) == len(TABLE)
    assert len({each.id for each in TABLE}) == len(TABLE)
    for each in TABLE:
        assert each.route.scope in SCOPES
        assert each.doc.partition("\n")[0].endswith("."), f"{each.id} says in no sentence what it does"
        if each.route.method == "GET":
            assert each.route.scope == (
                "admin" if each.id in ("audit", "audit_shown", "tokens_listed") else "read"
            )
            assert each.body is None


def test_the_terminal_asks_for_nothing_that_has_no_route() -> None:
    asked = set()
    for file in CLI.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Attribute):
                words = ast.unparse(node).split(".")
                if words[0] in ("ops", "open_doors") and len(words) in (2, 3):
                    asked.add(tuple(words[1:]))
    known = {(each.room, each.name) if each.room else (each.name,) for each in TABLE}
    assert asked - known - {(room,) for room in ROOMS} - {("held",)} == set()
    assert len(asked) > 40


@pytest.mark.parametrize("each", TABLE, ids=lambda each: each.id)
def test_what_the_client_says_is_what_the_operation_is_given(each: Operation) -> None:
    meant = made_for(each)
    path, body, headers = request(each, meant)
    app = Starlette()
    app.add_route(each.path, lambda _: None, methods=[each.route.method])  # type: ignore[arg-type, return-value]
    bare, _, query = path.partition("?")
    _, scope = app.routes[0].matches({"type": "http", "method": each.route.method, "path": unquote(bare)})
    if not scope:  # a slash in a name that may have none: the socket's path has no room for it
        meant = {
            name: value.replace("/", "-") if isinstance(value, str) else value
            for name, value in meant.items()
        }
        path, body, headers = request(each, meant)
        bare, _, query = path.partition("?")
        _, scope = app.routes[0].matches({"type": "http", "method": each.route.method, "path": unquote(bare)})
    got = given(each, scope["path_params"], parse_qsl(query), headers, body or b"")
    assert msgspec.json.encode(got) == msgspec.json.encode(meant)


def test_defaults_and_nulls_go_over_as_they_are() -> None:
    for each in TABLE:
        meant = made_for(each)
        for one in each.parameters:
            if one.default is not msgspec.NODEFAULT:
                meant[one.name] = one.default
        path, body, headers = request(each, meant)
        _, _, query = path.partition("?")
        assert bool(query) == any(one.default is msgspec.NODEFAULT for one in each.of("query"))
        named = {
            one.said: str(one.null if meant[one.name] is None else meant[one.name]) for one in each.of("path")
        }
        got = given(each, named, parse_qsl(query), headers, body or b"")
        for one in each.parameters:
            assert msgspec.json.encode(got[one.name]) == msgspec.json.encode(meant[one.name])
    listed = operation("approvals", "listed")
    assert listed is not None
    assert (
        request(listed, {"state": None, "run": None, "limit": 100, "before": None})[0]
        == "/api/v1/approvals?state=all"
    )
    assert given(listed, {}, [("state", "all")], {}, b"")["state"] is None
    approve = operation("approvals", "approve")
    assert approve is not None
    assert request(approve, {"approval": None, "by": "a", "why": "b"})[0] == "/api/v1/approvals/only/approve"


@pytest.mark.parametrize(
    ("query", "body", "says"),
    [
        ([("limit", "3")], b"", "no query"),
        ([], b"[]", "body"),
        ([], b'{"logical_date": 3}', "logical_date"),
        ([], b'{"parms": {}}', "unknown field `parms`"),
        ([], b'{"params": {"a": ' + b"[" * 70 + b"]" * 70 + b"}}", "levels deep"),
        ([], b'{"params": {"a": ' + b"[" * 9000, "levels deep"),
        ([], b'{"params": {"a": 18446744073709551616}}', "64 bits"),
        ([], b'{"params": {"a": 1e999}}', "range"),
        ([], b'{"logical_date": "' + b"x" * 1001 + b'"}', "length <= 1000"),
        ([], b"\xff\xfe", "body"),
    ],
)
def test_what_is_too_much_or_unknown_is_told(query: list[tuple[str, str]], body: bytes, says: str) -> None:
    trigger = operation("", "trigger")
    assert trigger is not None
    with pytest.raises(UsageError, match=says):
        given(trigger, {"dag": "etl"}, query, {}, body)


def test_a_name_that_is_said_twice_or_is_none_is_told() -> None:
    runs = operation("", "runs")
    assert runs is not None
    with pytest.raises(UsageError, match="'limit' is said twice"):
        given(runs, {}, [("limit", "3"), ("limit", "4")], {}, b"")
    with pytest.raises(UsageError, match="unknown field `stat`"):
        given(runs, {}, [("stat", "failed")], {}, b"")


def test_values_are_said_as_the_operations_read_them() -> None:
    assert said(Asset("a/b")) == "a/b"
    assert said((date(2026, 6, 1), date(2026, 6, 2))) == "2026-06-01..2026-06-02"
    assert said(datetime(2026, 6, 1, tzinfo=UTC)) == "2026-06-01T00:00:00+00:00"
    assert said(Interval(start="2026-06-01", end="2026-06-02")) == "2026-06-01..2026-06-02"
    assert said({"a": (1, 2)}) == {"a": [1, 2]}


async def the_app(db: Path) -> FastAPI:
    """That of a runtime, without what stands before it."""
    async with Runtime(db) as rt:
        app: Any = rt.asgi.now()
        while not isinstance(app, FastAPI):
            app = app.app
        return app


async def test_the_document_has_every_path_of_a_runtime_with_what_it_needs_and_gives(tmp_path: Path) -> None:
    app = await the_app(tmp_path / "bide.db")
    found = document(app)
    assert found["openapi"].startswith("3.1")
    for each in TABLE:
        at = found["paths"][each.path.replace(":path}", "}")][each.route.method.lower()]
        assert (at["operationId"], at["x-bide-scope"]) == (each.id, each.route.scope)
        assert at["security"] == [{"token": [each.route.scope]}, {}]
        assert at["summary"]
        assert at["responses"][str(each.route.status)]["content"]["application/json"]["schema"]
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', msgspec.json.encode(found).decode()))
    assert named == set(found["components"]["schemas"])
    for path in found["paths"].values():
        for at in path.values():
            assert (
                "422" not in at["responses"]
                or "application/problem+json" in at["responses"]["422"]["content"]
            )


async def test_every_path_of_the_app_says_its_scope_but_the_open_ones(tmp_path: Path) -> None:
    app = await the_app(tmp_path / "bide.db")
    scopes = scopes_of(app)
    unsaid = {
        (method, route.path)
        for route in app.routes
        if isinstance(route, Route)
        for method in (route.methods or set()) - {"HEAD"}
        if (method, route.path) not in scopes.said
    }
    unsaid.discard(("POST", "/hooks/{name}"))  # it asks for a signature in place of a token
    assert unsaid == {("GET", path) for path in ("/healthz", "/livez", "/readyz", "/startupz")}
    assert scopes.of("GET", "/api/v1/assets/a/b/c") == "read"
    assert scopes.of("HEAD", "/api/v1/runs") == "read"
    assert scopes.of("POST", "/api/v1/dags/etl/runs") == "run"
    assert scopes.of("POST", "/api/v1/approvals/3/approve") == "admin"
    assert scopes.of("DELETE", "/api/v1/runs") is None
    assert scopes.of("POST", "/api/v1/dags/a/b/runs") is None
    scoped(app, "GET", "/metrics", "read")
    assert scopes.of("GET", "/metrics") == "read"


def test_a_name_without_a_route_is_no_operation_of_the_client(tmp_path: Path) -> None:
    client = ServiceClient(tmp_path / "s", tmp_path / "db")
    with pytest.raises(AttributeError, match="no operation 'nonsense'"):
        client.nonsense()
    with pytest.raises(AttributeError, match="no operation 'made'"):
        client.assets.made("x", 1)
