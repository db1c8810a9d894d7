"""Labels cover neither one another nor a point, as long as there is room."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from harness.reports.plots.pareto import HEIGHT, MARKER, RADII, WIDTH, offsets

CLOUDS = {
    "a column": [(50.0, 10.0 * i) for i in range(18)],
    "a heap": [(100.0 + i, 100.0) for i in range(6)],
    "one place": [(10.0, 10.0)] * 4,
    "chance": [(float(x), float(y)) for x, y in np.random.default_rng(0).uniform(0, 200, (18, 2))],
}


@pytest.mark.parametrize("name", CLOUDS)
def test_labels_stand_apart_and_near_their_points(name: str) -> None:
    points = CLOUDS[name]
    texts = [str(i + 1) for i in range(len(points))]
    moves = offsets(points, texts)
    boxes = [
        (x + dx, y + dy, WIDTH * len(text) / 2, HEIGHT / 2)
        for (x, y), (dx, dy), text in zip(points, moves, texts, strict=True)
    ]
    markers = [(x, y, MARKER, MARKER) for x, y in points]
    assert all(np.hypot(*move) <= max(RADII) + 1e-9 for move in moves)
    for a, b in [*combinations(boxes, 2), *((a, b) for a in boxes for b in markers)]:
        assert abs(a[0] - b[0]) >= a[2] + b[2] - 1e-9 or abs(a[1] - b[1]) >= a[3] + b[3] - 1e-9
