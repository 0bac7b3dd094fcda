"""`shell`: a command becomes a node when it is called in a DAG's body."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Unpack

from bide.runtime.errors import GraphError
from bide.runtime.graph.building import declare
from bide.runtime.graph.code import Code
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.handle import Output
from bide.runtime.graph.item import items_in
from bide.runtime.graph.options import CommandOptions, task_fields
from bide.runtime.graph.render import check
from bide.runtime.graph.spec import Lane, ShellSpec
from bide.runtime.graph.splitting import map_field, once, split

Text = str | Callable[[Facts], str]


class Shell:
    """A task from a command: `shell("dbt", "dbt run --select {params.model}")`.

    `command`, `cwd` and the strings of `env` are templates over the run; `env` is added to the
    environment, and takes outputs of other tasks and secrets. A relative `cwd` is under the folder
    of the DAG's file. A callable of the run's facts is taken in place of a template. Exit code 0 is
    success.
    """

    __name__ = "shell"

    def __call__(
        self,
        name: str,
        command: Text,
        *,
        env: Mapping[str, Any] | None = None,
        cwd: str | Path | None = None,
        **options: Unpack[CommandOptions],
    ) -> Output:
        owner = f"the command {name!r}"
        text: object = "" if callable(command) else command
        if not isinstance(text, str) or not (text.strip() or callable(command)):
            raise GraphError(f"{owner}: the command is {command!r}, and must be a string")
        for option in ("isolate", "lane", "name"):
            if option in options:
                raise GraphError(f"{owner} has no option {option!r}")
        fields = task_fields(owner, options)
        folder = None if cwd is None else str(cwd)
        written = {str(key): value for key, value in (env or {}).items()}
        items = items_in(written)
        lists = {key: item.value for key, item in items.items()}
        for template in (
            text,
            folder,
            *written.values(),
            *(each for over in lists.values() for each in _known(over)),
        ):
            if isinstance(template, str):
                check(template)
        fields |= {"lane": Lane.SHELL, "shell": ShellSpec(command=text, cwd=folder)}
        fields |= map_field(owner, items, options.get("max_map"))
        code = Code(fn=command if callable(command) else None, kwargs=written, mapped=lists)
        return declare(name, fields=fields, code=code).output

    def map(
        self, name: str, command: Text, *, env: Mapping[str, Any], **options: Unpack[CommandOptions]
    ) -> Output:
        """Run it once for each item of a list: `shell.map("load", 'load.sh "$FILE"', env={"FILE": names()})`.

        Of `env` what is an output, a list, a tuple or a range is mapped, several side by side;
        `unmapped(x)` and any other value go whole to every instance. A text stands in the
        environment as it is, any other item as JSON. Returns the handle of the list of the outputs.
        """
        items, plain = split(f"the command {name!r}", env)
        return self(name, command, env={**plain, **items}, **options)

    def partial(self, name: str, command: Text, **shared: Any) -> PartialShell:
        """Arguments that are the same for every instance: `shell.partial("load", "load.sh", cwd="x").map(env=...)`."""
        return PartialShell(name, command, shared)


class PartialShell:
    """A command with the arguments that all of its instances share; see `Shell.partial`."""

    def __init__(self, name: str, command: Text, shared: Mapping[str, Any]) -> None:
        self._name = name
        self._command = command
        self._shared = dict(shared)

    def map(self, *, env: Mapping[str, Any]) -> Output:
        """As `Shell.map`, beside what was given to `partial`, which is never mapped."""
        owner = f"the command {self._name!r}"
        shared: Mapping[str, Any] = self._shared.get("env") or {}
        once(owner, shared, env)
        items, plain = split(owner, env)
        options: dict[str, Any] = {**self._shared, "env": {**shared, **plain, **items}}
        return shell(self._name, self._command, **options)


def _known(over: Any) -> list[Any]:
    return over if type(over) is list else []


shell: Final = Shell()
