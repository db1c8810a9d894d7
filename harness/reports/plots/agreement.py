"""The plot of how far metrics agree: rank correlations over examples below the diagonal, over runs above it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.metric_agreement import MetricAgreement
from harness.reports.plots.style import figure, ink, label
from harness.wording import UNKNOWN, counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def describe(board: Leaderboard) -> str:
    """Return the caption of the plot."""
    runs = board.agreement.runs if board.agreement else 0
    return f"Rank correlation between metrics, over {counted(runs, 'run')} and over examples within a run"


def applies(board: Leaderboard) -> bool:
    """Return whether there are more than two metrics; for two, the table is enough."""
    return board.agreement is not None and len(board.agreement.metrics) > 2


def draw(board: Leaderboard) -> Figure:
    """Draw both correlations as one matrix, brown where metrics disagree and green where they agree."""
    agreement = board.agreement
    if agreement is None:
        raise ValueError("Expected a leaderboard of two runs and two metrics or more, got one without agreement.")
    values, size = _values(agreement), len(agreement.metrics)
    canvas = figure(2.8 + 0.5 * size, 2.2 + 0.4 * size)
    axes = canvas.subplots()
    image = axes.imshow(values, cmap="BrBG", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    cells = np.asarray(image.to_rgba(values))
    for i in range(size):
        for j in range(size):
            text = "" if i == j else UNKNOWN if np.isnan(values[i, j]) else f"{values[i, j]:.2f}"
            colour = ink(cells[i, j, :3]) if np.isfinite(values[i, j]) else "black"
            axes.text(j, i, text, ha="center", va="center", fontsize=7, color=colour)
    names = [label(name) for name in agreement.metrics]
    axes.set_xticks(range(size), names, rotation=40, ha="right", fontsize=8)
    axes.set_yticks(range(size), names, fontsize=8)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    few = " (too few to rely on)" if agreement.has_few_runs else ""
    axes.set_title(
        "Spearman's rank correlation, 1 if both metrics agree on what is better\nabove the diagonal: over "
        f"{counted(agreement.runs, 'run')}{few}\nbelow: over {counted(agreement.examples, 'example')} within a run",
        fontsize=9,
        loc="left",
    )
    canvas.colorbar(image, ax=axes, fraction=0.04, pad=0.01).ax.tick_params(labelsize=7)
    return canvas


def _values(agreement: MetricAgreement) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return the correlations over runs above the diagonal and over examples below it; nan if unknown."""
    runs, examples = (
        np.array([[np.nan if v is None else v for v in row] for row in matrix])
        for matrix in (agreement.over_runs, agreement.over_examples)
    )
    values = np.where(np.triu(np.ones_like(runs, bool)), runs, examples)
    np.fill_diagonal(values, np.nan)
    return values
