"""The vocabulary: every value that travels between modules is one of these frozen dataclasses.

They follow the flow: a `Corpus` of `Example`s becomes `Prompt`s, a model turns each into a `Completion`, a metric turns
those into a `MetricResult`, and a `RunResult` records the whole run. They are loaded from and saved as JSON by
`harness.store.runs`; where a field has an alias, that is its name in schema version 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import AliasChoices, Field

FloatArray = NDArray[np.float64]
"""Sufficient statistics of a metric, shape (n examples, k)."""


class FinishReason(StrEnum):
    """Why a completion ended."""

    STOP = "stop"
    """The end-of-text token, a stop sequence, or the task's line or sentence end."""
    LENGTH = "length"
    """The token limit: the text is truncated."""
    ERROR = "error"
    """The model failed: there is no text."""
    UNKNOWN = "unknown"
    """Not recorded, as in completions that were generated elsewhere."""


class StopAt(StrEnum):
    """Where a task ends a completion, besides stop sequences and the end-of-text token.

    Members are lower-case because OmegaConf reads enums by name.
    """

    none = "none"
    line = "line"
    sentence = "sentence"


@dataclass(frozen=True, slots=True)
class Example:
    """One prompt with its reference completion, an id, and the slices that it is reported under.

    `messages` are the turns of a conversation that is more than one user message, whose text is `prompt`.
    `origin` says where the example was read, as `file:line`; it does not identify the example.
    `sample_of` is the id of the example whose prompt is sampled several times; its samples are one cluster.
    """

    id: str
    prompt: str
    reference: str
    slices: Mapping[str, str] = field(default_factory=dict)
    messages: tuple[Message, ...] = ()
    origin: str = field(default="", compare=False)
    sample_of: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """Something a user should know about the data: a message, the number of rows, and where some of them are."""

    code: str
    message: str
    count: int
    where: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Corpus:
    """A dataset, split into disjoint training and validation pools in a fixed order."""

    name: str
    source: str
    licence: str
    train: tuple[Example, ...]
    validation: tuple[Example, ...]
    notices: tuple[Notice, ...] = ()


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a chat prompt."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Prompt:
    """The rendered prompt of one example: chat `messages`, or plain `text` when there are none.

    `source` is the example's own prompt, before any template; models that look completions up use it as the key.
    `rendered` is the one text that a model with a tokenizer gets, chat template included; empty for other models.
    `sample` counts the samples of one prompt from 0.
    """

    example_id: str
    text: str = ""
    messages: tuple[Message, ...] = ()
    source: str = ""
    rendered: str = ""
    sample: int = 0


@dataclass(frozen=True, slots=True)
class EncodedText:
    """A text as a model's tokenizer reads it: its number of tokens, and the text that they decode to."""

    text: str
    tokens: int
    decoded: str


@dataclass(frozen=True, slots=True)
class TrainingPair:
    """A rendered prompt and its target completion, for training and for likelihoods."""

    prompt: Prompt
    completion: str


@dataclass(frozen=True, slots=True)
class SamplingParams:
    """Every option that decides which text a model generates for a given prompt."""

    max_tokens: int = 64
    temperature: float = 0.0
    top_p: float = 1.0
    stop: tuple[str, ...] = ()
    stop_at: StopAt = StopAt.none
    seed: int = 0
    answer_after: str | None = None
    """What ends the reasoning before an answer; None separates <think>…</think>, "" separates nothing."""


@dataclass(frozen=True, slots=True)
class ModelIdentity:
    """Everything about a model that decides its text: models with equal identities give equal completions."""

    backend: str
    base: str
    revision: str = ""
    weights: str = ""
    adapter: str = ""
    tokenizer: str = ""
    chat_template: str = ""
    dtype: str = ""

    @property
    def not_digested(self) -> tuple[str, ...]:
        """The fields that are labels: where weights on this machine lie does not change what they generate."""
        return ("base", "revision") if self.backend == "local" and self.weights else ()


@dataclass(frozen=True, slots=True)
class Likelihood:
    """The likelihood of a given completion under a model, each token predicted from the true ones before it.

    `nll` is the negative log-probability of the whole completion in nats, with the end-of-text token; `tokens` counts
    its tokens, including that one, and `greedy` those that argmax predicts.
    """

    nll: Annotated[float, Field(validation_alias=AliasChoices("nll", "nats"))]
    tokens: int
    greedy: int


