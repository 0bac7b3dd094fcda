"""A DAG file whose every name and text tries to become part of a page. What it calls, if it does, is `hurt`.

Each payload bears the name of its field, `«field»`, so that a test can say where it was shown. It is served beside
showcase.py.
"""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path

from bide import Asset, Context, Param, approval, dag, task
from bide.sensors import FileSensor, HttpSensor

WORLD = Path(os.environ.get("BIDE_SHOWCASE_WORLD", "."))
CORPUS = (
    "<img src=x onerror=hurt()>",
    "<script>hurt()</script>",
    "'\"><svg/onload=hurt()>",
    "</title></style></textarea><iframe srcdoc='<script>parent.hurt()</script>'></iframe>",
    "<a href=javascript:hurt()>click</a>",
    "[click](javascript:hurt()) ![x](x'onerror=hurt())",
    "{{constructor.constructor('hurt()')()}} ${hurt()}",
    "\x1b]8;;javascript:hurt()\x07click\x1b]8;;\x07 \x1b[31m<b onmouseover=hurt()>red</b>\x1b[0m",
    "<details open ontoggle=hurt()><math><mtext></form><form><mglyph><style></math><img src onerror=hurt()>",
    "\u202e)(truh\u202c<input autofocus onfocus=hurt()>",
)


def said(field: str) -> str:
    """All of the corpus on one line, with the name of the field that bears it."""
    return f"«{field}» {' '.join(CORPUS)}"


def short(field: str) -> str:
    """One payload, where there is little room; another for each field."""
    return f"«{field}» {CORPUS[len(field) % len(CORPUS)]}"


evil = Asset("evil", owner=short("asset owner"), doc=said("asset doc"), grain="day", node="raw")


@task(outlets=[evil])
async def speaks(ctx: Context) -> dict[str, str]:
    for each in CORPUS:
        print(f"«log» {each}")
    return {short("result key"): said("result")}


@task(retries=0)
async def breaks_loudly() -> None:
    raise ValueError(said("error"))


@dag(
    name="evil",
    owner=short("owner"),
    tags=[short("tag"), "<script>hurt()</script>"],
    doc=said("doc"),
    params={"text": Param(short("default"), doc=said("param doc"))},
)
def evil_dag() -> None:
    speaks()
    breaks_loudly()


@dag(name="evil_waits")
def evil_waits() -> None:
    FileSensor("file", path=str(WORLD / short("path").replace("/", "\u2215")), timeout=timedelta(hours=6))
    HttpSensor(
        "page",
        url="http://127.0.0.1:9/?q=%3Cscript%3Ehurt()%3C/script%3E<img/src=x/onerror=hurt()>",
        timeout=timedelta(hours=2),
    )
    approval("asks", prompt=said("prompt").replace("{", "(").replace("}", ")"))
    approval("asked", prompt=short("prompt").replace("{", "(").replace("}", ")"))
