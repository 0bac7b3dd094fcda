"""The house stands as its plan says: which room may know what, read from the code itself."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
from hatchling.builders.sdist import SdistBuilder
from hatchling.builders.wheel import WheelBuilder

import bide

ROOT = Path(__file__).parents[1]
CODE = sorted(p for p in (ROOT / "bide").rglob("*.py"))


class Trees(Mapping[str, ast.Module]):
    """The syntax of every file by its name, read when it is asked for."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._files = {file.relative_to(ROOT).as_posix(): file for file in files}
        self._read: dict[str, ast.Module] = {}

    def __getitem__(self, name: str) -> ast.Module:
        if name not in self._read:
            self._read[name] = ast.parse(self._files[name].read_text(), name)
        return self._read[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


TREES = Trees(CODE)

# The shell around `decide`: it reads the mailbox, commits and acts. Everything else in engine/ is pure.
ENGINE_SHELL = {"loop", "manifests", "session", "shell"}
WORLDLY = {
    "anyio", "asyncio", "concurrent", "httpx", "aiokafka", "aiosqlite", "sqlite3", "logging", "random",
    "secrets", "select", "signal", "socket", "subprocess", "threading", "time", "uuid",
}  # fmt: skip
CLOCK_READS = {
    "time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "clock_gettime",
    "clock_gettime_ns", "process_time", "process_time_ns", "thread_time", "localtime", "gmtime",
}  # fmt: skip
SQL = re.compile(
    r"\bSELECT\b.+\bFROM\b|\bINSERT\s+(OR\s+\w+\s+)?INTO\b|\bUPDATE\s+\w+\s+SET\b|\bDELETE\s+FROM\b"
    r"|\bCREATE\s+(TEMP\s+)?(TABLE|INDEX|TRIGGER)\b|\bPRAGMA\s+\w+|\bBEGIN\s+IMMEDIATE\b",
    re.DOTALL,
)

TYPED = re.compile(r"msgspec\.convert|msgspec\.(json|msgpack|toml|yaml)\.(decode|Decoder)")


def is_pure(name: str) -> bool:
    if name.startswith("bide/runtime/graph/"):
        return not name.endswith("/load.py")
    if name.startswith(("bide/runtime/schedules/", "bide/runtime/assets/", "bide/runtime/hooks/")):
        return True
    return name.startswith("bide/runtime/engine/") and Path(name).stem not in ENGINE_SHELL


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, module) of every import in the tree that runs."""
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, node.module or ""


def clock_reads(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, what = node.value.id, node.attr
            if owner == "time" and what in CLOCK_READS:
                yield node.lineno, f"time.{what}"
            if owner in ("datetime", "date", "dt") and what in ("now", "utcnow", "today"):
                yield node.lineno, f"{owner}.{what}"
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from ((node.lineno, a.name) for a in node.names if a.name in CLOCK_READS)


def strings(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """(line, text) of every string that is not a docstring or a field's note."""
    notes = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in notes:
            yield node.lineno, node.value


def test_pure_rooms_import_nothing_of_the_world() -> None:
    pure = [name for name in TREES if is_pure(name)]
    assert "bide/runtime/engine/states.py" in pure
    assert "bide/runtime/graph/spec.py" in pure
    found = [
        f"{name}:{line} imports {module}"
        for name in pure
        for line, module in imports(TREES[name])
        if module.split(".")[0] in WORLDLY
    ]
    assert found == []


def test_pure_rooms_have_no_coroutine() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name in TREES
        if is_pure(name)
        for node in ast.walk(TREES[name])
        if isinstance(node, ast.AsyncFunctionDef | ast.Await | ast.AsyncWith | ast.AsyncFor)
    ]
    assert found == []


def test_only_the_clock_reads_clocks() -> None:
    found = [
        f"{name}:{line} reads {what}"
        for name, tree in TREES.items()
        if name != "bide/runtime/clock.py"
        for line, what in clock_reads(tree)
    ]
    assert found == []


def test_types_are_read_through_one_room() -> None:
    """By any thread: msgspec itself takes no two that use a type for the first time."""
    found = [
        f"{name}:{node.lineno} {ast.unparse(node.func)}"
        for name, tree in TREES.items()
        if name != "bide/runtime/typed.py"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and TYPED.fullmatch(ast.unparse(node.func))
        if not ast.unparse(node.func).endswith("decode") or "type" in {word.arg for word in node.keywords}
    ]
    assert found == []


def test_only_the_store_knows_sql() -> None:
    found = [
        f"{name}:{line} {what}"
        for name, tree in TREES.items()
        if not name.startswith("bide/runtime/store/")
        for line, what in [
            *((n, f"imports {m}") for n, m in imports(tree) if m.split(".")[0] in ("sqlite3", "aiosqlite")),
            *((n, f"holds SQL: {text[:40]!r}") for n, text in strings(tree) if SQL.search(text)),
        ]
    ]
    assert found == []


