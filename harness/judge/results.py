"""The statistics of an LLM judge's verdicts: the win rate, with the paired test of any binary metric, and reliability.

If examples belong to clusters (`stats.cluster`), every interval accounts for the clustering.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.analysis.comparisons import Aligned
from harness.config import JudgeConfig
from harness.judge import pairwise
from harness.judge.pairwise import Choice, CompletionPair, JudgedExample, JudgeOutcome
from harness.judge.record import SCHEMA_VERSION, Counts, JudgeAgreement, Judgement, Trust, warnings
from harness.metrics.base import mean_stats
from harness.metrics.exact import ExactMatch
from harness.protocols import Metric
from harness.stats.comparison import Comparison, Question, direction
from harness.stats.paired import compare
from harness.stats.proportions import effective_size, wilson
from harness.store.digest import digest
from harness.types import FloatArray, ModelIdentity, Score

EQUAL = 1e-12
"""Scores of one example that differ by less are equal up to rounding."""
_SIGNS = {JudgeOutcome.WIN: 1.0, JudgeOutcome.LOSS: -1.0, JudgeOutcome.TIE: 0.0, JudgeOutcome.NO_VERDICT: np.nan}
_SHARE = ExactMatch()
"""Any metric of zeros and ones; verdicts are compared as its scores are."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The judged pairs, which are the first ones of `aligned`, and the judge's answers on each."""

    aligned: Aligned
    pairs: Sequence[CompletionPair]
    judged: Sequence[JudgedExample]

    def judgement(self, metrics: Sequence[Metric], judge: ModelIdentity, config: JudgeConfig) -> Judgement:
        """Return the record of the comparison; `metrics` are those that both runs were scored with."""
        first, second = (run.result for run in self.aligned.runs)
        rule = pairwise.decoding(config)
        signature = f"judge|model:{digest(judge)}|template:{digest(config.template)}|decoding:{digest(rule)}|orders:2"
        texts = [[pair.question, pair.example.reference, pair.first, pair.second] for pair in self.pairs]
        decides = [signature, first.run_id, second.run_id, texts, [m.signature for m in metrics], self.aligned.config]
        compared = self.compared()
        record = Judgement(
            schema_version=SCHEMA_VERSION,
            key=digest(decides),
            signature=signature,
            runs=(first.run_id, second.run_id),
            models=(first.model, second.model),
            task=first.task,
            judge=judge,
            template=config.template,
            max_tokens=config.max_tokens,
            left_out=self.aligned.left_out,
            counts=self.counts(),
            win_rate=self.win_rate(compared),
            p=compared.p,
            interval=compared.method,
            test=compared.test,
            confidence=self.aligned.config.confidence,
            trust=self.trust(metrics),
            examples=tuple(self.judged),
        )
        return replace(record, warnings=tuple(warnings(record)))

    @property
    def signs(self) -> FloatArray:
        """The outcomes for the first run, shape (n,): 1 for a win, 0 for a tie, -1 for a loss, nan for no verdict."""
        return np.array([_SIGNS[example.outcome] for example in self.judged], np.float64)

    @property
    def clusters(self) -> NDArray[np.str_] | None:
        """The cluster label of each pair, or None when examples are independent."""
        labels = self.aligned.clusters
        return None if labels is None else labels[: len(self.judged)]

    def counts(self) -> Counts:
        """Count the outcomes."""
        outcomes = [example.outcome for example in self.judged]
        return Counts(
            wins=outcomes.count(JudgeOutcome.WIN),
            losses=outcomes.count(JudgeOutcome.LOSS),
            ties=outcomes.count(JudgeOutcome.TIE),
            flips=sum(example.flipped for example in self.judged),
            same=sum(not example.asked for example in self.judged),
            no_verdict=outcomes.count(JudgeOutcome.NO_VERDICT),
        )

    def compared(self) -> Comparison:
        """Compare the shares of examples that the first and the second run won.

        Independent examples: Tango's interval and McNemar's mid-p test, which is the sign test on wins and losses.
        """
        signs, clusters = self.signs, self.clusters
        known = np.isfinite(signs)
        won, lost = (mean_stats((signs[known] == side).astype(np.float64)) for side in (1, -1))
        labels = None if clusters is None else clusters[known]
        return compare(_SHARE, won, lost, self.aligned.resampler, labels, Question(self.aligned.config.confidence))

    def win_rate(self, compared: Comparison) -> Score:
        """Return the first run's win rate, which is 1/2 plus half the difference of both shares."""
        counts = self.counts()
        points, missing = counts.wins + counts.ties / 2, counts.no_verdict
        n = len(self.judged) - missing
        return Score(
            value=points / n if n else None,
            low=None if compared.low is None else (1 + compared.low) / 2,
            high=None if compared.high is None else (1 + compared.high) / 2,
            n=n,
            errors=missing,
            worst=points / (n + missing) if missing else None,
            best=(points + missing) / (n + missing) if missing else None,
        )

    def trust(self, metrics: Sequence[Metric]) -> Trust:
        """Return the measures of the judge's reliability."""
        flipped = [float(e.flipped) if e.asked and None not in e.choices else np.nan for e in self.judged]
        longer = np.sign([len(pair.first) - len(pair.second) for pair in self.pairs])
        agreement = tuple(self._agreement(m) for m in metrics if m.higher_is_better is not None)
        return Trust(
            flip_rate=replace(self._share(flipped), errors=self.counts().no_verdict),
            first_place=self._first_place(),
            longer=self._share(self._same_side(longer)),
            agreement=agreement,
        )

    def _first_place(self) -> Score:
        """Return the share of choices for the answer shown first.

        The two answers on an example are not independent, so unless examples are clustered, each example is a cluster.
        """
        labels = np.arange(len(self.judged)) if self.clusters is None else self.clusters
        by_example = zip(labels, self.judged, strict=True)
        rows = [(label, choice) for label, example in by_example for choice in example.choices]
        chosen = [float(choice is Choice.A) if choice in (Choice.A, Choice.B) else np.nan for _, choice in rows]
        return _share(chosen, [label for label, _ in rows], self.aligned.config.confidence)

    def _agreement(self, metric: Metric) -> JudgeAgreement:
        first, second = (metric.per_example(stats[: len(self.judged)]) for stats in self.aligned.stats(metric.name))
        better = direction(metric.higher_is_better) * (first - second)
        better = np.where(np.abs(better) > EQUAL, np.sign(better), 0.0)
        decided = np.isin(self.signs, (1, -1))
        share = self._share(self._same_side(better))
        return JudgeAgreement(metric.name, metric.signature, share, int(decided.sum()) - share.n)

    def _same_side(self, sides: FloatArray) -> FloatArray:
        """Return 1 where the judge and `sides` prefer the same run, 0 where not, nan where either prefers none."""
        product = self.signs * sides
        return np.where(np.isin(product, (1, -1)), product > 0, np.nan)

    def _share(self, values: ArrayLike) -> Score:
        return _share(values, self.clusters, self.aligned.config.confidence)


def _share(values: ArrayLike, clusters: ArrayLike | None, confidence: float) -> Score:
    """Return the share of ones among zeros and ones with its Wilson interval, ignoring nan."""
    value = np.asarray(values, np.float64)
    counts = np.isfinite(value)
    n = int(counts.sum())
    if not n:
        return Score(None, None, None, 0, 0)
    share = float(value[counts].mean())
    size = n if clusters is None else effective_size(value[counts], np.asarray(clusters)[counts], confidence)
    return Score(share, *wilson(share, size, confidence), n, 0)
