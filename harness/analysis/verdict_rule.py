"""The decision rule of the verdict: ship a run, keep the one in use, or not enough data.

A run is *better* than another if the difference is significant after Holm's adjustment and in its favour. With an
incumbent, the family of tests is its challengers, which makes it smaller than without one, where it is all pairs of
the leaderboard.

With an incumbent:

- ship the best challenger that is better than it;
- else keep it, if the upper bound of every challenger's lead is below the useful difference, so that none can be
  better by enough to matter. With a useful difference of 0 this means that all are worse;
- else there is not enough data: a useful difference is possible but not shown.

Without one:

- ship the best run if it is better than all others or, where a useful difference above 0 was declared, if no other
  run can be ahead of it by that much;
- else there is not enough data.

"No other run" is one claim that fails if any of its parts does, so the upper bounds of an incumbent's challengers need
no adjustment (intersection-union test: Berger, 1982, Technometrics 24(4)). The best run is chosen on the same
examples, so there the bounds are widened by Bonferroni's method for that number of choices.

The same rule gives the verdict with failed completions counted as wrong, on leads that are moved accordingly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from scipy.special import ndtr, ndtri

from harness.analysis.comparisons import MetricComparison
from harness.stats.comparison import Comparison, direction
from harness.stats.multiplicity import holm, is_significant
from harness.stats.power import PowerPlan, pairs_needed
from harness.types import MetricResult

SHIP, KEEP, NOT_ENOUGH = "ship", "keep", "not enough data"


@dataclass(frozen=True, slots=True)
class Lead:
    """One run's score minus another's; `sign` is -1 if lower scores are better."""

    run: int
    against: int
    comparison: Comparison
    sign: int
    p_adjusted: float | None = None
    """Holm's, over the family that the lead was computed with; None if it could not be tested."""

    @property
    def ahead(self) -> float:
        """How much better the run scored; nan if unknown."""
        difference = self.comparison.difference
        return float("nan") if difference is None else self.sign * difference

    @property
    def upper_bound(self) -> float:
        """The upper bound of the interval of `ahead`; infinite if unknown."""
        bound = self.comparison.high if self.sign > 0 else self.comparison.low
        return float("inf") if bound is None else self.sign * bound

    def upper_bound_among(self, choices: int) -> float:
        """Return `upper_bound`, widened for a run that was chosen on the same examples among so many."""
        level = 1 - (1 - self.comparison.question.confidence) / 2
        return self.ahead + (self.upper_bound - self.ahead) * float(ndtri(1 - (1 - level) / choices) / ndtri(level))

    @property
    def is_significant(self) -> bool:
        """Whether the two runs differ significantly after adjustment."""
        return is_significant(self.p_adjusted, self.comparison.question.confidence)

    @property
    def is_better(self) -> bool:
        """Whether the run is significantly better."""
        return self.is_significant and self.ahead > 0

    def turned(self) -> Lead:
        """Return the lead of the other run over this one."""
        original = self.comparison
        comparison = replace(
            original,
            difference=_minus(original.difference),
            low=_minus(original.high),
            high=_minus(original.low),
            p_above=original.p_below,
            p_below=original.p_above,
        )
        return replace(self, run=self.against, against=self.run, comparison=comparison)


@dataclass(frozen=True, slots=True)
class PairwiseStanding:
    """All pairs of runs on one metric, by position on the leaderboard, and the positions best first."""

    order: tuple[int, ...]
    pairs: Mapping[tuple[int, int], Comparison]
    """First minus second, for first < second."""
    sign: int

    def leads(self, pairs: Iterable[tuple[int, int]]) -> list[Lead]:
        """Return the lead of the first over the second run of each pair, adjusted by Holm over these pairs."""
        leads = [self._lead(*pair) for pair in pairs]
        adjusted = holm([lead.comparison.p for lead in leads])
        return [replace(lead, p_adjusted=p) for lead, p in zip(leads, adjusted, strict=True)]

    def leads_of(self, run: int) -> list[Lead]:
        """Return the run's leads over the others, best first, adjusted over all pairs as the tie groups are."""
        leads = self.leads(combinations(sorted(self.order), 2))
        by_other = {lead.against: lead for lead in leads if lead.run == run}
        by_other |= {lead.run: lead.turned() for lead in leads if lead.against == run}
        return [by_other[other] for other in self.order if other != run]

    def _lead(self, run: int, against: int) -> Lead:
        if run < against:
            return Lead(run, against, self.pairs[run, against], self.sign)
        return Lead(against, run, self.pairs[against, run], self.sign).turned()


def standing(comparison: MetricComparison, higher_is_better: bool | None) -> PairwiseStanding:
    """Return the standing of compared runs, which are in order already."""
    pairs = {(pair.first, pair.second): pair.comparison for pair in comparison.pairs}
    return PairwiseStanding(tuple(range(len(comparison.groups))), pairs, direction(higher_is_better))


def with_failures_wrong(original: PairwiseStanding, results: Sequence[MetricResult | None]) -> PairwiseStanding | None:
    """Return the standing with failed completions counted as wrong; None if none failed or a worst score is unknown.

    Each difference becomes that of the worst scores. Its interval keeps its width and its p-value is the normal one,
    which is accurate enough to see whether failures change the verdict.
    """
    worst = [_worst(result) for result in results]
    known = [score for score in worst if score is not None]
    if len(known) < len(worst) or not any(result and result.score.errors for result in results):
        return None
    pairs = {(i, j): _moved(comparison, known[i] - known[j]) for (i, j), comparison in original.pairs.items()}
    order = sorted(original.order, key=lambda i: -original.sign * known[i])
    return PairwiseStanding(tuple(order), pairs, original.sign)


