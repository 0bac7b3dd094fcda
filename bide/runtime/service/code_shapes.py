"""The JSON of the texts that DAGs were loaded with. Keys are stable."""

from __future__ import annotations

from bide.runtime.service.said_words import Id, Instant
from bide.runtime.service.shapes import _Shape


class CodeLine(_Shape, frozen=True):
    """A load of a DAG that brought another graph or another text.

    `version` and `hash` are of the graph that it gave, `source` is the hash of the file's text, SHA-256; null, as `bytes`,
    where none came with it. `current`: what begins now runs with it. `missing` says why there is no text, and is empty where
    there is.
    """

    code: Id
    version: Id
    hash: str
    file: str
    source: str | None
    bytes: int | None
    loaded_at: Instant
    current: bool
    missing: str


class CodeShown(CodeLine, frozen=True):
    """The same with the `text`; null where it is not kept."""

    dag: str
    text: str | None
