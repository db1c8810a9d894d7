"""Likelihood metrics are ratios of sums over the references, as the first fine-tuning API defined them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness import registry
from harness.protocols import LikelihoodMetric, Metric
from harness.types import Completion, Example, FinishReason, Likelihood
from tests.support.text_pairs import completions, examples

REFERENCES = ["two words", "naïve", "x" * 10]
LIKELIHOODS = [Likelihood(3.0, 3, 2), Likelihood(1.0, 2, 2), Likelihood(8.0, 5, 0)]
NAMES = ("validation_loss", "perplexity", "token_accuracy", "sequence_accuracy", "bits_per_byte")
EXPECTED = (12 / 10, math.exp(1.2), 4 / 10, 1 / 3, 12 / math.log(2) / (9 + 6 + 10))
OWN = (
    [1.0, 0.5, 1.6],
    [math.e, math.exp(0.5), math.exp(1.6)],
    [2 / 3, 1, 0],
    [0, 1, 0],
    [3 / math.log(2) / 9, 1 / math.log(2) / 6, 8 / math.log(2) / 10],
)


def with_likelihoods(references: list[str], likelihoods: list[Likelihood]) -> list[Completion]:
    pairs = enumerate(zip(references, likelihoods, strict=True))
    return [
        Completion(str(i), "text", FinishReason.STOP, likelihoods={text: likelihood}) for i, (text, likelihood) in pairs
    ]


@pytest.mark.parametrize(("name", "expected", "own"), list(zip(NAMES, EXPECTED, OWN, strict=True)))
def test_sums_over_all_examples(name: str, expected: float, own: list[float]) -> None:
    metric = registry.metric(name, {}, tokenizer="abc")
    assert isinstance(metric, Metric)
    assert isinstance(metric, LikelihoodMetric)
    assert metric.name == name == metric.signature.split("|")[0]
    assert metric.signature.count("|") >= 2
    stats = metric.stats(with_likelihoods(REFERENCES, LIKELIHOODS), examples(REFERENCES))
    assert stats.dtype == np.float64
    assert stats.shape == (3, 2)
    assert float(metric.aggregate(stats.sum(axis=0))) == pytest.approx(expected, rel=1e-12)
    assert metric.per_example(stats) == pytest.approx(own, rel=1e-12)
    assert metric.aggregate(np.stack([stats, stats])).shape == (2, 3)
    assert np.isnan(metric.aggregate(np.zeros(2)))
    assert metric.stats([], []).shape == (0, 2)


def test_directions_and_kinds() -> None:
    metrics = [registry.metric(name, {}) for name in NAMES]
    assert [m.higher_is_better for m in metrics] == [False, False, True, True, False]
    assert [m.is_proportion for m in metrics] == [False, False, False, True, False]


def test_metrics_per_token_name_the_tokenizer() -> None:
    named = [registry.metric(name, {}, tokenizer="abc").signature for name in NAMES]
    assert ["abc" in signature for signature in named] == [True, True, True, False, False]


@pytest.mark.parametrize("name", NAMES)
def test_a_completion_without_the_likelihood_is_refused(name: str) -> None:
    metric = registry.metric(name, {})
    with pytest.raises(ValueError, match="'0' has no likelihood of 'a'"):
        metric.stats(completions(["a"]), examples(["a"]))
    with pytest.raises(ValueError, match="has no text"):
        metric.stats([Completion("0", None, FinishReason.ERROR, "timeout")], [Example("0", "", "a")])
