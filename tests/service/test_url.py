"""`--url`: every command may ask a service elsewhere; the token goes with it, and is never on the command line."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from bide.runtime.cli.main import run
from bide.runtime.errors import NotFoundError, UsageError
from bide.runtime.service.api import make_app
from bide.runtime.service.http_server import serving
from bide.runtime.service.operations import Operations
from bide.runtime.service.places import meant, settings
from bide.runtime.service.wire import UrlWire, token_of
from bide.runtime.store.reader import AsyncReader
from tests.service.test_operations import Book, FixedClock

Typed = tuple[int, str, str]


class There:
    """A service at an address, below `/bide` as a guest mounts it; `told` is what came with each request."""

    def __init__(self, app: ASGIApp, url: str, door: Book, capsys: pytest.CaptureFixture[str]) -> None:
        self._app, self.url, self.door, self._capsys = app, url, door, capsys
        self.told: list[dict[bytes, bytes]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.told.append(dict(scope["headers"]))
        await self._app({**scope, "path": scope["path"].removeprefix("/bide")}, receive, send)

    async def type(self, *words: str) -> Typed:
        code = await asyncio.to_thread(run, list(words))
        out, err = self._capsys.readouterr()
        return code, out, err


@pytest.fixture
async def there(
    db: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> AsyncIterator[There]:
    for name in ("BIDE_DB", "BIDE_URL", "BIDE_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    reader, door = AsyncReader(db), Book()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        app = make_app(Operations(db, reader, door, FixedClock()), lambda: "")
        one = There(app, f"http://127.0.0.1:{listener.getsockname()[1]}/bide", door, capsys)
        async with serving(listener, one):
            yield one
    reader.close()


async def both(there: There, db: Path, *words: str) -> tuple[Any, Any]:
    far = await there.type(*words, "--json", "--url", there.url)
    near = await there.type(*words, "--json", "--db", str(db))
    assert (far[0], near[0]) == (0, 0), (far, near)
    return json.loads(far[1]), json.loads(near[1])


@pytest.mark.parametrize(
    "words",
    [("dags",), ("runs", "etl"), ("show", "3"), ("waits",), ("alerts",), ("backfill", "list"), ("assets",)],
    ids=" ".join,
)
async def test_an_address_answers_as_the_database_does(there: There, db: Path, words: Sequence[str]) -> None:
    far, near = await both(there, db, *words)
    assert far == near


async def test_commands_go_there_and_errors_keep_their_exit_codes(there: There) -> None:
    assert (await there.type("cancel", "2", "--url", there.url))[0] == 0
    assert there.door.told == [("cancel", {"run_id": 2})]
    assert (await there.type("show", "99", "--url", there.url))[0] == 3
    assert (await there.type("show", "x", "--url", there.url))[0] == 2
    code, _, err = await there.type("dags", "--url", there.url.replace("/bide", "/nobody"))
    assert code == 3
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("trigger", ""), 2, "the name of the dag is empty"),
        (("logs", "1/load/x"), 3, "there is no task 'load/x'"),
        (("runs", "--limit", "0"), 2, "--limit is out of its bounds: use 1 or more"),
        (("stats", "--last", "0"), 2, "--last is out of its bounds: use 1 or more"),
    ],
    ids=str,
)
async def test_what_a_service_refuses_is_said_in_the_words_of_the_command(
    there: There, words: Sequence[str], code: int, says: str
) -> None:
    ended, _, err = await there.type(*words, "--url", there.url)
    assert (ended, says in err, "/api/v1" in err) == (code, True, False), err


async def test_the_token_of_the_environment_or_a_file_goes_along(
    there: There, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    await there.type("dags", "--url", there.url)
    assert b"authorization" not in there.told[-1]
    monkeypatch.setenv("BIDE_URL", there.url)
    monkeypatch.setenv("BIDE_TOKEN", "bide_one")
    await there.type("dags")
    assert there.told[-1][b"authorization"] == b"Bearer bide_one"
    (tmp_path / "token").write_text("bide_two\n")
    await there.type("dags", "--token-file", str(tmp_path / "token"))
    assert there.told[-1][b"authorization"] == b"Bearer bide_two"


async def test_nobody_at_the_address_is_out_of_reach(there: There) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, and nobody listens
        code, out, err = await there.type("runs", "--url", f"http://127.0.0.1:{taken.getsockname()[1]}")
    assert (code, out) == (5, "")
    assert "does not answer" in err


@pytest.mark.parametrize(
    "url",
    [
        "",
        "foo",
        "ftp://a",
        "http://",
        "http://a:b@c",
        "http://a:99999",
        "http://a?x=1",
        "http://a#b",
        "http://ä b",
    ],
)
def test_an_address_that_is_none_is_told_and_no_password_is_shown(url: str) -> None:
    with pytest.raises(UsageError) as error:
        UrlWire(meant(db=None, url=url, token_file=None).url or "", None)
    assert "--url is" in str(error.value)
    assert "a:b@" not in str(error.value)


def test_of_an_address_and_a_database_the_closer_counts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("BIDE_DB", "BIDE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bide.toml").write_text('url = "http://file"\n')
    assert meant(db=None, url=None, token_file=None).url == "http://file"
    monkeypatch.setenv("BIDE_DB", "x.db")
    assert meant(db=None, url=None, token_file=None).url is None
    monkeypatch.setenv("BIDE_URL", "http://env")
    assert meant(db=None, url=None, token_file=None).url == "http://env"
    assert meant(db="y.db", url=None, token_file=None).url is None
    assert meant(db=None, url="http://flag", token_file=None).url == "http://flag"
    with pytest.raises(UsageError, match="two places"):
        meant(db="y.db", url="http://flag", token_file=None)


def test_what_works_on_a_database_takes_no_address() -> None:
    from bide.runtime.cli.asking import Where

    assert settings(db=Where(db="x.db")).db == "x.db"
    with pytest.raises(UsageError, match="where it stands"):
        settings(db=Where(url="http://a"))


def test_a_token_that_is_none_is_told_and_not_shown(tmp_path: Path) -> None:
    (tmp_path / "bad").write_text("two words")
    with pytest.raises(UsageError, match="holds no token") as error:
        token_of({}, str(tmp_path / "bad"))
    assert "two words" not in str(error.value)
    with pytest.raises(UsageError, match="BIDE_TOKEN holds no token"):
        token_of({"BIDE_TOKEN": "a\r\nX-Evil: 1"}, None)
    with pytest.raises(NotFoundError, match="bide token create"):
        token_of({}, str(tmp_path / "none"))
    assert token_of({}, None) is None
