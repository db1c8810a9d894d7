"""The verdict in plain words, with the numbers behind it; `harness.analysis.verdict_rule` holds the rule.

The run in use: found by name or id, and brought in from the store where it is not among the runs of the report.

Models that their service will end: a winner that is soon gone is no winner.

The date is what the service said when the run was made; a later word of it is not known here.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.analysis.comparisons import MetricComparison
from harness.analysis.verdict_rule import KEEP, NOT_ENOUGH, SHIP, Decision, Lead, decide, standing, with_failures_wrong
from harness.config import ReportConfig
from harness.errors import ConfigError, unknown
from harness.stats.comparison import Comparison
from harness.store.runs import StoredRun, find_runs
from harness.types import RunResult


def with_incumbent(runs: Sequence[StoredRun], folder: Path, incumbent: str) -> list[StoredRun]:
    """Return the runs with the incumbent beside them; `folder` is where runs are kept.

    StoreError where there is no such run, ConfigError where it was scored on other examples than all of these.
    """
    if not incumbent or any(is_meant(run.result, incumbent) for run in runs):
        return list(runs)
    here = {_examples(run.result) for run in runs}
    found = [run for run in find_runs(folder, [incumbent]) if _examples(run.result) in here]
    if not found:
        raise ConfigError(
            f"incumbent: expected a run on the same examples as the others, {incumbent!r} was scored on others. "
            "Run it with their task, seed and n_validation."
        )
    return [*runs, *found]


def position(results: Sequence[RunResult], incumbent: str) -> int:
    """Return which of the runs is meant by a name, an id or the start of an id; ConfigError unless it is one."""
    found = [i for i, result in enumerate(results) if incumbent in (result.name, result.run_id)]
    found = found or [i for i, result in enumerate(results) if is_meant(result, incumbent)]
    if not found:
        raise ConfigError(f"incumbent: {unknown('run', incumbent, [result.name for result in results])}")
    if len(found) > 1:
        ids = ", ".join(results[i].run_id for i in found)
        raise ConfigError(f"incumbent: expected one run, {incumbent!r} is {len(found)} of them: {ids}. Give one id.")
    return found[0]


def is_meant(result: RunResult, incumbent: str) -> bool:
    """Say whether a run goes by this name, id or start of an id."""
    return result.name == incumbent or result.run_id.startswith(incumbent)


def _examples(result: RunResult) -> tuple[str, str]:
    return result.task, result.dataset.fingerprint


@dataclass(frozen=True, slots=True)
class Aim:
    """What the reader decides: whether a run in use is to be replaced, and from which difference on it is worth it."""

    incumbent: str = ""
    """The name, the id or the start of the id of the run in use; empty where there is none."""
    useful_difference: float = 0.0
    """In units of the primary metric; smaller ones do not matter."""

    @classmethod
    def of(cls, config: ReportConfig) -> Aim:
        """Return what the config asks."""
        return cls(config.incumbent, config.useful_difference)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores say: `ship`, `keep` or `not enough data`, and why in plain words; runs are positions."""

    decision: str
    text: str
    run: int | None = None
    """The run to ship or to keep; for too little data the one that may be the better."""
    against: int | None = None
    """The run that it was compared with."""
    comparison: Comparison | None = None
    """The score of `run` minus that of `against`."""
    p_adjusted: float | None = None
    n_needed: int | None = None
    """Examples that would decide it, if the differences stay what they are."""
    ties: tuple[int, ...] = ()
    """The runs, best first, that `run` is not told apart from."""
    smallest: int | None = None
    """The run with the fewest parameters among `run` and `ties`, where that is another than `run`."""
    cheapest: int | None = None
    """The run whose completions cost least among them, where every cost is known and it is another than `run`."""
    with_failures_wrong: str = ""
    """The decision with failed completions counted as wrong, in words, where it is another one."""


