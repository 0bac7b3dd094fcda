"""Whether a delivery is what its sender signed, and not too old: one function a scheme, over the raw body.

The secrets are given resolved, the instant as well. Of several secrets any may have signed (rotation). What
does not hold raises `Forged`: its sentence says what is wrong and never what would have been right.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import BideError
from bide.runtime.hooks.pointer import Headers

GITHUB, STRIPE, STANDARD, UNSIGNED = "github", "stripe", "standard", "unsigned"
_SECOND: Final = 1_000_000
_MOST_SIGNATURES: Final = 16
_LEAST_SECRET: Final = 8
_LEAST_STANDARD_KEY: Final = 24
_TIMESTAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)
_ID: Final = re.compile(r"[\x21-\x7e]{1,256}")
_HEX: Final = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)


class Forged(BideError):  # noqa: N818 - what it says of the delivery
    """A delivery whose signature or time does not hold. `kind` is one of a few words, for counting."""

    exit_code = 4

    def __init__(self, kind: str, said: str) -> None:
        super().__init__(said)
        self.kind = kind


class Unusable(BideError):  # noqa: N818 - what it says of the secret
    """A secret with which nothing can be checked: empty, short, or not in its form."""


class Signed(msgspec.Struct, frozen=True):
    """What a valid signature vouches for. `keys` are what makes it the same delivery when it comes again."""

    delivery: str
    keys: tuple[str, ...]
    sent_us: int | None = None


def verified(
    scheme: str, secrets: Sequence[str], headers: Headers, body: bytes, now_us: int, tolerance_us: int
) -> Signed:
    """What was signed. Raises `Forged`, or `Unusable` when none of the secrets can check anything."""
    return _VERIFY[scheme](secrets, headers, body, now_us, tolerance_us)


def usable(scheme: str, secrets: Sequence[str]) -> None:
    """Raises `Unusable` when deliveries could not be checked with any of these secrets."""
    if scheme in (GITHUB, STRIPE):
        _keys(secrets)
    elif scheme == STANDARD:
        _signers(secrets)


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


# --- the schemes ---------------------------------------------------------------------------------


def _github(secrets: Sequence[str], headers: Headers, body: bytes, now_us: int, tolerance_us: int) -> Signed:
    """`X-Hub-Signature-256: sha256=<hex>` over the body. It covers neither a time nor the delivery's id.

    So the body itself counts as well: under another id it still is the delivery that was signed.
    """
    given = _one(headers, "x-hub-signature-256")
    if not given.startswith("sha256=") or not _HEX.fullmatch(given[7:]):
        raise Forged("malformed", "X-Hub-Signature-256 is not of the form sha256=<64 hex digits>")
    _match([_hmac(key, body) for key in _keys(secrets)], [given[7:].lower()])
    found = f"body:{digest(body)}"
    if "x-github-delivery" not in headers:
        return Signed(found, (found,))
    delivery = _id(_one(headers, "x-github-delivery"), "X-GitHub-Delivery")
    return Signed(delivery, (f"id:{delivery}", found))


def _stripe(secrets: Sequence[str], headers: Headers, body: bytes, now_us: int, tolerance_us: int) -> Signed:
    """`Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]` over `t.body`. A retry has the same event and a new time."""
    parts = [part.strip().partition("=") for part in _one(headers, "stripe-signature").split(",")]
    times = [value for name, _, value in parts if name == "t"]
    given = [value.lower() for name, _, value in parts if name == "v1" and _HEX.fullmatch(value)]
    if len(times) != 1 or not given:
        raise Forged("malformed", "Stripe-Signature is not of the form t=<seconds>,v1=<64 hex digits>")
    sent_us = _time(times[0], "Stripe-Signature")
    signed = times[0].encode() + b"." + body
    _match([_hmac(key, signed) for key in _keys(secrets)], _few(given))
    _within(sent_us, now_us, tolerance_us)
    event = _event_id(body)
    if event is None:
        found = f"body:{digest(signed)}"
        return Signed(found, (found,), sent_us)
    return Signed(event, (f"id:{event}",), sent_us)


def _standard(
    secrets: Sequence[str], headers: Headers, body: bytes, now_us: int, tolerance_us: int
) -> Signed:
    """Standard Webhooks 1.0: `v1,<base64>` over `id.timestamp.body`; signatures of other versions are passed over."""
    delivery = _id(_one(headers, "webhook-id"), "webhook-id")
    stamp = _one(headers, "webhook-timestamp")
    sent_us = _time(stamp, "webhook-timestamp")
    parts = [part.partition(",") for part in _one(headers, "webhook-signature").split()]
    given = _few([value for version, _, value in parts if version == "v1"])
    if not given:
        raise Forged("malformed", "webhook-signature has no signature of version v1: v1,<base64>")
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise Forged("malformed", "the body is not UTF-8, and no such body can have been signed") from None
    when = datetime.fromtimestamp(sent_us // _SECOND, UTC)
    signers = _signers(secrets)
    _match([each.sign(delivery, when, text).partition(",")[2] for each in signers], given)
    _within(sent_us, now_us, tolerance_us)
    return Signed(delivery, (f"id:{delivery}",), sent_us)


def _unsigned(
    secrets: Sequence[str], headers: Headers, body: bytes, now_us: int, tolerance_us: int
) -> Signed:
    """Nothing vouches for it but who sent it. An Idempotency-Key makes it the same delivery."""
    key = headers.get("idempotency-key")
    if key is None:
        return Signed("", ())
    delivery = _id(_one(headers, "idempotency-key"), "Idempotency-Key")
    return Signed(delivery, (f"id:{delivery}",))


_Verify = Callable[[Sequence[str], Headers, bytes, int, int], Signed]
_VERIFY: Final[dict[str, _Verify]] = {
    GITHUB: _github,
    STRIPE: _stripe,
    STANDARD: _standard,
    UNSIGNED: _unsigned,
}
WINDOWED: Final = frozenset({STRIPE, STANDARD})
"""Schemes whose signature covers the time at which it was sent."""


# --- their parts ---------------------------------------------------------------------------------


def _one(headers: Headers, name: str) -> str:
    found = headers.get(name, ())
    if not found:
        raise Forged("unsigned", f"the header {name} is missing: nothing says who sent this")
    if len(found) > 1:
        raise Forged("malformed", f"the header {name} was given {len(found)} times: it must stand once")
    return next(iter(found))


def _id(text: str, name: str) -> str:
    if not _ID.fullmatch(text):
        raise Forged("malformed", f"{name} must be 1 to 256 printable ASCII characters without blanks")
    return text


def _time(text: str, name: str) -> int:
    if not _TIMESTAMP.fullmatch(text) or int(text) > 253_402_128_000:
        raise Forged("malformed", f"the time in {name} is not in whole seconds since 1970")
    return int(text) * _SECOND


def _within(sent_us: int, now_us: int, tolerance_us: int) -> None:
    """Only after the signature was found good: the time is then the sender's own."""
    limit = tolerance_us // _SECOND
    late = (now_us - sent_us) / _SECOND
    if now_us - sent_us > tolerance_us:
        raise Forged("old", f"it was signed {late:.0f} s ago, and the limit is {limit} s: send it anew")
    if sent_us - now_us > tolerance_us:
        raise Forged(
            "future", f"it was signed {-late:.0f} s ahead of the clock here, and the limit is {limit} s"
        )


