"""One run as a whole, and the groups that are a few settings each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from omegaconf import MISSING

from harness.config.checks import check
from harness.config.finetune import FineTuneConfig
from harness.config.model import ModelConfig
from harness.config.task import TaskConfig


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
        check(self.shots >= 0, "prompt.shots", "0 or more", self.shots)


@dataclass
class GenerationConfig:
    """How completions are decoded."""

    max_tokens: int = 64
    """The most tokens of a completion; one that reaches it counts as truncated."""
    temperature: float = 0.0
    """0 is greedy."""
    top_p: float = 1.0
    max_cost: float | None = None
    """The most USD that completions may cost before no more are asked for; needs a known price."""
    batch: bool = False
    """Send all prompts as a batch, where the service has a Batch API: cheaper, answered within a day."""
    poll_seconds: float = 30.0
    """How often a batch is looked at."""

    def __post_init__(self) -> None:
        check(self.max_tokens >= 1, "generation.max_tokens", "1 or more", self.max_tokens)
        check(self.temperature >= 0, "generation.temperature", "0 or more", self.temperature)
        check(0 < self.top_p <= 1, "generation.top_p", "more than 0 and at most 1", self.top_p)
        check(self.max_cost is None or self.max_cost > 0, "generation.max_cost", "more than 0 USD", self.max_cost)
        check(self.poll_seconds > 0, "generation.poll_seconds", "more than 0 seconds", self.poll_seconds)


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
        check(0 < self.confidence < 1, "stats.confidence", "a share between 0 and 1, such as 0.95", self.confidence)
        check(self.n_resamples >= 100, "stats.n_resamples", "100 or more", self.n_resamples)


@dataclass
class TrackingConfig:
    """Weights & Biases. Offline by default: nothing leaves the machine unless asked."""

    mode: TrackingMode = TrackingMode.offline
    project: str = "finetune-harness"
    entity: str | None = None
    group: str | None = None
    predictions: bool = True
    """false sends scores alone: no prompt, no completion, nothing about single examples."""
    references: bool = True
    """false leaves reference texts out of what is sent; the shipped choices follow report.references."""
    report: bool = False
    """Also save a W&B Report; needs mode=online and the extra wandb_report."""

    def __post_init__(self) -> None:
        online = self.mode is TrackingMode.online
        check(online or not self.report, "tracking.report", "false, or tracking=wandb_online", "true")


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
    titles: list[str] = field(default_factory=list)
    """Ids or prompts of the examples that are shown; empty takes people where a slice has them, else the first."""
    incumbent: str = ""
    """The name or id of the stored run in use, which the others are to replace or not."""
    useful_difference: float = 0.0
    """The smallest difference of the primary metric that matters; a run that cannot be ahead by it is no reason to
    change."""
    retire_days: int = 90
    """A model that its service ends within so many days is not shipped."""

    def __post_init__(self) -> None:
        check(self.useful_difference >= 0, "report.useful_difference", "0 or more", self.useful_difference)


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
        check(self.max_tokens >= 1, "max_tokens", "1 or more", self.max_tokens)
        needed = ("{first}", "{second}")
        check(all(slot in self.template for slot in needed), "template", f"a text with {' and '.join(needed)}", "none")


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
    pricing: str | None = None
    """A file of prices like conf/pricing.yaml; null takes that one."""
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