def judge(comparison: MetricComparison, results: Sequence[RunResult], aim: Aim) -> Verdict:
    """Return the verdict on compared runs, best first; ConfigError where the incumbent is not one of them."""
    incumbent = position(results, aim.incumbent) if aim.incumbent else None
    metrics = [result.metric(comparison.metric) for result in results]
    direction = next((metric.higher_is_better for metric in metrics if metric), None)
    found = standing(comparison, direction)
    decision = decide(found, incumbent, aim.useful_difference)
    lead = decision.lead.turned() if decision.kind == KEEP else decision.lead
    words = _Words(comparison.metric, [result.name for result in results], incumbent, aim.useful_difference)
    tied = [decision.run, *decision.ties]
    smallest = _least(tied, [result.parameters for result in results])
    cheapest = _least(tied, [result.usage.cost_usd for result in results])
    wrong = with_failures_wrong(found, metrics)
    otherwise = words.otherwise(decision, decide(wrong, incumbent, aim.useful_difference)) if wrong else ""
    parts = [words.sentence(decision), words.thrift(smallest, cheapest, results), otherwise]
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
    """What a decision is in words."""

    metric: str
    names: Sequence[str]
    incumbent: int | None
    useful: float

    def sentence(self, decision: Decision) -> str:
        """Say what to do, and the evidence."""
        lead, tied = decision.lead, bool(decision.ties)
        run, against, evidence = self.names[lead.run], self.names[lead.against], self._evidence(lead)
        if decision.kind == SHIP and self.incumbent is not None:
            others = f" It is not told apart from {self._listed(decision.ties)}." if tied else ""
            return f"Ship {run}: it is better than the incumbent {against} ({evidence}).{others}"
        if decision.kind == SHIP and not tied:
            return f"Ship {run}: it is better than {against}, the next best ({evidence})."
        if decision.kind == SHIP:
            matters = f"{_amount(decision.most)}, where {self.useful:g} would matter"
            next_best = f"the next best is {against} ({evidence})"
            return f"Ship {run}: no run can be ahead of it by more than {matters}; {next_best}."
        if decision.kind == KEEP:
            matters = (
                f", and none can be ahead by more than {_amount(decision.most)}, where {self.useful:g} would matter"
            )
            nearest = f"the nearest is {run} ({evidence})"
            return f"Keep {against}: no run is shown to be better{matters if self.useful else ''}; {nearest}."
        return f"{self._undecided(decision, evidence)}{_enough(decision)}{self._unless(decision)}"

    def thrift(self, smallest: int | None, cheapest: int | None, results: Sequence[RunResult]) -> str:
        """Name the smallest and the cheapest of the runs that are not told apart, where they are other ones."""
        parts = []
        if smallest is not None:
            weights = (results[smallest].parameters or 0) / 1e6
            parts.append(f"the smallest of these is {self.names[smallest]} ({weights:,.0f}M parameters)")
        if cheapest is not None:
            cost = results[cheapest].usage.cost_usd or 0.0
            parts.append(f"the cheapest is {self.names[cheapest]} (${cost:.2g} for {results[cheapest].usage.n:,})")
        text = ", ".join(parts)
        return f"{text[0].upper()}{text[1:]}." if text else ""

    def otherwise(self, decision: Decision, wrong: Decision) -> str:
        """Say what the decision would be with failed completions counted as wrong, where that is another one."""
        same_kind = decision.kind == wrong.kind
        if same_kind and (decision.kind == NOT_ENOUGH or decision.run == wrong.run):
            return ""
        what = wrong.kind if wrong.kind == NOT_ENOUGH else f"{wrong.kind} {self.names[wrong.run]}"
        return f"With failed completions counted as wrong it would be: {what}."

    def _undecided(self, decision: Decision, evidence: str) -> str:
        lead = decision.lead
        run, against = self.names[lead.run], self.names[lead.against]
        if self.incumbent is None:
            listed = self._listed(decision.ties)
            return f"Not enough data to tell {run} from {listed}; against {against}: {evidence}."
        return f"Not enough data to replace {against}: no run is shown to be better; the nearest is {run} ({evidence})."

    def _unless(self, decision: Decision) -> str:
        """Say which useful difference would decide it, where none was declared."""
        if self.incumbent is None or self.useful or decision.most == float("inf"):
            return ""
        return f" None can be ahead by more than {_amount(decision.most)}: keep it if that much does not matter."

    def _evidence(self, lead: Lead) -> str:
        found = lead.comparison
        evidence = f"{self.metric} {_difference(found.difference, found.low, found.high)}"
        return f"{evidence}, adjusted p {_p(lead.p_adjusted)}, n = {found.sample.n:,}"

    def _listed(self, runs: Sequence[int]) -> str:
        names = [self.names[i] for i in runs]
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _enough(decision: Decision) -> str:
    n, needed = decision.lead.comparison.sample.n, decision.n_needed
    if needed is None:
        return ""
    return f" About {_rounded(needed):,} examples would decide it if the differences stay what they are ({n:,} now)."


