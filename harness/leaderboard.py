"""Stored runs side by side: sorted by the task's primary metric, with intervals, tie groups and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import ConfigError, unknown
from harness.records import StoredRun, result_json
from harness.types import RunResult


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the scores say, in plain words, and in one: `ship`, `keep` or `not enough data`."""

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

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that a run was scored with, in the order of the config."""
        return tuple(dict.fromkeys(m.name for e in self.entries for m in e.run.result.metrics))

    @property
    def n(self) -> int:
        """How many validation examples the runs were scored on."""
        return self.entries[0].run.result.usage.n

    @property
    def confidence(self) -> float:
        """The confidence of the intervals."""
        return float(self.entries[0].run.result.config["stats"]["confidence"])


def by_task(runs: Sequence[StoredRun], primary: str | None = None) -> list[Leaderboard]:
    """Return a leaderboard for each task and set of examples; `primary` replaces the tasks' own metric."""
    groups: dict[tuple[str, str], list[StoredRun]] = {}
    for run in runs:
        groups.setdefault((run.result.task, run.result.dataset.fingerprint), []).append(run)
    return [_leaderboard(task, group, primary) for (task, _), group in groups.items()]


def as_json(board: Leaderboard) -> dict[str, Any]:
    """Return the leaderboard as plain JSON values, with each run's whole record."""
    return {
        "task": board.task,
        "primary_metric": board.primary,
        "verdict": {"decision": board.verdict.decision, "text": board.verdict.text},
        "runs": [{"tie_group": e.group, **result_json(e.run.result)} for e in board.entries],
    }


def _leaderboard(task: str, runs: Sequence[StoredRun], primary: str | None) -> Leaderboard:
    name = primary or runs[0].result.primary_metric
    names = {m.name for run in runs for m in run.result.metrics}
    if name not in names:
        raise ConfigError(unknown("metric", name, names))
    ordered = sorted(runs, key=lambda run: _sort_key(run.result, name))
    entries = tuple(Entry(run) for run in ordered)
    return Leaderboard(task, name, entries, _verdict(ordered, name))


def _sort_key(result: RunResult, name: str) -> tuple[bool, float]:
    metric = result.metric(name)
    if metric is None or metric.score.value is None:
        return True, 0.0
    return False, metric.score.value * (1 if metric.higher_is_better is False else -1)


def _verdict(ordered: Sequence[StoredRun], primary: str) -> Verdict:
    return Verdict("not enough data", "One run: nothing to compare it with yet.")
