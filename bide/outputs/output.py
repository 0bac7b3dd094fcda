"""`outputs.open`: where a body writes, what is checked, and when it is published."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

import msgspec

from bide.runtime.aside import aside
from bide.runtime.clock import from_us
from bide.runtime.errors import OutputError, UsageError
from bide.runtime.graph.facts import Facts
from bide.runtime.graph.render import render

if TYPE_CHECKING:
    from bide.runtime.executor.context import Context

Check = Callable[[Path], Any]
_REMOTE: Final = ("s3://", "gs://", "az://", "memory://")


class Stage(Protocol):
    """Where something is written aside, and how it gets to its target. Called from any thread, in order."""

    path: Path

    def begin(self) -> None: ...

    def publish(self, stopping: Callable[[], bool]) -> dict[str, Any]:
        """Put it at its target, whole; what it then is. `OutputError`, and nothing has changed."""
        ...

    def discard(self) -> None:
        """Forget what was written aside; may be called twice, and after `publish`."""
        ...


class Output:
    """One output while it is made. Made by `outputs.open`; entered once, by `with` or `async with`.

    `path` is where the body writes. `rows` may be set by the body, to stand in `result`.
    """

    def __init__(self, ctx: Context, target: str, stage: Stage) -> None:
        self.target = target
        """Where it is published: a path, or the url of an object."""
        self.rows: int | None = None
        self._ctx, self._stage = ctx, stage
        self._checks: list[Check] = []
        self._result: dict[str, Any] | None = None

    @property
    def path(self) -> Path:
        """The file to write, which is not there yet; or the folder to write into, which is."""
        return self._stage.path

    @property
    def result(self) -> dict[str, Any]:
        """`{"path", "size", "sha256"}`, with `"files"` of a folder and `"rows"` if set: a task's output.

        Known once it is published; before that, `OutputError`.
        """
        if self._result is None:
            raise OutputError(f"{self.target} is not published yet: its result is known after the `with`")
        return self._result

    def validate(self, check: Check) -> None:
        """Have `check(path)` asked before it is published, in the order given.

        Nothing is published when one of them raises, or returns False. In an `async with` it may be async.
        """
        self._checks.append(check)

    # --- plain `def` tasks -------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._stage.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for check in self._checks:
                    answer = check(self.path)
                    if inspect.isawaitable(answer):
                        if inspect.iscoroutine(answer):
                            answer.close()
                        raise UsageError(f"{_name(check)} is async: use `async with`, or a plain function")
                    self._judge(check, answer)
                self._publish()
        finally:
            self._stage.discard()

    # --- `async def` tasks: what touches the disk does so in a thread ------------------------------

    async def __aenter__(self) -> Self:
        await aside(self._stage.begin)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                for check in self._checks:
                    if inspect.iscoroutinefunction(check):
                        answer = await check(self.path)
                    else:
                        answer = await aside(check, self.path)
                    self._judge(check, answer)
                await aside(self._publish)
        finally:
            await aside(self._stage.discard)

    def _judge(self, check: Check, answer: Any) -> None:
        if answer is False:
            raise OutputError(f"{self.target} is not published: {_name(check)} said no")

    def _publish(self) -> None:
        if self.rows is not None and type(self.rows) is not int:
            raise UsageError(f"the rows of {self.target} are {self.rows!r}, and must be a whole number")
        found = self._stage.publish(lambda: self._ctx.stopping)
        rows = {} if self.rows is None else {"rows": self.rows}
        self._result = {"path": self.target, **found, **rows}


def open(  # noqa: A001 - `outputs.open` reads as what it is
    ctx: Context,
    target: str | Path | Callable[[Context], str],
    *,
    folder: bool = False,
    aside: str | Path | None = None,
    options: Mapping[str, Any] | None = None,
) -> Output:
    """An output at `target`, a template over the run: `"out/{interval.start:%Y-%m-%d}.parquet"`.

    A relative path is under the folder of the DAG's file. `s3://`, `gs://` and `az://` urls are objects
    (the extra `objects`; `options` are obstore's, and may hold `Secret`s). `folder=True` makes a
    partition of many files: `target` then is a link to the version that was published last. A target that
    is the same for the next interval is published over by it, and the log warns of it. Raises
    It is written in a hidden folder beside it, or in `aside`, a folder on the same disk that readers of
    whole trees do not see. Raises
    `UsageError` for a template that cannot be rendered.
    """
    facts = ctx._facts
    if callable(target):
        rendered = str(target(ctx))
    else:
        rendered = render(str(target), facts)
        _warn(ctx, str(target), rendered, facts)
    if rendered.startswith(_REMOTE):
        from bide.outputs.objects import ObjectStage

        if aside is not None:
            raise UsageError(f"{rendered} is an object, and has no disk to write aside on: leave aside out")
        if folder:
            raise UsageError(
                f"{rendered} is an object: folder=True is for local folders; write one object each"
            )
        return Output(ctx, rendered, ObjectStage(rendered, _owner(ctx), ctx.attempt_key, dict(options or {})))
    if options:
        raise UsageError(f"{rendered} is a local path, and options are for object stores: leave them out")
    from bide.outputs.local import FileStage, FolderStage

    path = Path(facts.folder, rendered.removeprefix("file://"))
    if not path.name:
        raise UsageError(f"the output {rendered!r} names no file: end it in a name")
    key = f"{ctx.run_id}.{ctx.attempt_key.replace(':', '.')}"
    made = (FolderStage if folder else FileStage)(
        path, key, home=None if aside is None else Path(facts.folder, aside), again=facts.attempt > 1
    )
    return Output(ctx, str(path), made)


def _owner(ctx: Context) -> str:
    """The instance, over all its attempts."""
    return ctx.idempotency_key.replace("/", ".")


def _warn(ctx: Context, template: str, rendered: str, facts: Facts) -> None:
    """Say that intervals would overwrite each other, or that attempts would not."""
    change = msgspec.structs.replace
    span = facts.end_us - facts.start_us
    if span > 0:
        later = change(
            facts, run_id=facts.run_id + 1, logical_us=facts.end_us, start_us=facts.end_us,
            end_us=facts.end_us + span, scheduled_us=facts.scheduled_us + span,
        )  # fmt: skip
        if render(template, later) == rendered:
            ctx.log.warning(
                "the output is that of the next interval too, and published over it: name the interval in its "
                "template, as in {interval.start:%Y-%m-%dT%H%M}",
                output=rendered,
                next=from_us(facts.end_us).isoformat(),
            )
    if render(template, change(facts, attempt=facts.attempt + 1)) != rendered:
        ctx.log.warning(
            "the output names the attempt: a rerun leaves this one beside its own", output=rendered
        )


def _name(check: Check) -> str:
    return getattr(check, "__name__", None) or repr(check)
