"""How far each run is ahead of each other one, in the better direction: what the verdict's rule works on.

The same object is made a second time with failed completions counted as wrong, so that one rule tells both verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from scipy.special import ndtr, ndtri

from harness.analysis.comparisons import MetricComparison
from harness.stats.comparison import Comparison
from harness.stats.multiplicity import holm
from harness.types import MetricResult


@dataclass(frozen=True, slots=True)
class Lead:
    """One run's score minus another's, and what it means where `sign` is -1 because lower scores are better."""

    run: int
    against: int
    comparison: Comparison
    sign: int
    p_adjusted: float | None = None
    """Holm's, over the leads that it was asked for with; None where it could not be tested."""

    @property
    def ahead(self) -> float:
        """How much better the run scored; nan where that is unknown."""
        found = self.comparison.difference
        return float("nan") if found is None else self.sign * found

    @property
    def most(self) -> float:
        """The upper end of the interval of `ahead`; infinite where it is unknown."""
        bound = self.comparison.high if self.sign > 0 else self.comparison.low
        return float("inf") if bound is None else self.sign * bound

    def most_of(self, choices: int) -> float:
        """Return `most` widened for a run that was chosen on the same examples among so many."""
        level = 1 - (1 - self.comparison.question.confidence) / 2
        return self.ahead + (self.most - self.ahead) * float(ndtri(1 - (1 - level) / choices) / ndtri(level))

    @property
    def is_told_apart(self) -> bool:
        """Whether the two runs differ after adjustment."""
        return self.p_adjusted is not None and self.p_adjusted <= 1 - self.comparison.question.confidence

    @property
    def is_better(self) -> bool:
        """Whether the run is shown to be the better one."""
        return self.is_told_apart and self.ahead > 0

    def turned(self) -> Lead:
        """Return the same lead seen from the other run."""
        found = self.comparison
        turned = replace(
            found,
            difference=_minus(found.difference),
            low=_minus(found.high),
            high=_minus(found.low),
            p_above=found.p_below,
            p_below=found.p_above,
        )
        return replace(self, run=self.against, against=self.run, comparison=turned)


@dataclass(frozen=True, slots=True)
class Standing:
    """All pairs of runs on one metric, by position on the leaderboard, and the positions best first."""

    order: tuple[int, ...]
    pairs: Mapping[tuple[int, int], Comparison]
    """First minus second, for first < second."""
    sign: int

    def leads(self, pairs: Iterable[tuple[int, int]]) -> list[Lead]:
        """Return the lead of the first over the second of each pair, adjusted by Holm over these pairs."""
        found = [self._lead(*pair) for pair in pairs]
        adjusted = holm([np.nan if lead.comparison.p is None else lead.comparison.p for lead in found])
        return [
            replace(lead, p_adjusted=None if np.isnan(p) else float(p)) for lead, p in zip(found, adjusted, strict=True)
        ]

    def leads_of(self, run: int) -> list[Lead]:
        """Return the run's leads over the others, best first, adjusted over all pairs as the tie groups are."""
        leads = self.leads(combinations(sorted(self.order), 2))
        own = {lead.against: lead for lead in leads if lead.run == run}
        own |= {lead.run: lead.turned() for lead in leads if lead.against == run}
        return [own[other] for other in self.order if other != run]

    def _lead(self, run: int, against: int) -> Lead:
        if run < against:
            return Lead(run, against, self.pairs[run, against], self.sign)
        return Lead(against, run, self.pairs[against, run], self.sign).turned()


def standing(comparison: MetricComparison, higher_is_better: bool | None) -> Standing:
    """Return the compared runs, which are in order already."""
    pairs = {(pair.first, pair.second): pair.comparison for pair in comparison.pairs}
    return Standing(tuple(range(len(comparison.groups))), pairs, -1 if higher_is_better is False else 1)


def with_failures_wrong(found: Standing, results: Sequence[MetricResult | None]) -> Standing | None:
    """Return the standing with failed completions counted as wrong; None where none failed or that is unknown.

    Each difference becomes that of the worst scores. Its interval keeps its width and its p-value is the normal one,
    which is near enough to see whether failures decide the verdict.
    """
    worst = [_worst(result) for result in results]
    known = [score for score in worst if score is not None]
    if len(known) < len(worst) or not any(result and result.score.errors for result in results):
        return None
    pairs = {(i, j): _moved(each, known[i] - known[j]) for (i, j), each in found.pairs.items()}
    order = sorted(found.order, key=lambda i: -found.sign * known[i])
    return Standing(tuple(order), pairs, found.sign)


def _worst(result: MetricResult | None) -> float | None:
    if result is None:
        return None
    return result.score.worst if result.score.errors else result.score.value


def _moved(found: Comparison, difference: float) -> Comparison:
    if found.difference is None or found.error is None:
        return replace(found, difference=difference, low=None, high=None, p=None)
    shift = difference - found.difference
    z = abs(difference) / found.error if found.error else float("inf") if difference else 0.0
    return replace(
        found,
        difference=difference,
        low=None if found.low is None else found.low + shift,
        high=None if found.high is None else found.high + shift,
        p=float(2 * ndtr(-z)),
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