def test_nothing_sleeps_in_a_thread() -> None:
    found = [
        f"{name}:{node.lineno}"
        for name, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "time.sleep"
    ]
    assert found == []


def test_httpx_is_imported_in_one_module() -> None:
    homes = {
        name
        for name, tree in TREES.items()
        for _, m in imports(tree)
        if m.split(".")[0] in ("httpx", "httpx2")
    }
    assert len(homes) <= 1, homes


def test_fastapi_is_known_in_the_service_alone() -> None:
    homes = {
        name
        for name, tree in TREES.items()
        for _, m in imports(tree)
        if m.split(".")[0] in ("fastapi", "starlette", "uvicorn")
    }
    assert all(name.startswith(("bide/runtime/service/", "bide/runtime/cli/")) for name in homes), homes


@pytest.mark.parametrize("name", TREES)
def test_a_module_is_one_idea_said_in_its_docstring(name: str) -> None:
    tree = TREES[name]
    lines = (ROOT / name).read_text().count("\n")
    assert lines == 0 or ast.get_docstring(tree), "no docstring"
    assert lines <= 600, f"{lines} lines: look for the second idea"


def loaded_after(statement: str) -> set[str]:
    code = f"import sys\n{statement}\nprint(*{{m.partition('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    return set(done.stdout.split())


HEAVY = {
    "httpx",
    "httpx2",
    "aiokafka",
    "aiosqlite",
    "sqlite3",
    "rich",
    "cyclopts",
    "fastapi",
    "pydantic",
    "uvicorn",
}


def test_c82_importing_bide_loads_next_to_nothing() -> None:
    assert loaded_after("import bide") & (HEAVY | {"msgspec", "asyncio", "anyio"}) == set()


def test_declaring_a_dag_loads_no_client_and_no_database() -> None:
    assert loaded_after("from bide import Cron, Every, dag, shell, task") & HEAVY == set()


@pytest.mark.parametrize("name", bide.__all__)
def test_every_public_name_is_there_and_documented(name: str) -> None:
    assert getattr(bide, name).__doc__, f"bide.{name} has no docstring"


def test_public_names_are_the_same_at_run_time_and_for_type_checkers() -> None:
    tree = TREES["bide/__init__.py"]
    typed = {
        alias.asname: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("bide.")
        for alias in node.names
        if alias.asname is not None
    }
    assert sorted(typed) == sorted(bide.__all__)
    assert typed == bide._HOME
    assert bide.__all__ == sorted(bide.__all__, key=lambda name: (not name.isupper(), name))  # as ruff does


def test_an_unknown_public_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Gantry'"):
        bide.__getattr__("Gantry")


@pytest.mark.parametrize("room", ["runtime", "sensors", "triggers"])
def test_signposts_point_into_the_package(room: str) -> None:
    post = ROOT / room
    if post.is_symlink():
        assert post.readlink().as_posix() == f"bide/{room}"
    else:  # a checkout or an archive without symlinks: a file that names the place
        assert not post.is_dir()


@pytest.mark.wheel
def test_the_wheel_is_whole_and_has_no_signposts(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = zipfile.ZipFile(wheel).namelist()
    assert {n.split("/")[0] for n in names} == {"bide", f"bide-{bide.__version__}.dist-info"}
    assert "bide/py.typed" in names
    for source in (ROOT / "bide").rglob("*"):
        if source.suffix in (".py", ".sql") and "__pycache__" not in source.parts:
            assert source.relative_to(ROOT).as_posix() in names
    assert the_window(names) == the_window(
        each.relative_to(ROOT).as_posix() for each in (ROOT / "bide/window").rglob("*") if each.is_file()
    )


@pytest.mark.wheel
def test_the_sdist_has_no_signposts(tmp_path: Path) -> None:
    (sdist,) = SdistBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    with tarfile.open(sdist) as tar:
        names = [n.partition("/")[2] for n in tar.getnames() if "/" in n]
    tops = {n.split("/")[0] for n in names}
    assert tops & {"runtime", "sensors", "triggers"} == set()
    assert {"bide", "tests", "pyproject.toml", "LICENSE"} <= tops
    assert the_window(names), "users of the sdist need no Node"
    assert {"ui/package-lock.json", "ui/src/main.tsx", "ui/make.py"} <= set(names), (
        "nor do its sources stay behind"
    )
    assert [n for n in names if "node_modules" in n or n == "ui/openapi.json"] == []


def the_window(names: Iterable[str]) -> set[str]:
    """The built files of the window among them; the page and what it loads are there, or none."""
    found = {n for n in names if n.startswith("bide/window/")}
    assert not found or "bide/window/index.html" in found
    return found
