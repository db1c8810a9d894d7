"""Effects of the settings that differ between runs on the primary metric, and their interactions.

The effect of a level, such as a learning rate of 2, is the mean score of the runs with this level minus that of the
runs with the setting's first level, over the combinations of all other settings that exist for both, so that nothing
else differs.

The interaction of two levels is a difference of differences: the effect of the first setting where the second one is
changed, minus its effect where the second one has its first level. It is averaged over the combinations of the other
settings for which all four runs exist.

Intervals are those of the paired bootstrap over examples: they are about these fine-tunes, not about other training
seeds. They hold for one effect each; p-values are adjusted by Benjamini and Hochberg's method, over all effects and,
separately, over all interactions.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product

import numpy as np

from harness.analysis.comparisons import Aligned
from harness.config.decides import affecting, flat
from harness.protocols import Metric
from harness.stats.bootstrap import cluster_sums, degrees_of_freedom, leave_one_out
from harness.stats.distributions import percentile
from harness.stats.intervals import RELATIVE_TOLERANCE
from harness.stats.multiplicity import benjamini_hochberg
from harness.stats.resampling import permutation_p_value
from harness.store.runs import StoredRun
from harness.wording import UNKNOWN

_Two = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Effect:
    """The effect of one level of a factor, relative to its first level."""

    factor: str
    level: str
    against: str
    """The first level."""
    difference: float
    low: float | None
    high: float | None
    pairs: int
    """The number of pairs of runs that differ only in this factor."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg's over all effects; None if there are too few examples to test."""


@dataclass(frozen=True, slots=True)
class Interaction:
    """The interaction of two levels: the change of the first setting's effect if the second setting is changed too."""

    factors: tuple[str, str]
    levels: tuple[str, str]
    against: tuple[str, str]
    """The first level of each setting."""
    difference: float
    low: float | None
    high: float | None
    squares: int
    """The number of groups of four runs that differ only in these two settings."""
    p_adjusted: float | None = None
    """Benjamini and Hochberg's over all interactions; None if there are too few examples to test."""


@dataclass(frozen=True, slots=True)
class Contrast:
    """A weighted sum of runs' scores, with its bootstrap interval and p-value."""

    value: float
    low: float | None = None
    high: float | None = None
    p: float | None = None


class Grid:
    """Runs as points of a grid of settings, with the resampled scores that contrasts are computed from."""

    def __init__(self, aligned: Aligned, metric: Metric) -> None:
        positions = _tuned_or_all(aligned.runs)
        runs, stats = [aligned.runs[i] for i in positions], aligned.stats(metric.name)
        self.factors = varied(runs)
        self.settings = [{key: settings_of(run).get(key, UNKNOWN) for key in self.factors} for run in runs]
        self._positions = {_key(settings): i for i, settings in enumerate(self.settings)}
        self._confidence = aligned.config.confidence
        units = cluster_sums(np.stack([stats[i] for i in positions], axis=1), aligned.clusters)
        self._totals = metric.aggregate(units.sum(axis=0))
        self._jackknife_scores = metric.aggregate(leave_one_out(units))
        self._scores = metric.aggregate(aligned.resampler.sums(units)) if len(units) > 1 else None

    def counterpart(self, run: int, changes: Mapping[str, str]) -> int | None:
        """Return the run that differs only in these settings, or None if there is none."""
        return self._positions.get(_key({**self.settings[run], **changes}))

    def contrast(self, plus: Sequence[int], minus: Sequence[int], divisor: int) -> Contrast | None:
        """Add the scores of some runs, subtract those of others and divide; None if a score is undefined.

        There are no bounds if the contrast is the same whichever example is left out.
        """
        weights = np.zeros(len(self.settings))
        np.add.at(weights, list(plus), 1 / divisor)
        np.subtract.at(weights, list(minus), 1 / divisor)
        used = weights != 0
        value = float(weights[used] @ self._totals[used])
        if not np.isfinite(value):
            return None
        if self._scores is None:
            return Contrast(value)
        scores, jackknife_scores = (rows[:, used] @ weights[used] for rows in (self._scores, self._jackknife_scores))
        defined = np.isfinite(scores).all() and np.isfinite(jackknife_scores).all()
        if not defined or np.ptp(jackknife_scores) <= RELATIVE_TOLERANCE * np.abs(self._totals[used]).max():
            return Contrast(value)
        low, high = percentile(scores, degrees_of_freedom(jackknife_scores)).interval(self._confidence)
        return Contrast(value, low, high, permutation_p_value(scores - value, value))


