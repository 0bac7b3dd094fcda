"""`KafkaCluster`: one connection per broker, and the four questions that offset waits need.

aiokafka's connections are used without its consumer, whose `end_offsets` creates missing topics
and never returns for a partition that is missing or has no leader. Every call here is bounded by
its caller; a connection whose call failed or was cut is closed, and the next call opens a new one.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.commit import OffsetFetchRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.protocol.offset import OffsetRequest

from bide.runtime.values import redactor
from bide.triggers.base import LookFailed
from bide.triggers.secret_refs import redact_log

LATEST: Final = -1
EARLIEST: Final = -2
Address = tuple[str, int]


class KafkaRefusedError(Exception):
    """The cluster, a topic or a group says no, and will say so again: credentials, rights, a name."""


_REFUSALS: Final = (
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.TopicAuthorizationFailedError,
    errors.GroupAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
    errors.InvalidTopicError,
)


class TopicLayout(msgspec.Struct, frozen=True):
    """Who leads each partition of a topic; `silent` says why a partition has no leader."""

    leaders: dict[int, int]
    silent: dict[int, str]


class Layout(msgspec.Struct, frozen=True):
    """What the cluster says of the topics asked for; a missing one is in none of the three."""

    brokers: dict[int, Address]
    topics: dict[str, TopicLayout]
    trouble: dict[str, str]
    refused: dict[str, str]


class _QuietMetadata(MetadataRequest):  # type: ignore[misc]  # aiokafka ships no types
    """Metadata that never creates a topic; older brokers cannot be asked that way."""

    def build(self, request_struct_class: Any) -> Any:
        if request_struct_class.API_VERSION < 4:
            raise errors.IncompatibleBrokerVersion("the broker is older than Kafka 0.11")
        return request_struct_class(self._topics, False)


class KafkaCluster:
    """Speaks to one cluster. `security` holds values, not references; `tls` goes with SSL."""

    def __init__(
        self, bootstrap: str, security: Mapping[str, str], tls: ssl.SSLContext | None, limit_s: float
    ) -> None:
        self.bootstrap = bootstrap
        self.limit_s = limit_s
        self._servers = [
            (host, int(port)) for host, _, port in (s.rpartition(":") for s in bootstrap.split(","))
        ]
        self._known: list[Address] = []
        self._good: list[Address] = []
        self._connections: dict[Address, AIOKafkaConnection] = {}
        self._options: dict[str, Any] = {
            "client_id": "bide",
            "request_timeout_ms": round(limit_s * 1000),
            "security_protocol": security.get("protocol", "PLAINTEXT"),
            "ssl_context": tls,
            "sasl_mechanism": security.get("mechanism", "PLAIN"),
            "sasl_plain_username": security.get("username"),
            "sasl_plain_password": security.get("password"),
        }
        redact_log("aiokafka.conn")

    async def layout(self, topics: Sequence[str]) -> Layout:
        """Brokers, and the leaders of the topics' partitions. Creates no topic."""
        answer = await self._ask_any(_QuietMetadata(list(topics)))
        layout = Layout({}, {}, {}, {})
        for broker in answer.brokers:
            layout.brokers[broker[0]] = (broker[1].strip("[]"), broker[2])
        self._known = list(layout.brokers.values()) or self._known
        for code, name, _, partitions in answer.topics:
            kind = errors.for_code(code)
            if kind in _REFUSALS:
                layout.refused[name] = f"topic {name}: {_words(kind())}"
            elif code not in (0, errors.UnknownTopicOrPartitionError.errno):
                layout.trouble[name] = f"topic {name}: {_words(kind())}"
            elif code == 0 and partitions:
                topic = layout.topics[name] = TopicLayout({}, {})
                for part_code, partition, leader, *_ in partitions:
                    if leader in layout.brokers:
                        topic.leaders[partition] = leader
                    else:
                        why = f" ({_words(errors.for_code(part_code)())})" if part_code else ""
                        topic.silent[partition] = f"has no leader{why}"
        return layout

    async def offsets(
        self, layout: Layout, wanted: Mapping[str, Sequence[int]], at: int
    ) -> tuple[dict[str, dict[int, int]], dict[str, dict[int, str]]]:
        """The `LATEST` or `EARLIEST` offsets of `{topic: partitions}`, one request per broker.

        Returns `{topic: {partition: offset}}`, and in the same shape why others did not answer.
        """
        by_leader: dict[int, dict[str, list[tuple[int, int]]]] = {}
        for topic, partitions in wanted.items():
            for partition in partitions:
                leader = layout.topics[topic].leaders[partition]
                by_leader.setdefault(leader, {}).setdefault(topic, []).append((partition, at))
        found: dict[str, dict[int, int]] = {topic: {} for topic in wanted}
        silent: dict[str, dict[int, str]] = {topic: {} for topic in wanted}

        async def of(leader: int, asked: dict[str, list[tuple[int, int]]]) -> None:
            try:
                async with asyncio.timeout(self.limit_s * 0.4):
                    answer = await self._ask(
                        layout.brokers[leader], OffsetRequest(-1, 0, list(asked.items()))
                    )
            except (LookFailed, TimeoutError) as error:
                host, port = layout.brokers[leader]
                why = f"is led by {host}:{port}, which does not answer ({str(error) or 'too slow'})"
                for topic, parts in asked.items():
                    silent[topic].update((partition, why) for partition, _ in parts)
                return
            for topic, parts in answer.topics:
                for partition, code, *rest in parts:
                    if code == 0:
                        found[topic][partition] = rest[1]
                    else:
                        silent[topic][partition] = f"has no offset now ({_words(errors.for_code(code)())})"
                        kind = errors.for_code(code)
                        if kind in _REFUSALS:
                            layout.refused[topic] = f"topic {topic}: {_words(kind())}"

        await asyncio.gather(*(of(leader, asked) for leader, asked in by_leader.items()))
        return found, silent

    async def committed(self, group: str, wanted: Mapping[str, Sequence[int]]) -> dict[str, dict[int, int]]:
        """What `group` has committed: `{topic: {partition: offset}}`; nothing committed is left out.

        Raises `LookFailed`, or `KafkaRefusedError`. Joins no group.
        """
        answer = await self._ask_any(FindCoordinatorRequest(group, 0))
        _raise_for(answer.error_code, f"group {group}")
        asked = [(topic, list(parts)) for topic, parts in wanted.items()]
        address = (answer.host.strip("[]"), answer.port)
        fetched = await self._ask(address, OffsetFetchRequest(group, asked))
        _raise_for(getattr(fetched, "error_code", 0), f"group {group}")
        committed: dict[str, dict[int, int]] = {topic: {} for topic in wanted}
        for topic, partitions in fetched.topics:
            for partition, offset, _, code in partitions:
                _raise_for(code, f"group {group}, topic {topic}")
                if offset >= 0:
                    committed[topic][partition] = offset
        return committed

    async def close(self) -> None:
        connections, self._connections = self._connections, {}
        closed = [future for one in connections.values() if (future := one.close()) is not None]
        if closed:
            await asyncio.wait(closed, timeout=1)

    async def _ask_any(self, request: Any) -> Any:
        """Ask whichever broker answers: the one that did last, connected, known, then bootstrap."""
        known = [*self._good, *self._connections, *self._known, *self._servers]
        addresses = list(dict.fromkeys(known))
        share = 0.8 if len(addresses) == 1 else 0.5 / len(addresses)
        trouble: list[str] = []
        for address in addresses:
            try:
                async with asyncio.timeout(self.limit_s * share):
                    answer = await self._ask(address, request)
                self._good = [address]
                return answer
            except TimeoutError:
                trouble.append(f"{address[0]}:{address[1]} does not answer")
            except LookFailed as error:
                trouble.append(str(error))
        raise LookFailed(f"no broker of {self.bootstrap} can be asked: {'; '.join(trouble)}")

    async def _ask(self, address: Address, request: Any) -> Any:
        """One request to one broker. Raises `LookFailed`, or `KafkaRefusedError`."""
        done = False
        try:
            connection = self._connections.get(address)
            if connection is None or not connection.connected():
                connection = await create_conn(*address, **self._options)
                self._connections[address] = connection
            answer = await connection.send(request)
            done = True
            return answer
        except _REFUSALS as error:
            raise KafkaRefusedError(redactor(f"{self.bootstrap}: {_words(error)}")) from None
        except ssl.SSLError as error:
            raise LookFailed(f"{address[0]}:{address[1]}: TLS: {error.reason or error}") from None
        except NotImplementedError as error:
            raise LookFailed(f"{address[0]}:{address[1]} speaks another protocol: {error}") from None
        except (errors.KafkaError, OSError, EOFError) as error:
            raise LookFailed(redactor(f"{address[0]}:{address[1]}: {_words(error)}")) from None
        finally:
            if not done and (broken := self._connections.pop(address, None)) is not None:
                broken.close()


def _raise_for(code: int, what: str) -> None:
    if code:
        kind = errors.for_code(code)
        why = f"{what}: {_words(kind())}"
        raise KafkaRefusedError(why) if kind in _REFUSALS else LookFailed(why)


def _words(error: BaseException) -> str:
    """`NotLeaderForPartitionError` as Kafka names it, with the text it brings."""
    name = getattr(error, "message", "") or type(error).__name__
    if isinstance(error, errors.KafkaError):
        text = " ".join(str(part) for part in error.args)
        return f"{name}: {text}" if text else str(name)
    return str(error) or type(error).__name__
