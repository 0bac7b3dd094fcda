"""`KafkaOffsetTrigger`: the end offsets of a topic, or the lag of a group, are waited for.

Nothing is consumed and no group is joined: the ends of all partitions awaited in a cluster are
asked for in one round per look, whatever the number of waits.
"""

from __future__ import annotations

from collections.abc import Hashable
from itertools import islice
from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec.structs import force_setattr

from bide.runtime.errors import UsageError
from bide.triggers.base import Fail, Fire, NotYet, Source, SourceWorld, Trigger, Verdict
from bide.triggers.secret_refs import name_secrets

_EVENT_PARTITIONS: Final = 5_000
_SECURITY: Final = frozenset({"protocol", "mechanism", "username", "password", "ca", "cert", "key"})
_PROTOCOLS: Final = frozenset({"PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"})
_MECHANISMS: Final = frozenset({"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"})


class TopicSeen(msgspec.Struct, frozen=True):
    """A topic: the end offset of each partition whose leader answered, and why others did not.

    `lowest`, `highest` and `total` are over `ends`; `went_back` tells of offsets that shrank.
    """

    ends: dict[int, int]
    silent: dict[int, str]
    lowest: int
    highest: int
    total: int
    went_back: str = ""


class KafkaSeen(msgspec.Struct, frozen=True):
    """What one look at a cluster brought. A topic that does not exist is not in `topics`.

    `lags` is `{(group, topic): {partition: records behind the end}}`. `refused` holds what will
    not pass by itself: a text for `""` (the cluster), a topic, or `(group, topic)`.
    """

    topics: dict[str, TopicSeen] = {}
    lags: dict[tuple[str, str], dict[int, int]] = {}
    trouble: dict[Any, str] = {}
    refused: dict[Any, str] = {}


class KafkaOffsetTrigger(Trigger, frozen=True, kw_only=True, tag="kafka"):
    """Wait until end offsets reach `offset`, or a group's lag is below a number of records.

    `across`: "min" asks it of every partition, "any" of at least one, "sum" of their total.
    `lag_below=("group", 1)` is met when the group has nothing left to read. `security` takes
    protocol, mechanism, username, password, ca, cert and key (paths of PEM files); a `Secret`
    may stand for any of them. `timeout` bounds one look in seconds.
    """

    source_modules: ClassVar = ("bide.triggers.kafka_source",)

    bootstrap: str | tuple[str, ...]
    topic: str
    partitions: Literal["all"] | tuple[int, ...] = "all"
    offset: int | None = None
    lag_below: tuple[str, int] | None = None
    across: Literal["min", "any", "sum"] = "min"
    security: dict[str, Any] = msgspec.field(default_factory=dict)
    timeout: float = 10.0

    def __post_init__(self) -> None:
        if not isinstance(self.bootstrap, str):
            force_setattr(self, "bootstrap", ",".join(self.bootstrap))
        force_setattr(self, "bootstrap", _servers(str(self.bootstrap)))
        if not self.topic or len(self.topic) > 249 or not set(self.topic) <= _TOPIC_LETTERS:
            raise UsageError(
                f"topic {self.topic!r} is no name of a Kafka topic: letters, digits, '.', '_' and '-'"
            )
        if (self.offset is None) == (self.lag_below is None):
            raise UsageError(f"the wait on topic {self.topic} needs offset or lag_below, one of the two")
        if self.offset is not None and self.offset < 0:
            raise UsageError(f"offset {self.offset} is below 0")
        if self.lag_below is not None:
            force_setattr(self, "lag_below", tuple(self.lag_below))
            if not self.lag_below[0] or self.lag_below[1] < 1:
                raise UsageError(f'lag_below {self.lag_below!r} is not ("group", records), records >= 1')
        if self.partitions != "all":
            chosen = tuple(sorted(set(self.partitions)))
            if not chosen or not all(type(one) is int and one >= 0 for one in chosen):
                raise UsageError(f'partitions {self.partitions!r} is neither "all" nor a list of numbers')
            force_setattr(self, "partitions", chosen)
        if self.across not in ("min", "any", "sum"):
            raise UsageError(f'across {self.across!r} is not "min", "any" or "sum"')
        if not 0 < self.timeout <= 3600:
            raise UsageError(f"timeout {self.timeout} is not between 0 and 3600 seconds")
        force_setattr(self, "security", _security(self.security))

    def source_key(self) -> Hashable:
        options = msgspec.json.encode(self.security, order="sorted").decode()
        return ("kafka", self.bootstrap, options) if self.security else ("kafka", self.bootstrap)

    def poll_key(self) -> Hashable:
        """One look serves all waits on the cluster."""
        return "offsets"

    def judge(self, seen: KafkaSeen, memo: Any, now: int) -> Verdict:
        if seen.refused:
            for key in ("", self.topic, (self.lag_below[0], self.topic) if self.lag_below else None):
                if key is not None and key in seen.refused:
                    return Fail(seen.refused[key])
        topic = seen.topics.get(self.topic)
        if topic is None:
            trouble = seen.trouble.get(self.topic)
            return NotYet(trouble or f"topic {self.topic} does not exist yet")
        if self.lag_below is not None:
            return self._judge_lag(seen, topic, *self.lag_below)
        return self._judge_ends(topic, self.offset or 0)

    def _judge_ends(self, topic: TopicSeen, wanted: int) -> Verdict:
        ends = topic.ends
        if self.partitions == "all":
            missing: tuple[int, ...] | dict[int, str] = topic.silent
            least, most, total = topic.lowest, topic.highest, topic.total
        else:
            missing = tuple(one for one in self.partitions if one not in ends)
            ends = {one: ends[one] for one in self.partitions if one in ends}
            least, most = min(ends.values(), default=-1), max(ends.values(), default=-1)
            total = sum(ends.values())
        value = least if self.across == "min" else most if self.across == "any" else total
        if value >= wanted and ends and (not missing or self.across != "min"):
            return Fire(self._event(ends, value))
        if missing:
            return NotYet(self._silent(topic, missing))
        return NotYet(f"{_ACROSS[self.across]} is {value} of {wanted}{topic.went_back}")

    def _judge_lag(self, seen: KafkaSeen, topic: TopicSeen, group: str, limit: int) -> Verdict:
        lags = seen.lags.get((group, self.topic))
        if lags is None:
            trouble = seen.trouble.get((group, self.topic))
            return NotYet(trouble or f"the offsets of group {group} are not known")
        chosen = sorted({*topic.ends, *topic.silent}) if self.partitions == "all" else self.partitions
        known = {one: lags[one] for one in chosen if one in lags}
        missing = tuple(one for one in chosen if one not in lags)
        value = _LAG[self.across](known.values()) if known else limit
        if value < limit and (not missing or self.across == "any"):
            return Fire(self._event({one: topic.ends[one] for one in known}, value))
        if missing:
            return NotYet(seen.trouble.get((group, self.topic)) or self._silent(topic, missing))
        return NotYet(f"group {group} is {value} behind, to be below {limit}{topic.went_back}")

    def _silent(self, topic: TopicSeen, missing: tuple[int, ...] | dict[int, str]) -> str:
        first = min(missing)
        count = len(topic.ends) + len(topic.silent)
        why = topic.silent.get(first, f"does not exist, {self.topic} has {count}")
        more = f" (and {len(missing) - 1} more)" if len(missing) > 1 else ""
        return f"partition {first} {why}{more}{topic.went_back}"

    def _event(self, ends: dict[int, int], value: int) -> dict[str, Any]:
        offsets = {str(one): end for one, end in islice(ends.items(), _EVENT_PARTITIONS)}
        return {"topic": self.topic, "offsets": offsets, "value": value}

    def describe(self) -> str:
        if self.lag_below is not None:
            return f"kafka {self.topic}: group {self.lag_below[0]} less than {self.lag_below[1]} behind"
        return f"kafka {self.topic}: {_ACROSS[self.across]} >= {self.offset}"

    @classmethod
    def make_source(cls, key: Hashable, world: SourceWorld) -> Source:
        from bide.triggers.kafka_source import KafkaSource

        return KafkaSource(key, world)


