"""T12: offset waits against a real broker, a mock cluster that fails on demand, and dead ones."""

from __future__ import annotations

import asyncio
import time
from typing import Any, NamedTuple

import pytest

from bide.runtime.errors import UsageError
from bide.runtime.values import Secret
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.base import Fail, Fire, LookFailed, NotYet, Verdict
from bide.triggers.kafka import KafkaOffsetTrigger
from bide.triggers.kafka_source import KafkaSource
from tests.servers.http_server import unused_port
from tests.servers.kafka_broker import (
    FETCH,
    FIND_COORDINATOR,
    JOIN_GROUP,
    LIST_OFFSETS,
    METADATA,
    OFFSET_COMMIT,
    OFFSET_FETCH,
    MockCluster,
    NoidaBroker,
    SaslBroker,
    produce,
)
from tests.servers.worlds import Lookout, Wait, World

KINDS = {"fire": Fire, "wait": NotYet, "fail": Fail}


def reason(verdict: Verdict) -> str:
    assert not isinstance(verdict, Fire), verdict
    return verdict.reason


class Case(NamedTuple):
    """A wait on topic `t`, whose three partitions end at 5, 7 and 9; group `g` stands at 5, 7, 0."""

    outcome: str
    says: str = ""
    options: dict[str, Any] = {}  # noqa: RUF012 - a NamedTuple's default is never changed


CASES = {
    "min-met": Case("fire", "5", {"offset": 5}),
    "min-short-by-one": Case("wait", "lowest end offset is 5 of 6", {"offset": 6}),
    "any-met": Case("fire", "9", {"offset": 9, "across": "any"}),
    "any-short-by-one": Case("wait", "highest end offset is 9 of 10", {"offset": 10, "across": "any"}),
    "sum-met": Case("fire", "21", {"offset": 21, "across": "sum"}),
    "sum-short-by-one": Case("wait", "sum of end offsets is 21 of 22", {"offset": 22, "across": "sum"}),
    "chosen-min": Case("fire", "7", {"offset": 7, "partitions": (1, 2)}),
    "chosen-min-short": Case("wait", "is 7 of 8", {"offset": 8, "partitions": (1, 2)}),
    "chosen-any": Case("fire", "7", {"offset": 6, "partitions": (0, 1), "across": "any"}),
    "chosen-sum": Case("fire", "12", {"offset": 12, "partitions": (0, 1), "across": "sum"}),
    "missing-partition": Case(
        "wait", "partition 8 does not exist, t has 3", {"offset": 0, "partitions": (0, 8)}
    ),
    "missing-partition-any": Case("fire", "5", {"offset": 5, "partitions": (0, 8), "across": "any"}),
    "only-missing-partitions": Case(
        "wait", "partition 8", {"offset": 0, "partitions": (8, 9), "across": "sum"}
    ),
    "missing-topic": Case("wait", "topic other does not exist yet", {"offset": 0, "topic": "other"}),
    "offset-0-of-a-topic-that-is-there": Case("fire", "5", {"offset": 0}),
    "lag-min-of-the-worst": Case("wait", "group g is 9 behind", {"lag_below": ("g", 9)}),
    "lag-min-met": Case("fire", "9", {"lag_below": ("g", 10)}),
    "lag-any-met": Case("fire", "0", {"lag_below": ("g", 1), "across": "any"}),
    "lag-sum-short": Case("wait", "9 behind, to be below 9", {"lag_below": ("g", 9), "across": "sum"}),
    "lag-chosen": Case("fire", "0", {"lag_below": ("g", 1), "partitions": (0, 1)}),
    "lag-of-a-group-that-never-was": Case("wait", "group new is 9 behind", {"lag_below": ("new", 1)}),
    "lag-missing-partition": Case("wait", "partition 8", {"lag_below": ("g", 99), "partitions": (0, 8)}),
    "lag-missing-topic": Case("wait", "does not exist", {"lag_below": ("g", 99), "topic": "other"}),
}


