"""The leaderboard: stored runs sorted by the task's primary metric, with intervals, tie groups and a verdict.

Runs that are not significantly different share a letter, because a rank alone would claim more than is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from harness.analysis.comparisons import Aligned, MetricComparison, run_labels
from harness.analysis.factors import Effect, Grid, Interaction, effects, interactions
from harness.analysis.learning_curves import Diagnosis, diagnose
from harness.analysis.metric_agreement import MetricAgreement, agreement
from harness.analysis.metric_validity import CURVE, Validity, comparable_metrics, curve_validity, validity
from harness.analysis.slices import SliceTable, compare_slices, slice_tables
from harness.analysis.verdict import Aim, Verdict, check_retirement, find_incumbent, is_named, reach_verdict
from harness.analysis.verdict_rule import NOT_ENOUGH
from harness.config import StatsConfig
from harness.config.decides import with_own_seeds
from harness.errors import ConfigError, StoreError, unknown
from harness.protocols import Metric
from harness.stats.comparison import direction
from harness.store.runs import StoredRun, result_json
from harness.types import RunResult
from harness.wording import sized

MetricOf = Callable[[StoredRun, str], Metric]
"""Builds the metric of a stored run by name, with the options that the run had."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A run on the leaderboard; runs that share a letter of `group` are statistically tied."""

    run: StoredRun
    group: str = ""
    label: str = ""
    """What the run is called beside the others; empty for its own name."""

    @property
    def name(self) -> str:
        """What the run is called on this leaderboard: its name, or its id where another run has the same name."""
        return self.label or self.run.result.name


@dataclass(frozen=True, slots=True)
class Leaderboard:
    """Runs on the same examples, best first."""

    task: str
    primary: str
    entries: tuple[Entry, ...]
    verdict: Verdict
    comparison: MetricComparison | None = None
    """All pairs on the primary metric, in the order of the entries; None if there is nothing to compare."""
    effects: tuple[Effect, ...] = ()
    """The effect on the primary metric of each setting that differs between the runs."""
    interactions: tuple[Interaction, ...] = ()
    """The interactions of every two of these settings, where there are runs to estimate them."""
    validity: tuple[Validity, ...] = ()
    """How well each metric separates these runs."""
    agreement: MetricAgreement | None = None
    """Which metrics agree; None with fewer than two metrics or two examples."""
    slices: tuple[SliceTable, ...] = ()
    """The primary metric of every run in every slice, and which differences are significant."""
    incumbent: int | None = None
    """The position of the run in use, if one was named."""
    data: str = ""
    """What tells its examples from those of another leaderboard of the same task; empty if there is no other."""

    @property
    def label(self) -> str:
        """The task, and its data where another leaderboard has the same task."""
        return f"{self.task} ({self.data})" if self.data else self.task

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a run was scored with: the primary one, then the others in the order of the config."""
        names = dict.fromkeys(metric.name for entry in self.entries for metric in entry.run.result.metrics)
        return (self.primary, *(name for name in names if name != self.primary))

    @property
    def higher_is_better(self) -> bool | None:
        """The direction of the primary metric; None if it has none."""
        results = (entry.run.result.metric(self.primary) for entry in self.entries)
        return next((result.higher_is_better for result in results if result), None)

    @property
    def diagnoses(self) -> tuple[Diagnosis, ...]:
        """The diagnosis of every fine-tuned run's learning curve, in the order of the entries."""
        results = [entry.run.result for entry in self.entries]
        return tuple(Diagnosis(r.run_id, r.name, diagnose(r.finetune)) for r in results if r.finetune)

    @property
    def n(self) -> int:
        """The number of validation examples that the runs were scored on, all samples of a prompt counted."""
        return self.entries[0].run.result.usage.n

    def size(self, noun: str = "example") -> str:
        """Return the number of examples in words, or of prompts and of the samples of each."""
        data = self.entries[0].run.result.dataset
        return sized(data.n_validation, data.n_samples, noun)

    @property
    def confidence(self) -> float:
        """The confidence of the intervals."""
        return stats_config(self.entries[0].run.result).confidence


def by_task(
    runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None = None, aim: Aim | None = None
) -> list[Leaderboard]:
    """Return a leaderboard for each task and set of examples; `primary` replaces the tasks' own metric.

    ConfigError if the incumbent of `aim` is not on any of the leaderboards, or matches several runs of one.
    """
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault((run.result.task, run.result.dataset.fingerprint), []).append(run)
    aim = aim or Aim()
    if aim.incumbent and not any(_has(group, aim.incumbent) for group in groups.values()):
        find_incumbent([run.result for run in runs], aim.incumbent)  # raises an error that lists the runs
    boards = [
        _leaderboard(group, metric_of, primary, aim if _has(group, aim.incumbent) else replace(aim, incumbent=""))
        for group in groups.values()
    ]
    return [replace(board, data=_told_apart(board, boards)) for board in boards]


