"""What may cross from code into the database: JSON of bounded size, references, names of secrets.

A reference stands in a spec where a value is not known yet:

    {"$out": "task", "at": ["path", 0]}     the output of a task, or a part of it
    {"$code": "PosixPath"}                  a literal that is not JSON: taken from the loaded DAG
    {"$secret": "env:TOKEN"}                resolved at use, redacted everywhere, never stored
    {"$lit": {...}}                         a dict of the author's own that has one of these keys
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import msgspec

from bide.runtime.errors import NotFoundError, PayloadError, UsageError

OUTPUT_LIMIT: Final = 256 * 1024
COMMAND_LIMIT: Final = 16 * 1024 * 1024
_encoder = msgspec.json.Encoder()


def encode(value: Any, what: str = "the output", limit: int = OUTPUT_LIMIT) -> bytes:
    """JSON of `value`, or `PayloadError` that says what to do instead.

    >>> encode({"rows": 3})
    b'{"rows":3}'
    """
    try:
        data = _encoder.encode(value)
    except UnicodeEncodeError as error:
        raise PayloadError(
            f"{what} holds text that is no Unicode ({error.object[error.start : error.end]!r}, as in a file "
            'name that is not UTF-8): replace it first, as by text.encode("utf-8", "replace").decode()'
        ) from None
    except (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError) as error:
        raise PayloadError(
            f"{what} is not JSON ({error}): return dicts, lists, strings and numbers, "
            "or write it to a file and return its path"
        ) from None
    if len(data) > limit:
        raise PayloadError(
            f"{what} is {len(data):,} bytes of JSON, and the limit is {limit:,}: "
            "write it to a file or a table and return its path or key"
        )
    return data


decode = msgspec.json.decode


def storable(text: str) -> str:
    r"""`text` as a database takes it: what stands for a byte that is not UTF-8 is spelled out.

    >>> storable("caf\udce9.csv")
    'caf\\udce9.csv'
    """
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


class Secret(msgspec.Struct, frozen=True):
    """The name of a secret: `env:NAME`, `file:PATH` or `credential:NAME` (systemd's; `cred:NAME` is the same).

    Accepted wherever a secret goes. Its value is read at each use, never stored, and masked in
    logs, errors and listings.

    >>> Secret("env:API_TOKEN")
    Secret('env:API_TOKEN')
    """

    ref: str

    def __post_init__(self) -> None:
        kind, _, rest = self.ref.partition(":")
        if kind not in ("env", "file", "credential", "cred") or not rest:
            raise UsageError(
                f"Secret({self.ref!r}) names no secret: "
                'write Secret("env:NAME"), Secret("file:PATH") or Secret("credential:NAME")'
            )
        if kind in ("credential", "cred") and ("/" in rest or rest.startswith(".")):
            raise UsageError(f"Secret({self.ref!r}): a credential has a name and no path")

    def __repr__(self) -> str:
        return f"Secret({self.ref!r})"

    def resolve(self) -> str:
        """The secret's value, now. `NotFoundError` names the reference, never a value."""
        kind, _, rest = self.ref.partition(":")
        try:
            match kind:
                case "env":
                    value = os.environ[rest]
                case "file":
                    value = Path(rest).read_text().rstrip("\n")
                case _:
                    folder = os.environ["CREDENTIALS_DIRECTORY"]
                    value = (Path(folder) / rest).read_text().rstrip("\n")
        except KeyError:
            variable = rest if kind == "env" else "CREDENTIALS_DIRECTORY, which systemd sets,"
            raise NotFoundError(
                f"the secret {self.ref!r} cannot be read: the variable {variable} is not set here: set it where bide runs"
            ) from None
        except (OSError, ValueError) as error:  # a file that is no text, a path that cannot be
            raise NotFoundError(
                f"the secret {self.ref!r} cannot be read ({type(error).__name__}): put it there, readable for whom bide runs as"
            ) from None
        redactor.register(value)
        return value


class Redactor:
    """Masks every secret value that was resolved in this process."""

    def __init__(self) -> None:
        self._values: dict[str, None] = {}
        self.on_register: Callable[[str], None] | None = None
        """In an isolated process: tells the runtime, which writes the logs."""

    def register(self, value: str) -> None:
        """Mask `value` from now on, in every form that it is written in: quoted, escaped, encoded, line by line."""
        if value in self._values:
            return
        from bide.runtime.secret_forms import forms

        found = forms(value)
        if not found:
            return
        # a new dict each time: other threads may be masking with the old one. Longest first: one may hold another
        self._values = dict.fromkeys(sorted({*self._values, *found}, key=len, reverse=True))
        if self.on_register is not None:
            self.on_register(value)

    def __call__(self, text: str) -> str:
        for value in self._values:
            if value in text:
                text = text.replace(value, "***")
        return text


redactor: Final = Redactor()
