"""Bootstrap resampling as one matrix product, the jackknife, and the sums over clusters that both work on.

A metric is a rule over sums of per-example statistics, so a bootstrap resample is a vector of counts (how often each
example was drawn) and its score is `aggregate(counts @ stats)`. The same counts are used for all metrics and all
systems, which pairs their resamples. Examples that belong together are summed first (`cluster_sums`); after that a
cluster is a row like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.types import FloatArray
from harness.wording import counted

BLOCK_BYTES = 32 * 2**20
"""Counts are converted to float64 for the matrix product in blocks of this size."""
CACHE_BYTES = 256 * 2**20
"""Limit on the counts that are cached, over all numbers of rows; counts beyond it are drawn again each time."""
COIN_STREAM = 2**32 - 1
"""The random stream of the coin flips."""


class Resampler:
    """Seeded bootstrap counts and coin flips: equal seeds give equal draws, in any order of the calls."""

    def __init__(self, seed: int, resamples: int = 2000, permutations: int = 9999) -> None:
        if resamples < 1 or permutations < 1:
            raise ValueError(f"Expected at least 1 resample and 1 permutation, got {resamples} and {permutations}.")
        self.seed, self.resamples, self.permutations = seed, resamples, permutations
        self._counts: dict[tuple[int, int], NDArray[np.uint8]] = {}

    def sums(self, stats: FloatArray, stream: int = 0) -> FloatArray:
        """Sum `stats`, shape (n, ...), over each bootstrap resample; shape (resamples, ...).

        Every call with the same n and stream draws the same resamples; streams are independent of each other.
        """
        n, cache = len(stats), self._counts
        if (n, stream) not in cache and n * self.resamples <= CACHE_BYTES:
            if n * self.resamples + sum(counts.nbytes for counts in cache.values()) > CACHE_BYTES:
                cache.clear()
            cache[n, stream] = np.concatenate(list(self._draw(n, stream)))
        counts = cache.get((n, stream))
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
        """Sum `stats`, shape (n, ...), over the rows whose fair coin shows heads; shape (permutations, ...)."""
        n = len(stats)
        rng = self._generator(n, COIN_STREAM)

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
    distinct, index = _distinct(stats.reshape(len(stats), -1))
    product = np.concatenate([block.astype(np.float64) @ distinct for block in weights])
    return product[:, index].reshape(-1, *stats.shape[1:])


def _distinct(columns: FloatArray) -> tuple[FloatArray, NDArray[np.intp]]:
    """Return the distinct columns, shape (n, d), and the index of each column, shape (n, c), among them.

    Counts of examples and of reference n-grams are equal for all systems: about half of all columns are duplicates.
    """
    first: dict[bytes, int] = {}
    keys = [blake2b(column, digest_size=16).digest() for column in np.ascontiguousarray(columns.T)]
    for i, key in enumerate(keys):
        first.setdefault(key, i)
    index = {key: position for position, key in enumerate(first)}
    return columns[:, list(first.values())], np.array([index[key] for key in keys], np.intp)


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


def unit_text(n: int, clusters: ArrayLike | None) -> str:
    """Return the resampled rows in words: `1 example`, or `12 clusters` where there are cluster labels."""
    return counted(n, "example" if clusters is None else "cluster")


def leave_one_out(stats: FloatArray) -> FloatArray:
    """Sum `stats`, shape (n, ...), over all rows except one, for each row in turn; shape (n, ...)."""
    return np.asarray(stats.sum(axis=0) - stats)


def jackknife_error(scores: FloatArray) -> FloatArray:
    """Return the standard error from leave-one-out `scores`, shape (n, ...); for a mean it is s / sqrt(n).

    Source: Efron and Tibshirani (1993), An Introduction to the Bootstrap, eq. 11.5.
    """
    return np.asarray(np.sqrt((len(scores) - 1) * scores.var(axis=0)))


def degrees_of_freedom(scores: FloatArray, skewness_corrected: bool = False) -> float:
    """Return the degrees of freedom of the jackknife error of leave-one-out `scores`, shape (n,).

    They are n - 1, and fewer where a few rows contribute most of the error, because another sample may lack such rows.
    If the interval is `skewness_corrected`, as BCa is, it already uses the part of the error that the estimate
    predicts. Only the kurtosis above the squared skewness then counts: that gives the variance of a sample variance
    conditional on the sample mean. Sources: Satterthwaite (1946), Biometrics Bulletin 2(6), with the variance of a
    sample variance for any kurtosis, as used by Potthoff, Woodbury and Manton (1992), JASA 87(418); conditional on the
    mean: Cramér (1946), Mathematical Methods of Statistics, sections 27.4 and 28.4, whose joint normal limit has the
    third moment as its covariance.
    """
    n, centred = len(scores), scores - scores.mean()
    variance = float((centred**2).mean())
    kurtosis = float((centred**4).mean()) / variance**2
    if skewness_corrected:
        kurtosis -= float((centred**3).mean()) ** 2 / variance**3
    return min(n - 1.0, 2 / ((kurtosis - 3) / n + 2 / (n - 1))) if kurtosis > 3 else n - 1.0
