"""Scores of the reference implementations, called as they document it: sentence scores first, the corpus score last."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import numpy as np

from harness.metrics.rouge import Kind
from harness.types import FloatArray

KINDS: tuple[Kind, ...] = get_args(Kind)
Scores = Callable[[list[str], list[str]], FloatArray]


def rouge_scores(texts: list[str], references: list[str]) -> FloatArray:
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(list(KINDS), use_stemmer=True)
    scores = [scorer.score(reference, text) for text, reference in zip(texts, references, strict=True)]
    return np.array([[score[kind].fmeasure for kind in KINDS] for score in scores])


def sacrebleu_scores(corpus: Any, sentence: Any) -> Scores:
    def score(texts: list[str], references: list[str]) -> FloatArray:
        sentences = [sentence.sentence_score(text, [ref]).score for text, ref in zip(texts, references, strict=True)]
        return np.array([*sentences, corpus.corpus_score(texts, [references]).score])

    return score


def ter_scores(metric: Any, texts: list[str], references: list[str]) -> FloatArray:
    """Return sentence and corpus TER from one pass: sacrebleu would need twice as long for both."""
    rows = metric._extract_corpus_statistics(texts, [references])
    scores = [metric._compute_score_from_stats(row).score for row in [*rows, np.sum(rows, axis=0)]]
    return np.array(scores)
