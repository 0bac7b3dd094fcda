"""When a notice that did not arrive is tried again: over three days, ever more rarely, and as the receiver says. Pure."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from bide.runtime.clock import DAY, HOUR, MINUTE, SECOND, to_us

DELAYS_US: Final = (
    5 * SECOND, 30 * SECOND, 2 * MINUTE, 10 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR,
    24 * HOUR,
)  # fmt: skip
"""After the first attempt, the second, ...: three days and four hours in all."""
JITTER: Final = 0.2
GIVE_UP_US: Final = 4 * DAY
MOST_ASKED_US: Final = DAY
"""A receiver may ask for so much patience at most."""
REST_US: Final = 5 * MINUTE
"""A receiver that is out of reach is tried so often at least, whatever waits for it."""
BUSY: Final = frozenset({429, 503})


class Outcome(msgspec.Struct, frozen=True):
    """What came of one attempt. `error` "": it has arrived. `gone`: there never will be anybody again (410).

    `retry_at`: before that the receiver does not want to be asked. `down`: it is the receiver, not the notice.
    """

    status: int | None = None
    error: str = ""
    gone: bool = False
    retry_at: int | None = None
    down: bool = False


def next_try(outcome: Outcome, attempts: int, made_us: int, now: int, jitter: float) -> int | None:
    """When to try again after `attempts` failed ones; None: never. `jitter`: 0 to 1, spreads it by a fifth each way."""
    if attempts > len(DELAYS_US) or now - made_us > GIVE_UP_US:
        return None
    delay = DELAYS_US[attempts - 1]
    at = now + round(delay * (1 + JITTER * (2 * jitter - 1)))
    return at if outcome.retry_at is None else max(at, outcome.retry_at)


def rest_until(outcome: Outcome, next_us: int, now: int) -> int:
    """Until when nothing is sent to this receiver; `now`: it may be asked at once."""
    if outcome.retry_at is not None:
        return outcome.retry_at
    return min(next_us, now + REST_US) if outcome.down else now


def judged(status: int, retry_after: str | None, said: str, now: int) -> Outcome:
    """What a status means: 2xx has arrived, 410 never will, anything else is tried again.

    >>> judged(204, None, "", 0)
    Outcome(status=204, error='', gone=False, retry_at=None, down=False)
    """
    if 200 <= status < 300:
        return Outcome(status)
    if status == 410:
        return Outcome(status, f"410: the receiver is gone for good{_of(said)}", gone=True)
    if 300 <= status < 400:
        return Outcome(status, f"{status}: it redirects, and a notice goes only where its route leads")
    retry_at = asked_for(retry_after, now) if status in BUSY else None
    return Outcome(status, f"{status}{_of(said)}", retry_at=retry_at, down=status >= 500 or status == 429)


def asked_for(retry_after: str | None, now: int) -> int | None:
    """The instant of a Retry-After, in seconds or as a date; None when it names none ahead."""
    text = (retry_after or "").strip()
    if text.isascii() and text.isdecimal():
        return now + min(int(text[:9]) * SECOND, MOST_ASKED_US)
    try:
        when = parsedate_to_datetime(text)
        at = to_us(when if when.tzinfo else when.replace(tzinfo=UTC))
    except (ValueError, TypeError, OverflowError):  # the last: an instant that no calendar has
        return None
    return min(at, now + MOST_ASKED_US) if at > now else None


def _of(said: str) -> str:
    text = " ".join(said.split())[:200]
    return f": {text}" if text else ""
