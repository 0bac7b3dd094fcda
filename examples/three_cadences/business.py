"""The business behind the data, from a seed: accounts, what they click, what they pay; and the truth.

`truth` adds it all up in plain Python, without Kafka, the API, DuckDB or bide: what the mart must say.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from random import Random

import msgspec

ACCOUNTS, REGIONS = 12, ("US", "EU", "APAC")
EVENTS_AN_HOUR, PAYMENTS_AN_HOUR = 240, 40
HOUR_US = 3600 * 1_000_000
TWICE = 0.02
"""The share of events that the mobile app sends twice."""


class Account(msgspec.Struct, frozen=True):
    account_id: str
    account_name: str
    region: str
    is_active: bool


class Event(msgspec.Struct, frozen=True):
    event_id: str
    account_id: str
    at_us: int


class Payment(msgspec.Struct, frozen=True):
    payment_id: str
    account_id: str
    amount_cents: int
    created_us: int


class MartRow(msgspec.Struct, frozen=True):
    """One row of mart.daily_revenue_by_account."""

    account_id: str
    account_name: str
    region: str
    event_count: int
    revenue_cents: int


class Business:
    """Everything that happens from `start_us` to `end_us`, in order."""

    def __init__(self, seed: int, start_us: int, end_us: int) -> None:
        random = Random(seed)
        names = ["Acme", "Globex", "Initech", "Umbra", "Hooli", "Stark", "Wayne", "Tyrell", "Cyber", "Soylent", "Oscorp", "Wonka"]  # fmt: skip
        self.accounts = [
            Account(f"a{n + 1}", names[n % len(names)], REGIONS[n % len(REGIONS)], n % 6 != 5)
            for n in range(ACCOUNTS)
        ]
        hours = (end_us - start_us) / HOUR_US
        self.events: list[Event] = []
        for n, at_us in enumerate(_instants(random, start_us, end_us, round(hours * EVENTS_AN_HOUR))):
            event = Event(f"evt_{n}", random.choice(self.accounts).account_id, at_us)
            self.events += [event] * (2 if random.random() < TWICE else 1)
        self.payments = [
            Payment(f"pay_{n}", random.choice(self.accounts).account_id, random.randint(500, 50_000), at_us)
            for n, at_us in enumerate(_instants(random, start_us, end_us, round(hours * PAYMENTS_AN_HOUR)))
        ]
        self._event_times = [event.at_us for event in self.events]
        self._payment_times = [payment.created_us for payment in self.payments]

    def events_between(self, since_us: int, until_us: int) -> list[Event]:
        return self.events[
            bisect_left(self._event_times, since_us) : bisect_left(self._event_times, until_us)
        ]

    def payments_between(self, since_us: int, until_us: int) -> list[Payment]:
        first, last = (bisect_left(self._payment_times, us) for us in (since_us, until_us))
        return self.payments[first:last]

    def truth(self, start_us: int, end_us: int) -> list[MartRow]:
        """The rows of a day, by account."""
        seen: dict[str, set[str]] = defaultdict(set)
        paid: dict[str, int] = defaultdict(int)
        for event in self.events:
            if start_us <= event.at_us < end_us:
                seen[event.account_id].add(event.event_id)
        for payment in self.payments:
            if start_us <= payment.created_us < end_us:
                paid[payment.account_id] += payment.amount_cents
        return [
            MartRow(a.account_id, a.account_name, a.region, len(seen[a.account_id]), paid[a.account_id])
            for a in sorted(self.accounts, key=lambda account: account.account_id)
            if a.is_active
        ]


def _instants(random: Random, start_us: int, end_us: int, count: int) -> list[int]:
    return sorted(random.randrange(start_us, end_us) for _ in range(count))
