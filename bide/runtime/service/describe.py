"""Stored schedules, triggers and errors in words. Never raises: what cannot be read is shown as it is."""

from __future__ import annotations

from typing import Any

import msgspec

from bide.runtime import typed
from bide.runtime.engine.explain import starts_when
from bide.runtime.engine.states import State
from bide.runtime.errors import BideError
from bide.runtime.graph.spec import DagSpec, Lane, Role, TaskSpec
from bide.runtime.schedules.promise import Promise


def schedule_words(stored: str) -> str:
    """A schedule as the database holds it, in words."""
    from bide.runtime.schedules import schedule_from_json

    try:
        return schedule_from_json(stored).describe()
    except BideError:
        return stored


class _Options(msgspec.Struct):
    deadline_alert: Promise | None = None


def promise_in(options: str) -> Promise | None:
    """What the options of a DAG, as the database holds them, say of when a run of it is late."""
    return typed.decode(options, _Options).deadline_alert


def promised(promise: Promise | None, tz: str) -> str | None:
    """`by 05:45 Europe/Berlin`, or `within 2:00:00`."""
    return None if promise is None else promise.describe(tz)


def trigger_words(kind: str, stored: str) -> tuple[str, str]:
    """What is waited for, and what sees it. Both begin with the kind where the words do not.

    >>> trigger_words("time", '{"kind": "time", "at_us": 1781481600000000}')
    ('time 2026-06-15T00:00:00+00:00', 'time')
    """
    from bide.triggers import decode_trigger

    try:
        trigger = decode_trigger(stored.encode())
        what, source = trigger.describe(), _key_words(trigger.source_key())
    except (BideError, TypeError, ValueError, AttributeError):  # of a kind that is not installed, or newer
        return kind, kind
    return (what if what.startswith(kind) else f"{kind} {what}"), source


def _key_words(key: Any) -> str:
    parts = key if isinstance(key, tuple) else (key,)
    return " ".join(str(part) for part in parts if part not in (None, ""))


def error_words(stored: str | None) -> str:
    """The message of a stored failure, whether it is a text or a JSON object with a message."""
    if not stored or not stored.startswith("{"):
        return stored or ""
    try:
        fields = msgspec.json.decode(stored)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return stored
    return str(fields.get("message", stored)) if isinstance(fields, dict) else stored


def nodes_beside(stored: str) -> dict[str, TaskSpec]:
    """The handlers and callbacks of a graph as the database holds it. Nothing is decoded where there are none."""
    if '"role":' not in stored:
        return {}
    spec = typed.decode(stored, DagSpec)
    return {task.name: task for task in spec.tasks if task.role is not Role.TASK}


def standing_by(reason: str, state: State, beside: TaskSpec | None) -> str:
    """The reason of an instance; of a handler or callback that has not started: when it will."""
    return starts_when(beside) if beside is not None and state is State.PENDING and not reason else reason


def does(task: TaskSpec) -> str:
    """What a task is, in a word."""
    if task.role is not Role.TASK:
        return task.role.value
    if task.lane is Lane.PERSON:
        return "approval"
    if task.effect is not None:
        return "effect"
    if task.lane is Lane.WAIT:
        return "sensor"
    marks = (("branch", task.branch), ("set-up", task.setup), ("tear-down", task.teardown))
    return next((word for word, is_so in marks if is_so), "command" if task.lane is Lane.SHELL else "task")
