"""Classification metrics for tasks that declare their labels; the numbers are scikit-learn's.

The statistics are each example's cell of the confusion matrix, so every score is a rule over sums like any other.
AUROC and AUPRC would need a score for each label, which completions do not carry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.errors import ConfigError, DataError, unknown
from harness.metrics.texts import pairs
from harness.types import Completion, Example, FloatArray

Kind = Literal["accuracy", "balanced_accuracy", "macro_f1"]
EDGES = " \t\r\n.,;:!?\"'`*()[]"
"""What is stripped from a completion before it is read as a label."""


class Classification:
    """Accuracy, balanced accuracy (mean recall) or macro F1 over `labels`.

    A completion says the label that it equals, without regard to case and surrounding punctuation, or the longest
    label that it starts with as whole words. One that says none is wrong. Labels that occur in neither references
    nor completions are left out of the means. Balanced accuracy: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764.
    """

    higher_is_better: bool | None = True

    def __init__(self, labels: Sequence[str], kind: Kind = "accuracy") -> None:
        self.name = kind
        self.is_proportion = kind == "accuracy"
        self._labels = {_plain(label): i for i, label in enumerate(labels)}
        repeated = [label for label, times in Counter(map(_plain, labels)).items() if times > 1 or not label]
        if len(labels) < 2 or repeated:
            raise ConfigError(f"labels: expected two or more different labels, got {list(labels)}. Mend task.labels.")

    @property
    def signature(self) -> str:
        """Name, labels and how a completion is read."""
        return f"{self.name}|labels:{','.join(self._labels)}|read:prefix|agg:confusion"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return one-hot cells of the confusion matrix, shape (n, L * (L + 1)): reference x (label said, or none).

        DataError when a reference is none of the labels.
        """
        n_labels = len(self._labels)
        cells = np.zeros((len(examples), n_labels * (n_labels + 1)))
        for row, (text, reference) in enumerate(zip(*pairs(completions, examples), strict=True)):
            true = self._labels.get(_plain(reference))
            if true is None:
                problem = unknown("label", reference, self._labels)
                raise DataError(f"Example {examples[row].id!r}: {problem} Mend the reference or task.labels.")
            cells[row, true * (n_labels + 1) + self._said(text)] = 1
        return cells

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn a summed confusion matrix, shape (..., L * (L + 1)), into scores, shape (...); nan where it is empty."""
        n_labels = len(self._labels)
        matrix = sums.reshape(*sums.shape[:-1], n_labels, n_labels + 1)
        right = np.diagonal(matrix, axis1=-2, axis2=-1)
        true, said = matrix.sum(axis=-1), matrix.sum(axis=-2)[..., :n_labels]
        if self.name == "accuracy":
            return _ratio(right.sum(axis=-1), true.sum(axis=-1))
        shares = _ratio(right, true) if self.name == "balanced_accuracy" else _ratio(2 * right, true + said)
        counted = ~np.isnan(shares)
        return _ratio(np.where(counted, shares, 0.0).sum(axis=-1), counted.sum(axis=-1))

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return 1 for each right completion and 0 for each wrong one, shape (n,)."""
        n_labels = len(self._labels)
        return np.asarray(stats[:, np.arange(n_labels) * (n_labels + 2)].sum(axis=-1))

    def _said(self, text: str) -> int:
        """Return the number of the label that `text` says, or how many labels there are when it says none."""
        said = _plain(text)
        if said in self._labels:
            return self._labels[said]
        starts = [label for label in self._labels if said.startswith(label) and not said[len(label)].isalnum()]
        return self._labels[max(starts, key=len)] if starts else len(self._labels)


def _plain(text: str) -> str:
    return " ".join(text.strip(EDGES).casefold().split())


def _ratio(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    return np.where(denominator > 0, numerator / np.where(denominator > 0, denominator, 1), np.nan)
