"""Words that no command understands, said back in one sentence with the nearest right ones."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError


def misread(error: CycloptsError, app: App) -> str:
    """What was typed, what it may have been meant to be, and where the right words stand."""
    from cyclopts.exceptions import MissingArgumentError, UnknownCommandError, UnusedCliTokensError

    command = " ".join(("bide", *(error.command_chain or ())))
    see = f"see `{command} --help`"
    if isinstance(error, UnknownCommandError | UnusedCliTokensError) and error.unused_tokens:
        word = error.unused_tokens[0]
        known = _commands(app, error.command_chain or ())
        if known:
            near = get_close_matches(word, known, 1)
            told = f"did you mean `{command} {near[0]}`?" if near else f"there are {', '.join(known)}"
            return f"{command} has no command {word!r}: {told}; {see}"
        return f"`{command}` takes no {word!r} there: {see}"
    if isinstance(error, MissingArgumentError) and error.argument is not None:
        if error.keyword is not None or error.argument.name.startswith("-"):
            return f"{error.keyword or error.argument.name} needs a value: {see}"
        name = error.argument.name
        return f"`{command}` needs {'an' if name[:1] in 'AEIOU' else 'a'} {name}: {see}"
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}{'' if text.endswith('?') else ':'} {see}"


def _commands(app: App, chain: Sequence[str]) -> list[str]:
    """The commands below a chain of them, sorted; none where the chain ends in a plain command."""
    for name in chain:
        app = app[name]
    return sorted(name for name in app if not name.startswith("-"))
