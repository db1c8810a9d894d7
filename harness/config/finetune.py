"""The schema of the group `finetune`: training before evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from harness.config.fields import check, check_seed, nothing, text


class FineTuneMethod(StrEnum):
    """How the base model is fine-tuned before it is evaluated."""

    none = "none"
    """Not at all: the model is reused as it is."""
    lora = "lora"
    """Low-rank adapters are trained (Hu et al. 2021, https://arxiv.org/abs/2106.09685)."""
    full = "full"
    """All its weights are trained."""
    openai = "openai"
    """A service with OpenAI's fine-tuning API trains it; this costs money."""


class Schedule(StrEnum):
    """The learning rate after the warm-up."""

    constant = "constant"
    linear = "linear"
    """Decreases linearly to 0."""
    cosine = "cosine"
    """Decreases to 0 along half a cosine."""


@dataclass
class FineTuneConfig:
    """Training before evaluation; `none` reuses the model as it is."""

    method: FineTuneMethod = text(FineTuneMethod.none)
    """none, lora, full or openai; chosen with finetune=CHOICE."""


@dataclass
class SupervisedConfig(FineTuneConfig):
    """Training on examples of the task, under the names of OpenAI's fine-tuning API where it has one."""

    n_train: int | None = text(None)
    """Training examples, the first n of the training pool; null takes all of them."""
    n_epochs: int | None = text(None)
    """Passes over the training examples; null takes 5 for 20 examples, 3 for 400, and 1 for more than 12,500."""
    batch_size: int | None = text(None)
    """Examples per optimiser step; null takes 0.2% of the training examples, from 4 to 256."""
    n_validation: int | None = text(128)
    """Examples that the validation loss is measured on; null takes all of the pool that are not scored."""
    seed: int = text(0, seed=True)
    """Seed of the order of the examples, of dropout, and of the adapter's initial weights."""

    def __post_init__(self) -> None:
        for key in ("n_train", "n_validation", "n_epochs", "batch_size"):
            value = getattr(self, key)
            check(value is None or value >= 1, f"finetune.{key}", "1 or more, or null", value)
        check_seed("finetune.seed", self.seed)


@dataclass
class TrainingConfig(SupervisedConfig):
    """Training on this machine."""

    learning_rate_multiplier: float = text(1.0)
    """Multiplies the peak learning rate of the method: 1e-3 for lora, 5e-5 for full."""
    prompt_loss_weight: float = text(0.0)
    """Weight of the loss on prompt tokens, 0 to 1; completion tokens have weight 1."""
    schedule: Schedule = text(Schedule.linear)
    """The learning rate after the warm-up: constant, linear or cosine."""
    warmup_ratio: float = text(0.05)
    """Share of the steps over which the learning rate rises to its peak."""
    weight_decay: float = text(0.0)
    """Weight decay of AdamW."""
    max_grad_norm: float = text(1.0)
    """Gradients are clipped to this norm."""
    n_evaluations: int = text(4)
    """Evaluations on the validation examples, evenly spaced; the weights of the best one are kept."""
    patience: int | None = text(None)
    """Stop after this many evaluations without a new best; null trains to the end."""
    dtype: str = text("auto")
    """float32 or bfloat16; auto takes bfloat16 where the hardware supports it."""

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
    """Training of low-rank adapters; the base model's weights are frozen."""

    rank: int = text(16)
    """Rank of the adapter matrices."""
    alpha: int = text(32)
    """The adapter is scaled by alpha / rank."""
    dropout: float = text(0.0)
    """Dropout before the adapter matrices."""
    targets: list[str] = text(factory=list)
    """Names of the layers that get an adapter, such as [q_proj, v_proj]; empty takes every linear layer."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check(self.rank >= 1, "finetune.rank", "1 or more", self.rank)
        check(self.alpha >= 1, "finetune.alpha", "1 or more", self.alpha)
        check(0 <= self.dropout < 1, "finetune.dropout", "0 or more and less than 1", self.dropout)


@dataclass
class OpenAIFineTuneConfig(SupervisedConfig):
    """Training by OpenAI, or another service with its fine-tuning API; null leaves a setting to the service."""

    learning_rate_multiplier: float | None = text(None)
    """Multiplies the service's own learning rate."""
    suffix: str | None = nothing(None)
    """Up to 64 characters that become part of the model's name; an existing job is found and not paid for twice."""
    max_cost: float | None = nothing(5.0)
    """Highest estimated cost in USD; null allows any cost, an unknown one included."""
    pricing: str | None = nothing(None)
    """A file of prices; by default that of the top-level key `pricing`."""
    poll_seconds: float = nothing(10.0)
    """Seconds between two requests for the status of the job."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("learning_rate_multiplier", "max_cost"):
            value = getattr(self, key)
            check(value is None or 0 < value < math.inf, f"finetune.{key}", "more than 0, or null", value)
        check_seed("finetune.seed", self.seed, most=2**31 - 1)
        check(len(self.suffix or "") <= 64, "finetune.suffix", "64 characters or less", self.suffix)
        check(self.poll_seconds > 0, "finetune.poll_seconds", "more than 0 seconds", self.poll_seconds)
