"""How well the likelihoods of a classification's labels rank its examples: AUROC and AUPRC.

Areas under curves are not means over examples, because they compare examples with each other. But they are functions of
two histograms of scores, of the examples with the label and of those without it, and histograms are sums. So scores are
rounded to fixed levels, and the statistics of an example are its cell; intervals, paired tests and slices then hold as
for any other metric. Levels or ranks that depended on the other examples' scores would break them. Rounding makes ties,
which count as a random order of theirs would on average: AUROC is scikit-learn's on the rounded scores, and both areas
of 400 examples are within 0.003 of its areas without rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.errors import ConfigError, unknown
from harness.metrics.base import BaseMetric, mean_of_known, ratio
from harness.metrics.classification import label_positions, plain, true_label
from harness.metrics.inputs import likelihoods
from harness.types import Completion, Example, FloatArray

Kind = Literal["auroc", "auprc"]
HALF = 50
"""Levels on each side of even odds."""
RANGE = 64.0
"""Levels end at so many nats of log-odds; they are 0.1 nats apart at even odds, 0.4 at 4 nats, and 6 at the end."""
LEVELS = 2 * HALF + 1


class Ranking(BaseMetric):
    """The area under the receiver operating characteristic (auroc) or the precision-recall curve (auprc).

    A label's score is the log-odds that the model completes with it rather than with another label, from the
    probability of each label as the whole completion. The area is of `positive` against the rest, or else the mean over
    all labels, each against the rest; labels that all or no examples have are left out. Hanley and McNeil (1982),
    doi:10.1148/radiology.143.1.7063747. AUPRC is average precision, without interpolation; with ties as McSherry and
    Najork (2008), doi:10.1007/978-3-540-78646-7_38.
    """

    score_range = (0.0, 1.0)

    def __init__(self, labels: Sequence[str], kind: Kind = "auroc", positive: str = "") -> None:
        self.name = kind
        self._texts, self._labels = tuple(labels), label_positions(labels)
        if positive and plain(positive) not in self._labels:
            raise ConfigError(f"metrics.options.{kind}.positive: {unknown('label', positive, self._labels)}")
        self._positive = plain(positive)
        # Of two labels, the second's histograms are the first's in reverse order.
        self._mirrored = len(labels) == 2 and not positive
        self._curves = [self._labels[self._positive]] if positive else list(range(1 if self._mirrored else len(labels)))

    @property
    def signature(self) -> str:
        """Name, labels, which of them is positive, and how scores are rounded."""
        positive = self._positive or "each"
        return f"{self.name}|labels:{','.join(self._labels)}|positive:{positive}|levels:{LEVELS}|agg:histogram"

    def texts_to_score(self, example: Example) -> Sequence[str]:  # noqa: ARG002
        """Return the labels."""
        return self._texts

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return one-hot cells, shape (n, curves * 2 * LEVELS): curve x (without the label, with it) x level.

        DataError when a reference is not one of the labels.
        """
        cells = np.zeros((len(examples), len(self._curves), 2, LEVELS))
        for row, of_labels in enumerate(likelihoods(completions, examples, self.texts_to_score)):
            true = true_label(self._labels, examples[row])
            levels = _levels(np.array([-likelihood.nll for likelihood in of_labels]))
            for curve, label in enumerate(self._curves):
                cells[row, curve, int(label == true), levels[label]] = 1
        return cells.reshape(len(examples), len(self._curves) * 2 * LEVELS)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed histograms, shape (..., k), into areas, shape (...); nan where no label has a curve."""
        counts = sums.reshape(*sums.shape[:-1], len(self._curves), 2, LEVELS)
        if self._mirrored:
            counts = np.concatenate([counts, counts[..., ::-1, ::-1]], axis=-3)
        without, with_label = counts[..., 0, :], counts[..., 1, :]
        areas = _auroc(without, with_label) if self.name == "auroc" else _auprc(without, with_label)
        return mean_of_known(areas)

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return nan, shape (n,): a single example has no rank."""
        return np.full(len(stats), np.nan)


def _levels(log_probabilities: FloatArray) -> NDArray[np.intp]:
    """Return the level of each label's log-odds against all other labels, shape (labels,)."""
    others = np.where(np.eye(len(log_probabilities), dtype=bool), -np.inf, log_probabilities)
    odds = log_probabilities - np.logaddexp.reduce(others, axis=1)
    scaled = np.arcsinh(odds) / np.arcsinh(RANGE)
    levels: NDArray[np.intp] = HALF + np.rint(HALF * np.clip(scaled, -1, 1)).astype(np.intp)
    return levels


def _auroc(without: FloatArray, with_label: FloatArray) -> FloatArray:
    """Return the share of pairs, one example with the label and one without it, that are in the right order."""
    below = without.cumsum(axis=-1) - without / 2
    return ratio((with_label * below).sum(axis=-1), with_label.sum(axis=-1) * without.sum(axis=-1))


def _auprc(without: FloatArray, with_label: FloatArray) -> FloatArray:
    """Return average precision, as expected when equal scores are put in random order.

    At place i of a level with m examples, p of them with the label, after n others with r of them, the example has the
    label with probability p / m, and the precision is then (r + 1 + (i - 1)(p - 1) / (m - 1)) / (n + i). Its sum over i
    is in closed form by harmonic numbers.
    """
    from scipy.special import digamma

    p = with_label[..., ::-1]
    m = p + without[..., ::-1]
    r, n = p.cumsum(axis=-1) - p, m.cumsum(axis=-1) - m
    harmonic = digamma(n + m + 1) - digamma(n + 1)
    slope = (p - 1) / np.maximum(m - 1, 1)
    precisions = p / np.maximum(m, 1) * ((r + 1) * harmonic + slope * (m - (n + 1) * harmonic))
    return np.where(without.sum(axis=-1) > 0, ratio(precisions.sum(axis=-1), p.sum(axis=-1)), np.nan)
