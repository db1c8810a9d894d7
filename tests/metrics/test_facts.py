"""Which facts are extracted from a text, and how agreement on them is counted."""

from __future__ import annotations

import re

import numpy as np
import pytest

from harness.metrics.facts import Facts, Kind, facts
from tests.support.text_pairs import completions, examples, wiki_pairs


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", set()),
        ("It is one of the largest.", set()),
        ("Marie Curie's prize in 1903", {"marie", "curie", "1903"}),
        ("Marie Curie’s prize", {"marie", "curie"}),
        ("1,234.50 people, 007 agents, 3.0 kg, the 19th and the 1990s", {"1234.5", "7", "3", "19", "1990"}),
        ("born on 7 November 1867", {"1867", "1867-11-07"}),
        ("born on the 7th of November, 1867", {"1867", "1867-11-07"}),
        ("born on November 7, 1867", {"1867", "1867-11-07"}),
        ("born on 1867-11-07", {"1867", "1867-11-07"}),
        ("in November 1867", {"november", "1867"}),
        ("Jean-Luc O'Neill", {"jean-luc", "o'neill"}),
        ("Ærø and Škoda", {"ærø", "škoda"}),
    ],
)
def test_facts(text: str, expected: set[str]) -> None:
    assert facts(text) == expected


ROWS = [
    ("Warsaw", "A city on the Vistula in Poland, founded in 1300.", "Warsaw is a city in Poland, founded in 1611."),
    ("rivers", "It flows.", "It is water."),
    ("Berlin", "The capital of Germany.", "A city."),
]


@pytest.mark.parametrize(("kind", "score"), [("precision", 1 / 2), ("recall", 1 / 4), ("f1", 2 / 6)])
def test_agreement(kind: Kind, score: float) -> None:
    prompts, references, texts = zip(*ROWS, strict=True)
    metric = Facts(kind)
    rows = metric.stats(completions(texts), examples(references, prompts))
    assert float(metric.aggregate(rows.sum(axis=0))) == pytest.approx(score)
    assert np.isnan(metric.per_example(rows)[1])


def test_counts_are_those_of_the_sets_of_facts() -> None:
    texts, references = wiki_pairs(200)
    prompts = [" ".join(reference.split()[:3]).lower() for reference in references]
    counts = []
    for text, reference, prompt in zip(texts, references, prompts, strict=True):
        excluded = facts(prompt) | {word.casefold() for word in re.findall(r"[^\W\d_]\w*(?:[-'’]\w+)*", prompt)}
        stated, expected = facts(text) - excluded, facts(reference) - excluded
        counts.append([len(stated & expected), len(stated)])
    rows = Facts("precision").stats(completions(texts), examples(references, prompts))
    np.testing.assert_array_equal(rows, counts)
    assert rows.any(axis=0).all()


def test_the_prompt_gives_its_words_away_however_they_are_written() -> None:
    rows = Facts().stats(completions(["Alternating Current of 1886"]), examples(["1886"], ["alternating current"]))
    np.testing.assert_array_equal(rows, [[2, 2]])