@dataclass(frozen=True, slots=True)
class Completion:
    """What a model returned for one example: `text`, or an `error` and no text.

    `seconds` is its latency, from request to answer. `wall_seconds` is the time between the previous answer and this
    one, so that the sum over completions is the time that all of them took, however they overlapped.
    `likelihoods` are those of given completions, such as the reference, by their text; only those that a metric reads.
    `served` is the model, with its fingerprint, that a service reports; `cached_tokens` are those of the prompt that
    it bills at the cached price.
    `raw` is the text as it came, None where `text` is all of it; `reasoning` is what stood before the answer.
    `partial` says that a stop rule ended the generation, so that the model might have gone on after `raw`.
    `ended` is why `raw` ended, where a rule that truncated the text changed the finish reason.
    `notes` say what a reader of its score should know, such as a setting that the service does not take.
    """

    example_id: str
    text: str | None
    finish_reason: FinishReason
    error: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    wall_seconds: float | None = None
    likelihoods: Mapping[str, Likelihood] = field(default_factory=dict)
    served: str | None = None
    cached_tokens: int | None = None
    raw: str | None = None
    reasoning: str | None = None
    partial: bool = False
    ended: FinishReason | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Score:
    """A value with its interval over `n` scored examples.

    `errors` rows had no completion and are left out of `value`; `worst` and `best` are the value with all of
    them wrong and all of them right. `value` is None when nothing could be scored.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    errors: int
    worst: float | None = None
    best: float | None = None


@dataclass(frozen=True, slots=True)
class MetricResult:
    """One metric of one run: overall, and per slice key and slice value."""

    name: str
    signature: str
    higher_is_better: bool | None
    interval: str
    score: Score
    slices: Mapping[str, Mapping[str, Score]] = field(default_factory=dict)
    unreadable: int = 0
    """References that fall short of the metric's best when they are scored against themselves."""
    configured_as: str = ""
    """What `metrics.names` calls it: its own name, or a "module:Class"; empty in schema version 1."""

    @property
    def config_name(self) -> str:
        """What `metrics.names` has to list for this metric."""
        return self.configured_as or self.name


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens, time and cost of a run's completions; `seconds` is wall time, `cost_usd` is None without a known price.

    `price` is the price that was used, with its date and source.
    """

    n: int
    errors: int
    truncated: int
    prompt_tokens: int | None
    completion_tokens: int | None
    seconds: float
    cost_usd: float | None = None
    price: str = ""


@dataclass(frozen=True, slots=True)
class StageRecord:
    """One stage of a run: its content key, the inputs of the key, its time, and how many products were cached."""

    name: str
    key: str
    inputs: Mapping[str, str]
    seconds: float
    n_computed: Annotated[int, Field(validation_alias=AliasChoices("n_computed", "done"))]
    n_cached: Annotated[int, Field(validation_alias=AliasChoices("n_cached", "reused"))]


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation during a fine-tune; losses are nats per completion token, None where a service reports none."""

    step: int
    examples: int
    learning_rate: float | None
    train_loss: float | None = None
    validation_loss: float | None = None
    validation_loss_se: float | None = None
    token_accuracy: float | None = None
    sequence_accuracy: float | None = None
    validation_change_se: float | None = None
    """Standard error of the validation loss's change since the point before, over the same examples."""
    validation_rise_se: float | None = None
    """Standard error of its change since the lowest point before."""


@dataclass(frozen=True, slots=True)
class FineTuneRecord:
    """A finished fine-tune: its method, size, time, cost and learning curve."""

    method: str
    n_train: int
    seconds: float
    parameters_trained: int | None
    tokens: int
    best_step: int
    curve: tuple[CurvePoint, ...] = ()
    cost_usd: float | None = None


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """The dataset that a run was scored on; `fingerprint` is the digest of the scored examples."""

    name: str
    source: str
    licence: str
    fingerprint: str
    n_validation: int
    n_train_pool: int
    notices: tuple[Notice, ...] = ()
    n_samples: int = 1
    """Samples of each of the `n_validation` prompts."""


@dataclass(frozen=True, slots=True)
class RunResult:
    """The content of `results.json`: one run, its inputs by digest, and its scores."""

    schema_version: int
    run_id: str
    name: str
    created: str
    command: str
    task: str
    primary_metric: str
    config: Mapping[str, Any]
    model: ModelIdentity
    parameters: int | None
    dataset: DatasetRecord
    usage: Usage
    metrics: tuple[MetricResult, ...]
    stages: tuple[StageRecord, ...]
    versions: Mapping[str, str]
    finetune: FineTuneRecord | None = None
    warnings: tuple[str, ...] = ()
    served: tuple[str, ...] = ()
    """The models, with their fingerprints, that a service reported in its answers."""
    shutdown_date: str | None = None
    """When the service retires the model, as it reported at the time of the run."""

    def metric(self, name: str) -> MetricResult | None:
        """Return the result of the metric called `name`, or None when the run did not score it."""
        return next((m for m in self.metrics if m.name == name), None)


@dataclass(frozen=True, slots=True)
class Prediction:
    """One line of `predictions.jsonl`: an example, its completion, and the completion's score on each metric.

    `prompt` is what the model got, rendered; empty in records of earlier versions.
    """

    example: Example
    completion: Completion
    scores: Mapping[str, float | None]
    prompt: str = ""
