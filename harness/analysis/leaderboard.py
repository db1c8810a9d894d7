"""Stored runs side by side: sorted by the task's primary metric, with intervals, tie groups and a verdict.

Runs that the data do not tell apart share a letter; a rank alone would claim more than is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

from harness.analysis.comparisons import Aligned, MetricComparison
from harness.analysis.factors import Effect, Grid, Interaction, effects, interactions
from harness.analysis.learning_curves import Diagnosis, diagnose
from harness.analysis.metric_agreement import Agreement, agreement
from harness.analysis.metric_validity import CURVE, Validity, comparable, of_curves, validity
from harness.analysis.slices import SliceTable, compared, slice_tables
from harness.analysis.verdict import Aim, Verdict, is_meant, judge, outlived, position
from harness.config import StatsConfig
from harness.errors import ConfigError, StoreError, unknown
from harness.protocols import Metric
from harness.store.runs import StoredRun, result_json
from harness.types import RunResult

MetricOf = Callable[[StoredRun, str], Metric]
"""Builds the metric of a stored run by name, with the options that the run had."""


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
    interactions: tuple[Interaction, ...] = ()
    """Whether one setting bought more with another one changed, where there are runs that say so."""
    validity: tuple[Validity, ...] = ()
    """What each metric can show about these runs."""
    agreement: Agreement | None = None
    """Which metrics say the same; None where there are not two runs and two metrics to say it of."""
    slices: tuple[SliceTable, ...] = ()
    """The primary metric of every run in every slice, and which differences are more than chance."""
    incumbent: int | None = None
    """The position of the run in use, where one was named."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a run was scored with, in the order of the config."""
        return _names([entry.run for entry in self.entries])

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """What the learning curve of every fine-tuned run says, in the order of the entries."""
        results = [entry.run.result for entry in self.entries]
        return tuple(Diagnosis(r.run_id, r.name, diagnose(r.finetune)) for r in results if r.finetune)

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


def by_task(
    runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None = None, aim: Aim | None = None
) -> list[Leaderboard]:
    """Return a leaderboard for each task and set of examples; `primary` replaces the tasks' own metric.

    An incumbent of `aim` is one of the runs of at least one leaderboard: ConfigError where it is none, or several.
    """
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault((run.result.task, run.result.dataset.fingerprint), []).append(run)
    aim = aim or Aim()
    if aim.incumbent and not any(_has(group, aim.incumbent) for group in groups.values()):
        position([run.result for run in runs], aim.incumbent)  # raises
    return [
        _leaderboard(group, metric_of, primary, aim if _has(group, aim.incumbent) else replace(aim, incumbent=""))
        for group in groups.values()
    ]


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
    """Return the leaderboard as plain JSON values, with each run's whole record; other parts name runs by position."""
    return {
        "task": board.task,
        "primary_metric": board.primary,
        "verdict": asdict(board.verdict),
        "incumbent": board.incumbent,
        "runs": [{"tie_group": e.group, **result_json(e.run.result)} for e in board.entries],
        "effects": [asdict(each) for each in board.effects],
        "interactions": [asdict(each) for each in board.interactions],
        "validity": [asdict(each) for each in board.validity],
        "agreement": asdict(board.agreement) if board.agreement else None,
        "slices": [asdict(each) for each in board.slices],
        "diagnoses": [asdict(each) for each in board.diagnoses],
    }


def _leaderboard(runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None, aim: Aim) -> Leaderboard:
    task, name = runs[0].result.task, primary or runs[0].result.primary_metric
    best_first = ordered(runs, name)
    results = [run.result for run in best_first]
    board = Leaderboard(
        task,
        name,
        tuple(Entry(run) for run in best_first),
        Verdict("not enough data", "Nothing to compare with yet: run another model, prompt or setting."),
        slices=slice_tables(results, name),
        incumbent=position(results, aim.incumbent) if aim.incumbent else None,
    )
    if len(runs) == 1:
        return board
    try:
        aligned = Aligned(best_first, stats_config(results[0]))
        aligned.stats(name)
    except StoreError as error:
        return replace(board, verdict=Verdict("not enough data", f"Not compared: {error}"))
    return _analysed(board, aligned, lambda metric: metric_of(best_first[0], metric), aim)


def _analysed(board: Leaderboard, aligned: Aligned, metric: Callable[[str], Metric], aim: Aim) -> Leaderboard:
    """Return the leaderboard with all that paired comparisons say about its runs."""
    results = [run.result for run in aligned.runs]
    names = (board.primary, *(name for name in board.metrics if name != board.primary))
    metrics = comparable(aligned, [metric(name) for name in names])
    comparisons = aligned.compare_metrics(metrics)
    main, grid, shown = comparisons[0], Grid(aligned, metrics[0]), validity(aligned, metrics, comparisons)
    return replace(
        board,
        entries=tuple(Entry(run, group) for run, group in zip(aligned.runs, main.groups, strict=True)),
        verdict=outlived(judge(main, results, aim), results),
        comparison=main,
        effects=tuple(effects(grid)),
        interactions=tuple(interactions(grid)),
        validity=(*shown, *(() if CURVE in names else of_curves(results))),
        agreement=agreement(aligned, metrics, [each.separated for each in shown], board.primary),
        slices=compared(board.slices, aligned, metrics[0], board.incumbent or 0),
    )


def _has(runs: Sequence[StoredRun], incumbent: str) -> bool:
    return bool(incumbent) and any(is_meant(run.result, incumbent) for run in runs)


def _names(runs: Sequence[StoredRun]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(m.name for run in runs for m in run.result.metrics))


def _sort_key(result: RunResult, name: str) -> tuple[bool, float]:
    metric = result.metric(name)
    if metric is None or metric.score.value is None:
        return True, 0.0
    return False, metric.score.value * (1 if metric.higher_is_better is False else -1)
