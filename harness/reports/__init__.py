"""Where leaderboards are shown: terminal, markdown, HTML and Weights & Biases, all from stored runs alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from harness.analysis.leaderboard import Leaderboard


class Sink(Protocol):
    """A destination for leaderboards."""

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Write the leaderboard and return the paths or URLs of what was written."""
        ...
