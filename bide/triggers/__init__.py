"""The kinds of triggers, by tag: built in, and those of the entry-point group `bide.triggers`.

A trigger is stored as JSON with its tag. The tag is looked up in this registry; no stored text
is ever imported. A kind's module is loaded when the kind is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import msgspec

from bide.runtime import typed
from bide.runtime.errors import UsageError
from bide.triggers.base import Fail as Fail
from bide.triggers.base import Fire as Fire
from bide.triggers.base import LookFailed as LookFailed
from bide.triggers.base import NotYet as NotYet
from bide.triggers.base import PollSource as PollSource
from bide.triggers.base import PushSource as PushSource
from bide.triggers.base import Trigger as Trigger
from bide.triggers.secret_refs import stored

if TYPE_CHECKING:
    from bide.triggers.asset import AssetTrigger as AssetTrigger
    from bide.triggers.external_task import ExternalTaskTrigger as ExternalTaskTrigger
    from bide.triggers.file import FileTrigger as FileTrigger
    from bide.triggers.http import HttpTrigger as HttpTrigger
    from bide.triggers.kafka import KafkaOffsetTrigger as KafkaOffsetTrigger
    from bide.triggers.objects import ObjectTrigger as ObjectTrigger
    from bide.triggers.python import PythonTrigger as PythonTrigger
    from bide.triggers.time import TimeTrigger as TimeTrigger

GROUP: Final = "bide.triggers"

_BUILT_IN: Final = {
    "time": ("bide.triggers.time", "TimeTrigger"),
    "file": ("bide.triggers.file", "FileTrigger"),
    "http": ("bide.triggers.http", "HttpTrigger"),
    "kafka": ("bide.triggers.kafka", "KafkaOffsetTrigger"),
    "external_task": ("bide.triggers.external_task", "ExternalTaskTrigger"),
    "asset": ("bide.triggers.asset", "AssetTrigger"),
    "object": ("bide.triggers.objects", "ObjectTrigger"),
    "python": ("bide.triggers.python", "PythonTrigger"),
}
_HOME: Final = {name: module for module, name in _BUILT_IN.values()}
_loaded: Final[dict[str, type[Trigger]]] = {}
_decoders: Final[dict[str, msgspec.json.Decoder[Any]]] = {}


class _Tagged(msgspec.Struct):
    kind: str


_tag: Final = typed.decoder(_Tagged)
_encoder: Final = msgspec.json.Encoder()


def kind_of(trigger: Trigger) -> str:
    """The tag under which a trigger is stored and listed.

    >>> from bide.triggers import TimeTrigger
    >>> kind_of(TimeTrigger(at_us=0))
    'time'
    """
    return str(type(trigger).__struct_config__.tag)


def encode_trigger(trigger: Trigger) -> bytes:
    """The trigger as JSON with its kind. `UsageError` when it is of no registered kind."""
    kind = kind_of(trigger)
    if trigger_class(kind) is not type(trigger):
        raise UsageError(
            f"the trigger {type(trigger).__name__} has the kind {kind!r} of another class: "
            f'give it a tag of its own and an entry point of that name in the group "{GROUP}"'
        )
    return _encoder.encode(trigger)


def decode_trigger(data: bytes) -> Trigger:
    """The trigger of stored JSON. `UsageError` names an unknown kind or what does not fit."""
    try:
        kind = _tag.decode(data).kind
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"a stored trigger cannot be read: {error}") from None
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = typed.decoder(trigger_class(kind))
    try:
        with stored():
            trigger: Trigger = decoder.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(f"a stored trigger of the kind {kind!r} cannot be read: {error}") from None
    return trigger


def trigger_class(kind: str) -> type[Trigger]:
    """The class of a kind, its module loaded. `UsageError` names the kinds there are."""
    found = _loaded.get(kind)
    if found is None:
        found = _loaded[kind] = _load(kind)
    return found


def _load(kind: str) -> type[Trigger]:
    if kind in _BUILT_IN:
        module, name = _BUILT_IN[kind]
        built_in: type[Trigger] = getattr(import_module(module), name)
        return built_in
    from importlib.metadata import entry_points

    plugins = entry_points(group=GROUP)
    for plugin in plugins:
        if plugin.name == kind:
            try:
                loaded = plugin.load()
            except (ImportError, AttributeError) as error:
                raise UsageError(
                    f"the trigger {kind!r} of {plugin.value!r} cannot be loaded ({error}): "
                    "repair or reinstall the package that brings it"
                ) from error
            if not (isinstance(loaded, type) and issubclass(loaded, Trigger)):
                raise UsageError(f"the entry point {plugin.value!r} of the trigger {kind!r} is no Trigger")
            if loaded.__struct_config__.tag != kind:
                raise UsageError(
                    f"the entry point {kind!r} names a trigger with the tag "
                    f"{loaded.__struct_config__.tag!r}: both must be the same"
                )
            return loaded
    known = ", ".join(sorted({*_BUILT_IN, *(plugin.name for plugin in plugins)}))
    raise UsageError(
        f"there is no trigger of the kind {kind!r}, and there are {known}: "
        f'install the package that brings it (entry-point group "{GROUP}")'
    )


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'bide.triggers' has no attribute {name!r}")
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


__all__ = [
    "AssetTrigger",
    "ExternalTaskTrigger",
    "Fail",
    "FileTrigger",
    "Fire",
    "HttpTrigger",
    "KafkaOffsetTrigger",
    "LookFailed",
    "NotYet",
    "ObjectTrigger",
    "PollSource",
    "PushSource",
    "PythonTrigger",
    "TimeTrigger",
    "Trigger",
    "decode_trigger",
    "encode_trigger",
    "kind_of",
    "trigger_class",
]
