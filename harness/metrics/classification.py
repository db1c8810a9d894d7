"""Classification metrics for tasks that declare their labels, and how labels are read; numbers are scikit-learn's.

The statistics of an example are its cell of the confusion matrix, so that every score is a function of sums, as for
any other metric. Metrics that need a score for each label are in `harness.metrics.ranking`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.errors import ConfigError, DataError, unknown
from harness.metrics.base import BaseMetric, mean_of_known, ratio
from harness.metrics.inputs import pairs
from harness.types import Completion, Example, FloatArray

Kind = Literal["accuracy", "balanced_accuracy", "macro_f1"]
EDGES = " \t\r\n.,;:!?\"'`*()[]"
"""Characters that are stripped from both ends of a text before it is read as a label."""


class Classification(BaseMetric):
    """Accuracy, balanced accuracy (mean recall) or macro F1 over `labels`.

    A completion predicts the label that it equals, ignoring case and surrounding punctuation, or else the longest label
    that it starts with as whole words. One that predicts no label is wrong. Labels that occur in neither references
    nor completions are left out of the means. Balanced accuracy: Brodersen et al. (2010), doi:10.1109/ICPR.2010.764.
    """

    def __init__(self, labels: Sequence[str], kind: Kind = "accuracy") -> None:
        self.name = kind
        self.is_proportion = kind == "accuracy"
        self._labels = label_positions(labels)

    @property
    def signature(self) -> str:
        """Name, labels and how a completion is read."""
        return f"{self.name}|labels:{','.join(self._labels)}|read:prefix|agg:confusion"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return one-hot cells of the confusion matrix, shape (n, L * (L + 1)): true x predicted label, or none.

        DataError when a reference is not one of the labels.
        """
        n_labels = len(self._labels)
        cells = np.zeros((len(examples), n_labels * (n_labels + 1)))
        texts, _ = pairs(completions, examples)
        for row, (text, example) in enumerate(zip(texts, examples, strict=True)):
            true = true_label(self._labels, example)
            cells[row, true * (n_labels + 1) + self._predicted_label(text)] = 1
        return cells

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn a summed confusion matrix, shape (..., L * (L + 1)), into scores, shape (...); nan where it is empty."""
        n_labels = len(self._labels)
        matrix = sums.reshape(*sums.shape[:-1], n_labels, n_labels + 1)
        correct = np.diagonal(matrix, axis1=-2, axis2=-1)
        true, predicted = matrix.sum(axis=-1), matrix.sum(axis=-2)[..., :n_labels]
        if self.name == "accuracy":
            return ratio(correct.sum(axis=-1), true.sum(axis=-1))
        if self.name == "balanced_accuracy":
            return mean_of_known(ratio(correct, true))
        return mean_of_known(ratio(2 * correct, true + predicted))

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return 1 for each correct completion and 0 for each wrong one, shape (n,)."""
        n_labels = len(self._labels)
        return np.asarray(stats[:, np.arange(n_labels) * (n_labels + 2)].sum(axis=-1))

    def _predicted_label(self, text: str) -> int:
        """Return the position of the label that `text` predicts, or the number of labels when it predicts none."""
        answer = plain(text)
        if answer in self._labels:
            return self._labels[answer]
        prefixes = [label for label in self._labels if answer.startswith(label) and not answer[len(label)].isalnum()]
        return self._labels[max(prefixes, key=len)] if prefixes else len(self._labels)


def label_positions(labels: Sequence[str]) -> dict[str, int]:
    """Return the position of each label by its plain form; ConfigError unless there are two or more distinct ones."""
    repeated = [label for label, times in Counter(map(plain, labels)).items() if times > 1 or not label]
    if len(labels) < 2 or repeated:
        raise ConfigError(f"labels: expected two or more different labels, got {list(labels)}. Fix task.labels.")
    return {plain(label): i for i, label in enumerate(labels)}


def true_label(labels: Mapping[str, int], example: Example) -> int:
    """Return the position of the reference's label; DataError when the reference is not a label."""
    position = labels.get(plain(example.reference))
    if position is None:
        problem = unknown("label", example.reference, labels)
        raise DataError(f"Example {example.id!r}: {problem} Fix the reference or task.labels.")
    return position


def plain(text: str) -> str:
    """Return the form in which labels are compared: without case, surrounding punctuation and repeated spaces."""
    return " ".join(text.strip(EDGES).casefold().split())
