"""The verdict in words, with the numbers behind it: ship a run, keep the incumbent, or not enough data.

`harness.analysis.verdict_rule` decides; this module finds the incumbent, the run in use, among the compared runs or in
the store, words the decision, and withholds `ship` from a model that its service will soon shut down. The shutdown date
is the one that the service announced when the run was made; later announcements are not known here.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.comparisons import MetricComparison, labels
from harness.analysis.verdict_rule import (
    KEEP,
    NOT_ENOUGH,
    SHIP,
    Lead,
    VerdictDecision,
    decide,
    standing,
    with_failures_wrong,
)
from harness.config import ReportConfig
from harness.errors import ConfigError, unknown
from harness.stats.comparison import Comparison
from harness.store.runs import StoredRun, find_runs
from harness.types import RunResult
from harness.wording import at_most, counted, difference, p_value

DEFAULT_DAYS = 90
"""For runs made before `report.retire_days` was a setting."""


@dataclass(frozen=True, slots=True)
class Aim:
    """What the reader wants to decide: which run is in use, and the smallest difference that is worth a change."""

    incumbent: str = ""
    """The name, the id or the start of the id of the run in use; empty if there is none."""
    useful_difference: float = 0.0
    """In units of the primary metric; smaller differences do not matter."""

    @classmethod
    def of(cls, config: ReportConfig) -> Aim:
        """Return the aim that the config sets."""
        return cls(config.incumbent, config.useful_difference)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision, `ship`, `keep` or `not enough data`, and its reasons in words; runs are positions."""

    decision: str
    text: str
    run: int | None = None
    """The run to ship or to keep; with not enough data, the one that may be better."""
    against: int | None = None
    """The run that it was compared with."""
    comparison: Comparison | None = None
    """The score of `run` minus that of `against`."""
    p_adjusted: float | None = None
    n_needed: int | None = None
    """Examples that would decide it if the differences stay the same."""
    ties: tuple[int, ...] = ()
    """The runs, best first, that are statistically tied with `run`."""
    smallest: int | None = None
    """The run with the fewest parameters among `run` and `ties`, if it is not `run`."""
    cheapest: int | None = None
    """The run with the cheapest completions among `run` and `ties`, if all costs are known and it is not `run`."""
    with_failures_wrong: str = ""
    """The decision with failed completions counted as wrong, in words, if it is different."""


def reach_verdict(comparison: MetricComparison, results: Sequence[RunResult], aim: Aim) -> Verdict:
    """Return the verdict on compared runs, best first; ConfigError if the incumbent is not one of them."""
    incumbent = find_incumbent(results, aim.incumbent) if aim.incumbent else None
    metrics = [result.metric(comparison.metric) for result in results]
    higher_is_better = next((metric.higher_is_better for metric in metrics if metric), None)
    runs = standing(comparison, higher_is_better)
    decision = decide(runs, incumbent, aim.useful_difference)
    lead = decision.lead.turned() if decision.kind == KEEP else decision.lead
    words = _Words(comparison.metric, labels(results), incumbent, aim.useful_difference)
    tied = [decision.run, *decision.ties]
    smallest = _least(tied, [result.parameters for result in results])
    cheapest = _least(tied, [result.usage.cost_usd for result in results])
    wrong = with_failures_wrong(runs, metrics)
    otherwise = words.otherwise(decision, decide(wrong, incumbent, aim.useful_difference)) if wrong else ""
    parts = [words.sentence(decision), words.savings(smallest, cheapest, results), otherwise]
    return Verdict(
        decision.kind,
        " ".join(part for part in parts if part),
        run=lead.run,
        against=lead.against,
        comparison=lead.comparison,
        p_adjusted=lead.p_adjusted,
        n_needed=decision.n_needed,
        ties=decision.ties,
        smallest=smallest,
        cheapest=cheapest,
        with_failures_wrong=otherwise,
    )


