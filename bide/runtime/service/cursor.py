"""Where a page of a listing ends: an opaque word, which gives the page after it.

A page begins behind the last one of the page before, which the word names (a number, or a name): what is made
meanwhile neither moves what follows nor shows anything twice.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from bide.runtime.errors import UsageError

MOST: Final = 1_000
"""Items on one page: an answer is read and written in a few milliseconds."""
_INSIDE: Final = re.compile(r"([a-z_]{1,100}):(.{1,2000})", re.DOTALL)


def cursor(listing: str, last: str) -> str:
    """The word for what comes after `last`, the id or the name of an item.

    >>> read_cursor("runs", cursor("runs", "12"))
    '12'
    """
    return urlsafe_b64encode(f"{listing}:{last}".encode()).decode().rstrip("=")


def read_cursor(listing: str, word: str) -> str:
    """The id or the name that it stands for; `UsageError` for one of another listing, or none at all."""
    try:
        inside = urlsafe_b64decode(f"{word}{'=' * (-len(word) % 4)}".encode("ascii")).decode()
    except ValueError:  # no base64, no text
        inside = ""
    match = _INSIDE.fullmatch(inside)
    if match is None or match[1] != listing:
        raise UsageError(
            f"the cursor {word!r} is none of this listing: take it from the `Link` of the page before, as it is"
        )
    return match[2]
