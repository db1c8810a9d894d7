"""The resampling core gives what drawing rows one by one gives, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats

from harness.stats import bootstrap
from harness.stats.bootstrap import Resampler, cluster_sums, degrees_of_freedom, jackknife_error, leave_one_out


def normal(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape)


def test_counts_draw_n_rows_with_replacement() -> None:
    counts = Resampler(1, resamples=4000).sums(np.eye(50))
    assert (counts.sum(axis=1) == 50).all()
    assert counts.mean() == pytest.approx(1.0)
    assert counts.var() == pytest.approx(1 - 1 / 50, abs=0.02)


def test_sums_are_those_of_the_drawn_rows() -> None:
    resampler, stats = Resampler(1, resamples=20), normal(30, 2, 3)
    drawn = [np.repeat(stats, counts, axis=0).sum(axis=0) for counts in resampler.sums(np.eye(30)).astype(int)]
    np.testing.assert_allclose(resampler.sums(stats), drawn)


def test_columns_that_are_equal_are_summed_alike() -> None:
    stats = np.stack([normal(30, 2), np.ones((30, 2)), normal(30, 2)], axis=1)
    counts, coins = (Resampler(1, 20, 20).sums(np.eye(30)), Resampler(1, 20, 20).coin_sums(np.eye(30)))
    np.testing.assert_allclose(Resampler(1, 20, 20).sums(stats), np.tensordot(counts, stats, 1))
    np.testing.assert_allclose(Resampler(1, 20, 20).coin_sums(stats), np.tensordot(coins, stats, 1))


def test_coins_keep_about_half_of_the_rows() -> None:
    heads = Resampler(1, permutations=3000).coin_sums(np.eye(100))
    assert set(np.unique(heads)) == {0.0, 1.0}
    assert heads.mean() == pytest.approx(0.5, abs=0.005)
    assert np.abs(np.corrcoef(heads.T) - np.eye(100)).max() < 0.1


def test_equal_seeds_give_equal_draws_in_any_order() -> None:
    first, second = Resampler(7, 100, 100), Resampler(7, 100, 100)
    stats = normal(40, 2)
    first.sums(normal(33, 1))
    np.testing.assert_array_equal(first.coin_sums(stats), second.coin_sums(stats))
    np.testing.assert_array_equal(first.sums(stats), second.sums(stats))
    assert (Resampler(8, 100).sums(stats) != first.sums(stats)).any()
    assert (first.sums(stats, stream=1) != first.sums(stats)).any()


@pytest.mark.parametrize("block_bytes", [1, 8 * 40 * 3, 8 * 40 * 64])
def test_blocks_change_nothing(block_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    stats = np.random.default_rng(0).integers(0, 9, (40, 5)).astype(np.float64)
    whole = Resampler(7, 100, 100)
    expected = whole.sums(stats), whole.coin_sums(stats)
    monkeypatch.setattr(bootstrap, "BLOCK_BYTES", block_bytes)
    blocks = Resampler(7, 100, 100)
    np.testing.assert_array_equal(blocks.sums(stats), expected[0])
    np.testing.assert_array_equal(blocks.coin_sums(stats), expected[1])


@pytest.mark.parametrize("rows_kept", [0, 30, 45])
def test_what_is_kept_is_bounded_and_changes_nothing(rows_kept: int, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = Resampler(7, 100).sums(np.eye(40))
    monkeypatch.setattr(bootstrap, "CACHE_BYTES", 100 * rows_kept)
    resampler = Resampler(7, 100)
    for n in (40, 45, 20, 40):
        sums = resampler.sums(np.eye(n))
        assert sum(kept.nbytes for kept in resampler._counts.values()) <= 100 * rows_kept
    np.testing.assert_array_equal(sums, expected)


def test_clusters_are_summed_in_the_order_of_their_labels() -> None:
    stats = np.arange(8.0).reshape(4, 2)
    np.testing.assert_array_equal(cluster_sums(stats, ["b", "a", "b", "a"]), [[8.0, 10.0], [4.0, 6.0]])
    assert cluster_sums(stats, None) is stats
    with pytest.raises(ValueError, match="one cluster label for each of 4 rows"):
        cluster_sums(stats, ["a"])


def test_jackknife_error_of_a_mean_is_its_standard_error() -> None:
    values = normal(25)
    scores = leave_one_out(values) / 24
    assert jackknife_error(scores) == pytest.approx(values.std(ddof=1) / 5)


@pytest.mark.parametrize("values", [np.arange(9.0), np.array([3.0, 4.0]), normal(60)])
def test_light_tails_leave_all_degrees_of_freedom(values: np.ndarray) -> None:
    assert scipy.stats.kurtosis(values) < 0
    assert degrees_of_freedom(leave_one_out(values)) == len(values) - 1


@pytest.mark.parametrize("tail", [1, 4])
def test_heavy_tails_leave_the_degrees_that_the_variance_of_the_variance_says(tail: int) -> None:
    values = np.random.default_rng(0).exponential(size=50) ** tail
    variance_of_variance = scipy.stats.kurtosis(values) / 50 + 2 / 49
    assert degrees_of_freedom(leave_one_out(values)) == pytest.approx(2 / variance_of_variance)


def test_what_the_estimate_tells_of_its_error_is_known_where_skewness_is_corrected() -> None:
    rng, n, many = np.random.default_rng(0), 400, 100
    samples = rng.exponential(size=(20_000, n))
    means, variances = samples.mean(axis=1), samples.var(axis=1)
    line = np.poly1d(np.polyfit(means, variances, 1))
    values = rng.exponential(size=n * many)
    assert variances.var() == pytest.approx(2 * many / degrees_of_freedom(values), rel=0.1)
    given_the_mean = (variances - line(means)).var()
    assert given_the_mean == pytest.approx(2 * many / degrees_of_freedom(values, skewness_corrected=True), rel=0.1)


def test_a_share_tells_its_own_error() -> None:
    assert degrees_of_freedom(np.eye(200)[0], skewness_corrected=True) == 199


def test_one_row_that_differs_leaves_two_degrees_of_freedom_or_so() -> None:
    assert 1.5 < degrees_of_freedom(np.eye(200)[0]) < 2.1


@pytest.mark.parametrize(
    "make", [lambda: Resampler(0, 0), lambda: Resampler(0, 1, 0), lambda: Resampler(0).sums(np.ones((0, 2)))]
)
def test_nothing_to_draw_is_an_error(make: object) -> None:
    with pytest.raises(ValueError, match="Expected at least 1"):
        make()  # type: ignore[operator]
