"""The plot of quality against cost, one panel per known cost, with the Pareto front as a line.

Points are labelled with their place on the leaderboard. The labels are placed so that none covers another one or a
point, as long as there is room.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import ParetoFront, ParetoPoint, ParetoStanding, fronts, on_front
from harness.reports.plots.style import COLOURS, GREY, cost_axis, figure, label, settle
from harness.types import Score
from harness.wording import at_most

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LOOKS = {
    ParetoStanding.FRONT: (COLOURS[0], "o", "on the Pareto front"),
    ParetoStanding.TIED: (COLOURS[4], "s", "behind it, but statistically tied"),
    ParetoStanding.DOMINATED: (GREY, "X", "dominated"),
}
"""The colour, marker and legend text of each standing."""
MAX_NAMES = 40
"""Runs that are named in the legend; the table has them all."""
RADII = (8.0, 13.0, 19.0, 26.0, 34.0)
"""The distances from its point at which a label may be placed, in points (1/72 inch), as are all sizes below."""
DIRECTIONS = 12
"""The number of directions from its point in which a label may be placed."""
HEIGHT, WIDTH = 8.0, 4.6
"""The height of a label and the width of one digit, at the font size of the labels."""
MARKER = 4.0
"""Half the side of a point's marker."""

Box = tuple[float, float, float, float]
"""Left, bottom, right and top."""


def describe(board: Leaderboard) -> str:
    """Return the caption of the plot."""
    costs = ", ".join(front.cost.title for front in fronts(board))
    return f"{board.primary} with its {board.confidence:.0%} interval against {costs}; the line is the Pareto front"


def applies(board: Leaderboard) -> bool:
    """Return whether the runs differ in some known cost."""
    return bool(fronts(board))


def draw(board: Leaderboard) -> Figure:
    """Draw one panel per known cost; numbers are places on the leaderboard."""
    panels = fronts(board)
    names = [f"{i + 1}  {label(entry.name)}" for i, entry in enumerate(board.entries)]
    canvas = figure(0.8 + 4.2 * len(panels) + 3.2, max(3.6, 1.6 + 0.16 * min(len(names), MAX_NAMES)))
    grid = canvas.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for front, axes in zip(panels, grid, strict=True):
        _points(axes, front, board.primary)
        axes.set_xlabel(front.cost.title)
        axes.grid(alpha=0.3)
        axes.margins(x=0.1)
        cost_axis(axes, [point.cost for point in front.points])
    grid[0].set_ylabel(f"{board.primary}, {board.confidence:.0%} interval")
    _legend(canvas, names)
    settle(canvas)  # labels can be placed only once the layout is known
    for front, axes in zip(panels, grid, strict=True):
        _numbers(axes, front.points, board.primary)
    return canvas


def offsets(points: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[tuple[float, float]]:
    """Return the offset of the centre of each label from its point.

    Labels are placed in order, each at the nearest place where it overlaps nothing, or if there is none, where it
    overlaps least.
    """
    taken = [_box(x, y, MARKER, MARKER) for x, y in points]
    angles = [math.pi / 4 + 2 * math.pi * i / DIRECTIONS for i in range(DIRECTIONS)]
    chosen = []
    for (x, y), text in zip(points, texts, strict=True):
        half = WIDTH * len(text) / 2, HEIGHT / 2
        places = [(radius * math.cos(a), radius * math.sin(a)) for radius in RADII for a in angles]
        covered = [sum(_overlap(_box(x + dx, y + dy, *half), box) for box in taken) for dx, dy in places]
        dx, dy = places[covered.index(min(covered))]
        taken.append(_box(x + dx, y + dy, *half))
        chosen.append((dx, dy))
    return chosen


def _box(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


def _points(axes: Axes, front: ParetoFront, primary: str) -> None:
    for point in front.points:
        colour, marker, _ = LOOKS[point.standing]
        score = _score(point, primary)
        if score and score.low is not None and score.high is not None:
            axes.plot([point.cost, point.cost], [score.low, score.high], color=colour, linewidth=1, alpha=0.5)
        axes.plot([point.cost], [_value(point, primary)], marker, color=colour, markersize=6)
    line = on_front(front)
    axes.step([p.cost for p in line], [_value(p, primary) for p in line], where="post", color=COLOURS[0], linewidth=1)


def _numbers(axes: Axes, points: Sequence[ParetoPoint], primary: str) -> None:
    scale = 72 / axes.figure.dpi
    places = [axes.transData.transform((p.cost, _value(p, primary))) * scale for p in points]
    texts = [str(point.position + 1) for point in points]
    moves = offsets([(float(x), float(y)) for x, y in places], texts)
    for point, text, move in zip(points, texts, moves, strict=True):
        axes.annotate(
            text,
            (point.cost, _value(point, primary)),
            xytext=move,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7,
            in_layout=False,
        )


def _legend(canvas: Figure, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, marker=m, linestyle="", ms=6, label=text) for c, m, text in LOOKS.values()]
    handles += [Line2D([], [], linestyle="", label=name) for name in at_most(names, MAX_NAMES)]
    canvas.legend(handles=handles, loc="outside right upper", fontsize=7, frameon=False)


def _score(point: ParetoPoint, primary: str) -> Score | None:
    metric = point.entry.run.result.metric(primary)
    return metric.score if metric else None


def _value(point: ParetoPoint, primary: str) -> float:
    score = _score(point, primary)
    return float("nan") if score is None or score.value is None else score.value
