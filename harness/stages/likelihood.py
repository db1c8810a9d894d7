"""Likelihoods of given completions, such as the references: measured where a metric reads them, and stored.

A likelihood's key is the digest of the model's identity, the prompt and the completion. Like the model's own
completions they are stored as they arrive, so that a killed run resumes where it stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Generator, Sequence

from harness.errors import ConfigError
from harness.progress import track
from harness.protocols import LikelihoodMetric, LikelihoodModel, Metric, Model
from harness.stages.generate import shown_key
from harness.store.digest import digest
from harness.store.stages import Store
from harness.types import Completion, Example, Likelihood, Prompt, StageRecord, TrainingPair


def likelihood_model(model: Model, metrics: Sequence[Metric]) -> LikelihoodModel | None:
    """Return the model where a metric reads likelihoods, else None; ConfigError when the model gives none."""
    names = [metric.name for metric in metrics if isinstance(metric, LikelihoodMetric)]
    if not names:
        return None
    if not isinstance(model, LikelihoodModel):
        raise ConfigError(
            f"metrics.names: {', '.join(names)} cannot be scored, because the {model.identity.backend!r} backend "
            "gives no log-probabilities. Leave them out, or use a model that does, such as model=local."
        )
    return model


def pairs(
    metrics: Sequence[Metric], examples: Sequence[Example], prompts: Sequence[Prompt]
) -> list[dict[str, TrainingPair]]:
    """Return the pairs whose likelihood the metrics read: for each aligned example, by the completion's text."""
    readers = [metric for metric in metrics if isinstance(metric, LikelihoodMetric)]
    return [
        {text: TrainingPair(prompt, text) for reader in readers for text in reader.texts_to_score(example)}
        for example, prompt in zip(examples, prompts, strict=True)
    ]


def unmeasured(model: Model, pairs_of_examples: Sequence[dict[str, TrainingPair]], store: Store) -> int:
    """Return how many of the pairs have no stored likelihood under this model."""
    stored = store.likelihoods({"model": model.identity}).read()
    return len({key for row in pairs_of_examples for pair in row.values() if (key := _key(pair)) not in stored})


def measure(
    model: LikelihoodModel,
    pairs_of_examples: Sequence[dict[str, TrainingPair]],
    completions: Sequence[Completion],
    store: Store,
) -> tuple[tuple[Completion, ...], StageRecord]:
    """Return the aligned completions with the likelihoods of their examples' pairs, and the stage's record."""
    start = time.perf_counter()
    inputs = {"model": model.identity}
    keys = [{text: _key(pair) for text, pair in row.items()} for row in pairs_of_examples]
    by_key = {_key(pair): pair for row in pairs_of_examples for pair in row.values()}

    def measured(missing: list[str]) -> Generator[tuple[str, Likelihood]]:
        with track("likelihood", total=len(missing), unit="completions") as bar:
            for position, likelihood in model.likelihoods([by_key[key] for key in missing]):
                yield missing[position], likelihood
                bar.advance()

    likelihoods, computed = store.likelihoods(inputs).fill(list(by_key), measured)
    record = StageRecord(
        name="likelihood",
        key=digest(inputs),
        inputs={"model": digest(model.identity)},
        seconds=time.perf_counter() - start,
        n_computed=len(computed),
        n_cached=len(by_key) - len(computed),
    )
    return tuple(
        dataclasses.replace(completion, likelihoods={text: likelihoods[key] for text, key in row.items()})
        for completion, row in zip(completions, keys, strict=True)
    ), record


def _key(pair: TrainingPair) -> str:
    return digest([shown_key(pair.prompt), pair.completion])
