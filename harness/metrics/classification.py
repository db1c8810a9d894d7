"""Classification metrics for tasks that declare their labels, and how labels are read; numbers are scikit-learn's.

The statistics of an example are its cell of the confusion matrix, so that every score is a function of sums, as for
any other metric. Metrics that need a score for each label are in `harness.metrics.ranking`.

How a completion is read: case, surrounding punctuation and repeated spaces do not count. It predicts the label that it
equals, or else the longest label that it starts with as whole words. With a `pattern`, a regular expression with one
group in which case does not count either, what the group matches is read in that way instead; a completion without a
match predicts the label that it equals, and one with matches of several labels predicts none. A completion that
predicts no label is wrong, and is counted.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from harness.errors import ConfigError, DataError, unknown
from harness.metrics.base import BaseMetric, mean_of_known, ratio
from harness.metrics.inputs import pairs
from harness.metrics.scripts import composed
from harness.types import Completion, Example, FloatArray

Kind = Literal["accuracy", "balanced_accuracy", "macro_f1"]
EDGES = " \t\r\n.,;:!?\"'`*_()[]{}“”„‘’«»‹›¿¡…。、，．！？：；「」『』（）【】《》〈〉؟،؛।॥\u200b\ufeff"
"""Characters that are stripped from both ends of a text before it is read as a label."""


class Classification(BaseMetric):
    """Accuracy, balanced accuracy (mean recall) or macro F1 over `labels`.

    The module says how a completion is read, also by a `pattern`. One that predicts no label is wrong. Labels that
    occur in neither references nor completions are left out of the means. Balanced accuracy: Brodersen et al. (2010),
    doi:10.1109/ICPR.2010.764. ConfigError for a pattern that is no regular expression with one group.
    """

    score_range = (0.0, 1.0)

    def __init__(self, labels: Sequence[str], kind: Kind = "accuracy", pattern: str | None = None) -> None:
        self.name = kind
        self.is_proportion = kind == "accuracy"
        self._labels = label_positions(labels)
        self._pattern = None if pattern is None else compiled(f"metrics.options.{kind}.pattern", pattern)

    @property
    def signature(self) -> str:
        """Name, labels and how a completion is read; raise `v` when the rules change."""
        read = "prefix" if self._pattern is None else f"pattern:{self._pattern.pattern}"
        return f"{self.name}|labels:{','.join(self._labels)}|read:{read}|agg:confusion|v:2"

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

    def unread(self, stats: FloatArray) -> list[int]:
        """Return the rows of completions that predict no label."""
        n_labels = len(self._labels)
        rows: list[int] = np.flatnonzero(stats[:, n_labels :: n_labels + 1].any(axis=1)).tolist()
        return rows

    def _predicted_label(self, text: str) -> int:
        """Return the position of the label that `text` predicts, or the number of labels when it predicts none."""
        matches = [match[1] or "" for match in self._pattern.finditer(text)] if self._pattern else []
        if self._pattern is None or matches:
            predicted = {self._label_at_start(answer) for answer in map(plain, matches or [text])}
        else:
            predicted = {self._labels.get(plain(text), len(self._labels))}
        return predicted.pop() if len(predicted) == 1 else len(self._labels)

    def _label_at_start(self, answer: str) -> int:
        if answer in self._labels:
            return self._labels[answer]
        prefixes = [label for label in self._labels if answer.startswith(label) and _ends_at(answer, len(label))]
        return self._labels[max(prefixes, key=len)] if prefixes else len(self._labels)


def _ends_at(answer: str, end: int) -> bool:
    """Return whether a word or number ends before this position: 1 is no prefix of 1.5, nor क of की."""
    following, after = answer[end], answer[end + 1 : end + 2]
    if following.isalnum() or unicodedata.category(following).startswith("M"):
        return False
    return not (answer[end - 1].isdigit() and following in ".,-:" and after.isdigit())


def compiled(setting: str, pattern: str) -> re.Pattern[str]:
    """Return a regular expression in which case does not count; ConfigError unless it is one, with one group."""
    expected = "expected a regular expression with one group, such as 'answer is (\\w+)'"
    try:
        regex = re.compile(pattern, re.IGNORECASE)
    except (re.error, TypeError, OverflowError) as error:
        raise ConfigError(f"{setting}: {expected}, got {pattern!r} ({error})") from error
    if regex.groups != 1:
        raise ConfigError(
            f"{setting}: {expected}, got {pattern!r} with {regex.groups}. The group is what is read as the label; "
            "write (?:...) for a group that is not."
        )
    return regex


def label_positions(labels: Sequence[str]) -> dict[str, int]:
    """Return the position of each label by its plain form; ConfigError unless there are two or more distinct ones."""
    repeated = [label for label, times in Counter(map(plain, labels)).items() if times > 1 or not label]
    if len(labels) < 2 or repeated:
        alike = f" (case and surrounding punctuation do not count: {repeated[0]!r})" if repeated else ""
        raise ConfigError(f"labels: expected two or more different labels, got {list(labels)}{alike}. Fix task.labels.")
    return {plain(label): i for i, label in enumerate(labels)}


def true_label(labels: Mapping[str, int], example: Example) -> int:
    """Return the position of the reference's label; DataError when the reference is not a label."""
    position = labels.get(plain(example.reference))
    if position is None:
        problem = unknown("label", example.reference, labels)
        raise DataError(f"Example {example.id!r}: {problem} Fix the reference or task.labels.")
    return position


def plain(text: str) -> str:
    """Return the form in which labels are compared: without case, surrounding punctuation and repeated spaces.

    A text that is punctuation alone keeps it.
    """
    return " ".join(composed(text.strip(EDGES) or text).casefold().split())
