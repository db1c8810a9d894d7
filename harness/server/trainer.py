"""Jobs have their turn, one at a time: the thread that feeds the worker process and writes down what comes of it.

A job that was queued or running when the server ended is found in its record and goes on; one whose worker died is
tried again, a bounded number of times.

The worker process as the server sees it: started when a job needs it, asked, ended.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from harness.server import training_files as results
from harness.server.errors import ApiError, busy
from harness.server.files import Files
from harness.server.jobs import JOB, OPEN, OUTCOME, Events, Failure, Job, JobStatus, Outcome
from harness.server.records import Kind, Records
from harness.server.settings import KEY_VARIABLE, Settings


class Worker:
    """The one process that trains; see `harness.server.training_worker`. Its log is worker.log in the data folder."""

    def __init__(self, folder: Path) -> None:
        self.command: Sequence[str] = (sys.executable, "-m", "harness.server.training_worker")
        """What is started; the data folder follows it."""
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_there(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def ready(self) -> subprocess.Popen[str]:
        """Return the process, started where there is none; no part of the terminal's signals, or of the key, is its."""
        if self._process is None or self._process.poll() is not None:
            self.end()
            with (self._folder / "worker.log").open("w") as log:
                self._process = subprocess.Popen(
                    [*self.command, str(self._folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    env={name: value for name, value in os.environ.items() if name != KEY_VARIABLE},
                    start_new_session=True,
                )
        return self._process

    def end(self) -> None:
        """Kill the process; its job can be gone on with."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


def ask(process: subprocess.Popen[str], job_id: str) -> bool:
    """Have a worker do a job; False when it dies over it."""
    try:
        if process.stdin is None or process.stdout is None:
            return False
        process.stdin.write(f"{job_id}\n")
        process.stdin.flush()
        return process.stdout.readline().split() == ["done", job_id]
    except (OSError, ValueError):
        return False


ATTEMPTS = 3
LINGER_SECONDS = 30.0
"""How long a worker waits for another job: starting one takes seconds."""


class Trainer:
    """The fine-tuning jobs of one server, and the process that trains."""

    def __init__(self, settings: Settings, files: Files) -> None:
        self._folder, self._limits, self._files = settings.folder, settings.limits, files
        self.records: Records[Job] = Records(settings.folder / "jobs", Kind.JOB, JOB)
        self._changed = threading.Condition()
        self.worker = Worker(settings.folder)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="trainer", daemon=True)

    def start(self) -> None:
        """Begin with the oldest unfinished job."""
        self._thread.start()

    def stop(self) -> None:
        """End the worker; its job goes on from its last checkpoint when the server is started again."""
        with self._changed:
            self._stopping = True
            self.worker.end()
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def submit(self, job: Job) -> Job:
        """Queue a job; an error in OpenAI's shape where too many wait."""
        full = busy(f"{self._limits.jobs} jobs are not finished yet. Cancel one or ask again later.", 30)
        with self._changed:
            self.records.add(job, self._limits.jobs, lambda: full, lambda each: each.status in OPEN)
            events = self.events(job)
            events.add(f"Created fine-tuning job: {job.id}")
            if job.failure:
                events.add(job.failure.message, "error")
            else:
                events.add("Files validated, moving job to queued state")
            self._changed.notify_all()
        return job

    def cancel(self, job_id: str) -> Job:
        """Cancel a job that is not finished; an error in OpenAI's shape where it is."""

        def cancelled(job: Job) -> Job:
            if job.status not in OPEN:
                raise ApiError(400, f"Job {job.id} has already {job.status.value}.", code="invalid_status")
            return replace(job, status=JobStatus.CANCELLED, finished=time.time())

        with self._changed:
            running = self.records.get(job_id).status is JobStatus.RUNNING
            job = self.records.change(job_id, cancelled)
            if running:
                self.worker.end()
        self.events(job).add("The job was cancelled", "warn")
        return job

    def events(self, job: Job) -> Events:
        """Return what happened to a job."""
        return Events(self.records.folder(job.id))

    def uses(self, file_id: str) -> bool:
        """Say whether an unfinished job needs a file."""
        return any(
            job.status in OPEN and file_id in (job.training_file, job.validation_file) for job in self.records.all()
        )

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._train(job)

    def _next(self) -> Job | None:
        """Wait for the oldest unfinished job; None when the server ends."""
        with self._changed:
            while not self._stopping:
                waiting = [job for job in self.records.all() if job.status in OPEN]
                if waiting:
                    return waiting[-1]
                if not self._changed.wait(LINGER_SECONDS if self.worker.is_there else None):
                    self.worker.end()
        return None

    def _train(self, job: Job) -> None:
        """Have the worker do one job, and write down how it ended."""
        if (process := self._begin(job)) is None:
            return
        done = ask(process, job.id)
        with self._changed:
            if self.records.get(job.id).status is JobStatus.CANCELLED or (self._stopping and not done):
                return
            if done:
                outcome = OUTCOME.validate_json((self.records.folder(job.id) / "outcome.json").read_bytes())
            else:
                self.worker.end()
                attempts = self.records.change(job.id, lambda now: replace(now, attempts=now.attempts + 1)).attempts
                if attempts < ATTEMPTS:
                    self.events(job).add(f"The training process died ({process.returncode}); trying again", "warn")
                    return
                outcome = Outcome(failure=Failure("server_error", f"The training process died {attempts} times."))
        self._finish(job, outcome)

    def _begin(self, job: Job) -> subprocess.Popen[str] | None:
        """Return the worker for a job that is now running; None where there is nothing to do any more."""
        with self._changed:
            if self._stopping or self.records.get(job.id).status not in OPEN:
                return None
            self.records.change(job.id, lambda now: replace(now, status=JobStatus.RUNNING))
            resumed = job.status is JobStatus.RUNNING
            self.events(job).add("Fine-tuning job goes on" if resumed else "Fine-tuning job started")
            return self.worker.ready()

    def _finish(self, job: Job, outcome: Outcome) -> None:
        events, now = self.events(job), time.time()
        if (record := outcome.record) is None:
            failure = outcome.failure or Failure("server_error", "The training process left no result.")
            events.add(failure.message, "error")
            self._change_open(job, lambda job: replace(job, status=JobStatus.FAILED, finished=now, failure=failure))
            return
        csv = io.BytesIO(results.encoded(record))
        file = self._files.save(csv, "step_metrics.csv", "fine-tune-results", limited=False)

        def succeeded(job: Job) -> Job:
            return replace(
                job,
                status=JobStatus.SUCCEEDED,
                finished=now,
                model=outcome.model,
                trained_tokens=record.tokens,
                kept=next((point for point in record.curve if point.step == record.best_step), None),
                result_file=file.id,
            )

        events.add(f"New fine-tuned model created: {job.model_name}")
        events.add("The job has successfully completed")
        self._change_open(job, succeeded)

    def _change_open(self, job: Job, change: Callable[[Job], Job]) -> None:
        """Change a job unless it was cancelled meanwhile."""
        self.records.change(job.id, lambda now: change(now) if now.status in OPEN else now)
