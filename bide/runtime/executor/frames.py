"""What a runtime and its isolated process say to each other: a length, then one msgpack message."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import force_setattr

from bide.runtime import typed
from bide.runtime.engine.messages import Failure, Start
from bide.runtime.errors import PayloadError
from bide.runtime.graph.facts import Facts
from bide.runtime.values import storable

HEAD: Final = 4
FRAME_LIMIT: Final = 64 * 1024 * 1024


class Work(msgspec.Struct, frozen=True, tag=True):
    """To the process: the body to run. `arguments` is JSON of [args, kwargs]."""

    order: Start
    epoch: int
    facts: Facts
    module: str
    qualname: str
    file: str | None
    arguments: bytes
    recorded_steps: dict[str, bytes]
    watermark: bytes | None
    path: list[str]
    pythonpath: str | None
    traceparent: str = ""


class Recorded(msgspec.Struct, frozen=True, tag=True):
    """To the process: the step is committed; with the name "", the secret is masked from now on."""

    name: str


class Logged(msgspec.Struct, frozen=True, tag=True):
    """From the process: a line of `ctx.log`."""

    level: str
    text: str

    def __post_init__(self) -> None:
        force_setattr(self, "text", storable(self.text))


class Resolved(msgspec.Struct, frozen=True, tag=True):
    """From the process: a secret's value, to be masked in all that it writes. Answered by `Recorded("")`."""

    value: str


class Stepped(msgspec.Struct, frozen=True, tag=True):
    """From the process: `ctx.once` has its result and waits for its commit."""

    name: str
    value: bytes


class Progressed(msgspec.Struct, frozen=True, tag=True):
    """From the process: `ctx.progress`."""

    done: float
    total: float | None


class Ended(msgspec.Struct, frozen=True, tag=True):
    """From the process, its last word. Exactly one of `output` (JSON, or None) and `failure` counts."""

    output: bytes | None = None
    failure: Failure | None = None
    skipped: bool = False
    cuts: bool = False  # skipped, and all that stands below with it
    watermark: bytes | None = None
    metrics: dict[str, int | float] | None = None


Message = Work | Recorded | Logged | Resolved | Stepped | Progressed | Ended
_decoder: Final[msgspec.msgpack.Decoder[Message]] = typed.packed(Message)


def pack(message: Message) -> bytes:
    """A message as it goes over the wire; `PayloadError` when it is longer than the other side takes."""
    data = msgspec.msgpack.encode(message)
    if len(data) > FRAME_LIMIT:
        raise PayloadError(
            f"{type(message).__name__} is a message of {len(data):,} bytes between the runtime and an isolated "
            f"process, and the limit is {FRAME_LIMIT:,}: write what is large to a file and hand over its path"
        )
    return len(data).to_bytes(HEAD, "big") + data


def length_of(head: bytes) -> int:
    """The length that a head announces; `ValueError` when no message is that long."""
    length = int.from_bytes(head, "big")
    if length > FRAME_LIMIT:
        raise ValueError(f"a message of {length:,} bytes is announced, and the limit is {FRAME_LIMIT:,}")
    return length


def unpack(data: bytes) -> Any:
    """The message in `data`, its head taken off."""
    return _decoder.decode(data)
