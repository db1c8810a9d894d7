"""/v1/fine_tuning/jobs: create, list, retrieve, cancel, and what happened."""

from __future__ import annotations

import dataclasses
import random
import re
import time
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from harness.config import TrainingConfig
from harness.errors import DataError
from harness.finetune.schedule import auto_batch_size, auto_epochs
from harness.server import fields
from harness.server import records as ids
from harness.server import records as lists
from harness.server.errors import invalid
from harness.server.fields import Fields
from harness.server.jobs import Event, Failure, Job, JobStatus
from harness.server.state import Server, of
from harness.server.training_files import read_pairs

EVALUATIONS = 10
"""Points of a job's learning curve; after each it can be gone on with."""
MOST_EPOCHS, MOST_BATCH, MOST_MULTIPLIER = 50, 256, 1000.0
METADATA = re.compile(r"metadata\[(.*)\]")


async def create(request: Request) -> Response:
    """Queue a job; one whose files cannot be trained on has failed from the start."""
    given, server = await fields.read(request), of(request)
    job = await run_in_threadpool(_job, given, server)
    return JSONResponse((await run_in_threadpool(server.trainer.submit, job)).json())


def list_jobs(request: Request) -> Response:
    """List the jobs, newest first, with certain metadata where that is asked for."""
    wanted = {match[1]: value for key, value in request.query_params.items() if (match := METADATA.fullmatch(key))}
    jobs = [job for job in of(request).trainer.records.all() if wanted.items() <= dict(job.metadata).items()]
    if request.query_params.get("metadata") == "null":
        jobs = [job for job in jobs if not job.metadata]
    own = ("metadata", *(f"metadata[{key}]" for key in wanted))
    return JSONResponse(lists.answer(request, jobs, Job.json, own))


def get_job(request: Request) -> Response:
    """Show one job."""
    return JSONResponse(_found(request).json())


def cancel(request: Request) -> Response:
    """Cancel one job."""
    return JSONResponse(of(request).trainer.cancel(_found(request).id).json())


def list_events(request: Request) -> Response:
    """List what happened to one job, newest first."""
    events = of(request).trainer.events(_found(request)).read()
    return JSONResponse(lists.answer(request, events[::-1], Event.json))


def list_checkpoints(request: Request) -> Response:
    """List the checkpoint that a finished job kept: the one with the lowest validation loss, or the last."""
    return JSONResponse(lists.answer(request, _checkpoints(_found(request)), lambda checkpoint: checkpoint.json))


@dataclasses.dataclass(frozen=True, slots=True)
class _Checkpoint:
    id: str
    created: float
    json: dict[str, Any]


def _checkpoints(job: Job) -> list[_Checkpoint]:
    if job.kept is None or job.model is None:
        return []
    created, name = job.finished or job.created, f"ftckpt-{job.id.removeprefix(ids.Kind.JOB)}"
    shown = {
        "id": name,
        "object": "fine_tuning.job.checkpoint",
        "created_at": int(created),
        "fine_tuned_model_checkpoint": job.model_name,
        "fine_tuning_job_id": job.id,
        "step_number": job.kept.step,
        "metrics": {
            "step": job.kept.step,
            "train_loss": job.kept.train_loss,
            "full_valid_loss": job.kept.validation_loss,
            "full_valid_mean_token_accuracy": job.kept.token_accuracy,
        },
    }
    return [_Checkpoint(name, created, shown)]


def _found(request: Request) -> Job:
    return of(request).trainer.records.get(request.path_params["job_id"], "fine_tuning_job_id")


def _job(given: Fields, server: Server) -> Job:
    """Return the job that a request asks for; its files are read to see whether they can be trained on."""
    name = given.text("model")
    base = server.catalog.trainable(name)
    training_file = given.text("training_file")
    path = server.files.uploaded(training_file, "fine-tune", "training_file")
    validation_file = given.text("validation_file") if given.has("validation_file") else None
    held_out = server.files.uploaded(validation_file, "fine-tune", "validation_file") if validation_file else None
    suffix = given.text("suffix") if given.has("suffix") else ""
    if suffix and not ids.SUFFIX.fullmatch(suffix):
        given.refuse("suffix", "1 to 64 letters, digits, '-', '_' and '.'", suffix)
    seed = given.integer("seed", 0, 2**31 - 1)
    metadata, settings = given.metadata(), _hyperparameters(given, server.settings.training)
    given.neutral({"integrations": ([],)})
    given.done()
    n, failure = 1, None
    try:
        n = len(read_pairs(path, "training_file"))
        if held_out:
            read_pairs(held_out, "validation_file")
    except DataError as error:
        param = str(error).partition(":")[0]
        failure = Failure(f"invalid_{param}", str(error), param)
    settings = dataclasses.replace(
        settings,
        n_epochs=settings.n_epochs or auto_epochs(n),
        batch_size=min(n, settings.batch_size or auto_batch_size(n)),
        seed=random.SystemRandom().randrange(2**31) if seed is None else seed,
        n_evaluations=EVALUATIONS,
    )
    now, status = time.time(), JobStatus.FAILED if failure else JobStatus.QUEUED
    job = Job(ids.new(ids.Kind.JOB), now, name, base, settings, training_file, validation_file, suffix, metadata)
    return dataclasses.replace(job, status=status, failure=failure, finished=now if failure else None)


def _hyperparameters(given: Fields, defaults: TrainingConfig) -> TrainingConfig:
    """Return the hyper-parameters of `method`, or of the older `hyperparameters`; auto leaves the server's own."""
    older, method = given.take("hyperparameters"), given.take("method")
    if older is not None and method is not None:
        raise invalid("Give method or hyperparameters, not both.", "hyperparameters")
    if method is None:
        return _read(Fields(older or {}, "hyperparameters"), defaults)
    outer = Fields(method, "method")
    outer.choice("type", ("supervised",))
    inner = Fields(outer.take("supervised") or {}, "method.supervised")
    settings = _read(Fields(inner.take("hyperparameters") or {}, "method.supervised.hyperparameters"), defaults)
    inner.done()
    outer.done()
    return settings


def _read(given: Fields, defaults: TrainingConfig) -> TrainingConfig:
    for key in ("n_epochs", "batch_size", "learning_rate_multiplier"):
        given.automatic(key)
    epochs = given.integer("n_epochs", 1, MOST_EPOCHS)
    batch = given.integer("batch_size", 1, MOST_BATCH)
    multiplier = given.number("learning_rate_multiplier", 1e-6, MOST_MULTIPLIER)
    given.done()
    return dataclasses.replace(
        defaults,
        n_epochs=epochs or defaults.n_epochs,
        batch_size=batch or defaults.batch_size,
        learning_rate_multiplier=multiplier or defaults.learning_rate_multiplier,
    )


ROUTES = [
    Route("/v1/fine_tuning/jobs", create, methods=["POST"]),
    Route("/v1/fine_tuning/jobs", list_jobs, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}", get_job, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}/cancel", cancel, methods=["POST"]),
    Route("/v1/fine_tuning/jobs/{job_id}/events", list_events, methods=["GET"]),
    Route("/v1/fine_tuning/jobs/{job_id}/checkpoints", list_checkpoints, methods=["GET"]),
]
