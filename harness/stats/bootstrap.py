"""The resampling core: every resample of every metric is one row of one matrix product.

A metric is a rule over sums of per-example statistics, so a bootstrap resample is a vector of counts (how often each
example was drawn) and its score is `aggregate(counts @ stats)`. The same counts serve all metrics and all systems,
which is what pairs their resamples. Examples that belong together are summed first (`cluster_sums`); from then on a
cluster is simply a row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.types import FloatArray

BLOCK_BYTES = 32 * 2**20
"""Counts are widened to float64 for the matrix product in blocks of this size."""
CACHE_BYTES = 256 * 2**20
"""Counts that are kept for reuse, over all numbers of rows; more than this are drawn again each time."""
COINS = 2**32 - 1
"""The stream that coin flips come from."""


class Resampler:
    """Seeded bootstrap counts and coin flips: equal seeds give equal draws, in whatever order they are asked for."""

    def __init__(self, seed: int, resamples: int = 2000, permutations: int = 9999) -> None:
        if resamples < 1 or permutations < 1:
            raise ValueError(f"Expected at least 1 resample and 1 permutation, got {resamples} and {permutations}.")
        self.seed, self.resamples, self.permutations = seed, resamples, permutations
        self._counts: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def sums(self, stats: FloatArray, stream: int = 0) -> FloatArray:
        """Sum `stats`, shape (n, ...), over each bootstrap resample; shape (resamples, ...).

        Every call with the same n and stream draws the same resamples; streams are independent of each other.
        """
        n, kept = len(stats), self._counts
        if (n, stream) not in kept and n * self.resamples <= CACHE_BYTES:
            if n * self.resamples + sum(counts.nbytes for counts in kept.values()) > CACHE_BYTES:
                kept.clear()
            kept[n, stream] = np.concatenate(list(self._draw(n, stream)))
        counts = kept.get((n, stream))
        blocks = self._draw(n, stream) if counts is None else (counts[rows] for rows in _blocks(self.resamples, n))
        return _products(blocks, stats)

    def _draw(self, n: int, stream: int) -> Iterator[NDArray[np.uint8]]:
        """Yield how often each of n rows is in each resample, in blocks of resamples, shape (rows, n)."""
        rng = self._generator(n, stream)
        for rows in _blocks(self.resamples, n):
            # Of 256 rows or more, one is drawn 256 times with a probability below 1e-500: a byte holds every count.
            counts = np.empty((rows.stop - rows.start, n), np.uint8)
            for row in counts:
                row[:] = np.bincount(rng.integers(0, n, n), minlength=n)
            yield counts

    def coin_sums(self, stats: FloatArray) -> FloatArray:
        """Sum `stats`, shape (n, ...), over the rows whose fair coin fell heads; shape (permutations, ...)."""
        n = len(stats)
        rng = self._generator(n, COINS)

        def flips() -> Iterator[NDArray[np.uint8]]:
            for rows in _blocks(self.permutations, n):
                words = rng.integers(0, 2**64, (rows.stop - rows.start, -(-n // 64)), dtype=np.uint64)
                yield np.unpackbits(words.view(np.uint8), axis=1, count=n)

        return _products(flips(), stats)

    def _generator(self, n: int, stream: int) -> np.random.Generator:
        return np.random.default_rng((self.seed, n, stream))


def _blocks(rows: int, n: int) -> Iterator[slice]:
    if n < 1:
        raise ValueError("Expected at least 1 row to resample, got 0.")
    step = max(1, BLOCK_BYTES // (8 * n))
    return (slice(start, min(start + step, rows)) for start in range(0, rows, step))


def _products(weights: Iterable[NDArray[np.uint8]], stats: FloatArray) -> FloatArray:
    distinct, which = _distinct(stats.reshape(len(stats), -1))
    product = np.concatenate([block.astype(np.float64) @ distinct for block in weights])
    return product[:, which].reshape(-1, *stats.shape[1:])


def _distinct(columns: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the columns that differ, shape (n, d), and which of them each column, shape (n, c), is.

    Counts of examples, and of what a reference holds, are the same for all systems: about half of all columns.
    """
    first: dict[bytes, int] = {}
    keys = [blake2b(column, digest_size=16).digest() for column in np.ascontiguousarray(columns.T)]
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    place = {key: position for position, key in enumerate(first)}
    return columns[:, list(first.values())], np.array([place[key] for key in keys], np.intp)


def cluster_sums(stats: FloatArray, clusters: ArrayLike | None) -> FloatArray:
    """Sum `stats`, shape (n, ...), within each cluster label, shape (n,); without labels every row is its own cluster.

    Resampling whole clusters keeps the dependence within them. Source: Davison and Hinkley (1997), Bootstrap Methods
    and their Application, section 3.8.
    """
    if clusters is None:
        return stats
    labels = np.asarray(clusters)
    if labels.shape != stats.shape[:1]:
        raise ValueError(f"Expected one cluster label for each of {len(stats)} rows, got shape {labels.shape}.")
    unique, index = np.unique(labels, return_inverse=True)
    sums = np.zeros((len(unique), *stats.shape[1:]))
    np.add.at(sums, index, stats)
    return sums


def leave_one_out(stats: FloatArray) -> FloatArray:
    """Sum `stats`, shape (n, ...), over all rows but one, for each row in turn; shape (n, ...)."""
    return np.asarray(stats.sum(axis=0) - stats)


def jackknife_error(scores: FloatArray) -> FloatArray:
    """Return the standard error from `scores`, shape (n, ...), that leave out one row each; for a mean, s / sqrt(n).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, eq. 11.5.
    """
    return np.asarray(np.sqrt((len(scores) - 1) * scores.var(axis=0)))


def degrees_of_freedom(scores: FloatArray, skewness_corrected: bool = False) -> float:
    """Return how well the jackknife error of `scores`, shape (n,), is known, as degrees of freedom of a t distribution.

    They are n - 1, and fewer where few rows make much of the error, which another sample may not have. Where the
    interval is `skewness_corrected`, as BCa is, it allows for what the estimate itself tells of its error: of the
    kurtosis only what is above the squared skewness is left, because that is the variance of a sample variance given
    the sample mean. Sources: Satterthwaite (1946), Biometrics Bulletin 2(6), with the variance of a sample variance
    for any kurtosis; so used by Potthoff, Woodbury and Manton (1992), JASA 87(418). Given the mean: Cramér (1946),
    Mathematical Methods of Statistics, section 27.4 and 28.4, whose joint normal limit has the third moment as its
    covariance.
    """
    n, centred = len(scores), scores - scores.mean()
    variance = float((centred**2).mean())
    kurtosis = float((centred**4).mean()) / variance**2
    if skewness_corrected:
        kurtosis -= float((centred**3).mean()) ** 2 / variance**3
    return min(n - 1.0, 2 / ((kurtosis - 3) / n + 2 / (n - 1))) if kurtosis > 3 else n - 1.0
