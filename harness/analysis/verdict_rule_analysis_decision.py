"""The rule behind the verdict: which run to ship, whether to keep the one in use, or that the data cannot say.

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

from collections.abc import Sequence
from dataclasses import dataclass

from harness.analysis.verdict_rule import Lead, Standing
from harness.stats.power import Plan, pairs_needed

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
    most = max(rival.most_of(len(rivals)) for rival in rivals)
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
        told_apart = {lead.against for lead in standing.leads_of(better[0].run) if lead.is_told_apart}
        ties = tuple(lead.run for lead in better[1:] if lead.run not in told_apart)
        return Decision(SHIP, better[0], ties, most=max(lead.most for lead in leads))
    most = max(lead.most for lead in leads)
    if most < useful:
        return Decision(KEEP, leads[0], most=most)
    shown = [_to_show(lead, len(leads)) for lead in leads]
    excluded = [_to_exclude(lead, useful) for lead in leads if lead.most >= useful]
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
    deviation = lead.comparison.deviation
    return pairs_needed(deviation, distance, Plan(confidence)) if deviation and distance > 0 else None


def _least(found: Sequence[int | None]) -> int | None:
    return min((n for n in found if n is not None), default=None)


def _most(found: Sequence[int | None]) -> int | None:
    return None if None in found else max((n for n in found if n is not None), default=None)
