"""Confidence sequences keep their level however often they are inspected, and are narrow enough to be useful."""

from __future__ import annotations

import numpy as np
import pytest

from harness.stats.sequential import ConfidenceSequence


def ever_wrong(values: np.ndarray, mean: float, chunk: int) -> bool:
    sequence = ConfidenceSequence(planned=len(values))
    bounds = [sequence.update(part) for part in np.split(values, range(chunk, len(values), chunk))]
    return any(not low <= mean <= high for low, high in bounds)


@pytest.mark.parametrize("population", ["rare", "spread"])
def test_the_level_holds_when_peeking_after_every_chunk(population: str) -> None:
    rng = np.random.default_rng(1)
    values = rng.choice([-1.0, 0.0, 1.0], (200, 150), p=[0.02, 0.97, 0.01])
    if population == "spread":
        values = np.clip(0.3 * rng.normal(size=(200, 150)), -1, 1)
    mean = -0.01 if population == "rare" else 0.0
    wrong = np.mean([ever_wrong(row, mean, chunk=10) for row in values])
    assert wrong <= 0.05 + 2.5 * np.sqrt(0.05 * 0.95 / 200)


def test_the_bounds_never_widen_and_come_near_the_fixed_n_interval() -> None:
    values = np.clip(np.random.default_rng(1).normal(0.02, 0.2, 1000), -1, 1)
    sequence = ConfidenceSequence(planned=1000)
    bounds = np.array([sequence.update(part) for part in np.split(values, 20)])
    assert (np.diff(bounds[:, 0]) >= 0).all()
    assert (np.diff(bounds[:, 1]) <= 0).all()
    fixed = 2 * 1.96 * 0.2 / np.sqrt(1000)
    assert bounds[-1, 1] - bounds[-1, 0] < 2 * fixed
    assert sequence.n == 1000


def test_the_bounds_do_not_depend_on_the_chunks() -> None:
    values = np.random.default_rng(1).uniform(-1, 1, 500)
    whole, parts = ConfidenceSequence(500), ConfidenceSequence(500)
    last = [parts.update(part) for part in np.split(values, 5)][-1]
    low, high = whole.update(values)
    assert last[0] >= low - 1e-12
    assert last[1] <= high + 1e-12


def test_without_values_the_bounds_are_the_range() -> None:
    assert ConfidenceSequence(10).update(np.array([])) == (-1.0, 1.0)


@pytest.mark.parametrize("values", [[1.5], [np.nan], [0.0, -2.0]])
def test_values_out_of_range_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"Expected values from -1\.0 to 1\.0"):
        ConfidenceSequence(10).update(np.array(values))


def test_an_impossible_plan_is_refused() -> None:
    with pytest.raises(ValueError, match="Expected planned > 0"):
        ConfidenceSequence(0)
