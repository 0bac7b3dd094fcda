"""What a function takes: its parameters but for the context, checked at declaration and at call."""

from __future__ import annotations

import inspect
import re
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from types import UnionType
from typing import Any, Final, ForwardRef, Union, get_args, get_origin

from bide.runtime.errors import GraphError

_CONTEXT: Final = re.compile(r"(bide\.)?Context(\s*\|\s*None)?|Optional\[(bide\.)?Context\]")
_SECRET: Final = re.compile(r"(bide\.)?Secret")


class Parameters:
    """The parameters of one function; use `Parameters.of`, which remembers."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.whole = inspect.signature(fn)
        every = self.whole.parameters.values()
        self.contexts = tuple([p.name for p in every if _is_context(p.annotation)])
        rest = [p for p in every if p.name not in self.contexts]
        self.asked = self.whole.replace(parameters=rest)
        self.secrets = frozenset(p.name for p in rest if _is_secret(p.annotation))
        self.secret_places = frozenset(i for i, p in enumerate(rest) if p.name in self.secrets)

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(fn: Callable[..., Any]) -> Parameters:
        return Parameters(fn)

    def check(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that the function does not take."""
        try:
            self.asked.bind(*args, **kwargs)
        except TypeError as error:
            raise GraphError(
                f"the task {name!r} is called with arguments it does not take ({error}): "
                f"it takes {self.asked}"
            ) from None

    def call(
        self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], context: object
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with `context` in its places."""
        if not self.contexts:
            self.check(name, args, kwargs)
            return args, kwargs
        try:
            bound = self.asked.bind(*args, **kwargs)
        except TypeError as error:
            raise GraphError(
                f"the task {name!r} no longer takes the arguments of this run ({error}): "
                "start a new run, or give the parameter a default"
            ) from None
        given = {**bound.arguments, **dict.fromkeys(self.contexts, context)}
        ordered = {key: given[key] for key in self.whole.parameters if key in given}
        full = inspect.BoundArguments(self.whole, OrderedDict(ordered))
        return full.args, full.kwargs


def _is_context(annotation: Any) -> bool:
    """By name: importing the class would load the executor."""
    if isinstance(annotation, str):
        return _CONTEXT.fullmatch(annotation.strip("'\" ")) is not None
    if isinstance(annotation, ForwardRef):
        return _is_context(annotation.__forward_arg__)
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_context(part) for part in get_args(annotation))
    return (
        getattr(annotation, "__name__", "") == "Context"
        and getattr(annotation, "__module__", "") == "bide.runtime.executor.context"
    )


def _is_secret(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _SECRET.fullmatch(annotation.strip("'\" ")) is not None
    return getattr(annotation, "__name__", "") == "Secret"
