"""The thread that trains: it gives one job after another to the training process and stores the results.

A job that was queued or running when the server stopped is continued from its record. A job whose process died is
tried again, at most three times.
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

from harness.server.errors import ApiError, busy
from harness.server.files import Files
from harness.server.ids import IdKind
from harness.server.jobs import JOB, OPEN, OUTCOME, Failure, FineTuningJob, JobEvents, JobStatus, TrainingOutcome
from harness.server.records import Records
from harness.server.settings import KEY_VARIABLE, Settings
from harness.server.training_files import step_metrics
from harness.wording import counted

ATTEMPTS = 3
LINGER_SECONDS = 30.0
"""How long the training process waits for another job: starting one takes seconds."""


class TrainingProcess:
    """The one process that trains; see `harness.server.training_worker`. Its log is worker.log in the data folder."""

    def __init__(self, folder: Path) -> None:
        self.command: Sequence[str] = (sys.executable, "-m", "harness.server.training_worker")
        """The command line, without the data folder, which is its last argument."""
        self._folder = folder
        self._process: subprocess.Popen[str] | None = None

    @property
    def is_started(self) -> bool:
        """Whether there is a process."""
        return self._process is not None

    def start(self) -> subprocess.Popen[str]:
        """Return the process, started if necessary, outside the terminal's process group and without the API key."""
        if self._process is None or self._process.poll() is not None:
            self.kill()
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

    def kill(self) -> None:
        """Kill the process; its job can be continued by another one."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None


def train(process: subprocess.Popen[str], job_id: str) -> bool:
    """Give a job to a training process and wait; False when the process died."""
    try:
        if process.stdin is None or process.stdout is None:
            return False
        process.stdin.write(f"{job_id}\n")
        process.stdin.flush()
        return process.stdout.readline().split() == ["done", job_id]
    except (OSError, ValueError):
        return False


class Trainer:
    """The fine-tuning jobs of one server, and the process that trains."""

    def __init__(self, settings: Settings, files: Files) -> None:
        self._folder, self._limits, self._files = settings.folder, settings.limits, files
        self.records: Records[FineTuningJob] = Records(settings.folder / "jobs", IdKind.JOB, JOB)
        self._changed = threading.Condition()
        self.process = TrainingProcess(settings.folder)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="trainer", daemon=True)

    def start(self) -> None:
        """Start with the oldest unfinished job."""
        self._thread.start()

    def stop(self) -> None:
        """Kill the training process; its job continues from its last checkpoint when the server is started again."""
        with self._changed:
            self._stopping = True
            self.process.kill()
            self._changed.notify_all()
        self._thread.join(timeout=10)

    def submit(self, job: FineTuningJob) -> FineTuningJob:
        """Queue a job; a 429 error when too many are not finished."""
        limit = self._limits.jobs
        full = busy(f"The limit is {counted(limit, 'unfinished job')}. Cancel one or try again later.", 30)
        with self._changed:
            self.records.add(job, limit, lambda: full, lambda other: other.status in OPEN)
            events = self.events(job)
            events.add(f"Created fine-tuning job: {job.id}")
            if job.failure:
                events.add(job.failure.message, "error")
            else:
                events.add("Files validated, moving job to queued state")
            self._changed.notify_all()
        return job

    def cancel(self, job_id: str) -> FineTuningJob:
        """Cancel a job; a 400 error when it is finished already."""

        def cancelled(job: FineTuningJob) -> FineTuningJob:
            if job.status not in OPEN:
                raise ApiError(
                    400, f"Job {job.id} cannot be cancelled: it has already {job.status.value}.", code="invalid_status"
                )
            return replace(job, status=JobStatus.CANCELLED, finished=time.time())

        with self._changed:
            running = self.records.get(job_id).status is JobStatus.RUNNING
            job = self.records.change(job_id, cancelled)
            if running:
                self.process.kill()
        self.events(job).add("The job was cancelled", "warn")
        return job

    def events(self, job: FineTuningJob) -> JobEvents:
        """Return the events of a job."""
        return JobEvents(self.records.folder(job.id))

    def uses(self, file_id: str) -> bool:
        """Return whether an unfinished job needs a file."""
        return any(
            job.status in OPEN and file_id in (job.training_file, job.validation_file) for job in self.records.all()
        )

    def _run(self) -> None:
        while (job := self._next()) is not None:
            self._train(job)

    def _next(self) -> FineTuningJob | None:
        """Wait for the oldest unfinished job; None when the server stops."""
        with self._changed:
            while not self._stopping:
                waiting = [job for job in self.records.all() if job.status in OPEN]
                if waiting:
                    return waiting[-1]
                if not self._changed.wait(LINGER_SECONDS if self.process.is_started else None):
                    self.process.kill()
        return None

    def _train(self, job: FineTuningJob) -> None:
        """Have one job trained, and store the result."""
        if (process := self._start(job)) is None:
            return
        done = train(process, job.id)
        with self._changed:
            if self.records.get(job.id).status is JobStatus.CANCELLED or (self._stopping and not done):
                return
            if done:
                outcome = OUTCOME.validate_json((self.records.folder(job.id) / "outcome.json").read_bytes())
            else:
                self.process.kill()
                n = self.records.change(job.id, lambda newest: replace(newest, attempts=newest.attempts + 1)).attempts
                if n < ATTEMPTS:
                    self.events(job).add(f"The training process died ({process.returncode}); trying again", "warn")
                    return
                outcome = TrainingOutcome(failure=Failure("server_error", f"The training process died {n} times."))
        self._finish(job, outcome)

    def _start(self, job: FineTuningJob) -> subprocess.Popen[str] | None:
        """Mark a job as running and return its process; None when it was cancelled or the server stops."""
        with self._changed:
            if self._stopping or self.records.get(job.id).status not in OPEN:
                return None
            self.records.change(job.id, lambda newest: replace(newest, status=JobStatus.RUNNING))
            resumed = job.status is JobStatus.RUNNING
            self.events(job).add("Fine-tuning job continues" if resumed else "Fine-tuning job started")
            return self.process.start()

    def _finish(self, job: FineTuningJob, outcome: TrainingOutcome) -> None:
        events, now = self.events(job), time.time()
        if (record := outcome.record) is None:
            failure = outcome.failure or Failure("server_error", "The training process left no result.")
            events.add(failure.message, "error")
            self._change_open(job, lambda job: replace(job, status=JobStatus.FAILED, finished=now, failure=failure))
            return
        csv = io.BytesIO(step_metrics(record))
        file = self._files.save(csv, "step_metrics.csv", "fine-tune-results", limited=False)

        def succeeded(job: FineTuningJob) -> FineTuningJob:
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

    def _change_open(self, job: FineTuningJob, change: Callable[[FineTuningJob], FineTuningJob]) -> None:
        """Change a job unless it was cancelled in the meantime."""
        self.records.change(job.id, lambda newest: change(newest) if newest.status in OPEN else newest)
