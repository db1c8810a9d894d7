"""What each swept setting bought: the effect of base model, training size, learning rate on the primary metric.

The effect of a level is the mean score of the runs that have it minus that of the runs that have the first level,
over combinations of the other settings that both have, so that nothing else differs. The interval is the paired
bootstrap's over examples: it is about these fine-tunes, not about other training seeds. Intervals are of one effect
each; p-values are adjusted over all effects by Benjamini and Hochberg's method.

Whether one setting buys more where another is changed too: interactions, where the grid has all four corners.

The interaction of two levels is a difference of differences: the effect of the first setting with the second one
changed, minus its effect with the second one at its first level, averaged over combinations of the other settings that
all four runs exist for. Intervals and p-values are those of `harness.analysis.factors`, adjusted over all interactions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np

from harness.analysis.comparisons import Aligned
from harness.protocols import Metric
from harness.stats.bootstrap import cluster_sums, degrees_of_freedom, leave_one_out
from harness.stats.distributions import percentile
from harness.stats.intervals import FLAT
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.resampling import permutation_p_value
from harness.store.runs import StoredRun

_MODEL = tuple(f"model.{key}" for key in ("name", "path", "revision", "adapter", "layers"))
"""What makes a base model another one; it is one factor, under its name."""
_IGNORED = (
    "name",
    "report.",
    "tracking.",
    "store",
    "dry_run",
    "baselines",
    "pricing",
    "generation.max_cost",
    "generation.batch",
    *_MODEL,
)
"""Settings that differ between runs without being what was varied."""


@dataclass(frozen=True, slots=True)
class Effect:
    """One level of a factor against its first level; `pairs` runs differ in this factor alone."""

    factor: str
    level: str
    against: str
    difference: float
    low: float | None
    high: float | None
    pairs: int
    p_adjusted: float | None = None
    """Benjamini and Hochberg's over all effects; None where there are too few examples to test."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of runs' scores, and what the bootstrap over examples says of it."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Grid:
    """Runs as points of a grid of settings, with resampled scores that any contrast of them is made from."""

    def __init__(self, aligned: Aligned, metric: Metric) -> None:
        kept = _comparable(aligned.runs)
        runs, stats = [aligned.runs[i] for i in kept], aligned.stats(metric.name)
        self.factors = varied(runs)
        self.settings = [{key: settings_of(run).get(key, "–") for key in self.factors} for run in runs]
        self._at = {_key(each): i for i, each in enumerate(self.settings)}
        self._confidence = aligned.config.confidence
        units = cluster_sums(np.stack([stats[i] for i in kept], axis=1), aligned.clusters)
        self._totals = metric.aggregate(units.sum(axis=0))
        self._jackknife_scores = metric.aggregate(leave_one_out(units))
        self._draws = metric.aggregate(aligned.resampler.sums(units)) if len(units) > 1 else None

    def twin(self, run: int, changes: Mapping[str, str]) -> int | None:
        """Return the run that differs in these settings alone, or None when it was not made."""
        return self._at.get(_key({**self.settings[run], **changes}))

    def contrast(self, plus: Sequence[int], minus: Sequence[int], times: int) -> Contrast | None:
        """Add the scores of some runs, subtract those of others, divide by `times`; None where one is not known.

        It has no bounds where it is the same whichever example is left out.
        """
        weights = np.zeros(len(self.settings))
        np.add.at(weights, list(plus), 1 / times)
        np.subtract.at(weights, list(minus), 1 / times)
        used = weights != 0
        value = float(weights[used] @ self._totals[used])
        if not np.isfinite(value):
            return None
        if self._draws is None:
            return Contrast(value)
        draws, jackknife_scores = (each[:, used] @ weights[used] for each in (self._draws, self._jackknife_scores))
        known = np.isfinite(draws).all() and np.isfinite(jackknife_scores).all()
        if not known or np.ptp(jackknife_scores) <= FLAT * np.abs(self._totals[used]).max():
            return Contrast(value)
        low, high = percentile(draws, degrees_of_freedom(jackknife_scores)).interval(self._confidence)
        return Contrast(value, low, high, permutation_p_value(draws - value, value))


def _comparable(runs: Sequence[StoredRun]) -> list[int]:
    """Return the positions of the fine-tuned runs, or of all where fewer than two are: a baseline has no factors."""
    tuned = [i for i, run in enumerate(runs) if run.result.finetune]
    return tuned if len(tuned) > 1 else list(range(len(runs)))


def varied(runs: Sequence[StoredRun]) -> dict[str, list[str]]:
    """Return each setting that differs between the runs, with its levels in order of appearance.

    A group that is chosen by name is one factor: what follows from `prompt.name` is not another.
    """
    settings = [settings_of(run) for run in runs]
    keys = dict.fromkeys(key for each in settings for key in each)
    columns = {key: [each.get(key, "–") for each in settings] for key in keys}
    columns = {key: column for key, column in columns.items() if len(set(column)) > 1}
    return {
        key: _sorted(list(dict.fromkeys(column)))
        for key, column in columns.items()
        if key in _naming(key) or not any(_follows(column, columns.get(name)) for name in _naming(key))
    }


