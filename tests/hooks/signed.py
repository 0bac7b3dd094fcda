"""Deliveries as their senders sign them, written from the senders' own descriptions and not from bide's code."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import msgspec

SECRET = "It's a Secret to Everybody"
OTHER = "another secret, the newer one"
WHSEC = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
Headers = dict[str, str]


def body_of(value: Any) -> bytes:
    return msgspec.json.encode(value)


def github(body: bytes, delivery: str = "d-1", secret: str = SECRET, event: str = "push") -> Headers:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "Content-Type": "application/json",
        "X-GitHub-Event": event,
        "X-GitHub-Delivery": delivery,
        "X-Hub-Signature-256": f"sha256={mac}",
    }


def stripe(body: bytes, at: int, *secrets: str) -> Headers:
    macs = [
        hmac.new(s.encode(), b"%d." % at + body, hashlib.sha256).hexdigest() for s in secrets or (SECRET,)
    ]
    signed = ",".join(f"v1={mac}" for mac in macs)
    return {"Content-Type": "application/json", "Stripe-Signature": f"t={at},{signed},v0=00"}


def standard(body: bytes, at: int, delivery: str = "msg_1", *secrets: str) -> Headers:
    signed = f"{delivery}.{at}.".encode() + body
    macs = [
        base64.b64encode(
            hmac.new(base64.b64decode(s.removeprefix("whsec_")), signed, hashlib.sha256).digest()
        ).decode()
        for s in secrets or (WHSEC,)
    ]
    return {
        "Content-Type": "application/json",
        "webhook-id": delivery,
        "webhook-timestamp": str(at),
        "webhook-signature": " ".join(f"v1,{mac}" for mac in macs),
    }


def assert_nowhere(folder: Path, secret: str) -> None:
    """No file of a database in `folder` holds the secret."""
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    assert any(file.name == "b.db" for file in files)
    assert [file for file in files if secret.encode() in file.read_bytes()] == []