def _rounded(n: int) -> int:
    """Return `n` with two digits that count: a plan from a pilot knows no more."""
    return round(n, 2 - len(str(n))) if n >= 100 else n


def _least(runs: Sequence[int], values: Sequence[float | None]) -> int | None:
    """Return the run with the least value, of equal ones the best, where all are known and it is not the first."""
    known = {i: value for i in runs if (value := values[i]) is not None}
    if len(known) < len(runs):
        return None
    least = min(runs, key=lambda i: known[i])
    return least if known[least] < known[runs[0]] else None


def _difference(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "has no difference that can be known"
    places = 3 if max(abs(value), abs(low or 0.0), abs(high or 0.0)) < 1 else 2
    bounds = f" [{low:+.{places}f}, {high:+.{places}f}]" if low is not None and high is not None else ""
    return f"{value:+.{places}f}{bounds}"


def _amount(value: float) -> str:
    """Return how far a run can be ahead, no less than nothing."""
    return f"{max(0.0, value):.{3 if value < 1 else 2}f}"


def _p(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"= {value:.3f}" if value >= 0.001 else "< 0.001"


DEFAULT_DAYS = 90
"""For runs made before `report.retire_days` was a setting."""


@dataclass(frozen=True, slots=True)
class Retirement:
    """The end of a run's model: its date, the days until then, and whether that is too soon to ship it."""

    date: datetime.date
    days: int
    soon: bool

    @property
    def text(self) -> str:
        """Say when the model ends."""
        if self.days < 0:
            return f"its service ended the model on {self.date}"
        return f"its service ends the model on {self.date}, in {self.days} days"


def retirement(result: RunResult, today: datetime.date | None = None) -> Retirement | None:
    """Return when a run's model ends, None where no date is known."""
    date = _date(result.shutdown_date)
    if date is None:
        return None
    days = (date - (today or datetime.datetime.now(datetime.UTC).date())).days
    report = result.config.get("report", {})
    return Retirement(date, days, days <= int(report.get("retire_days", DEFAULT_DAYS)))


def outlived(verdict: Verdict, results: Sequence[RunResult], today: datetime.date | None = None) -> Verdict:
    """Return the verdict, without `ship` where the model will soon be gone; a kept one that will be is named."""
    if verdict.run is None or verdict.decision not in (SHIP, KEEP):
        return verdict
    found, name = retirement(results[verdict.run], today), results[verdict.run].name
    if found is None or not found.soon:
        return verdict
    if verdict.decision == KEEP:
        return replace(verdict, text=f"{verdict.text} But look for another one: {found.text}.")
    text = f"Do not ship {name}: {found.text}. By the scores alone: {verdict.text}"
    return replace(verdict, decision=NOT_ENOUGH, text=text)


def _date(text: str | None) -> datetime.date | None:
    """Read an ISO date or time; another form is an unknown date."""
    try:
        return datetime.datetime.fromisoformat(text).date() if text else None
    except ValueError:
        return None
