"""Loading DAGs from files and modules: one broken file never hinders the others."""

from __future__ import annotations

import hashlib
import importlib
import importlib.util
import re
import sys
import traceback
from collections.abc import Iterable
from dataclasses import dataclass, field
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Final

from bide.runtime.assets.declarations import Said, collecting, declared
from bide.runtime.errors import BideError, GraphError, NotFoundError, UsageError
from bide.runtime.graph.contract_files import contract_files, read_contracts
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.source import source_of
from bide.runtime.graph.validate import suggestion

_PLACED: Final = re.compile(r"\S+\.py(:[0-9]+)?[: ]")


@dataclass(slots=True)
class Loaded:
    """What was found. `errors`: by path of the file, one sentence each."""

    dags: list[Dag] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    contracts: list[Path] = field(default_factory=list)
    """The files of contracts that were read, broken ones as well."""


def load_target(target: str) -> list[Dag]:
    """The DAGs of `file.py[:dag]` or `module[:dag]`; `dag` is a DAG's name or its variable.

    Raises `NotFoundError` for what is not there, `GraphError` (with file and line) for what is
    broken.
    """
    where, _, wanted = target.partition(":")
    if where.endswith(".py") or "/" in where:
        path = Path(where)
        if path.is_dir():
            raise UsageError(f"{where!r} is a folder: name a file in it, such as {path / 'my_dag.py'}")
        if not path.is_file():
            raise NotFoundError(f"there is no file {where!r} (from {Path.cwd()})")
        module = import_file(path)
        for error in read_contracts([path]).values():
            raise GraphError(error)
    else:
        module = _import_module(where)
    dags = dags_of(module)
    if not dags:
        raise NotFoundError(f"{where!r} declares no DAG: put @dag before a function in it")
    if not wanted:
        return list(dags.values())
    found = dags.get(wanted) or next((dag for dag in dags.values() if dag.name == wanted), None)
    if found is None:
        names = sorted({dag.name for dag in dags.values()})
        instead = suggestion(wanted, names) or f"; it has {', '.join(names)}"
        raise NotFoundError(f"{where!r} has no DAG {wanted!r}{instead}")
    return [found]


def load_paths(paths: Iterable[str | Path]) -> Loaded:
    """All DAGs of files and folders, and the contracts beside them. A folder's `*.py` files in order, no
    hidden ones, no tests.
    """
    loaded = Loaded()
    files: dict[Path, None] = {}
    places = [Path(each) for each in paths]
    for path in places:
        if path.is_dir():
            files.update(dict.fromkeys(dag_files(path)))
        elif path.suffix == ".toml" and path.is_file():
            continue  # of contracts, read below
        elif path.is_file():
            files[path.resolve()] = None
        else:
            loaded.errors[str(path)] = f"there is no file or folder {str(path)!r}"
    owners: dict[str, Path] = {}
    hooks: dict[str, Path] = {}
    for file in files:
        try:
            dags = dags_of(import_file(file))
        except BideError as error:
            loaded.errors[str(file)] = str(error)
            continue
        for dag in dags.values():
            if dag.file is not None and dag.file != file and dag.file in files:
                continue  # imported from another of these files, which brings it itself
            if dag.name in owners:
                loaded.errors[str(file)] = (
                    f"two DAGs are named {dag.name!r}, in {owners[dag.name]} and in {file}: rename one; "
                    "the first is kept"
                )
                continue
            owners[dag.name] = file
            loaded.dags.append(dag)
        _hooks_of(file, hooks, loaded)
    loaded.errors.update(read_contracts(places))
    loaded.contracts = contract_files(places)
    return loaded


def forget_beside(paths: Iterable[str | Path]) -> None:
    """Have modules that lie in the folders of DAG files imported anew by the next reading: they may have changed.

    What has begun goes on with the functions that it has.
    """
    folders = {path if path.is_dir() else path.parent for path in (Path(each).resolve() for each in paths)}
    tops = {
        name for name, module in list(sys.modules.items()) if "." not in name and _home(module) in folders
    }
    for name in list(sys.modules):
        top = name.partition(".")[0]
        if top in tops and top not in ("bide", "__main__") and not top.startswith("_bide_"):
            del sys.modules[name]


def _home(module: ModuleType) -> Path | None:
    """The folder that a module or package of the first level lies in; None when it is of no file."""
    file = getattr(module, "__file__", None)
    if file is None:
        return None
    place = Path(file)
    return place.parent.parent if place.name == "__init__.py" else place.parent


