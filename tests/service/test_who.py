"""Tokens and the audit log: who may is kept as hashes, who did as a line in the transaction of what was done."""

from __future__ import annotations

import asyncio
import hmac
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bide import Param, Runtime, Secret, dag
from bide.runtime.errors import BideError, NotFoundError, RefusedError, UsageError
from bide.runtime.service.caller import Caller, acting, user_name
from bide.runtime.service.client import ServiceClient
from bide.runtime.service.http_server import serving
from bide.runtime.service.listen import Listener
from bide.runtime.service.masking import LIMIT, masked, target_of
from bide.runtime.service.token_shapes import AuditLine
from bide.runtime.service.tokens import TokenBook, UnknownTokenError, hash_of, new_token
from bide.testing import SimClock, SimRuntime, sim_runtime
from tests.service.doorstep import everything, one, quick


@pytest.fixture
async def sim(tmp_path: Path) -> AsyncIterator[SimRuntime]:
    async with sim_runtime([one()], clock=SimClock("2026-06-15"), db=tmp_path / "bide.db") as rt:
        yield rt


def book(rt: Any) -> TokenBook:
    found: TokenBook = rt._tokens
    return found


# --- tokens --------------------------------------------------------------------------------------


async def test_t17_a_token_lives_until_it_expires_and_no_longer(sim: SimRuntime) -> None:
    made = await sim.operations.tokens.create("ci", "run", "30d")
    assert made.expires_at == "2026-07-15T00:00:00Z"
    assert await book(sim).caller_of(made.token, "10.0.0.1") == Caller("ci", "http", "10.0.0.1", "run")
    await sim.clock.advance(30 * 86_400 - 1)
    assert (await book(sim).caller_of(made.token)).who == "ci"
    await sim.clock.advance(1)
    with pytest.raises(UnknownTokenError, match="'ci' is expired"):
        await book(sim).caller_of(made.token)
    [line] = await sim.operations.tokens.listed()
    assert (line.state, line.public, line.scope) == ("expired", made.public, "run")


async def test_t17_a_token_opens_nothing_from_its_revocation_on_and_its_name_is_free(sim: SimRuntime) -> None:
    ops = sim.operations.tokens
    first = await ops.create("ci", "admin")
    await book(sim).caller_of(first.token)
    with pytest.raises(RefusedError, match="there is a token 'ci' already"):
        await ops.create("ci", "read")
    await ops.revoke("ci")
    with pytest.raises(UnknownTokenError, match="is revoked"):
        await book(sim).caller_of(first.token)
    second = await ops.create("ci", "read")
    assert (await book(sim).caller_of(second.token)).scope == "read"
    with pytest.raises(UnknownTokenError):
        await book(sim).caller_of(first.token)
    assert [(line.name, line.state) for line in await ops.listed()] == [("ci", "revoked"), ("ci", "live")]
    await ops.revoke("ci")
    with pytest.raises(NotFoundError, match="there is no token 'ci' to revoke"):
        await ops.revoke("ci")


async def test_t17_words_that_make_no_token_are_refused_and_make_none(sim: SimRuntime) -> None:
    ops = sim.operations.tokens
    for name, scope, expires in [
        ("", "read", None), ("a b", "read", None), ("x" * 101, "read", None), ("../x", "read", None),
        ("a", "root", None), ("a", "", None), ("a", "read", "yesterday"), ("a", "read", "2020-01-01"),
        ("a", "read", "0s"), ("a", "read", "-1d"),
    ]:  # fmt: skip
        with pytest.raises(UsageError):
            await ops.create(name, scope, expires)
    assert await ops.listed() == []


async def test_t17_two_of_one_name_in_one_batch_make_one(sim: SimRuntime) -> None:
    done = await asyncio.gather(
        *(sim.operations.tokens.create("ci", "run") for _ in range(3)), return_exceptions=True
    )
    assert [type(each).__name__ for each in done] == ["TokenMade", "RefusedError", "RefusedError"]
    assert len(await sim.operations.tokens.listed()) == 1


