"""T14, whatever is read from outside as text: any text is taken, or refused in words, by every reader alone and at once.

The texts are good ones with signs changed, gone, repeated and put in, and some of no sense at all, drawn by a seed: no
engine stands between, so 17,000 take seconds. BIDE_SOAK=n tries n times as many, BIDE_SEED draws others.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bide import Cron
from bide.runtime.assets import toml
from bide.runtime.cli.many import read_where
from bide.runtime.config import load_config
from bide.runtime.errors import BideError
from bide.runtime.graph.params import from_texts
from bide.runtime.graph.pattern import pattern
from bide.runtime.graph.quoting import render_command
from bide.runtime.graph.render import render
from bide.runtime.hooks.cloudevent import event_of
from bide.runtime.hooks.mapped import document_of
from bide.runtime.hooks.pointer import pointer
from bide.runtime.hooks.signing import verified
from bide.runtime.service import addresses
from bide.runtime.service.bodies import check_json
from bide.runtime.service.cursor import cursor, read_cursor
from bide.runtime.service.describe import error_words
from bide.runtime.service.hosts import same_origin
from bide.runtime.service.refusals import Refusal
from bide.runtime.service.tags import numbers, seen
from bide.triggers import decode_trigger, encode_trigger
from bide.triggers.http_match import path_steps
from bide.triggers.time import TimeTrigger
from tests.security.test_templates import facts

EACH = 500 * int(os.environ.get("BIDE_SOAK") or 1)
SEED = int(os.environ.get("BIDE_SEED", "20260615"))
NOW_US = 1_780_000_000_000_000
LONGEST_S = 1.0
SIGNS = (
    *"{}[]().,:;=*/\\-_+#@!?<>|&%^~'\"`$ \t\n\r\0aZ09", "\u0660", "\u202e", "é", "\ud800", "\U0001f600", "\ufeff", "٣", "²",
    "9" * 400, "-1", "1e999", "0x", "%00", "%s", "..", "null", "NaN", "[" * 200, "(" * 60, '{"a":' * 70, "x" * 300, "\x1b[2J", "T24:00",
)  # fmt: skip
EVENT = {
    "ce-specversion": ("1.0",),
    "ce-type": ("t",),
    "ce-source": ("s",),
    "ce-id": ("1",),
    "content-type": ("application/json",),
}
SECRET = ["whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5"]


def raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def latin(text: str) -> str:
    """As what came in a header is read."""
    return raw(text).decode("latin-1")


def as_header(name: str, scheme: str) -> Callable[[str], object]:
    return lambda text: verified(
        scheme,
        SECRET,
        {"webhook-id": ("m",), "webhook-timestamp": ("1780000000",), name: (latin(text),)},
        b"{}",
        NOW_US,
        300_000_000,
    )


READERS: dict[str, tuple[Callable[[str], object], tuple[str, ...]]] = {
    "a cron line": (lambda text: Cron(text, tz="Europe/Berlin").next_after(NOW_US), ("0 2 * * mon#2", "*/7 1-5 L 2 0", "59 23 31 12 *")),
    "a zone": (lambda text: Cron("30 2 * * *", tz=text).next_after(NOW_US), ("Europe/Berlin", "UTC", "Asia/Kathmandu")),
    "a date": (lambda text: addresses.read_date(text, "Europe/Berlin"), ("2026-06-15", "2026-06-15T02:30:00+02:00", "2026-W20-1")),
    "an interval": (addresses.read_interval, ("2026-06-15/2026-06-16", "2026-06-15", "2026-06-15T00:00Z/2026-06-16T00:00Z")),
    "a span": (addresses.read_span, ("+2h", "90s", "1d12h", "+30m")),
    "a run's number": (addresses.run_number, ("17", "1", "latest")),
    "a task's address": (addresses.task_address, ("17/load", "17/load[3]", "1/a.b")),
    "a version's number": (addresses.asset_version_number, ("17", "v17", "gold@17")),
    "a plan's number": (addresses.plan_number, ("17", "p17")),
    "JSON that was typed": (lambda text: addresses.read_json(text, "--value"), ('{"a": [1, "x", null]}', "1e5", '"x"')),
    "a parameter that was typed": (lambda text: from_texts({"properties": {"n": {"type": "number"}}}, {"n": text, "m": text}), ("7", '{"a": 1}')),
    "a pair of --param": (lambda text: addresses.read_params([text]), ("n=7", 'a={"b": [1]}', "day=2026-06-15")),
    "a filter that was typed": (lambda text: read_where([text]), ("state=failed,cancelled,dag=daily", "dag=a,since=-2d")),
    "BIDE_POOLS": (lambda text: load_config({"BIDE_POOLS": text}, Path("/nowhere")), ('{"gpu": 2}', '{"gpu": {"slots": 2, "per_run": 1}}')),
    "BIDE_SLOTS": (lambda text: load_config({"BIDE_SLOTS": text}, Path("/nowhere")), ("4", "16")),
    "a stored error": (error_words, ('{"message": "no"}', "no rows", '{"a":' * 1_500)),
    "a cursor": (lambda text: read_cursor("runs", text), (cursor("runs", "17"), cursor("waits", "17"))),
    "If-Match": (numbers, ('"17-9f86d081884c7d65"', '*', 'W/"17-9f86d081884c7d65", "18-9f86d081884c7d65"')),
    "If-None-Match": (lambda text: seen(text, '"17-9f86d081884c7d65"'), ('"17-9f86d081884c7d65"', "*")),
    "Origin": (lambda text: same_origin([raw(text)], "same-origin", "localhost:8000"), ("http://localhost:8000", "https://[::1]:443", "null")),
    "Host": (lambda text: same_origin([b"http://localhost:8000"], "none", text), ("localhost:8000", "[::1]:80", "127.0.0.1")),
    "a body": (lambda text: check_json(raw(text)), ('{"params": {"a": ["]]", 1]}}', "[[[]]]")),
    "a delivery": (lambda text: document_of(raw(text)), ('{"ref": "main", "n": [1, 2]}', '"x"')),
    "an event's body": (lambda text: event_of({"content-type": ("application/cloudevents+json",)}, raw(text)),
                        ('{"specversion": "1.0", "type": "t", "source": "s", "id": "1", "time": "2026-06-15T00:00:00Z", "data": {}}',)),
    "an event's headers": (lambda text: event_of({**EVENT, "ce-type": (latin(text),), "ce-time": ("2026-06-15T00:00:00Z",)}, b"{}"), ("1.0", "com.example.made", "application/json; charset=utf-8")),
    "GitHub's signature": (as_header("x-hub-signature-256", "github"), ("sha256=" + "0" * 64,)),
    "Stripe's signature": (as_header("stripe-signature", "stripe"), ("t=1780000000,v1=" + "0" * 64,)),
    "a webhook's signature": (as_header("webhook-signature", "standard"), ("v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",)),
    "a pointer": (pointer, ("/a/b/0", "/a~1b/~0", "header:x-id")),
    "a pattern": (lambda text: pattern(text).found_in("ab1-"), ("^(a|b)+[0-9]?$", r"\d{2,3}")),
    "a path into JSON": (path_steps, ("a.b[0].c", "items[-1]")),
    "a template": (lambda text: render(text, facts("x")), ("{run_id} of {dag}", "{params.v} {start:%Y-%m-%d}")),
    "a command": (lambda text: render_command(text, facts("a b")), ("cat {params.v} > 'x'", 'echo "$({task})"')),
    "a stored trigger": (lambda text: decode_trigger(raw(text)), (encode_trigger(TimeTrigger(at_us=7)).decode(), '{"kind":"file","path":"/x"}')),
    "a file of contracts": (lambda text: toml.read(text, "c.toml"), ('[[asset]]\nname = "gold"\nowner = "data"\n', '[[contract]]\nconsumer = "web"\nasset = "gold"\n')),
}  # fmt: skip


def changed(dice: random.Random, good: tuple[str, ...]) -> str:
    """One of the good ones with up to four accidents; one in eight is made of accidents alone."""
    if dice.random() < 0.125:
        return "".join(dice.choice(SIGNS) for _ in range(dice.randrange(12)))
    text = dice.choice(good)
    for _ in range(dice.randint(1, 4)):
        at, length = dice.randint(0, len(text)), dice.randint(0, 4)
        match dice.randrange(4):
            case 0:
                text = text[:at] + dice.choice(SIGNS) + text[at:]
            case 1:
                text = text[:at] + dice.choice(SIGNS) + text[at + length :]
            case 2:
                text = text[:at] + text[at + length :]
            case _:
                text = text[:at] + text[at : at + length] * dice.randint(2, 9) + text[at:]
    return text


@pytest.mark.soak
@pytest.mark.parametrize("what", READERS)
def test_t14_t17_any_text_is_taken_or_refused_in_words(what: str) -> None:
    read, good = READERS[what]
    dice, refused = random.Random(f"{SEED} {what}"), 0
    for number in range(EACH):
        text = changed(dice, good)
        begun = time.monotonic()
        said = refusal(read, text, f"text {number} of BIDE_SEED={SEED}: {text[:200]!a}")
        assert time.monotonic() - begun < LONGEST_S, text[:200]
        refused += bool(said)
        assert "Traceback" not in said
        assert len(said) < 2_000 + 4 * len(text), said[:500]
    assert refused < EACH or what.endswith("signature"), (
        "nothing was taken: they are not near enough to good ones"
    )
    assert refused or what in TAKES_ALL


TAKES_ALL = frozenset({"a parameter that was typed", "a stored error"})
"""What cannot be turned is left as it is."""


def refusal(read: Callable[[str], Any], text: str, replay: str) -> str:
    """What was said against it, "" when it was taken."""
    try:
        read(text)
    except (BideError, Refusal) as error:
        assert str(error)  # noqa: PT017
        return str(error)
    except Exception as error:
        error.add_note(replay)
        raise
    return ""
