"""Where labels of points go, so that none covers another or a point: the nearest free place around each."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