@pytest.fixture(scope="module")
def topic(broker: NoidaBroker) -> str:
    async def fill() -> None:
        await broker.create("t", 3)
        await broker.produce("t", {0: 5, 1: 7, 2: 9})
        await broker.commit("g", "t", {0: 5, 1: 7})

    asyncio.run(fill())
    return "t"


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
async def test_s3_35_t12_thresholds(case: Case, broker: NoidaBroker, topic: str, lookout: Lookout) -> None:
    options: dict[str, Any] = {"topic": topic, **case.options}
    verdict = await lookout(KafkaOffsetTrigger(bootstrap=broker.address, timeout=5, **options))
    assert isinstance(verdict, KINDS[case.outcome]), verdict
    said = str(verdict.event["value"]) if isinstance(verdict, Fire) else verdict.reason
    assert case.says in said


class TestRealBroker:
    async def test_c35_a_missing_topic_is_not_created(self, broker: NoidaBroker, lookout: Lookout) -> None:
        before = await broker.topics()
        for _ in range(2):
            await lookout(KafkaOffsetTrigger(bootstrap=broker.address, topic="never", offset=0))
        assert await broker.topics() == before

    async def test_200_partitions_in_one_look(self, broker: NoidaBroker, lookout: Lookout) -> None:
        await broker.create("wide", 200)
        await broker.produce("wide", dict.fromkeys(range(200), 1))
        verdict = await lookout(KafkaOffsetTrigger(bootstrap=broker.address, topic="wide", offset=1))
        assert isinstance(verdict, Fire)
        assert len(verdict.event["offsets"]) == 200

    async def test_killed_and_started_again_under_a_live_source(
        self, own_broker: NoidaBroker, lookout: Lookout
    ) -> None:
        trigger = KafkaOffsetTrigger(bootstrap=own_broker.address, topic="k", offset=2, timeout=2)
        assert isinstance(await lookout(trigger), NotYet)
        own_broker.kill()
        with pytest.raises(LookFailed, match="no broker of 127"):
            await lookout(trigger)
        own_broker.start()
        await own_broker.create("k")
        assert isinstance(await lookout(trigger), NotYet)
        await own_broker.produce("k", {0: 2})
        assert isinstance(await lookout(trigger), Fire)

    async def test_offsets_are_there_after_an_orderly_restart(
        self, own_broker: NoidaBroker, lookout: Lookout
    ) -> None:
        await own_broker.create("k")
        await own_broker.produce("k", {0: 10})
        trigger = KafkaOffsetTrigger(bootstrap=own_broker.address, topic="k", offset=10, timeout=2)
        assert isinstance(await lookout(trigger), Fire)
        own_broker.stop()
        own_broker.start()
        assert isinstance(await lookout(trigger), Fire)

    async def test_c37_a_frozen_broker_is_a_bounded_look_and_heals(
        self, own_broker: NoidaBroker, lookout: Lookout
    ) -> None:
        trigger = KafkaOffsetTrigger(bootstrap=own_broker.address, topic="k", offset=0, timeout=0.5)
        await own_broker.create("k")
        assert isinstance(await lookout(trigger), Fire)
        own_broker.freeze()
        began = time.monotonic()
        with pytest.raises(LookFailed, match="does not answer"):
            await lookout(trigger)
        assert time.monotonic() - began < 2
        own_broker.thaw()
        assert isinstance(await lookout(trigger), Fire)

    async def test_a_topic_made_anew_is_told(self, own_broker: NoidaBroker, lookout: Lookout) -> None:
        trigger = KafkaOffsetTrigger(bootstrap=own_broker.address, topic="k", offset=9, timeout=2)
        await own_broker.create("k")
        await own_broker.produce("k", {0: 5})
        assert "is 5 of 9" in reason(await lookout(trigger))
        await own_broker.delete("k")
        assert "is gone; it was there before" in reason(await lookout(trigger))
        await own_broker.create("k")
        await own_broker.produce("k", {0: 1})
        assert "is 1 of 9 (partition 0 went back from 5 to 1" in reason(await lookout(trigger))

    async def test_partitions_that_are_added_are_seen(
        self, own_broker: NoidaBroker, lookout: Lookout
    ) -> None:
        from aiokafka.admin import AIOKafkaAdminClient, NewPartitions

        trigger = KafkaOffsetTrigger(bootstrap=own_broker.address, topic="k", offset=1)
        await own_broker.create("k")
        await own_broker.produce("k", {0: 1})
        assert isinstance(await lookout(trigger), Fire)
        admin = AIOKafkaAdminClient(bootstrap_servers=own_broker.address)
        await admin.start()
        await admin.create_partitions({"k": NewPartitions(2)})
        await admin.close()
        assert "is 0 of 1" in reason(await lookout(trigger))


