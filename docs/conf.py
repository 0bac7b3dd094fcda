"""How the pages become HTML: `make docs`."""

import bide

project = "bide"
copyright = "2026, the bide authors"
version = release = bide.__version__
extensions = ["myst_parser", "sphinxcontrib.mermaid"]
html_theme = "furo"
html_title = f"bide {release}"
exclude_patterns = ["_build"]
myst_heading_anchors = 3
