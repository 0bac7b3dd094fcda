"""What a function takes: its parameters but for what it is handed, the context and a failure.

Checked at declaration and at call.
"""

from __future__ import annotations

import inspect
import re
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache
from types import UnionType
from typing import Any, Final, ForwardRef, Union, get_args, get_origin

from bide.runtime.errors import GraphError

_CONTEXT: Final = re.compile(r"(bide\.)?Context(\s*\|\s*None)?|Optional\[(bide\.)?Context\]")
_FAILURE: Final = re.compile(r"(bide\.)?Failure(\s*\|\s*None)?|Optional\[(bide\.)?Failure\]")
_FAILURES: Final = re.compile(r"list\[(bide\.)?Failure\]")
_SECRET: Final = re.compile(r"(bide\.)?Secret")


class Parameters:
    """The parameters of one function; use `Parameters.of`, which remembers."""

    def __init__(self, fn: Callable[..., Any]) -> None:
        self.whole = inspect.signature(fn)
        every = self.whole.parameters.values()
        self.contexts = tuple([p.name for p in every if _is_context(p.annotation)])
        self.failure = {p.name: False for p in every if _is_failure(p.annotation)}
        """The parameters that get what failed, by name: True where a list of all that failed is taken."""
        self.failure |= {p.name: True for p in every if _is_failures(p.annotation)}
        self.must_fail = [
            p.name
            for p in every
            if p.name in self.failure and p.default is p.empty and not _is_optional(p.annotation)
        ]
        """Those of them that there is nothing for in a task that handles no failure."""
        rest = [p for p in every if p.name not in self.contexts and p.name not in self.failure]
        self.asked = self.whole.replace(parameters=rest)
        self.none_needed = all(
            p.default is not p.empty or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in rest
        )
        self.secrets = frozenset(p.name for p in rest if _is_secret(p.annotation))
        self.secret_places = frozenset(i for i, p in enumerate(rest) if p.name in self.secrets)

    @staticmethod
    @lru_cache(maxsize=4096)
    def of(fn: Callable[..., Any]) -> Parameters:
        return Parameters(fn)

    def check(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Refuse arguments that the function does not take."""
        if self.none_needed and not args and not kwargs:
            return
        try:
            self.asked.bind(*args, **kwargs)
        except TypeError as error:
            raise GraphError(
                f"the task {name!r} is called with arguments it does not take ({error}): "
                f"it takes {self.asked}"
            ) from None

    def call(
        self,
        name: str,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        context: object,
        failures: Sequence[object] = (),
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments with `context` in its places, and what failed (the first of it, or all) in theirs."""
        if not self.contexts and not self.failure:
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
        for parameter, wants_all in self.failure.items():
            if failures or wants_all or self.whole.parameters[parameter].default is inspect.Parameter.empty:
                given[parameter] = list(failures) if wants_all else next(iter(failures), None)
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


def _is_failure(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _FAILURE.fullmatch(annotation.strip("'\" ")) is not None
    if isinstance(annotation, ForwardRef):
        return _is_failure(annotation.__forward_arg__)
    if get_origin(annotation) in (Union, UnionType):
        return any(_is_failure(part) for part in get_args(annotation))
    return (
        getattr(annotation, "__name__", "") == "Failure"
        and getattr(annotation, "__module__", "") == "bide.runtime.graph.failure"
    )


def _is_failures(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _FAILURES.fullmatch(annotation.strip("'\" ")) is not None
    return get_origin(annotation) is list and all(map(_is_failure, get_args(annotation)))


def _is_optional(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return annotation.replace(" ", "").endswith("|None") or annotation.startswith("Optional[")
    return type(None) in get_args(annotation)


def _is_secret(annotation: Any) -> bool:
    if isinstance(annotation, str):
        return _SECRET.fullmatch(annotation.strip("'\" ")) is not None
    return getattr(annotation, "__name__", "") == "Secret"