_TOPIC_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
_ACROSS: Final = {
    "min": "the lowest end offset",
    "any": "the highest end offset",
    "sum": "the sum of end offsets",
}
_LAG: Final[dict[str, Any]] = {"min": max, "any": min, "sum": sum}
"""Of lags the worst partition is the one with the most: "min" asks it of every partition."""


def _servers(written: str) -> str:
    """`host:port` addresses, sorted; `UsageError` for one that cannot be meant.

    >>> _servers("b:9093, a")
    'a:9092,b:9093'
    """
    servers: set[str] = set()
    for part in filter(None, (one.strip() for one in written.split(","))):
        host, colon, port = part.rpartition(":")
        if not colon or (part.endswith("]")):
            host, port = part, "9092"
        if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise UsageError(f"Kafka address {part!r} cannot be read: write host:port")
        servers.add(f"{host}:{port}")
    if not servers:
        raise UsageError("bootstrap names no Kafka broker: write host:port")
    return ",".join(sorted(servers))


def _security(options: dict[str, Any]) -> dict[str, Any]:
    if unknown := set(options) - _SECURITY:
        raise UsageError(f"security has {sorted(unknown)}: it takes {', '.join(sorted(_SECURITY))}")
    protocol = options.get("protocol", "PLAINTEXT")
    if protocol not in _PROTOCOLS:
        raise UsageError(f"security protocol {protocol!r} is not one of {', '.join(sorted(_PROTOCOLS))}")
    if options.get("mechanism", "PLAIN") not in _MECHANISMS:
        raise UsageError(
            f"security mechanism {options['mechanism']!r} is not one of {', '.join(sorted(_MECHANISMS))}"
        )
    if protocol.startswith("SASL") and not {"username", "password"} <= set(options):
        raise UsageError(f"security protocol {protocol} needs username and password")
    named: dict[str, Any] = name_secrets(options)
    if isinstance(named.get("password"), str):
        raise UsageError('security holds a password, which would be stored: write Secret("env:NAME")')
    return named