def _few(given: list[str]) -> list[str]:
    if len(given) > _MOST_SIGNATURES:
        raise Forged("malformed", f"there are {len(given)} signatures, and the limit is {_MOST_SIGNATURES}")
    return given


def _match(expected: Iterable[str], given: Sequence[str]) -> None:
    """Every pair is compared, in constant time, wherever a match stands."""
    right = [text.encode() for text in expected]
    found = [hmac.compare_digest(one, other.encode()) for one in right for other in given]
    if not any(found):
        raise Forged(
            "signature", "no signature matches the body: it was not signed with the secret held here"
        )


def _hmac(key: bytes, data: bytes) -> str:
    return hmac.new(key, data, hashlib.sha256).hexdigest()


def _keys(secrets: Sequence[str]) -> list[bytes]:
    found = [
        each.encode("utf-8", "surrogateescape") for each in secrets if len(each.strip()) >= _LEAST_SECRET
    ]
    if not found:
        raise Unusable(f"the secret must have {_LEAST_SECRET} characters or more")
    return found


def _signers(secrets: Sequence[str]) -> list[Any]:
    from standardwebhooks import Webhook

    keys = [_decoded(each.strip().removeprefix("whsec_")) for each in secrets]
    found = [Webhook(key) for key in keys if len(key) >= _LEAST_STANDARD_KEY]
    if not found:
        raise Unusable(
            f"a secret of Standard Webhooks is whsec_ and the base64 of {_LEAST_STANDARD_KEY} bytes or more"
        )
    return found


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return b""


def _event_id(body: bytes) -> str | None:
    """Stripe's `id` of the event, which its signature covers."""
    try:
        found = typed.decode(body, _Event).id
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return None
    return found if _ID.fullmatch(found) else None


class _Event(msgspec.Struct):
    id: str
