"""Where the project stands and what its files say, as they say it: `bide.toml`, `[tool.bide]` of `pyproject.toml`.

Imports next to nothing: a shell asks at each TAB.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bide.runtime.errors import UsageError

_PATH_KEYS: Final = ("db", "token_file")


def default_db(env: Mapping[str, str], cwd: Path) -> Path:
    """`bide.db` in `$STATE_DIRECTORY` (systemd's), else in `.bide/` of the project, else of `cwd`."""
    state = env.get("STATE_DIRECTORY", "").split(":")[0]  # systemd joins several with colons
    if state:
        return Path(state) / "bide.db"
    return (project_folder(cwd) or cwd) / ".bide" / "bide.db"


def project_folder(cwd: Path) -> Path | None:
    """The nearest folder upward with a `bide.toml`, or a `pyproject.toml` with `[tool.bide]`."""
    for folder in (cwd, *cwd.parents):
        if (folder / "bide.toml").is_file() or _tool_table(folder / "pyproject.toml") is not None:
            return folder
    return None


def project_files(folder: Path) -> list[tuple[Path, dict[str, Any]]]:
    """(file, its table), those that count more later. Paths in a table are relative to the folder."""
    found = []
    project = folder / "pyproject.toml"
    if (table := _tool_table(project)) is not None:
        found.append((project, _relative(table, folder)))
    own = folder / "bide.toml"
    if own.is_file():
        found.append((own, _relative(_read(own), folder)))
    return found


def _tool_table(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    table = _read(path).get("tool", {}).get("bide")
    return table if isinstance(table, dict) else None


def _read(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _relative(table: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    out = dict(table)
    for key in _PATH_KEYS:
        if isinstance(out.get(key), str):
            out[key] = str(folder / out[key])
    if isinstance(out.get("paths"), list):
        out["paths"] = [str(folder / path) if isinstance(path, str) else path for path in out["paths"]]
    return out
