"""The schema of one run, and of the groups that have a few settings each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.config.fields import check, check_seed, display, nothing, scores, text
from harness.config.finetune import FineTuneConfig
from harness.config.model import ModelConfig, ReplayModelConfig
from harness.config.task import JsonlTaskConfig, TaskConfig
from harness.errors import ConfigError


class PromptStyle(StrEnum):
    """How an example becomes a prompt."""

    chat = "chat"
    """The task's instruction as a user message, through the model's chat template."""
    plain = "plain"
    """The task's template as text, as the completions API takes it."""


class TrackingMode(StrEnum):
    """Where Weights & Biases writes."""

    offline = "offline"
    online = "online"
    disabled = "disabled"


@dataclass
class PromptConfig:
    """How examples become prompts."""

    name: str = display(MISSING, label=True)
    """Name of the prompt form, which becomes part of the run's name."""
    style: PromptStyle = text(PromptStyle.chat)
    """chat (through the model's chat template) or plain (text)."""
    system: str = text("")
    """A system message before a chat prompt."""
    shots: int = text(0)
    """Training examples that precede the question."""

    def __post_init__(self) -> None:
        check(self.shots >= 0, "prompt.shots", "0 or more", self.shots)


@dataclass
class GenerationConfig:
    """How completions are decoded."""

    max_tokens: int = text(64)
    """Token limit of a completion; one that reaches it counts as truncated."""
    temperature: float = text(0.0)
    """0 is greedy."""
    top_p: float = text(1.0)
    """Nucleus sampling: only the likeliest tokens that together have this probability; 1 keeps all."""
    seed: int = text(0, seed=True)
    """Seed of sampling; greedy decoding draws nothing."""
    n: int = text(1)
    """Samples of each prompt; intervals and tests then resample whole prompts. More than 1 needs a temperature."""
    max_cost: float | None = nothing(None)
    """Stop requesting completions once they have cost this many USD; needs a known price."""
    batch: bool = nothing(False)
    """Send all prompts through the service's Batch API: cheaper, answered within a day."""
    poll_seconds: float = nothing(30.0)
    """Seconds between two requests for the status of a batch."""

    def __post_init__(self) -> None:
        check(self.max_tokens >= 1, "generation.max_tokens", "1 or more", self.max_tokens)
        check(self.temperature >= 0, "generation.temperature", "0 or more", self.temperature)
        check(0 < self.top_p <= 1, "generation.top_p", "more than 0 and at most 1", self.top_p)
        check_seed("generation.seed", self.seed)
        check(self.n >= 1, "generation.n", "1 or more", self.n)
        check(self.max_cost is None or self.max_cost > 0, "generation.max_cost", "more than 0 USD", self.max_cost)
        check(self.poll_seconds > 0, "generation.poll_seconds", "more than 0 seconds", self.poll_seconds)


@dataclass
class MetricsConfig:
    """The metrics that completions are scored with."""

    names: list[str] = scores(factory=list)
    """Shipped metrics, `evaluate:NAME_OR_PATH`, or your own "module:Class"."""
    options: dict[str, dict[str, Any]] = scores(factory=dict)
    """Options by metric, such as {embedding_similarity: {model: /my/encoder}}; those of "module:Class" under Class."""


@dataclass
class StatsConfig:
    """How uncertainty is computed."""

    confidence: float = scores(0.95)
    """Confidence level of all intervals and tests."""
    n_resamples: int = scores(2000)
    """Bootstrap resamples."""
    cluster: str | None = scores(None)
    """A slice key whose values are resampled whole, where examples within one are not independent."""
    seed: int = scores(0)
    """Seed of the bootstrap and of permutation tests."""

    def __post_init__(self) -> None:
        check(0 < self.confidence < 1, "stats.confidence", "a share between 0 and 1, such as 0.95", self.confidence)
        check(self.n_resamples >= 100, "stats.n_resamples", "100 or more", self.n_resamples)
        check_seed("stats.seed", self.seed)


