"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, and what happened."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from harness.config import TrainingConfig
from harness.errors import DataError
from harness.finetune.schedule import auto_batch_size, auto_epochs
from harness.server import ids, requests, responses
from harness.server.errors import invalid
from harness.server.jobs import Failure, FineTuningJob, JobEvent, JobStatus
from harness.server.requests import Metadata, Name, RequestModel, unsupported, validated
from harness.server.state import Server, server_of
from harness.server.training_files import read_pairs

EVALUATIONS = 10
"""Points of a job's learning curve; each is a checkpoint from which it can continue."""
METADATA = re.compile(r"metadata\[(.*)\]")


class Hyperparameters(RequestModel):
    """How a job trains; None, which a request may also write as "auto", leaves it to the server's settings."""

    n_epochs: int | None = Field(default=None, ge=1, le=50)
    batch_size: int | None = Field(default=None, ge=1, le=256)
    learning_rate_multiplier: float | None = Field(default=None, ge=1e-6, le=1000)

    @model_validator(mode="before")
    @classmethod
    def _without_auto(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        return {key: value for key, value in values.items() if value != "auto"}


class _Supervised(RequestModel):
    hyperparameters: Hyperparameters = Field(default_factory=lambda: Hyperparameters.model_validate({}))


class _Method(RequestModel):
    type: Literal["supervised"]
    supervised: _Supervised = _Supervised()


class JobRequest(RequestModel):
    """A body of /v1/fine_tuning/jobs; `hyperparameters` is the older place of those in `method`."""

    model: Name
    training_file: Name
    validation_file: Name | None = None
    suffix: str = Field(default="", pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    seed: int | None = Field(default=None, ge=0, le=2**31 - 1)
    metadata: Metadata = Field(default={})
    method: _Method | None = None
    hyperparameters: Hyperparameters | None = None
    integrations: Annotated[Any, unsupported([])] = None


class JobQuery(responses.ListQuery, strict=False):
    """The query of the list of jobs, without the keys metadata[…]; `metadata` null asks for jobs without any."""

    metadata: str | None = None


async def create(request: Request) -> Response:
    """Queue a job; one whose files cannot be used for training has failed from the start."""
    server = server_of(request)
    body = await requests.read(request, JobRequest, server.settings.limits)
    job = await run_in_threadpool(_new_job, body, server)
    return responses.json((await run_in_threadpool(server.trainer.submit, job)).to_openai())


def list_jobs(request: Request) -> Response:
    """List the jobs, newest first, with certain metadata if the query asks for it."""
    parameters = dict(request.query_params)
    metadata = {match[1]: parameters.pop(key) for key in list(parameters) if (match := METADATA.fullmatch(key))}
    query = validated(JobQuery, parameters)
    jobs = [job for job in server_of(request).trainer.records.all() if metadata.items() <= dict(job.metadata).items()]
    if query.metadata == "null":
        jobs = [job for job in jobs if not job.metadata]
    return responses.page(query, jobs, FineTuningJob.to_openai)


def get_job(request: Request) -> Response:
    """Return one job."""
    return responses.json(_job(request).to_openai())


def cancel(request: Request) -> Response:
    """Cancel one job."""
    return responses.json(server_of(request).trainer.cancel(_job(request).id).to_openai())


def list_events(request: Request) -> Response:
    """List the events of one job, newest first."""
    query = validated(responses.ListQuery, dict(request.query_params))
    events = server_of(request).trainer.events(_job(request)).read()
    return responses.page(query, events[::-1], JobEvent.to_openai)


def list_checkpoints(request: Request) -> Response:
    """List the checkpoint that a finished job kept: the one with the lowest validation loss, or the last."""
    query = validated(responses.ListQuery, dict(request.query_params))
    return responses.page(query, _job(request).checkpoints(), lambda checkpoint: checkpoint)


def _job(request: Request) -> FineTuningJob:
    return server_of(request).trainer.records.get(request.path_params["job_id"], "fine_tuning_job_id")


def _new_job(request: JobRequest, server: Server) -> FineTuningJob:
    """Return the job for a request; its files are read to see whether they can be used for training."""
    base = server.catalog.trainable(request.model)
    training = server.files.uploaded(request.training_file, "fine-tune", "training_file")
    validation = None
    if request.validation_file:
        validation = server.files.uploaded(request.validation_file, "fine-tune", "validation_file")
    settings = _hyperparameters(request, server.settings.training)
    n, failure = 1, None
    try:
        n = len(read_pairs(training, "training_file"))
        if validation:
            read_pairs(validation, "validation_file")
    except DataError as error:
        param = str(error).partition(":")[0]
        failure = Failure(f"invalid_{param}", str(error), param)
    now = time.time()
    return FineTuningJob(
        id=ids.new(ids.IdKind.JOB),
        created=now,
        base_name=request.model,
        base=base,
        training=dataclasses.replace(
            settings,
            n_epochs=settings.n_epochs or auto_epochs(n),
            batch_size=min(n, settings.batch_size or auto_batch_size(n)),
            seed=random.SystemRandom().randrange(2**31) if request.seed is None else request.seed,
            n_evaluations=EVALUATIONS,
        ),
        training_file=request.training_file,
        validation_file=request.validation_file,
        suffix=request.suffix,
        metadata=dict(request.metadata),
        status=JobStatus.FAILED if failure else JobStatus.QUEUED,
        failure=failure,
        finished=now if failure else None,
    )


def _hyperparameters(request: JobRequest, defaults: TrainingConfig) -> TrainingConfig:
    """Return the server's training settings with the hyperparameters that a request gives."""
    if request.method is not None and request.hyperparameters is not None:
        raise invalid("Give method or hyperparameters, not both.", "hyperparameters")
    chosen = request.method.supervised.hyperparameters if request.method else request.hyperparameters
    return dataclasses.replace(defaults, **chosen.model_dump(exclude_none=True) if chosen else {})


ROUTES = [
    Route("/v1/fine_tuning/jobs", create, methods=["POST"]),
    Route("/v1/fine_tuning/jobs", list_jobs, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}", get_job, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/fine_tuning/jobs/{job_id}/events", list_events, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}/checkpoints", list_checkpoints, methods=["GET"]),
]