def _naming(key: str) -> tuple[str, str]:
    group = key.partition(".")[0]
    return f"{group}.name", f"{group}.method"


def _follows(column: Sequence[str], named: Sequence[str] | None) -> bool:
    """Say whether runs with the same name always have the same value."""
    return named is not None and len(set(zip(named, column, strict=True))) == len(set(named))


def settings_of(run: StoredRun) -> dict[str, str]:
    """Return every setting of a run that may be varied, by its dotted name."""
    return _flat(run.result.config)


def effects(grid: Grid) -> list[Effect]:
    """Return the effect of every level of every varied setting where runs differ in it alone."""
    found, p = [], []
    for factor, (first, *others) in grid.factors.items():
        for level in others:
            pairs = _pairs(grid, factor, first, level)
            contrast = grid.contrast([i for i, _ in pairs], [j for _, j in pairs], len(pairs)) if pairs else None
            if contrast:
                bounds = (contrast.value, contrast.low, contrast.high)
                found.append(Effect(factor, level, first, *bounds, len(pairs)))
                p.append(contrast.p)
    return [replace(each, p_adjusted=q) for each, q in zip(found, adjusted(p), strict=True)]


def adjusted(p: Sequence[float | None]) -> list[float | None]:
    """Return Benjamini and Hochberg's adjusted p-values; None stays None and counts for nothing."""
    found = benjamini_hochberg([np.nan if each is None else each for each in p])
    return [None if np.isnan(each) else float(each) for each in found]


def _pairs(grid: Grid, factor: str, first: str, level: str) -> list[tuple[int, int]]:
    """Return the positions (with `level`, with `first`) of runs whose other settings are equal."""
    twins = ((i, grid.twin(i, {factor: first})) for i, each in enumerate(grid.settings) if each[factor] == level)
    return [(i, twin) for i, twin in twins if twin is not None]


def _key(settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(settings.items()))


def _flat(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    if not prefix:
        found["model"] = str(config["model"]["name"])
    for key, value in config.items():
        name = f"{prefix}{key}"
        if name.startswith(_IGNORED):
            continue
        if isinstance(value, Mapping):
            found |= _flat(value, f"{name}.")
        else:
            found[name] = str(value)
    return found


def _sorted(levels: list[str]) -> list[str]:
    try:
        return sorted(levels, key=float)
    except ValueError:
        return levels


@dataclass(frozen=True, slots=True)
class Interaction:
    """How much more a change of the first setting brings when the second is changed too."""

    factors: tuple[str, str]
    levels: tuple[str, str]
    against: tuple[str, str]
    """The first level of each setting."""
    difference: float
    low: float | None
    high: float | None
    squares: int
    """How often four runs differ in these two settings alone."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg's over all interactions; None where there are too few examples to test."""


def interactions(grid: Grid) -> list[Interaction]:
    """Return the interaction of every two levels of two settings of the grid, where there are runs for it."""
    found, p = [], []
    for one, other, levels, against in _choices(grid):
        squares = _squares(grid, dict(zip((one, other), levels, strict=True)), (one, other), against)
        if not squares:
            continue
        both, only_one, only_other, neither = zip(*squares, strict=True)
        contrast = grid.contrast((*both, *neither), (*only_one, *only_other), len(squares))
        if contrast:
            bounds = (contrast.value, contrast.low, contrast.high)
            found.append(Interaction((one, other), levels, against, *bounds, len(squares)))
            p.append(contrast.p)
    return [replace(each, p_adjusted=q) for each, q in zip(found, adjusted(p), strict=True)]


def _choices(grid: Grid) -> Iterator[tuple[str, str, tuple[str, str], tuple[str, str]]]:
    """Yield two settings, a level of each, and the levels that these are compared with."""
    for (one, (first, *levels)), (other, (first_other, *other_levels)) in combinations(grid.factors.items(), 2):
        for level in levels:
            for other_level in other_levels:
                yield one, other, (level, other_level), (first, first_other)


def _squares(
    grid: Grid, changed: dict[str, str], factors: tuple[str, str], against: tuple[str, str]
) -> list[tuple[int, int, int, int]]:
    """Return the positions of runs with both settings changed, only the one, only the other, and neither."""
    first, other = factors
    found = []
    for both, settings in enumerate(grid.settings):
        if any(settings[key] != level for key, level in changed.items()):
            continue
        corners = (
            grid.twin(both, {other: against[1]}),
            grid.twin(both, {first: against[0]}),
            grid.twin(both, {first: against[0], other: against[1]}),
        )
        only_one, only_other, neither = corners
        if only_one is not None and only_other is not None and neither is not None:
            found.append((both, only_one, only_other, neither))
    return found