@dataclass(frozen=True, slots=True)
class _Words:
    """Puts a decision into words."""

    metric: str
    names: Sequence[str]
    incumbent: int | None
    useful: float

    def sentence(self, decision: VerdictDecision) -> str:
        """Return what to do, and the evidence."""
        lead, tied = decision.lead, bool(decision.ties)
        run, against, evidence = self.names[lead.run], self.names[lead.against], self._evidence(lead)
        if decision.kind == SHIP and self.incumbent is not None:
            ties = f" It is statistically tied with {self._listed(decision.ties)}." if tied else ""
            return f"Ship {run}: it is significantly better than the incumbent {against} ({evidence}).{ties}"
        if decision.kind == SHIP and not tied:
            return f"Ship {run}: it is significantly better than {against}, the next best run ({evidence})."
        bound = f"can be better by {self.useful:g} or more (upper bound {_amount(decision.max_lead)})"
        if decision.kind == SHIP:
            return f"Ship {run}: no other run {bound}; the next best run is {against} ({evidence})."
        if decision.kind == KEEP:
            no_useful = f", and none {bound}" if self.useful else ""
            return f"Keep {against}: no run is significantly better{no_useful}; the closest is {run} ({evidence})."
        return f"{self._undecided(decision, evidence)}{_examples_needed(decision)}{self._upper_bound(decision)}"

    def savings(self, smallest: int | None, cheapest: int | None, results: Sequence[RunResult]) -> str:
        """Name the smallest and the cheapest of the tied runs, if they are not the best one."""
        parts = []
        if smallest is not None:
            weights = (results[smallest].parameters or 0) / 1e6
            parts.append(f"the smallest of these is {self.names[smallest]} ({weights:,.0f}M parameters)")
        if cheapest is not None:
            usage = results[cheapest].usage
            cost = f"${usage.cost_usd or 0.0:.2g} for {counted(usage.n, 'completion')}"
            parts.append(f"the cheapest is {self.names[cheapest]} ({cost})")
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""

    def otherwise(self, decision: VerdictDecision, wrong: VerdictDecision) -> str:
        """Return the decision with failed completions counted as wrong, if it is different."""
        same_kind = decision.kind == wrong.kind
        if same_kind and (decision.kind == NOT_ENOUGH or decision.run == wrong.run):
            return ""
        verdict = wrong.kind if wrong.kind == NOT_ENOUGH else f"{wrong.kind} {self.names[wrong.run]}"
        return f"With failed completions counted as wrong, the verdict would be: {verdict}."

    def _undecided(self, decision: VerdictDecision, evidence: str) -> str:
        lead = decision.lead
        run, against = self.names[lead.run], self.names[lead.against]
        if self.incumbent is None:
            ties = self._listed(decision.ties)
            return f"Not enough data: {run} is statistically tied with {ties}; against {against}: {evidence}."
        return (
            f"Not enough data to replace {against}: no run is significantly better; the closest is {run} ({evidence})."
        )

    def _upper_bound(self, decision: VerdictDecision) -> str:
        """Return the useful difference that would decide for the incumbent, if none was declared."""
        if self.incumbent is None or self.useful or decision.max_lead == float("inf"):
            return ""
        incumbent, bound = self.names[self.incumbent], _amount(decision.max_lead)
        return f" No run can be better by more than {bound}: keep {incumbent} if such a difference does not matter."

    def _evidence(self, lead: Lead) -> str:
        comparison = lead.comparison
        evidence = f"{self.metric} {_difference(comparison.difference, comparison.low, comparison.high)}"
        return f"{evidence}, adjusted p {_p_value(lead.p_adjusted)}, n = {comparison.sample.size}"

    def _listed(self, runs: Sequence[int]) -> str:
        return ", ".join(at_most([self.names[i] for i in runs], 3))


def _examples_needed(decision: VerdictDecision) -> str:
    sample = decision.lead.comparison.sample
    if decision.n_needed is None:
        return ""
    (needed, units), (now, _) = (sample.in_units(n) for n in (decision.n_needed, sample.n))
    return f" About {_rounded(needed):,} {units} would decide it if the differences stay the same ({now:,} now)."


def _rounded(n: int) -> int:
    """Return `n` with two significant digits: a plan from a pilot is no more precise."""
    return round(n, 2 - len(str(n))) if n >= 100 else n


def _least(runs: Sequence[int], values: Sequence[float | None]) -> int | None:
    """Return the first run with the least value; None if a value is unknown or none is below that of the first run."""
    known = {i: value for i in runs if (value := values[i]) is not None}
    if len(known) < len(runs):
        return None
    least = min(runs, key=lambda i: known[i])
    return least if known[least] < known[runs[0]] else None


