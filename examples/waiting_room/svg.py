"""The picture as an SVG that needs nothing from anywhere: no font is fetched."""

from __future__ import annotations

import io
import re
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from examples.waiting_room.picture import frame
from examples.waiting_room.scene import Scene

WIDTH, HEIGHT = 90, 21
_COLOURS = TerminalTheme(
    (27, 30, 40),
    (216, 219, 226),
    [
        (73, 80, 100), (240, 113, 120), (143, 206, 133), (232, 200, 124),
        (120, 169, 255), (201, 146, 234), (110, 205, 215), (216, 219, 226),
    ],
)  # fmt: skip
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
    text = console.export_svg(title="make demo", theme=_COLOURS, unique_id="waiting-room")
    text = _FONTS.sub("", text).replace("Fira Code", "DejaVu Sans Mono, Menlo, Consolas")
    path.write_text(text.replace("<svg ", '<svg xml:space="preserve" ', 1))