def ordered(runs: Sequence[StoredRun], metric: str) -> list[StoredRun]:
    """Return the runs best first; ConfigError if none has the metric."""
    names = {m.name for run in runs for m in run.result.metrics}
    if metric not in names:
        raise ConfigError(unknown("metric", metric, names))
    return sorted(runs, key=lambda run: _sort_key(run.result, metric))


def stats_config(result: RunResult) -> StatsConfig:
    """Return the statistics settings of a run; one of an earlier version has them too."""
    return StatsConfig(**with_own_seeds(result.config)["stats"])


def as_json(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as plain JSON values, with the full record of each run; other parts use positions."""
    return {
        "task": board.task,
        "data": board.data,
        "primary_metric": board.primary,
        "verdict": asdict(board.verdict),
        "incumbent": board.incumbent,
        "runs": [{"tie_group": e.group, **result_json(e.run.result)} for e in board.entries],
        "effects": [asdict(item) for item in board.effects],
        "interactions": [asdict(item) for item in board.interactions],
        "validity": [asdict(item) for item in board.validity],
        "agreement": asdict(board.agreement) if board.agreement else None,
        "slices": [asdict(item) for item in board.slices],
        "diagnoses": [asdict(item) for item in board.diagnoses],
    }


def _leaderboard(runs: Sequence[StoredRun], metric_of: MetricOf, primary: str | None, aim: Aim) -> Leaderboard:
    task, name = runs[0].result.task, primary or runs[0].result.primary_metric
    best_first = ordered(runs, name)
    results = [run.result for run in best_first]
    board = Leaderboard(
        task,
        name,
        _entries(best_first, [""] * len(best_first)),
        Verdict(NOT_ENOUGH, "Nothing to compare with yet: run another model, prompt or setting."),
        slices=slice_tables(results, name),
        incumbent=find_incumbent(results, aim.incumbent) if aim.incumbent else None,
    )
    if len(runs) == 1:
        return board
    try:
        aligned = Aligned(best_first, stats_config(results[0]))
        aligned.stats(name)
    except StoreError as error:
        return replace(board, verdict=Verdict(NOT_ENOUGH, f"Not compared: {error}"))
    return _analysed(board, aligned, lambda metric: metric_of(best_first[0], metric), aim)


def _analysed(board: Leaderboard, aligned: Aligned, metric: Callable[[str], Metric], aim: Aim) -> Leaderboard:
    """Return the leaderboard with everything that is computed from paired comparisons of its runs."""
    results = [run.result for run in aligned.runs]
    metrics = comparable_metrics(aligned, [metric(name) for name in board.metrics])
    comparisons = aligned.compare_metrics(metrics)
    main, grid = comparisons[0], Grid(aligned, metrics[0])
    validities = validity(aligned, metrics, comparisons)
    return replace(
        board,
        entries=_entries(aligned.runs, main.groups),
        verdict=check_retirement(reach_verdict(main, results, aim), results),
        comparison=main,
        effects=tuple(effects(grid)),
        interactions=tuple(interactions(grid)),
        validity=(*validities, *(() if CURVE in board.metrics else curve_validity(results))),
        agreement=agreement(aligned, metrics, [of_metric.separated for of_metric in validities], board.primary),
        slices=compare_slices(board.slices, aligned, metrics[0], board.incumbent or 0),
    )


def _entries(runs: Sequence[StoredRun], groups: Sequence[str]) -> tuple[Entry, ...]:
    named = zip(runs, groups, run_labels(runs), strict=True)
    return tuple(Entry(run, group, label if label != run.result.name else "") for run, group, label in named)


def _told_apart(board: Leaderboard, boards: Sequence[Leaderboard]) -> str:
    """Return what tells a leaderboard's data from those of the others of its task; empty if there are no others."""
    alike = [_data_in_words(other) for other in boards if other.task == board.task]
    if len(alike) == 1:
        return ""
    details = _data_in_words(board)
    return next((words for i, words in enumerate(details) if sum(other[i] == words for other in alike) == 1), "")


def _data_in_words(board: Leaderboard) -> tuple[str, str, str]:
    """Return the source of the examples, also with their number, and also with their fingerprint."""
    data = board.entries[0].run.result.dataset
    with_size = f"{data.source}, {sized(data.n_validation, data.n_samples)}"
    return data.source, with_size, f"{with_size}, fingerprint {data.fingerprint}"


def _has(runs: Sequence[StoredRun], incumbent: str) -> bool:
    return bool(incumbent) and any(is_named(run.result, incumbent) for run in runs)


def _sort_key(result: RunResult, name: str) -> tuple[bool, float]:
    metric = result.metric(name)
    if metric is None or metric.score.value is None:
        return True, 0.0
    return False, -direction(metric.higher_is_better) * metric.score.value
