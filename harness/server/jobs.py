"""Fine-tuning jobs as they are kept: what was asked for, how far it is, and what happened on the way.

<folder>/jobs/<id>/record.json      a `Job`, written by the server alone
<folder>/jobs/<id>/events.jsonl     an `Event` a line, appended by server and worker
<folder>/jobs/<id>/outcome.json     an `Outcome`, written by the worker when it is done
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from harness.config import LocalModelConfig, LoraConfig, TrainingConfig
from harness.server import records as ids
from harness.store.stages import Log
from harness.types import CurvePoint, FineTuneRecord


class JobStatus(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the worker left: how training went and the model it gave, or why it failed."""

    record: FineTuneRecord | None = None
    model: LocalModelConfig | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One fine-tuning job. Everything that decides its weights is in it, so that it outlives the server's settings."""

    id: str
    created: float
    base_name: str
    """What the base model is called by clients."""
    base: LocalModelConfig
    training: TrainingConfig | LoraConfig  # in this order, in which the reader of a record takes the fitting one
    training_file: str
    validation_file: str | None = None
    suffix: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    """How often the worker died over it."""
    finished: float | None = None
    failure: Failure | None = None
    model: LocalModelConfig | None = None
    """What it gave; None where there is none yet, or it was deleted."""
    trained_tokens: int | None = None
    kept: CurvePoint | None = None
    """The evaluation whose weights were kept."""
    result_file: str | None = None

    @property
    def model_name(self) -> str:
        """What its model is called by clients."""
        return ids.tuned_model(self.base_name, self.suffix, self.id)

    def json(self) -> dict[str, Any]:
        """Return OpenAI's fine-tuning job object."""
        hyperparameters = {
            "n_epochs": self.training.n_epochs,
            "batch_size": self.training.batch_size,
            "learning_rate_multiplier": self.training.learning_rate_multiplier,
        }
        done = self.status is JobStatus.SUCCEEDED
        return {
            "id": self.id,
            "object": "fine_tuning.job",
            "created_at": int(self.created),
            "error": dataclasses.asdict(self.failure) if self.failure else None,
            "fine_tuned_model": self.model_name if done else None,
            "finished_at": None if self.finished is None else int(self.finished),
            "hyperparameters": hyperparameters,
            "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
            "model": self.base_name,
            "organization_id": ids.OWNER,
            "result_files": [self.result_file] if self.result_file else [],
            "seed": self.training.seed,
            "status": self.status.value,
            "trained_tokens": self.trained_tokens,
            "training_file": self.training_file,
            "validation_file": self.validation_file,
            "estimated_finish": None,
            "integrations": [],
            "metadata": dict(self.metadata),
        }


JOB: TypeAdapter[Job] = TypeAdapter(Job)
OUTCOME: TypeAdapter[Outcome] = TypeAdapter(Outcome)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job; `data` holds the numbers of an evaluation."""

    id: str
    created: float
    message: str
    level: str = "info"
    type: str = "message"
    data: Mapping[str, float | None] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Return OpenAI's event object."""
        return {
            "id": self.id,
            "object": "fine_tuning.job.event",
            "created_at": int(self.created),
            "level": self.level,
            "message": self.message,
            "type": self.type,
            "data": dict(self.data),
        }


class Events:
    """What happened to one job, in the order of happening."""

    def __init__(self, folder: Path) -> None:
        self._log: Log[Event] = Log(folder / "events.jsonl", dataclasses.asdict, lambda row: Event(**row))

    def add(self, message: str, level: str = "info", data: Mapping[str, float | None] | None = None) -> None:
        """Append one event; with `data` it is one of type `metrics`."""
        event = Event(ids.new("ftevent-"), time.time(), message, level, "metrics" if data else "message", data or {})
        self._log.append(event.id, event)

    def read(self) -> list[Event]:
        """Return all events, oldest first."""
        return list(self._log.read().values())
