"""One fine-tuning job at a service: found if it exists, created if not, watched to its end, with its errors explained.

A job carries the key of everything that decides it in its metadata, so that a restart, on this machine or another
one, continues with the existing job. A create is never retried: it has no idempotency key, and a second job would cost
again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any

from harness.client.endpoint import Endpoint
from harness.errors import FineTuneError
from harness.progress import Bar, say, track

if TYPE_CHECKING:
    import openai
    from openai import OpenAI
    from openai.types.fine_tuning import FineTuningJob

KEY = "harness_key"
"""The metadata field that holds the key."""
DONE, OVER, PAUSED = "succeeded", ("failed", "cancelled"), "paused"
"""A job with any other status, known here or not, is in progress."""
MOST_LISTED = 2000
"""The most jobs that are searched where a service does not filter by metadata."""
CLOSED = "training_not_available"
EQUIVALENT = "finetune=lora model=smollm2, or model=local model.path=YOUR_MODEL"


def find(client: OpenAI, key: str) -> FineTuningJob | None:
    """Return the job with this key: a finished one first, then one in progress; None where all have failed."""
    with explained("look for the job"):
        listed = client.fine_tuning.jobs.list(metadata={KEY: key}, limit=100)
        with_key = [job for job in islice(listed, MOST_LISTED) if (job.metadata or {}).get(KEY) == key]
    alive = [job for job in with_key if job.status not in OVER]
    return next((job for job in alive if job.status == DONE), alive[0] if alive else None)


def create(client: OpenAI, key: str, request: dict[str, Any]) -> FineTuningJob:
    """Start a job with a single request; where its answer is lost, look for the job."""
    try:
        with explained("start the job"):
            return _job(client.with_options(max_retries=0).fine_tuning.jobs.create(**request, metadata={KEY: key}))
    except _Unanswered as error:
        job = find(client, key)
        if job is None:
            raise FineTuneError(
                f"the service did not confirm that it started the job ({error}). Run the same command again: it finds "
                "a job that was started, and does not pay twice."
            ) from error
        return job


def wait(client: OpenAI, job: FineTuningJob, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Any:
    """Return the job once it has succeeded, showing its events; FineTuneError when it failed or was stopped."""
    seen: set[str] = set()
    try:
        with track("finetune", unit="steps") as bar:
            while True:
                with explained(f"read job {job.id}"):
                    job = _job(client.fine_tuning.jobs.retrieve(job.id))
                    _events(client, job.id, seen, bar)
                if job.status == DONE:
                    return job
                _raise_if_stopped(job)
                bar.advance(0, note=bar.note or str(job.status))
                sleep(seconds)
    except KeyboardInterrupt:
        say(f"job {job.id} continues at the service; to cancel it: openai.OpenAI().fine_tuning.jobs.cancel({job.id!r})")
        raise


def _raise_if_stopped(job: FineTuningJob) -> None:
    """Raise a FineTuneError unless the job is in progress."""
    status = str(job.status)
    if status in OVER:
        reason = f": {job.error.message}" if job.error and job.error.message else ""
        raise FineTuneError(f"job {job.id} is {status}{reason}. Fix that and run again: a new job is started.")
    if status == PAUSED:
        raise FineTuneError(
            f"job {job.id} is paused. Resume it with openai.OpenAI().fine_tuning.jobs.resume({job.id!r}) and run the "
            "same command again."
        )


def _events(client: OpenAI, job_id: str, seen: set[str], bar: Bar) -> None:
    """Show the new events, oldest first; the service lists the latest first."""
    fresh = []
    for event in client.fine_tuning.jobs.list_events(job_id, limit=100):
        if event.id in seen:
            break
        fresh.append(event)
    for event in reversed(fresh):
        seen.add(event.id)
        data = event.data if isinstance(event.data, dict) else {}
        if isinstance(data.get("step"), int):
            bar.total = max(bar.total, int(data.get("total_steps") or 0))
            bar.advance(max(0, data["step"] - bar.done), note=event.message)
        else:
            bar.advance(0, note=event.message)
            if event.level != "info":
                say(f"finetune: {event.message}")


class _Unanswered(Exception):
    """A request that was sent and not answered."""


@contextmanager
def explained(action: str) -> Iterator[None]:
    """Turn the errors of the official client into FineTuneErrors that say what to do."""
    import openai

    try:
        yield
    except openai.PermissionDeniedError as error:
        if error.code != CLOSED:
            raise FineTuneError(f"cannot {action}: {_message(error)}. Check what the key is allowed to do.") from error
        raise FineTuneError(
            f"the service refuses to train ({CLOSED}): OpenAI closes fine-tuning, to organisations that do not use it "
            "already and to everyone on 2027-01-06, and retires fine-tuned models with their base models. Train open "
            f"weights on this machine instead, with the same examples: {EQUIVALENT}. Existing fine-tuned models can "
            "still be scored with finetune=none."
        ) from error
    except (openai.APIConnectionError, openai.InternalServerError) as error:
        if action == "start the job":
            raise _Unanswered(_message(error)) from error
        raise FineTuneError(
            f"cannot {action}: {_message(error)}. Run the same command again: it finds an existing job, and does not "
            "pay twice."
        ) from error
    except openai.APIError as error:
        raise FineTuneError(f"cannot {action}: {_message(error)}.") from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # a page of HTML, or JSON of another form
        if action == "start the job":
            raise _Unanswered(f"its answer cannot be read: {error}") from error
        raise FineTuneError(
            f"cannot {action}: the service's answer is of another form than OpenAI's ({error}). Check model.base_url."
        ) from error


def _job(answer: object) -> FineTuningJob:
    """Return the service's answer where it is a job; ValueError otherwise."""
    from openai.types.fine_tuning import FineTuningJob

    if not isinstance(answer, FineTuningJob) or not isinstance(answer.id, str):
        raise ValueError(f"expected a job, got {type(answer).__name__}")
    return answer


def _message(error: openai.APIError) -> str:
    """Return the service's message on one line: short, and without anything that looks like a key."""
    return Endpoint("").redacted(error.message).rstrip(".")
