"""How the DAGs read the outside: Kafka from given offsets, the payments API page by page."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from bide import Context
from examples.three_cadences.place import kafka, payments_api

TOPIC, PARTITIONS = "mobile.events", 3
BROKER_LIMIT_S, API_LIMIT_S = 0.5, 3.0
"""Real seconds that an answer may take; of the broker a part of the hour for which it is stopped."""

_consumer: AIOKafkaConsumer | None = None
_dies_once: set[str] = set()


async def read_events(since: dict[str, int]) -> tuple[list[dict[str, Any]], dict[str, int]]:
    """All records from these offsets on to where the partitions now end, and where that is.

    `ConnectionError` when the broker does not answer.
    """
    places = [TopicPartition(TOPIC, n) for n in range(PARTITIONS)]
    try:
        async with asyncio.timeout(BROKER_LIMIT_S):
            consumer = await _opened(places)
            ends = await consumer.end_offsets(places)
            found = await _read(
                consumer, {place: since.get(str(place.partition), 0) for place in places}, ends
            )
    except (TimeoutError, OSError) as error:
        await close()
        raise ConnectionError(
            f"the broker at {kafka()} does not answer within {BROKER_LIMIT_S:g} s"
        ) from error
    except BaseException:
        await close()
        raise
    return found, {str(place.partition): ends[place] for place in places}


async def _read(
    consumer: AIOKafkaConsumer, since: dict[TopicPartition, int], until: dict[TopicPartition, int]
) -> list[dict[str, Any]]:
    """The records `[since, until)` of each partition. Where the consumer stands already it is not moved:
    it has fetched ahead."""
    for place, at in since.items():
        if await consumer.position(place) != at:
            consumer.seek(place, at)
    records: list[dict[str, Any]] = []
    open_places = {place for place in since if since[place] < until[place]}
    while open_places:
        for place, batch in (await consumer.getmany(*open_places, timeout_ms=100)).items():
            for record in batch:
                if record.value is not None and record.offset < until[place]:
                    value = msgspec.json.decode(record.value)
                    records.append({"part": place.partition, "pos": record.offset, **value})
            if batch[-1].offset + 1 >= until[place]:
                open_places.discard(place)
    return sorted(records, key=lambda record: (record["part"], record["pos"]))


def whole_until(records: list[dict[str, Any]]) -> dict[str, int]:
    """By partition, the instant before which nothing is missing any more, as the sender said it last."""
    said = {str(record["part"]): record["all_before_us"] for record in records if "all_before_us" in record}
    return dict(sorted(said.items()))


async def _opened(places: list[TopicPartition]) -> AIOKafkaConsumer:
    """One consumer for all batches, without a group: the offsets are ours."""
    global _consumer
    if _consumer is None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=kafka(), enable_auto_commit=False, metadata_max_age_ms=60_000,
            retry_backoff_ms=20, fetch_max_wait_ms=20,
        )  # fmt: skip
        try:
            await consumer.start()
        except BaseException:
            await consumer.stop()
            raise
        consumer.assign(places)
        _consumer = consumer
    return _consumer


async def close() -> None:
    """Let go of the connection; the next batch makes a new one."""
    global _consumer
    consumer, _consumer = _consumer, None
    if consumer is not None:
        await consumer.stop()


async def fetch_payments(since_us: int, until_us: int) -> list[dict[str, Any]]:
    """All payments made in `[since, until)`; `httpx.HTTPStatusError` for an answer that is none."""
    found: list[dict[str, Any]] = []
    page: int | None = 0
    async with httpx.AsyncClient(base_url=payments_api(), timeout=API_LIMIT_S, verify=False) as client:
        while page is not None:
            answer = await client.get(
                "/payments", params={"since": since_us, "until": until_us, "page": page}
            )
            answer.raise_for_status()
            body = answer.json()
            found += body["payments"]
            page = body["next"]
    return found


def die_once(at: str) -> None:
    """Have the batch scheduled at this instant (`%Y-%m-%dT%H:%M`) die after it has landed, once."""
    _dies_once.add(at)


def maybe_die(ctx: Context) -> None:
    """Where a process would be killed: the batch has landed, its offsets are not yet kept."""
    at = f"{ctx.interval.end:%Y-%m-%dT%H:%M}"
    if at in _dies_once:
        _dies_once.discard(at)
        raise RuntimeError("died after landing, before its offsets were kept (injected)")
