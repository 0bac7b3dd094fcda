"""Kafka peers: noida-db, a real broker in one binary; librdkafka's mock cluster, for faults; and a
broker that only ever asks for a password.
"""

from __future__ import annotations

import asyncio
import ctypes
import socket
import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.servers.http_server import unused_port
from tests.servers.processes import ServerProcess, program


class NoidaBroker(ServerProcess):
    """A broker that keeps its offsets over restarts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(unused_port())
        self.folder = folder

    def command(self) -> list[str]:
        return [
            program("noida-db"), "start", "--data-dir", str(self.folder),
            "--only", "kafka", "--kafka-port", str(self.port),
        ]  # fmt: skip

    def answers(self, peer: socket.socket) -> bool:
        """It listens before it serves: ready is who answers which versions of the protocol it speaks."""
        peer.settimeout(1)
        asked = struct.pack(">hhih", 18, 0, 1, -1)  # ApiVersions, version 0, number 1, no client's name
        peer.sendall(struct.pack(">i", len(asked)) + asked)
        return len(peer.recv(4)) > 0

    async def create(self, topic: str, partitions: int = 1) -> None:
        from aiokafka.admin import NewTopic

        async with _Admin(self.address) as admin:
            await admin.create_topics([NewTopic(topic, partitions, 1)])

    async def delete(self, topic: str) -> None:
        async with _Admin(self.address) as admin:
            await admin.delete_topics([topic])

    async def topics(self) -> list[str]:
        async with _Admin(self.address) as admin:
            return sorted(await admin.list_topics())

    async def produce(self, topic: str, counts: Mapping[int, int]) -> None:
        """So many records into each partition."""
        await produce(self.address, topic, counts)

    async def commit(self, group: str, topic: str, offsets: Mapping[int, int]) -> None:
        """What a consumer of `group` would commit."""
        from aiokafka import AIOKafkaConsumer, TopicPartition

        consumer = AIOKafkaConsumer(bootstrap_servers=self.address, group_id=group, enable_auto_commit=False)
        await consumer.start()
        try:
            consumer.assign([TopicPartition(topic, one) for one in offsets])
            await consumer.commit({TopicPartition(topic, one): at for one, at in offsets.items()})
        finally:
            await consumer.stop()


class _Admin:
    def __init__(self, address: str) -> None:
        self._address = address

    async def __aenter__(self) -> Any:
        from aiokafka.admin import AIOKafkaAdminClient

        self._admin = AIOKafkaAdminClient(bootstrap_servers=self._address)
        await self._admin.start()
        return self._admin

    async def __aexit__(self, *exc: object) -> None:
        await self._admin.close()


async def produce(address: str, topic: str, counts: Mapping[int, int]) -> None:
    from aiokafka import AIOKafkaProducer

    producer = AIOKafkaProducer(bootstrap_servers=address)
    await producer.start()
    try:
        sent = [
            await producer.send(topic, b"x", partition=partition)
            for partition, count in counts.items()
            for _ in range(count)
        ]
        for future in sent:
            await future
    finally:
        await producer.stop()


FETCH, LIST_OFFSETS, METADATA, OFFSET_COMMIT, OFFSET_FETCH, FIND_COORDINATOR, JOIN_GROUP = (
    1,
    2,
    3,
    8,
    9,
    10,
    11,
)


class MockCluster:
    """librdkafka's mock brokers, in this process; told by ctypes how to fail."""

    def __init__(self, brokers: int) -> None:
        self._lib = _librdkafka()
        error = ctypes.create_string_buffer(512)
        self._client = self._lib.rd_kafka_new(0, None, error, len(error))
        assert self._client, error.value
        self._cluster = self._lib.rd_kafka_mock_cluster_new(self._client, brokers)
        self.brokers = brokers

    @property
    def address(self) -> str:
        bootstraps: bytes = self._lib.rd_kafka_mock_cluster_bootstraps(self._cluster)
        return bootstraps.decode()

    def create(self, topic: str, partitions: int = 1) -> None:
        self._done(self._lib.rd_kafka_mock_topic_create(self._cluster, topic.encode(), partitions, 1))

    def lead(self, topic: str, partition: int, broker: int) -> None:
        """Make `broker` (from 1) the partition's leader; -1 leaves it without one."""
        self._done(
            self._lib.rd_kafka_mock_partition_set_leader(self._cluster, topic.encode(), partition, broker)
        )

    def fail(self, api: int, codes: Sequence[int]) -> None:
        """The next requests of this kind answer with these error codes, one each."""
        array = (ctypes.c_int * len(codes))(*codes)
        self._lib.rd_kafka_mock_push_request_errors_array(self._cluster, api, len(codes), array)

    def heal(self, api: int) -> None:
        self._lib.rd_kafka_mock_clear_request_errors(self._cluster, api)

    def fail_topic(self, topic: str, code: int) -> None:
        self._lib.rd_kafka_mock_topic_set_error(self._cluster, topic.encode(), code)

    def down(self, broker: int) -> None:
        self._done(self._lib.rd_kafka_mock_broker_set_down(self._cluster, broker))

    def up(self, broker: int) -> None:
        self._done(self._lib.rd_kafka_mock_broker_set_up(self._cluster, broker))

    def delay(self, broker: int, milliseconds: int) -> None:
        self._done(self._lib.rd_kafka_mock_broker_set_rtt(self._cluster, broker, milliseconds))

    def requests(self, api: int) -> int:
        """How many requests of this kind the brokers got since `start_counting`."""
        count = ctypes.c_size_t()
        array = self._lib.rd_kafka_mock_get_requests(self._cluster, ctypes.byref(count))
        keys = [int(self._lib.rd_kafka_mock_request_api_key(array[index])) for index in range(count.value)]
        self._lib.rd_kafka_mock_request_destroy_array(array, count.value)
        return keys.count(api)

    def start_counting(self) -> None:
        self._lib.rd_kafka_mock_start_request_tracking(self._cluster)

    def close(self) -> None:
        self._lib.rd_kafka_mock_cluster_destroy(self._cluster)
        self._lib.rd_kafka_destroy(self._client)

    @staticmethod
    def _done(code: int) -> None:
        assert code == 0, f"the mock cluster answered {code}"