def _difference(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "difference unknown"
    places = 3 if max(abs(value), abs(low or 0.0), abs(high or 0.0)) < 1 else 2
    return difference(value, low, high, places)


def _amount(value: float) -> str:
    """Return how far a run can be ahead, at least 0."""
    return f"{max(0.0, value):.{3 if value < 1 else 2}f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return "unknown"
    text = p_value(value)
    return text if text.startswith("<") else f"= {text}"


def with_incumbent(runs: Sequence[StoredRun], folder: Path, incumbent: str) -> list[StoredRun]:
    """Return the runs together with the incumbent, read from `folder`, where runs are kept, if it is not among them.

    StoreError if there is no such run, ConfigError if it was scored on different examples than all of the others.
    """
    if not incumbent or any(is_named(run.result, incumbent) for run in runs):
        return list(runs)
    data = {_examples(run.result) for run in runs}
    matching = [run for run in find_runs(folder, [incumbent]) if _examples(run.result) in data]
    if not matching:
        raise ConfigError(
            f"incumbent: expected a run on the same examples as the others, {incumbent!r} was scored on others. "
            "Run it with their task, sample_seed and n_validation."
        )
    return [*runs, *matching]


def find_incumbent(results: Sequence[RunResult], incumbent: str) -> int:
    """Return the position of the run with a name, an id or the start of an id; ConfigError unless there is just one."""
    exact = [i for i, result in enumerate(results) if incumbent in (result.name, result.run_id)]
    matching = exact or [i for i, result in enumerate(results) if is_named(result, incumbent)]
    if not matching:
        raise ConfigError(f"incumbent: {unknown('run', incumbent, labels(results))}")
    if len(matching) > 1:
        ids = ", ".join(results[i].run_id for i in matching)
        raise ConfigError(f"incumbent: expected one run, {incumbent!r} matches {len(matching)}: {ids}. Give one id.")
    return matching[0]


def is_named(result: RunResult, incumbent: str) -> bool:
    """Whether a run has this name, this id or an id that starts like this."""
    return result.name == incumbent or result.run_id.startswith(incumbent)


def _examples(result: RunResult) -> tuple[str, str]:
    return result.task, result.dataset.fingerprint


@dataclass(frozen=True, slots=True)
class Retirement:
    """The shutdown of a run's model: its date, the days until then, and whether that is too soon to ship it."""

    date: datetime.date
    days: int
    soon: bool

    @property
    def text(self) -> str:
        """The shutdown in words."""
        if self.days < 0:
            return f"its service shut the model down on {self.date}"
        return f"its service shuts the model down on {self.date}, in {counted(self.days, 'day')}"


def retirement(result: RunResult, today: datetime.date | None = None) -> Retirement | None:
    """Return the shutdown of a run's model, None if no date is known."""
    date = _date(result.shutdown_date)
    if date is None:
        return None
    days = (date - (today or datetime.datetime.now(datetime.UTC).date())).days
    report = result.config.get("report", {})
    return Retirement(date, days, days <= int(report.get("retire_days", DEFAULT_DAYS)))


def check_retirement(verdict: Verdict, results: Sequence[RunResult], today: datetime.date | None = None) -> Verdict:
    """Return the verdict without `ship`, and `keep` with a warning, if the model will soon be shut down."""
    if verdict.run is None or verdict.decision not in (SHIP, KEEP):
        return verdict
    shutdown, name = retirement(results[verdict.run], today), labels(results)[verdict.run]
    if shutdown is None or not shutdown.soon:
        return verdict
    if verdict.decision == KEEP:
        return replace(verdict, text=f"{verdict.text} But plan a replacement: {shutdown.text}.")
    text = f"Do not ship {name}: {shutdown.text}. Based on the scores alone: {verdict.text}"
    return replace(verdict, decision=NOT_ENOUGH, text=text)


def _date(text: str | None) -> datetime.date | None:
    """Return the date of an ISO date or time; None for any other text."""
    try:
        return datetime.datetime.fromisoformat(text).date() if text else None
    except ValueError:
        return None