class Fault(NamedTuple):
    """The next answers to requests of kind `api` carry `code`; the wait is on topic `t` or group `g`."""

    api: int
    code: int
    outcome: str
    says: str


FAULTS = {
    "ends-not-leader": Fault(LIST_OFFSETS, 6, "failed", "NOT_LEADER"),
    "ends-unknown": Fault(LIST_OFFSETS, -1, "failed", "UNKNOWN"),
    "ends-unknown-partition": Fault(LIST_OFFSETS, 3, "failed", "UNKNOWN_TOPIC_OR_PARTITION"),
    "ends-leader-not-available": Fault(LIST_OFFSETS, 5, "failed", "LEADER_NOT_AVAILABLE"),
    "ends-not-authorized": Fault(LIST_OFFSETS, 29, "fail", "TOPIC_AUTHORIZATION_FAILED"),
    "topic-not-authorized": Fault(METADATA, 29, "fail", "TOPIC_AUTHORIZATION_FAILED"),
    "topic-invalid": Fault(METADATA, 17, "fail", "INVALID_TOPIC"),
    "topic-leader-not-available": Fault(METADATA, 5, "wait", "LEADER_NOT_AVAILABLE"),
    "group-not-authorized": Fault(FIND_COORDINATOR, 30, "fail", "GROUP_AUTHORIZATION_FAILED"),
    "group-no-coordinator": Fault(FIND_COORDINATOR, 15, "wait", "COORDINATOR_NOT_AVAILABLE"),
    "group-offsets-not-authorized": Fault(OFFSET_FETCH, 30, "fail", "GROUP_AUTHORIZATION_FAILED"),
    "group-loading": Fault(OFFSET_FETCH, 14, "wait", "LOAD_IN_PROGRESS"),
}


