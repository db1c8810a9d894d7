"""How far each run is ahead of each other one, in the better direction: what the verdict's rule works on.

The same object is made a second time with failed completions counted as wrong, so that one rule tells both verdicts.

The rule behind the verdict: which run to ship, whether to keep the one in use, or that the data cannot say.

A run is *better* than another when Holm's adjusted p-value says so. With an incumbent the family is its challengers,
which is what naming it beforehand buys; without one it is all pairs of the leaderboard.

With an incumbent:

- ship the best challenger that is better than it;
- else keep it, when the upper end of every challenger's lead is below the useful difference: none can be better by
  enough to matter. With a useful difference of 0 that means that all are worse;
- else there is not enough data: a useful difference is possible and not shown.

Without one:

- ship the best run when it is better than all others, or, where a useful difference above 0 was declared, when none
  of them can be ahead of it by that much;
- else there is not enough data.

"None of them" is one claim that fails with any of its parts, so the upper ends of an incumbent's challengers need no
adjustment (intersection-union: Berger, 1982, Technometrics 24(4)). The best run is chosen on the same examples, and
there they do: they are widened as Bonferroni would for as many choices.
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
from harness.stats.power import Plan, pairs_needed
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
    def upper_bound(self) -> float:
        """The upper end of the interval of `ahead`; infinite where it is unknown."""
        bound = self.comparison.high if self.sign > 0 else self.comparison.low
        return float("inf") if bound is None else self.sign * bound

    def upper_bound_among(self, choices: int) -> float:
        """Return `upper_bound` widened for a run that was chosen on the same examples among so many."""
        level = 1 - (1 - self.comparison.question.confidence) / 2
        return self.ahead + (self.upper_bound - self.ahead) * float(ndtri(1 - (1 - level) / choices) / ndtri(level))

    @property
    def is_significant(self) -> bool:
        """Whether the two runs differ after adjustment."""
        return self.p_adjusted is not None and self.p_adjusted <= 1 - self.comparison.question.confidence

    @property
    def is_better(self) -> bool:
        """Whether the run is shown to be the better one."""
        return self.is_significant and self.ahead > 0

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
    if found.difference is None or found.standard_error is None:
        return replace(found, difference=difference, low=None, high=None, p=None)
    shift = difference - found.difference
    z = abs(difference) / found.standard_error if found.standard_error else float("inf") if difference else 0.0
    return replace(
        found,
        difference=difference,
        low=None if found.low is None else found.low + shift,
        high=None if found.high is None else found.high + shift,
        p=float(2 * ndtr(-z)),
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value


SHIP, KEEP, NOT_ENOUGH = "ship", "keep", "not enough data"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rule comes to; runs are positions on the leaderboard."""

    kind: str
    """`ship`, `keep` or `not enough data`."""
    lead: Lead
    """The chosen run's over the next best or the incumbent; else the nearest challenger's over what is kept."""
    ties: tuple[int, ...] = ()
    """The runs, best first, that the chosen or foremost one is not told apart from."""
    n_needed: int | None = None
    """Examples that would decide it, if the differences stay what they are; None where decided or unknown."""
    most: float = float("inf")
    """How far another run can be ahead of the incumbent, or of the best run, at most; infinite where unknown."""

    @property
    def run(self) -> int:
        """The run to ship or to keep; for too little data the one that may be the better."""
        return self.lead.against if self.kind == KEEP else self.lead.run


def decide(standing: Standing, incumbent: int | None, useful: float) -> Decision:
    """Decide between two runs or more; `useful` is in the units of the metric."""
    return _choose(standing, useful) if incumbent is None else _replace(standing, incumbent, useful)


def _choose(standing: Standing, useful: float) -> Decision:
    leads = standing.leads_of(standing.order[0])
    tied = [lead for lead in leads if not lead.is_better]
    ties = tuple(lead.against for lead in tied)
    rivals = [lead.turned() for lead in leads]
    most = max(rival.upper_bound_among(len(rivals)) for rival in rivals)
    if not tied:
        return Decision(SHIP, leads[0], most=most)
    if useful > 0 and most < useful:
        return Decision(SHIP, leads[0], ties, most=most)
    shown = [_to_show(lead, len(standing.pairs)) for lead in tied]
    excluded = [_to_exclude(rival, useful, len(rivals)) for rival in rivals] if useful > 0 else [None]
    return Decision(NOT_ENOUGH, leads[0], ties, _least([_most(shown), _most(excluded)]), most)


def _replace(standing: Standing, incumbent: int, useful: float) -> Decision:
    leads = standing.leads((run, incumbent) for run in standing.order if run != incumbent)
    better = [lead for lead in leads if lead.is_better]
    if better:
        told_apart = {lead.against for lead in standing.leads_of(better[0].run) if lead.is_significant}
        ties = tuple(lead.run for lead in better[1:] if lead.run not in told_apart)
        return Decision(SHIP, better[0], ties, most=max(lead.upper_bound for lead in leads))
    most = max(lead.upper_bound for lead in leads)
    if most < useful:
        return Decision(KEEP, leads[0], most=most)
    shown = [_to_show(lead, len(leads)) for lead in leads]
    excluded = [_to_exclude(lead, useful) for lead in leads if lead.upper_bound >= useful]
    return Decision(NOT_ENOUGH, leads[0], (), _least([_least(shown), _most(excluded)]), most)


def _to_show(lead: Lead, tests: int) -> int | None:
    """Return the examples that would show this lead among so many tests, by Bonferroni's bound of Holm's level."""
    confidence = 1 - (1 - lead.comparison.question.confidence) / tests
    return _needed(lead, lead.ahead, confidence)


def _to_exclude(lead: Lead, useful: float, choices: int = 1) -> int | None:
    """Return the examples that would show that this lead is below the useful difference."""
    confidence = 1 - (1 - lead.comparison.question.confidence) / choices
    return _needed(lead, useful - lead.ahead, confidence)


def _needed(lead: Lead, distance: float, confidence: float) -> int | None:
    deviation = lead.comparison.sd_of_difference
    return pairs_needed(deviation, distance, Plan(confidence)) if deviation and distance > 0 else None


def _least(found: Sequence[int | None]) -> int | None:
    return min((n for n in found if n is not None), default=None)


def _most(found: Sequence[int | None]) -> int | None:
    return None if None in found else max((n for n in found if n is not None), default=None)
