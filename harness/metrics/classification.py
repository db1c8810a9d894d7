"""Classification metrics for tasks that declare their labels; the numbers are scikit-learn's.

The statistics are each example's cell of the confusion matrix, so every score is a rule over sums like any other.
What needs a score for each label is in `harness.metrics.ranking`.

The labels that a classification task declares, and which of them a reference is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.errors import ConfigError, DataError, unknown
from harness.metrics.base import mean_of_known, ratio
from harness.metrics.inputs import pairs
from harness.types import Completion, Example, FloatArray

EDGES = " \t\r\n.,;:!?\"'`*()[]"
"""What is stripped from a text before it is read as a label."""


def plain(text: str) -> str:
    """Return a text as labels are compared: without case, surrounding punctuation and repeated spaces."""
    return " ".join(text.strip(EDGES).casefold().split())


def numbered(labels: Sequence[str]) -> dict[str, int]:
    """Return the plain labels with their positions; ConfigError unless they are two or more that can be told apart."""
    repeated = [label for label, times in Counter(map(plain, labels)).items() if times > 1 or not label]
    if len(labels) < 2 or repeated:
        raise ConfigError(f"labels: expected two or more different labels, got {list(labels)}. Mend task.labels.")
    return {plain(label): i for i, label in enumerate(labels)}


def true_label(labels: Mapping[str, int], example: Example) -> int:
    """Return the position of the label that the reference is; DataError when it is none."""
    found = labels.get(plain(example.reference))
    if found is None:
        problem = unknown("label", example.reference, labels)
        raise DataError(f"Example {example.id!r}: {problem} Mend the reference or task.labels.")
    return found


Kind = Literal["accuracy", "balanced_accuracy", "macro_f1"]


class Classification:
    """Accuracy, balanced accuracy (mean recall) or macro F1 over `labels`.

    A completion says the label that it equals, without regard to case and surrounding punctuation, or the longest
    label that it starts with as whole words. One that says none is wrong. Labels that occur in neither references
    nor completions are left out of the means. Balanced accuracy: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764.
    """

    higher_is_better: bool | None = True
    parallel = False

    def __init__(self, labels: Sequence[str], kind: Kind = "accuracy") -> None:
        self.name = kind
        self.is_proportion = kind == "accuracy"
        self._labels = numbered(labels)

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
        texts, _ = pairs(completions, examples)
        for row, (text, example) in enumerate(zip(texts, examples, strict=True)):
            true = true_label(self._labels, example)
            cells[row, true * (n_labels + 1) + self._said(text)] = 1
        return cells

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn a summed confusion matrix, shape (..., L * (L + 1)), into scores, shape (...); nan where it is empty."""
        n_labels = len(self._labels)
        matrix = sums.reshape(*sums.shape[:-1], n_labels, n_labels + 1)
        right = np.diagonal(matrix, axis1=-2, axis2=-1)
        true, said = matrix.sum(axis=-1), matrix.sum(axis=-2)[..., :n_labels]
        if self.name == "accuracy":
            return ratio(right.sum(axis=-1), true.sum(axis=-1))
        shares = ratio(right, true) if self.name == "balanced_accuracy" else ratio(2 * right, true + said)
        return mean_of_known(shares)

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return 1 for each right completion and 0 for each wrong one, shape (n,)."""
        n_labels = len(self._labels)
        return np.asarray(stats[:, np.arange(n_labels) * (n_labels + 2)].sum(axis=-1))

    def _said(self, text: str) -> int:
        """Return the number of the label that `text` says, or how many labels there are when it says none."""
        said = plain(text)
        if said in self._labels:
            return self._labels[said]
        starts = [label for label in self._labels if said.startswith(label) and not said[len(label)].isalnum()]
        return self._labels[max(starts, key=len)] if starts else len(self._labels)
