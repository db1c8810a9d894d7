"""Stored runs side by side: sorted by the task's primary metric, with intervals, tie groups and a verdict.

Runs that the data do not tell apart share a letter; a rank alone would claim more than is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.comparisons import Aligned, MetricComparison
from harness.config import StatsConfig
from harness.errors import ConfigError, StoreError, unknown
from harness.factors import Effect, effects
from harness.protocols import Metric
from harness.records import StoredRun, result_json
from harness.stats.power import Plan, pairs_needed
from harness.types import RunResult
from harness.validity import Validity, validity

MetricOf = Callable[[StoredRun, str], Metric]
"""Builds the metric of a stored run by name, with the options that the run had."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores say: `ship`, `keep` or `not enough data`, and why in plain words."""

    decision: str
    text: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on the leaderboard; runs that share a letter of `group` are not told apart."""

    run: StoredRun
    group: str = ""


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Runs on the same examples, best first."""

    task: str
    primary: str
    entries: tuple[Entry, ...]
    verdict: Verdict
    comparison: MetricComparison | None = None
    """All pairs on the primary metric, in the order of the entries; None where there is nothing to compare."""
    effects: tuple[Effect, ...] = ()
    """What each setting that differs between the runs did to the primary metric."""
    validity: tuple[Validity, ...] = ()
    """What each metric can show about these runs."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a run was scored with, in the order of the config."""
        return _names([entry.run for entry in self.entries])

    @property
    def n(self) -> int:
        """How many validation examples the runs were scored on."""
        return self.entries[0].run.result.usage.n

    @property
    def confidence(self) -> float:
        """The confidence of the intervals."""
        return stats_config(self.entries[0].run.result).confidence


class Sink(Protocol):
    """Somewhere that a leaderboard is shown."""

    def write(self, leaderboard: Leaderboard) -> Sequence[str]:
        """Write it and return the paths or addresses that a reader opens."""
        ...


def by_task(runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None = None) -> list[Leaderboard]:
    """Return a leaderboard for each task and set of examples; `primary` replaces the tasks' own metric."""
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault((run.result.task, run.result.dataset.fingerprint), []).append(run)
    return [_leaderboard(group, metric_of, primary) for group in groups.values()]


def ordered(runs: Sequence[StoredRun], metric: str) -> list[StoredRun]:
    """Return the runs best first; ConfigError when none has the metric."""
    names = {m.name for run in runs for m in run.result.metrics}
    if metric not in names:
        raise ConfigError(unknown("metric", metric, names))
    return sorted(runs, key=lambda run: _sort_key(run.result, metric))


def stats_config(result: RunResult) -> StatsConfig:
    """Return how the run's uncertainty was measured."""
    return StatsConfig(**result.config["stats"])


def as_json(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as plain JSON values, with each run's whole record."""
    return {
        "task": board.task,
        "primary_metric": board.primary,
        "verdict": {"decision": board.verdict.decision, "text": board.verdict.text},
        "runs": [{"tie_group": e.group, **result_json(e.run.result)} for e in board.entries],
    }


def _leaderboard(runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None) -> Leaderboard:
    task, name = runs[0].result.task, primary or runs[0].result.primary_metric
    best_first = ordered(runs, name)
    unordered = tuple(Entry(run) for run in best_first)
    if len(runs) == 1:
        verdict = Verdict("not enough data", "Nothing to compare with yet: run another model, prompt or setting.")
        return Leaderboard(task, name, unordered, verdict)
    try:
        aligned = Aligned(best_first, stats_config(best_first[0].result))
        comparison = aligned.compare(metric_of(best_first[0], name))
    except StoreError as error:
        return Leaderboard(task, name, unordered, Verdict("not enough data", f"Not compared: {error}"))
    entries = tuple(Entry(run, group) for run, group in zip(best_first, comparison.groups, strict=True))

    def build(metric: str) -> Metric:
        return metric_of(best_first[0], metric)

    return Leaderboard(
        task,
        name,
        entries,
        _verdict(entries, comparison),
        comparison,
        tuple(effects(aligned, build(name))),
        tuple(validity(aligned, _names(runs), build)),
    )


def _names(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.name for run in runs for m in run.result.metrics))


def _sort_key(result: RunResult, name: str) -> tuple[bool, float]:
    metric = result.metric(name)
    if metric is None or metric.score.value is None:
        return True, 0.0
    return False, metric.score.value * (1 if metric.higher_is_better is False else -1)


def _verdict(entries: Sequence[Entry], comparison: MetricComparison) -> Verdict:
    """Ship the best run when it is told apart from all others; else say what it would take."""
    names = [entry.run.result.name for entry in entries]
    nearest = comparison.between(0, 1)
    found = nearest.comparison
    evidence = f"{comparison.metric} {_difference(found.difference, found.low, found.high)}"
    evidence += f", adjusted p = {_p(nearest.p_adjusted)}, n = {found.sample.n}"
    ties = [
        name for name, entry in zip(names[1:], entries[1:], strict=True) if set(entry.group) & set(entries[0].group)
    ]
    if not ties:
        return Verdict("ship", f"Ship {names[0]}: it is better than {names[1]}, the next best ({evidence}).")
    n_needed = None
    if found.difference and found.deviation:
        n_needed = pairs_needed(found.deviation, found.difference, Plan(found.question.confidence))
    enough = f" About {n_needed:,} examples would show a difference of this size." if n_needed else ""
    listed = ", ".join(ties[:3]) + (f" and {len(ties) - 3} more" if len(ties) > 3 else "")
    return Verdict(
        "not enough data", f"Not enough data to tell {names[0]} from {listed}; against {names[1]}: {evidence}.{enough}"
    )


def _difference(value: float | None, low: float | None, high: float | None) -> str:
    if value is None:
        return "has no difference that can be known"
    bounds = f" [{low:+.3g}, {high:+.3g}]" if low is not None and high is not None else ""
    return f"{value:+.3g}{bounds}"


def _p(value: float | None) -> str:
    if value is None:
        return "unknown"
    return f"{value:.3f}" if value >= 0.001 else "< 0.001"
