"""The labels that a classification task declares, and which of them a reference is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.errors import ConfigError, DataError, unknown
from harness.types import Example

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
