"""`KafkaSource`: all the waits on one cluster see one observation per look."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Hashable, Sequence
from typing import Any, cast

import msgspec

from bide.triggers._time_limit import TimeLimited
from bide.triggers.base import LookFailed, Registration, SourceWorld, reveal
from bide.triggers.kafka import KafkaOffsetTrigger, KafkaSeen, TopicSeen
from bide.triggers.kafka_cluster import EARLIEST, LATEST, KafkaCluster, KafkaRefusedError, Layout


class KafkaSource(TimeLimited):
    """One client per cluster and credentials; one look at a time, whatever the number of waits.

    Committed offsets are read before end offsets, so a lag is never taken for smaller than it is.
    Offsets that shrink (a topic that was deleted and made anew) are told in the waits' reasons.
    """

    max_in_flight = 1

    def __init__(self, key: Hashable, world: SourceWorld) -> None:
        super().__init__()
        self.key = key
        self._world = world
        _, self._bootstrap, *security = cast("tuple[str, ...]", key)
        self._security: dict[str, Any] = msgspec.json.decode(security[0]) if security else {}
        self._cluster: KafkaCluster | None = None
        self._highest: dict[tuple[str, int], int] = {}

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> KafkaSeen:
        triggers: set[tuple[str, str | None]] = set()
        limit = 0.0
        for registration in registrations:
            trigger: KafkaOffsetTrigger = registration.trigger
            triggers.add((trigger.topic, trigger.lag_below[0] if trigger.lag_below else None))
            limit = max(limit, trigger.timeout)
        topics = sorted({topic for topic, _ in triggers})
        groups: dict[str, list[str]] = {}
        for topic, group in sorted(triggers, key=str):
            if group is not None:
                groups.setdefault(group, []).append(topic)
        try:
            async with asyncio.timeout(limit):
                return await self._observe(await self._connected(limit), topics, groups)
        except KafkaRefusedError as error:
            await self._disconnect()
            return KafkaSeen(refused={"": str(error)})
        except TimeoutError:
            await self._disconnect()
            raise LookFailed(f"{self._bootstrap} did not answer within {limit:g} s") from None

    async def close(self) -> None:
        await self._disconnect()

    async def _connected(self, limit: float) -> KafkaCluster:
        if self._cluster is None or self._cluster.limit_s < limit:
            await self._disconnect()
            security = reveal(self._security)
            tls = None
            if security.get("protocol", "PLAINTEXT").endswith("SSL"):
                tls = await self._world.in_thread(_tls, security)
            self._cluster = KafkaCluster(self._bootstrap, security, tls, limit)
        return self._cluster

    async def _disconnect(self) -> None:
        cluster, self._cluster = self._cluster, None
        if cluster is not None:
            await cluster.close()

    async def _observe(
        self, cluster: KafkaCluster, topics: Sequence[str], groups: dict[str, list[str]]
    ) -> KafkaSeen:
        layout = await cluster.layout(topics)
        seen = KafkaSeen(topics={}, lags={}, trouble=dict(layout.trouble), refused=dict(layout.refused))
        for topic in topics:
            if topic not in layout.topics and (topic, 0) in self._highest:
                seen.trouble.setdefault(topic, f"topic {topic} is gone; it was there before")
        committed = await self._committed(cluster, layout, groups, seen)
        wanted = {topic: sorted(one.leaders) for topic, one in layout.topics.items()}
        ends, silent = await cluster.offsets(layout, wanted, LATEST)
        seen.refused.update(layout.refused)
        for topic, one in layout.topics.items():
            seen.topics[topic] = self._topic(topic, ends[topic], {**one.silent, **silent[topic]})
        if ends and all(not of for of in ends.values()) and any(silent.values()):
            reasons = next(of for of in silent.values() if of)
            if not seen.refused and not any(one.silent for one in layout.topics.values()):
                partition, why = next(iter(reasons.items()))
                raise LookFailed(f"no leader answers: partition {partition} {why}")
        for (group, topic), offsets in committed.items():
            self._lag(seen, group, topic, offsets)
        return seen

    async def _committed(
        self, cluster: KafkaCluster, layout: Layout, groups: dict[str, list[str]], seen: KafkaSeen
    ) -> dict[tuple[str, str], dict[int, int]]:
        """Where each group stands; where it never committed, the beginning of the partition."""
        positions: dict[tuple[str, str], dict[int, int]] = {}
        fresh: dict[str, set[int]] = {}
        for group, topics in groups.items():
            wanted = {one: sorted(layout.topics[one].leaders) for one in topics if one in layout.topics}
            if not wanted:
                continue
            try:
                committed = await cluster.committed(group, wanted)
            except LookFailed as error:
                seen.trouble.update({(group, topic): str(error) for topic in wanted})
                continue
            except KafkaRefusedError as error:
                seen.refused.update({(group, topic): str(error) for topic in wanted})
                continue
            for topic, partitions in wanted.items():
                positions[group, topic] = committed[topic]
                fresh.setdefault(topic, set()).update(set(partitions) - set(committed[topic]))
        begin = {topic: sorted(partitions) for topic, partitions in fresh.items() if partitions}
        if begin:
            firsts, _ = await cluster.offsets(layout, begin, EARLIEST)
            for (_, topic), at in positions.items():
                for partition, first in firsts.get(topic, {}).items():
                    at.setdefault(partition, first)
        return positions

    def _lag(self, seen: KafkaSeen, group: str, topic: str, at: dict[int, int]) -> None:
        lags: dict[int, int] = {}
        for partition, end in seen.topics[topic].ends.items():
            if partition in at and at[partition] <= end:
                lags[partition] = end - at[partition]
            elif partition in at:
                seen.trouble[group, topic] = (
                    f"group {group} has committed {at[partition]} in partition {partition} of {topic}, "
                    f"which ends at {end}: the topic was made anew, reset the group"
                )
        seen.lags[group, topic] = lags

    def _topic(self, topic: str, ends: dict[int, int], silent: dict[int, str]) -> TopicSeen:
        went_back = ""
        for partition, end in ends.items():
            before = self._highest.get((topic, partition), -1)
            if end >= before:
                self._highest[topic, partition] = end
            elif not went_back:
                went_back = f" (partition {partition} went back from {before} to {end}: a topic made anew?)"
        return TopicSeen(
            ends=ends,
            silent=silent,
            lowest=min(ends.values(), default=-1),
            highest=max(ends.values(), default=-1),
            total=sum(ends.values()),
            went_back=went_back,
        )


def _tls(security: dict[str, str]) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=security.get("ca"))
        if cert := security.get("cert"):
            context.load_cert_chain(cert, security.get("key"))
    except (OSError, ssl.SSLError) as error:
        raise LookFailed(f"ca, cert or key cannot be read as PEM files: {error}") from None
    return context
