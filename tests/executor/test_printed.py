"""What bodies print and log the usual way stands in their logs, and a guest's streams are its own."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

import pytest

from bide import Runtime, dag, task
from bide.runtime.executor.printed import Routed, recorded, routed

log = logging.getLogger("shop.orders")


@task
async def first() -> None:
    print("one", end=" ")
    await asyncio.sleep(0)
    print("two")
    print("to stderr", file=sys.stderr)
    print("50 %", end="\r")
    print("100 %")
    print("no line break", end="")


@task
async def second() -> None:
    print("three", flush=True)
    await asyncio.create_task(below())
    log.info("kept %d", 7)
    logging.getLogger("shop").debug("too fine")
    try:
        raise OSError("no route")
    except OSError:
        log.exception("lost")
    assert not sys.stdout.isatty()


async def below() -> None:
    print("from a task of its own")


@task
def in_a_thread() -> None:
    print("four")
    log.warning("hot")


@dag
def talking() -> None:
    first()
    second()
    in_a_thread()


async def logs_of(tmp_path: Path, *, capture: bool) -> dict[str, list[str]]:
    async with Runtime(tmp_path / "bide.db", [talking], capture_output=capture) as rt:
        run = await rt.trigger("talking")
        assert (await run.wait(20)).ok
        read = rt.operations.logs
        texts = {name: (await read(run.run_id, name)).text for name in talking.tasks}
    return {name: [line[28:] for line in text.splitlines()] for name, text in texts.items()}


async def test_what_tasks_print_stands_in_their_own_logs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout, sys.stderr
    logs = await logs_of(tmp_path, capture=True)
    assert logs["first"] == [
        "INFO one two", "STDERR to stderr", "INFO 100 %", "INFO no line break",
    ]  # fmt: skip
    assert logs["second"] == ["INFO three", "INFO from a task of its own"]
    assert logs["in_a_thread"] == ["INFO four"]
    assert (sys.stdout, sys.stderr) == before
    assert "one two" not in capsys.readouterr().out


async def test_a_guest_leaves_the_streams_of_its_host_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = await logs_of(tmp_path, capture=False)
    assert logs == {"first": [], "second": [], "in_a_thread": []}
    assert "from a task of its own\n" in capsys.readouterr().out


async def test_records_of_bodies_go_to_their_logs_and_no_others(tmp_path: Path) -> None:
    root = logging.root
    before = root.level, list(root.handlers)
    with recorded():
        logging.getLogger("elsewhere").info("of no body")
        logs = await logs_of(tmp_path, capture=False)
    assert (root.level, list(root.handlers)) == before
    assert logs["second"][:2] == ["INFO shop.orders: kept 7", "ERROR shop.orders: lost"]
    assert logs["second"][-1] == "ERROR OSError: no route"
    assert not [
        line for lines in logs.values() for line in lines if "of no body" in line or "too fine" in line
    ]
    assert logs["in_a_thread"] == ["WARNING shop.orders: hot"]


def test_without_a_body_all_goes_where_it_went(capsys: pytest.CaptureFixture[str]) -> None:
    with routed():
        assert isinstance(sys.stdout, Routed)
        inner: Routed = sys.stdout
        with routed():
            assert sys.stdout is inner
        print("plain")
        sys.stdout.writelines(["a\n", "b\n"])
        assert inner.encoding == inner.under.encoding
    assert capsys.readouterr().out == "plain\na\nb\n"


def test_a_warning_of_nobody_still_reaches_stderr_where_there_was_no_handler(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.root, "handlers", [])
    with recorded():
        log.warning("seen")
        log.info("not seen")
    assert capsys.readouterr().err == "seen\n"


async def test_echo_is_told_of_lines_of_bodies_redacted(tmp_path: Path) -> None:
    told: list[str] = []
    async with Runtime(
        tmp_path / "bide.db", [talking], capture_output=True, echo=lambda _a, _t, text: told.append(text)
    ) as rt:
        await (await rt.trigger("talking")).wait(20)
    assert {"one two", "three", "four"} <= set(told)