def _librdkafka() -> Any:
    """The library inside confluent-kafka's wheel; the test is skipped without it."""
    confluent = pytest.importorskip("confluent_kafka", reason="no confluent-kafka: install the test group")
    folder = Path(confluent.__file__).parent.parent / "confluent_kafka.libs"
    found = sorted(folder.glob("librdkafka*.so*"))
    if not found:
        pytest.skip("confluent-kafka brings no librdkafka of its own here")
    lib = ctypes.CDLL(str(found[0]))
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "new": (pointer, [number, pointer, text, ctypes.c_size_t]),
        "destroy": (None, [pointer]),
        "mock_cluster_new": (pointer, [pointer, number]),
        "mock_cluster_destroy": (None, [pointer]),
        "mock_cluster_bootstraps": (text, [pointer]),
        "mock_topic_create": (number, [pointer, text, number, number]),
        "mock_topic_set_error": (None, [pointer, text, number]),
        "mock_partition_set_leader": (number, [pointer, text, ctypes.c_int32, ctypes.c_int32]),
        "mock_push_request_errors_array": (None, [pointer, ctypes.c_int16, ctypes.c_size_t, pointer]),
        "mock_clear_request_errors": (None, [pointer, ctypes.c_int16]),
        "mock_broker_set_down": (number, [pointer, ctypes.c_int32]),
        "mock_broker_set_up": (number, [pointer, ctypes.c_int32]),
        "mock_broker_set_rtt": (number, [pointer, ctypes.c_int32, number]),
        "mock_start_request_tracking": (None, [pointer]),
        "mock_get_requests": (ctypes.POINTER(pointer), [pointer, ctypes.POINTER(ctypes.c_size_t)]),
        "mock_request_api_key": (ctypes.c_int16, [pointer]),
        "mock_request_destroy_array": (None, [ctypes.POINTER(pointer), ctypes.c_size_t]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, f"rd_kafka_{name}")
        function.restype, function.argtypes = result, arguments
    return lib


class SaslBroker:
    """Knows one user and password by SASL PLAIN, refuses every other, and can do no more."""

    def __init__(self, password: str, mechanisms: Sequence[str] = ("PLAIN",)) -> None:
        self.password = password
        self.mechanisms = mechanisms
        self.tried: list[bytes] = []
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (size,) = struct.unpack(">i", await reader.readexactly(4))
                request = await reader.readexactly(size)
                api, _, correlation, name = struct.unpack(">hhih", request[:10])
                answer = struct.pack(">i", correlation) + self._answer(api, request[10 + name :])
                writer.write(struct.pack(">i", len(answer)) + answer)
        except (OSError, asyncio.IncompleteReadError):
            writer.close()

    def _answer(self, api: int, body: bytes) -> bytes:
        match api:
            case 18:  # ApiVersions
                known = ((3, 0, 5), (17, 1, 1), (18, 0, 0), (36, 0, 0))
                return struct.pack(">hi", 0, len(known)) + b"".join(
                    struct.pack(">hhh", *one) for one in known
                )
            case 17:  # SaslHandshake
                names = b"".join(struct.pack(">h", len(one)) + one.encode() for one in self.mechanisms)
                return struct.pack(">hi", 0, len(self.mechanisms)) + names
            case 36:  # SaslAuthenticate
                self.tried.append(body[4:])
                right = body[4:].endswith(b"\0" + self.password.encode())
                return struct.pack(">hhi", 0 if right else 58, -1, 0)
            case _:  # Metadata: one broker, nothing else
                return struct.pack(">iihiii", 0, 0, -1, -1, 0, 0)[:18]