async def test_t17_hashes_are_compared_in_constant_time_whether_the_token_is_known_or_not(
    sim: SimRuntime, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await sim.operations.tokens.create("ci", "run")
    compared: list[tuple[str, str]] = []
    real = hmac.compare_digest

    def watched(a: str, b: str) -> bool:
        compared.append((a, b))
        return real(a, b)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    wrong = made.token[:-1] + ("a" if made.token[-1] != "a" else "b")
    for shown in (made.token, wrong, new_token()[0], "nonsense"):
        before = len(compared)
        with pytest.raises(UnknownTokenError) if shown != made.token else acting(Caller("x")):
            await book(sim).caller_of(shown)
        assert len(compared) == before + 1
        assert compared[-1][0] == hash_of(shown)


def test_t17_tokens_are_256_random_bits_and_hashes_say_nothing_of_them() -> None:
    made = {new_token()[0] for _ in range(1_000)}
    assert len(made) == 1_000
    token, public = new_token()
    assert token.startswith(f"bide_{public}_")
    assert len(token) == len(f"bide_{public}_") + 43  # of 6 bits each
    assert len(hash_of(token)) == 64


async def test_t17_the_token_is_in_no_file_of_the_database_nor_in_any_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    async with Runtime(tmp_path / "bide.db", dags=[one()]) as rt:
        made = await rt.operations.tokens.create("ci", "run")
        await book(rt).caller_of(made.token)
        await rt.operations.tokens.revoke("ci")
        kept = everything(tmp_path)
    kept += everything(tmp_path)
    secret = made.token[len(f"bide_{made.public}_") :]
    assert made.public.encode() in kept
    assert secret.encode() not in kept
    assert secret not in caplog.text


# --- the audit log -------------------------------------------------------------------------------


async def test_t17_every_command_leaves_a_line_those_that_are_refused_as_well(sim: SimRuntime) -> None:
    with acting(Caller("ann", "http", "10.0.0.1", "run")):
        run = await sim.trigger("one", params={})
        with pytest.raises(NotFoundError):
            await sim.trigger("nope")
    await run.wait()
    with pytest.raises(RefusedError):
        await run.cancel()
    lines = await sim.operations.audit()
    assert [(x.who, x.via, x.address, x.verb, x.target, x.outcome) for x in lines] == [
        ("python", "python", "", "cancel", f"run {run.run_id}", "refused"),
        ("ann", "http", "10.0.0.1", "trigger", "dag nope", "refused"),
        ("ann", "http", "10.0.0.1", "trigger", "dag one", "ok"),
    ]
    assert "over already" in lines[0].message
    assert lines[2].message == ""


async def test_t17_the_line_is_of_the_very_transaction_of_what_it_tells_of(sim: SimRuntime) -> None:
    seen: list[tuple[int, int]] = []
    sim._shell.listeners.append(lambda changes: seen.append((len(changes.runs_new), len(changes.audit))))
    await sim.trigger("one")
    assert [each for each in seen if any(each)] == [(1, 1)]


async def test_t17_the_same_key_again_is_told_as_such_and_does_nothing(sim: SimRuntime) -> None:
    for _ in range(2):
        await sim.trigger("one", key="k")
    again, first = await sim.operations.audit()
    assert (first.message, again.outcome) == ("", "ok")
    assert "answered as before" in again.message
    assert len(await sim.operations.runs()) == 1


async def test_t17_the_log_is_asked_by_time_person_command_and_outcome(sim: SimRuntime) -> None:
    for who in ("ann", "bob", "ann"):
        with acting(Caller(who)):
            await sim.operations.pause("one")
        await sim.clock.advance(3600)
    ops = sim.operations
    with pytest.raises(BideError):
        await ops.cancel("99")

    def ids(lines: list[AuditLine]) -> list[int]:
        return [int(line.id) for line in lines]

    assert ids(await ops.audit()) == [4, 3, 2, 1]
    assert ids(await ops.audit(limit=2)) == [4, 3]
    assert ids(await ops.audit(before="3")) == [2, 1]
    assert ids(await ops.audit(who="ann")) == [3, 1]
    assert ids(await ops.audit(verb="cancel")) == [4]
    assert ids(await ops.audit(outcome="ok")) == [3, 2, 1]
    assert ids(await ops.audit(since="90m")) == [4, 3]
    assert ids(await ops.audit(since="2026-06-15T01:00:00Z")) == [4, 3, 2]
    wrongs: list[dict[str, Any]] = [{"outcome": "maybe"}, {"since": "long ago"}, {"limit": 0}]
    for wrong in wrongs:
        with pytest.raises(UsageError):
            await ops.audit(**wrong)


async def test_t17_over_the_socket_it_is_the_kernel_that_says_who_asks(tmp_path: Path) -> None:
    import os
    import pwd

    db = tmp_path / "bide.db"
    listener = Listener(tmp_path / "s")
    async with Runtime(db, dags=[one()]) as rt, serving(listener.socket, rt.asgi):
        client: Any = ServiceClient(listener.path, db)
        await asyncio.to_thread(lambda: asyncio.run(client.trigger("one")))
        [line] = await rt.operations.audit()
    listener.close()
    assert line.who == pwd.getpwuid(os.geteuid()).pw_name
    assert (line.via, line.address) == ("socket", f"pid {os.getpid()}")


async def test_t17_killed_anywhere_the_line_and_the_change_are_both_there_or_neither(tmp_path: Path) -> None:
    """The two are one commit: each image of the database between two commits has both, or none."""
    db = tmp_path / "bide.db"
    counts: list[tuple[int, int]] = []
    async with Runtime(db, dags=[one()]) as rt:

        def look(step: str) -> None:
            with closing(sqlite3.connect(f"file:{db}?mode=ro", uri=True)) as conn:
                runs = conn.execute("SELECT count(*) FROM run").fetchone()[0]
                counts.append((runs, conn.execute("SELECT count(*) FROM audit").fetchone()[0]))

        cast("Any", rt.store).hook = look  # called before each step of each commit
        await asyncio.gather(*(rt.trigger("one", params={}) for _ in range(5)))
        await rt.settled()
    assert counts
    assert all(runs == lines for runs, lines in counts), counts


def test_a_user_is_looked_up_once_however_often_a_door_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    import pwd

    asked: list[int] = []

    def slow(uid: int) -> Any:
        asked.append(uid)
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", slow)
    assert [user_name(4_000_000_001) for _ in range(3)] == ["uid 4000000001"] * 3
    assert asked == [4_000_000_001]


# --- masking -------------------------------------------------------------------------------------


def test_t17_what_is_a_secret_by_its_name_its_value_or_its_place_is_masked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CANARY", "c4n4ry-value")
    Secret("env:CANARY").resolve()
    said = masked(
        {
            "dag": "etl",
            "params": {
                "password": "hunter2", "db_passwd": "hunter2", "API-Key": ["hunter2"], "nested": {"authToken": "hunter2"},
                "url": "postgres://me:hunter2@db/x", "at": "postgres://me:p@hunter2@db/x", "pin_token": 1, "text": "is c4n4ry-value here", "c4n4ry-value": 1,
                "long": "x" * 499 + "c4n4ry-value" + "x" * 500, "endless": "c4n4ry-value" * 10_000, "path": "/in/a",
                "rows": 12,
            },
        }
    )  # fmt: skip
    assert "hunter2" not in said
    assert "c4n4ry" not in said
    found = msgspec.json.decode(said)["params"]
    assert (found["path"], found["rows"], found["url"]) == ("/in/a", 12, "postgres://***@db/x")
    assert (found["at"], found["pin_token"]) == ("postgres://***@db/x", "***")


@pytest.mark.parametrize("given", ["hunter2", {"password": "hunter2"}])
async def test_t17_a_refusal_does_not_put_into_the_audit_log_what_its_arguments_hide(
    tmp_path: Path, given: Any
) -> None:
    @dag(params={"password": Param(type=str, max_length=3), "login": Param(type=str)})
    def guarded() -> None:
        quick()

    async with Runtime(tmp_path / "bide.db", dags=[guarded()]) as rt:
        for name in ("password", "login") if isinstance(given, dict) else ("password",):
            with pytest.raises(UsageError, match=f"the parameter '{name}'") as refused:
                await rt.trigger("guarded", params={"password": "abc", "login": "x", name: given})
            assert "hunter2" not in str(refused.value)
        assert "hunter2" not in str(await rt.operations.audit())
    assert b"hunter2" not in everything(tmp_path)


JSONS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=9), inner, max_size=5),
    max_leaves=40,
)


@given(st.dictionaries(st.text(), JSONS, max_size=8))
@settings(max_examples=60, deadline=None)
def test_t14_whatever_was_given_is_told_as_json_of_bounded_length(args: dict[str, Any]) -> None:
    said = masked(args)
    assert len(said) <= LIMIT * 2
    assert isinstance(msgspec.json.decode(said), dict)
    assert len(target_of("x", args)) <= 220
    said.encode()


def test_t14_a_large_argument_costs_no_time() -> None:
    args = {"params": {str(n): "x" * 1_000 for n in range(10_000)}, "deep": None}
    deep: Any = []
    for _ in range(500):
        deep = [deep]
    said = masked({**args, "deep": deep})
    assert len(said) <= LIMIT
