"""An app that is made when it is asked: once, in no thread that stays, and never in the loop that asks."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

from bide.runtime.service.later_app import LaterApp


async def app(scope: Any, receive: Any, send: Any) -> None:
    await send(scope["path"])


async def test_p16_it_is_made_once_in_a_thread_that_ends_however_many_ask_at_once() -> None:
    made: list[str] = []
    told: list[str] = []

    def make() -> Any:
        made.append(threading.current_thread().name)
        return app

    async def send(message: Any) -> None:
        told.append(message)

    before = set(threading.enumerate())
    later = LaterApp(make)
    await asyncio.gather(*(later({"path": str(n)}, None, send) for n in range(5)))  # type: ignore[arg-type]
    assert (len(made), sorted(told)) == (1, list("01234"))
    assert threading.current_thread().name not in made
    for thread in set(threading.enumerate()) - before:
        thread.join(5)
    assert set(threading.enumerate()) == before
    assert later.now() is app


async def test_what_goes_wrong_in_the_making_is_told_to_who_asks() -> None:
    def make() -> Any:
        raise ImportError("no web framework")

    with pytest.raises(ImportError, match="no web framework"):
        await LaterApp(make)({"path": ""}, None, None)  # type: ignore[arg-type]
