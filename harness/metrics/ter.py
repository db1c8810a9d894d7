"""TER, the translation edit rate (Snover et al., 2006, https://aclanthology.org/2006.amta-papers.25/).

Numbers and signature are sacrebleu's. Its algorithm is explained in `harness.metrics.ter_edits`, which runs it for one
pair of texts; `harness.metrics.ter_edits_batched` runs it for thousands of short pairs at once, and
`harness.metrics.ter_edits_beam` for long texts. This module holds the metric, and sends each pair to the cheapest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from harness.errors import ConfigError
from harness.metrics.base import BaseMetric
from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.ter_edits import LONG, OUTSIDE_BEAM, edits_single, safe_distance
from harness.metrics.ter_edits_batched import WIDTH, edits_batched
from harness.metrics.ter_edits_beam import edits_in_beam
from harness.metrics.token_ids import Encoded, IntArray
from harness.metrics.vocabulary import Vocabulary
from harness.types import Completion, Example, FloatArray


class Ter(BaseMetric):
    """Edits and shifts of words per word of the references, times 100; lower is better, and it can exceed 100.

    `normalized` splits punctuation off and `no_punct` removes it, as in sacrebleu's options of these names. With
    `asian_support` they do so for Chinese and Japanese too, whose characters `normalized` then takes as words.
    """

    name = "ter"
    higher_is_better = False
    parallel = True
    score_range = (0.0, math.inf)

    def __init__(
        self,
        normalized: bool = False,
        no_punct: bool = False,
        case_sensitive: bool = False,
        asian_support: bool = False,
    ) -> None:
        if asian_support and not (normalized or no_punct):
            raise ConfigError(
                "metrics.options.ter.asian_support: it does nothing alone, as in sacrebleu. "
                "Add +metrics.options.ter.normalized=true, or no_punct=true."
            )
        self._normalized = normalized
        self._no_punct = no_punct
        self._case_sensitive = case_sensitive
        self._asian_support = asian_support

    @property
    def signature(self) -> str:
        """sacrebleu's signature."""
        from sacrebleu.metrics.ter import TER

        metric = TER(self._normalized, self._no_punct, self._asian_support, self._case_sensitive)
        metric.corpus_score(["a"], [["a"]])
        return f"TER|{metric.get_signature().format()}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return the number of edits, and of words of the reference, shape (n, 2)."""
        texts = (self._tokenize(texts) for texts in pairs(completions, examples))
        hypotheses, references = _vocabulary(self._case_sensitive).encode(*texts)
        return np.column_stack([count_edits(hypotheses, references), references.lengths]).astype(np.float64)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., 2), into TER, shape (...).

        As in sacrebleu, it is 100 where the references are empty and the completions are not.
        """
        edits, words = sums[..., 0], sums[..., 1]
        return 100 * np.where(words > 0, edits / np.where(words > 0, words, 1.0), edits > 0)

    def _tokenize(self, texts: Texts) -> Texts:
        from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

        if self._normalized or self._no_punct:
            tokenizer = TercomTokenizer(self._normalized, self._no_punct, self._asian_support, self._case_sensitive)
            return tuple(map(tokenizer, map(str.rstrip, texts)))
        return texts


def count_edits(hypotheses: Encoded, references: Encoded) -> IntArray:
    """Count the insertions, deletions, substitutions and shifts from each hypothesis to its reference, shape (n,).

    Most pairs need no search: where the edit distance has reached its lower bound, the longer length minus the common
    words, no shift can reduce it.
    """
    from rapidfuzz import process
    from rapidfuzz.distance import Levenshtein

    hypothesis_texts, reference_texts = hypotheses.strings(), references.strings()
    edits: IntArray = process.cpdist(hypothesis_texts, reference_texts, scorer=Levenshtein.distance, dtype=np.int64)
    longer = np.maximum(hypotheses.lengths, references.lengths)
    bounds = longer - clipped_matches(hypotheses, references, 1)[:, 0]
    safe = np.fromiter(map(safe_distance, hypotheses.lengths.tolist(), references.lengths.tolist()), np.float64)
    searched = ((edits > bounds) | (edits >= safe)) & (references.lengths > 0)
    short = np.flatnonzero(searched & (longer <= WIDTH))
    edits[short] = edits_batched(
        hypotheses.take(short), references.take(short), edits[short], bounds[short], safe[short]
    )
    for i in np.flatnonzero(searched & (longer > WIDTH) & (longer <= LONG)).tolist():
        edits[i] = edits_single(hypothesis_texts[i], reference_texts[i], int(edits[i]), int(bounds[i]), float(safe[i]))
    for i in np.flatnonzero(searched & ((longer > LONG) | (edits == OUTSIDE_BEAM))).tolist():
        edits[i] = edits_in_beam(hypothesis_texts[i], reference_texts[i])
    return edits


@cache
def _vocabulary(case_sensitive: bool) -> Vocabulary:
    return Vocabulary(lambda word: [word if case_sensitive else word.lower()])