@dataclass
class TrackingConfig:
    """Logging to Weights & Biases; offline by default, so nothing leaves the machine unless asked."""

    mode: TrackingMode = display(TrackingMode.offline)
    """offline, online or disabled; chosen with tracking=CHOICE."""
    project: str = display("finetune-harness")
    """W&B project."""
    entity: str | None = display(None)
    """W&B user or team; null takes that of the login."""
    group: str | None = display(None)
    """W&B group of the runs."""
    predictions: bool = display(True)
    """false sends scores only: no prompt, no completion, nothing about single examples."""
    references: bool = display(True)
    """false leaves reference texts out; by default as report.references."""
    report: bool = display(False)
    """Also save a W&B Report; needs mode=online and the extra wandb_report."""

    def __post_init__(self) -> None:
        online = self.mode is TrackingMode.online
        check(online or not self.report, "tracking.report", "false, or tracking=wandb_online", "true")


@dataclass
class ReportConfig:
    """The markdown report."""

    dir: str = display("reports")
    """Folder of all reports."""
    name: str = display(MISSING)
    """The folder under reports/<task>/."""
    references: bool = display(True)
    """false leaves reference texts out, for a report that is committed."""
    samples: int = display(10)
    """Completions shown beside their references."""
    titles: list[str] = display(factory=list)
    """Ids or prompts of the examples shown; empty takes people where a slice has them, else the first ones."""
    incumbent: str = display("")
    """Name or id of the stored run that is in use, which the others may replace."""
    useful_difference: float = display(0.0)
    """Smallest difference of the primary metric that is worth a change."""
    retire_days: int = display(90)
    """A model that its service shuts down within this many days is not shipped."""

    def __post_init__(self) -> None:
        check(self.useful_difference >= 0, "report.useful_difference", "0 or more", self.useful_difference)
        check(self.samples >= 0, "report.samples", "0 or more", self.samples)


@dataclass
class JudgeConfig:
    """A judge: a model that says which of two runs' completions is better."""

    model: ModelConfig = MISSING
    """Any model of the group; it needs a chat template."""
    max_tokens: int = text(16)
    """Token limit of its answer; raise it where `template` asks for reasons before the verdict."""
    template: str = text(MISSING)
    """The question. `{prompt}`, `{reference}`, `{first}` and `{second}` are the texts; `{mark}` is a string that occurs
    in none of them."""

    def __post_init__(self) -> None:
        check(self.max_tokens >= 1, "max_tokens", "1 or more", self.max_tokens)
        needed = ("{first}", "{second}")
        check(all(slot in self.template for slot in needed), "template", f"a text with {' and '.join(needed)}", "none")


@dataclass
class HarnessConfig:
    """One run: the task, the model, how it is prompted and scored, and where the results go."""

    name: str = display(MISSING)
    """Name of the run on the leaderboard."""
    store: str = nothing(MISSING)
    """Folder of the runs and their shared stages."""
    dry_run: bool = nothing(False)
    """Print what would be done and what is cached, and do nothing."""
    show_prompts: int = nothing(0)
    """Print this many prompts as the model gets them, with token counts, and do nothing."""
    pricing: str | None = display(None)
    """A file of prices like conf/pricing.yaml, which null takes."""
    task: TaskConfig = MISSING
    """The data, its prompts and its primary metric; chosen with task=CHOICE."""
    model: ModelConfig = MISSING
    """What generates the completions; chosen with model=CHOICE."""
    finetune: FineTuneConfig = MISSING
    """Training before evaluation; chosen with finetune=CHOICE."""
    prompt: PromptConfig = MISSING
    """How examples become prompts; chosen with prompt=CHOICE."""
    generation: GenerationConfig = MISSING
    """How completions are decoded; chosen with generation=CHOICE."""
    metrics: MetricsConfig = MISSING
    """The metrics that completions are scored with; chosen with metrics=CHOICE."""
    baselines: list[PromptConfig] = nothing(factory=list)
    """Prompts with which the untouched base model is run beside a fine-tune, such as zero-shot and few-shot."""
    stats: StatsConfig = field(default_factory=StatsConfig)
    """How uncertainty is computed."""
    tracking: TrackingConfig = MISSING
    """Logging to Weights & Biases; chosen with tracking=CHOICE."""
    report: ReportConfig = field(default_factory=ReportConfig)
    """The report that is written."""

    def __post_init__(self) -> None:
        lacks_path = isinstance(self.model, ReplayModelConfig) and self.model.path is None
        if lacks_path and not isinstance(self.task, JsonlTaskConfig):
            raise ConfigError("model.path has no value. Add model.path=FILE, a file of completions.")
