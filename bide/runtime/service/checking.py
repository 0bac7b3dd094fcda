"""`bide check`: DAG files looked at without a database; what is wrong, and what will be regretted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bide.runtime.assets.declarations import declared
from bide.runtime.errors import NotFoundError
from bide.runtime.graph.asset_graph import AssetGraph, programs_of
from bide.runtime.graph.contract_lint import contract_findings, guarded
from bide.runtime.graph.dag import Dag
from bide.runtime.graph.external import concerned, refused
from bide.runtime.graph.hook_lint import hook_findings
from bide.runtime.graph.lint import Warn, lint
from bide.runtime.graph.load import Loaded, load_paths
from bide.runtime.hooks.hook import HookSpec
from bide.runtime.service.declaring import declared_for
from bide.runtime.service.hook_files import hooks_for
from bide.runtime.service.hook_secrets import sentence, unchecked
from bide.runtime.service.shapes import Finding

LOAD, VAIN = "load", "waits-in-vain"


def check(paths: Sequence[str], now_us: int) -> tuple[Loaded, list[Finding]]:
    """(the DAGs of these files and folders, what there is to say of them): errors first."""
    for path in paths:
        if not Path(path).exists():
            raise NotFoundError(f"there is no file or folder {path!r}: name DAG files or folders")
    found = load_paths(paths)
    said = [*errors(found, now_us), *warnings(found, now_us)]
    return found, sorted(said, key=lambda each: each.level != "error")


def errors(found: Loaded, now_us: int) -> list[Finding]:
    """Files that cannot be loaded, and DAGs that would be refused because they wait in vain."""
    said = [
        Finding(level="error", code=LOAD, dag=None, task=None, file=file, message=message)
        for file, message in found.errors.items()
    ]
    if not concerned(found.dags):
        return said
    files = _files(found.dags)
    vain = refused(found.dags, [], {}, now_us)
    return said + [
        Finding(level="error", code=VAIN, dag=dag, task=None, file=files.get(dag), message=message)
        for dag, message in vain.items()
    ]


def warnings(found: Loaded, now_us: int) -> list[Finding]:
    """What can be run and will be regretted."""
    files = _files(found.dags)
    return [
        Finding(
            level=warn.level,
            code=warn.code,
            dag=warn.dag or None,
            task=warn.task or None,
            file=warn.file or files.get(warn.dag),
            message=warn.message,
        )
        for warn in all_warnings(found, now_us)
    ]


def all_warnings(found: Loaded, now_us: int) -> list[Warn]:
    """About the DAGs, their hooks, the contracts and assets that concern them, and all that files of contracts say."""
    sources = declared()
    read = {str(file): sources[str(file)] for file in found.contracts if str(file) in sources}
    graph = AssetGraph(programs_of(found.dags, now_us), declared_for(found.dags, read))
    declared_hooks = hooks_for(found.dags, sources)
    hooks = [*hook_findings(declared_hooks, found.dags), *_secrets(declared_hooks)]
    return [*lint(found.dags, now_us, guarded(graph)), *hooks, *contract_findings(graph, sources, now_us)]


def _secrets(hooks: Mapping[str, HookSpec]) -> Iterator[Warn]:
    """Hooks that could check nothing in a service with this environment."""
    for name in sorted(hooks):
        if why := unchecked(hooks[name]):
            yield Warn("hook-secret", "", "", sentence(name, why))


def _files(dags: Sequence[Dag]) -> dict[str, str | None]:
    return {dag.name: None if dag.file is None else str(dag.file) for dag in dags}
