"""Oracles: does a perfect answer get every metric's best score, on every shape of data, and a broken one less?

The references of each shape are scored as if a model had given them back, and so are wrong answers of the same kind. A
metric either gives its best to the first and less to the second, or says beforehand that it cannot read the references.

    python -m benchmarks.evidence.oracles [--quick]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.evidence.shapes import SHAPES, Shape, broken
from harness import registry
from harness.protocols import Metric
from harness.stages.readability import best_score, reading
from harness.types import Completion, Example, FinishReason

TEXT_METRICS = (
    *("exact_match", "exact_match_normalized", "prefix_match", "token_f1"),
    *("rouge1", "rouge2", "rougeL", "rougeLsum", "bleu", "chrf", "ter", "fact_f1"),
)
WITH_OPTIONS: tuple[tuple[str, dict[str, object]], ...] = (
    ("rougeL", {"tokenizer": "unicode"}),
    ("rougeLsum", {"tokenizer": "unicode"}),
    ("bleu", {"tokenize": "char"}),
    ("bleu", {"tokenize": "zh"}),
    ("bleu", {"tokenize": "intl"}),
    ("chrf", {"word_order": 2}),
    ("ter", {"normalized": True, "asian_support": True}),
)
ENCODERS = ("embedding_similarity", "bertscore_f1")


class Outcome(StrEnum):
    """What a metric does with a shape."""

    READS = "reads"
    """The best for the references, less for broken answers."""
    SAYS = "says it cannot"
    """It reports references that it cannot read, or counts nothing in."""
    TIES = "ties"
    """It gives its best to a broken answer, and does not say so."""
    WRONG = "wrong"
    """It gives less than its best to the references, and does not say so."""


@dataclass(frozen=True, slots=True)
class OracleResult:
    """One metric on one shape: the outcome, and its scores of the references and of broken answers."""

    shape: str
    metric: str
    outcome: Outcome
    perfect: float
    broken: float


def metrics(labels: Sequence[str] = (), encoders: bool = False) -> Iterator[tuple[str, Metric]]:
    """Yield every metric that is scored on texts, with its options as its name."""
    for name in (*TEXT_METRICS, *(ENCODERS if encoders else ())):
        yield name, registry.metric(name, {})
    for name, options in WITH_OPTIONS:
        words = ",".join(f"{key}={str(value).lower()}" for key, value in options.items())
        yield f"{name} {words}", registry.metric(name, options)
    for name in registry.FAMILIES["classification"] if labels else ():
        yield name, registry.metric(name, {}, labels)


def judge(name: str, metric: Metric, shape: Shape) -> OracleResult:
    """Score the references of a shape, and broken answers, as completions."""
    references = shape.references
    examples = [Example(str(i), "", reference) for i, reference in enumerate(references)]
    perfect, wrong = (_score(metric, examples, texts) for texts in (references, broken(references)))
    read, best = reading(metric, examples), best_score(metric)
    says = bool(read.unreadable or read.uncounted or read.truncated)
    if best is None or not np.isclose(perfect, best, rtol=1e-6, atol=1e-6):
        outcome = Outcome.SAYS if says else Outcome.WRONG
    elif np.isclose(wrong, best, rtol=1e-6, atol=1e-6):
        outcome = Outcome.SAYS if says else Outcome.TIES
    else:
        outcome = Outcome.SAYS if read.is_refused else Outcome.READS
    return OracleResult(shape.name, name, outcome, perfect, wrong)


def gather(shapes: Sequence[Shape], encoders: bool = False) -> list[OracleResult]:
    """Judge every metric on every shape."""
    return [judge(name, metric, shape) for shape in shapes for name, metric in metrics(shape.labels, encoders)]


def _score(metric: Metric, examples: Sequence[Example], texts: Sequence[str]) -> float:
    completions = [Completion(e.id, text, FinishReason.STOP) for e, text in zip(examples, texts, strict=True)]
    return float(metric.aggregate(metric.stats(completions, examples).sum(axis=0)))


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="without the metrics that need an encoder")
    options = parser.parse_args(argv)
    results = gather(SHAPES, encoders=not options.quick)
    signs = {Outcome.READS: "yes", Outcome.SAYS: "no, said", Outcome.TIES: "TIES", Outcome.WRONG: "WRONG"}
    names = list(dict.fromkeys(result.metric for result in results))
    table = Table("metric", *(["shapes read", "said unreadable", "ties", "wrong", "not read"]), title="Oracles")
    for name in names:
        own = [result for result in results if result.metric == name]
        counts = [sum(result.outcome is outcome for result in own) for outcome in signs]
        unread = ", ".join(result.shape for result in own if result.outcome is not Outcome.READS)
        table.add_row(name, *map(str, counts), unread)
    Console().print(table)
    figures = {outcome.name.lower(): sum(r.outcome is outcome for r in results) for outcome in signs}
    print(json.dumps({"shapes": len(SHAPES), "metrics": len(names), **figures}))


if __name__ == "__main__":
    main()
