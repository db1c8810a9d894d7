"""Fine-tuning on this machine, of all weights or of LoRA adapters, with transformers and peft."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from harness.config import FineTuneMethod, LocalModelConfig, LoraConfig, TrainingConfig
from harness.errors import ConfigError, FineTuneError
from harness.finetune import checkpoint
from harness.finetune.loss import encode
from harness.finetune.schedule import training_schedule
from harness.finetune.train import Training, Watch
from harness.hf import loading, pruning, weights
from harness.hf.encoding import TextEncoder
from harness.hf.tokens import TokenLimits
from harness.store.digest import digest
from harness.types import FineTuneRecord, ModelIdentity, TrainingPair


class LocalFineTuner:
    """Trains the weights of a local model, or an adapter on them."""

    def __init__(self, config: TrainingConfig, model: LocalModelConfig) -> None:
        if model.adapter:
            raise ConfigError(
                f"model.adapter: expected none under a fine-tune, got {model.adapter}. Save that adapter merged into "
                "its base, and set model.path to the merged model."
            )
        expected = FineTuneMethod.lora if isinstance(config, LoraConfig) else FineTuneMethod.full
        if config.method is not expected:
            raise ConfigError(
                f"finetune.method: expected {expected} with the settings of {expected}, got {config.method}. "
                f"Choose finetune={config.method}."
            )
        self._config, self._model = config, model
        self.watch: Watch | None = None
        """Called with each point of the learning curve."""

    @cached_property
    def base(self) -> ModelIdentity:
        """Identify the model that training starts from, with the number format that it is trained in."""
        digests = self._digests
        return ModelIdentity(
            backend="local",
            base=self._model.path,
            revision=self._located.revision,
            weights=digests.weights,
            tokenizer=digests.tokenizer,
            chat_template=digests.chat_template,
            dtype=self._dtype,
        )

    def fit(self, train: Sequence[TrainingPair], validation: Sequence[TrainingPair], folder: Path) -> FineTuneRecord:
        """Train, leave the adapter or the weights in `folder`, and return the record; a killed fit is resumed.

        Without validation examples the last weights are kept, else those with the lowest validation loss.
        ConfigError or FineTuneError names the setting, example or checkpoint that is wrong.
        """
        schedule = training_schedule(self._config, len(train))
        config = dataclasses.replace(self._config, dtype=self._dtype)
        tokenizer = loading.load_tokenizer(self._located.folder)
        model = trainable(config, self._located.folder, self._model.device)
        weights.refuse_change(self._digests)
        encoder, limits = TextEncoder(tokenizer, self._model.template_options), TokenLimits.of(model)
        examples, held_out = encode(encoder, train, limits), encode(encoder, validation, limits)
        training = Training(model, config, schedule, folder, self.watch)
        state = training.run(examples, held_out, digest([config, self.base, examples, held_out]))
        save(model, tokenizer, folder, adapter_alone=isinstance(self._config, LoraConfig))
        checkpoint.clean(folder)
        return FineTuneRecord(
            method=self._config.method,
            n_train=len(train),
            seconds=state.seconds,
            parameters_trained=sum(weight.numel() for weight in training.weights.values()),
            tokens=state.tokens,
            best_step=state.best_step,
            curve=tuple(state.curve),
        )

    def model_config(self, folder: Path) -> LocalModelConfig:
        """Return the config of the model that a finished fit left in `folder`."""
        if self._config.method is FineTuneMethod.lora:
            return dataclasses.replace(self._model, adapter=str(folder))
        return dataclasses.replace(self._model, path=str(folder), revision=None, layers=None)

    @cached_property
    def _located(self) -> weights.Located:
        return pruning.locate(self._model)

    @cached_property
    def _digests(self) -> weights.Digests:
        return weights.identify(self._located.folder)

    @cached_property
    def _dtype(self) -> str:
        return native_dtype(self._model.device) if self._config.dtype == "auto" else self._config.dtype


def save(model: Any, tokenizer: Any, folder: Path, adapter_alone: bool) -> None:
    """Save an adapter, or a model with its tokenizer, in files that are equal for equal weights."""
    with loading.quiet():
        if not adapter_alone:
            model.save_pretrained(folder)
            tokenizer.save_pretrained(folder)
            return
        for settings in model.peft_config.values():
            for key in weights.UNORDERED:  # sets, whose order differs from process to process
                if isinstance(value := getattr(settings, key, None), set | list):
                    setattr(settings, key, sorted(value, key=str))
        model.save_pretrained(folder, save_embedding_layers=False)


def trainable(config: TrainingConfig, folder: Path, device: str) -> Any:
    """Return the model of a folder, requiring gradients where `config`, whose `dtype` is not auto, trains it."""
    import torch

    if not isinstance(config, LoraConfig):
        return loading.load_model(folder, "float32", device)
    try:
        import peft
    except ImportError as error:
        raise loading.missing(error) from error
    settings = peft.LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.targets or "all-linear",
        task_type="CAUSAL_LM",
    )
    model = loading.load_model(folder, config.dtype, device)
    with torch.random.fork_rng(), loading.quiet():
        torch.manual_seed(config.seed)
        try:
            return peft.get_peft_model(model, settings)
        except ValueError as error:
            raise FineTuneError(f"finetune.targets: {error}") from error


def native_dtype(device: str) -> str:
    """Return bfloat16 where the device multiplies it in hardware, else float32, which is many times faster there."""
    import torch

    if loading.resolve_device(device) != "cpu":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        native = any(supported for name, supported in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
    return "bfloat16" if native else "float32"
