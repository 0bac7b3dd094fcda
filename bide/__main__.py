"""`python -m bide` and the `bide` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line; ends the process with its exit code."""
    words = sys.argv[1:]
    if words in (["--version"], ["version"]):  # before anything else is imported
        import bide

        print(f"bide {bide.__version__}")
        sys.exit(0)
    if words[:1] == ["__complete"]:  # asked at each TAB
        from bide.runtime.cli.names import complete

        complete(words[1:])
        sys.exit(0)
    from bide.runtime.cli.main import run

    sys.exit(run(words))


if __name__ == "__main__":
    main()
