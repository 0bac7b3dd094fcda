"""`bide completion SHELL`: the script that completes commands and options, on stdout."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from bide.runtime.cli.output import write


def add_to(app: App) -> None:
    """Make it a command of `app`, whose commands it completes."""

    @app.command
    def completion(
        shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="bash, zsh or fish.")], /
    ) -> int:
        """Print the completion script of a shell: `source <(bide completion bash)`, or keep it where the shell looks."""
        script = app.generate_completion(prog_name="bide", shell=shell).rstrip()
        # Where bash is offered no command and no option, it is files: `bide run dags/<TAB>`.
        write(script.replace("complete -F _bide bide", "complete -o bashdefault -o default -F _bide bide"))
        return 0
