"""Fine-tuning jobs as they are stored: the request, the progress, and the events.

<folder>/jobs/<id>/record.json      a `FineTuningJob`, written by the server only
<folder>/jobs/<id>/events.jsonl     one `JobEvent` per line, appended by server and worker
<folder>/jobs/<id>/outcome.json     a `TrainingOutcome`, written by the worker at the end
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from harness.config import LocalModelConfig, LoraConfig, TrainingConfig
from harness.server import ids
from harness.store.logs import Log
from harness.types import CurvePoint, FineTuneRecord

if TYPE_CHECKING:
    from openai.types import fine_tuning


class JobStatus(StrEnum):
    """The state of a job."""

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
class TrainingOutcome:
    """The result of the worker: the course of training and its model, or why it failed."""

    record: FineTuneRecord | None = None
    model: LocalModelConfig | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class FineTuningJob:
    """One fine-tuning job, with everything that decides its weights: the server's settings may change meanwhile."""

    id: str
    created: float
    base_name: str
    """The name of the base model for clients."""
    base: LocalModelConfig
    training: TrainingConfig | LoraConfig  # in this order, so that a record is read as the right one
    training_file: str
    validation_file: str | None = None
    suffix: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)
    status: JobStatus = JobStatus.QUEUED
    attempts: int = 0
    """How many times the worker died while it trained."""
    finished: float | None = None
    failure: Failure | None = None
    model: LocalModelConfig | None = None
    """The fine-tuned model; None before it exists, and after it was deleted."""
    trained_tokens: int | None = None
    kept: CurvePoint | None = None
    """The evaluation whose weights were kept."""
    result_file: str | None = None

    @property
    def model_name(self) -> str:
        """The name of its model for clients."""
        return ids.tuned_model(self.base_name, self.suffix, self.id)

    def to_openai(self) -> fine_tuning.FineTuningJob:
        """Return OpenAI's fine-tuning job object."""
        from openai.types import fine_tuning
        from openai.types.fine_tuning.fine_tuning_job import Error, Hyperparameters, Method

        hyperparameters: dict[str, Any] = {
            "n_epochs": self.training.n_epochs,
            "batch_size": self.training.batch_size,
            "learning_rate_multiplier": self.training.learning_rate_multiplier,
        }
        supervised = fine_tuning.SupervisedMethod(
            hyperparameters=fine_tuning.SupervisedHyperparameters(**hyperparameters)
        )
        failure = self.failure
        error = Error(code=failure.code, message=failure.message, param=failure.param) if failure else None
        return fine_tuning.FineTuningJob(
            id=self.id,
            object="fine_tuning.job",
            created_at=int(self.created),
            error=error,
            fine_tuned_model=self.model_name if self.status is JobStatus.SUCCEEDED else None,
            finished_at=None if self.finished is None else int(self.finished),
            hyperparameters=Hyperparameters(**hyperparameters),
            method=Method(type="supervised", supervised=supervised),
            model=self.base_name,
            organization_id=ids.OWNER,
            result_files=[self.result_file] if self.result_file else [],
            seed=self.training.seed,
            status=self.status.value,
            trained_tokens=self.trained_tokens,
            training_file=self.training_file,
            validation_file=self.validation_file,
            estimated_finish=None,
            integrations=[],
            metadata=dict(self.metadata),
        )

    def checkpoints(self) -> list[fine_tuning.jobs.FineTuningJobCheckpoint]:
        """Return OpenAI's object of the evaluation whose weights were kept; none before the job has succeeded."""
        from openai.types.fine_tuning.jobs import FineTuningJobCheckpoint
        from openai.types.fine_tuning.jobs.fine_tuning_job_checkpoint import Metrics

        if self.kept is None or self.model is None:
            return []
        metrics = Metrics(
            step=self.kept.step,
            train_loss=self.kept.train_loss,
            full_valid_loss=self.kept.validation_loss,
            full_valid_mean_token_accuracy=self.kept.token_accuracy,
        )
        checkpoint = FineTuningJobCheckpoint(
            id=f"ftckpt-{self.id.removeprefix(ids.IdKind.JOB)}",
            object="fine_tuning.job.checkpoint",
            created_at=int(self.finished or self.created),
            fine_tuned_model_checkpoint=self.model_name,
            fine_tuning_job_id=self.id,
            step_number=self.kept.step,
            metrics=metrics,
        )
        return [checkpoint]


JOB: TypeAdapter[FineTuningJob] = TypeAdapter(FineTuningJob)
OUTCOME: TypeAdapter[TrainingOutcome] = TypeAdapter(TrainingOutcome)
Level = Literal["info", "warn", "error"]


@dataclass(frozen=True, slots=True)
class JobEvent:
    """Something that happened to a job; `data` holds the numbers of an evaluation."""

    id: str
    created: float
    message: str
    level: Level = "info"
    type: Literal["message", "metrics"] = "message"
    data: Mapping[str, float | None] = field(default_factory=dict)

    def to_openai(self) -> fine_tuning.FineTuningJobEvent:
        """Return OpenAI's event object."""
        from openai.types.fine_tuning import FineTuningJobEvent

        return FineTuningJobEvent(
            id=self.id,
            object="fine_tuning.job.event",
            created_at=int(self.created),
            level=self.level,
            message=self.message,
            type=self.type,
            data=dict(self.data),
        )


class JobEvents:
    """The events of one job, in order of time."""

    def __init__(self, folder: Path) -> None:
        self._log: Log[JobEvent] = Log(folder / "events.jsonl", dataclasses.asdict, lambda row: JobEvent(**row))

    def add(self, message: str, level: Level = "info", data: Mapping[str, float | None] | None = None) -> None:
        """Append one event; with `data` it is of type `metrics`."""
        kind: Literal["message", "metrics"] = "metrics" if data else "message"
        event = JobEvent(ids.new("ftevent-"), time.time(), message, level, kind, data or {})
        self._log.append(event.id, event)

    def read(self) -> list[JobEvent]:
        """Return all events, oldest first."""
        return list(self._log.read().values())
