"""Quality against each cost: the runs that nothing beats at their price are joined by a line.

Where labels of points go, so that none covers another or a point: the nearest free place around each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.pareto import Front, Point, Standing, fronts, on_front
from harness.reports.plots.style import COLOURS, GREY, cost_axis, figure, label, settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
import math

RADII = (8.0, 13.0, 19.0, 26.0, 34.0)
"""How far from its point a label may stand, in points of print."""
DIRECTIONS = 12
HEIGHT = 8.0
WIDTH = 4.6
"""Of a digit at the size that labels are printed in."""
MARKER = 4.0
"""Half the side of a point's marker."""

Box = tuple[float, float, float, float]


def offsets(points: Sequence[tuple[float, float]], texts: Sequence[str]) -> list[tuple[float, float]]:
    """Return how far the middle of each label stands from its point, all in points of print.

    Labels are placed in order, each at the nearest place where it covers nothing; where all places are taken, at the
    one where it covers least.
    """
    taken = [_box(x, y, MARKER, MARKER) for x, y in points]
    found = []
    for (x, y), text in zip(points, texts, strict=True):
        half = WIDTH * len(text) / 2, HEIGHT / 2
        places = [(radius * math.cos(a), radius * math.sin(a)) for radius in RADII for a in _angles()]
        covered = [sum(_overlap(_box(x + dx, y + dy, *half), box) for box in taken) for dx, dy in places]
        best = covered.index(min(covered))
        dx, dy = places[best]
        taken.append(_box(x + dx, y + dy, *half))
        found.append((dx, dy))
    return found


def _angles() -> list[float]:
    return [math.pi / 4 + 2 * math.pi * i / DIRECTIONS for i in range(DIRECTIONS)]


def _box(x: float, y: float, half_width: float, half_height: float) -> Box:
    return x - half_width, y - half_height, x + half_width, y + half_height


def _overlap(a: Box, b: Box) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    return max(0.0, width) * max(0.0, height)


LOOKS = {
    Standing.FRONT: (COLOURS[0], "o", "on the front"),
    Standing.TIED: (COLOURS[4], "s", "not told apart from a cheaper, better one"),
    Standing.BEATEN: (GREY, "X", "beaten by one that costs no more"),
}
MAX_NAMES = 40
"""So many runs are named beside the picture; the table has them all."""


def describe(board: Leaderboard) -> str:
    """Say what the picture shows."""
    costs = ", ".join(found.cost.title for found in fronts(board))
    return f"{board.primary} with its {board.confidence:.0%} interval against {costs}; the line joins the front"


def wanted(board: Leaderboard) -> bool:
    """Say whether the runs differ in a cost that is known."""
    return bool(fronts(board))


def make(board: Leaderboard) -> Figure:
    """Draw axes for each cost that is known; the numbers are places on the leaderboard."""
    found = fronts(board)
    names = [f"{i + 1}  {label(entry.run.result.name)}" for i, entry in enumerate(board.entries)]
    made = figure(0.8 + 4.2 * len(found) + 3.2, max(3.6, 1.6 + 0.16 * min(len(names), MAX_NAMES)))
    panels = made.subplots(1, len(found), sharey=True, squeeze=False)[0]
    for front, axes in zip(found, panels, strict=True):
        _points(axes, front, board.primary)
        axes.set_xlabel(front.cost.title)
        axes.grid(alpha=0.3)
        axes.margins(x=0.1)
        cost_axis(axes, [point.cost for point in front.points])
    panels[0].set_ylabel(f"{board.primary}, {board.confidence:.0%} interval")
    _legend(made, names)
    settle(made)  # places of labels are known only once the layout is
    for front, axes in zip(found, panels, strict=True):
        _numbers(axes, front.points, board.primary)
    return made


def _points(axes: Axes, front: Front, primary: str) -> None:
    for point in front.points:
        colour, marker, _ = LOOKS[point.standing]
        low, high = _interval(point, primary)
        axes.plot([point.cost, point.cost], [low, high], color=colour, linewidth=1, alpha=0.5)
        axes.plot([point.cost], [_value(point, primary)], marker, color=colour, markersize=6)
    line = on_front(front)
    axes.step([p.cost for p in line], [_value(p, primary) for p in line], where="post", color=COLOURS[0], linewidth=1)


def _numbers(axes: Axes, points: Sequence[Point], primary: str) -> None:
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


def _legend(made: Figure, names: Sequence[str]) -> None:
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], color=c, marker=m, linestyle="", ms=6, label=text) for c, m, text in LOOKS.values()]
    more = [f"and {len(names) - MAX_NAMES} more"] if len(names) > MAX_NAMES else []
    handles += [Line2D([], [], linestyle="", label=name) for name in (*names[:MAX_NAMES], *more)]
    made.legend(handles=handles, loc="outside right upper", fontsize=7, frameon=False)


def _value(point: Point, primary: str) -> float:
    metric = point.entry.run.result.metric(primary)
    value = metric.score.value if metric else None
    return float("nan") if value is None else value


def _interval(point: Point, primary: str) -> tuple[float, float]:
    metric = point.entry.run.result.metric(primary)
    if metric is None or metric.score.low is None or metric.score.high is None:
        return float("nan"), float("nan")
    return metric.score.low, metric.score.high
