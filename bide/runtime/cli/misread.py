"""Words that no command understands, said back in one sentence with the nearest right ones."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cyclopts import App, CycloptsError


_WORDS: Final[dict[object, str]] = {int: "a whole number", float: "a number"}


def misread(error: CycloptsError, app: App) -> str:
    """What was typed, what it may have been meant to be, and where the right words stand."""
    from cyclopts.exceptions import (
        CoercionError,
        MissingArgumentError,
        UnknownCommandError,
        UnusedCliTokensError,
    )

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
        needs = f"`{command}` needs {'an' if name[:1] in 'AEIOU' else 'a'} {name}"
        return f"{needs}: {see}{_or_named(app, error.command_chain or ())}"
    if isinstance(error, CoercionError) and error.token is not None and error.target_type in _WORDS:
        name = error.token.keyword or (error.argument.name if error.argument is not None else "a word")
        return f"{name} is {error.token.value!r}, and must be {_WORDS[error.target_type]}: {see}"
    text = " ".join(str(error).split()).rstrip(".")
    return f"{text[:1].lower()}{text[1:]}{'' if text.endswith('?') else ':'} {see}"


def _or_named(app: App, chain: Sequence[str]) -> str:
    """How to ask for what has the name of a command, where a name may stand in its place.

    `bide dags code` asks for a DAG's code; the DAG `code` is `bide dags -- code`.
    """
    for word in chain[:-1]:
        app = app[word]
    taken = app.assemble_argument_collection() if app.default_command is not None else ()
    if not any(each.index is not None for each in taken):
        return ""
    return f"; what is named {chain[-1]!r} is `{' '.join(('bide', *chain[:-1]))} -- {chain[-1]}`"


def _commands(app: App, chain: Sequence[str]) -> list[str]:
    """The commands below a chain of them, sorted; none where the chain ends in a plain command."""
    for name in chain:
        app = app[name]
    return sorted(name for name in app if not name.startswith("-"))
