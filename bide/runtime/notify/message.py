"""What a notice says: to people a title and a text, to programs JSON. Pure; made once, at the first attempt."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from bide.runtime.engine.raising import iso
from bide.runtime.notify.routes import KIND_OF
from bide.runtime.store.notice_rows import AlertRead, DueRead

SHOWN: Final = 20
"""Alerts that a notice names; the others are counted."""
TEXT_LIMIT: Final = 2_000
PAYLOAD_LIMIT: Final = 16 * 1024
Redact = Callable[[str], str]


class Message(msgspec.Struct, frozen=True):
    """`alerts` are the newest of what it stands for, oldest first. `id` is the same at every attempt, and no other's."""

    id: str
    title: str
    text: str
    alerts: list[dict[str, Any]] = []


def message_of(number: str, notice: DueRead, alerts: Sequence[AlertRead], redact: Redact) -> Message:
    """No secret that was ever resolved in this process stands in it."""
    lines = [_cut(each.text) for each in alerts]
    left = notice.count - len(alerts)
    if left > 0:
        lines.insert(
            0,
            f"{notice.count} alerts, the last {len(alerts)} of them:" if alerts else f"{notice.count} alerts",
        )
    return Message(
        number,
        redact(notice.title),
        redact("\n".join(lines) or notice.title),
        [_alert(each, redact) for each in alerts],
    )


def body_of(notice: DueRead, message: Message) -> bytes:
    """The body of a webhook: `{"type": "bide.failure", "timestamp": ..., "data": {...}}`. The same at every attempt."""
    kind = KIND_OF.get(notice.kind, notice.kind)
    data: dict[str, Any] = {
        "notice": str(notice.notice_id),
        "route": notice.route,
        "kind": kind,
        "severity": notice.severity,
        "count": notice.count,
        "title": message.title,
        "text": message.text,
        "alerts": message.alerts,
    }
    return msgspec.json.encode({"type": f"bide.{kind}", "timestamp": iso(notice.made_us), "data": data})


def _alert(alert: AlertRead, redact: Redact) -> dict[str, Any]:
    payload = alert.payload if len(alert.payload) <= PAYLOAD_LIMIT else "null"
    return {
        "id": str(alert.alert_id),
        "kind": KIND_OF.get(alert.kind, alert.kind),
        "subject": alert.subject,
        "severity": alert.severity,
        "owners": msgspec.json.decode(alert.owners),
        "tags": msgspec.json.decode(alert.tags),
        "run_id": None if alert.run_id is None else str(alert.run_id),
        "fired": iso(alert.fired_us),
        "text": redact(_cut(alert.text)),
        "payload": _redacted(msgspec.json.decode(payload), redact),
    }


def _redacted(value: Any, redact: Redact) -> Any:
    match value:
        case str():
            return redact(value)
        case list():
            return [_redacted(each, redact) for each in value]
        case dict():
            return {name: _redacted(each, redact) for name, each in value.items()}
        case _:
            return value


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT] + "..."
