"""Pictures for the report, drawn from the leaderboard alone: one table says which there are and when.

Each picture is written as SVG, for the page, and as PNG, for everywhere else; equal leaderboards give equal bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.leaderboard import Leaderboard
from harness.reports.plots import agreement, curves, heatmap, pareto, scores
from harness.reports.plots.style import save, settings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture's file name without an ending, what it shows in words, when there is something to show, its maker."""

    name: str
    describe: Callable[[Leaderboard], str]
    wanted: Callable[[Leaderboard], bool]
    make: Callable[[Leaderboard], Figure]


PICTURES = (
    Picture("scores", scores.describe, scores.wanted, scores.make),
    Picture("pareto", pareto.describe, pareto.wanted, pareto.make),
    Picture("curves", curves.describe, curves.wanted, curves.make),
    Picture("slices", heatmap.describe, heatmap.wanted, heatmap.make),
    Picture("agreement", agreement.describe, agreement.wanted, agreement.make),
)
"""Every picture, in the order of the report."""


def draw(board: Leaderboard, folder: Path) -> list[tuple[str, Path]]:
    """Draw what these runs have to show; return each picture's description and its SVG file."""
    found = []
    for picture in PICTURES:
        if picture.wanted(board):
            with settings():
                save(picture.make(board), folder, picture.name)
            found.append((picture.describe(board), folder / f"{picture.name}.svg"))
    return found
