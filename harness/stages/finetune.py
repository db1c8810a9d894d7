"""The fine-tune of a run: planned from the config, trained once for all runs that share it, and stored.

Its key is the digest of the base model, the hyper-parameters and every rendered training and validation example, so
the runs of a sweep share a fine-tune exactly when nothing about it differs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness import registry
from harness.config import HarnessConfig, ModelConfig, SupervisedConfig
from harness.finetune.schedule import finetune_inputs
from harness.protocols import FineTuner, Model
from harness.stages.rendering import rendered
from harness.store.digest import digest
from harness.store.files import write_atomic
from harness.store.stages import Store
from harness.tasks.prompts import render
from harness.tasks.split import n_scored, subset
from harness.types import Corpus, Example, FineTuneRecord, Notice, StageRecord, TrainingPair

_RECORD: TypeAdapter[FineTuneRecord] = TypeAdapter(FineTuneRecord)


@dataclass(frozen=True, slots=True)
class PlannedFineTune:
    """A fine-tune that is still to be trained, or to be loaded from the store."""

    tuner: FineTuner
    train: tuple[TrainingPair, ...]
    validation: tuple[TrainingPair, ...]
    inputs: Mapping[str, Any]
    """What decides it and its key: `finetune_inputs`."""
    examples: tuple[Example, ...] = ()
    """The training examples, for the leakage audit."""
    notices: tuple[Notice, ...] = ()


def plan_finetune(
    config: HarnessConfig, corpus: Corpus, shots: Sequence[Example], base: Model
) -> PlannedFineTune | None:
    """Return the fine-tune of the base model that the config asks for, or None where that model is used as it is."""
    settings = config.finetune
    tuner = registry.finetuner(settings, config.model)
    if tuner is None or not isinstance(settings, SupervisedConfig):
        return None
    examples = subset(corpus.train, settings.n_train, config.task.sample_seed, "finetune.n_train")
    unused = subset(corpus.train, None, config.task.sample_seed)[len(examples) :]
    held_out, notices = _held_out(config, corpus, unused, settings.n_validation)

    def pairs(chosen: Sequence[Example]) -> tuple[TrainingPair, ...]:
        prompts = rendered(base, [render(example, config.task, config.prompt, shots) for example in chosen])
        return tuple(TrainingPair(prompt, e.reference) for prompt, e in zip(prompts, chosen, strict=True))

    train, validation = pairs(examples), pairs(held_out)
    inputs = finetune_inputs(tuner.base, settings, train, validation)
    return PlannedFineTune(tuner, train, validation, inputs, examples, notices)


def is_trained(planned: PlannedFineTune, store: Store) -> bool:
    """Return whether the store has this fine-tune."""
    return store.folder("finetune", planned.inputs).exists()


def train_or_load(planned: PlannedFineTune, store: Store) -> tuple[ModelConfig, FineTuneRecord, StageRecord]:
    """Train, unless the store has the fine-tune; return the tuned model's config and the training and stage records."""
    start = time.perf_counter()

    def make(folder: Path) -> None:
        record = planned.tuner.fit(planned.train, planned.validation, folder)
        write_atomic(folder / "finetune.json", _RECORD.dump_json(record, indent=2))

    folder, cached = store.build("finetune", planned.inputs, make, resume=True)
    record = _RECORD.validate_json((folder / "finetune.json").read_bytes())
    seconds = time.perf_counter() - start
    inputs = {key: digest(value) for key, value in planned.inputs.items()}
    stage = StageRecord("finetune", folder.name, inputs, seconds, int(not cached), int(cached))
    return planned.tuner.model_config(folder), record, stage


def _held_out(
    config: HarnessConfig, corpus: Corpus, unused: tuple[Example, ...], n: int | None
) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
    """Return the examples of the validation loss: not the scored ones, or choosing the best weights would bias scores.

    They are taken from the other end of the pool, so that scoring more examples does not train again; where all of it
    is scored, from the training examples that are not used.
    """
    order = subset(corpus.validation, None, config.task.sample_seed)
    scored = n_scored(config.task.n_validation, len(order))
    size = len(order) if n is None else n
    if unscored := order[max(scored, len(order) - size) :] or unused[-size:]:
        return unscored, ()
    warning = (
        "examples of the validation loss are scored too, which biases the scores upwards, as the best weights are "
        "chosen on them; leave some unscored with task.n_validation"
    )
    return order[:size], (Notice("loss_on_scored", warning, len(order[:size])),)
