"""`bide completion SHELL`: the script that completes commands, options, and the names of what there is, on stdout."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_type_hints

from cyclopts import App, Parameter

from bide.runtime.cli.names import OPTIONS, SLOTS
from bide.runtime.cli.output import write


def add_to(app: App) -> None:
    """Make it a command of `app`, whose commands it completes."""

    @app.command
    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="bash, zsh or fish.")], /
    ) -> int:
        """Print the completion script of a shell: `source <(bide completion bash)`, or keep it where the shell looks."""
        name_the_named(app)
        script = app.generate_completion(prog_name="bide", shell=shell).rstrip()
        # Where bash is offered no command and no option, it is files: `bide run dags/<TAB>`.
        write(script.replace("complete -F _bide bide", "complete -o bashdefault -o default -F _bide bide"))
        return 0


def name_the_named(app: App) -> None:
    """Say of each parameter that takes a name that `bide __complete` knows them: the script then asks it."""
    for path, kinds in SLOTS.items():
        command = app
        for word in path.split():
            command = command[word]
        function = command.default_command
        hints = get_type_hints(function, include_extras=True)
        places = iter(kinds.split())
        for argument in command.assemble_argument_collection():
            named = next(places, None) if argument.index is not None else None
            if named or (not argument.is_flag() and not OPTIONS.keys().isdisjoint(argument.names)):
                name = argument.field_info.name
                hints[name] = Annotated[hints[name], Parameter(completer=_asked_elsewhere)]
        function.__annotations__ = hints


def _asked_elsewhere(_: Any) -> tuple[()]:
    """`bide.__main__` has answered before the terminal is loaded."""
    return ()
