"""Leaderboards, comparisons and judgements as tables in a terminal; text of models and data is never interpreted.

The console here is the one that all of them print to: as wide as the terminal, or wide enough for every column in a
pipe.
"""

from __future__ import annotations

import os

from rich.console import Console

PIPED = 200
"""The line width in a pipe, a file or a CI log, where no window limits it."""


def console() -> Console:
    """Return a console on stdout; the environment variable COLUMNS sets its width."""
    out = Console()
    return out if out.is_terminal or "COLUMNS" in os.environ else Console(width=PIPED)
