"""What stands for the outside in tests: sources that see what the test says, and nothing else.

Each takes the place of all sources of one trigger kind: `sim_runtime(fakes={"http": FakeHttp()})`.
`FakeHttp` and `FakeKafka` are polled and judged like the real ones; `FakeSource` is of any kind and
ends waits by word of the test.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import msgspec

from bide.runtime.engine.messages import Input, WaitFailed, WaitFired
from bide.runtime.values import encode
from bide.triggers.base import LookFailed, PollSource, PushSource, Registration, Source, SourceWorld
from bide.triggers.http import HttpSeen, HttpTrigger
from bide.triggers.kafka import KafkaOffsetTrigger, KafkaSeen, TopicSeen

Where = Callable[[Any], bool]


def _any(_: Any) -> bool:
    return True


class FakeSource:
    """Stands for the sources of one kind of trigger; the test fires, or fails, what waits on it.

        drops = FakeSource()
        async with sim_runtime(dags=[daily], fakes={"file": drops}) as rt:
            await rt.trigger("daily")
            await rt.clock.advance(60)
            drops.fire({"path": "/in/a.csv"})
            await rt.settled()

    `waiting` are the triggers of the armed waits, oldest first.
    """

    def __init__(self) -> None:
        self._post: Callable[[Input], None] = lambda _: None
        self._armed: dict[int, Any] = {}
        self._truth: list[tuple[Where, Any]] = []
        self.removed: list[str] = []
        """Why each wait was let go of: fired, timed_out, cancelled, paused, ..."""
        self.looks = 0
        """Single looks: of sensors that reschedule, and last ones."""

    @property
    def waiting(self) -> list[Any]:
        return list(self._armed.values())

    def fire(self, event: Any = None, where: Where = _any) -> int:
        """End the armed waits whose trigger `where` accepts; how many there were."""
        hit = [wait_id for wait_id, trigger in self._armed.items() if where(trigger)]
        for wait_id in hit:
            self._post(WaitFired(wait_id, encode(event, "the event")))
        return len(hit)

    def fail(self, reason: str, where: Where = _any) -> int:
        """Fail the armed waits whose trigger `where` accepts; how many there were."""
        hit = [wait_id for wait_id, trigger in self._armed.items() if where(trigger)]
        for wait_id in hit:
            self._post(WaitFailed(wait_id, reason))
        return len(hit)

    def hold_true(self, event: Any = None, where: Where = _any) -> None:
        """As `fire`, and for waits and looks still to come as well."""
        self._truth.append((where, event))
        self.fire(event, where)

    # --- what the runtime calls ---------------------------------------------------------------

    def bind(self, post: Callable[[Input], None]) -> None:
        """Where ends of waits go: the mailbox of the runtime."""
        self._post = post

    def make(self, _key: Hashable, _world: SourceWorld) -> Source:
        """A source of the kind this stands for."""
        return _Faked(self)

    def _add(self, wait_id: int, trigger: Any) -> None:
        self._armed[wait_id] = trigger
        for where, event in self._truth:
            if where(trigger):
                self._post(WaitFired(wait_id, encode(event, "the event")))
                return

    def _remove(self, wait_id: int, reason: str) -> None:
        if self._armed.pop(wait_id, None) is not None:
            self.removed.append(reason)

    def _look(self, wait_id: int, trigger: Any) -> None:
        self.looks += 1
        for where, event in self._truth:
            if where(trigger):
                self._post(WaitFired(wait_id, encode(event, "the event")))
                return


class _Faked(PushSource):
    def __init__(self, fake: FakeSource) -> None:
        self._fake = fake

    def add(self, registration: Registration) -> None:
        self._fake._add(registration.wait_id, registration.trigger)

    def remove(self, registration: Registration, reason: str) -> None:
        self._fake._remove(registration.wait_id, reason)

    async def look_now(self, registration: Registration) -> Any:
        self._fake._look(registration.wait_id, registration.trigger)
        raise LookFailed("not yet")


class FakeHttp(FakeSource):
    """The web: what each URL answers. Polled, shared, spaced and judged as the real one is.

    web = FakeHttp()
    web.answer("https://partner.example/ready", json={"state": "done"})
    """

    def __init__(self) -> None:
        super().__init__()
        self._answers: dict[str, HttpSeen | str] = {}
        self.asked: list[str] = []
        """The URLs of the requests, in order."""

    def answer(
        self, url: str, *, status: int = 200, json: Any = msgspec.UNSET, text: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:  # fmt: skip
        """What `url` answers from now on; 404 is what others do."""
        sent = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not msgspec.UNSET:
            text = msgspec.json.encode(json).decode()
            sent.setdefault("content-type", "application/json")
        self._answers[url] = HttpSeen(status=status, url=url, headers=sent, text=text)

    def unreachable(self, url: str, reason: str = "connection refused") -> None:
        """`url` cannot be reached from now on."""
        self._answers[url] = reason

    def make(self, _key: Hashable, _world: SourceWorld) -> Source:
        return _FakedHttp(self)

    def seen(self, url: str) -> HttpSeen:
        """One request. `LookFailed` when it is unreachable."""
        self.asked.append(url)
        answer = self._answers.get(url)
        if isinstance(answer, str):
            raise LookFailed(answer)
        return answer if answer is not None else HttpSeen(status=404, url=url, headers={}, text="")


class _FakedHttp(PollSource):
    def __init__(self, fake: FakeHttp) -> None:
        self._fake = fake

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> HttpSeen:
        trigger: HttpTrigger = registrations[0].trigger
        return self._fake.seen(trigger.url)

    async def close(self) -> None:
        pass


class FakeKafka(FakeSource):
    """One or more Kafka clusters: topics, their end offsets, and where groups stand.

    kafka = FakeKafka()
    kafka.produce("orders", 100)              # partition 0 ends at 100
    kafka.commit("loader", "orders", 90)      # the group is 10 behind
    """

    def __init__(self) -> None:
        super().__init__()
        self._ends: dict[str, dict[int, int]] = {}
        self._groups: dict[tuple[str, str], dict[int, int]] = {}
        self.down = ""
        """Why no broker answers; "" when they do."""

    def produce(self, topic: str, records: int, partition: int = 0) -> None:
        """Add records; the topic and the partition are there from then on."""
        ends = self._ends.setdefault(topic, {})
        ends[partition] = ends.get(partition, 0) + records

    def commit(self, group: str, topic: str, offset: int, partition: int = 0) -> None:
        """Set where a group stands."""
        self._groups.setdefault((group, topic), {})[partition] = offset

    def make(self, _key: Hashable, _world: SourceWorld) -> Source:
        return _FakedKafka(self)

    def seen(self, triggers: Sequence[KafkaOffsetTrigger]) -> KafkaSeen:
        """One look at the cluster. `LookFailed` while it is down."""
        if self.down:
            raise LookFailed(self.down)
        topics = {
            topic: TopicSeen(dict(ends), {}, min(ends.values()), max(ends.values()), sum(ends.values()))
            for topic, ends in self._ends.items()
        }
        groups = {(each.lag_below[0], each.topic) for each in triggers if each.lag_below is not None}
        lags = {
            key: {
                part: end - self._groups.get(key, {}).get(part, 0) for part, end in self._ends[key[1]].items()
            }
            for key in groups
            if key[1] in self._ends
        }
        return KafkaSeen(topics=topics, lags=lags)


class _FakedKafka(PollSource):
    max_in_flight = 1

    def __init__(self, fake: FakeKafka) -> None:
        self._fake = fake

    async def look(self, poll_key: Hashable, registrations: Sequence[Registration]) -> KafkaSeen:
        return self._fake.seen([registration.trigger for registration in registrations])

    async def close(self) -> None:
        pass
