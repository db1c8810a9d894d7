"""Adjusted p-values against statsmodels, tie groups against R, and ranks from resampled scores."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests

from harness.stats.multiplicity import (
    benjamini_hochberg,
    holm,
    is_significant,
    permutations_needed,
    rank_intervals,
    tie_groups,
)


@pytest.mark.parametrize("m", [1, 2, 7, 66])
@pytest.mark.parametrize("decimals", [1, 9])
def test_adjusted_p_values_are_statsmodels(m: int, decimals: int) -> None:
    p: list[float] = np.round(np.random.default_rng(m).beta(0.3, 1, m), decimals).tolist()
    assert holm(p) == pytest.approx(multipletests(p, method="holm")[1].tolist())
    assert benjamini_hochberg(p) == pytest.approx(multipletests(p, method="fdr_bh")[1].tolist())


def test_an_untested_comparison_does_not_count() -> None:
    for adjust in (holm, benjamini_hochberg):
        first, untested, second = adjust([0.03, None, 0.01])
        assert [first, second] == adjust([0.03, 0.01])
        assert untested is None
        assert adjust([]) == []


@pytest.mark.parametrize(("p_value", "significant"), [(0.05, True), (0.051, False), (0.0, True), (None, False)])
def test_significance_at_95_percent(p_value: float | None, significant: bool) -> None:
    assert is_significant(p_value, 0.95) is significant


@pytest.mark.parametrize(("tests", "confidence"), [(1, 0.95), (66, 0.95), (435, 0.95), (153, 0.99)])
def test_enough_permutations_leave_room_for_a_claim(tests: int, confidence: float) -> None:
    smallest = 1 / (1 + permutations_needed(tests, confidence))
    assert multipletests([smallest, *[1.0] * (tests - 1)], method="holm")[1][0] < 0.6 * (1 - confidence)


def differs(names: str, pairs: str) -> np.ndarray:
    matrix = np.zeros((len(names), len(names)), bool)
    for pair in pairs.split():
        i, j = (names.index(name) for name in pair)
        matrix[i, j] = matrix[j, i] = True
    return matrix


@pytest.mark.parametrize(
    ("names", "pairs", "letters"),
    [
        ("x", "", ["a"]),
        ("xyz", "", ["a", "a", "a"]),
        ("xyz", "xy xz yz", ["a", "b", "c"]),
        ("xyz", "xz", ["a", "ab", "b"]),
        # R's chickwts, pairwise Wilcoxon tests: casein a, horsebean b, linseed bc, meatmeal ac, soybean c, sunflower a;
        # here with the best first: sunflower, casein, meatmeal, soybean, linseed, horsebean.
        ("ucmslh", "us ul uh cs cl ch ml mh sh", ["a", "a", "ab", "bc", "cd", "d"]),
    ],
)
def test_tie_groups(names: str, pairs: str, letters: list[str]) -> None:
    assert tie_groups(differs(names, pairs)) == letters


@given(st.integers(1, 7), st.randoms(use_true_random=False))
def test_letters_are_shared_exactly_by_ties(m: int, random: object) -> None:
    matrix = np.zeros((m, m), bool)
    for i, j in itertools.combinations(range(m), 2):
        matrix[i, j] = matrix[j, i] = random.random() < 0.5  # type: ignore[attr-defined]
    letters = tie_groups(matrix)
    assert "a" in letters[0]
    for i, j in itertools.combinations(range(m), 2):
        assert bool(set(letters[i]) & set(letters[j])) != matrix[i, j]


def test_letters_beyond_z_stay_distinct() -> None:
    assert tie_groups(~np.eye(28, dtype=bool))[25:] == ["z", "a'", "b'"]


def test_rank_intervals() -> None:
    scores = np.random.default_rng(0).normal(size=(2000, 3)) * 0.1 + [3.0, 1.0, 1.01]
    assert rank_intervals(scores) == [(1, 1), (2, 3), (2, 3)]
    assert rank_intervals(scores, higher_is_better=False) == [(3, 3), (1, 2), (1, 2)]
    assert rank_intervals(np.ones((10, 2))) == [(1, 1), (1, 1)]
