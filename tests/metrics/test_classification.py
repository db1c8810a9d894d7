"""Classification scores are scikit-learn's; labels are read from completions as documented."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from harness.errors import ConfigError, DataError
from harness.metrics.classification import Classification, Kind
from tests.support.text_pairs import stats, value

LABELS = ["yes", "no", "not sure", "n/a"]


def expected(kind: Kind, predicted: list[str], true: list[str]) -> float:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if kind == "accuracy":
            return float(accuracy_score(true, predicted))
        if kind == "balanced_accuracy":
            return float(balanced_accuracy_score(true, predicted))
        return float(f1_score(true, predicted, labels=LABELS, average="macro", zero_division=np.nan))


@pytest.mark.parametrize("kind", ["accuracy", "balanced_accuracy", "macro_f1"])
@pytest.mark.parametrize(("n", "classes"), [(200, 4), (30, 3), (5, 2), (1, 1)])
def test_scikit_learn(kind: Kind, n: int, classes: int) -> None:
    rng = np.random.default_rng(n)
    true = [LABELS[i] for i in rng.integers(0, classes, n)]
    predicted = [label if rng.random() < 0.5 else [*LABELS, "?"][rng.integers(0, 5)] for label in true]
    metric = Classification(LABELS, kind)
    rows = stats(metric, predicted, true)
    assert float(metric.aggregate(rows.sum(axis=0))) == pytest.approx(expected(kind, predicted, true), abs=1e-12)
    np.testing.assert_array_equal(metric.per_example(rows), np.array(predicted) == np.array(true))


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes.", "yes"),
        (" **No**\n", "no"),
        ("Not  sure, really", "not sure"),
        ("No, because", "no"),
        ("N/A", "n/a"),
    ],
)
def test_reading_a_label(text: str, label: str) -> None:
    assert value(Classification(LABELS), text, label) == 1


@pytest.mark.parametrize("text", ["", "maybe", "nothing", "yesterday", "I say yes"])
def test_no_label(text: str) -> None:
    assert all(value(Classification(LABELS), text, label) == 0 for label in LABELS)


def test_a_reference_that_is_not_a_label() -> None:
    with pytest.raises(DataError, match="Example '0': Unknown label 'yess'"):
        stats(Classification(LABELS), ["yes"], ["yess"])


@pytest.mark.parametrize("labels", [[], ["yes"], ["yes", "Yes."], ["yes", " "]])
def test_labels_that_are_not_distinct(labels: list[str]) -> None:
    with pytest.raises(ConfigError, match=r"task\.labels"):
        Classification(labels)


SENTIMENTS = ["positive", "negative", "neutral"]


@pytest.mark.parametrize(
    ("labels", "text", "label"),
    [
        (SENTIMENTS, "Positive.", "positive"),
        (SENTIMENTS, "  **NEGATIVE**\n", "negative"),
        (SENTIMENTS, "_neutral_", "neutral"),
        (SENTIMENTS, "“positive”", "positive"),
        (SENTIMENTS, "The answer is neutral.", None),
        (SENTIMENTS, "positively", None),
        (["1", "2"], "1.", "1"),
        (["1", "2"], "1.5 stars", None),
        (["1", "2"], "2 stars", "2"),
        (["1", "2"], "-1", None),
        (["-1", "1"], "-1", "-1"),
        (["1", "10"], "10", "10"),
        (["正面", "负面"], "「正面」。", "正面"),
        (["正面", "负面"], "负面，因为", "负面"),
        (["क", "ख"], "की", None),
        (["é", "e"], "e\u0301", "é"),
        (["A", "B"], "A) because", "A"),
        (["<", ">"], ">", ">"),
        (["?", "!"], "?", "?"),
        (["new york", "york"], "New  York", "new york"),
    ],
)
def test_labels_are_read_as_documented(labels: list[str], text: str, label: str | None) -> None:
    metric = Classification(labels)
    rows = stats(metric, [text], [label or labels[0]])
    assert float(metric.per_example(rows)[0]) == (label is not None)
    assert metric.unread(rows) == ([] if label else [0])


@pytest.mark.parametrize(
    ("pattern", "text", "label"),
    [
        ("(positive|negative|neutral)", "The answer is Neutral.", "neutral"),
        (r"(?:answer is|label:)\s*(\w+)", "Label: NEGATIVE", "negative"),
        (r"(?:answer is|label:)\s*(\w+)", "positive", "positive"),
        (r"(?:answer is|label:)\s*(\w+)", "positive, or so I think", None),
        (r"####\s*(.*)", "It looks negative at first.\n#### positive, clearly", "positive"),
        ("(positive|negative|neutral)", "not negative but positive", None),
        ("(positive|negative|neutral)", "negative, yes negative", "negative"),
        ("answer:( positive)?", "answer:", None),
    ],
)
def test_a_pattern_reads_labels_in_sentences(pattern: str, text: str, label: str | None) -> None:
    metric = Classification(SENTIMENTS, pattern=pattern)
    rows = stats(metric, [text], [label or "positive"])
    assert float(metric.per_example(rows)[0]) == (label is not None)
    assert metric.unread(rows) == ([] if label else [0])
    assert f"read:pattern:{pattern}" in metric.signature


@pytest.mark.parametrize("pattern", ["(positive", "positive|negative", "(a)(b)", 5])
def test_a_pattern_that_reads_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.options\.macro_f1\.pattern: expected .* one group"):
        Classification(SENTIMENTS, "macro_f1", pattern)
