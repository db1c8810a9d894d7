"""What each swept setting bought: the effect of base model, training size, learning rate on the primary metric.

The effect of a level is the mean score of the runs that have it minus that of the runs that have the first level,
over combinations of the other settings that both have, so that nothing else differs. The interval is the paired
bootstrap's over examples: it is about these fine-tunes, not about other training seeds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from harness.comparisons import Aligned
from harness.protocols import Metric
from harness.records import StoredRun
from harness.stats.bootstrap import cluster_sums
from harness.stats.confidence import percentile
from harness.types import FloatArray

_MODEL = tuple(f"model.{key}" for key in ("name", "path", "revision", "adapter", "layers"))
"""What makes a base model another one; it is one factor, under its name."""
_IGNORED = ("name", "report.", "tracking.", "store", "dry_run", "baselines", *_MODEL)
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


def _comparable(runs: Sequence[StoredRun]) -> list[int]:
    """Return the positions of the fine-tuned runs, or of all where fewer than two are: a baseline has no factors."""
    tuned = [i for i, run in enumerate(runs) if run.result.finetune]
    return tuned if len(tuned) > 1 else list(range(len(runs)))


def varied(runs: Sequence[StoredRun]) -> dict[str, list[str]]:
    """Return each setting that differs between the runs, with its levels in order of appearance."""
    settings = [_flat(run.result.config) for run in runs]
    keys = dict.fromkeys(key for each in settings for key in each)
    found = {key: list(dict.fromkeys(each.get(key, "–") for each in settings)) for key in keys}
    return {key: _sorted(levels) for key, levels in found.items() if len(levels) > 1}


def effects(aligned: Aligned, metric: Metric) -> list[Effect]:
    """Return the effect of every level of every varied setting where runs differ in it alone."""
    kept = _comparable(aligned.runs)
    runs, stats = [aligned.runs[i] for i in kept], aligned.stats(metric.name)
    factors = varied(runs)
    settings = [{key: _flat(run.result.config).get(key, "–") for key in factors} for run in runs]
    units = cluster_sums(np.stack([stats[i] for i in kept], axis=1), aligned.clusters)
    totals = metric.aggregate(units.sum(axis=0))
    draws = metric.aggregate(aligned.resampler.sums(units)) if len(units) > 1 else None
    found = []
    for factor, (first, *others) in factors.items():
        for level in others:
            pairs = _pairs(settings, factor, first, level)
            if pairs:
                found.append(_effect((factor, level, first), pairs, totals, draws, aligned.config.confidence))
    return found


def _effect(
    named: tuple[str, str, str],
    pairs: Sequence[tuple[int, int]],
    totals: FloatArray,
    draws: FloatArray | None,
    confidence: float,
) -> Effect:
    factor, level, first = named
    with_it, without = [i for i, _ in pairs], [j for _, j in pairs]
    difference = float(totals[with_it].mean() - totals[without].mean())
    if draws is None:
        return Effect(factor, level, first, difference, None, None, len(pairs))
    resampled = draws[:, with_it].mean(axis=1) - draws[:, without].mean(axis=1)
    low, high = percentile(resampled).interval(confidence)
    return Effect(factor, level, first, difference, low, high, len(pairs))


def _pairs(settings: Sequence[Mapping[str, str]], factor: str, first: str, level: str) -> list[tuple[int, int]]:
    """Return the positions (with `level`, with `first`) of runs whose other settings are equal."""
    at = {tuple(sorted(each.items())): i for i, each in enumerate(settings)}
    found = []
    for i, each in enumerate(settings):
        if each[factor] == level:
            twin = at.get(tuple(sorted({**each, factor: first}.items())))
            if twin is not None:
                found.append((i, twin))
    return found


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
