"""The outside, for real and on loopback: a Kafka broker, the mobile app, the payments API, the CRM's drop folder."""

from __future__ import annotations

import asyncio
import contextlib
import csv
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from examples.local_api import LocalApi
from examples.three_cadences.business import Business
from examples.three_cadences.clock import FastClock
from examples.three_cadences.sources import PARTITIONS, TOPIC

PAGE = 25
TICK_S = 0.04


class MobileApp:
    """Sends each event when it happens, to the partition of its account; what the broker does not take
    is sent again until it does. Then it says, in each partition, up to when it has sent everything:
    that is how a reader knows what it has not missed, however late a record came.
    """

    def __init__(self, business: Business, clock: FastClock, broker: str) -> None:
        self._business, self._clock, self._broker = business, clock, broker
        self._task: asyncio.Task[None] | None = None
        self.sent = 0
        self.gate = asyncio.Lock()
        """Whoever holds it has nothing on its way to the broker."""

    def start(self) -> None:
        self._task = asyncio.create_task(self._send(), name="the mobile app")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _send(self) -> None:
        at_us = self._clock.start_us
        producer = AIOKafkaProducer(
            bootstrap_servers=self._broker, retry_backoff_ms=20, request_timeout_ms=2000
        )
        await producer.start()
        try:
            while True:
                until_us = self._clock.now()
                async with self.gate:
                    await self._all_between(producer, at_us, until_us)
                at_us = until_us
                await asyncio.sleep(TICK_S)
        finally:
            with contextlib.suppress(KafkaError, TimeoutError):
                async with asyncio.timeout(1):
                    await producer.stop()

    async def _all_between(self, producer: AIOKafkaProducer, since_us: int, until_us: int) -> None:
        for event in self._business.events_between(since_us, until_us):
            await self._one(producer, int(event.account_id[1:]) % PARTITIONS, msgspec.json.encode(event))
        for part in range(PARTITIONS):
            await self._one(producer, part, msgspec.json.encode({"all_before_us": until_us}))

    async def _one(self, producer: AIOKafkaProducer, part: int, value: bytes) -> None:
        while True:
            try:
                await producer.send_and_wait(TOPIC, value, partition=part)
            except (KafkaError, TimeoutError):
                await asyncio.sleep(TICK_S)
            else:
                self.sent += 1
                return


class PaymentsApi(LocalApi):
    """`GET /payments?since=&until=&page=`: what has been paid by now, in pages; 503 while it is `down`."""

    def __init__(self, business: Business, clock: FastClock) -> None:
        super().__init__()
        self._business, self._clock = business, clock
        self.down = False

    def answer(self, head: bytes) -> tuple[str, bytes]:
        return ("503 Service Unavailable", b"{}") if self.down else self._page(head)

    def _page(self, head: bytes) -> tuple[str, bytes]:
        asked = parse_qs(urlsplit(head.split(b" ", 2)[1].decode()).query)
        since, until, page = (int(asked[name][0]) for name in ("since", "until", "page"))
        found = self._business.payments_between(since, min(until, self._clock.now()))
        more = page + 1 if len(found) > (page + 1) * PAGE else None
        return "200 OK", msgspec.json.encode(
            {"payments": found[page * PAGE : (page + 1) * PAGE], "next": more}
        )


def export_accounts(business: Business, folder: Path, day: str) -> None:
    """What the CRM drops once a night."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"accounts-{day}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["account_id", "account_name", "region", "is_active"])
        writer.writerows(msgspec.structs.astuple(account) for account in business.accounts)