@dataclass(frozen=True, slots=True)
class VerdictDecision:
    """The result of the decision rule; runs are positions on the leaderboard."""

    kind: str
    """`ship`, `keep` or `not enough data`."""
    lead: Lead
    """Of the chosen run over the next best or the incumbent; else of the closest challenger over the kept run."""
    ties: tuple[int, ...] = ()
    """The runs, best first, that are statistically tied with the chosen or leading one."""
    n_needed: int | None = None
    """Examples that would decide it if the differences stay the same; None if decided or unknown."""
    max_lead: float = float("inf")
    """How far another run can be ahead of the incumbent, or of the best run, at most; infinite if unknown."""

    @property
    def run(self) -> int:
        """The run to ship or to keep; with not enough data, the one that may be better."""
        return self.lead.against if self.kind == KEEP else self.lead.run


def decide(standing: PairwiseStanding, incumbent: int | None, useful: float) -> VerdictDecision:
    """Decide between two or more runs; `useful` is the useful difference in units of the metric."""
    return _choose(standing, useful) if incumbent is None else _replace(standing, incumbent, useful)


def _choose(standing: PairwiseStanding, useful: float) -> VerdictDecision:
    """Decide without an incumbent."""
    leads = standing.leads_of(standing.order[0])
    tied = [lead for lead in leads if not lead.is_better]
    ties = tuple(lead.against for lead in tied)
    rivals = [lead.turned() for lead in leads]
    max_lead = max(rival.upper_bound_among(len(rivals)) for rival in rivals)
    if not tied:
        return VerdictDecision(SHIP, leads[0], max_lead=max_lead)
    if useful > 0 and max_lead < useful:
        return VerdictDecision(SHIP, leads[0], ties, max_lead=max_lead)
    to_show = [_n_to_show(lead, len(standing.pairs)) for lead in tied]
    to_exclude = [_n_to_exclude(rival, useful, len(rivals)) for rival in rivals] if useful > 0 else [None]
    return VerdictDecision(NOT_ENOUGH, leads[0], ties, _least([_most(to_show), _most(to_exclude)]), max_lead)


def _replace(standing: PairwiseStanding, incumbent: int, useful: float) -> VerdictDecision:
    """Decide whether to replace an incumbent."""
    leads = standing.leads((run, incumbent) for run in standing.order if run != incumbent)
    better = [lead for lead in leads if lead.is_better]
    max_lead = max(lead.upper_bound for lead in leads)
    if better:
        different = {lead.against for lead in standing.leads_of(better[0].run) if lead.is_significant}
        ties = tuple(lead.run for lead in better[1:] if lead.run not in different)
        return VerdictDecision(SHIP, better[0], ties, max_lead=max_lead)
    if max_lead < useful:
        return VerdictDecision(KEEP, leads[0], max_lead=max_lead)
    to_show = [_n_to_show(lead, len(leads)) for lead in leads]
    to_exclude = [_n_to_exclude(lead, useful) for lead in leads if lead.upper_bound >= useful]
    return VerdictDecision(NOT_ENOUGH, leads[0], (), _least([_least(to_show), _most(to_exclude)]), max_lead)


def _n_to_show(lead: Lead, tests: int) -> int | None:
    """Return the examples needed to show this lead among so many tests, by Bonferroni's bound of Holm's level."""
    confidence = 1 - (1 - lead.comparison.question.confidence) / tests
    return _n_needed(lead, lead.ahead, confidence)


def _n_to_exclude(lead: Lead, useful: float, choices: int = 1) -> int | None:
    """Return the examples needed to show that this lead is below the useful difference."""
    confidence = 1 - (1 - lead.comparison.question.confidence) / choices
    return _n_needed(lead, useful - lead.ahead, confidence)


def _n_needed(lead: Lead, distance: float, confidence: float) -> int | None:
    sd = lead.comparison.sd_of_difference
    return pairs_needed(sd, distance, PowerPlan(confidence)) if sd and distance > 0 else None


def _least(sizes: Sequence[int | None]) -> int | None:
    return min((n for n in sizes if n is not None), default=None)


def _most(sizes: Sequence[int | None]) -> int | None:
    return None if None in sizes else max((n for n in sizes if n is not None), default=None)


def _worst(result: MetricResult | None) -> float | None:
    if result is None:
        return None
    return result.score.worst if result.score.errors else result.score.value


def _moved(original: Comparison, difference: float) -> Comparison:
    """Return a comparison with another difference, an interval of the same width and a normal p-value."""
    if original.difference is None or original.standard_error is None:
        return replace(original, difference=difference, low=None, high=None, p=None)
    shift = difference - original.difference
    z = abs(difference) / original.standard_error if original.standard_error else float("inf") if difference else 0.0
    return replace(
        original,
        difference=difference,
        low=None if original.low is None else original.low + shift,
        high=None if original.high is None else original.high + shift,
        p=float(2 * ndtr(-z)),
    )


def _minus(value: float | None) -> float | None:
    return None if value is None else -value