def _hooks_of(file: Path, owners: dict[str, Path], loaded: Loaded) -> None:
    """Of two files with a hook of one name the first is heard, and the second told of."""
    for name in declared().get(str(file), Said()).hooks:
        if (owner := owners.setdefault(name, file)) != file:
            loaded.errors[str(file)] = (
                f"two hooks are named {name!r}, in {owner} and in {file}: rename one; the first is kept"
            )


def dag_files(folder: Path) -> list[Path]:
    """The files of a folder that may declare DAGs, sorted."""
    return sorted(
        path.resolve()
        for path in folder.glob("*.py")
        if path.is_file()
        and not path.name.startswith((".", "_", "test_"))
        and not path.name.endswith("_test.py")
        and path.name != "conftest.py"
    )


def dags_of(module: ModuleType) -> dict[str, Dag]:
    """The DAGs of a module by variable, each once; two of one name are refused."""
    found: dict[str, Dag] = {}
    names: dict[str, Dag] = {}
    for variable, value in vars(module).items():
        if not isinstance(value, Dag) or names.get(value.name) is value:
            continue
        if value.name in names:
            raise GraphError(f"{module.__file__} declares two DAGs named {value.name!r}: rename one")
        names[value.name] = value
        found[variable] = value
    return found


class _AnewLoader(SourceFileLoader):
    """Compiles what stands in the file now.

    Python's compiled copies are told stale by size and whole seconds: an edit of the second in which a
    file was last read, to a text as long, would not be seen. `read` is what was compiled.
    """

    read = b""

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        self.read = self.get_data(path)
        return self.source_to_code(self.read, path)


def import_file(path: Path) -> ModuleType:
    """Import a file under a private name of its own, anew each time.

    Its folder is put last on the module path, so that it can import its neighbours. Raises
    `GraphError`, one sentence with file and line.
    """
    path = path.resolve()
    name = f"_bide_{path.stem}_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    if path.suffix != ".py":
        raise UsageError(f"{str(path)!r} is no Python file: DAGs are declared in files that end in .py")
    loader = _AnewLoader(name, str(path))
    spec = importlib.util.spec_from_file_location(name, path, loader=loader)
    assert spec is not None  # it has its loader
    if str(path.parent) not in sys.path:
        sys.path.append(str(path.parent))
    module = importlib.util.module_from_spec(spec)
    before = sys.modules.get(name)
    sys.modules[name] = module  # dataclasses and pickles of its functions look it up there
    try:
        with collecting() as said:
            loader.exec_module(module)
            said.setdefault(str(path), Said())  # it may have declared something before, and nothing now
    except BaseException as error:
        if before is None:
            del sys.modules[name]
        else:
            sys.modules[name] = before
        if isinstance(error, KeyboardInterrupt | GeneratorExit):
            raise
        raise GraphError(_sentence(error, str(path))) from error
    _say_text(module, path, importlib.util.decode_source(loader.read))
    return module


def _say_text(module: ModuleType, path: Path, text: str) -> None:
    """Give the DAGs of a module the text that they came with; one declared in another file keeps what it has."""
    source = source_of(str(path), text)
    for dag in vars(module).values():
        if isinstance(dag, Dag) and (
            dag.file == path or dag.source is None or dag.source.file == source.file
        ):
            dag.source = source


def _import_module(name: str) -> ModuleType:
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))
    had = name in sys.modules
    try:
        module = importlib.import_module(name)
        spec = module.__spec__
        if not had and spec is not None and isinstance(spec.loader, SourceFileLoader):
            path = spec.loader.get_filename(name)
            _say_text(module, Path(path), importlib.util.decode_source(spec.loader.get_data(path)))
        return module
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise NotFoundError(
                f"there is no module {name!r}: write a file (`dags/orders.py`) or a module that "
                "can be imported from here"
            ) from None
        raise GraphError(_sentence(error, name)) from error
    except Exception as error:
        raise GraphError(_sentence(error, name)) from error


def _sentence(error: BaseException, where: str) -> str:
    """What broke an import, with the innermost line of the author's own file."""
    if isinstance(error, GraphError) and _PLACED.match(str(error)):
        return str(error)
    if isinstance(error, SyntaxError):
        line = f":{error.lineno}" if error.lineno else ""
        return f"{error.filename or where}{line}: this is not Python: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename == where]
    place = f"{where}:{own[-1].lineno}" if own else where
    if isinstance(error, BideError):
        return f"{place}: {error}"
    said = "".join(traceback.format_exception_only(error))  # `str()` of an error may fail itself
    text = " ".join(said.partition(": ")[2].split())
    return f"{place}: {type(error).__name__}{f': {text}' if text else ''}"
