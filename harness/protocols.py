"""The protocols that plug-ins implement: datasets, models, fine-tuners and metrics.

Any class that matches one can be named in the config as "your.module:Class"; `harness.registry` says how it is called.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from harness.types import (
    Completion,
    Corpus,
    EncodedText,
    Example,
    FineTuneRecord,
    FloatArray,
    Likelihood,
    ModelIdentity,
    Prompt,
    SamplingParams,
    TrainingPair,
)

if TYPE_CHECKING:
    from harness.config import ModelConfig


@runtime_checkable
class Dataset(Protocol):
    """A source of examples."""

    def load(self) -> Corpus:
        """Return the validated corpus; DataError reports file, line and fix when it is damaged."""
        ...


@runtime_checkable
class Model(Protocol):
    """Something that completes prompts."""

    @property
    def identity(self) -> ModelIdentity:
        """Identify the model without loading it into memory."""
        ...

    @property
    def parameters(self) -> int | None:
        """Count the weights, or None where that is unknown."""
        ...

    def generate(self, prompts: Sequence[Prompt], decoding: SamplingParams) -> Iterator[Completion]:
        """Yield one completion per prompt, in any order, as they finish; a failure is a completion with an error."""
        ...


@runtime_checkable
class TokenizingModel(Model, Protocol):
    """A model whose tokenizer is at hand, so that what it reads is known before any work."""

    def rendered(self, prompts: Sequence[Prompt]) -> list[EncodedText]:
        """Return each prompt as the one text that the model gets, chat template included, and its tokens."""
        ...

    def encoded(self, completions: Sequence[str]) -> list[EncodedText]:
        """Return each completion as the tokens that the model has to generate, the end-of-text token included."""
        ...


@runtime_checkable
class LookupModel(Model, Protocol):
    """A model that looks completions up by example rather than reading the prompt, such as a file of them."""

    by_example: bool


@runtime_checkable
class LikelihoodModel(Model, Protocol):
    """A model that also returns log-probabilities of given completions, which some metrics need."""

    def likelihoods(self, pairs: Sequence[TrainingPair]) -> Iterator[tuple[int, Likelihood]]:
        """Yield each pair's position and likelihood, in any order, as they are computed.

        ModelError names a pair that has none: likelihoods over different examples are not comparable.
        """
        ...


@runtime_checkable
class HostedModel(Model, Protocol):
    """A model that a service runs, and may retire."""

    def shutdown_date(self) -> str | None:
        """Return the date on which the service retires the model, None where it gives none."""
        ...


@runtime_checkable
class FineTuner(Protocol):
    """Something that trains a base model; it is constructed with its settings and its base model."""

    @property
    def base(self) -> ModelIdentity:
        """Identify the model that training starts from."""
        ...

    def fit(self, train: Sequence[TrainingPair], validation: Sequence[TrainingPair], folder: Path) -> FineTuneRecord:
        """Train, leave the adapter or the weights in `folder`, and return the record of the training.

        A killed fit is resumed from the checkpoint in `folder`.
        """
        ...

    def model_config(self, folder: Path) -> ModelConfig:
        """Return the config of the model that a finished fit left in `folder`."""
        ...


@runtime_checkable
class HostedFineTuner(FineTuner, Protocol):
    """A fine-tuner that has a service train, for money."""

    def cost_estimate(self, train: Sequence[TrainingPair]) -> str:
        """Return in words how much would be trained on and what it would cost; nothing is sent."""
        ...


@runtime_checkable
class Metric(Protocol):
    """Per-example sufficient statistics, and the rule that aggregates their sums."""

    @property
    def name(self) -> str:
        """The name of the metric on the leaderboard."""
        ...

    @property
    def signature(self) -> str:
        """Name, options and library version, as in sacrebleu: equal signatures mean comparable scores."""
        ...

    @property
    def higher_is_better(self) -> bool | None:
        """The direction, or None for a diagnostic that has none."""
        ...

    @property
    def is_proportion(self) -> bool:
        """Whether each example scores 0 or 1, so that the interval is a binomial one."""
        ...

    @property
    def parallel(self) -> bool:
        """Whether several processes may share the rows: true where it is pure Python on prompt, reference and text."""
        ...

    def stats(self, completions: Sequence[Completion], examples: Sequence[Example]) -> FloatArray:
        """Return float64 statistics, shape (n, k), of aligned completions and examples; every text is a string."""
        ...

    def aggregate(self, sums: FloatArray) -> FloatArray:
        """Turn summed statistics, shape (..., k), into scores, shape (...); nan where nothing was counted."""
        ...

    def per_example(self, stats: FloatArray) -> FloatArray:
        """Turn statistics, shape (n, k), into each example's own score, shape (n,)."""
        ...


@runtime_checkable
class LikelihoodMetric(Metric, Protocol):
    """A metric that reads the likelihood of given completions, and so needs a model that returns log-probabilities."""

    def texts_to_score(self, example: Example) -> Sequence[str]:
        """Return the texts of an example whose likelihood the metric reads."""
        ...


@runtime_checkable
class RangedMetric(Metric, Protocol):
    """A metric whose score lies between known bounds, whether or not it is a mean over examples."""

    @property
    def score_range(self) -> tuple[float, float]:
        """The lowest and the highest score that there is."""
        ...


@runtime_checkable
class BoundedMetric(Metric, Protocol):
    """A metric that is the mean over all examples of values that lie between known bounds."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest value that an example can have."""
        ...


@runtime_checkable
class EncodingMetric(Metric, Protocol):
    """A metric that compares texts by an encoder, whose tokenizer does not know every script and length."""

    def beyond_encoder(self, texts: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return which texts are mostly unknown to the tokenizer, and which are longer than the encoder reads."""
        ...


@runtime_checkable
class ReadingMetric(Metric, Protocol):
    """A metric that reads an answer out of a completion, and may not find one."""

    def unread(self, stats: FloatArray) -> list[int]:
        """Return the rows of completions in which it found no answer, and which count as wrong."""
        ...
