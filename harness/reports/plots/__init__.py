"""Plots for the reports, drawn from a leaderboard alone; `PICTURES` lists them all.

Each is written as SVG for the markdown report and as PNG for everywhere else; equal leaderboards give equal bytes.
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
    """A plot: its file name without a suffix, its description, whether a board has data for it, and how to draw it."""

    name: str
    describe: Callable[[Leaderboard], str]
    applies: Callable[[Leaderboard], bool]
    draw: Callable[[Leaderboard], Figure]


PICTURES = (
    Picture("scores", scores.describe, scores.applies, scores.draw),
    Picture("pareto", pareto.describe, pareto.applies, pareto.draw),
    Picture("curves", curves.describe, curves.applies, curves.draw),
    Picture("slices", heatmap.describe, heatmap.applies, heatmap.draw),
    Picture("agreement", agreement.describe, agreement.applies, agreement.draw),
)
"""Every plot, in the order of the report."""


def draw(board: Leaderboard, folder: Path) -> list[tuple[str, Path]]:
    """Draw every plot that applies; return each one's description and SVG file."""
    drawn = []
    for picture in PICTURES:
        if picture.applies(board):
            with settings():
                save(picture.draw(board), folder, picture.name)
            drawn.append((picture.describe(board), folder / f"{picture.name}.svg"))
    return drawn
