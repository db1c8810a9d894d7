"""The fine-tune of a run: planned from the config, done once for all runs that want the same, found again after.

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
from harness.protocols import FineTuner
from harness.store.digest import digest
from harness.store.stages import Store, write_atomic
from harness.tasks.prompts import render
from harness.tasks.split import subset
from harness.types import Corpus, Example, FineTuneRecord, Notice, StageRecord, TrainingPair

_RECORD: TypeAdapter[FineTuneRecord] = TypeAdapter(FineTuneRecord)


@dataclass(frozen=True, slots=True)
class Tuning:
    """A fine-tune that is still to be done, or to be found in the store."""

    tuner: FineTuner
    examples: tuple[Example, ...]
    """The training examples, for the leakage audit."""
    train: tuple[TrainingPair, ...]
    validation: tuple[TrainingPair, ...]
    inputs: Mapping[str, Any]
    notices: tuple[Notice, ...] = ()


def plan(config: HarnessConfig, corpus: Corpus, shots: Sequence[Example]) -> Tuning | None:
    """Return the fine-tune that the config asks for, or None where the model is reused as it is."""
    settings = config.finetune
    tuner = registry.finetuner(settings, config.model)
    if tuner is None or not isinstance(settings, SupervisedConfig):
        return None
    examples = subset(corpus.train, settings.n_train, config.seed)
    held_out, notices = _held_out(config, corpus, settings.n_validation)

    def pairs(chosen: Sequence[Example]) -> tuple[TrainingPair, ...]:
        return tuple(TrainingPair(render(e, config.task, config.prompt, shots), e.reference) for e in chosen)

    train, validation = pairs(examples), pairs(held_out)
    inputs = {"base": tuner.base, "config": settings, "train": digest(train), "validation": digest(validation)}
    return Tuning(tuner, examples, train, validation, inputs, notices)


def _held_out(config: HarnessConfig, corpus: Corpus, n: int | None) -> tuple[tuple[Example, ...], tuple[Notice, ...]]:
    """Return the examples of the validation loss: not the scored ones, which the best checkpoint would flatter.

    They are taken from the other end of the pool, so that scoring more examples does not train again.
    """
    order = subset(corpus.validation, None, config.seed)
    scored = len(order) if config.task.n_validation is None else config.task.n_validation
    wanted = len(order) if n is None else n
    if rest := order[max(scored, len(order) - wanted) :]:
        return rest, ()
    warning = (
        "examples of the validation loss are scored too, so that the choice of the best weights flatters the scores; "
        "keep some unscored with task.n_validation"
    )
    return order[:wanted], (Notice("loss_on_scored", warning, len(order[:wanted])),)


def is_done(tuning: Tuning, store: Store) -> bool:
    """Say whether the store has this fine-tune."""
    return store.folder("finetune", tuning.inputs).exists()


def tune(tuning: Tuning, store: Store) -> tuple[ModelConfig, FineTuneRecord, StageRecord]:
    """Fine-tune, or find it done; return the config of the tuned model, how training went, and the stage."""
    start = time.perf_counter()

    def make(folder: Path) -> None:
        record = tuning.tuner.fit(tuning.train, tuning.validation, folder)
        write_atomic(folder / "finetune.json", _RECORD.dump_json(record, indent=2))

    folder, was_there = store.build("finetune", tuning.inputs, make, resume=True)
    record = _RECORD.validate_json((folder / "finetune.json").read_bytes())
    seconds = time.perf_counter() - start
    inputs = {key: digest(value) for key, value in tuning.inputs.items()}
    stage = StageRecord("finetune", folder.name, inputs, seconds, int(not was_there), int(was_there))
    return tuning.tuner.tuned(folder), record, stage
