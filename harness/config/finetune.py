"""What is trained before it answers: the schema of the group `finetune`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import StrEnum

from harness.config.checks import check
from harness.store.digest import DECIDES_NOTHING


class FineTuneMethod(StrEnum):
    """What happens to the base model before it is evaluated."""

    none = "none"
    """It is used as it is."""
    lora = "lora"
    """Small matrices beside its weights are trained (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""
    full = "full"
    """All its weights are trained."""
    openai = "openai"
    """A service with OpenAI's fine-tuning API trains it, for money."""


class Schedule(StrEnum):
    """How the learning rate goes on after the warm-up."""

    constant = "constant"
    linear = "linear"
    """Down to 0."""
    cosine = "cosine"
    """Down to 0 along half a cosine."""


@dataclass
class FineTuneConfig:
    """Training before evaluation; `none` reuses the model as it is."""

    method: FineTuneMethod = FineTuneMethod.none


@dataclass
class SupervisedConfig(FineTuneConfig):
    """Training on examples of the task, under the names of OpenAI's fine-tuning API where it has one."""

    n_train: int | None = None
    """How many examples of the training pool are trained on; null takes them all."""
    n_epochs: int | None = None
    """How often each is seen; null takes 5 for 20 examples, 3 for 400, and 1 from 12,501 on."""
    batch_size: int | None = None
    """Examples an optimiser step; null takes 0.2% of them, from 4 to 256."""
    n_validation: int | None = 128
    """How many examples the validation loss is measured on; null takes all of the pool that are not scored."""
    seed: int = 0
    """Decides the order of the examples, dropout, and what an adapter starts from."""

    def __post_init__(self) -> None:
        for key in ("n_train", "n_validation", "n_epochs", "batch_size"):
            value = getattr(self, key)
            check(value is None or value >= 1, f"finetune.{key}", "1 or more, or null", value)
        check(self.seed >= 0, "finetune.seed", "0 or more", self.seed)


@dataclass
class TrainingConfig(SupervisedConfig):
    """Training on this machine."""

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
    n_evaluations: int = 4
    """How many times it is measured, evenly over the run; the weights of the best time are kept."""
    patience: int | None = None
    """Stop after so many evaluations in a row without a new best; null goes on to the end."""
    dtype: str = "auto"
    """float32 or bfloat16; auto takes bfloat16 where the processor multiplies it in hardware."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.patience is None or self.patience >= 1, "finetune.patience", "1 or more, or null", self.patience)
        for key in ("learning_rate_multiplier", "max_grad_norm"):
            value = getattr(self, key)
            check(0 < value < math.inf, f"finetune.{key}", "more than 0", value)
        for key in ("prompt_loss_weight", "warmup_ratio"):
            check(0 <= getattr(self, key) <= 1, f"finetune.{key}", "0 to 1", getattr(self, key))
        check(0 <= self.weight_decay < math.inf, "finetune.weight_decay", "0 or more", self.weight_decay)
        check(self.n_evaluations >= 1, "finetune.n_evaluations", "1 or more", self.n_evaluations)
        dtypes = ("auto", "float32", "bfloat16")
        check(self.dtype in dtypes, "finetune.dtype", ", ".join(dtypes), self.dtype)


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
        check(self.rank >= 1, "finetune.rank", "1 or more", self.rank)
        check(self.alpha >= 1, "finetune.alpha", "1 or more", self.alpha)
        check(0 <= self.dropout < 1, "finetune.dropout", "0 or more and less than 1", self.dropout)


@dataclass
class OpenAIFineTuneConfig(SupervisedConfig):
    """Training by OpenAI, or by another service with its fine-tuning API; what is null is left to the service."""

    learning_rate_multiplier: float | None = None
    """Times the service's own rate."""
    suffix: str | None = field(default=None, metadata=DECIDES_NOTHING)
    """Up to 64 characters that become part of the model's name; a job that is there already is not paid for again."""
    max_cost: float | None = field(default=5.0, metadata=DECIDES_NOTHING)
    """The most USD that the fine-tune may be estimated to cost; null lets it cost anything, or what is not known."""
    pricing: str | None = field(default=None, metadata=DECIDES_NOTHING)
    """The file of prices, as the key of the same name of the whole config."""
    poll_seconds: float = field(default=10.0, metadata=DECIDES_NOTHING)
    """How often the job is looked at."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("learning_rate_multiplier", "max_cost"):
            value = getattr(self, key)
            check(value is None or 0 < value < math.inf, f"finetune.{key}", "more than 0, or null", value)
        check(len(self.suffix or "") <= 64, "finetune.suffix", "64 characters or less", self.suffix)
        check(self.poll_seconds > 0, "finetune.poll_seconds", "more than 0 seconds", self.poll_seconds)
