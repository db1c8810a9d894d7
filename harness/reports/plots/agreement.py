"""How far the metrics agree: rank correlations over examples below the diagonal, over runs above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.metric_agreement import Agreement
from harness.reports.plots.style import figure, ink, label

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def describe(board: Leaderboard) -> str:
    """Say what the picture shows."""
    runs = board.agreement.runs if board.agreement else 0
    return f"Rank correlation between the metrics, over {runs} runs and over examples within a run"


def wanted(board: Leaderboard) -> bool:
    """Say whether there are metrics to set side by side; two fit into the table."""
    return board.agreement is not None and len(board.agreement.metrics) > 2


def make(board: Leaderboard) -> Figure:
    """Draw one matrix of both correlations, brown where metrics contradict each other and green where they agree."""
    found = board.agreement
    if found is None:
        raise ValueError("Expected a leaderboard of two runs and two metrics or more, got one without agreement.")
    values, size = _values(found), len(found.metrics)
    made = figure(2.8 + 0.5 * size, 2.2 + 0.4 * size)
    axes = made.subplots()
    image = axes.imshow(values, cmap="BrBG", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    cells = np.asarray(image.to_rgba(values))
    for i in range(size):
        for j in range(size):
            text = "" if i == j else "–" if np.isnan(values[i, j]) else f"{values[i, j]:.2f}"
            colour = ink(cells[i, j, :3]) if np.isfinite(values[i, j]) else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    names = [label(name) for name in found.metrics]
    axes.set_xticks(range(size), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(size), names, fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    few = " (few: says little)" if found.has_few_runs else ""
    axes.set_title(
        f"Spearman's rank correlation, 1 where both agree on what is better\nabove the diagonal: scores of the "
        f"{found.runs} runs{few}\nbelow: {found.examples:,} examples within a run",
        fontsize=9,
        loc="left",
    )
    made.colorbar(image, ax=axes, fraction=0.04, pad=0.01).ax.tick_params(labelsize=7)
    return made


def _values(found: Agreement) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the correlations over runs above the diagonal and over examples below it; nan where unknown."""
    runs, examples = (
        np.array([[np.nan if v is None else v for v in row] for row in matrix])
        for matrix in (found.over_runs, found.over_examples)
    )
    values = np.where(np.triu(np.ones_like(runs, bool)), runs, examples)
    np.fill_diagonal(values, np.nan)
    return values
