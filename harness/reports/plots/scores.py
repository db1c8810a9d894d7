"""The plot of the primary metric of every run with its interval."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.analysis.leaderboard import Leaderboard
from harness.reports.plots.style import COLOURS, figure, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def describe(board: Leaderboard) -> str:
    """Return the caption of the plot."""
    return f"{board.primary} of each run with its {board.confidence:.0%} interval"


def applies(board: Leaderboard) -> bool:
    """Return whether there is more than one run."""
    return len(board.entries) > 1


def draw(board: Leaderboard) -> Figure:
    """Draw one row per run, best on top."""
    scored = [
        (entry, metric.score, value)
        for entry in board.entries
        if (metric := entry.run.result.metric(board.primary)) and (value := metric.score.value) is not None
    ]
    canvas = figure(8, 1.2 + 0.32 * len(scored))
    axes = canvas.subplots()
    for row, (entry, score, value) in enumerate(scored):
        colour, marker = (COLOURS[0], "o") if entry.run.result.finetune else (COLOURS[1], "s")
        if score.low is not None and score.high is not None:
            axes.plot([score.low, score.high], [row, row], color=colour, linewidth=2)
        axes.plot([value], [row], marker, color=colour, markersize=6)
    labels = [f"{label(entry.name)}  {entry.group}" for entry, _, _ in scored]
    axes.set_yticks(range(len(scored)), labels)
    axes.set_ylim(len(scored) - 0.5, -0.5)
    axes.set_xlabel(f"{board.primary}, {board.confidence:.0%} interval, {board.size()}")
    if len({entry.run.result.finetune is None for entry, _, _ in scored}) == 2:
        axes.plot([], [], "o", color=COLOURS[0], label="fine-tuned")
        axes.plot([], [], "s", color=COLOURS[1], label="not fine-tuned")
        axes.legend(frameon=False, loc="best")
    axes.grid(axis="x", alpha=0.3)
    return canvas
