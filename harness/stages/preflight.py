"""What a run would be refused for after its work has begun, refused before: by the run, and by its dry run alike.

Nothing is generated, trained or sent, and no weights are read: only what they are filed under is.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from harness.client import pricing
from harness.client.dialect import Dialect
from harness.client.endpoint import Endpoint
from harness.client.pricing import Budget
from harness.config import FineTuneMethod, HarnessConfig, LocalModelConfig, OpenAIModelConfig
from harness.errors import StoreError, require
from harness.finetune.hosted import OpenAIFineTuner
from harness.hf import loading, pruning
from harness.hf.outline import refuse_damaged_outline
from harness.protocols import LookupModel, Model
from harness.stages.batch_generate import in_batches
from harness.stages.finetune import PlannedFineTune
from harness.stages.prepare import Prepared
from harness.store.stages import Store
from harness.tasks.samples import cluster_labels
from harness.types import Prompt, SamplingParams


def require_settings(prepared: Prepared, config: HarnessConfig, store: Store) -> None:
    """Raise the error that generating or scoring would raise for a setting: of prices, batches, clusters, the store."""
    require_writable(store.root)
    cluster_labels(prepared.examples, config.stats.cluster)
    prices = pricing.of(config.pricing)
    if prepared.finetune is None or not isinstance(config.model, OpenAIModelConfig):  # else the model has no name yet
        Budget(prices.of(prepared.model.identity), config.generation.max_cost, config.generation.batch)
    if config.generation.batch:
        in_batches(prepared.model, store, config.generation.poll_seconds)


def require_model(
    config: HarnessConfig,
    model: Model,
    prompts: Sequence[Prompt],
    decoding: SamplingParams,
    planned: PlannedFineTune | None,
) -> None:
    """Raise the error with which training or the first completion of these prompts would fail.

    `planned` is the fine-tune that is still to be trained.
    """
    if planned is not None:
        _require_tuner(config, planned)
    if not prompts:
        return
    if isinstance(model, LookupModel):
        for _ in model.generate(prompts, decoding):  # looking up costs nothing, and names a line that is damaged
            pass
    elif isinstance(config.model, OpenAIModelConfig):
        Endpoint.of(config.model)
        Dialect(config.model, decoding).request(prompts[0])
    elif isinstance(config.model, LocalModelConfig):
        _require_weights(config.model)


def require_writable(root: Path) -> None:
    """Raise a StoreError unless files can be written to the folder of the store."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=root):
            pass
    except OSError as error:
        raise StoreError(
            f"store: {root} cannot be written ({error}). Name another folder with store=FOLDER or HARNESS_STORE=FOLDER."
        ) from error


def _require_tuner(config: HarnessConfig, planned: PlannedFineTune) -> None:
    if isinstance(planned.tuner, OpenAIFineTuner) and isinstance(config.model, OpenAIModelConfig):
        planned.tuner.require_trainable(planned.train, planned.validation)
        Endpoint.of(config.model)
    elif isinstance(config.model, LocalModelConfig):
        if config.finetune.method is FineTuneMethod.lora:
            require("peft", "local")
        _require_weights(config.model)


def _require_weights(config: LocalModelConfig) -> None:
    loading.resolve_dtype(config.dtype, loading.resolve_device(config.device))
    refuse_damaged_outline(pruning.locate(config).folder)
