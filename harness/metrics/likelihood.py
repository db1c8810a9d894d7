"""How likely the references are to a model: what a fine-tune lowers, over every scored example, with intervals.

Loss and accuracies are those that OpenAI's first fine-tuning API gave on batches of the validation file
(https://platform.openai.com/docs/guides/legacy-fine-tuning, "Analyzing your fine-tuned model"). A reference's tokens
are those that a fine-tune would learn, the end-of-text token among them. Numbers by the token compare only between
models that cut texts into the same tokens, so their signatures name the tokenizer; bits by the byte compare for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np

from harness.metrics.base import RatioMetric, mean_stats
from harness.metrics.inputs import likelihoods
from harness.types import Completion, Example, FloatArray

Kind = Literal["validation_loss", "perplexity", "token_accuracy"]


class _OfReference(RatioMetric):
    """Anything that is worked out from the likelihood of the reference alone."""

    def wanted(self, example: Example) -> Sequence[str]:
        """Return the reference."""
        return (example.reference,)


class TokenLikelihood(_OfReference):
    """Validation loss in nats per token, its exponential, or the share of tokens that the model finds likeliest.

    All are over the tokens of all examples: long references weigh more. Perplexity: Jelinek et al. (1977),
    doi:10.1121/1.2016299.
    """

    def __init__(self, kind: Kind = "validation_loss", tokenizer: str = "") -> None:
        self.name = kind
        self.higher_is_better = kind == "token_accuracy"
        self._tokenizer = tokenizer

    @property
    def signature(self) -> str:
        """Name, what is counted, and the digest of the tokenizer that decides what a token is."""
        return f"{self.name}|of:reference+end|tokenizer:{self._tokenizer or 'unknown'}|agg:ratio"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return each reference's nats, or right tokens, and its tokens, shape (n, 2)."""
        found = [row[0] for row in likelihoods(completions, examples, self.wanted)]
        counted = [each.greedy if self.name == "token_accuracy" else each.nll for each in found]
        return np.array([counted, [each.tokens for each in found]], np.float64).T

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Divide summed nats or right tokens by summed tokens, shape (..., 2) to (...); nan where there are none."""
        mean = super().aggregate(sums)
        return np.exp(mean) if self.name == "perplexity" else mean


class SequenceAccuracy(_OfReference):
    """The share of references whose every token is the one that the model finds likeliest after the true ones before.

    For greedy decoding without a stop rule that is the share that it would say word for word.
    """

    name = "sequence_accuracy"
    is_proportion = True
    signature = "sequence_accuracy|of:reference+end|agg:mean"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return 1 or 0 for each reference, and 1, shape (n, 2)."""
        found = likelihoods(completions, examples, self.wanted)
        return mean_stats([float(row[0].greedy == row[0].tokens) for row in found])


class BitsPerByte(_OfReference):
    """Bits that the references take, for each byte of their text: validation loss for any tokenizer.

    The end-of-text token costs bits and has no bytes. Gao et al. (2020), https://arxiv.org/abs/2101.00027, section 3.1.
    """

    name = "bits_per_byte"
    higher_is_better = False
    signature = "bits_per_byte|of:reference+end|bytes:utf-8|agg:ratio"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return each reference's bits and bytes, shape (n, 2)."""
        found = likelihoods(completions, examples, self.wanted)
        size = [len(example.reference.encode("utf-8", "surrogatepass")) for example in examples]
        return np.array([[row[0].nll / math.log(2) for row in found], size], np.float64).T
