"""TER, the translation edit rate, with sacrebleu's numbers and signature.

Source: Snover et al. (2006), https://aclanthology.org/2006.amta-papers.25/.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np

from harness.metrics.inputs import Texts, pairs
from harness.metrics.ngrams import clipped_matches
from harness.metrics.ter_edits import edits
from harness.metrics.vocabulary import Vocabulary
from harness.types import Completion, Example, FloatArray


class Ter:
    """Edits and shifts of words per word of the references, times 100; lower is better, and it can exceed 100.

    `normalized` sets punctuation apart and `no_punct` drops it, as in sacrebleu's options of these names.
    """

    name = "ter"
    higher_is_better: bool | None = False
    is_proportion = False
    parallel = True

    def __init__(self, normalized: bool = False, no_punct: bool = False, case_sensitive: bool = False) -> None:
        self._normalized = normalized
        self._no_punct = no_punct
        self._case_sensitive = case_sensitive

    @property
    def signature(self) -> str:
        """sacrebleu's signature."""
        from sacrebleu.metrics.ter import TER

        metric = TER(self._normalized, self._no_punct, case_sensitive=self._case_sensitive)
        metric.corpus_score(["a"], [["a"]])
        return f"TER|{metric.get_signature().format()}"

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return edits, and words of the reference, shape (n, 2)."""
        texts = (self._tokenised(texts) for texts in pairs(completions, examples))
        ours, theirs = _lexicon(self._case_sensitive).encode(*texts)
        floors = np.maximum(ours.lengths, theirs.lengths) - clipped_matches(ours, theirs, 1)[:, 0]
        return np.column_stack([edits(ours, theirs, floors), theirs.lengths]).astype(np.float64)

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., 2), into TER, shape (...).

        As in sacrebleu, it is 100 where the references are empty and the completions are not.
        """
        errors, words = sums[..., 0], sums[..., 1]
        return 100 * np.where(words > 0, errors / np.where(words > 0, words, 1.0), errors > 0)

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Return sentence TER, shape (n,)."""
        return self.aggregate(stats)

    def _tokenised(self, texts: Texts) -> Texts:
        from sacrebleu.tokenizers.tokenizer_ter import TercomTokenizer

        if self._normalized or self._no_punct:
            tokenizer = TercomTokenizer(self._normalized, self._no_punct, case_sensitive=self._case_sensitive)
            return tuple(map(tokenizer, map(str.rstrip, texts)))
        return texts


@cache
def _lexicon(case_sensitive: bool) -> Vocabulary:
    return Vocabulary(lambda word: [word if case_sensitive else word.lower()])
