"""Likelihoods of given completions: asked of the model only where a metric reads them, and once a completion.

A likelihood's key is the digest of the model reference, the prompt and the completion. Like a model's own completions
they are kept as they come, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence

from harness.errors import ConfigError
from harness.progress import track
from harness.protocols import LikelihoodMetric, LikelihoodModel, Metric, Model
from harness.stages.generate import prompt_key
from harness.store.digest import digest
from harness.store.stages import Store
from harness.types import Completion, Example, Likelihood, Prompt, StageRecord, TrainingPair


def teller(model: Model, metrics: Sequence[Metric]) -> LikelihoodModel | None:
    """Return the model when a metric reads its likelihoods, else None; ConfigError when it tells none."""
    names = [metric.name for metric in metrics if isinstance(metric, LikelihoodMetric)]
    if not names:
        return None
    if not isinstance(model, LikelihoodModel):
        raise ConfigError(
            f"metrics.names: {', '.join(names)} cannot be scored, because the {model.identity.backend!r} backend "
            "gives no log-probabilities. Leave them out, or take a model that does, such as model=local."
        )
    return model


def pairs(
    metrics: Sequence[Metric], examples: Sequence[Example], prompts: Sequence[Prompt]
) -> list[dict[str, TrainingPair]]:
    """Return what the metrics want to know the likelihood of: for each example, pairs by their completion's text."""
    readers = [metric for metric in metrics if isinstance(metric, LikelihoodMetric)]
    return [
        {text: TrainingPair(prompt, text) for reader in readers for text in reader.wanted(example)}
        for example, prompt in zip(examples, prompts, strict=True)
    ]


def measure(
    model: LikelihoodModel, wanted: Sequence[dict[str, TrainingPair]], completions: Sequence[Completion], store: Store
) -> tuple[tuple[Completion, ...], StageRecord]:
    """Return the aligned completions with the likelihoods that are wanted of them, and what the stage took."""
    start = time.perf_counter()
    inputs = {"model": model.identity}
    log = store.likelihoods(inputs)
    keys = [{text: _key(pair) for text, pair in row.items()} for row in wanted]
    asked = {_key(pair): pair for row in wanted for pair in row.values()}
    known = log.read()
    fresh: dict[str, Likelihood] = {}
    if asked.keys() - known.keys():
        with store.lock(log.path.parent):  # another run may be measuring the same: wait, then look again
            known = log.read()
            missing = [key for key in asked if key not in known]
            with track("likelihood", total=len(missing), unit="completions") as bar:
                for position, likelihood in model.likelihoods([asked[key] for key in missing]):
                    key = missing[position]
                    log.append(key, likelihood)
                    fresh[key] = likelihood
                    bar.advance()
    known |= fresh
    rows = tuple(
        dataclasses.replace(completion, likelihoods={text: known[key] for text, key in row.items()})
        for completion, row in zip(completions, keys, strict=True)
    )
    record = StageRecord(
        name="likelihood",
        key=digest(inputs),
        inputs={"model": digest(model.identity)},
        seconds=time.perf_counter() - start,
        n_computed=len(fresh),
        n_cached=len(asked) - len(fresh),
    )
    return rows, record


def _key(pair: TrainingPair) -> str:
    return digest([prompt_key(pair.prompt), pair.completion])
