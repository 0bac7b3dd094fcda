"""The picture as an SVG that needs nothing from anywhere: no font is fetched."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console

from examples.waiting_room.picture import frame
from examples.waiting_room.scene import Scene

WIDTH, HEIGHT = 96, 24
_FONTS = re.compile(r"@font-face \{.*?\}\s*", re.DOTALL)


def save(scene: Scene, path: Path) -> None:
    """Write the frame of `scene`; the folder is made when it is missing."""
    console = Console(
        record=True,
        width=WIDTH,
        height=HEIGHT,
        file=io.StringIO(),
        force_terminal=True,
        color_system="standard",
        no_color=False,
        highlight=False,
    )
    console.print(frame(scene, console))
    path.parent.mkdir(parents=True, exist_ok=True)
    text = console.export_svg(title="make demo", unique_id="waiting-room")
    path.write_text(_FONTS.sub("", text).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas"))
