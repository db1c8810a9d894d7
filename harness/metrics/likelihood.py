"""How likely the references are to a model: validation loss, perplexity, accuracies and bits per byte.

Loss and accuracies are those that OpenAI's first fine-tuning API reported for batches of the validation file
(https://platform.openai.com/docs/guides/legacy-fine-tuning, "Analyzing your fine-tuned model"); here they cover every
scored example and have intervals. A reference's tokens are those that a fine-tune learns, including the end-of-text
token. Metrics per token are comparable only between models with the same tokenizer, so their signatures include it;
bits per byte are comparable between all models.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.metrics.base import BaseMetric, mean_stats
from harness.metrics.inputs import likelihoods
from harness.types import Completion, Example, FloatArray, Likelihood

Kind = Literal["validation_loss", "perplexity", "token_accuracy"]


class _ReferenceLikelihood(BaseMetric):
    """A metric of the likelihood of the reference alone."""

    def texts_to_score(self, example: Example) -> Sequence[str]:
        """Return the reference."""
        return (example.reference,)

    def _likelihoods(self, completions: Sequence[Completion], examples: Sequence[Example]) -> list[Likelihood]:
        return [row[0] for row in likelihoods(completions, examples, self.texts_to_score)]


class TokenLikelihood(_ReferenceLikelihood):
    """Validation loss in nats per token, its exponential (perplexity), or the share of tokens predicted correctly.

    A token is predicted correctly if it is the most likely one after the true tokens before it. All are over the tokens
    of all examples, so that long references weigh more. Perplexity: Jelinek et al. (1977), doi:10.1121/1.2016299.
    """

    def __init__(self, kind: Kind = "validation_loss", tokenizer: str = "") -> None:
        self.name = kind
        self.higher_is_better = kind == "token_accuracy"
        if kind == "token_accuracy":
            self.score_range = (0.0, 1.0)
        self._tokenizer = tokenizer

    @property
    def signature(self) -> str:
        """Name, what is counted, and the digest of the tokenizer that decides what a token is."""
        return f"{self.name}|of:reference+end|tokenizer:{self._tokenizer or 'unknown'}|agg:ratio"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return each reference's nats, or correct tokens, and its tokens, shape (n, 2)."""
        rows = self._likelihoods(completions, examples)
        numerators = [row.greedy if self.name == "token_accuracy" else row.nll for row in rows]
        return np.array([numerators, [row.tokens for row in rows]], np.float64).T

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Divide summed nats or correct tokens by summed tokens, shape (..., 2) to (...); nan where there are none."""
        mean = super().aggregate(sums)
        return np.exp(mean) if self.name == "perplexity" else mean


class SequenceAccuracy(_ReferenceLikelihood):
    """The share of references all of whose tokens are predicted correctly; see `TokenLikelihood`.

    For greedy decoding without a stop rule that is the share that the model would generate word for word.
    """

    name = "sequence_accuracy"
    is_proportion = True
    signature = "sequence_accuracy|of:reference+end|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0 for each reference, and a weight of 1, shape (n, 2)."""
        rows = self._likelihoods(completions, examples)
        return mean_stats([float(row.greedy == row.tokens) for row in rows])


class BitsPerByte(_ReferenceLikelihood):
    """Negative log-likelihood of the references in bits per byte of their text: a loss for any tokenizer.

    The end-of-text token costs bits and has no bytes. Gao et al. (2020), https://arxiv.org/abs/2101.00027, section 3.1.
    """

    name = "bits_per_byte"
    higher_is_better = False
    signature = "bits_per_byte|of:reference+end|bytes:utf-8|agg:ratio"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return each reference's bits and bytes, shape (n, 2)."""
        bits = [row.nll / math.log(2) for row in self._likelihoods(completions, examples)]
        n_bytes = [len(example.reference.encode("utf-8", "surrogatepass")) for example in examples]
        return np.array([bits, n_bytes], np.float64).T
