"""How long a run's work takes, by what runs of its kind in the same store took.

Runs are of one kind if they had the same backend, model size or hosted model, number format and device, the same way of
asking, and about the same token limit; fine-tunes if the method, the epochs and about the number of examples are the
same too. Where no run of the kind is stored, the time is unknown: a replay tells nothing about weights, nor one size
of model about another.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from harness.config import HarnessConfig
from harness.credentials import redacted
from harness.errors import StoreError
from harness.store.runs import load_run
from harness.store.stages import Store
from harness.types import RunResult

MODEL = ("backend", "id", "base_url", "endpoint", "dtype", "device", "seconds", "options")
"""The settings of a model that decide how fast it answers, besides its number of weights."""
WEIGHTLESS = ("echo", "replay")
"""Backends whose name says all about their speed."""
FACTOR = 4
"""Numbers of training examples, and token limits, are about the same within this factor."""


@dataclass(frozen=True, slots=True)
class Durations:
    """The stored runs of the kind of one config, from which its times are estimated."""

    config: Mapping[str, Any]
    alike: tuple[RunResult, ...]
    """The runs whose completions are of the same kind."""
    trained: tuple[RunResult, ...]
    """The runs whose fine-tune is of the same kind, but for its number of examples."""

    @classmethod
    def of(cls, config: HarnessConfig, parameters: int | None, store: Store) -> Durations:
        """Return the durations that a store knows; runs that cannot be read are left out."""
        values: Mapping[str, Any] = redacted(asdict(config))
        results = list(_results(store))
        kind, tuned = _model_kind(values, parameters), _tuning_kind(values)
        same_model = [result for result in results if _model_kind(result.config, result.parameters) == kind]
        return cls(
            values,
            tuple(result for result in same_model if _answers_alike(result.config, values)),
            tuple(result for result in same_model if result.finetune and _tuning_kind(result.config) == tuned),
        )

    def training(self, n: int) -> float | None:
        """Return the seconds of training on n examples; None if no fine-tune of the kind is stored."""
        if not n:
            return 0.0
        records = [result.finetune for result in self.trained if result.finetune]
        near = [r for r in records if n / FACTOR <= r.n_train <= FACTOR * n]
        return _median_of(n, [record.seconds / record.n_train for record in near])

    def generating(self, n_completions: int, n_likelihoods: int) -> float | None:
        """Return the seconds of these completions and likelihoods; None if one of the kinds is unknown."""
        made = [r.usage.seconds / (r.usage.n - r.usage.errors) for r in self.alike if r.usage.n > r.usage.errors]
        measured = [
            stage.seconds / stage.n_computed
            for result in self.alike
            for stage in result.stages
            if stage.name == "likelihood" and stage.n_computed
        ]
        parts = [_median_of(n_completions, [rate for rate in made if rate > 0]), _median_of(n_likelihoods, measured)]
        known = [part for part in parts if part is not None]
        return sum(known) if len(known) == len(parts) else None


def _results(store: Store) -> Iterable[RunResult]:
    for path in sorted(store.runs.glob("*/results.json")):
        try:
            yield load_run(path.parent).result
        except StoreError:
            continue


def _median_of(amount: int, rates: Sequence[float]) -> float | None:
    if not amount:
        return 0.0
    return amount * median(rates) if rates else None


def _model_kind(config: Mapping[str, Any], parameters: int | None) -> list[Any]:
    model = config["model"]
    own = None if parameters is not None or model["backend"] in WEIGHTLESS or "id" in model else model.get("name")
    return [parameters, own, *(model.get(key) or None for key in MODEL)]


def _answers_alike(config: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether completions are asked for in the same way, of models tuned alike where a service runs them."""
    first, second = config["generation"], other["generation"]
    limits = sorted((first["max_tokens"], second["max_tokens"]))
    hosted = "id" in config["model"]
    tuned = [bool(values["finetune"]["method"] != "none") if hosted else False for values in (config, other)]
    same_way = first.get("batch", False) == second.get("batch", False)
    return same_way and tuned[0] == tuned[1] and limits[1] <= FACTOR * limits[0]


def _tuning_kind(config: Mapping[str, Any]) -> list[Any]:
    settings = config["finetune"]
    return [settings.get(key) for key in ("method", "n_epochs", "batch_size", "dtype", "n_evaluations")]
