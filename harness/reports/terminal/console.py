"""Where tables are printed: as wide as the terminal, and wide enough for every column where there is none."""

from __future__ import annotations

import os

from rich.console import Console

PIPED = 200
"""Characters a line in a pipe, a file or a log of CI, which no window cuts off."""


def console() -> Console:
    """Return the console of stdout; COLUMNS, where it is set, is its width."""
    found = Console()
    return found if found.is_terminal or "COLUMNS" in os.environ else Console(width=PIPED)