class TestMockCluster:
    @pytest.fixture
    async def cluster(self, mock_cluster: MockCluster) -> MockCluster:
        mock_cluster.create("t", 3)
        await produce(mock_cluster.address, "t", {0: 2, 1: 2, 2: 2})
        return mock_cluster

    @pytest.mark.parametrize("fault", FAULTS.values(), ids=list(FAULTS))
    async def test_t12_error_codes(self, fault: Fault, cluster: MockCluster, lookout: Lookout) -> None:
        of_group = fault.api in (FIND_COORDINATOR, OFFSET_FETCH)
        what: dict[str, Any] = {"lag_below": ("g", 9)} if of_group else {"offset": 2}
        trigger = KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", timeout=3, **what)
        if fault.api == METADATA:
            cluster.fail_topic("t", fault.code)
        else:
            cluster.fail(fault.api, [fault.code] * 3)
        if fault.outcome == "failed":
            with pytest.raises(LookFailed, match=fault.says):
                await lookout(trigger)
        else:
            verdict = await lookout(trigger)
            assert isinstance(verdict, KINDS[fault.outcome]), verdict
            assert fault.says in reason(verdict)
        cluster.heal(fault.api)
        cluster.fail_topic("t", 0)
        assert isinstance(await lookout(trigger), Fire)

    async def test_a_partition_without_a_leader(self, cluster: MockCluster, lookout: Lookout) -> None:
        cluster.lead("t", 1, -1)
        every, some, other = await lookout.together(
            KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2),
            KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2, across="any"),
            KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2, partitions=(0, 2)),
        )
        assert "partition 1 has no leader" in reason(every)
        assert isinstance(some, Fire)
        assert isinstance(other, Fire)

    async def test_a_leader_that_moves(self, cluster: MockCluster, lookout: Lookout) -> None:
        trigger = KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2)
        for leader in (1, 2, 3):
            cluster.lead("t", 0, leader)
            assert isinstance(await lookout(trigger), Fire)

    async def test_one_broker_down_and_up(self, cluster: MockCluster, lookout: Lookout) -> None:
        trigger = KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2, timeout=3)
        cluster.down(2)
        assert isinstance(await lookout(trigger), NotYet)
        cluster.up(2)
        assert isinstance(await lookout(trigger), Fire)

    async def test_one_slow_broker_does_not_hide_the_others(
        self, cluster: MockCluster, lookout: Lookout
    ) -> None:
        for partition in range(3):
            cluster.lead("t", partition, partition + 1)
        some = KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=2, across="any", timeout=2)
        assert isinstance(await lookout(some), Fire)
        cluster.delay(3, 5000)
        assert isinstance(await lookout(some), Fire)

    async def test_c39_ten_thousand_waits_cost_one_round(self, cluster: MockCluster) -> None:
        waits = [
            Wait(KafkaOffsetTrigger(bootstrap=cluster.address, topic="t", offset=n)) for n in range(10_000)
        ]
        assert len({(wait.trigger.source_key(), wait.trigger.poll_key()) for wait in waits[:100]}) == 1
        source = KafkaSource(waits[0].trigger.source_key(), World())
        cluster.start_counting()
        seen = await source.look("offsets", waits)
        await source.close()
        assert (cluster.requests(METADATA), cluster.requests(LIST_OFFSETS)) == (1, 3)
        assert [cluster.requests(api) for api in (FETCH, JOIN_GROUP, OFFSET_COMMIT)] == [0, 0, 0]
        began = time.perf_counter()
        verdicts = [wait.trigger.judge(seen, None, 0) for wait in waits]
        assert time.perf_counter() - began < 0.5  # some 0.03 s alone
        assert sum(isinstance(verdict, Fire) for verdict in verdicts) == 3


class TestUnreachable:
    async def test_nobody_listens(self, lookout: Lookout) -> None:
        port = unused_port()
        with pytest.raises(LookFailed, match=f"no broker of 127.0.0.1:{port} can be asked"):
            await lookout(KafkaOffsetTrigger(bootstrap=f"127.0.0.1:{port}", topic="t", offset=1))

    async def test_one_of_the_addresses_is_enough(self, broker: NoidaBroker, lookout: Lookout) -> None:
        bootstrap = f"127.0.0.1:{unused_port()},{broker.address}"
        verdict = await lookout(KafkaOffsetTrigger(bootstrap=bootstrap, topic="no", offset=1))
        assert "does not exist" in reason(verdict)

    @pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0\0\0\x04\0\0\0\0"])
    async def test_c37_a_peer_that_is_no_broker(self, greeting: bytes, lookout: Lookout) -> None:
        closed = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(greeting)
            await closed.wait()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(LookFailed):
            await lookout(KafkaOffsetTrigger(bootstrap=address, topic="t", offset=1, timeout=0.5))
        closed.set()
        server.close()
        await server.wait_closed()


SASL = {"protocol": "SASL_PLAINTEXT", "username": "bide", "password": Secret("env:CANARY")}


