"""From words to an exit code: parses, runs, and says every error in one line on stderr.

0 done, 1 the run failed, 2 usage, 3 not found, 4 refused, 5 service out of reach, 6 gave up
waiting, 130 interrupted. With BIDE_DEBUG=1 an error keeps its traceback.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

from bide.runtime.errors import INTERRUPTED, BideError, ScheduleError

if TYPE_CHECKING:
    from cyclopts import App
    from cyclopts.help import DefaultFormatter

_USAGE: Final = 2


def run(words: list[str]) -> int:
    """Carry out a command line. Never raises but with BIDE_DEBUG=1."""
    try:
        return _dispatch(_meant(words))
    except BideError as error:
        if os.environ.get("BIDE_DEBUG"):
            raise
        complain(str(error))
        if (pointer := pointed(error)) and sys.stderr.isatty():
            print(pointer, file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `bide runs | head`: nobody reads on, and that is no failure
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:  # the terminal's last resort: one line, and the place on request
        if os.environ.get("BIDE_DEBUG"):
            raise
        complain(
            f"this should not have happened, and is a fault of bide ({type(error).__name__}: {error}): "
            "report it with what BIDE_DEBUG=1 shows; what was acknowledged is in the database"
        )
        return 1
    except KeyboardInterrupt:
        complain("interrupted")
        return INTERRUPTED


def _meant(words: list[str]) -> list[str]:
    """Other words for the same: `help COMMAND`, and `export`, as `incident export` was called at first."""
    match words:
        case ["help", *rest]:
            return [*rest, "--help"]
        case ["export", *_]:
            return ["incident", *words]
    return words


def _unframed() -> DefaultFormatter:
    """Help without frames, for pipes, pagers and those who read it aloud."""
    from cyclopts.help import DefaultFormatter, PanelSpec
    from rich.box import Box

    return DefaultFormatter(panel_spec=PanelSpec(box=Box("    \n" * 8, ascii=True)))


def _wants_help(words: list[str], app: App) -> bool:
    if not words or any(word in ("-h", "--help") for word in words):
        return True
    for word in words:  # a bare group, `bide db`, prints its help
        if word.startswith("-") or word not in app:
            return False
        app = app[word]
    return app.default_command is None


def _dispatch(words: list[str]) -> int:
    from cyclopts import CycloptsError

    from bide.runtime.cli.app import app

    if words[:1] == ["help"]:
        words = [*words[1:], "--help"]
    if _wants_help(words, app):
        from bide.runtime.cli import examples

        examples.add_to(app)
        if not sys.stdout.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
            app.help_formatter = _unframed()
    try:
        code = app(words, exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        if os.environ.get("BIDE_DEBUG"):
            raise
        from bide.runtime.cli.misread import misread

        complain(misread(error, app))
        return _USAGE
    sys.stdout.flush()
    return code if isinstance(code, int) else 0


def pointed(error: BaseException | None) -> str:
    """The text that is wrong with carets under the part that is; "" where the error points at none."""
    while error is not None:
        if isinstance(error, ScheduleError) and error.at is not None:
            text, first, end = error.at
            shown = "".join(c if c.isprintable() else " " for c in text)
            return f"  {shown}\n  {' ' * first}{'^' * (end - first)}"
        error = error.__cause__
    return ""


def complain(text: str) -> None:
    """One line on stderr, without control characters."""
    line = " ".join(text.split())
    print("bide: " + "".join(c if c.isprintable() else "?" for c in line), file=sys.stderr)
