"""`bide __complete WORD...`: the names and numbers that may stand where the cursor is, as the shell's script asks for them.

It is asked at each TAB, so it is answered before the rest of the terminal is loaded: from the files of the project and
its database, read-only, by the table below (`completion` makes the script by the same table). Where there is no
database, or none that can be read, it offers nothing, and says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from bide.runtime.errors import BideError
from bide.runtime.project import default_db, project_files, project_folder
from bide.runtime.store.name_reads import UNREADABLE, Name, Names

SLOTS: Final = {
    "runs": "dag", "trigger": "dag", "pause": "dag", "unpause": "dag", "schedule": "dag",
    "show": "run", "cancel": "run", "why": "subject task", "logs": "address task", "rerun": "address task",
    "mark": "address task", "skip": "address task", "stats": "run_or_dag", "action": "action",
    "dags": "dag", "dags show": "dag", "dags code": "dag", "dags versions": "dag", "dags firings": "dag", "dags grid": "dag",
    "waits look": "wait", "waits extend": "wait", "waits satisfy": "wait", "waits fail": "wait", "pools": "pool",
    "backfill plan": "dag", "backfill start": "dag", "backfill list": "dag", "backfill status": "backfill",
    "backfill why": "backfill", "backfill pause": "backfill", "backfill resume": "backfill", "backfill cancel": "backfill",
    "assets show": "asset", "assets use": "asset", "assets decisions": "asset", "assets standing": "asset",
    "assets blast": "asset", "assets invalidate": "asset", "assets checklist": "asset", "assets contracts": "asset",
    "assets publish": "version", "assets degrade": "version", "assets lineage": "version",
    "assets plan": "invalidation", "assets run-plan": "plan", "assets plans": "plan", "assets cancel-plan": "plan",
    "assets events list": "dag", "assets events drop": "dag", "assets events replay": "dag",
    "alerts ack": "alert", "approvals show": "approval", "approvals approve": "approval", "approvals reject": "approval",
    "incident show": "incident", "incident note": "incident", "incident plan": "incident", "incident close": "incident",
    "incident export": "incident", "effects show": "delivery", "hooks deliveries": "hook", "notify retry": "notice",
    "notify test": "route", "token revoke": "token", "tasks": "", "events": "", "alerts": "", "alerts list": "", "approvals": "",
    "approvals list": "", "waits groups": "", "incident open": "", "notify list": "",
}  # fmt: skip
"""Command -> what its words are, one after the other. Commands that have only options with names stand here too."""
OPTIONS: Final = {
    "--dag": "dag", "--run": "run", "--of-run": "run", "--task": "task", "--asset": "asset",
    "--invalidation": "invalidation", "--route": "route",
}  # fmt: skip
"""Option -> what its value is, in each command of `SLOTS` that has it."""
FLAGS: Final = frozenset(
    [
        "--all",
        "--anyway",
        "--approve",
        "--assets",
        "--backfills",
        "--chain",
        "--downstream",
        "--dry-run",
        "--failed",
        "--follow",
        "-f",
        "--full",
        "--json",
        "--list",
        "--new",
        "--origin",
        "--shadow",
        "--skipped",
        "--troubled",
        "--strict",
        "--once",
        "--help",
        "-h",
    ]
)
"""Options without a value."""
_WHOLE: Final = "rerun"
"""Of whose options --run has no value."""


def complete(words: Sequence[str]) -> None:
    """Print what fits in the place of the last word, a line each: the word, a tab, what is said of it."""
    try:
        found = offered(words)
    except (BideError, UNREADABLE, OSError, ValueError):  # no project, no database, another's, a later one
        return
    print("\x1fbegin")
    for name, said in found:
        if name.isprintable():
            print(f"{name}\t{' '.join(said.split())}")


def offered(words: Sequence[str]) -> list[Name]:
    """Raises what is wrong with the project or its database."""
    typed = _Typed(words)
    if not typed.kind:
        return []
    if typed.kind in ("pool", "route"):
        return _configured(typed.kind)
    db = _database(typed.given)
    if db is None or not db.is_file():
        return []
    names = Names(db)
    try:
        return _found(names, typed)
    finally:
        names.close()


class _Typed:
    """The words before the cursor, and what the one at it is."""

    def __init__(self, words: Sequence[str]) -> None:
        *before, self.begins = words or [""]
        self.command = ""
        self.places: list[str] = []
        self.given: dict[str, str] = {}
        waiting, only_words = "", False
        for word in before:
            if waiting:
                if word != "=":  # bash makes three words of --run=3
                    self.given[waiting], waiting = word, ""
            elif only_words or not word.startswith("-"):
                path = f"{self.command} {word}".strip()
                if not self.places and not only_words and _known(path):
                    self.command = path
                else:
                    self.places.append(word)
            elif word == "--":
                only_words = True
            else:
                name, is_given, value = word.partition("=")
                if is_given:
                    self.given[name] = value
                elif not self._flag(name):
                    waiting = name
        if not waiting and not only_words and self.begins.startswith("-"):
            waiting, is_given, self.begins = self.begins.partition("=")
            self.kind = OPTIONS.get(waiting, "") if is_given and not self._flag(waiting) else ""
        elif waiting:
            self.begins = "" if self.begins == "=" else self.begins
            self.kind = OPTIONS.get(waiting, "")
        else:
            kinds = SLOTS.get(self.command, "").split()
            self.kind = kinds[len(self.places)] if len(self.places) < len(kinds) else ""

    def _flag(self, name: str) -> bool:
        return name in FLAGS or (name == "--run" and self.command == _WHOLE)


def _known(path: str) -> bool:
    return path in SLOTS or any(each.startswith(f"{path} ") for each in SLOTS)


def _found(names: Names, typed: _Typed) -> list[Name]:
    begins = typed.begins
    numbered = begins[:1].isdigit()
    match typed.kind:
        case "address" | "subject" if "/" in begins:
            run = begins.partition("/")[0]
            return [(f"{run}/{task}", said) for task, said in _tasks(names, run)]
        case "address":
            return names.of("run", begins)
        case "subject" | "run_or_dag":
            return names.of("run", begins) + ([] if numbered else names.of("dag", begins))
        case "task":
            return _tasks(
                names, typed.given.get("--run") or "".join(typed.places[:1]), typed.given.get("--dag")
            )
        case kind:
            return names.of(kind, begins)


def _tasks(names: Names, of: str, dag: str | None = None) -> list[Name]:
    """Those of a run, or of a DAG."""
    run = of.partition("/")[0]
    if run.isascii() and run.isdigit() and len(run) < 19:
        return names.tasks_of_run(int(run))
    return names.tasks_of_dag(dag or of)


# --- the project ---------------------------------------------------------------------------------


def _settings() -> dict[str, Any]:
    folder = project_folder(Path.cwd())
    found: dict[str, Any] = {}
    for _, table in project_files(folder) if folder is not None else ():
        found.update(table)
    return found


def _database(given: dict[str, str]) -> Path | None:
    """The database that the command would ask; None where that is a service elsewhere."""
    flags = {name[2:]: value for name, value in given.items()}
    said = {
        name: os.environ[f"BIDE_{name.upper()}"]
        for name in ("db", "url")
        if f"BIDE_{name.upper()}" in os.environ
    }
    layers: tuple[Callable[[], dict[str, Any]], ...] = (lambda: flags, lambda: said, _settings)
    for layer in layers:  # what is said closer counts
        values = layer()
        if "url" in values:
            return None
        if "db" in values:
            return Path.cwd() / Path(str(values["db"])).expanduser()
    return default_db(os.environ, Path.cwd())


def _configured(kind: str) -> list[Name]:
    values = _settings()
    if kind == "route":
        return [
            (str(each["name"]), str(each.get("url") or ""))
            for each in values.get("notify", ())
            if "name" in each
        ]
    pools = [*values.get("pools", ()), *values.get("budgets", ())]
    return [("slots", "all tasks")] + [(str(name), "") for name in pools]
