"""One fine-tuning job at a service: found again before it is paid for again, watched to its end, and named in errors.

A job carries the key of everything that decides it in its metadata. So a restart, on this machine or another one,
goes on with the job that is there. A create is never sent twice: it has no idempotency key, and a second would cost.
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
"""Of the metadata."""
DONE, OVER, PAUSED = "succeeded", ("failed", "cancelled"), "paused"
"""Any other status, one that is not known here among them, is a job that goes on."""
MOST_LISTED = 2000
"""Jobs that are looked through where a service does not filter by metadata."""
CLOSED = "training_not_available"
EQUIVALENT = "finetune=lora model=smollm2, or model=local model.path=YOUR_MODEL"


def find(client: OpenAI, key: str) -> FineTuningJob | None:
    """Return the job with this key: a finished one first, then one that goes on; None where all have failed."""
    with explained("look for the job"):
        listed = client.fine_tuning.jobs.list(metadata={KEY: key}, limit=100)
        found = [job for job in islice(listed, MOST_LISTED) if (job.metadata or {}).get(KEY) == key]
    alive = [job for job in found if job.status not in OVER]
    return next((job for job in alive if job.status == DONE), alive[0] if alive else None)


def create(client: OpenAI, key: str, request: dict[str, Any]) -> FineTuningJob:
    """Start a job, once; where the answer was lost, the job is looked for."""
    try:
        with explained("start the job"):
            return client.with_options(max_retries=0).fine_tuning.jobs.create(**request, metadata={KEY: key})
    except _Unanswered as error:
        found = find(client, key)
        if found is None:
            raise FineTuneError(
                f"the service did not answer whether it has started the job ({error}). Run the same command again: a "
                "job that was started is found, and not paid for twice."
            ) from error
        return found


def wait(client: OpenAI, job: FineTuningJob, seconds: float, sleep: Callable[[float], None] = time.sleep) -> Any:
    """Return the job when it has succeeded; its events are shown as they come.

    FineTuneError says why it will not: it failed, was cancelled, or is paused.
    """
    seen: set[str] = set()
    try:
        with track("finetune", unit="steps") as bar:
            while True:
                with explained(f"read job {job.id}"):
                    job = client.fine_tuning.jobs.retrieve(job.id)
                    _events(client, job.id, seen, bar)
                if job.status == DONE:
                    return job
                _go_on(job)
                bar.advance(0, note=bar.note or str(job.status))
                sleep(seconds)
    except KeyboardInterrupt:
        say(f"job {job.id} goes on at the service; to end it: openai.OpenAI().fine_tuning.jobs.cancel({job.id!r})")
        raise


def _go_on(job: FineTuningJob) -> None:
    """Raise a FineTuneError unless the job is under way."""
    status = str(job.status)
    if status in OVER:
        why = f": {job.error.message}" if job.error and job.error.message else ""
        raise FineTuneError(f"job {job.id} is {status}{why}. Mend that and run again: a new job is started.")
    if status == PAUSED:
        raise FineTuneError(
            f"job {job.id} is paused. Resume it with openai.OpenAI().fine_tuning.jobs.resume({job.id!r}) and run the "
            "same command again."
        )


def _events(client: OpenAI, job_id: str, seen: set[str], bar: Bar) -> None:
    """Show the events that are new, oldest first; the service gives the latest first."""
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
    """A request that was sent and whose answer did not come."""


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn the errors of the official client into ones that say what to do."""
    import openai

    try:
        yield
    except openai.PermissionDeniedError as error:
        if error.code != CLOSED:
            raise FineTuneError(f"cannot {what}: {_said(error)}. Check what the key is allowed to do.") from error
        raise FineTuneError(
            f"the service refuses to train ({CLOSED}): OpenAI closes fine-tuning, to organisations that do not use it "
            "already and to everyone on 2027-01-06, and fine-tunes end with their base models. Train open weights on "
            f"this machine instead, with the same examples: {EQUIVALENT}. What is fine-tuned already can still be "
            "scored with finetune=none."
        ) from error
    except (openai.APIConnectionError, openai.InternalServerError) as error:
        if what == "start the job":
            raise _Unanswered(_said(error)) from error
        raise FineTuneError(
            f"cannot {what}: {_said(error)}. Run the same command again: a job that is there is found, and not paid "
            "for twice."
        ) from error
    except openai.APIError as error:
        raise FineTuneError(f"cannot {what}: {_said(error)}.") from error


def _said(error: openai.APIError) -> str:
    """Return what the service said: short, on one line, and without anything that looks like a key."""
    return Endpoint("").redacted(error.message).rstrip(".")
