"""The heatmap of scores by slice: one row per slice, one column per run, with marks on significant differences.

Cividis is perceptually uniform and safe for colour-blind readers; brighter is always better, whichever way the metric
points. Rows of few examples are pale and excluded from the colour scale, so that they do not dominate it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from harness.analysis.leaderboard import Entry, Leaderboard
from harness.analysis.slices import MIN_EXAMPLES, Mark, SliceCell, SliceRow, SliceTable
from harness.reports.formatting import SIGNS, decimals
from harness.reports.plots.style import figure, ink, label
from harness.wording import UNKNOWN

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize
    from matplotlib.figure import Figure

MAX_RUNS = 24
"""The best runs, as many as fit into a plot; the tables have all."""
PALE = 0.35
"""The colour strength of a row of few examples."""


def describe(board: Leaderboard) -> str:
    """Return the caption of the plot."""
    return f"{board.primary} of each run by {', '.join(table.key for table in board.slices)}"


def applies(board: Leaderboard) -> bool:
    """Return whether some slice key has more than one value."""
    return any(len(table.rows) > 1 for table in board.slices)


def draw(board: Leaderboard) -> Figure:
    """Draw one block per slice key, each under a row for all examples."""
    tables = [table for table in board.slices if len(table.rows) > 1]
    entries = board.entries[:MAX_RUNS]
    blocks = [[_overall(board, entries), *table.rows] for table in tables]
    heights = [len(block) for block in blocks]
    canvas = figure(3.6 + 0.62 * len(entries), 2.2 + 0.3 * sum(heights) + 0.5 * len(blocks))
    axes = canvas.subplots(len(blocks), 1, squeeze=False, height_ratios=heights)[:, 0]
    for at, block in zip(axes, blocks, strict=True):
        _block(at, board, block)
    axes[-1].set_xticks(range(len(entries)), _names(entries, tables[-1]), rotation=40, ha="right", fontsize=8)
    best = "" if len(entries) == len(board.entries) else f"; the best {MAX_RUNS} of {len(board.entries)} runs"
    axes[0].set_title(f"{board.primary} by {tables[0].key}{best}\n{_legend(board, tables[0])}", fontsize=9, loc="left")
    for at, table in zip(axes[1:], tables[1:], strict=True):
        at.set_title(f"by {table.key}", fontsize=9, loc="left")
    return canvas


def _block(axes: Axes, board: Leaderboard, rows: Sequence[SliceRow]) -> None:
    """Draw the cells of one slice key with a colour bar."""
    import matplotlib
    from matplotlib.cm import ScalarMappable

    metrics = [metric for entry in board.entries if (metric := entry.run.result.metric(board.primary))]
    places, lower = min(2, decimals(metrics)), any(metric.higher_is_better is False for metric in metrics)
    values = np.array([[_value(cell) for cell in row.cells[:MAX_RUNS]] for row in rows])
    solid = np.array([not _is_pale(row) for row in rows])
    scale = _scale(values[solid])
    colours = matplotlib.colormaps["cividis_r" if lower else "cividis"]
    shown = colours(scale(values))[..., :3]
    shown[~solid] = 1 - PALE * (1 - shown[~solid])
    shown[np.isnan(values)] = 1.0
    axes.imshow(shown, aspect="auto", interpolation="nearest")
    for i, row in enumerate(rows):
        for j, cell in enumerate(row.cells[:MAX_RUNS]):
            axes.text(j, i, _text(cell, places), ha="center", va="center", fontsize=7.5, color=ink(shown[i, j]))
    axes.set_yticks(range(len(rows)), [_row_label(row) for row in rows], fontsize=8)
    axes.set_xticks([])
    axes.axhline(0.5, color="white", linewidth=3)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    bar = axes.figure.colorbar(ScalarMappable(scale, colours), ax=axes, fraction=0.05, pad=0.01)
    bar.set_label(f"{board.primary}{', lower is better' if lower else ''}", fontsize=8)
    bar.ax.tick_params(labelsize=7)


def _scale(values: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Normalize:
    from matplotlib.colors import Normalize

    known = values[np.isfinite(values)]
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return Normalize(low, high if high > low else low + 1.0, clip=True)


def _overall(board: Leaderboard, entries: Sequence[Entry]) -> SliceRow:
    metrics = [entry.run.result.metric(board.primary) for entry in entries]
    return SliceRow("all examples", board.n, tuple(SliceCell(metric.score if metric else None) for metric in metrics))


def _names(entries: Sequence[Entry], table: SliceTable) -> list[str]:
    names = [label(entry.name) for entry in entries]
    if table.reference is not None and table.reference < len(names):
        names[table.reference] += " (reference)"
    return names


def _legend(board: Leaderboard, table: SliceTable) -> str:
    if table.reference is None:
        return ""
    name = label(board.entries[table.reference].name)
    marks = f"▲ significantly better, ▼ significantly worse than {name} (Benjamini-Hochberg-adjusted)"
    pale = any(_is_pale(row) for row in table.rows)
    return f"{marks}\npale: fewer than {MIN_EXAMPLES} examples, not tested" if pale else marks


def _row_label(row: SliceRow) -> str:
    return f"{label(row.value)}  (n = {row.n:,})"


def _is_pale(row: SliceRow) -> bool:
    return row.n < MIN_EXAMPLES or any(cell.mark is Mark.TOO_FEW for cell in row.cells)


def _value(cell: SliceCell) -> float:
    return float("nan") if cell.score is None or cell.score.value is None else cell.score.value


def _text(cell: SliceCell, places: int) -> str:
    value = _value(cell)
    return UNKNOWN if np.isnan(value) else f"{value:.{places}f}{SIGNS[cell.mark]}"