def effects(grid: Grid) -> list[Effect]:
    """Return the effect of every level of every varied setting for which there are runs that differ only in it."""
    results, p_values = [], []
    for factor, (first, *others) in grid.factors.items():
        for level in others:
            pairs = _pairs(grid, factor, first, level)
            contrast = grid.contrast([i for i, _ in pairs], [j for _, j in pairs], len(pairs)) if pairs else None
            if contrast:
                bounds = (contrast.value, contrast.low, contrast.high)
                results.append(Effect(factor, level, first, *bounds, len(pairs)))
                p_values.append(contrast.p)
    adjusted = benjamini_hochberg(p_values)
    return [replace(effect, p_adjusted=p) for effect, p in zip(results, adjusted, strict=True)]


def interactions(grid: Grid) -> list[Interaction]:
    """Return the interaction of every two levels of two settings for which all four runs exist."""
    results, p_values = [], []
    for factors, levels, against in _level_pairs(grid):
        squares = _squares(grid, factors, levels, against)
        if not squares:
            continue
        both, only_first, only_second, neither = zip(*squares, strict=True)
        contrast = grid.contrast((*both, *neither), (*only_first, *only_second), len(squares))
        if contrast:
            bounds = (contrast.value, contrast.low, contrast.high)
            results.append(Interaction(factors, levels, against, *bounds, len(squares)))
            p_values.append(contrast.p)
    adjusted = benjamini_hochberg(p_values)
    return [replace(interaction, p_adjusted=p) for interaction, p in zip(results, adjusted, strict=True)]


def varied(runs: Sequence[StoredRun]) -> dict[str, list[str]]:
    """Return each setting that differs between the runs, with its levels in order.

    A group that is chosen by name is one factor: settings that are determined by `prompt.name` are not listed.
    """
    settings = [settings_of(run) for run in runs]
    keys = dict.fromkeys(key for run_settings in settings for key in run_settings)
    columns = {key: [run_settings.get(key, UNKNOWN) for run_settings in settings] for key in keys}
    columns = {key: column for key, column in columns.items() if len(set(column)) > 1}
    return {
        key: _sorted(list(dict.fromkeys(column)))
        for key, column in columns.items()
        if key in _naming(key) or not any(_follows(column, columns.get(name)) for name in _naming(key))
    }


def _naming(key: str) -> tuple[str, ...]:
    """Return the settings that name the group of a setting."""
    group = key.partition(".")[0]
    return ("model",) if group == "model" else (f"{group}.name", f"{group}.method")


def _follows(column: Sequence[str], named: Sequence[str] | None) -> bool:
    """Whether runs with the same name always have the same value."""
    return named is not None and len(set(zip(named, column, strict=True))) == len(set(named))


def settings_of(run: StoredRun) -> dict[str, str]:
    """Return every setting that affects a run's results, and the names of its groups' choices, by dotted name.

    The model's name has the key `model`.
    """
    settings = {key: str(value) for key, value in flat(affecting(run.result.config, labels=True)).items()}
    return {"model": settings.pop("model.name"), **settings}


def _tuned_or_all(runs: Sequence[StoredRun]) -> list[int]:
    """Return the positions of the fine-tuned runs, or of all runs if fewer than two are fine-tuned."""
    tuned = [i for i, run in enumerate(runs) if run.result.finetune]
    return tuned if len(tuned) > 1 else list(range(len(runs)))


def _pairs(grid: Grid, factor: str, first: str, level: str) -> list[tuple[int, int]]:
    """Return the positions (with `level`, with `first`) of runs whose other settings are equal."""
    pairs = (
        (i, grid.counterpart(i, {factor: first}))
        for i, settings in enumerate(grid.settings)
        if settings[factor] == level
    )
    return [(i, counterpart) for i, counterpart in pairs if counterpart is not None]


def _level_pairs(grid: Grid) -> Iterator[tuple[_Two, _Two, _Two]]:
    """Yield two factors, a level of each other than the first, and the first level of each."""
    for (one, one_levels), (other, other_levels) in combinations(grid.factors.items(), 2):
        for level, other_level in product(one_levels[1:], other_levels[1:]):
            yield (one, other), (level, other_level), (one_levels[0], other_levels[0])


def _squares(grid: Grid, factors: _Two, levels: _Two, against: _Two) -> list[tuple[int, int, int, int]]:
    """Return the positions of runs with both settings changed, only the first, only the second, and neither."""
    (first, second), (first_level, second_level) = factors, levels
    squares = []
    for both, settings in enumerate(grid.settings):
        if settings[first] != first_level or settings[second] != second_level:
            continue
        only_first = grid.counterpart(both, {second: against[1]})
        only_second = grid.counterpart(both, {first: against[0]})
        neither = grid.counterpart(both, {first: against[0], second: against[1]})
        if only_first is not None and only_second is not None and neither is not None:
            squares.append((both, only_first, only_second, neither))
    return squares


def _key(settings: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(settings.items()))


def _sorted(levels: list[str]) -> list[str]:
    try:
        return sorted(levels, key=float)
    except ValueError:
        return levels