class TestSecurity:
    @pytest.fixture(autouse=True)
    def _a_secret(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("CANARY", "canary-5c1d")

    async def test_wrong_credentials_fail_the_wait(
        self, lookout: Lookout, caplog: pytest.LogCaptureFixture
    ) -> None:
        sasl = SaslBroker("another")
        address = await sasl.start()
        caplog.set_level(1)
        verdict = await lookout(
            KafkaOffsetTrigger(bootstrap=address, topic="t", offset=1, security=SASL, timeout=2)
        )
        await lookout.close()
        await sasl.stop()
        assert isinstance(verdict, Fail)
        assert "SASL_AUTHENTICATION_FAILED" in verdict.reason
        assert sasl.tried == [b"bide\0bide\0canary-5c1d"]
        assert "canary-5c1d" not in verdict.reason + caplog.text

    async def test_a_mechanism_the_broker_lacks_fails_the_wait(self, lookout: Lookout) -> None:
        sasl = SaslBroker("x", mechanisms=("SCRAM-SHA-512",))
        trigger = KafkaOffsetTrigger(
            bootstrap=await sasl.start(), topic="t", offset=1, security=SASL, timeout=2
        )
        assert "UNSUPPORTED_SASL_MECHANISM" in reason(await lookout(trigger))
        await lookout.close()
        await sasl.stop()

    async def test_tls_where_plain_text_is_spoken(self, broker: NoidaBroker, lookout: Lookout) -> None:
        trigger = KafkaOffsetTrigger(
            bootstrap=broker.address, topic="t", offset=1, security={"protocol": "SSL"}, timeout=1
        )
        with pytest.raises(LookFailed):
            await lookout(trigger)

    async def test_a_ca_that_is_no_file(self, broker: NoidaBroker, lookout: Lookout) -> None:
        security = {"protocol": "SSL", "ca": "/no/such.pem"}
        with pytest.raises(LookFailed, match="PEM"):
            await lookout(
                KafkaOffsetTrigger(bootstrap=broker.address, topic="t", offset=1, security=security)
            )

    def test_c18_b72_the_password_is_stored_by_name_only(self) -> None:
        trigger = KafkaOffsetTrigger(bootstrap="h", topic="t", offset=1, security=SASL)
        stored = encode_trigger(trigger)
        assert b'{"$secret":"env:CANARY"}' in stored
        assert decode_trigger(stored) == trigger
        for text in (stored.decode(), repr(trigger), trigger.describe(), str(trigger.source_key())):
            assert "canary-5c1d" not in text

    def test_c18_a_password_in_the_clear_is_refused(self) -> None:
        with pytest.raises(UsageError, match="Secret") as caught:
            KafkaOffsetTrigger(bootstrap="h", topic="t", offset=1, security={**SASL, "password": "clear-pw"})
        assert "clear-pw" not in str(caught.value)

    def test_other_credentials_are_another_client(self) -> None:
        keys = {
            KafkaOffsetTrigger(bootstrap=bootstrap, topic="t", offset=1, security=security).source_key()
            for bootstrap in ("b:2,a:1", "a:1, b:2", ("a:1", "b:2"))
            for security in ({}, SASL)
        }
        assert len(keys) == 2


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"bootstrap": ""}, "names no Kafka broker"),
        ({"bootstrap": "http://h:9092"}, "write host:port"),
        ({"bootstrap": "h:port"}, "write host:port"),
        ({"topic": "a b"}, "no name of a Kafka topic"),
        ({"offset": None}, "offset or lag_below"),
        ({"lag_below": ("g", 1)}, "offset or lag_below"),
        ({"offset": -1}, "below 0"),
        ({"offset": None, "lag_below": ("g", 0)}, "lag_below"),
        ({"partitions": ()}, "partitions"),
        ({"partitions": (-1,)}, "partitions"),
        ({"across": "all"}, "across"),
        ({"security": {"user": "x"}}, "it takes"),
        ({"security": {"protocol": "TLS"}}, "protocol"),
        ({"security": {"protocol": "SASL_SSL"}}, "username and password"),
        ({"timeout": 0}, "timeout"),
    ],
)
def test_a_wrong_option_is_one_clear_sentence(options: dict[str, Any], says: str) -> None:
    usual: dict[str, Any] = {"bootstrap": "h:1", "topic": "t", "offset": 1}
    with pytest.raises(UsageError, match=says):
        KafkaOffsetTrigger(**(usual | options))


def test_t12_has_its_cases() -> None:
    assert len(CASES) + len(FAULTS) >= 35
